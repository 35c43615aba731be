r"""Eq. 4.8 as a linear model for HiGHS and for export, whatever the distance."""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.constraints import LinearRows, Spacing
from ...problems.distances import L1, Wasserstein
from .._mip_model import LinearModel

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.class_balanced import ClassBalanced

SAFETY = 1e-6
"""Share of HiGHS' own bound, in units of the model at least, taken off for its tolerances."""
DROPPED = 1e-9
"""Coefficients up to this HiGHS takes for 0."""


@dataclass(frozen=True, eq=False)
class Part:
    """The rows a model decides on, the others being decided already.

    Parameters
    ----------
    rows
        Rows to decide on, ascending.
    taken
        Rows that are chosen for certain; all remaining rows are left out.
    """

    rows: Ints
    taken: Ints


@dataclass(frozen=True, eq=False)
class Cut:
    r"""A line below the distance, :math:`\text{dist}(e) \ge g^\top e + h`."""

    slope: Floats
    offset: float


def whole(problem: ClassBalanced) -> Part:
    """Return the part that decides on every selectable row."""
    rows = problem.free
    return Part(rows, problem.included)


def tangent(problem: ClassBalanced, shortfall: Floats) -> Cut:
    """Return the line that touches ℓ2 or its square at a shortfall."""
    value = problem.metric.value(shortfall)
    if problem.distance == "squared-l2":
        return Cut(2.0 * shortfall, -value)
    return Cut(shortfall / value if value > 0 else np.zeros_like(shortfall), 0.0)


def unit(problem: ClassBalanced) -> float:
    """Return the power of two that HiGHS should count costs in.

    HiGHS' tolerances are absolute, some 1e-7: costs far below 1 would all count as 0, and at costs
    above 1e12 it gives up.
    """
    largest = float(np.abs(problem.worth[problem.selectable]).max(initial=0.0))
    _, exponent = frexp(max(largest, problem.balance * 1e-6) or 1.0)
    return 2.0 ** (exponent - 1)


def lost(problem: ClassBalanced, part: Part) -> float:
    """Return the most that the objective may change by coefficients below `DROPPED`."""
    probs = problem.probs.take(part.rows)
    dropped = np.sort(np.where(probs <= DROPPED, probs, 0.0).sum(axis=1))
    count = problem.budget - len(part.taken)
    moved = float(dropped[len(dropped) - count :].sum())
    if isinstance(problem.metric, Wasserstein):
        moved *= float(problem.metric.ground_cost.max())
    elif problem.distance == "squared-l2":
        moved *= 2.0 * (float(problem.target.sum()) + problem.budget)
    return problem.balance * moved


def safe_bound(problem: ClassBalanced, bound: float, lost: float) -> float:
    """Return a bound that holds from one of HiGHS' in the model's `unit`."""
    return unit(problem) * (bound - SAFETY * max(abs(bound), 1.0)) - lost


def linear_model(
    problem: ClassBalanced,
    part: Part,
    *,
    cuts: tuple[Cut, ...] = (),
    divisor: float = 1.0,
) -> LinearModel:
    r"""Return eq. 4.8 over a part of the rows, its objective divided by a number.

    The variables are z, then y ``(k,)`` that make the shortfall
    :math:`e = \Omega - P^\top z = B y` and cost :math:`\lambda d^\top y`: for ℓ1 what each class
    lacks and has too much (:math:`B = [I, -I]`), for Wasserstein flows between classes, for ℓ2 and
    its square e itself and a distance above all cuts.
    """
    from scipy import sparse

    rows = part.rows
    count = problem.budget - len(part.taken)
    spread, prices, free, cut_rows = distance_part(problem, cuts)
    width = spread.shape[1]
    probs = sparse.csr_array(problem.probs.take(rows).T)
    target = problem.target - problem.probs.total(part.taken)
    blocks: list[list[Any]] = [
        [probs, spread],
        [np.ones((1, len(rows))), sparse.csr_array((1, width))],
    ]
    lower, upper = [target, np.array([float(count)])], [target, np.array([float(count)])]
    if len(cuts):
        blocks.append([sparse.csr_array((len(cuts), len(rows))), cut_rows])
        lower.append(np.array([cut.offset for cut in cuts]))
        upper.append(np.full(len(cuts), np.inf))
    limits = constraint_rows(problem, part)
    if limits is not None:
        blocks.append([limits.matrix, sparse.csr_array((len(limits.limits), width))])
        lower.append(np.full(len(limits.limits), -np.inf))
        upper.append(limits.limits)
    costs = np.concatenate([-problem.worth[rows], problem.balance * prices])
    return LinearModel(
        cost=costs / divisor,
        matrix=sparse.block_array(blocks, format="csc"),
        row_lower=np.concatenate(lower),
        row_upper=np.concatenate(upper),
        lower=np.concatenate([np.zeros(len(rows)), np.where(free, -np.inf, 0.0)]),
        upper=np.concatenate([np.ones(len(rows)), np.full(width, np.inf)]),
        integer=np.arange(len(costs)) < len(rows),
        offset=-float(problem.worth[part.taken].sum()) / divisor,
    )


