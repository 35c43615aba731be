"""Selections to start from, completed where the constraints leave a growing one stuck."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...problems.errors import Stuck
from ...problems.growing import grow_by
from ..completing import complete, offer_or_complete

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.class_balanced import ClassBalanced
    from ..search import Search


def offer_top(search: Search[ClassBalanced], *, ordered: bool = False) -> None:
    """Offer the most useful rows that the constraints let in one after another."""
    try:
        rows = search.problem.top_rows(search.clock.check_late)
    except Stuck as stuck:
        rows = complete(search, stuck.rows, search.problem.worth)
    offer_or_complete(search, rows, ordered=ordered)


def offer_grown(search: Search[ClassBalanced], order: Ints, worth: Floats) -> None:
    """Offer the included rows and what the constraints let in of an order of rows.

    Where they get stuck, `worth` ``(N,)`` decides between the rows that complete them.
    """
    try:
        rows = grow_by(search.problem, order.tolist(), tick=search.clock.check)
    except Stuck as stuck:
        rows = complete(search, stuck.rows, worth)
    offer_or_complete(search, rows)
