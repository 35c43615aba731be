"""Budgeted selection: its methods, exact and greedy side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...problems.constraints import Spacing
from ..registry import EVERY_CONSTRAINT, Method

if TYPE_CHECKING:
    from ...problems.budgeted import BudgetedSelection


def _vectors(problem: BudgetedSelection) -> int:
    return 8 * 8 * problem.dataset.size + (16 << 20)


def _exact(problem: BudgetedSelection) -> int:
    tree = {"include", "forbid", "group-limit", "spacing"}
    crosses = any(rule.kind not in tree for rule in problem.constraints)
    spacings = [rule for rule in problem.constraints if isinstance(rule, Spacing)]
    # All spacings but the first are written as windows.
    entries = sum(rule.timeline.window_entries() for rule in spacings[1:])
    return 8 * (120 if crosses else 40) * problem.dataset.size + 72 * entries + (150 << 20)


METHODS = {
    method.name: method
    for method in (
        Method(
            name="exact",
            about="prices on a tree of limits and a spacing; branch and bound for what crosses it",
            run="budgeted.exact:solve_exact",
            memory=_exact,
            proves=True,
            random=True,
            constraints=EVERY_CONSTRAINT,
            curved=True,
        ),
        Method(
            name="greedy",
            about="the most useful rows, for what they cost, one after another",
            run="budgeted.baselines:solve_greedy",
            memory=_vectors,
            random=True,
            constraints=EVERY_CONSTRAINT,
            curved=True,
        ),
        Method(
            name="top",
            about="the most useful rows, one after another",
            run="budgeted.baselines:solve_top",
            memory=_vectors,
            random=True,
            constraints=EVERY_CONSTRAINT,
            curved=True,
        ),
        Method(
            name="random",
            about="rows drawn at random (with spacing Random+R, thesis 2.5.2)",
            run="baselines:solve_random",
            memory=_vectors,
            random=True,
            constraints=EVERY_CONSTRAINT,
            curved=True,
        ),
    )
}


def choose_auto(problem: BudgetedSelection) -> tuple[str, str]:
    """Return the method to take for a problem, and why."""
    tree = {"include", "forbid", "group-limit", "spacing"}
    if all(rule.kind in tree for rule in problem.constraints):
        return "exact", "exact: prices alone solve a spacing and limits that are nested"
    return "exact", "exact: prices bound what costs and counts allow, branch and bound the rest"
