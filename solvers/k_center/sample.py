"""The rows that stand for all others while covers are looked for, and their distances."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...problems.arrays import to_numpy
from .covering import make_cover

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.k_center import KCenter
    from .covering import Cover

LARGEST = 100_000_000
"""Distances kept at most: 0.8 GB."""


class Sample:
    """A growing set S of rows that must be covered, with their distances to all free rows.

    A cover of S is no harder than a cover of all rows, so what no b centers can do for S they
    cannot do for all (Contardo, Iori & Kramer 2019; Chen & Handler 1987).
    """

    def __init__(self, problem: KCenter) -> None:
        self.problem = problem
        self.rows: Ints = np.empty(0, dtype=np.int64)
        self._table = np.empty((0, len(problem.free)))

    @property
    def table(self) -> Floats:
        """Distances ``(k, n)`` of the sampled rows to the free rows."""
        return self._table[: len(self.rows)]

    @property
    def fixed(self) -> Floats:
        """Distances ``(k,)`` of the sampled rows to their nearest fixed center."""
        return self.problem.to_fixed[1][self.rows]

    def add(self, rows: Ints) -> bool:
        """Take more rows in, as far as memory allows; return whether any was new."""
        new = np.setdiff1d(rows, self.rows)
        count = len(self.rows) + len(new)
        width = max(self._table.shape[1], 1)
        if not len(new) or count * width > max(LARGEST, 64 * width):
            return False
        if count > len(self._table):
            grown = np.empty((max(count, min(2 * count, LARGEST // width)), width))
            grown[: len(self.rows)] = self.table
            self._table = grown
        free = self.problem.free
        self._table[len(self.rows) : count] = self.problem.space.between(new, free)
        self.rows = np.concatenate([self.rows, new])
        return True

    def radii(self, low: float, high: float) -> Floats:
        """Return the distances in ``[low, high)``, ascending: the optimum of S is one of them."""
        values = [self.table.ravel(), self.fixed]
        inside = [v[(v >= low) & (v < high)] for v in values]
        return np.unique(np.concatenate(inside))

    def next_radius(self, radius: float, high: float) -> float:
        """Return the smallest distance above `radius`, or `high` if that is smaller."""
        above = [v[v > radius].min(initial=np.inf) for v in (self.table, self.fixed)]
        return float(min(*above, high))

    def cover(self, radius: float, *, costly: bool = False) -> Cover:
        """State which free rows cover which sampled ones at a radius, reduced."""
        needed = np.flatnonzero(self.fixed > radius)
        cover = make_cover(
            self.table[needed] <= radius, outliers=self.problem.outliers > 0, costly=costly
        )
        return replace(cover, rows=needed[cover.rows], needed=needed)


def rough_distances(problem: KCenter, chosen: Ints) -> tuple[Floats, Ints]:
    """Return each row's distance to its nearest center, roughly, and which center that is.

    Parameters
    ----------
    problem
        N rows.
    chosen
        Rows beside the fixed ones.
    """
    nearest, distances = problem.to_fixed
    nearest, distances = nearest.copy(), distances.copy()
    space = problem.space
    sites = space.sites(chosen)
    for start, stop in space.blocks(len(chosen)):
        rough = to_numpy(space.rough(start, stop, sites))
        which = rough.argmin(axis=1)
        found = space.from_rough(rough[np.arange(stop - start), which])
        closer = found < distances[start:stop]
        distances[start:stop][closer] = found[closer]
        nearest[start:stop][closer] = chosen[which[closer]]
    return distances, nearest
