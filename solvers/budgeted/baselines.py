"""The most useful rows, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...problems.constraints import Cost
from ...problems.errors import Stuck
from ...problems.growing import grow_by
from ..completing import complete, offer_or_complete

if TYPE_CHECKING:
    from ...problems.arrays import Floats
    from ...problems.budgeted import BudgetedSelection
    from ..search import Search


def solve_top(search: Search[BudgetedSelection]) -> None:
    """Take the most useful rows one after another, as the constraints let them in."""
    problem = search.problem
    try:
        rows = problem.top_rows(search.rng(), search.clock.check)
    except Stuck as stuck:
        rows = complete(search, stuck.rows, problem.utility)
    offer_or_complete(search, rows, ordered=True)


def solve_greedy(search: Search[BudgetedSelection]) -> None:
    r"""Take rows by utility for what they cost, as the constraints let them in.

    Rows above 0 come by :math:`u_i / \sum_k c_{ik} / \text{limit}_k` over the `Cost` constraints,
    the others after them by utility. The better of this and the most useful rows (`solve_top`)
    counts; without `Cost` they are the same.
    """
    problem = search.problem
    tries = [problem.utility]
    if any(isinstance(rule, Cost) for rule in problem.constraints):
        tries.insert(0, _per_cost(problem))
    ties = np.arange(problem.dataset.size)
    if problem.ties == "random":
        ties = search.rng().permutation(problem.dataset.size)
    for score in tries:
        free = problem.free
        order = free[np.lexsort((ties[free], -score[free]))]
        worth = problem.utility > 0.0 if problem.budget is None else None
        search.clock.check()
        try:
            rows = grow_by(problem, order.tolist(), worth=worth, tick=search.clock.check)
        except Stuck as stuck:
            rows = complete(search, stuck.rows, problem.utility)
        offer_or_complete(search, rows, ordered=True)


def _per_cost(problem: BudgetedSelection) -> Floats:
    """Return a score ``(N,)`` by which rows above 0 stand by utility per cost, before the others.

    A cost is counted as a share of its limit.
    """
    shares = np.zeros(problem.dataset.size)
    for rule in problem.constraints:
        if isinstance(rule, Cost):
            shares += np.where(problem.dataset.is_candidate, rule.costs, 0.0) / (rule.limit or 1.0)
    free = np.where(problem.is_selectable, problem.utility, 0.0)
    cheapest = shares[shares > 0].min(initial=1.0)
    # Next to nothing is infinitely cheap.
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.where(free > 0, free / np.maximum(shares, 1e-3 * cheapest), free)
