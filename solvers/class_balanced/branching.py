"""Exact class-balanced selection: dual bound, annealed swaps, enumeration, branch and bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...problems.arrays import as_number
from ...problems.errors import InvalidInput
from .enumeration import enumerate_cheapest
from .improvement import Annealing, Ranking, polish
from .limited import solve_limited
from .model import Part
from .relaxation import relax
from .tree import Branching, objective, prove_by_search

if TYPE_CHECKING:
    from ...problems.arrays import Floats
    from ...problems.class_balanced import ClassBalanced
    from ..search import Search

FIRST_ROUNDS = 24
"""Annealings before branch and bound is tried."""
LAST_ROUNDS = 1_000
"""Annealings after it: more than any clock allows on a pool where they matter."""
ENUMERABLE = 200
"""Undecided rows up to which enumeration is tried."""


def solve_exact(search: Search[ClassBalanced]) -> None:
    """Close the gap between answer and bound, as far as the clock allows.

    1. The dual gives the bound, and its rounding an answer (`relax`).
    2. The best swaps near the threshold (`polish`), then annealed ones (`Annealing`) better it.
    3. Where few selections have a Lagrangian value below the answer, all of them are looked at
       (`enumerate_cheapest`), which proves the optimum in float64.
    4. Where few rows are undecided by their reduced costs, HiGHS branches on those, for half of
       the time that is left.
    5. Annealing goes on until the clock runs out.
    """
    node_limit = as_number(search.options["node_limit"], "options: node_limit")
    if not (node_limit >= 0 and node_limit.is_integer()):
        raise InvalidInput(
            f"options: node_limit must be a whole number, at least 0; got {node_limit}"
        )
    if search.problem.is_limited:
        solve_limited(search)
        return
    search.offer(search.problem.top_rows(search.clock.check_late))
    dual, ranking = relax(search)
    search.stop_if_closed()
    polish(search, ranking)
    search.stop_if_closed()
    slack = _enumerate(search, ranking, dual.multipliers, int(node_limit))
    annealing = Annealing(search, ranking)
    if slack is None:
        annealing.run(FIRST_ROUNDS)
        slack = _enumerate(search, ranking, dual.multipliers, int(node_limit))
    if slack is not None:
        prove_by_search(search, objective(search) - slack, dual.multipliers)
        search.complete = True
        return
    if Branching(search, _part(search, ranking), dual.multipliers).run():
        search.complete = True
        return
    annealing.run(LAST_ROUNDS)


def undecided(ranking: Ranking, room: float) -> tuple[slice, slice]:
    """Return which ranks no reduced cost decides, and which are chosen for certain.

    Turning a row around costs the bound at least its distance from the threshold: the first rank
    left out for a chosen row, the last rank chosen for another. Where that exceeds the `room`
    between bound and answer, no better selection turns it around.
    """
    reduced, more = ranking.reduced, ranking.more
    if more in (0, len(reduced)):
        return slice(more, more), slice(0, more)
    first = int(np.searchsorted(reduced[:more], reduced[more] - room))
    last = more + int(np.searchsorted(reduced[more:], reduced[more - 1] + room, side="right"))
    return slice(first, last), slice(0, first)


def _room(search: Search[ClassBalanced], ranking: Ranking) -> float:
    """Return how far the answer lies above the ranking's own bound, rounding included.

    A better bound from other multipliers would decide rows by reduced costs that are not its own.
    """
    best = objective(search)
    return best - ranking.bound + 1e-9 * (abs(best) + abs(ranking.bound))


def _enumerate(
    search: Search[ClassBalanced], ranking: Ranking, multipliers: Floats, node_limit: int
) -> float | None:
    """Enumerate where so few rows are undecided that the tree may end."""
    inner, _ = undecided(ranking, _room(search, ranking))
    if inner.stop - inner.start > ENUMERABLE:
        return None
    return enumerate_cheapest(search, multipliers, node_limit)


def _part(search: Search[ClassBalanced], ranking: Ranking) -> Part:
    """Return the rows that no reduced cost decides, and those chosen for certain."""
    inner, taken = undecided(ranking, _room(search, ranking))
    chosen = np.concatenate([search.problem.included, ranking.rows[taken]])
    return Part(np.sort(ranking.rows[inner]), np.sort(chosen))
