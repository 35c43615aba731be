"""Budgeted selection to the optimum, with its proof."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from ...problems.base import Certificate
from ...problems.errors import Stuck
from .._clock import GRACE, Clock, OutOfTime
from ..search import Infeasible
from .maximizing import Maximum, maximize, summed_up

if TYPE_CHECKING:
    from ...problems.arrays import Ints
    from ...problems.budgeted import BudgetedSelection
    from ..search import Search
    from .relaxing import Pursuit


ROUNDING = 1e-9
"""Share of a bound that the prices found and those read back may differ by."""


def solve_exact(search: Search[BudgetedSelection]) -> None:
    """Find the most useful rows, and prove it by prices or by branch and bound (`maximize`)."""
    problem = search.problem
    known: list[Pursuit] = []
    offered: list[Ints] = []

    def tell(pursuit: Pursuit) -> None:
        known[:] = [pursuit]
        if pursuit.rows is not None and not any(pursuit.rows is rows for rows in offered):
            offered[:] = [pursuit.rows]
            search.offer(pursuit.rows)

    try:
        found = maximize(
            problem,
            problem.utility,
            search.clock,
            seed=search.seed,
            shuffle=problem.ties == "random",
            gap_tol=search.gap_tol,
            abs_gap_tol=search.abs_gap_tol,
            tell=tell,
        )
    finally:
        # On Ctrl-C too.
        for pursuit in known:
            _prove(search, summed_up(pursuit))
    if found.infeasible:
        raise Infeasible
    search.stop_if_closed()
    search.complete = found.complete
    if not found.complete:
        if search.best is None:
            _grow(search)
        raise OutOfTime


def _prove(search: Search[BudgetedSelection], found: Maximum) -> None:
    """Prove the bound of the prices, and what branch and bound adds to it."""
    search.note_peak(found.peak)
    if found.nodes:
        search.info["nodes"] = found.nodes
    if found.prices is None:
        return
    values = dict(found.prices.values())
    if found.narrowing is not None:
        values["narrowing"] = found.narrowing.values()
    root = search.problem.upper_bound(found.prices, found.narrowing)
    search.prove(root, Certificate("multipliers", True, root, values))
    near = 0.0 if found.narrowing is None else ROUNDING * max(abs(root), 1.0)
    if found.bound < min(found.root, root - near) and np.isfinite(found.bound):
        search.prove(found.bound, Certificate("branch-and-bound", False, root, values))


def _grow(search: Search[BudgetedSelection]) -> None:
    """Offer what is found soon, so that a short limit does not end in empty hands."""
    with suppress(Stuck):
        search.offer(search.problem.top_rows(tick=Clock(GRACE).check))
