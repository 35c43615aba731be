"""Farthest-first picks as the constraints let them in, completed where they get stuck."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...problems.errors import Stuck
from ..completing import complete
from .reserving import Reserves
from .suppliers import Suppliers

if TYPE_CHECKING:
    from ...problems.arrays import Ints, Mask
    from ...problems.constraints import Growth
    from ...problems.k_center import KCenter
    from ..search import Search
    from .farthest import Farthest


class Guarded:
    """A selection that grows by the farthest rows, as the constraints let them in.

    Parameters
    ----------
    search
        The run.
    engine
        Names the farthest rows.

    Attributes
    ----------
    strict
        Whether every pick so far was the farthest row itself.
    """

    def __init__(self, search: Search[KCenter], engine: Farthest) -> None:
        self.search, self.problem, self.engine = search, search.problem, engine
        self.growth: Growth = self.problem.grow()
        self.reserves = Reserves(self.problem, self.growth)
        self.suppliers = Suppliers(self.problem, search.clock)
        self.nearest_open = Suppliers(self.problem, search.clock, self.growth)
        self.strict = True

    @property
    def left(self) -> int:
        """How many rows are still to be picked."""
        return self.problem.to_choose - len(self.engine.added)

    @property
    def forced(self) -> bool:
        """Whether some constraint needs all that are left."""
        return self.growth.needs() >= self.left

    def take(self, row: int) -> None:
        """Pick a row."""
        self.growth.add(row)
        self.reserves.take(row)
        self.engine.add(row)

    def start(self, row: int) -> None:
        """Pick the first row: this one or, where it may not be, the lowest that may."""
        if not self.growth.allows(row, self.left):
            allowed = np.flatnonzero(self._allowed())
            if not len(allowed):
                return
            row = int(allowed[0])
        self.search.info["start"] = row
        self.take(row)

    def pick_all(self, rank: int) -> None:
        """Pick farthest rows until the budget is spent or none that is left may be picked.

        A farthest row that the constraints close is covered by the row nearest to it that they let
        in, and left alone once no such row lies nearer than a center. Where a constraint needs all
        picks that are left, only rows that help it are looked at.
        """
        while self.left > 0 and self.engine.is_open.any():
            if self.forced:
                self.engine.keep(self._allowed())
                self.strict = False
                if not self.engine.is_open.any():
                    return
            row, distance = self.engine.farthest(self._rank(rank))
            if not self.growth.closed[row]:
                self.take(row)
                continue
            self.strict = False
            self.engine.close(row)
            if not self.problem.is_free[row] and self.suppliers.of(row, self.engine)[1] >= distance:
                continue
            supplier, nearest = self.nearest_open.of(row, self.engine)
            if nearest < distance:
                self.take(supplier)

    def pick_open(self, rank: int) -> None:
        """Pick the farthest rows, or the ones worth most, among those that may be picked."""
        while self.left > 0:
            self.engine.keep(self._allowed() if self.forced else ~self.growth.closed)
            if not self.engine.is_open.any():
                return
            self.take(self.engine.farthest(self._rank(rank))[0])

    def rows(self, *, in_time: bool = True) -> Ints:
        """Return included rows and picks, with what the constraints still ask for.

        Farthest rows first; where they do not fit, the picks are completed by others.

        Raises
        ------
        Stuck
            If the clock has run out and they do not fit.
        """
        picks = np.concatenate([self.problem.included, self.engine.added]).astype(np.int64)
        far, free, left = self.engine.upper(), self.problem.free, self.left
        more: list[int] = []
        for row in free[np.argsort(-far[free], kind="stable")].tolist() if left > 0 else ():
            if not self.growth.closed[row] and self.growth.allows(row, left):
                self.growth.add(row)
                self.reserves.take(row)
                more.append(row)
                left -= 1
                if not left:
                    break
        rows = np.concatenate([picks, np.array(more, dtype=np.int64)])
        if not left and not self.growth.needs():
            return rows
        if not in_time:
            raise Stuck(rows)
        return complete(self.search, picks, np.where(np.isfinite(far), far, 0.0))

    def _rank(self, rank: int) -> int:
        return min(rank, int(self.engine.is_open.sum()) - 1)

    def _allowed(self) -> Mask:
        every = np.arange(self.problem.space.size)
        return np.asarray(self.growth.allows(every, self.left))
