"""Class-balanced selection: its methods, exact and greedy side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import Method

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...problems.class_balanced import ClassBalanced

SMALL = 2_000_000
"""Probabilities up to which the LP relaxation takes seconds, not minutes."""


def _vectors(count: int) -> Callable[[ClassBalanced], int]:
    def forecast(problem: ClassBalanced) -> int:
        return 8 * count * problem.dataset.size + (48 << 20)

    return forecast


def _linear_program(problem: ClassBalanced) -> int:
    # Measured: up to 130 bytes a probability in the HiGHS process, up to 60 here.
    return 200 * len(problem.selectable) * problem.n_classes + (100 << 20)


METHODS = {
    method.name: method
    for method in (
        Method(
            name="exact",
            about="LP relaxation, then branch and bound (thesis eq. 4.8)",
            run="class_balanced.branching:solve_exact",
            memory=_linear_program,
            proves=True,
            options={"node_limit": 20_000},
        ),
        Method(
            name="relaxed",
            about="LP relaxation, rounded",
            run="class_balanced.relaxation:solve_relaxed",
            memory=_linear_program,
            proves=True,
        ),
        Method(
            name="greedy",
            about="one row at a time (thesis algorithm 2)",
            run="class_balanced.greedily:solve_greedy",
            memory=_vectors(4),
        ),
        Method(
            name="pseudo-label",
            about="quotas by predicted class, most useful first",
            run="class_balanced.baselines:solve_pseudo_label",
            memory=_vectors(6),
        ),
        Method(
            name="top",
            about="the most useful rows",
            run="class_balanced.baselines:solve_top",
            memory=_vectors(3),
        ),
        Method(
            name="random",
            about="rows drawn uniformly",
            run="class_balanced.baselines:solve_random",
            memory=_vectors(3),
            random=True,
        ),
    )
}


def choose_auto(problem: ClassBalanced) -> tuple[str, str]:
    """Return the method to take for a problem, and why."""
    size = len(problem.selectable) * problem.n_classes
    if size <= SMALL:
        return "exact", f"exact: {size:,} probabilities are few enough for the LP relaxation"
    return "greedy", f"greedy: {size:,} probabilities would take the LP relaxation minutes"
