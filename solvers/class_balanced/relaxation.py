"""The relaxation: its multipliers prove a bound, its rows are rounded to a selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...problems.base import Certificate
from ...problems.distances import L1
from .conic import PricedLimits
from .dual import solve_dual
from .greedily import grow
from .improvement import Ranking, rank
from .limited import bound_limited

if TYPE_CHECKING:
    from ...problems.arrays import Floats
    from ...problems.class_balanced import ClassBalanced
    from ..search import Search
    from .dual import Dual


def solve_relaxed(search: Search[ClassBalanced]) -> None:
    """Maximize the Lagrangian bound and round the relaxation that belongs to it."""
    if search.problem.is_limited:
        bound_limited(search, PricedLimits(search.problem))
    else:
        relax(search)


def relax(search: Search[ClassBalanced]) -> tuple[Dual, Ranking]:
    """Prove the bound of the relaxation and offer its rounding.

    In the relaxation all but about C rows are whole: those of the smallest reduced costs. The
    rounding takes them all; for ℓ1 it also tries greedy completion of the surely whole ones.

    Raises
    ------
    OutOfTime
        With an answer and a bound, if the clock runs out.
    """
    problem = search.problem
    for multipliers in _without_solving(problem):
        prove(search, multipliers)
    dual = solve_dual(problem, search.clock)
    bound = prove(search, dual.multipliers)
    search.info["dual_seconds"] = round(search.clock.elapsed(), 3)
    search.info["dual_steps"] = dual.steps
    ranking = rank(problem, dual, bound)
    search.offer(np.concatenate([problem.included, ranking.rows[: ranking.more]]))
    search.clock.check()
    sure = max(ranking.more - problem.n_classes, 0)
    if isinstance(problem.metric, L1):
        search.offer(grow(search, np.concatenate([problem.included, ranking.rows[:sure]])))
    return dual, ranking


def prove(search: Search[ClassBalanced], multipliers: Floats) -> float:
    """Prove the bound of some multipliers, with them as the certificate, and return it."""
    bound = search.problem.lower_bound(multipliers)
    values = {"multipliers": multipliers.tolist()}
    search.prove(bound, Certificate("multipliers", True, bound, values))
    return bound


def _without_solving(problem: ClassBalanced) -> list[Floats]:
    """Multipliers that need no search: top utility alone, and the unreachable part of Ω."""
    zeros = np.zeros(problem.n_classes)
    excess = np.sign(problem.target.sum() - problem.budget)
    even = np.full(problem.n_classes, excess * problem.balance)
    steep = problem.metric.into_ball(even, problem.balance)
    return [zeros, steep] if problem.unreachable else [zeros]
