"""What every choice of rows is measured against: chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..problems.errors import Stuck
from .completing import complete, offer_or_complete

if TYPE_CHECKING:
    from ..problems.selection import SelectionProblem
    from .search import Search


def solve_random(search: Search[SelectionProblem]) -> None:
    """Take rows uniformly at random, beside the included ones.

    Where the draws leave no room for what else the constraints ask for, as many as possible stay,
    and the others are drawn anew.
    """
    rng = search.rng()
    try:
        rows = search.problem.random_rows(rng, search.clock.check)
    except Stuck as stuck:
        rows = complete(search, stuck.rows, rng.random(search.problem.dataset.size))
    offer_or_complete(search, rows, ordered=True)
