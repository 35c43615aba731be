"""Exact class-balanced selection: relaxation, enumeration by reduced cost, branch and bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...problems.base import Certificate, StoppedBy
from .._mip import MipStatus, MipUpdate, solve_model
from ..search import Stop
from .enumeration import enumerate_cheapest
from .greedily import grow
from .relaxation import linear_model, model_point, note_peak, relax

if TYPE_CHECKING:
    from ...problems.arrays import Floats
    from ...problems.class_balanced import ClassBalanced
    from ..search import Search

SAFETY = 1e-6
"""Share of HiGHS' own bound that is taken off for its tolerances."""


def solve_exact(search: Search[ClassBalanced]) -> None:
    """Solve thesis eq. 4.8 to optimality, as far as the clock allows.

    Greedy gives the first answer and the LP relaxation the first bound. Where few selections have
    a Lagrangian value below the best answer, all of them are looked at (`enumerate_cheapest`),
    which proves the optimum in float64. Else the MIP goes to HiGHS, from the best answer; its bound
    is lowered by 1e-6 of itself for its tolerances.
    """
    problem = search.problem
    search.offer(grow(search, problem.included))
    multipliers = relax(search)
    search.stop_if_closed()
    if multipliers is not None:
        slack = enumerate_cheapest(search, multipliers, int(search.options["node_limit"]))
        if slack is not None:
            _prove_by_search(search, objective(search) - slack, multipliers)
            search.complete = True
            return
    _branch_and_bound(search, multipliers)


def objective(search: Search[ClassBalanced]) -> float:
    """Return the best objective so far; there is one since greedy began."""
    assert search.best is not None
    return search.best.objective


def _branch_and_bound(search: Search[ClassBalanced], multipliers: Floats | None) -> None:
    problem = search.problem

    def take(update: MipUpdate) -> bool:
        if update.values is not None:
            selected = update.values[: len(problem.selectable)] > 0.5
            search.offer(problem.selectable[selected])
        if update.bound is not None:
            _prove_by_search(search, update.bound - SAFETY * abs(update.bound), multipliers)
        return search.closed

    result = solve_model(
        linear_model(problem, integer=True),
        time_limit=search.clock.remaining(),
        start=None if search.rows is None else model_point(problem, search.rows),
        options={
            "random_seed": search.seed % (1 << 31),
            # Tighter than asked for, so that the lowered bound closes the gap as well.
            "mip_rel_gap": max(search.gap_tol - 2 * SAFETY, 0.0),
        },
        on_update=take,
    )
    note_peak(search, result.peak_bytes)
    search.info["nodes"] = result.nodes
    if result.bound is not None:
        _prove_by_search(search, result.bound - SAFETY * abs(result.bound), multipliers)
    search.stop_if_closed()
    if result.status is MipStatus.OPTIMAL:
        search.complete = True
    elif result.status is MipStatus.STOPPED:
        raise Stop(StoppedBy.GAP)
    elif result.status is MipStatus.TIME:
        raise Stop(StoppedBy.TIME)


def _prove_by_search(
    search: Search[ClassBalanced], bound: float, multipliers: Floats | None
) -> None:
    """Prove a bound that only a repeated search could re-check, with the root's multipliers."""
    values = {} if multipliers is None else {"multipliers": multipliers.tolist()}
    root = None if multipliers is None else search.problem.lower_bound(np.asarray(multipliers))
    search.prove(bound, Certificate("branch-and-bound", False, root, values))
