"""One problem under many prices of balance, each solved from the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...problems.base import StoppedBy
from .._clock import Clock, OutOfTime
from ..search import Search, Stop
from .dual import Dual, solve_dual
from .improvement import Annealing, rank
from .relaxation import prove

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...problems.class_balanced import ClassBalanced

ROUNDS = 12
"""Annealings for each price."""


@dataclass(frozen=True, eq=False)
class Traced:
    """The search at one price, its relaxation, and why it ended."""

    search: Search[ClassBalanced]
    dual: Dual
    stopped_by: StoppedBy


def trace(
    problem: ClassBalanced, balances: Sequence[float], *, gap_tol: float, seed: int, clock: Clock
) -> Iterator[Traced]:
    """Solve a problem for ascending λ, each from the multipliers and rows of the one before."""
    dual, rows = None, None
    for balance in balances:
        search = Search(
            problem=replace(problem, balance=balance), clock=clock, seed=seed, gap_tol=gap_tol
        )
        search.offer(problem.top_rows() if rows is None else rows)
        dual = solve_dual(search.problem, clock, start=dual)
        ranking = rank(search.problem, dual, prove(search, dual.multipliers))
        search.offer(np.concatenate([problem.included, ranking.rows[: ranking.more]]))
        stopped_by = StoppedBy.EXHAUSTED
        try:
            search.stop_if_closed()
            Annealing(search, ranking).run(ROUNDS)
        except Stop as stop:
            stopped_by = stop.stopped_by
        except OutOfTime:
            stopped_by = StoppedBy.TIME
        rows = search.rows
        yield Traced(search, dual, stopped_by)
