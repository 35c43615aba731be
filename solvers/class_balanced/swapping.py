"""Better selections under constraints, by annealed swaps that keep them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.constraints import Cost, ExpectedCount, GroupLimit, Spacing
from ...problems.constraints.base import KEPT_SLACK
from ...problems.distances import Wasserstein
from .annealing import PROPOSALS, Schedules, anneal, norm_number, swap_pool, typical_change
from .sifting import swap_kernels

if TYPE_CHECKING:
    from scipy.sparse import csc_array

    from ...problems.arrays import Floats, Ints, Mask
    from ...problems.class_balanced import ClassBalanced
    from ..search import Search
    from .sifting import Turning

SCHEDULES = (
    (60, 0.1, 0.01),
    (150, 0.05, 0.005),
    (400, 0.03, 0.003),
    (150, 0.02, 0.002),
    (400, 0.1, 0.01),
    (1000, 0.03, 0.003),
)
"""Annealings to choose from: rows of each kind that swaps are made among, then first and last
temperature as shares of what a random swap changes."""
EACH_SWAP = 2_000
"""Proposals for each possible swap at most."""
PIECE = 1_000_000
"""Proposals between two looks at the clock; rounding of sums cannot grow large meanwhile."""
FEWEST_PIECES = 8


class Swapping:
    """Swaps among the rows whose turning costs the bound least, annealed again and again.

    All of `SCHEDULES` are tried from the present answer on, then the better half for twice as long,
    and so on. Every annealing keeps the constraints at every swap, and its result is offered.

    Parameters
    ----------
    search
        The run; it has an answer.
    turning
        The rows by what turning them costs.
    """

    def __init__(self, search: Search[ClassBalanced], turning: Turning) -> None:
        self.search = search
        self.turning = turning
        self.rng = search.rng()
        self.schedules = Schedules(len(SCHEDULES), fewest=3)
        self.rounds = iter(self.schedules)
        self.order = np.empty(search.problem.dataset.size, dtype=np.int64)
        self.order[_in_order(search.problem)] = np.arange(search.problem.dataset.size)
        self.rows, self.limits = _all_rows(search.problem, turning)

    def run(self, count: int) -> None:
        """Make the next annealings, fewer if the gap closes.

        Raises
        ------
        OutOfTime
            When the clock runs out.
        Stop
            When the gap is closed.
        """
        kernels = swap_kernels(self.search.clock)
        for _ in range(count):
            which, length = next(self.rounds)
            change = self._anneal(kernels, *SCHEDULES[which], length)
            self.schedules.changes[which] = change
            self.search.stop_if_closed()

    def _anneal(self, kernels: Any, band: int, hot: float, cold: float, length: int) -> float:
        """Offer what one annealing finds, and return how much better than its start it is."""
        problem = self.search.problem
        bound = self._binding(band)
        rows, chosen = bound.rows, bound.chosen
        if not (chosen.any() and not chosen.all()):
            return 0.0
        pool = swap_pool(problem, rows, bound.kept, chosen)
        scale = typical_change(pool, problem.balance, self.rng)
        pairs = int(chosen.sum()) * int((~chosen).sum())
        distance, ground_cost, share = _kind(problem, kernels)
        steps = min(length * PROPOSALS // share, EACH_SWAP * pairs)
        pieces = max(FEWEST_PIECES, -(-steps // PIECE))

        def piece(shortfall: Floats, hot: float, cold: float) -> float:
            room = bound.room - bound.matrix @ chosen.astype(float)
            limits = (*bound.near, *bound.used, room)
            seed = int(self.rng.integers(1 << 31))
            how = (problem.balance, distance, ground_cost, hot, cold, max(steps // pieces, 1), seed)
            return float(kernels.swap(pool.probs, pool.costs, shortfall, chosen, *limits, *how))

        return anneal(self.search, pool, np.geomspace(hot * scale, cold * scale, pieces + 1), piece)

    def _binding(self, band: int) -> _Binding:
        """Return the rows to swap among, and what the rows outside leave them.

        They are the rows of smallest cost among four kinds each: chosen or not, as in the
        Lagrangian or not.
        """
        problem, turning = self.search.problem, self.turning
        assert self.search.rows is not None
        is_chosen = np.zeros(problem.dataset.size, dtype=bool)
        is_chosen[self.search.rows] = True
        chosen = is_chosen[turning.rows]
        cheap = [
            kind[np.argsort(turning.costs[kind], kind="stable")[:band]]
            for one in (chosen, ~chosen)
            for kind in (
                np.flatnonzero(one & turning.is_taken),
                np.flatnonzero(one & ~turning.is_taken),
            )
        ]
        rows = turning.rows[np.concatenate(cheap)]
        kept = is_chosen.copy()
        kept[rows] = False
        rows = rows[~(_excluded(problem, kept)[rows] & ~is_chosen[rows])]
        rows = rows[np.argsort(self.order[rows])]
        matrix = self.rows[:, rows]
        touched = np.flatnonzero(np.diff(matrix.tocsr().indptr))
        matrix = matrix[touched].tocsc()
        room = self.limits[touched] - self.rows[touched] @ kept.astype(float)
        return _Binding(
            rows,
            np.flatnonzero(kept),
            is_chosen[rows],
            _conflicts(problem, rows),
            matrix,
            room,
        )


@dataclass(frozen=True, eq=False)
class _Binding:
    """Rows to swap among, which of them are chosen, and what binds them."""

    rows: Ints
    kept: Ints
    chosen: Mask
    near: tuple[Ints, Ints]
    matrix: csc_array
    room: Floats

    @property
    def used(self) -> tuple[Ints, Ints, Floats]:
        """What each row takes of each limit, as `swap` takes it."""
        matrix = self.matrix
        return (
            matrix.indices.astype(np.int64),
            matrix.indptr.astype(np.int64),
            matrix.data.astype(np.float64),
        )


def _in_order(problem: ClassBalanced) -> Ints:
    """Return all rows so that those of a sequence or group lie side by side, in order of time."""
    keys: list[Any] = [np.arange(problem.dataset.size)]
    for rule in reversed(problem.constraints):
        if isinstance(rule, GroupLimit):
            keys.append(rule.labels.codes)
    for rule in reversed(problem.constraints):
        if isinstance(rule, Spacing):
            keys += [rule.position, rule.labels.codes]
    return np.lexsort(keys)


def _all_rows(problem: ClassBalanced, turning: Turning) -> tuple[csc_array, Floats]:
    """Return the rows of all constraints but spacing and fixed rows, with limits for sums.

    Limits on sums of real numbers keep half of what rounding may exceed them by.
    """
    from scipy import sparse

    parts, limits = [sparse.csr_array((0, problem.dataset.size))], [np.empty(0)]
    for rule, stated in zip(problem.constraints, turning.limits.priced, strict=True):
        if stated is None or isinstance(rule, Spacing):
            continue
        rounds = isinstance(rule, Cost | ExpectedCount)
        parts.append(stated.matrix)
        limits.append(stated.limits - rounds * np.abs(stated.limits) * KEPT_SLACK)
    return sparse.vstack(parts, format="csc"), np.concatenate(limits)


def _excluded(problem: ClassBalanced, chosen: Mask) -> Mask:
    """Return which rows ``(N,)`` some chosen row excludes by its spacing."""
    excluded = np.zeros(len(chosen), dtype=bool)
    for rule in problem.constraints:
        if isinstance(rule, Spacing):
            line = rule.timeline
            counts = np.concatenate([[0], np.cumsum(chosen[line.rows])])
            excluded[line.rows] |= counts[line.last + 1] > counts[line.first]
    return excluded


def _conflicts(problem: ClassBalanced, rows: Ints) -> tuple[Ints, Ints]:
    """Return which of some rows exclude each other, as `swap` takes it."""
    place = np.full(problem.dataset.size, -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    ones, others = [], []
    for rule in problem.constraints:
        if isinstance(rule, Spacing):
            line = rule.timeline.kept(place[rule.timeline.rows] >= 0)
            at = np.arange(len(line.rows))
            reach = line.last - at
            one = np.repeat(at, reach)
            other = one + 1 + np.arange(len(one)) - np.repeat(np.cumsum(reach) - reach, reach)
            ones += [place[line.rows[one]], place[line.rows[other]]]
            others += [place[line.rows[other]], place[line.rows[one]]]
    if not ones:
        return np.empty(0, dtype=np.int64), np.zeros(len(rows) + 1, dtype=np.int64)
    pairs = np.unique(np.stack([np.concatenate(ones), np.concatenate(others)]), axis=1)
    starts = np.searchsorted(pairs[0], np.arange(len(rows) + 1))
    return np.ascontiguousarray(pairs[1]), starts.astype(np.int64)


def _kind(problem: ClassBalanced, kernels: Any) -> tuple[int, Floats, int]:
    """Return the number of the distance, its ground cost, and how dear a proposal is."""
    if isinstance(problem.metric, Wasserstein):
        cost = np.array(problem.metric.ground_cost)
        return kernels.TRANSPORT, cost, max(problem.n_classes**2 // 4, 1)
    return norm_number(problem.metric, kernels), np.zeros((0, 0)), 1
