"""Which center stands for each row, and how far the farthest row is from its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .arrays import to_numpy

if TYPE_CHECKING:
    from .arrays import Floats, Ints
    from .spaces import Space

SETTLED_AT_ONCE = 64


def nearest_centers(space: Space, centers: Ints) -> tuple[Ints, Floats]:
    """Return each row's nearest center and its distance, exactly.

    One matrix product finds the centers that may be nearest within its rounding error; among those
    the distances in float64 decide, the lowest center on ties.

    Parameters
    ----------
    space
        N points.
    centers
        Dataset rows ``(m,)``, ascending.

    Returns
    -------
    Ints
        Dataset row of the nearest center ``(N,)``; -1 where there are none.
    Floats
        Distance to it ``(N,)``; inf where there are none.
    """
    nearest = np.full(space.size, -1, dtype=np.int64)
    distances = np.full(space.size, np.inf)
    if not len(centers):
        return nearest, distances
    sites = space.sites(centers)
    for start, stop in space.blocks(len(centers)):
        rough = to_numpy(space.rough(start, stop, sites))
        allowed = rough.min(axis=1) + 2.0 * space.rough_error(start, stop, sites)
        at, which = np.nonzero(rough <= allowed[:, None])
        exact = space.pairs(at + start, centers[which])
        order = np.lexsort((which, exact, at))
        first = order[np.searchsorted(at[order], np.arange(stop - start))]
        nearest[start:stop], distances[start:stop] = centers[which[first]], exact[first]
    return nearest, distances


def coverage_radius(space: Space, centers: Ints, outliers: int, nearest: Ints | None) -> float:
    r"""Return the radius: the largest distance of a row to its nearest center, in float64.

    .. math:: R = \max{}_{\Xi + 1}\; \min_{c} d(x_i, x_c)

    with the Ξ farthest rows left out. Someone who knows a near center of each row may say so: its
    distance is an upper bound on the row's own, and only the rows whose bounds are largest are
    measured to all centers, until the largest bounds are the distances themselves. A wrong hint
    costs time, never the truth.

    Parameters
    ----------
    space
        N points.
    centers
        Dataset rows ``(m,)``, chosen and labeled.
    outliers
        Ξ.
    nearest
        For each row the dataset row of a near center ``(N,)``, or None.

    Returns
    -------
    float
        R in the unit of the space's distance.
    """
    if nearest is None or not len(centers):
        return _largest(nearest_centers(space, centers)[1], outliers)
    # A row that is no center bounds nothing, whoever says that it is near.
    known = np.isin(nearest, centers)
    at_most = space.pairs(np.arange(space.size), np.where(known, nearest, centers[0]))
    settled = np.zeros(space.size, dtype=bool)
    while True:
        far = np.argpartition(-at_most, outliers)[: outliers + 1]
        radius = float(at_most[far].min())
        # Rows that tie with the radius count as well, whichever of them the partition put first.
        far = np.flatnonzero((at_most >= radius) & ~settled)[:SETTLED_AT_ONCE]
        if not len(far):
            return radius
        at_most[far] = space.between(far, centers).min(axis=1)
        settled[far] = True


def _largest(distances: Floats, left_out: int) -> float:
    place = len(distances) - 1 - left_out
    return float(np.partition(distances, place)[place])
