"""Class-balanced selection: its methods, exact and greedy side by side."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..registry import EVERY_CONSTRAINT, Method, by_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...problems.class_balanced import ClassBalanced

BRANCHED = 20_000
"""Undecided probabilities up to which `exact` tries branch and bound."""


def _vectors(count: int) -> Callable[[ClassBalanced], int]:
    def forecast(problem: ClassBalanced) -> int:
        return 8 * count * problem.dataset.size + (48 << 20)

    return forecast


def _dual(problem: ClassBalanced) -> int:
    if problem.is_limited:
        return _sifting(problem)
    # Newton's method holds small pools whole and the rows near the threshold twice.
    size = len(problem.selectable) * problem.n_classes
    near = min(len(problem.selectable), 100_000) * problem.n_classes
    return _vectors(16)(problem) + 16 * near + 8 * min(size, 8_000_000)


def _sifting(problem: ClassBalanced) -> int:
    # Measured: 140 to 400 bytes a probability of the relaxation's rows, the more the fewer classes,
    # and each constraint's linear rows over all of the dataset.
    inside = min(len(problem.selectable), 5 * problem.budget + 4_000)
    rules = 100 * problem.dataset.size * len(problem.constraints) + problem.window_bytes(kept=1)
    return _vectors(16)(problem) + rules + (3_000 + 140 * problem.n_classes) * inside


def _branching(problem: ClassBalanced) -> int:
    # Measured: up to 200 bytes a probability here and in the HiGHS process.
    inside = min(len(problem.selectable) * problem.n_classes, BRANCHED)
    return _dual(problem) + 200 * inside + (150 << 20)


def _only_norms(problem: ClassBalanced) -> str | None:
    return f"cannot take distance {problem.distance!r}" if problem.ground_cost is not None else None


_method = partial(Method, constraints=EVERY_CONSTRAINT)

METHODS = by_name(
    _method(
        name="exact",
        about="dual bound, annealed swaps, branch and bound (thesis eq. 4.8)",
        run="class_balanced.branching:solve_exact",
        memory=_branching,
        proves=True,
        options={"node_limit": 20_000},
    ),
    _method(
        name="relaxed",
        about="dual bound and the relaxation, rounded",
        run="class_balanced.relaxation:solve_relaxed",
        memory=_dual,
        proves=True,
    ),
    _method(
        name="greedy",
        about="one row at a time (thesis algorithm 2)",
        run="class_balanced.greedily:solve_greedy",
        memory=_vectors(8),
        refuses=_only_norms,
    ),
    _method(
        name="pseudo-label",
        about="quotas by predicted class, most useful first",
        run="class_balanced.baselines:solve_pseudo_label",
        memory=_vectors(6),
    ),
    _method(
        name="top",
        about="the most useful rows",
        run="class_balanced.baselines:solve_top",
        memory=_vectors(3),
    ),
    _method(
        name="random",
        about="rows drawn uniformly",
        run="baselines:solve_random",
        memory=_vectors(3),
        random=True,
    ),
)


def choose_auto(problem: ClassBalanced) -> tuple[str, str]:
    """Return the method to take for a problem, and why."""
    size = len(problem.selectable) * problem.n_classes
    return "exact", f"exact: its dual bound is linear in the {size:,} probabilities"
