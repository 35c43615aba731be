"""Better selections near the optimum of the dual, by annealed swaps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.distances import L1, L2, SquaredL2, Wasserstein
from .._clock import OutOfTime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...problems.arrays import Floats, Ints
    from ...problems.class_balanced import ClassBalanced
    from .._clock import Clock
    from ..search import Search
    from .dual import Dual

SCHEDULES = (
    (60, 0.05, 0.01),
    (60, 0.12, 0.015),
    (25, 0.05, 0.005),
    (100, 0.12, 0.015),
    (40, 0.03, 0.003),
    (160, 0.12, 0.015),
)
"""Annealings by turns: rows on each side of the threshold that swaps are made among, then first and
last temperature as shares of what a random swap changes. No one of them is best everywhere."""
POLISHED = 120
"""Rows on each side of the threshold that the best swap is looked for among."""
PAIRWISE = {L1: "cityblock", L2: "euclidean", SquaredL2: "sqeuclidean"}
"""What SciPy calls the distances of pairs."""
PROPOSALS = 4_000_000
"""Proposals of the first annealing; later ones take longer."""
EACH_SWAP = 2_000
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
    reduced = -problem.utility[rows] - problem.probs.dot(dual.multipliers)[rows]
    order = np.argsort(reduced, kind="stable")
    more = problem.budget - len(problem.included)
    return Ranking(rows[order], reduced[order], more, bound)


def improve(search: Search[ClassBalanced], ranking: Ranking, rounds: int) -> None:
    """Anneal swaps among the rows near the threshold, from the best selection on.

    An optimal selection differs from the b smallest reduced costs only in rows whose reduced cost
    is near the threshold: each of them costs its distance from it, and the sum of these costs is
    at most the gap. Each round cools from fresh heat, in pieces that each start from the best of
    the one before (walking on from its end was tried and found worse on real pools); its result
    is offered, re-evaluated in float64.

    Parameters
    ----------
    search
        The run, with an answer.
    ranking
        The rows by reduced cost.
    rounds
        How many annealings at most; ends earlier once the gap is closed.

    Raises
    ------
    OutOfTime
        When the clock runs out.
    """
    problem, rng = search.problem, search.rng()
    anneal, distance, proposals_each = _annealer(problem, search.clock)
    for round_number in range(rounds):
        band, hot, cold = SCHEDULES[round_number % len(SCHEDULES)]
        swap = _near(search, ranking, band)
        if swap is None:
            return
        rows, chosen, others = swap
        probs, costs = problem.probs.take(rows), -problem.utility[rows]
        scale = _typical_change(probs, costs, problem.balance, rng)
        assert search.rows is not None
        kept = np.setdiff1d(search.rows, rows[chosen], assume_unique=True)
        shortfall = problem.target - problem.probs.total(search.rows)
        proposals = proposals_each * (1 + round_number // len(SCHEDULES))
        proposals = min(proposals, EACH_SWAP * len(chosen) * len(others))
        for warm, cool in _cooling(hot * scale, cold * scale):
            if search.clock.remaining() <= 0:
                search.offer(np.concatenate([kept, rows[chosen]]))
                raise OutOfTime
            start = shortfall.copy()
            anneal(
                probs,
                costs,
                start,
                chosen,
                others,
                problem.balance,
                distance,
                warm,
                cool,
                max(proposals // PIECES, 1),
                int(rng.integers(1 << 31)),
            )
            shortfall = problem.target - problem.probs.total(kept) - probs[chosen].sum(axis=0)
        search.offer(np.concatenate([kept, rows[chosen]]))
        search.stop_if_closed()


def polish(search: Search[ClassBalanced], ranking: Ranking) -> None:
    r"""Make the best swap near the threshold again and again, until none is left.

    The distance after each swap of a chosen row i for another row j is that of
    :math:`(e + p_i) - p_j`: one table of pairwise distances holds them all. It needs no compiled
    code, whose first use takes a second.
    """
    problem = search.problem
    name = PAIRWISE.get(type(problem.metric))
    near = _near(search, ranking, POLISHED)
    if name is None or near is None:
        return
    from scipy.spatial.distance import cdist

    rows, chosen, others = near
    probs, costs = problem.probs.take(rows), -problem.utility[rows]
    assert search.rows is not None
    kept = np.setdiff1d(search.rows, rows[chosen], assume_unique=True)
    shortfall = problem.target - problem.probs.total(search.rows)
    while search.clock.remaining() > 0:
        distances = cdist(shortfall + probs[chosen], probs[others], name)
        steps = costs[others] - costs[chosen][:, None] + problem.balance * distances
        i, j = np.unravel_index(int(steps.argmin()), steps.shape)
        if steps[i, j] >= problem.balance * problem.metric.value(shortfall) - 1e-12:
            break
        shortfall = shortfall + probs[chosen[i]] - probs[others[j]]
        chosen[i], others[j] = others[j], chosen[i]
    search.offer(np.concatenate([kept, rows[chosen]]))


@cache
def _compiling(transported: bool) -> Thread:
    """Start to compile the loop beside everything else: at its first use that takes seconds."""

    def compile_loop() -> None:
        from . import _kernels

        _kernels.compile_for(transported)

    thread = Thread(target=compile_loop, daemon=True)
    thread.start()
    return thread


def _annealer(problem: ClassBalanced, clock: Clock) -> tuple[Any, Any, int]:
    """Return the compiled loop for the distance, its argument, and how many proposals to make."""
    compiling = _compiling(isinstance(problem.metric, Wasserstein))
    compiling.join(min(clock.remaining(), 3600.0))
    if compiling.is_alive():
        raise OutOfTime
    from . import _kernels

    if isinstance(problem.metric, Wasserstein):
        ground_cost = np.array(problem.metric.ground_cost)
        return _kernels.anneal_transport, ground_cost, PROPOSALS // problem.n_classes**2
    kinds = {L1: _kernels.L1, L2: _kernels.L2, SquaredL2: _kernels.SQUARED}
    return _kernels.anneal, kinds[type(problem.metric)], PROPOSALS


def _near(
    search: Search[ClassBalanced], ranking: Ranking, band: int
) -> tuple[Ints, Ints, Ints] | None:
    """Return rows near the threshold, and which of them are chosen and which are not."""
    assert search.rows is not None
    window = slice(max(ranking.more - band, 0), ranking.more + band)
    rows = ranking.rows[window]
    is_chosen = np.isin(rows, search.rows)
    chosen, others = np.flatnonzero(is_chosen), np.flatnonzero(~is_chosen)
    return (rows, chosen, others) if len(chosen) and len(others) else None


def _typical_change(
    probs: Floats, costs: Floats, balance: float, rng: np.random.Generator
) -> float:
    """Return the median size of what a random swap changes."""
    i, j = rng.integers(len(probs), size=(2, 500))
    moved = np.abs(probs[i] - probs[j]).sum(axis=1)
    return float(np.median(np.abs(costs[i] - costs[j]) + balance * moved)) or 1e-12


def _cooling(hot: float, cold: float) -> Iterator[tuple[float, float]]:
    """Yield the ends of each piece of a geometric cooling."""
    ends = np.geomspace(hot, cold, PIECES + 1)
    yield from zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
