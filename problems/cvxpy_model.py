"""Plain CVXPY models, for users who want to add to them and as the tests' reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    rules = [cp.sum(selected) == problem.budget]
    shortfall = problem.target - probs.T @ selected
    if problem.ground_cost is not None:
        flow = cp.Variable(problem.ground_cost.shape, nonneg=True, name="flow")
        rules.append(cp.sum(flow, axis=1) - cp.sum(flow, axis=0) == shortfall)
        imbalance = cp.sum(cp.multiply(problem.ground_cost, flow))
    else:
        norms: dict[str, Any] = {"l1": cp.norm1, "l2": cp.norm2, "squared-l2": cp.sum_squares}
        imbalance = norms[problem.distance](shortfall)
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
