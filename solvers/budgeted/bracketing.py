"""Bisection for the prices at which counts meet their targets, for many nodes side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints

EPS = float(np.finfo(np.float64).eps)
SAMPLE = 4096
"""Weights by which numbers of rows are guessed."""


class Bracket:
    """Prices between which the counts of some nodes pass their targets.

    The count at `below` is at least the target once that is reached, that at `above` at most. Low
    prices are slow, as many rows are worth them: so they are looked for from above, each price
    with twice as many rows as the one before.

    Parameters
    ----------
    weights
        Of all rows ``(n,)``.
    target
        Counts that are wanted ``(T,)``.
    whole
        Whether weights are whole, and so are prices.
    """

    def __init__(self, weights: Floats, target: Ints, whole: bool) -> None:
        self.target, self.whole = target, whole
        least, most = (float(weights.min()), float(weights.max())) if len(weights) else (0.0, 0.0)
        self.step = 1 + len(weights) // SAMPLE
        self.sample = np.sort(weights[:: self.step])
        self.scale = max(abs(least), abs(most))
        count = len(target)
        self.width = np.full(count, most - least + (self.scale or 1.0))
        # Whole weights are priced in whole numbers, of which the largest weight is one.
        self.above = np.full(count, most + float(whole))
        self.fewest, self.most = np.zeros((2, count), dtype=np.int64)
        self.reached = np.zeros(count, dtype=bool)
        self.is_open = np.ones(count, dtype=bool)
        self.below = self._lower(self.above)
        self.turn = 0

    def start(self, above: Floats, below: Floats, low: Ints, high: Ints) -> None:
        """Take in what is known: the smallest counts at some prices, the largest at lower ones.

        No count between the two is a target.
        """
        more, fewer = low > self.target, high < self.target
        self.below = np.where(more, above, self._lower(np.where(fewer, below, self.above)))
        self.most = np.where(more, low, self.most)
        self.above = np.where(fewer, below, self.above)
        self.fewest = np.where(fewer, high, self.fewest)
        self.reached |= more

    @property
    def open(self) -> Ints:
        """Which nodes have no price yet."""
        return np.flatnonzero(self.is_open)

    def propose(self) -> Floats:
        """Return the next price to look at for each node ``(T,)``."""
        self.turn += 1
        between = self.below + 0.5 * (self.above - self.below)
        if self.turn % 3:
            share = (self.most - self.target) / np.maximum(self.most - self.fewest, 1)
            share = np.clip(share, 0.02, 0.98)
            between = self.below + share * (self.above - self.below)
        if self.whole:
            between = np.rint(between)
            between = np.where(between >= self.above, np.ceil(self.above) - 1, between)
            between = np.where(between <= self.below, np.floor(self.below) + 1, between)
        self.tried = np.where(self.reached, between, self.below)
        return self.tried

    def learn(self, low: Ints, high: Ints) -> None:
        """Narrow the brackets by the counts at the prices that were proposed."""
        at, tried = self.is_open, self.tried
        hit = at & (low <= self.target) & (self.target <= high)
        self.above[hit] = self.below[hit] = tried[hit]
        fewer = at & ~hit & (high < self.target)
        more = at & ~hit & (low > self.target)
        self.above[fewer], self.fewest[fewer] = tried[fewer], high[fewer]
        self.below[more], self.most[more] = tried[more], low[more]
        self.reached |= more
        outside = fewer & ~self.reached
        self.below[outside] = self._lower(tried)[outside]
        self.is_open &= ~hit
        narrow = self.above - self.below <= EPS * np.maximum(
            np.maximum(np.abs(self.above), np.abs(self.below)), self.scale
        )
        if self.whole:
            narrow |= np.floor(self.below) + 1 >= self.above
        self.is_open &= ~(self.reached & narrow)

    def _lower(self, price: Floats) -> Floats:
        """Return lower prices, that about twice as many rows are worth.

        A price below every weight may be needed where rows have to make room for others.
        """
        count = len(self.sample)
        lower: Floats = price - self.width
        none_left = price <= self.sample[0] if count else np.ones(len(price), dtype=bool)
        self.width[none_left] *= 4.0
        if count:
            worth = np.maximum(count - np.searchsorted(self.sample, price), 1)
            worth = 2 * np.maximum(worth, self.target // self.step)
            lower = np.where(none_left, lower, self.sample[np.maximum(count - worth, 0)])
        return lower
