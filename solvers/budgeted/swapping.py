"""Answers near prices that keep curved limits: swaps of a chosen row and another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._clock import Clock, OutOfTime
from .._compiling import compiled
from .branching import losses_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...problems.arrays import Ints, Mask
    from ...problems.constraints import Curve
    from .relaxing import Pursuit

PLACES = (300, 600, 1200)
"""Places that are swapped, those that the prices leave closest; more while no answer is known."""
STEPS, REST = 400, 6
"""Swaps, and at least how many between two of the same place."""
WAIT = 0.3
"""Share of the time that is left in which the search must be compiled; without it there is none."""


def swap_near(pursuit: Pursuit, near: Pursuit, curves: Sequence[Curve]) -> None:
    """Offer the best answer met while places are swapped that some prices leave closest.

    It takes limits on groups, whose nodes no swap leaves, but no spacing.

    Parameters
    ----------
    pursuit
        Takes the answers.
    near
        Whose prices and chosen places the search begins with.
    curves
        Of the problem's constraints.
    """
    structure = near.structure
    if (structure.first != structure.last).any():
        return
    try:
        compiled(Clock(WAIT * pursuit.clock.remaining()), __package__, True)
    except OutOfTime:
        return
    losses, chosen = losses_of(near)
    order = np.argsort(losses, kind="stable")
    for count in PLACES:
        pursuit.clock.check()
        _swap_among(pursuit, near, curves, np.sort(order[:count]), chosen)
        if pursuit.rows is not None or count >= len(order):
            return


def _swap_among(
    pursuit: Pursuit, near: Pursuit, curves: Sequence[Curve], places: Ints, chosen: Mask
) -> None:
    structure, size = near.structure, len(places)
    certain = chosen.copy()
    certain[places] = False
    rows, taken = structure.rows[places], pursuit.whole(np.flatnonzero(certain))
    straight = pursuit.structure.crossing
    rules = pursuit.problem.constraints
    plain = np.array([not rules[at].is_curved for at in straight.rule], dtype=bool)
    matrix = straight.matrix[np.flatnonzero(plain)]
    own = np.asarray(matrix[:, np.flatnonzero(certain)].sum(axis=1)).ravel()
    values = [matrix[:, places].toarray().T, *(curve.values[rows][:, None] for curve in curves)]
    none = np.zeros((size, matrix.shape[0]))
    variances = [none, *(curve.variances[rows][:, None] for curve in curves)]
    fixed = np.array([curve.variances[taken].sum() for curve in curves])
    limits = [curve.limit - curve.values[taken].sum() for curve in curves]
    # Variances that are certain go to a place of their own, which is chosen and has no node.
    columns = [np.concatenate(part, axis=1) for part in (values, variances)]
    for column, last in zip(columns, (np.zeros(len(fixed)), fixed), strict=True):
        column.resize((size + 1, column.shape[1]), refcheck=False)
        column[-1, matrix.shape[0] :] = last
    leaf = np.repeat(structure.leaf, np.diff(structure.starts))[places]
    near_prices = near.multipliers
    prices = np.concatenate(
        [near_prices[: matrix.shape[0]], near_prices[len(near_prices) - len(curves) :]]
    )
    from ._swap_kernels import swap

    found = swap(
        np.append(pursuit.weights[places], 0.0),
        *columns,
        np.concatenate([np.zeros(matrix.shape[0]), [curve.factor for curve in curves]]),
        np.concatenate([straight.limits[plain] - own, limits]),
        np.maximum(prices, 1e-3 * prices.max(initial=0.0)) + 1e-12,
        np.append(leaf, -1),
        np.append(chosen[places], True),
        STEPS,
        REST,
    )
    if found.any():
        held = certain
        held[places] = found[:-1]
        pursuit.offer(pursuit.whole(np.flatnonzero(held)))
