"""Radii covered, refuted and settled where constraints limit what may be chosen together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .certifying import weighted_rows
from .covering import greedy_cover
from .refuting_within import relaxed_within, search_within_limits

if TYPE_CHECKING:
    from ...problems.arrays import Ints
    from .bisection import Bisection, Effort
    from .covering import Cover
    from .limits import Limits

ROUNDS = 5
"""Linear programs for one radius, at most."""
NEAR = 1e-3
"""Relative distance between bound and radii in doubt that ends the search for better bounds."""
LONGER = 3
"""How many times as much local search is worth as without limits."""


def search_locally(
    bisection: Bisection, limits: Limits, cover: Cover, effort: Effort
) -> Ints | None:
    """Return free rows that cover the sample within the limits, or None, by local search.

    It begins with the best selection, which keeps the limits, then with a cover that may not.
    """
    problem, clock = bisection.problem, bisection.search.clock
    bare = np.diff(cover.row_starts) == 0
    if cover.copies[bare].sum() > problem.outliers:
        return None
    chosen = np.searchsorted(problem.free, bisection.own())
    for turn in range(effort.searches):
        clock.check()
        if effort.afresh and turn == (effort.searches + 1) // 2:
            chosen = greedy_cover(cover, problem.to_choose)
        seed = int(bisection.rng.integers(1 << 31))
        if limits.search(cover, chosen, LONGER * effort.touches, seed, clock.remaining()):
            return problem.free[chosen]
    return None


def lift_within(bisection: Bisection, seconds: float) -> None:
    """Raise the bound by linear programs that hold the limits' rows, halving what is in doubt.

    What the cover alone proves costs less and is proven before.
    """
    limits, above, clock = bisection.limits, bisection.best, bisection.search.clock
    deadline = clock.elapsed() + seconds
    while limits is not None and clock.elapsed() < deadline:
        bisection.search.stop_if_closed()
        radii = bisection.sample.radii(bisection.low, min(above, bisection.best))
        if not len(radii) or radii[-1] - radii[0] <= NEAR * bisection.best:
            return
        radius = float(radii[len(radii) // 2])
        if not refute_within(bisection, limits, radius):
            above = radius


def refute_within(bisection: Bisection, limits: Limits, radius: float) -> bool:
    """Refute a radius by linear programs that hold the limits' rows; see `relaxed_within`."""
    problem, search = bisection.problem, bisection.search
    for _ in range(ROUNDS):
        search.clock.check()
        cover = bisection.state(radius)
        relaxed = relaxed_within(cover, limits, search.clock.remaining())
        if relaxed is None:
            return False
        if relaxed.refuted:
            proof = weighted_rows(bisection.sample, cover, relaxed.weights, relaxed.prices)
            bisection.raise_low(radius, "weighted-rows", proof)
            return True
        # What fails by rounding alone is not mended by further rows.
        unproven = relaxed.missed > problem.outliers + 1e-6
        if unproven or not bisection.separate(cover, relaxed.values, radius):
            return False
    return False


def branch_within(
    bisection: Bisection, limits: Limits, radius: float, seconds: float
) -> bool | None:
    """Settle a radius by branch and bound: True if covered, False if refuted, else None."""
    search, clock = bisection.search, bisection.search.clock
    barred: list[Ints] = []
    deadline = clock.elapsed() + seconds
    while True:
        clock.check()
        left = min(deadline - clock.elapsed(), clock.remaining())
        if left <= 0:
            return None
        cover = bisection.state(radius)
        refuted, chosen = search_within_limits(cover, limits, left, search, barred)
        if refuted:
            bisection.raise_low(radius)
            return False
        if chosen is None:
            return None
        rows = bisection.problem.free[chosen]
        if not limits.holds(rows):
            barred.append(chosen)
        elif bisection.offer(rows, radius):
            return True
