"""The rows that stand for all others while covers are looked for, and their distances."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...problems.arrays import to_numpy
from ...problems.base import StoppedBy
from ..search import Stop
from .covering import make_cover

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.k_center import KCenter
    from .covering import Cover

LARGEST = 80_000_000
"""Distances kept at most: 1 GB with the rows they lead to."""
AT_ONCE = 1 << 22
"""Distances measured at once."""


class Sample:
    """A growing set S of rows that must be covered, with the free rows near each of them.

    A cover of S is no harder than a cover of all rows, so what no b centers can do for S they
    cannot do for all (Chen & Handler 1987; Contardo, Iori & Kramer 2019).

    Parameters
    ----------
    problem
        N rows.
    """

    def __init__(self, problem: KCenter) -> None:
        self.problem = problem
        self.rows: Ints = np.empty(0, dtype=np.int64)
        self._distances: list[Floats] = []
        self._members: list[Ints] = []
        self._kept = 0

    @property
    def fixed(self) -> Floats:
        """Distances ``(k,)`` of the sampled rows to their nearest fixed center."""
        return self.problem.to_fixed[1][self.rows]

    def add(self, rows: Ints, reach: float) -> None:
        """Take more rows in, with the free rows nearer than `reach`: no larger radius is asked for.

        Raises
        ------
        Stop
            If their distances would take too much memory.
        """
        new = np.setdiff1d(rows, self.rows)
        free = self.problem.free
        step = max(AT_ONCE // max(len(free), 1), 1)
        for at in range(0, len(new), step):
            some = new[at : at + step]
            for row, distances in zip(some, self.problem.space.between(some, free), strict=True):
                near = np.flatnonzero(distances < reach)
                self._kept += len(near)
                if self._kept > LARGEST:
                    raise Stop(StoppedBy.EXHAUSTED)
                order = near[np.argsort(distances[near], kind="stable")]
                self._distances.append(distances[order])
                self._members.append(order.astype(np.int32))
                self.rows = np.append(self.rows, row)

    def radii(self, low: float, high: float) -> Floats:
        """Return the distances in ``[low, high)``, ascending: the optimum of S is one of them."""
        fixed = self.fixed
        values = [fixed[(fixed >= low) & (fixed < high)]]
        for distances in self._distances:
            first, last = np.searchsorted(distances, (low, high))
            values.append(distances[first:last])
        return np.unique(np.concatenate(values))

    def next_radius(self, radius: float, high: float) -> float:
        """Return the smallest distance above `radius`, or `high` if that is smaller."""
        above = self.radii(float(np.nextafter(radius, np.inf)), high)
        return float(above[0]) if len(above) else high

    def cover(self, radius: float, *, costly: bool = False) -> Cover:
        """State which free rows cover which sampled ones at a radius, reduced."""
        needed = np.flatnonzero(self.fixed > radius)
        lists = []
        for at in needed:
            count = np.searchsorted(self._distances[at], radius, side="right")
            lists.append(self._members[at][:count])
        starts = np.concatenate([[0], np.cumsum([len(members) for members in lists])])
        members = np.concatenate([np.empty(0, np.int64), *lists])
        cover = make_cover(
            starts.astype(np.int64),
            members.astype(np.int64),
            len(self.problem.free),
            outliers=self.problem.outliers > 0,
            costly=costly,
        )
        return replace(cover, rows=needed[cover.rows], needed=needed)


def center_distances(problem: KCenter, chosen: Ints, radius: float) -> tuple[Floats, Ints]:
    """Return each row's distance to its nearest center, and which center that is.

    The distances are rough, but exactly at most `radius` where they say so.

    Parameters
    ----------
    problem
        N rows.
    chosen
        Centers ``(k,)`` beside the fixed ones.
    radius
        Where it matters.
    """
    nearest, distances = problem.to_fixed
    nearest, distances = nearest.copy(), distances.copy()
    space, sites = problem.space, problem.space.sites(chosen)
    limit = space.to_rough(np.array([max(radius, 0.0)]))
    for start, stop in space.blocks(max(len(chosen), 1)):
        if not len(chosen):
            break
        rough = to_numpy(space.rough(slice(start, stop), sites))
        which = rough.argmin(axis=1)
        least = rough[np.arange(stop - start), which]
        found = space.from_rough(least)
        close = np.abs(least - limit) <= 2.0 * space.rough_error(slice(start, stop), sites)
        unsure = np.flatnonzero(close)
        found[unsure] = space.between(unsure + start, chosen).min(axis=1)
        closer = found < distances[start:stop]
        distances[start:stop][closer] = found[closer]
        nearest[start:stop][closer] = chosen[which[closer]]
    return distances, nearest
