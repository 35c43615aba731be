"""Better selections near the optimum of the dual, by annealed swaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.distances import Wasserstein
from .._compiling import compiled
from .annealing import PROPOSALS, Schedules, anneal, norm_number, swap_pool, typical_change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...problems.arrays import Floats, Ints
    from ...problems.class_balanced import ClassBalanced
    from ...problems.distances import Distance
    from .._clock import Clock
    from ..search import Search
    from .dual import Dual

SCHEDULES = (
    (30, 0.1, 0.02),
    (100, 0.05, 0.01),
    (60, 0.05, 0.01),
    (160, 0.1, 0.01),
    (60, 0.1, 0.02),
    (15, 0.05, 0.005),
    (30, 0.05, 0.01),
    (100, 0.03, 0.003),
)
"""Annealings to choose from: rows on each side of the threshold that swaps are made among, then
first and last temperature as shares of what a random swap changes. No one is best everywhere."""
WIDE = (60, 100, 160, 250)
"""Rows on each side of the threshold that a reheating swaps among."""
REHEATED = ((0.02, 0.003), (0.05, 0.01))
"""Lowest and highest first and last temperatures of reheatings, in the same shares."""
REHEATING = 4
"""Reheatings are not longer than so many of the first annealings."""
POLISHED = 120
"""Rows on each side of the threshold that the best swap is looked for among."""
EACH_SWAP = 20_000
"""Proposals for each possible swap at most: small bands need no long annealing."""
PIECES = 16
"""The clock is looked at so many times in an annealing."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The rows that may be swapped, by ascending reduced cost.

    Parameters
    ----------
    rows
        Dataset rows, included ones left out.
    reduced
        Their reduced costs, ascending.
    more
        How many of them are to be chosen.
    bound
        The bound that the multipliers behind the reduced costs prove.
    """

    rows: Ints
    reduced: Floats
    more: int
    bound: float


def rank(problem: ClassBalanced, dual: Dual, bound: float) -> Ranking:
    """Sort the rows by reduced cost, in float64."""
    rows = np.setdiff1d(problem.selectable, problem.included, assume_unique=True)
    reduced = -problem.worth[rows] - problem.probs.dot(dual.multipliers)[rows]
    order = np.argsort(reduced, kind="stable")
    more = problem.budget - len(problem.included)
    return Ranking(rows[order], reduced[order], more, bound)


class Annealing:
    """Swaps among the rows near the threshold, annealed again and again.

    An optimal selection differs from the b smallest reduced costs only in rows whose reduced cost
    is near the threshold: each of them costs its distance from it, and the sum of these costs is
    at most the gap. How near depends on the pool, so all of `SCHEDULES` are tried from the plain
    rounding on, then the better half of them for twice as long, and so on until the best two share
    what time is left. As many proposals go into reheatings of the best selection, among more rows
    and less hot. Each annealing cools in pieces that start from the best of the one before (walking
    on from its end was tried and found worse on real pools). Its result is offered, re-evaluated in
    float64.

    Parameters
    ----------
    search
        The run.
    ranking
        The rows by reduced cost.
    """

    def __init__(self, search: Search[ClassBalanced], ranking: Ranking) -> None:
        self.search = search
        self.ranking = ranking
        self.rng = search.rng()
        self.schedules = Schedules(len(SCHEDULES), fewest=2)
        self.rounds = self._rounds()

    def run(self, count: int) -> None:
        """Make the next annealings, fewer if the gap closes.

        Raises
        ------
        OutOfTime
            When the clock runs out.
        Stop
            When the gap is closed.
        """
        annealer = _annealer(self.search.problem, self.search.clock)
        for _ in range(count):
            which, length = next(self.rounds)
            if which is None:
                best = self.search.rows
                assert best is not None
                band = int(self.rng.choice(WIDE))
                hot, cold = np.exp(self.rng.uniform(*np.log(REHEATED)))
                self._anneal(annealer, best, band, hot, cold, length)
            else:
                plain = self.ranking.rows[: self.ranking.more]
                change = self._anneal(annealer, plain, *SCHEDULES[which], length)
                self.schedules.changes[which] = change
            self.search.stop_if_closed()

    def _rounds(self) -> Iterator[tuple[int | None, int]]:
        """Yield which schedule comes next, None for a reheating, and its length."""
        for which, length in self.schedules:
            yield which, length
            short = min(length, REHEATING)
            yield from [(None, short)] * (length // short)

    def _anneal(
        self,
        annealer: tuple[Any, Any, int],
        start: Ints,
        band: int,
        hot: float,
        cold: float,
        length: int,
    ) -> float:
        """Offer what one annealing finds, and return how much better than its start it is."""
        problem = self.search.problem
        loop, distance, proposals = annealer
        rows, chosen, others = _near(start, self.ranking, band)
        if not (len(chosen) and len(others)):
            return 0.0
        kept = np.setdiff1d(np.union1d(start, problem.included), rows[chosen], assume_unique=True)
        pool = swap_pool(problem, rows, kept, chosen)
        scale = typical_change(pool, problem.balance, self.rng)
        steps = min(length * proposals, EACH_SWAP * len(chosen) * len(others))

        def piece(shortfall: Floats, hot: float, cold: float) -> float:
            seed = int(self.rng.integers(1 << 31))
            how = (problem.balance, distance, hot, cold, max(steps // PIECES, 1), seed)
            return float(loop(pool.probs, pool.costs, shortfall, chosen, others, *how)[0])

        return anneal(self.search, pool, np.geomspace(hot * scale, cold * scale, PIECES + 1), piece)


def polish(search: Search[ClassBalanced], ranking: Ranking) -> None:
    r"""Make the best swap near the threshold again and again, until none is left.

    It needs no compiled code, whose first use takes a second.
    """
    problem = search.problem
    assert search.rows is not None
    near, chosen, others = _near(search.rows, ranking, POLISHED)
    if isinstance(problem.metric, Wasserstein) or not (len(chosen) and len(others)):
        return
    probs, costs = problem.probs.take(near), -problem.worth[near]
    kept = np.setdiff1d(search.rows, near[chosen], assume_unique=True)
    shortfall = problem.target - problem.probs.total(search.rows)
    while search.clock.remaining() > 0:
        distances = _distances(problem.metric, shortfall + probs[chosen], probs[others])
        steps = costs[others] - costs[chosen][:, None] + problem.balance * distances
        i, j = np.unravel_index(int(steps.argmin()), steps.shape)
        if steps[i, j] >= problem.balance * problem.metric.value(shortfall) - 1e-12:
            break
        shortfall = shortfall + probs[chosen[i]] - probs[others[j]]
        chosen[i], others[j] = others[j], chosen[i]
    search.offer(np.concatenate([kept, near[chosen]]))


def _near(chosen: Ints, ranking: Ranking, band: int) -> tuple[Ints, Ints, Ints]:
    """Return the rows to swap among, and which of them are chosen and which are not.

    They are the `band` rows on each side of the threshold and those astray: on the wrong side of
    it and farther away, as greedy picks may be. Each of these costs the gap its distance from the
    threshold, so that no selection that keeps it is good.
    """
    is_chosen = np.isin(ranking.rows, chosen)
    left_out = np.arange(len(is_chosen)) >= ranking.more
    ranks = np.flatnonzero(is_chosen == left_out)
    window = np.arange(max(ranking.more - band, 0), min(ranking.more + band, len(is_chosen)))
    ranks = np.union1d(
        window, ranks[np.argsort(np.abs(ranks - ranking.more), kind="stable")[-band:]]
    )
    is_chosen = is_chosen[ranks]
    return ranking.rows[ranks], np.flatnonzero(is_chosen), np.flatnonzero(~is_chosen)


def _distances(metric: Distance, points: Floats, others: Floats) -> Floats:
    """Return the lengths ``(k, m)`` of all differences, without the import of SciPy's `cdist`."""
    table = np.empty((len(points), len(others)))
    for point, row in zip(points, table, strict=True):
        row[:] = metric.values(point - others)
    return table


def _annealer(problem: ClassBalanced, clock: Clock) -> tuple[Any, Any, int]:
    """Return the compiled loop for the distance, its argument, and how many proposals to make."""
    kernels = compiled(clock, __package__, isinstance(problem.metric, Wasserstein))
    if isinstance(problem.metric, Wasserstein):
        ground_cost = np.array(problem.metric.ground_cost)
        return kernels.anneal_transport, ground_cost, PROPOSALS // problem.n_classes**2
    return kernels.anneal, norm_number(problem.metric, kernels), PROPOSALS
