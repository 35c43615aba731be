"""Which center stands for each row, and how far the farthest row is from its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import as_number, to_numpy
from .errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from .arrays import Floats, Ints, Mask
    from .spaces import Sites, Space

SETTLED_AT_ONCE, ROUNDS = 64, 16
"""How many rows are measured to all centers at once, and how often before all of them are."""
COMPARED_VALUES = 1 << 20
"""Rough distances that a thread compares at once: 4 MB in float32, and as much beside."""
PAIRED_VALUES = 1 << 18
"""Numbers of the points that a thread measures to one center each at once."""
FEW_CENTERS = 64
"""Share of the rows up to which centers are held beside them: one of so many."""


def nearest_centers(
    space: Space, centers: Ints, tick: Callable[[], None] | None = None
) -> tuple[Ints, Floats]:
    """Return each row's nearest center and its distance, exactly.

    One matrix product finds the centers that may be nearest within its rounding error; among those
    the distances in float64 decide, the lowest center on ties.

    Parameters
    ----------
    space
        N points.
    centers
        Dataset rows ``(m,)``, ascending.
    tick
        Called every now and then; it may raise, to end it for want of time.

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

    def measure(block: tuple[int, int]) -> None:
        start, stop = block
        rough = to_numpy(space.rough(slice(start, stop), sites))
        allowed = rough.min(axis=1) + 2.0 * space.rough_error(slice(start, stop), sites)
        at, which = _pairs_of(rough <= allowed[:, None])
        exact = space.pairs(at + start, centers[which])
        order = np.lexsort((which, exact, at))
        first = order[np.searchsorted(at[order], np.arange(stop - start))]
        nearest[start:stop], distances[start:stop] = centers[which[first]], exact[first]

    space.share_out(measure, space.blocks(len(centers), COMPARED_VALUES), tick)
    return nearest, distances


def nearest_among(space: Space, points: Sites, sites: Sites) -> tuple[Ints, Floats]:
    """Return the dataset row of each point's nearest site ``(k,)`` and its distance, exactly.

    Ties go to the site that comes first.
    """
    rough = space.apart(points, sites)
    allowed = rough.min(axis=1) + 2.0 * space.apart_error(points, sites)
    at, which = _pairs_of(rough <= allowed[:, None])
    exact = space.pairs(points.rows[at], sites.rows[which])
    order = np.lexsort((which, exact, at))
    first = order[np.searchsorted(at[order], np.arange(len(points)))]
    return sites.rows[which[first]], exact[first]


def coverage_radius(space: Space, centers: Ints, outliers: int, nearest: Ints | None) -> float:
    r"""Return the radius: the largest distance of a row to its nearest center, in float64.

    .. math:: R = \max{}_{\Xi + 1}\; \min_{c} d(x_i, x_c)

    with the Ξ farthest rows left out. Someone who knows a near center of each row may say so: its
    distance is an upper bound on the row's own, and only the rows whose bounds are largest are
    measured to all centers, until the largest bounds are the distances themselves. A hint that is
    far off, or no center, costs time, never the truth.

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
        return largest(nearest_centers(space, centers)[1], outliers)
    which = np.searchsorted(centers, nearest)
    if (centers[np.minimum(which, len(centers) - 1)] != nearest).any():
        return largest(nearest_centers(space, centers)[1], outliers)
    at_most = np.empty(space.size)
    # Many centers, such as labeled rows, would be a second copy of the points.
    sites = space.sites(centers) if len(centers) * FEW_CENTERS <= space.size else None

    def measure(block: tuple[int, int]) -> None:
        rows, here, to = slice(*block), sites, which[slice(*block)]
        if here is None:
            distinct, to = np.unique(to, return_inverse=True)
            here = space.sites(centers[distinct])
        rough = space.rough_pairs(rows, here, to)
        at_most[rows] = space.from_rough(rough + space.rough_error(rows, here))

    space.share_out(measure, space.blocks(space.width, PAIRED_VALUES))
    settled = np.zeros(space.size, dtype=bool)
    for _ in range(ROUNDS):
        far = np.argpartition(-at_most, outliers)[: outliers + 1]
        radius = float(at_most[far].min())
        # Rows that tie with the radius count as well, whichever of them the partition put first.
        far = np.flatnonzero((at_most >= radius) & ~settled)[:SETTLED_AT_ONCE]
        if not len(far):
            return radius
        at_most[far] = space.between(far, centers).min(axis=1)
        settled[far] = True
    return largest(nearest_centers(space, centers)[1], outliers)


def radius_beside(space: Space, known: Floats, centers: Ints, outliers: int) -> float:
    """Return `coverage_radius` where the distances to some centers are known ``(N,)``.

    Parameters
    ----------
    space
        N points.
    known
        Each row's distance to the nearest of the centers that are not given.
    centers
        The others.
    outliers
        Ξ.
    """
    return largest(np.minimum(known, nearest_centers(space, centers)[1]), outliers)


def _pairs_of(mask: Mask) -> tuple[Ints, Ints]:
    """Return rows and columns of what is true, faster than `numpy.nonzero` where that is little."""
    at, which = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return at, which


def largest(distances: Floats, left_out: int) -> float:
    """Return the largest distance but so many."""
    if not left_out:
        return float(distances.max())
    place = len(distances) - 1 - left_out
    return float(np.partition(distances, place)[place])


def as_outliers(outliers: Any, size: int) -> int:
    """Return Ξ, the rows that may stay uncovered, validated."""
    number = as_number(outliers, "outliers")
    if not (number >= 0 and number.is_integer()):
        raise InvalidInput(f"outliers: must be a whole number ≥ 0; got {outliers}")
    if number >= size:
        raise InvalidInput(
            f"outliers: {outliers} of {size} rows may stay uncovered, so that there is nothing to "
            "cover; take fewer"
        )
    return int(number)
