"""What the constraints ask of the free rows while covers are looked for: as linear rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.constraints import Spacing
from ...problems.errors import InfeasibleSelection
from ...problems.pricing import Prices

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.constraints import Constraint
    from ...problems.k_center import KCenter
    from .covering import Cover
    from .sample import Sample

A_SECOND = 150_000_000
"""Matrix entries that local search looks at in a second, about."""
MOVES = 100
"""Moves of one local search for each row and column, at most, by a rough forecast."""
DROPPED = 1e-9
"""Entries up to this, in units of their row's largest, HiGHS takes for 0."""


@dataclass(frozen=True, eq=False)
class Limits:
    """Rows ``A z <= r`` over the free rows, the included ones taken off, the largest entry 1.

    Parameters
    ----------
    problem
        Whose constraints these are.
    matrix
        Sparse A ``(k, n)``, n free rows, by rows.
    limits
        r ``(k,)``.
    origins
        For each row the number of its constraint and its number among that one's rows ``(k, 2)``.
    scales
        What each row was divided by ``(k,)``.
    """

    problem: KCenter
    matrix: Any
    limits: Floats
    origins: Ints
    scales: Floats

    @cached_property
    def by_column(self) -> Any:
        """A by columns."""
        return self.matrix.tocsc()

    @cached_property
    def relaxed(self) -> Floats:
        """The limits raised by what entries may do that HiGHS takes for 0 ``(k,)``."""
        small = (np.abs(self.matrix.data) <= DROPPED).astype(np.float64)
        some = np.add.reduceat(np.append(small, 0.0), self.matrix.indptr[:-1]) > 0
        some &= np.diff(self.matrix.indptr) > 0
        return np.asarray(self.limits + some * DROPPED * self.problem.to_choose)

    @cached_property
    def apart(self) -> Ints:
        """The rows that linear programs take: of the windows of a spacing only disjoint ones.

        Windows overlap in all but one row, so that these say almost as much in a fraction of the
        entries, and what they prove is proven with the spacing itself (`utility_bound`).
        """
        kept = np.ones(len(self.limits), dtype=bool)
        starts = self.matrix.indptr
        for at, rule in enumerate(self.problem.constraints):
            rows = np.flatnonzero(self.origins[:, 0] == at)
            if not isinstance(rule, Spacing) or not len(rows):
                continue
            place = np.zeros(self.problem.dataset.size, dtype=np.int64)
            place[rule.timeline.rows] = np.arange(len(rule.timeline.rows))
            places = place[self.problem.free[self.matrix.indices]]
            reached = -1
            for row in rows:
                inside = places[starts[row] : starts[row + 1]]
                begin, end = int(inside.min()), int(inside.max())
                kept[row] = begin > reached
                reached = end if kept[row] else reached
        return np.flatnonzero(kept)

    def holds(self, rows: Ints) -> bool:
        """Return whether free rows, with the included ones, satisfy budget and constraints."""
        try:
            self.problem.check(np.concatenate([self.problem.included, rows]))
        except InfeasibleSelection:
            return False
        return True

    def cover(self, sample: Sample, radius: float) -> Cover:
        """State which free rows cover which sampled ones, with a column for every free row.

        Rows of which others' cover follows are left out. Columns are not: one that covers less
        than another may cost less, be of another group, or lie apart from what is chosen.
        """
        cover = sample.cover(radius, costly=True)
        sizes = np.zeros(len(self.problem.free), dtype=np.int64)
        sizes[cover.columns] = np.diff(cover.column_starts)
        return replace(
            cover,
            columns_of=cover.columns[cover.columns_of],
            column_starts=np.concatenate([[0], np.cumsum(sizes)]),
            columns=np.arange(len(sizes)),
        )

    def search(self, cover: Cover, chosen: Ints, touches: int, seed: int, seconds: float) -> bool:
        """Look for columns that cover all rows but outliers and keep the limits: local search.

        Parameters
        ----------
        cover
            From `cover`.
        chosen
            Columns to start from, as many as there are to choose; becomes the best found.
        touches
            Entries of matrices that it looks at, at most.
        seed
            Seed.
        seconds
            What is left of the clock.
        """
        from ._within_kernels import LimitRows, search_within

        columns = self.by_column
        may_miss, count = self.problem.outliers, max(len(chosen), 1)
        width = int(np.count_nonzero(np.diff(cover.column_starts)))
        entries = len(cover.columns_of) + len(columns.data)
        a_move = 2 * entries // count + count * (
            1 + len(columns.data) // max(len(cover.columns), 1)
        )
        touches = min(touches, MOVES * (len(cover.rows) + width) * a_move)
        rows = LimitRows(
            self.matrix.indptr.astype(np.int64),
            self.matrix.indices.astype(np.int64),
            columns.indptr.astype(np.int64),
            columns.indices.astype(np.int64),
            columns.data,
            self.limits,
        )
        most = min(touches, int(min(seconds, 1e6) * A_SECOND) + 1_000)
        missed = search_within(cover.incidence, rows, chosen, may_miss, most, seed)
        return missed <= may_miss and self.holds(self.problem.free[chosen])

    def prices(self, rows: Ints, duals: Floats, budget: float) -> Prices:
        """Return the prices of the constraints' own rows from duals of some of these."""
        problem, listed, every = self.problem, [], np.zeros(len(self.limits))
        every[rows] = duals
        first = next(
            (at for at, rule in enumerate(problem.constraints) if isinstance(rule, Spacing)), -1
        )
        for at, rule in enumerate(problem.constraints):
            mine = np.flatnonzero((self.origins[:, 0] == at) & (every > 0))
            if at == first or not len(mine):
                listed.append(np.empty(0))
                continue
            y = np.zeros(len(rule.linear(problem.dataset).limits))
            y[self.origins[mine, 1]] = every[mine] / self.scales[mine]
            listed.append(y)
        return Prices(budget, tuple(listed))


def make_limits(problem: KCenter) -> Limits | None:
    """Return the limits of a problem whose constraints do more than include and forbid rows."""
    if not problem.is_limited:
        return None
    from scipy.sparse import csr_array, vstack

    parts: list[Any] = [csr_array((0, len(problem.free)))]
    limits, origins, scales = [np.empty(0)], [np.empty((0, 2), np.int64)], [np.empty(0)]
    for at, rule in enumerate(problem.constraints):
        matrix, left, kept = _binding(rule, problem)
        largest = abs(matrix).max(axis=1).toarray().ravel() if len(kept) else np.empty(0)
        largest = np.where(largest > 0, largest, 1.0)
        parts.append(csr_array(matrix.multiply(1.0 / largest[:, None])))
        limits.append(left / largest)
        origins.append(np.stack([np.full(len(kept), at), kept], axis=1))
        scales.append(largest)
    stacked = vstack(parts, format="csr")
    return Limits(
        problem,
        stacked,
        np.concatenate(limits),
        np.concatenate(origins).astype(np.int64),
        np.concatenate(scales),
    )


def _binding(rule: Constraint, problem: KCenter) -> tuple[Any, Floats, Ints]:
    """Return a constraint's rows over the free rows, what they leave, and which rows may bind."""
    linear = rule.linear(problem.dataset)
    left = linear.left(problem.included)
    matrix, kept = linear.binding(problem.free, left)
    matrix.eliminate_zeros()
    return matrix, left[kept], kept


def limit_entries(problem: KCenter) -> int:
    """Return about how many entries the limits have, for forecasts of memory."""
    if not problem.is_limited:
        return 0
    return sum(
        rule.timeline.window_entries() if isinstance(rule, Spacing) else len(problem.candidates)
        for rule in problem.constraints
    )
