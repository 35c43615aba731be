"""A coreset while centers change: the two nearest of each row, whatever measures them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ...problems.arrays import to_numpy
from ...problems.errors import InfeasibleSelection
from .trading import Balance

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints, Mask
    from ...problems.k_center import KCenter

KEPT_BYTES = 1 << 26
"""What the distances to single rows that are kept take at most."""
FEWEST = 4
"""So many are kept all the same."""
AT_ONCE = 1 << 22
"""Distances to centers that are measured at once."""


class Distances(Protocol):
    """Rough distances of the rows that must be covered to rows of the dataset."""

    def to(self, row: int) -> Floats:
        """Return each row's distance to one ``(m,)``."""
        ...

    def among(self, places: Ints, rows: Ints) -> Floats:
        """Return the distances ``(k, r)`` of some of the rows, by their places, to others."""
        ...


class Measured:
    """Distances of all rows, measured when they are asked for; the last ones are kept.

    Parameters
    ----------
    problem
        N rows.
    """

    def __init__(self, problem: KCenter) -> None:
        self.space = problem.space
        self.most = max(KEPT_BYTES // (8 * self.space.size), FEWEST)
        self._kept: OrderedDict[int, Floats] = OrderedDict()

    def to(self, row: int) -> Floats:
        """Return each row's distance to one ``(N,)``."""
        found = self._kept.pop(row, None)
        if found is None:
            found, site = np.empty(self.space.size), self.space.sites(np.array([row]))
            for start, stop in self.space.blocks(1):
                rough = to_numpy(self.space.rough(slice(start, stop), site))[:, 0]
                found[start:stop] = self.space.from_rough(rough.astype(np.float64))
            found[row] = 0.0
            if len(self._kept) >= self.most:
                self._kept.popitem(last=False)
        self._kept[row] = found
        return found

    def among(self, places: Ints, rows: Ints) -> Floats:
        """Return the distances ``(k, r)`` of some rows to others."""
        rough = to_numpy(self.space.rough(places, self.space.sites(rows)))
        return self.space.from_rough(rough.astype(np.float64))


class Exchange:
    """A selection whose centers trade places with other rows, one at a time.

    Parameters
    ----------
    problem
        With a norm for its class balance.
    chosen
        A selection.
    distances
        Of the rows that must be covered.
    fixed
        Their distances to the nearest fixed center ``(m,)``.
    rows
        Free rows that may come in ``(n,)``, ascending; all centers are among them.

    Attributes
    ----------
    near, near_at, second, second_at
        Distance of each covered row to its two nearest centers and their places ``(m,)``; the place
        after the last stands for the fixed centers.
    """

    def __init__(
        self, problem: KCenter, chosen: Ints, distances: Distances, fixed: Floats, rows: Ints
    ) -> None:
        assert problem.balancing is not None
        self.problem, self.distances, self.fixed, self.rows = problem, distances, fixed, rows
        self.centers = np.setdiff1d(chosen, problem.fixed)
        self.is_taken = np.isin(rows, self.centers)
        self.balance = Balance(problem.balancing, rows, self.selection())
        size = len(fixed)
        self.near, self.second = np.empty(size), np.empty(size)
        self.near_at, self.second_at = np.empty(size, np.int64), np.empty(size, np.int64)
        self._find(np.arange(size))

    def selection(self) -> Ints:
        """Return the selection, included rows first."""
        return np.concatenate([self.problem.included, self.centers])

    def left(self, at: int) -> Floats:
        """Return the distances to the nearest center but one ``(m,)``."""
        return np.where(self.near_at == at, self.second, self.near)

    def costs(self, at: int) -> Floats:
        """Return the class-balance term with each row in a center's place ``(n,)``.

        Infinite for other centers and where the constraints bar it, as far as a growing selection
        knows (`allows` knows all).
        """
        costs = self.balance.without(int(self.centers[at]))
        costs[self.is_taken | self._barred(at)] = np.inf
        return costs

    def allows(self, at: int, row: int) -> bool:
        """Return whether a row in a center's place satisfies the constraints."""
        if not self.problem.is_limited:
            return True
        others = np.delete(self.centers, at)
        try:
            self.problem.check(np.concatenate([self.problem.included, others, [row]]))
        except InfeasibleSelection:
            return False
        return True

    def swap(self, at: int, row: int) -> None:
        """Put a row in a center's place."""
        before = int(self.centers[at])
        self.balance.swap(before, row)
        self.is_taken[np.searchsorted(self.rows, [before, row])] = False, True
        self.centers[at] = row
        apart = self.distances.to(row)
        lost = (self.near_at == at) | (self.second_at == at)
        nearest = (apart < self.near) & ~lost
        self.second[nearest], self.second_at[nearest] = self.near[nearest], self.near_at[nearest]
        self.near[nearest], self.near_at[nearest] = apart[nearest], at
        second = (apart < self.second) & ~lost & ~nearest
        self.second[second], self.second_at[second] = apart[second], at
        self._find(np.flatnonzero(lost))

    def _barred(self, at: int) -> Mask | bool:
        if not self.problem.is_limited:
            return False
        growth = self.problem.grow()
        for row in np.delete(self.centers, at).tolist():
            growth.add(row)
        return ~np.asarray(growth.allows(self.rows, 1))

    def _find(self, places: Ints) -> None:
        """Find the two nearest centers of some of the covered rows."""
        count = len(self.centers)
        step = max(AT_ONCE // (count + 1), 1)
        for first in range(0, len(places), step):
            some = places[first : first + step]
            table = np.empty((len(some), count + 1))
            table[:, :count] = self.distances.among(some, self.centers)
            table[:, count] = self.fixed[some]
            every = np.arange(len(some))
            for distances, at in ((self.near, self.near_at), (self.second, self.second_at)):
                at[some] = table.argmin(axis=1)
                distances[some] = table[every, at[some]]
                table[every, at[some]] = np.inf
