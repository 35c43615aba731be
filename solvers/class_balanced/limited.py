"""Class-balanced selection under constraints that do more than fix rows."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from ...problems.errors import InfeasibleSelection, Stuck
from ...problems.growing import grow_by
from ..completing import offer_or_complete
from .conic import PricedLimits
from .model import Part
from .sifting import sift, turn
from .starting import offer_grown
from .swapping import Swapping
from .tree import Branching, objective

if TYPE_CHECKING:
    from ...problems.arrays import Ints
    from ...problems.class_balanced import ClassBalanced
    from ..search import Search
    from .conic import Relaxed
    from .sifting import Turning

FIRST_ROUNDS = 3
"""Annealings before branch and bound is tried where few rows are undecided."""
MORE_ROUNDS = 12
"""Further ones where many are."""
LAST_ROUNDS = 1_000
"""Annealings after it: more than any clock allows on a pool where they matter."""
ENUMERABLE = 200
"""Undecided rows that are few."""


def relax_limited(
    search: Search[ClassBalanced], limits: PricedLimits, start: Ints | None = None
) -> Turning:
    """Do what `bound_limited` does, and return what turning each row around costs the bound.

    Raises
    ------
    OutOfTime
        If the clock runs out.
    """
    relaxed, bound = bound_limited(search, limits, start, early=False)
    search.clock.check()
    return turn(search, limits, relaxed, bound)


def bound_limited(
    search: Search[ClassBalanced],
    limits: PricedLimits,
    start: Ints | None = None,
    *,
    early: bool = True,
) -> tuple[Relaxed, float]:
    """Prove the bound of the relaxation under all constraints and offer its rounding.

    The rounding takes the rows one after another, those that the relaxation takes wholly first, as
    the constraints let them in.

    Parameters
    ----------
    search
        The run.
    limits
        The constraints.
    start
        Rows to begin with, such as those that mattered in a neighbouring problem.
    early
        Whether to end as soon as the gap is closed, before the relaxation is solved to its end.

    Returns
    -------
    tuple
        The relaxation and the bound that it proves.

    Raises
    ------
    OutOfTime
        If the clock runs out.
    Stop
        If the gap is closed early.
    """

    def round_early(relaxed: Relaxed) -> None:
        with suppress(Stuck, InfeasibleSelection):
            order = _order(search.problem, limits, relaxed).tolist()
            search.offer(grow_by(search.problem, order, tick=search.clock.check))
        if early:
            search.stop_if_closed()

    try:
        offer_or_complete(search, search.problem.top_rows(search.clock.check_late))
    except Stuck as stuck:
        start = stuck.rows if start is None else np.union1d(start, stuck.rows)
    relaxed, bound = sift(search, limits, start, round_early)
    search.info["dual_seconds"] = round(search.clock.elapsed(), 3)
    worth = search.problem.worth + search.problem.probs.dot(relaxed.multipliers)
    offer_grown(search, _order(search.problem, limits, relaxed), worth)
    return relaxed, bound


def _order(problem: ClassBalanced, limits: PricedLimits, relaxed: Relaxed) -> Ints:
    """Return the free rows by their shares in the relaxation, then by what they are worth."""
    shares = np.zeros(problem.dataset.size)
    shares[relaxed.rows] = np.round(relaxed.shares, 3)
    worth = problem.worth + problem.probs.dot(relaxed.multipliers)
    residual = limits.residual(worth, relaxed.prices)
    return problem.free[np.lexsort((-residual[problem.free], -shares[problem.free]))]


def solve_limited(search: Search[ClassBalanced]) -> None:
    """Close the gap under constraints that do more than fix rows, as far as the clock allows.

    1. The most useful rows that the constraints let in are the first answer.
    2. The relaxation under all constraints gives the bound (`sift`), and its rounding an answer.
    3. Annealed swaps that keep the constraints better it (`Swapping`).
    4. Where few rows are undecided by what turning them around costs, HiGHS branches on those.
    5. Annealing goes on until the clock runs out.
    """
    limits = PricedLimits(search.problem)
    relaxed, bound = bound_limited(search, limits)
    search.stop_if_closed()
    turning = turn(search, limits, relaxed, bound)
    swapping = Swapping(search, turning)
    swapping.run(FIRST_ROUNDS)
    if _undecided(search, turning) > ENUMERABLE:
        swapping.run(MORE_ROUNDS)
    branching = Branching(search, _part(search, turning), relaxed.multipliers, relaxed.prices)
    if branching.run():
        search.complete = True
        return
    swapping.run(LAST_ROUNDS)


def _undecided(search: Search[ClassBalanced], turning: Turning) -> int:
    return int(np.count_nonzero(turning.costs <= _room(search, turning)))


def _part(search: Search[ClassBalanced], turning: Turning) -> Part:
    """Return the rows that no better selection is known to decide as the Lagrangian does."""
    is_open = turning.costs <= _room(search, turning)
    taken = turning.rows[turning.is_taken & ~is_open]
    chosen = np.concatenate([search.problem.included, taken])
    return Part(np.sort(turning.rows[is_open]), np.sort(chosen))


def _room(search: Search[ClassBalanced], turning: Turning) -> float:
    """Return how far the answer lies above the bound of the costs, rounding included."""
    best = objective(search)
    return best - turning.bound + 1e-9 * (abs(best) + abs(turning.bound))
