"""Exact class-balanced selection: relaxation, enumeration by reduced cost, branch and bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...problems.arrays import as_number
from ...problems.base import Certificate, StoppedBy
from ...problems.errors import InvalidInput
from .._mip import MipStatus, MipUpdate, solve_model
from ..search import Stop
from .enumeration import enumerate_cheapest
from .greedily import solve_greedy
from .relaxation import SHORTEST, linear_model, model_point, note_peak, relax, unit

if TYPE_CHECKING:
    from ...problems.arrays import Floats
    from ...problems.class_balanced import ClassBalanced
    from ..search import Search

SAFETY = 1e-6
"""Share of HiGHS' own bound, in units of the model at least, taken off for its tolerances."""

DROPPED = 1e-9
"""Coefficients up to this HiGHS takes for 0."""


def solve_exact(search: Search[ClassBalanced]) -> None:
    """Solve thesis eq. 4.8 to optimality, as far as the clock allows.

    Greedy gives the first answer and the LP relaxation the first bound. Where few selections have
    a Lagrangian value below the best answer, all of them are looked at (`enumerate_cheapest`),
    which proves the optimum in float64. Else the MIP goes to HiGHS, from the best answer; its bound
    is lowered for its tolerances and for the coefficients that it drops.
    """
    node_limit = as_number(search.options["node_limit"], "options: node_limit")
    if not node_limit >= 0:
        raise InvalidInput(f"options: node_limit must be at least 0; got {node_limit}")
    solve_greedy(search)
    multipliers = relax(search)
    search.stop_if_closed()
    if multipliers is not None:
        slack = enumerate_cheapest(search, multipliers, node_limit)
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
    scale, dropped = unit(problem), problem.balance * _dropped(problem)

    def prove(bound: float) -> None:
        safe = scale * (bound - SAFETY * max(abs(bound), 1.0)) - dropped
        _prove_by_search(search, safe, multipliers)

    def take(update: MipUpdate) -> bool:
        if update.values is not None:
            selected = update.values[: len(problem.selectable)] > 0.5
            search.offer(problem.selectable[selected])
        if update.bound is not None:
            prove(update.bound)
        return search.closed

    result = solve_model(
        linear_model(problem, integer=True),
        time_limit=max(search.clock.remaining(), SHORTEST),
        start=None if search.rows is None else model_point(problem, search.rows),
        options={
            "random_seed": search.seed % (1 << 31),
            # Tighter than asked for, so that the lowered bound closes the gap as well.
            "mip_rel_gap": max(search.gap_tol - 2 * SAFETY, 0.0),
            # By default rows may be missed by 1e-6, which λ multiplies.
            "mip_feasibility_tolerance": 1e-9,
        },
        on_update=take,
    )
    note_peak(search, result.peak_bytes)
    search.info["nodes"] = result.nodes
    if result.bound is not None:
        prove(result.bound)
    search.stop_if_closed()
    if result.status is MipStatus.OPTIMAL:
        best, bound = objective(search), search.bound
        allowed = (search.gap_tol + 2 * SAFETY) * max(abs(best), scale) + dropped
        search.complete = bound is not None and best - bound <= allowed
    elif result.status is MipStatus.STOPPED:
        raise Stop(StoppedBy.GAP)
    elif result.status is MipStatus.TIME:
        raise Stop(StoppedBy.TIME)


def _dropped(problem: ClassBalanced) -> float:
    """Return the most that a selection's expected counts lose, all in all, to `DROPPED`."""
    lost = np.zeros(problem.dataset.size)
    for first, probs in problem.probs.chunks():
        lost[first : first + len(probs)] = np.where(probs <= DROPPED, probs, 0.0).sum(axis=1)
    return float(np.sort(lost[problem.selectable])[-problem.budget :].sum())


def _prove_by_search(
    search: Search[ClassBalanced], bound: float, multipliers: Floats | None
) -> None:
    """Prove a bound that only a repeated search could re-check, with the root's multipliers."""
    values = {} if multipliers is None else {"multipliers": multipliers.tolist()}
    root = None if multipliers is None else search.problem.lower_bound(np.asarray(multipliers))
    search.prove(bound, Certificate("branch-and-bound", False, root, values))
