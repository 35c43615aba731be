"""Balanced coresets by local search: aims at ever smaller radii, each made a local optimum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._clock import Clock
from .aiming import Aim
from .swapping import swap_centers

if TYPE_CHECKING:
    from ...problems.arrays import Ints
    from ...problems.k_center import KCenter
    from ..search import Search

RADII = 7
"""Radii that are aimed at first, from that of the best balance down."""
LOWEST = 0.93
"""The smallest of them, as a share of the smallest radius known."""
REFINED = 2
"""Times that the radii between the best one and its neighbors are aimed at as well."""


def improve_balanced(search: Search[KCenter], seconds: float = np.inf) -> None:
    """Look for the best sum of radius and balance by swaps.

    From the best balance that swaps find at any radius `Aim` goes down to small radii, and
    `swap_centers` brings each answer to an optimum of the objective itself.

    Parameters
    ----------
    search
        The run, with an answer, of a problem with a norm for its class balance.
    seconds
        What it may take.

    Raises
    ------
    OutOfTime
        When that is over, or the run's own time.
    """
    problem, start = search.problem, search.rows
    assert start is not None
    if not problem.to_choose:
        return
    clock = Clock(min(seconds, search.clock.remaining()))
    aim = Aim(problem, start, clock)
    tour = _Tour(search, aim, clock)
    tour.visit(np.inf, aim.at(np.inf, start))
    high = problem.evaluate(tour.chosen[np.inf]).terms["radius"]
    low = LOWEST * min(high, problem.evaluate(start).terms["radius"])
    if high > 0:
        steps = np.geomspace if low > 0 else np.linspace
        for radius in steps(high, low, RADII):
            tour.visit(float(radius))
        for _ in range(REFINED):
            for radius in tour.beside_best():
                tour.visit(radius)
    search.info["radii"] = len(tour.chosen)
    if search.rows is start:
        # Nothing was better, but swaps may make it so.
        swap_centers(search, start, clock)


class _Tour:
    """The radii visited, what was aimed at them, and how good it became."""

    def __init__(self, search: Search[KCenter], aim: Aim, clock: Clock) -> None:
        self.search, self.aim, self.clock = search, aim, clock
        self.chosen: dict[float, Ints] = {}
        self.values: dict[float, float] = {}

    def visit(self, radius: float, chosen: Ints | None = None) -> None:
        """Aim at a radius, from what was aimed at the next larger one, and offer what comes."""
        self.search.stop_if_closed()
        if chosen is None:
            larger = min(at for at in self.chosen if at >= radius)
            chosen = self.aim.at(radius, self.chosen[larger])
        self.chosen[radius] = chosen
        better = swap_centers(self.search, chosen, self.clock)
        self.values[radius] = self.search.problem.evaluate(better).objective

    def beside_best(self) -> list[float]:
        """Return the radii halfway from the best one to its neighbors."""
        radii = sorted(radius for radius in self.chosen if np.isfinite(radius))
        at = min(range(len(radii)), key=lambda k: self.values[radii[k]])
        sides = [radii[k] for k in (at + 1, at - 1) if 0 <= k < len(radii)]
        return [0.5 * (radii[at] + side) for side in sides]
