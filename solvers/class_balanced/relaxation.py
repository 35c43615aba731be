"""The LP relaxation of class-balanced selection: its duals prove a bound, its rows are rounded."""

from __future__ import annotations

from math import frexp
from typing import TYPE_CHECKING

import numpy as np

from ...problems.base import Certificate
from .._clock import OutOfTime
from .._mip import LinearModel, MipStatus, solve_model
from .greedily import grow

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.class_balanced import ClassBalanced
    from ..search import Search

WHOLE = 1e-6
"""How far from 0 or 1 a value may lie that counts as whole."""

SHORTEST = 1e-3
"""Seconds that HiGHS gets where none are left: it takes no limit of 0."""


def solve_relaxed(search: Search[ClassBalanced]) -> None:
    """Solve the LP relaxation, prove its value as the bound, and round its answer.

    The duals of the class rows are the multipliers of `lagrangian_bound`, which re-evaluates them
    in float64 on the full data: what HiGHS rounds or drops cannot spoil the bound. At most C + 1
    rows are fractional; the whole ones are kept and `grow` fills up.
    """
    relax(search)


def relax(search: Search[ClassBalanced]) -> Floats | None:
    """Offer the rounded relaxation and prove its bound; return its multipliers ``(C,)``.

    Returns
    -------
    Floats or None
        None if the relaxation has no optimum within its tolerances.

    Raises
    ------
    OutOfTime
        With the cheapest bounds proven and top utility offered, if the clock runs out.
    """
    problem = search.problem
    for multipliers in _without_solving(problem):
        prove(search, multipliers)
    model = linear_model(problem, integer=False)
    result = solve_model(model, time_limit=max(search.clock.remaining(), SHORTEST))
    search.info["lp_seconds"] = round(result.seconds, 3)
    note_peak(search, result.peak_bytes)
    if result.status is MipStatus.TIME:
        search.offer(problem.top_rows())
        raise OutOfTime
    if result.row_duals is None or result.values is None:
        return None
    duals = result.row_duals[: problem.n_classes] * unit(problem)
    multipliers = np.clip(duals, -problem.balance, problem.balance)
    prove(search, multipliers)
    selected = result.values[: len(problem.selectable)]
    whole = problem.selectable[selected > 1.0 - WHOLE]
    search.info["fractional"] = int(((selected > WHOLE) & (selected <= 1.0 - WHOLE)).sum())
    search.offer(grow(search, np.union1d(problem.included, whole)))
    return multipliers


def prove(search: Search[ClassBalanced], multipliers: Floats) -> None:
    """Prove the bound of some multipliers, with them as the certificate."""
    bound = search.problem.lower_bound(multipliers)
    values = {"multipliers": multipliers.tolist()}
    search.prove(bound, Certificate("multipliers", True, bound, values))


def unit(problem: ClassBalanced) -> float:
    """Return the power of two in which `linear_model` counts costs.

    HiGHS' tolerances are absolute, some 1e-7: costs far below 1 would all count as 0, and at costs
    above 1e12 it gives up.
    """
    largest = float(np.abs(problem.utility[problem.selectable]).max())
    _, exponent = frexp(max(largest, problem.balance * 1e-6) or 1.0)
    return 2.0 ** (exponent - 1)


def linear_model(problem: ClassBalanced, *, integer: bool) -> LinearModel:
    r"""Return eq. 4.8 as a linear model, its objective divided by `unit`.

    Its variables are z over the selectable rows, then what each class lacks and what it has too
    much, s and t:

    .. math:: \min\; -u^\top z + \lambda\,\mathbb 1^\top (s + t) \quad\text{s.t.}\quad
        P^\top z + s - t = \Omega,\; \mathbb 1^\top z = b
    """
    from scipy import sparse

    rows, classes = problem.selectable, problem.n_classes
    none = sparse.csr_array((1, 2 * classes))
    identity = sparse.eye_array(classes, format="csr")
    probs = sparse.csr_array(problem.probs.take(rows).T)
    blocks = [
        [probs, identity, -identity],
        [np.ones((1, len(rows))), none[:, :classes], none[:, classes:]],
    ]
    budget = np.array([float(problem.budget)])
    lower, upper = [problem.target, budget], [problem.target, budget]
    for constraint in problem.constraints:
        linear = constraint.linear(problem.dataset)
        count = len(linear.limits)
        if count:
            pad = sparse.csr_array((count, classes))
            blocks.append([linear.matrix[:, rows], pad, pad])
            lower.append(np.full(count, -np.inf))
            upper.append(linear.limits)
    costs = np.concatenate([-problem.utility[rows], np.full(2 * classes, problem.balance)])
    columns = len(rows) + 2 * classes
    must = np.isin(rows, problem.included)
    return LinearModel(
        cost=costs / unit(problem),
        matrix=sparse.block_array(blocks, format="csc"),
        row_lower=np.concatenate(lower),
        row_upper=np.concatenate(upper),
        lower=np.concatenate([must.astype(np.float64), np.zeros(2 * classes)]),
        upper=np.concatenate([np.ones(len(rows)), np.full(2 * classes, np.inf)]),
        integer=np.arange(columns) < (len(rows) if integer else 0),
    )


def model_point(problem: ClassBalanced, chosen: Ints) -> Floats:
    """Return a selection as a point of `linear_model`."""
    missing = problem.target - problem.probs.total(chosen)
    selected = np.isin(problem.selectable, chosen).astype(np.float64)
    return np.concatenate([selected, np.maximum(missing, 0.0), np.maximum(-missing, 0.0)])


def note_peak(search: Search[ClassBalanced], peak: int | None) -> None:
    """Remember the peak memory of the HiGHS process, which this process does not see."""
    if peak is not None:
        search.info["worker_peak_bytes"] = max(peak, search.info.get("worker_peak_bytes", 0))


def _without_solving(problem: ClassBalanced) -> tuple[Floats, Floats]:
    """Multipliers that need no LP: top utility alone, and with the unreachable part of Ω."""
    excess = np.sign(problem.target.sum() - problem.budget)
    return np.zeros(problem.n_classes), np.full(problem.n_classes, excess * problem.balance)
