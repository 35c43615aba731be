"""The most useful rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...problems.budgeted import BudgetedSelection
    from ..search import Search


def solve_top(search: Search[BudgetedSelection]) -> None:
    """Take the most useful rows one after another, as the constraints let them in."""
    search.offer(search.problem.top_rows(search.rng()), ordered=True)
