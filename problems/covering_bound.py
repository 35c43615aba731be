"""The lower bound on a coreset's radius that weighted rows prove."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .arrays import Floats, Ints, Mask
    from .spaces import Space

ROUNDING = 1e-6
"""How far a group's bound on its centers must lie above a whole number to count as the next."""


def proves_radius(
    space: Space,
    rows: Ints,
    weights: Floats,
    groups: Ints,
    radius: float,
    *,
    candidates: Mask,
    budget: int,
    outliers: int,
) -> bool:
    r"""Return whether weighted rows prove that no selection has a radius below `radius`.

    Give each row i a weight :math:`y_i \ge 0`, and let no candidate cover more weight than
    :math:`m = \max_j \sum_{i:\, d_{ij} < r} y_i`. Then covering rows of total weight W takes at
    least W / m centers: this is weak duality for the covering LP, whose dual is y / m. Any Ξ rows
    may stay uncovered, at best the heaviest, so their weight comes off W. Groups of rows that no
    candidate covers together need centers of their own, so that their whole numbers add up. If

    .. math:: \sum_g \Big\lceil \frac{W_g}{m_g} \Big\rceil > b

    no b centers cover all rows nearer than r, and every radius is at least r. With weights all 1
    and rows of which no candidate covers two, this counts b + Ξ + 1 rows that are far apart.

    Parameters
    ----------
    space
        N points.
    rows, weights, groups
        Distinct dataset rows ``(k,)`` that no fixed center covers, the weight and the group of
        each ``(k,)``. With outliers all rows count as one group.
    radius
        r.
    candidates
        Mask ``(N,)`` of the rows that may become centers.
    budget, outliers
        b, how many of them, and Ξ.

    Returns
    -------
    bool
        Whether the proof holds, in float64 on the distances themselves.
    """
    used = np.flatnonzero(weights > 0)
    rows, weights, groups = rows[used], weights[used], groups[used] * (outliers == 0)
    if not len(rows) or not np.isfinite(weights).all():
        return False
    weights = weights / weights.max()  # so that sums stay finite
    order = np.argsort(groups, kind="stable")
    rows, weights = rows[order], weights[order]
    first_of = np.unique(groups[order], return_index=True)[1]
    heaviest = np.zeros(len(first_of))
    sites = space.sites(rows)
    for start, stop in space.blocks(len(rows)):
        covers = space.nearer(start, stop, sites, radius)[candidates[start:stop]]
        covered = np.add.reduceat(np.where(covers, weights, 0.0), first_of, axis=1)
        if ((covered > 0).sum(axis=1) > 1).any():
            return False
        heaviest = np.maximum(heaviest, covered.max(axis=0, initial=0.0))
    if outliers:  # summed without them: a difference would be wrong by its rounding
        total = np.sort(weights)[: max(len(weights) - outliers, 0)].sum(keepdims=True)
    else:
        total = np.add.reduceat(weights, first_of)
    left = total > 0
    with np.errstate(divide="ignore", over="ignore"):
        ratio = total[left] / heaviest[left]
    # Sums of k weights may be wrong by k roundings each.
    needed = np.ceil(ratio * (1.0 - 4.0 * len(rows) * np.finfo(np.float64).eps) - ROUNDING)
    return bool(needed.sum() > budget)
