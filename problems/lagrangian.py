"""The Lagrangian bound of class-balanced selection: any multipliers prove one."""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING

import numpy as np

from .pricing import utility_bound

if TYPE_CHECKING:
    from .arrays import Floats, Ints
    from .class_balanced import ClassBalanced
    from .distances import Distance
    from .pricing import Prices
    from .probabilities import Probabilities

EPS = float(np.finfo(np.float64).eps)


def lagrangian_bound(
    probs: Probabilities,
    utility: Floats,
    target: Floats,
    balance: float,
    budget: int,
    *,
    metric: Distance,
    included: Ints,
    selectable: Ints,
    multipliers: Floats,
) -> float:
    r"""Prove a lower bound on thesis eq. 4.8 from any multipliers.

    Every distance is bounded from below by lines (see `distances`): for multipliers μ in the dual
    ball, :math:`\lambda\,\text{dist}(e) \ge \mu^\top e - \text{conj}(\mu)`. With the shortfall
    :math:`e = \Omega - P^\top z` every selection costs at least

    .. math:: L(\mu) = \mu^\top \Omega - \text{conj}(\mu)
        + \min_{z} \sum_i (-u_i - \mu^\top p_i)\, z_i,

    where the minimum takes the included rows and the smallest reduced costs among the other
    selectable rows, b in all. Constraints that do more than fix rows are left out, which can only
    lower it. The largest L is the value of the LP relaxation. Multipliers outside the ball lose
    `excess` for each unit of mass, so that any multipliers prove a bound.

    The sum is exact (`math.fsum`); what rounding the reduced costs may have added is taken off, so
    that the bound holds for the numbers as given. One chunked pass over P.

    Parameters
    ----------
    probs, utility, target, balance, budget
        P, u, Ω, λ and b.
    metric
        The distance.
    included, selectable
        Rows that must be chosen, rows that may be.
    multipliers
        μ ``(C,)``, finite.

    Returns
    -------
    float
        L(μ) less its rounding error.
    """
    largest = float(np.abs(multipliers).max(initial=0.0))
    if not np.isfinite(largest):
        return -np.inf
    mass = float(target.sum()) + budget
    lost = metric.conjugate(multipliers, balance) + metric.excess(multipliers, balance) * mass
    if not np.isfinite(lost):
        return -np.inf
    reduced = -utility - probs.dot(multipliers)
    forced = reduced[included]
    free = reduced[np.setdiff1d(selectable, included, assume_unique=True)]
    more = budget - len(included)
    cheapest = np.partition(free, more - 1)[:more] if more else free[:0]
    value = fsum([*(multipliers * target), *forced, *cheapest, -lost])
    size = float(np.abs(utility[selectable]).max(initial=0.0)) + largest * 1.01
    terms = len(target) + 4
    slack = terms * EPS * (budget * size + (largest + balance) * mass + lost) + EPS * abs(value)
    return value - slack


def priced_bound(problem: ClassBalanced, multipliers: Floats, prices: Prices) -> float:
    r"""Prove a lower bound on thesis eq. 4.8 under all constraints from multipliers and prices.

    The Lagrangian of `lagrangian_bound`, its minimum over all selections that satisfy the
    constraints,

    .. math:: L(\mu) = \mu^\top \Omega - \text{conj}(\mu)
        - \max_{z} \sum_i (u_i + \mu^\top p_i)\, z_i,

    and the inner maximum bounded by prices of the constraints (see `utility_bound`). The largest
    such value is that of the LP relaxation, or better where spacing is not alone.

    Parameters
    ----------
    problem
        The problem.
    multipliers
        μ ``(C,)``, finite.
    prices
        Of budget and constraints, any.

    Returns
    -------
    float
        The bound less its rounding error.
    """
    target, mass = problem.target, float(problem.target.sum()) + problem.budget
    largest = float(np.abs(multipliers).max(initial=0.0))
    if not np.isfinite(largest):
        return -np.inf
    metric, balance = problem.metric, problem.balance
    lost = metric.conjugate(multipliers, balance) + metric.excess(multipliers, balance) * mass
    if not np.isfinite(lost):
        return -np.inf
    worth = problem.worth + problem.probs.dot(multipliers)
    most = utility_bound(problem, worth, prices)
    value = fsum([*(multipliers * target), -most, -lost])
    size = float(np.abs(problem.worth[problem.candidates]).max()) + largest * 1.01
    terms = len(target) + 4
    slack = terms * EPS * (problem.budget * size + (largest + balance) * mass + lost)
    return value - slack - 4 * EPS * abs(value)
