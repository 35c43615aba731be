"""The best rows under a tree of limits and a spacing: exact, by prices, in near-linear time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import fsum
from typing import TYPE_CHECKING, Any

import numpy as np

from .._compiling import compiled

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints, Mask
    from .._clock import Clock
    from .structure import Structure

EPS = float(np.finfo(np.float64).eps)
LARGEST = 2.0**40
"""Whole weights below this leave prices whole too, far below all weights as they may lie."""


@dataclass(frozen=True, eq=False)
class Merged:
    """A best selection of places, with the prices that prove it.

    Parameters
    ----------
    chosen
        Mask ``(n,)`` of the places.
    price
        What one more row is worth below each node ``(G,)``: the sum of the prices of its limits
        and those of the nodes above it.
    """

    chosen: Mask
    price: Floats

    @cached_property
    def places(self) -> Ints:
        """The chosen places, ascending."""
        return np.flatnonzero(self.chosen)


def merge(
    structure: Structure, weights: Floats, clock: Clock, rng: np.random.Generator | None = None
) -> Merged:
    r"""Return places of the largest weight under the tree and the spacing of a structure.

    At one price e for each row every unit has a best set of rows, found in linear time, of between
    ``low`` and ``high`` rows; a node's count is the sum of its children's, cut to its limits, and
    falls as e grows. So bisection finds the root's price. Going down the tree, a node whose limits
    bind has a price of its own, found in the same way, all nodes of one depth at once. Every count
    between low and high is reached by equally good sets (`_kernels.recover`), so that counts come
    out exactly, ties and all.

    Parameters
    ----------
    structure
        One that is not impossible.
    weights
        Weight of each place ``(n,)``, finite.
    clock
        Looked at in each round.
    rng
        Decides between equally good rows; without it the earliest in order of time.

    Raises
    ------
    OutOfTime
        If the clock runs out.
    """
    return _Merging(structure, weights, clock).run(rng)


class _Merging:
    def __init__(self, structure: Structure, weights: Floats, clock: Clock) -> None:
        self.structure, self.clock = structure, clock
        self.weights = np.ascontiguousarray(weights, dtype=np.float64)
        self.kernels: Any = compiled(clock, __package__)
        largest = float(np.abs(self.weights).max(initial=0.0))
        self.whole = largest < LARGEST and bool((np.rint(self.weights) == self.weights).all())
        units, nodes = len(structure.leaf), len(structure.parent)
        self.unit_low, self.unit_high = (np.zeros(units, dtype=np.int64) for _ in range(2))
        self.low, self.high = (np.zeros(nodes, dtype=np.int64) for _ in range(2))
        self.above, self.below = np.zeros(nodes), np.zeros(nodes)
        self.target = np.zeros(nodes, dtype=np.int64)

    def run(self, rng: np.random.Generator | None) -> Merged:
        structure = self.structure
        root = np.zeros(1, dtype=np.int64)
        lower, upper = int(structure.lower[0]), int(structure.upper[0])
        if lower == upper:
            self.target[0] = lower
            self._price(root)
        else:
            active = np.ones(len(structure.parent), dtype=bool)
            self._evaluate(active, self._is(root), self.above)
            self.target[0] = min(max(self.low[0], lower), upper)
            if not self.low[0] <= self.target[0] <= self.high[0]:
                self._price(root)
        wanted = np.zeros(len(structure.leaf), dtype=np.int64)
        for depth in range(int(structure.depth.max()) + 1):
            self._share_out(depth, wanted, rng)
            at = np.flatnonzero(structure.depth == depth + 1)
            self.above[at] = self.above[structure.parent[at]]
            self.below[at] = self.below[structure.parent[at]]
            goal = self.target[at]
            self._price(at[(self.low[at] > goal) | (self.high[at] < goal)])
        return self._recover(wanted, rng)

    def _is(self, nodes: Ints) -> Mask:
        mask = np.zeros(len(self.structure.parent), dtype=bool)
        mask[nodes] = True
        return mask

    def _evaluate(self, active: Mask, top: Mask, price: Floats) -> None:
        """Write counts of the active nodes at their prices, before their own limits cut them."""
        at, kernels = self.structure, self.kernels
        kernels.count(
            self.weights, at.first, at.starts, at.leaf, price, active, self.unit_low, self.unit_high
        )
        for unit, node in ((self.unit_low, self.low), (self.unit_high, self.high)):
            kernels.add_up(at.leaf, at.parent, at.lower, at.upper, active, top, unit, node)

    def _price(self, tops: Ints) -> None:
        """Find the prices at which some nodes, none below another, have their targets."""
        if not len(tops):
            return
        is_top, under = self._is(tops), np.full(len(self.structure.parent), -1)
        under[tops] = np.arange(len(tops))
        depths = self.structure.depth
        for depth in range(int(depths[tops].min()) + 1, int(depths.max()) + 1):
            at = np.flatnonzero((depths == depth) & ~is_top)
            under[at] = under[self.structure.parent[at]]
        bracket = _Bracket(self.weights, self.target[tops], self.whole)
        price = np.zeros(len(under))
        while len(bracket.open):
            self.clock.check()
            active = (under >= 0) & bracket.is_open[under]
            price[active] = bracket.propose()[under[active]]
            self._evaluate(active, is_top, price)
            bracket.learn(self.low[tops], self.high[tops])
        inside = under >= 0
        self.above[inside] = bracket.above[under[inside]]
        self.below[inside] = bracket.below[under[inside]]
        split = inside & (self.above > self.below)
        if split.any():
            self._evaluate(split, is_top, self.above)
            low, unit_low = self.low.copy(), self.unit_low.copy()
            self._evaluate(split, is_top, self.below)
            self.low[:], self.unit_low[:] = low, unit_low

    def _share_out(self, depth: int, wanted: Ints, rng: np.random.Generator | None) -> None:
        """Give each child of the nodes of one depth a count between its low and its high."""
        at = self.structure
        nodes = np.flatnonzero(at.depth == depth + 1)
        units = np.flatnonzero(at.depth[at.leaf] == depth)
        parent = np.concatenate([at.parent[nodes], at.leaf[units]])
        low, high = (
            np.concatenate([np.clip(node[nodes], at.lower[nodes], at.upper[nodes]), unit[units]])
            for node, unit in ((self.low, self.unit_low), (self.high, self.unit_high))
        )
        count = len(at.parent)
        missing = self.target - np.bincount(parent, weights=low, minlength=count).astype(np.int64)
        child = np.repeat(np.arange(len(parent)), np.where(missing[parent] > 0, high - low, 0))
        if rng is not None:
            child = child[rng.permutation(len(child))]
        else:
            lowest = at.lowest[np.concatenate([nodes, len(at.parent) + units])]
            child = child[np.argsort(lowest[child], kind="stable")]
        child = child[np.argsort(parent[child], kind="stable")]
        begins = np.searchsorted(parent[child], np.arange(count))
        rank = np.arange(len(child)) - begins[parent[child]]
        given = child[rank < missing[parent[child]]]
        low = low + np.bincount(given, minlength=len(parent))
        self.target[nodes] = low[: len(nodes)]
        wanted[units] = low[len(nodes) :]

    def _recover(self, wanted: Ints, rng: np.random.Generator | None) -> Merged:
        at = self.structure
        keys = np.zeros(len(at.rows)) if rng is None else rng.random(len(at.rows))
        chosen = np.zeros(len(at.rows), dtype=bool)
        above, below = self.above[at.leaf], self.below[at.leaf]
        self.kernels.recover(
            self.weights, at.first, at.last, at.starts, above, below, wanted, keys, chosen
        )
        return Merged(chosen, self.above)


class _Bracket:
    """Prices between which the counts of some nodes pass their targets.

    The count at `below` is at least the target, that at `above` at most.
    """

    def __init__(self, weights: Floats, target: Ints, whole: bool) -> None:
        self.target, self.whole = target, whole
        least, most = (float(weights.min()), float(weights.max())) if len(weights) else (0.0, 0.0)
        self.scale = max(abs(least), abs(most))
        self.width = most - least + (self.scale or 1.0)
        count = len(target)
        # Whole weights are priced in whole numbers, of which the largest weight is one.
        self.above, self.below = np.full(count, most + float(whole)), np.full(count, least)
        self.fewest = np.zeros(count, dtype=np.int64)
        self.most = np.zeros(count, dtype=np.int64)
        self.reached = np.zeros(count, dtype=bool)
        self.is_open = np.ones(count, dtype=bool)
        self.turn = 0

    @property
    def open(self) -> Ints:
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
        # A price below every weight may be needed where rows have to make room for others.
        outside = fewer & ~self.reached
        self.below[outside] = tried[outside] - self.width
        if outside.any():
            self.width *= 4.0
        self.is_open &= ~hit
        narrow = self.above - self.below <= EPS * np.maximum(
            np.maximum(np.abs(self.above), np.abs(self.below)), self.scale
        )
        if self.whole:
            narrow |= np.floor(self.below) + 1 >= self.above
        self.is_open &= ~(self.reached & narrow)


def proven(
    structure: Structure, weights: Floats, slack: Floats | float, merged: Merged, clock: Clock
) -> float:
    """Return a bound on the weight of any selection of places, proven from the tree's prices.

    Parameters
    ----------
    weights
        Weight of each place ``(n,)``.
    slack
        By how much each weight may be too small.
    merged
        Whose prices are taken.
    """
    net, constants = priced_out(structure, weights, merged.price)
    size = np.abs(weights) + path_sizes(structure, merged.price)[_leaf_of_place(structure)]
    terms = 4 + 2 * int(structure.depth.max())
    sums = np.zeros(len(structure.leaf))
    compiled(clock, __package__).heaviest(
        net + slack + terms * EPS * size, structure.first, structure.starts, sums
    )
    best, given = sums[sums > 0].tolist(), constants.tolist()
    total, magnitude = fsum([*best, *given]), fsum([*best, *np.abs(given)])
    return total + 4 * EPS * magnitude


def priced_out(structure: Structure, weights: Floats, price: Floats) -> tuple[Floats, Floats]:
    """Return weights net of the tree's prices ``(n,)``, and what its limits are worth ``(G,)``."""
    net = weights - price[_leaf_of_place(structure)]
    own = own_prices(structure, price)
    return net, own * np.where(own > 0, structure.upper, structure.lower)


def own_prices(structure: Structure, price: Floats) -> Floats:
    """Return the price of each node's own limits: above 0 the upper one's, below 0 the lower's."""
    own = price.copy()
    own[1:] -= price[structure.parent[1:]]
    return own


def path_sizes(structure: Structure, price: Floats) -> Floats:
    """Return the sum of the sizes of the prices from each node up to the root ``(G,)``."""
    own = np.abs(own_prices(structure, price))
    for depth in range(1, int(structure.depth.max()) + 1):
        at = np.flatnonzero(structure.depth == depth)
        own[at] += own[structure.parent[at]]
    return own


def _leaf_of_place(structure: Structure) -> Any:
    return np.repeat(structure.leaf, np.diff(structure.starts))
