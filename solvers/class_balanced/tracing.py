"""One problem under many prices of balance, each solved from the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.base import StoppedBy
from .._clock import Clock, OutOfTime
from ..search import Search, Stop
from .conic import PricedLimits
from .dual import solve_dual
from .improvement import Annealing, rank
from .limited import relax_limited
from .relaxation import prove
from .sifting import sift
from .starting import offer_top
from .swapping import Swapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...problems.class_balanced import ClassBalanced

ROUNDS = 12
"""Annealings for each price."""
LOOSE = 1e-6
"""Accuracy of a relaxation of which the imbalance alone is asked for."""


@dataclass(frozen=True, eq=False)
class Traced:
    """The search at one price, the imbalance and doubt of its relaxation, and why it ended."""

    search: Search[ClassBalanced]
    relaxed_imbalance: float
    stopped_by: StoppedBy


def trace(
    problem: ClassBalanced, balances: Sequence[float], *, gap_tol: float, seed: int, clock: Clock
) -> Iterator[Traced]:
    """Solve a problem for ascending λ, each from the multipliers and rows of the one before."""
    relaxation, rows = None, None
    for balance in balances:
        search = Search(
            problem=replace(problem, balance=balance), clock=clock, seed=seed, gap_tol=gap_tol
        )
        if rows is not None:
            search.offer(rows)
        stopped_by = StoppedBy.EXHAUSTED
        try:
            if problem.is_limited:
                relaxation, improve = _limited(search, relaxation)
            else:
                relaxation, improve = _plain(search, relaxation)
            search.stop_if_closed()
            improve(ROUNDS)
        except Stop as stop:
            stopped_by = stop.stopped_by
        except OutOfTime:
            stopped_by = StoppedBy.TIME
        if relaxation is None or search.best is None or search.bound is None:
            return
        rows = search.rows
        relaxed = problem.metric.value(relaxation.shortfall) + relaxation.doubt
        yield Traced(search, relaxed, stopped_by)


def relaxed_imbalance(problem: ClassBalanced) -> float:
    """Return the imbalance and doubt of the relaxation, whatever time it takes."""
    if not problem.is_limited:
        dual = solve_dual(problem, Clock(), accuracy=LOOSE)
        return problem.metric.value(dual.shortfall) + dual.doubt
    search = Search(problem=problem, clock=Clock())
    offer_top(search)
    relaxed, _ = sift(search, PricedLimits(problem))
    return problem.metric.value(relaxed.shortfall) + relaxed.doubt


def _plain(search: Search[ClassBalanced], start: Any) -> tuple[Any, Callable[[int], None]]:
    problem = search.problem
    if search.rows is None:
        search.offer(problem.top_rows(search.clock.check_late))
    dual = solve_dual(problem, search.clock, start=start)
    ranking = rank(problem, dual, prove(search, dual.multipliers))
    search.offer(np.concatenate([problem.included, ranking.rows[: ranking.more]]))
    return dual, Annealing(search, ranking).run


def _limited(search: Search[ClassBalanced], start: Any) -> tuple[Any, Callable[[int], None]]:
    turning = relax_limited(
        search,
        PricedLimits(search.problem),
        None if start is None else start.rows[start.shares > 0.5],
    )
    return turning.relaxed, Swapping(search, turning).run
