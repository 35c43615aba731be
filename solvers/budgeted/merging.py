"""The best rows under a tree of limits and a spacing: exact, by prices, in near-linear time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import fsum
from typing import TYPE_CHECKING

import numpy as np

from .bracketing import Bracket
from .lines import Line
from .structure import LOOPS

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
    between low and high is reached by equally good sets (`_loops.exchange`), so that counts come
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
            self._settle(active, self._is(root))
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

    def _evaluate(self, active: Mask, top: Mask, price: Floats) -> tuple[Ints, Ints, Ints]:
        """Write counts of the active nodes at their prices, before their own limits cut them.

        Returns the units that have any rows to choose from, with their smallest and largest counts.
        """
        at = self.structure
        places = np.flatnonzero(self.weights >= price[active].min())
        floor = np.where(active, price, np.inf)[at.leaf[at.unit_of_place[places]]]
        line = Line(at, places[self.weights[places] >= floor])
        leaf = at.leaf[line.units]
        low, high = np.zeros((2, len(leaf)), dtype=np.int64)
        sums, counts = np.zeros((2, line.longest + 1)), np.zeros((2, line.longest + 1), dtype=int)
        LOOPS.run(
            self.clock,
            "count",
            self.weights[line.places],
            line.first,
            line.starts,
            price[leaf],
            sums[0],
            counts[0],
            sums[1],
            counts[1],
            low,
            high,
        )
        # Next to huge prices rounding may count fewer rows at most than at least.
        np.maximum(high, low, out=high)
        for found, node in ((low, self.low), (high, self.high)):
            summed = np.bincount(leaf, found, len(price)).astype(np.int64)
            self._add_up(summed, active, top, node)
        return line.units, low, high

    def _settle(self, active: Mask, top: Mask) -> None:
        """Write the smallest counts of nodes and units just above, the largest just below."""
        mine = active[self.structure.leaf]
        units, low, high = self._evaluate(active, top, self.above)
        self.unit_low[mine] = self.unit_high[mine] = 0
        self.unit_low[units], self.unit_high[units] = low, high
        split = active & (self.above > self.below)
        if split.any():
            low = self.low.copy()
            units, _, high = self._evaluate(split, top, self.below)
            self.low[:] = low
            self.unit_high[units] = high
            np.maximum(self.unit_high, self.unit_low, out=self.unit_high)
            np.maximum(self.high, self.low, out=self.high)

    def _add_up(self, counts: Ints, active: Mask, top: Mask, node: Ints) -> None:
        """Add counts up the tree; each node passes on what its limits make of its count."""
        at = self.structure
        for depth in range(int(at.depth.max()), 0, -1):
            up = np.flatnonzero((at.depth == depth) & active & ~top)
            cut = np.clip(counts[up], at.lower[up], at.upper[up])
            np.add.at(counts, at.parent[up], cut)
        node[active] = counts[active]

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
        bracket = Bracket(self.weights, self.target[tops], self.whole)
        if tops[0] > 0:
            # Their counts at the prices of the nodes above them are known.
            bracket.start(self.above[tops], self.below[tops], self.low[tops], self.high[tops])
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
        self._settle(inside, is_top)

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
        at, chosen = self.structure, np.zeros(len(self.weights), dtype=bool)
        keys = np.zeros(len(chosen)) if rng is None else rng.random(len(chosen))
        places = np.flatnonzero(self.weights >= self.below[at.leaf].min(initial=np.inf))
        unit = at.unit_of_place[places]
        kept = (wanted[unit] > 0) & (self.weights[places] >= self.below[at.leaf[unit]])
        line = Line(at, places[kept])
        inside, goal = np.zeros(len(line.places), dtype=bool), wanted[line.units]
        sizes = self._best_sets(line, self.above, keys, False, inside)
        short = goal > sizes
        if short.any():
            # Where the fewest rows are too few: those of the most, or some of what they have more.
            again = np.flatnonzero(np.repeat(short, np.diff(line.starts)))
            more, ours = Line(at, line.places[again]), inside[again]
            other = np.zeros_like(ours)
            larger = self._best_sets(more, self.below, keys, True, other)
            missing = np.where(larger == goal[short], 0, goal[short] - sizes[short])
            ours = np.where(np.repeat(missing == 0, np.diff(more.starts)), other, ours)
            work = np.zeros((2, more.longest + 1)), np.zeros((2, more.longest + 1), dtype=np.int64)
            LOOPS.run(
                self.clock,
                "exchange",
                self.weights[more.places],
                more.last,
                more.starts,
                keys[more.places],
                missing,
                other,
                *work[1],
                *work[0],
                ours,
            )
            inside[again] = ours
        chosen[line.places] = inside
        return Merged(chosen, self.above)

    def _best_sets(self, line: Line, price: Floats, keys: Floats, many: bool, chosen: Mask) -> Ints:
        """Mark a best set of each unit, the fewest or the most rows; return how many they are."""
        sizes = np.zeros(len(line.units), dtype=np.int64)
        sums, ranks = np.zeros((2, line.longest + 1))
        LOOPS.run(
            self.clock,
            "best_sets",
            self.weights[line.places],
            line.first,
            line.starts,
            price[self.structure.leaf[line.units]],
            keys[line.places],
            many,
            sums,
            np.zeros(line.longest + 1, dtype=np.int64),
            ranks,
            chosen,
            sizes,
        )
        return sizes


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
    size = (
        np.abs(weights)
        + path_sizes(structure, merged.price)[structure.leaf[structure.unit_of_place]]
    )
    terms = 4 + 2 * int(structure.depth.max())
    raised = net + slack + terms * EPS * size
    line = Line(structure, np.flatnonzero(raised > 0))
    sums = np.zeros(len(line.units))
    work = np.zeros(line.longest + 1)
    LOOPS.run(clock, "heaviest", raised[line.places], line.first, line.starts, work, sums)
    best, given = sums.tolist(), constants.tolist()
    total, magnitude = fsum([*best, *given]), fsum([*best, *np.abs(given)])
    return total + 4 * EPS * magnitude


def priced_out(structure: Structure, weights: Floats, price: Floats) -> tuple[Floats, Floats]:
    """Return weights net of the tree's prices ``(n,)``, and what its limits are worth ``(G,)``."""
    net = weights - price[structure.leaf[structure.unit_of_place]]
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