def constraint_rows(problem: ClassBalanced, part: Part) -> LinearRows | None:
    """Return the constraints over a part of the rows that its rows might break, None without any.

    Each row is scaled to coefficients of 1 at most, as HiGHS' tolerances are absolute. Coefficients
    that HiGHS would drop are left out, with the limit as much wider as that could ever lift it.
    """
    from scipy import sparse

    parts, limits = [], []
    open_or_taken = np.zeros(problem.dataset.size, dtype=bool)
    open_or_taken[part.rows], open_or_taken[part.taken] = True, True
    for constraint in problem.constraints:
        if isinstance(constraint, Spacing):
            linear = constraint.linear_among(open_or_taken)
        else:
            linear = constraint.linear(problem.dataset)
        if not len(linear.limits):
            continue
        left = linear.left(part.taken)
        matrix, binding = linear.binding(part.rows, left)
        left = left[binding]
        scale = np.abs(left) * DROPPED
        np.maximum.at(scale, matrix.tocoo().row, np.abs(matrix.data))
        scale[scale == 0.0] = 1.0
        matrix = sparse.csr_array(sparse.diags_array(1.0 / scale) @ matrix)
        small = matrix.copy()
        small.data[(small.data > 0.0) | (small.data < -DROPPED)] = 0.0
        matrix.data[np.abs(matrix.data) <= DROPPED] = 0.0
        matrix.eliminate_zeros()
        parts.append(matrix)
        limits.append(left / scale - small.sum(axis=1))
    if not parts:
        return None
    return LinearRows(sparse.vstack(parts, format="csr"), np.concatenate(limits))


def distance_part(problem: ClassBalanced, cuts: tuple[Cut, ...]) -> tuple[Any, Floats, Any, Any]:
    """Return B, the prices d, which y are free, and the cuts' coefficients."""
    from scipy import sparse

    classes = problem.n_classes
    identity = sparse.eye_array(classes, format="csr")
    if isinstance(problem.metric, L1):
        both = sparse.hstack([identity, -identity], format="csr")
        return both, np.ones(2 * classes), np.zeros(2 * classes, dtype=bool), None
    if isinstance(problem.metric, Wasserstein):
        start, end = np.nonzero(~np.eye(classes, dtype=bool))
        arcs = np.arange(len(start))
        signs = np.concatenate([np.ones(len(start)), -np.ones(len(start))])
        where = (np.concatenate([start, end]), np.concatenate([arcs, arcs]))
        flows = sparse.csr_array((signs, where), shape=(classes, len(arcs)))
        return flows, problem.metric.ground_cost[start, end], np.zeros(len(arcs), dtype=bool), None
    shortfall = sparse.hstack([identity, sparse.csr_array((classes, 1))], format="csr")
    prices, free = np.zeros(classes + 1), np.ones(classes + 1, dtype=bool)
    prices[-1], free[-1] = 1.0, False
    slopes = [np.append(-cut.slope, 1.0) for cut in cuts]
    return shortfall, prices, free, sparse.csr_array(np.array(slopes).reshape(-1, classes + 1))
