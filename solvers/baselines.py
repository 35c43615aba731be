"""What every choice of rows is measured against: chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..problems.selection import SelectionProblem
    from .search import Search


def solve_random(search: Search[SelectionProblem]) -> None:
    """Take rows uniformly at random, beside the included ones."""
    search.offer(search.problem.random_rows(search.rng()), ordered=True)
