"""Exact k-center: the radius bisected by covers of a sample, found, refuted or branched on."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ...problems.errors import Stuck
from .._clock import OutOfTime
from ..baselines import solve_random
from ..class_balanced.branching import solve_exact as solve_class_balance
from . import METHODS
from .balanced import solve_balanced
from .bisection import LIGHT, MEDIUM, STRONG, Bisection
from .greedily import solve_greedy

if TYPE_CHECKING:
    from ...problems.k_center import KCenter
    from ..search import Search

SHARE = 0.2
"""Of the time that is left one branch and bound may take."""


def solve_exact(search: Search[KCenter]) -> None:
    r"""Close the gap between the best radius and a proven bound.

    A radius r is possible if b centers cover all rows within r, and the optimum is a distance
    between two rows. So radii are tested between the bounds, on a sample of rows S that grows by
    rows which a cover of S leaves out (Contardo, Iori & Kramer 2019):

    1. local search finds covers of S; one that covers all rows is a better selection;
    2. where it finds none, the duals of a linear program may prove that there is none, and those
       prove the bound for good (`proves_radius`);
    3. radii that stay in doubt go to branch and bound: first the one just below the best, whose
       refutation proves it optimal, then smaller ones to raise the bound.
    """
    start(search)
    if search.problem.balance > 0:
        solve_balanced(search, solve_exact, solve_class_balance)
        return
    bisection = Bisection(search)
    bisection.halve(LIGHT, refute=False)
    bisection.halve(LIGHT, refute=True)
    bisection.halve(MEDIUM, refute=False)
    settle(bisection)
    search.complete = bisection.low >= bisection.best


def solve_improve(search: Search[KCenter]) -> None:
    """Shrink the radius by local search alone: swaps of centers near the rows left uncovered."""
    start(search)
    bisection = Bisection(search)
    for effort in (LIGHT, MEDIUM, STRONG):
        bisection.halve(effort, refute=False)


def settle(bisection: Bisection) -> None:
    """Settle the radii in doubt by branch and bound until none is left or the clock runs out."""
    search, tried = bisection.search, 0.0
    while True:
        search.stop_if_closed()
        radii = bisection.sample.radii(bisection.low, bisection.best)
        if not len(radii):
            return
        top = float(radii[-1])
        if top != tried:
            tried = top
            seconds = max(0.5 * SHARE * search.clock.remaining(), 1.0)
            if bisection.branch(top, seconds) is not None or bisection.cover(top, STRONG):
                continue
        high = top
        while len(radii := bisection.sample.radii(bisection.low, high)):
            search.stop_if_closed()
            middle = 0.5 * (radii[0] + radii[-1])
            radius = float(radii[np.searchsorted(radii, middle, side="right") - 1])
            seconds = max(SHARE * search.clock.remaining(), 1.0)
            if bisection.branch(radius, seconds) is None:
                high = radius
            if bisection.best <= high:
                break
        else:
            # Only the clock can end what is still in doubt.
            left = bisection.sample.radii(bisection.low, bisection.best)
            if len(left):
                bisection.branch(float(left[-1]), np.inf)


def start(search: Search[KCenter]) -> None:
    """Offer what greedy finds, with its bound."""
    problem = search.problem
    try:
        if METHODS["greedy"].refusal(problem) is None:
            solve_greedy(search)
        else:
            solve_random(cast("Search[Any]", search))
    except OutOfTime:
        if search.best is None:
            with suppress(Stuck):
                search.offer(problem.random_rows(search.rng()))
        raise
    search.info.pop("curve", None)  # it is of greedy's picks, not of what follows
    search.stop_if_closed()
