"""Plain CVXPY models, for users who want to add to them and as the tests' reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .memory import require_memory

if TYPE_CHECKING:
    import cvxpy

    from .arrays import Floats
    from .class_balanced import ClassBalanced
    from .probabilities import Probabilities


def class_balanced_model(problem: ClassBalanced) -> cvxpy.Problem:
    """Return thesis eq. 4.8 in CVXPY; see `ClassBalanced.to_cvxpy`."""
    rows, classes = problem.probs.shape
    require_memory(40 * rows * classes, "to_cvxpy", "solve the problem with labelcut.solve")
    import cvxpy as cp

    selected = cp.Variable(rows, boolean=True, name="z")
    probs = _dense_or_zero(problem.probs)
    utility = np.where(problem.dataset.is_candidate, problem.utility, 0.0)
    imbalance = cp.norm1(problem.target - probs.T @ selected)
    rules = [cp.sum(selected) == problem.budget]
    outside = np.flatnonzero(~problem.dataset.is_candidate)
    if len(outside):
        rules.append(selected[outside] == 0)
    for constraint in problem.constraints:
        linear = constraint.linear(problem.dataset)
        if len(linear.limits):
            rules.append(linear.matrix @ selected <= linear.limits)
    objective = -utility @ selected + problem.balance * imbalance
    return cp.Problem(cp.Minimize(objective), rules)


def _dense_or_zero(probs: Probabilities) -> Floats:
    dense = np.empty(probs.shape)
    for first, values in probs.chunks():
        dense[first : first + len(values)] = np.nan_to_num(values)
    return dense
