"""The farthest row from all centers, while centers are added one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...problems.coverage import nearest_among

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints, Mask
    from ...problems.spaces import Sites, Space
    from .._clock import Clock

SMALL = 1024
"""Rows that a pool holds at least."""
SHARE = 1 / 16
"""Share of all rows that a pool holds at most, for four bytes a number."""
SETTLED_AT_ONCE = 32
"""Rows that are measured in float64 together, most of which are needed soon."""
PASS_VALUES = 1 << 20
"""Rough distances in one block of a pass: 4 MB in float32, which the cache holds."""
CENTER_VALUES = 1 << 20
"""Numbers of the centers that rows are measured to at once."""


class Charge(Protocol):
    """What a row costs beside its distance; it must not fall unless every row is in the pool."""

    lazy: bool

    def gather(self, rows: Ints) -> None:
        """Prepare to charge these rows."""
        ...

    def gathered(self) -> Floats:
        """Return what the gathered rows cost now ``(k,)``."""
        ...

    def everyone(self) -> Floats:
        """Return what every row costs now ``(N,)``."""
        ...

    def add(self, row: int) -> None:
        """Take a row in."""
        ...


@dataclass
class Known:
    """What is known of some rows' distances to their nearest centers.

    Parameters
    ----------
    upper
        Upper bounds on the distances ``(k,)``.
    nearest
        Dataset row of the center that each bound comes from ``(k,)``.
    settled
        Whether the bounds are the distances themselves ``(k,)``, bit by bit.
    """

    upper: Floats
    nearest: Ints
    settled: Mask

    def at(self, rows: Ints | slice) -> Known:
        """Return what is known of some of the rows; a view for a slice."""
        return Known(self.upper[rows], self.nearest[rows], self.settled[rows])

    def put(self, rows: Ints, other: Known) -> None:
        """Take over what is known of some rows."""
        self.upper[rows], self.nearest[rows] = other.upper, other.nearest
        self.settled[rows] = other.settled

    def measured(self, space: Space, rough: Floats, error: Floats, centers: Any) -> None:
        """Take in rough distances to one more center for each row ``(k,)``, and their errors."""
        # An exact distance stays exact unless the center may be nearer.
        self.settled &= space.from_rough(rough - error) >= self.upper
        upper = space.from_rough(rough + error)
        nearer = upper < self.upper
        self.upper[nearer] = upper[nearer]
        self.nearest[nearer] = centers if np.isscalar(centers) else centers[nearer]
        self.settled |= nearer & (error == 0.0)


@dataclass
class Pool:
    """The rows among which the next farthest ones are, gathered.

    Parameters
    ----------
    rows
        Dataset rows ``(K,)``, ascending.
    points
        Their points.
    known
        Their distances to all centers.
    is_open
        Which of them may still be named ``(K,)``.
    limit
        The largest key outside, and the lowest row that has it.
    """

    rows: Ints
    points: Sites
    known: Known
    is_open: Mask
    limit: tuple[float, int]
    charged: Floats | None = None
    named: int = 0

    def keys(self) -> Floats:
        """Return what decides who is next ``(K,)``: upper bounds, less what rows cost."""
        keys = self.known.upper if self.charged is None else self.known.upper - self.charged
        return np.where(self.is_open, keys, -np.inf)


class Farthest:
    r"""Name the open row farthest from all centers, as plain farthest-first does in float64.

    Distances to the nearest center only fall, so an old one is an upper bound on the present one.
    They are kept up to date in a pool of the rows that were farthest; the next farthest row is
    found there while its distance exceeds the largest old one outside (or equals it, and the row is
    lower). Then one matrix product brings all rows up to date with the centers added since. In the
    pool, too, products in float32 only give upper bounds, and a row is measured in float64 when its
    bound is the largest: so whatever row is named, its distance is exact and no other is larger.

    Parameters
    ----------
    space
        N points.
    nearest, distances
        Each row's nearest center and its distance ``(N,)``, exactly; -1 and inf without centers.
    clock
        Looked at at every step.
    is_open
        Mask ``(N,)`` of the rows that may be named.
    charge
        What a row costs beside: then the row with the largest difference is named.
    """

    def __init__(
        self,
        space: Space,
        nearest: Ints,
        distances: Floats,
        clock: Clock,
        is_open: Mask,
        charge: Charge | None = None,
    ) -> None:
        self.space, self.clock, self.charge = space, clock, charge
        self.before = nearest, distances
        settled = np.full(space.size, True)
        self.known = Known(distances.copy(), nearest.copy(), settled)
        self.is_open = is_open.copy()
        self.added: list[int] = []
        self.up_to_date = 0
        self.pool: Pool | None = None
        self.passes = 0
        # Given distances come in whole rows, and what may fall must be seen at every step.
        partial = space.width > 0 and (charge is None or charge.lazy)
        self.most = max(int(SHARE * space.size), SMALL) if partial else space.size
        self.want = min(max(space.size // 64, SMALL), self.most) if partial else space.size

    def farthest(self, rank: int = 0) -> tuple[int, float]:
        """Return the open row that is farthest, or after `rank` farther ones, and its distance.

        Ties go to the lowest row. With a charge the second number is what is left of the distance.
        """
        while True:
            self.clock.check()
            pool = self.pool or self._renewed(rank + 1)
            keys = pool.keys()
            top = largest(keys, rank + 1)
            row, key = int(pool.rows[top[-1]]), float(keys[top[-1]])
            if (-key, row) >= (-pool.limit[0], pool.limit[1]):
                # The next pool takes this one's place in memory.
                del pool, keys
                self._renewed(rank + 1)
            elif pool.known.settled[top].all():
                return row, key
            else:
                self._settle(pool, keys, rank + 1)

    def ahead(self, count: int) -> Ints:
        """Return rows that may be the next farthest ones."""
        pool = self.pool or self._renewed(count)
        keys = pool.keys()
        return pool.rows[largest(keys, min(count, int((keys > -np.inf).sum())))]

    def add(self, row: int) -> None:
        """Make a row a center, and close it."""
        self.added.append(row)
        if self.charge is not None:
            self.charge.add(row)
        if self.pool is not None:
            self.pool.named += 1
            site = self.space.sites(np.array([row]))
            rough = self.space.apart(self.pool.points, site)[:, 0].astype(np.float64)
            error = self.space.apart_error(self.pool.points, site)
            self.pool.known.measured(self.space, rough, error, row)
            if self.charge is not None:
                self.pool.charged = self.charge.gathered()
        self.close(row)

    def close(self, row: int) -> None:
        """Never name a row again."""
        self.is_open[row] = False
        if self.pool is not None:
            at = int(np.searchsorted(self.pool.rows, row))
            if at < len(self.pool.rows) and self.pool.rows[at] == row:
                self.pool.is_open[at] = False

    def keep(self, allowed: Mask) -> None:
        """Never name rows again that are not allowed, by a mask ``(N,)``."""
        self.is_open &= allowed
        if self.pool is not None:
            self.pool.is_open &= allowed[self.pool.rows]

    def hints(self) -> Ints:
        """Return a near center of each row ``(N,)``."""
        if self.pool is not None:
            self.known.put(self.pool.rows, self.pool.known)
        return self.known.nearest

    def bring_up_to_date(self) -> None:
        """Measure every row to the centers added since the last time."""
        self.passes += 1
        new = np.array(self.added[self.up_to_date :], dtype=np.int64)
        step = max(PASS_VALUES // max(self.space.width, 1), 64)
        for first in range(0, len(new), step):
            centers = new[first : first + step]
            sites = self.space.sites(centers)
            for start, stop in self.space.blocks(len(centers), PASS_VALUES):
                self.clock.check()
                at, rough = self.space.closest(start, stop, sites)
                error = self.space.rough_error(start, stop, sites)
                self.known.at(slice(start, stop)).measured(self.space, rough, error, centers[at])
        self.up_to_date = len(self.added)
        if self.pool is not None:
            self.known.put(self.pool.rows, self.pool.known)

    def _renewed(self, needed: int) -> Pool:
        """Bring all rows up to date and gather the farthest."""
        if self.pool is not None and self.up_to_date < len(self.added):
            # A pool pays while naming from it costs no more than reading all points once.
            if self.pool.named * self.want < self.space.size:
                self.want = min(2 * self.want, self.most)
            elif self.pool.named * self.want > 4 * self.space.size:
                self.want = max(self.want // 2, min(SMALL, self.most))
        if self.up_to_date < len(self.added):
            self.bring_up_to_date()
        elif self.pool is not None:
            self.known.put(self.pool.rows, self.pool.known)
        keys = np.where(self.is_open, self.known.upper, -np.inf)
        if self.charge is not None and self.charge.lazy:
            keys -= self.charge.everyone()
        rows, limit = farthest_rows(keys, max(self.want, 2 * needed))
        self.pool = None
        points = self.space.gather(rows)
        self.pool = Pool(rows, points, self.known.at(rows), self.is_open[rows], limit)
        if self.charge is not None:
            self.charge.gather(rows)
            self.pool.charged = self.charge.gathered()
        return self.pool

    def _settle(self, pool: Pool, keys: Floats, needed: int) -> None:
        """Measure the rows of the largest bounds to all centers in float64."""
        vague = np.where(pool.known.settled, -np.inf, keys)
        count = int((vague > -np.inf).sum())
        at = largest(vague, min(count, max(needed, SETTLED_AT_ONCE)))
        rows = pool.rows[at]
        nearest, distances = self.before[0][rows], self.before[1][rows]
        points = self.space.gather(rows)
        step = max(CENTER_VALUES // max(self.space.width, 1), 64)
        for first in range(0, len(self.added), step):
            sites = self.space.sites(np.array(self.added[first : first + step]))
            near, exact = nearest_among(self.space, points, sites)
            nearer = exact < distances
            nearest[nearer], distances[nearer] = near[nearer], exact[nearer]
        pool.known.put(at, Known(distances, nearest, np.full(len(at), True)))


def largest(keys: Floats, count: int) -> Ints:
    """Return where the largest keys are, largest first, ties to the first ones."""
    if count <= 1:
        return np.array([keys.argmax()] * count, dtype=np.int64)
    level = np.partition(keys, len(keys) - count)[len(keys) - count]
    above = np.flatnonzero(keys > level)
    found = np.concatenate([above, np.flatnonzero(keys == level)[: count - len(above)]])
    return found[np.lexsort((found, -keys[found]))]


def farthest_rows(keys: Floats, count: int) -> tuple[Ints, tuple[float, int]]:
    """Return the rows of the largest keys, ascending, and key and number of the first left out."""
    size = len(keys)
    if size <= count:
        return np.arange(size), (-np.inf, size)
    level = np.partition(keys, size - count - 1)[size - count - 1]
    if level == -np.inf:
        return np.flatnonzero(keys > level), (-np.inf, size)
    above, equal = np.flatnonzero(keys > level), np.flatnonzero(keys == level)
    fill = count - len(above)
    return np.sort(np.concatenate([above, equal[:fill]])), (float(level), int(equal[fill]))
