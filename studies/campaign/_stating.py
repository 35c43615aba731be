"""What every strategy shares: how a round becomes a problem, and the answer to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ...problems import BudgetedSelection, Spacing
from ...problems.base import Solution
from ...problems.errors import InvalidInput
from ...solvers import solve

if TYPE_CHECKING:
    from ...problems import Selection
    from ...problems.arrays import Floats
    from ...problems.base import Problem
    from .round import Round

A = TypeVar("A", bound=Solution)

COMMON = frozenset({"spacing", "method", "time_limit", "gap_tol"})
"""Options of every strategy that solves a problem."""
GAP_TOL, TIME_LIMIT = 0.01, 60.0
"""Proven to 1 %, which ends long before the clock: a campaign's numbers must not depend on it."""


def rows_of(round: Round) -> dict[str, Any]:
    """Return the arguments that state which rows of a round may be chosen, and how many.

    With the option ``spacing`` = k no two rows of a video within k frames of each other are
    labeled, as in chapter 2 of the thesis.
    """
    spacing = int(round.options.get("spacing", 0))
    rules = []
    if spacing:
        video, frame = timeline(round)
        rules.append(Spacing(video, frame, exclude_within=spacing))
    return {
        "budget": round.budget,
        "labeled": round.labeled,
        "candidates": round.candidates,
        "constraints": rules,
    }


def timeline(round: Round) -> tuple[Any, Any]:
    """Return the columns ``video`` and ``frame`` of the pool.

    Raises
    ------
    InvalidInput
        If it has none.
    """
    table = round.pool.table
    missing = [name for name in ("video", "frame") if name not in table]
    if missing:
        raise InvalidInput(
            f"pool: its table lacks the column {missing[0]!r}, which this strategy needs; see "
            "video_pool"
        )
    return table["video"], table["frame"]


def most_useful(round: Round, utility: Any, *, ties: str = "lowest") -> Selection:
    """Choose the rows of most utility: ``max Σ u z``, with the constraints of the round."""
    problem = BudgetedSelection(_known(round, utility), **rows_of(round), ties=ties)
    return answer(round, problem)


def answer(
    round: Round,
    problem: Problem[A],
    method: str = "auto",
    *,
    time_limit: float = TIME_LIMIT,
    abs_gap_tol: float = 1e-6,
) -> A:
    """Solve a problem with the round's seed and options, and keep its proven gap as a metric.

    Raises
    ------
    InvalidInput
        If there is no answer; with the reason.
    """
    options = round.options
    found = solve(
        problem,
        options.get("method", method),
        time_limit=float(options.get("time_limit", time_limit)),
        gap_tol=float(options.get("gap_tol", GAP_TOL)),
        abs_gap_tol=abs_gap_tol,
        seed=round.seed,
    )
    if found.objective is None:
        raise InvalidInput(f"{problem.kind}: {found.status}; {found.reason or 'no row was found'}")
    if found.gap is not None:
        round.metrics["gap"] = float(found.gap)
    return found


def generator(round: Round) -> np.random.Generator:
    """Return the round's random numbers."""
    return np.random.default_rng(round.seed)


def _known(round: Round, utility: Any) -> Floats:
    """Return utilities with 0 on rows that cannot be chosen, where scores may be missing."""
    values = np.zeros(round.pool.size)
    values[round.candidates] = np.asarray(utility, dtype=np.float64)[round.candidates]
    return values
