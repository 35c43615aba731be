"""Budgeted selection: its methods, exact and greedy side by side."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..registry import EVERY_CONSTRAINT, Method, by_name

if TYPE_CHECKING:
    from ...problems.budgeted import BudgetedSelection


TREE = frozenset({"include", "forbid", "group-limit", "spacing"})
"""Kinds of constraints that prices alone can solve."""


def _vectors(problem: BudgetedSelection) -> int:
    return 8 * 8 * problem.dataset.size + (16 << 20)


def _may_be_tree(problem: BudgetedSelection) -> bool:
    """Return whether no kind of constraint crosses a tree of limits and a spacing."""
    return all(rule.kind in TREE for rule in problem.constraints)


def _exact(problem: BudgetedSelection) -> int:
    numbers = 40 if _may_be_tree(problem) else 120
    # All spacings but the first are written as windows.
    return 8 * numbers * problem.dataset.size + problem.window_bytes(kept=1) + (150 << 20)


_method = partial(Method, memory=_vectors, random=True, constraints=EVERY_CONSTRAINT, curved=True)
"""Answers depend on the seed where ties do."""

METHODS = by_name(
    _method(
        name="exact",
        about="prices on a tree of limits and a spacing; branch and bound for what crosses it",
        run="budgeted.exact:solve_exact",
        memory=_exact,
        proves=True,
    ),
    _method(
        name="greedy",
        about="the most useful rows, for what they cost, one after another",
        run="budgeted.baselines:solve_greedy",
    ),
    _method(
        name="top",
        about="the most useful rows, one after another",
        run="budgeted.baselines:solve_top",
    ),
    _method(
        name="random",
        about="rows drawn at random (with spacing Random+R, thesis 2.5.2)",
        run="baselines:solve_random",
    ),
)


def choose_auto(problem: BudgetedSelection) -> tuple[str, str]:
    """Return the method to take for a problem, and why."""
    if _may_be_tree(problem):
        return "exact", "exact: prices alone solve a spacing and limits that are nested"
    return "exact", "exact: prices bound what costs and counts allow, branch and bound the rest"
