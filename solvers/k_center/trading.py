"""What the class balance costs with another row in the place of a center."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...problems.distances import L1

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.class_balanced import ClassBalanced

HELD_VALUES = 1 << 22
"""Probabilities that are held in float64: 32 MB; more are read anew each time, so many at once."""


class Balance:
    r"""The class-balance term of a selection while rows trade places: ℓ1, ℓ2 or its square.

    Near the target ℓ1 holds single swaps up: of two rows of one class the surer one brings more of
    it, and only another swap makes up for that. So it may be rounded: :math:`e^2 / 2\delta` for a
    shortfall of less than δ, :math:`|e| - \delta / 2` beyond (Huber).

    Parameters
    ----------
    balancing
        States the term.
    rows
        Dataset rows that may come in ``(n,)``, ascending, those that may go among them.
    chosen
        The selection.

    Attributes
    ----------
    rounding
        δ in labels, of ℓ1 alone; 0 rounds nothing.
    """

    def __init__(self, balancing: ClassBalanced, rows: Ints, chosen: Ints) -> None:
        self.balancing, self.rows = balancing, rows
        self.rounding = 0.0
        self.missing = balancing.target - balancing.probs.total(chosen)
        doubt = balancing.doubt
        self.doubt = np.zeros(balancing.dataset.size) if doubt is None else np.nan_to_num(doubt)
        self.doubts = float(self.doubt[chosen].sum())
        few = len(rows) * balancing.n_classes <= HELD_VALUES
        self._held = balancing.probs.take(rows) if few else None

    @property
    def has_corners(self) -> bool:
        """Whether rounding changes anything: with ℓ1."""
        return isinstance(self.balancing.metric, L1)

    @property
    def value(self) -> float:
        """λ times imbalance and doubt."""
        length = float(self._lengths(self.missing[None])[0])
        return self.balancing.balance * (length + self.doubts)

    def without(self, row: int) -> Floats:
        """Return the term with each of the rows in the place of a chosen one ``(n,)``."""
        missing = self.missing + self._probs(row)
        lengths = np.empty(len(self.rows))
        step = max(HELD_VALUES // len(missing), 1)
        for first in range(0, len(self.rows), step):
            some = slice(first, first + step)
            held = self._held
            probs = self.balancing.probs.take(self.rows[some]) if held is None else held[some]
            lengths[some] = self._lengths(missing - probs)
        doubts = self.doubts - self.doubt[row] + self.doubt[self.rows]
        return np.asarray(self.balancing.balance * (lengths + doubts))

    def swap(self, row: int, other: int) -> None:
        """Put another row in the place of a chosen one."""
        self.missing += self._probs(row) - self._probs(other)
        self.doubts += float(self.doubt[other] - self.doubt[row])

    def _probs(self, row: int) -> Floats:
        if self._held is None:
            return np.asarray(self.balancing.probs.take(np.array([row]))[0])
        return np.asarray(self._held[np.searchsorted(self.rows, row)])

    def _lengths(self, shortfalls: Floats) -> Floats:
        """Return the distance of each shortfall ``(n, C)``."""
        if not self.rounding:
            return self.balancing.metric.values(shortfalls)
        sizes = np.abs(shortfalls)
        small = np.minimum(sizes, self.rounding)
        sizes += small * (small / (2 * self.rounding) - 1.0)
        return np.asarray(sizes.sum(axis=1))
