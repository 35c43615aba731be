"""Plain CVXPY models, for users who want to add to them and as the tests' reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .memory import require_memory

if TYPE_CHECKING:
    import cvxpy

    from .arrays import Floats
    from .budgeted import BudgetedSelection
    from .class_balanced import ClassBalanced
    from .constraints import Curve
    from .k_center import KCenter
    from .probabilities import Probabilities
    from .selection import SelectionProblem


def class_balanced_model(problem: ClassBalanced) -> cvxpy.Problem:
    """Return thesis eq. 4.8 in CVXPY; see `ClassBalanced.to_cvxpy`."""
    rows, classes = problem.probs.shape
    require_memory(40 * rows * classes, "to_cvxpy", "solve the problem with labelcut.solve")
    import cvxpy as cp

    selected = cp.Variable(rows, boolean=True, name="z")
    utility = np.where(problem.dataset.is_candidate, problem.worth, 0.0)
    imbalance, rules = _imbalance(problem, selected)
    rules += _selection_rules(problem, selected)
    objective = -utility @ selected + problem.balance * imbalance
    return cp.Problem(cp.Minimize(objective), rules)


def budgeted_model(problem: BudgetedSelection) -> cvxpy.Problem:
    """Return the largest utility under constraints in CVXPY; see `BudgetedSelection.to_cvxpy`."""
    require_memory(200 * problem.dataset.size, "to_cvxpy", "solve the problem with labelcut.solve")
    import cvxpy as cp

    selected = cp.Variable(problem.dataset.size, boolean=True, name="z")
    utility = np.where(problem.dataset.is_candidate, problem.utility, 0.0)
    return cp.Problem(cp.Maximize(utility @ selected), _selection_rules(problem, selected))


def k_center_model(problem: KCenter) -> cvxpy.Problem:
    r"""Return the k-center MIP in CVXPY; see `KCenter.to_cvxpy`.

    .. math:: \min\; R + \lambda\,\text{dist}(\Omega, P^\top z) \;\text{s.t.}\;
        R \ge \sum_j d_{ij} x_{ij} - M o_i,\; \sum_j x_{ij} = 1,\; x_{ij} \le z_j,\;
        \sum_i o_i \le \Xi

    with :math:`z_j = 1` on labeled rows, of which the budget counts none.
    """
    size = problem.space.size
    require_memory(200 * size * size, "to_cvxpy", "solve the problem with labelcut.solve")
    import cvxpy as cp

    distances = problem.space.between(np.arange(size), np.arange(size))
    selected = cp.Variable(size, boolean=True, name="z")
    assigned = cp.Variable((size, size), nonneg=True, name="x")
    left_out = cp.Variable(size, boolean=True, name="o")
    radius = cp.Variable(name="R", nonneg=True)
    labeled = np.zeros(size)
    labeled[problem.labeled] = 1.0
    rules = [
        cp.sum(assigned, axis=1) == 1,
        assigned <= cp.reshape(selected + labeled, (1, size), order="C"),
        cp.sum(cp.multiply(distances, assigned), axis=1) - distances.max() * left_out <= radius,
        cp.sum(left_out) <= problem.outliers,
        *_selection_rules(problem, selected),
    ]
    if problem.balancing is None:
        return cp.Problem(cp.Minimize(radius), rules)
    imbalance, more = _imbalance(problem.balancing, selected)
    cost = problem.balance * imbalance
    if problem.balancing.doubt is not None:
        worth = np.where(problem.dataset.is_candidate, problem.balancing.worth, 0.0)
        cost -= worth @ selected
    return cp.Problem(cp.Minimize(radius + cost), [*rules, *more])


def _imbalance(problem: ClassBalanced, selected: cvxpy.Variable) -> tuple[Any, list[Any]]:
    """Return dist(Ω, Pᵀz) and the rules that define it."""
    import cvxpy as cp

    shortfall = problem.target - _dense_or_zero(problem.probs).T @ selected
    if problem.ground_cost is None:
        norms: dict[str, Any] = {"l1": cp.norm1, "l2": cp.norm2, "squared-l2": cp.sum_squares}
        return norms[problem.distance](shortfall), []
    flow = cp.Variable(problem.ground_cost.shape, nonneg=True, name="flow")
    balanced = cp.sum(flow, axis=1) - cp.sum(flow, axis=0) == shortfall
    return cp.sum(cp.multiply(problem.ground_cost, flow)), [balanced]


def _selection_rules(problem: SelectionProblem, selected: cvxpy.Variable) -> list[Any]:
    """Return what every selection obeys: the budget, the candidates, the constraints."""
    import cvxpy as cp

    rules = [] if problem.budget is None else [cp.sum(selected) == problem.budget]
    outside = np.flatnonzero(~problem.dataset.is_candidate)
    if len(outside):
        rules.append(selected[outside] == 0)
    for constraint in problem.constraints:
        if constraint.is_curved:
            rules += [_cone(curve, selected) for curve in constraint.curves(problem.dataset)]
            continue
        linear = constraint.linear(problem.dataset)
        if len(linear.limits):
            rules.append(linear.matrix @ selected <= linear.limits)
    return rules


def _cone(curve: Curve, selected: cvxpy.Variable) -> Any:
    """Return a second-order cone; z² = z makes the root of a sum a norm."""
    import cvxpy as cp

    spread = cp.pnorm(cp.multiply(np.sqrt(curve.variances), selected), 2)
    return curve.values @ selected + curve.factor * spread <= curve.limit


def _dense_or_zero(probs: Probabilities) -> Floats:
    dense = np.empty(probs.shape)
    for first, values in probs.chunks():
        dense[first : first + len(values)] = np.nan_to_num(values)
    return dense
