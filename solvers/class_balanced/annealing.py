"""What all annealings share: which comes next, how it cools, and what it swaps among."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.distances import L1, L2, SquaredL2
from .._clock import OutOfTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...problems.arrays import Floats, Ints
    from ...problems.class_balanced import ClassBalanced
    from ...problems.distances import Distance
    from ..search import Search

PROPOSALS = 1_000_000
"""Proposals of the first annealings."""
LONGEST = 256
"""The longest annealings make so many times as many."""


class Schedules:
    """Schedules by turns: all of them, then the better half for twice as long, and so on.

    Parameters
    ----------
    count
        How many there are.
    fewest
        How many go on to the end.
    """

    def __init__(self, count: int, fewest: int) -> None:
        self.changes = [inf] * count
        """By how much the last annealing of each changed the objective; the user writes it."""
        self.fewest = fewest

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield which schedule comes next and its length."""
        left, length = list(range(len(self.changes))), 1
        while True:
            for which in left:
                yield which, length
            left = sorted(left, key=self.changes.__getitem__)[: max(len(left) // 2, self.fewest)]
            length = min(2 * length, LONGEST)


@dataclass(frozen=True, eq=False)
class SwapPool:
    """Rows to swap among, and the rows that are chosen whatever is swapped.

    Parameters
    ----------
    rows, kept
        Dataset rows.
    chosen
        Which of `rows` are chosen: places or a mask, which the annealing changes in place.
    probs, costs
        Of `rows` ``(n, C)`` and ``(n,)``.
    unmet
        What the kept rows leave of the target ``(C,)``.
    """

    rows: Ints
    kept: Ints
    chosen: Any
    probs: Floats
    costs: Floats
    unmet: Floats

    @property
    def selection(self) -> Ints:
        """All rows that are chosen now."""
        return np.concatenate([self.kept, self.rows[self.chosen]])

    @property
    def shortfall(self) -> Floats:
        """What they leave of the target ``(C,)``, summed anew."""
        return np.asarray(self.unmet - self.probs[self.chosen].sum(axis=0))


def swap_pool(problem: ClassBalanced, rows: Ints, kept: Ints, chosen: Any) -> SwapPool:
    """Return a pool with what its rows are worth."""
    unmet = problem.target - problem.probs.total(kept)
    return SwapPool(rows, kept, chosen, problem.probs.take(rows), -problem.worth[rows], unmet)


def anneal(
    search: Search[ClassBalanced],
    pool: SwapPool,
    temperatures: Floats,
    piece: Callable[[Floats, float, float], float],
) -> float:
    """Offer what one annealing finds, and return how much better than its start it is.

    Parameters
    ----------
    search
        The run.
    pool
        Rows to swap among; `piece` changes which are chosen.
    temperatures
        At the ends of the pieces; the clock is looked at before each.
    piece
        Anneals from a shortfall between two temperatures, and returns the change.

    Raises
    ------
    OutOfTime
        When the clock runs out; what was found is offered before.
    """
    change = 0.0
    for hot, cold in zip(temperatures[:-1].tolist(), temperatures[1:].tolist(), strict=True):
        if search.clock.remaining() <= 0:
            search.offer(pool.selection)
            raise OutOfTime
        change += piece(pool.shortfall, hot, cold)
    search.offer(pool.selection)
    return change


def typical_change(pool: SwapPool, balance: float, rng: np.random.Generator) -> float:
    """Return the median size of what a random swap changes."""
    i, j = rng.integers(len(pool.rows), size=(2, 500))
    moved = np.abs(pool.probs[i] - pool.probs[j]).sum(axis=1)
    return float(np.median(np.abs(pool.costs[i] - pool.costs[j]) + balance * moved)) or 1e-12


def norm_number(metric: Distance, kernels: Any) -> int:
    """Return the number that compiled loops have for a norm."""
    kinds = {L1: kernels.L1, L2: kernels.L2, SquaredL2: kernels.SQUARED}
    return int(kinds[type(metric)])
