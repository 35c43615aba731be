"""Which row that may be chosen is nearest to one that may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...problems.coverage import nearest_among

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.constraints import Growth
    from ...problems.k_center import KCenter
    from .._clock import Clock
    from .farthest import Farthest

AT_ONCE = 64
"""Rows whose nearest selectable row is looked for in one pass."""
SITE_VALUES = 1 << 20


class Suppliers:
    """The free row nearest to each row, found for the rows that are farthest, many at once.

    Parameters
    ----------
    problem
        Its free rows may be chosen.
    clock
        Looked at at every step.
    growth
        A selection that grows; then only rows that it may still take in count. What is known of a
        row holds until the row nearest to it closes.
    """

    def __init__(self, problem: KCenter, clock: Clock, growth: Growth | None = None) -> None:
        self.problem, self.clock, self.growth = problem, clock, growth
        self.is_free = problem.is_free
        self.known: dict[int, tuple[int, float]] = {}

    def of(self, row: int, engine: Farthest) -> tuple[int, float]:
        """Return the free row nearest to a row and its distance, exactly, the lowest on ties.

        -1 and inf where every free row has closed.
        """
        if self._lacks(row):
            others = engine.ahead(AT_ONCE)
            wanted = [r for r in others if not self._is_open(r) and self._lacks(r)]
            self._find(np.unique([row, *wanted]).astype(np.int64))
        return self.known[row]

    def _is_open(self, row: int) -> bool:
        return bool(self.is_free[row] if self.growth is None else not self.growth.closed[row])

    def _lacks(self, row: int) -> bool:
        """Whether nothing is known of a row that still holds."""
        if self.growth is None or row not in self.known:
            return row not in self.known
        nearest = self.known[row][0]
        return nearest >= 0 and bool(self.growth.closed[nearest])

    def found(self) -> tuple[Ints, Floats]:
        """Return rows that were asked for, and how far they are from any possible center."""
        rows = np.array(sorted(self.known), dtype=np.int64)
        apart = np.array([self.known[int(row)][1] for row in rows])
        return rows, np.minimum(apart, self.problem.to_fixed[1][rows])

    def _find(self, rows: Ints) -> None:
        space, free = self.problem.space, self.problem.free
        if self.growth is not None:
            free = np.flatnonzero(~self.growth.closed)
        points = space.gather(rows)
        nearest, distances = np.full(len(rows), -1), np.full(len(rows), np.inf)
        step = max(SITE_VALUES // max(space.width, len(rows)), 64)
        for first in range(0, len(free), step):
            self.clock.check()
            near, exact = nearest_among(space, points, space.sites(free[first : first + step]))
            nearer = exact < distances
            nearest[nearer], distances[nearer] = near[nearer], exact[nearer]
        for row, near, exact in zip(rows, nearest, distances, strict=True):
            self.known[int(row)] = int(near), float(exact)
