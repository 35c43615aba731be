"""What an `ExpectedCount` closes and lacks while a selection grows."""

from __future__ import annotations

from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from .base import KEPT_SLACK, NONE, SLACK, Guard
from .growing import Room

if TYPE_CHECKING:
    from ..arrays import Floats, Ints
    from ..dataset import Dataset
    from .expected_count import ExpectedCount


class ExpectedGuard(Guard):
    """Closes what would exceed a limit and knows what is short."""

    def __init__(self, rule: ExpectedCount, dataset: Dataset) -> None:
        super().__init__(rule.closed(dataset))
        self.factor, self.lower = rule.factor, rule.lower
        self.columns, self.variances = rule.columns, rule.variances
        self.counts, self.spreads = np.zeros((2, len(rule.lower)))
        # The root rises by at least half the slope of the line through 0 for each unit of variance.
        self.gains = rule.columns - 0.5 * (rule.columns - rule.lower_terms)
        best = -np.sort(-self.gains[:, rule.lower > 0], axis=0)
        self.best = np.cumsum(best, axis=0)
        self.wanted = np.flatnonzero(rule.lower > 0)
        self.rooms: list[Any] = [
            Room(rule.columns[:, at], limit * (1.0 + KEPT_SLACK))
            if rule.factor == 0
            else CurvedRoom(
                rule.columns[:, at], rule.variances[:, at], rule.factor, limit * (1.0 + KEPT_SLACK)
            )
            for at, limit in enumerate(rule.upper)
            if isfinite(limit)
        ]
        for room in self.rooms:
            self.closed[room.too_large()] = True

    def add(self, row: int) -> Ints:
        """Take a row in and return the rows that would now exceed a limit."""
        self.counts += self.columns[row]
        self.spreads += self.variances[row]
        closed = [room.take(row) for room in self.rooms]
        return np.concatenate(closed) if closed else NONE

    def needs(self) -> int:
        """Return how many further rows the class that lacks most takes at least."""
        return int(self._each().max(initial=0))

    def helps(self, rows: int | Ints) -> Any:
        """Return whether rows bring that class its share of what it lacks."""
        each = self._each()
        at = int(each.argmax())
        column = self.wanted[at]
        return self.gains[rows, column] >= self._short()[column] / max(each[at], 1)

    def _short(self) -> Floats:
        """Return what each class lacks ``(k,)``."""
        return np.asarray(self.lower - (self.counts - self.factor * np.sqrt(self.spreads)))

    def _each(self) -> Ints:
        """Return how many of the best rows each class lacks, those taken counted again."""
        short = self._short()
        return np.array(
            [
                np.searchsorted(self.best[:, at], short[column] - self.lower[column] * SLACK) + 1
                if short[column] > self.lower[column] * KEPT_SLACK
                else 0
                for at, column in enumerate(self.wanted)
            ],
            dtype=np.int64,
        )


class CurvedRoom:
    """How much of a limit on a sum and its standard deviation is left, and what no longer fits.

    Parameters
    ----------
    sizes, variances
        What each row adds to the sum and to its variance ``(N,)``, at least 0.
    factor
        Of the standard deviation.
    limit
        What both may come to.
    """

    def __init__(self, sizes: Floats, variances: Floats, factor: float, limit: float) -> None:
        self.sizes, self.variances = sizes, variances
        self.factor, self.limit = factor, limit
        self.sum, self.spread = 0.0, 0.0
        self.open = np.arange(len(sizes))
        self.largest, self.widest = float(sizes.max()), float(variances.max())
        self._too_large = self._close()

    def too_large(self) -> Ints:
        """Return the rows that do not fit from the start."""
        return self._too_large

    def take(self, row: int) -> Ints:
        """Take a row in and return the rows that no longer fit."""
        self.sum += float(self.sizes[row])
        self.spread += float(self.variances[row])
        return self._close()

    def _close(self) -> Ints:
        if self.sum + self.largest + self.factor * sqrt(self.spread + self.widest) <= self.limit:
            return NONE
        spread = np.sqrt(self.spread + self.variances[self.open])
        fits = self.sum + self.sizes[self.open] + self.factor * spread <= self.limit
        closed = self.open[~fits]
        self.open = self.open[fits]
        return closed
