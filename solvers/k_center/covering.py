"""Covering at one radius: which columns cover which rows, reduced to what matters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints, Mask

ROUNDS = 5
"""Reductions by turns at most; the last rounds hardly find anything."""


@dataclass(frozen=True, eq=False)
class Cover:
    """A set-covering instance in compressed rows and columns.

    Parameters
    ----------
    row_starts, columns_of
        The columns that cover each row.
    column_starts, rows_of
        The rows that each column covers.
    rows
        What each row stands for: a position among the sampled rows ``(m,)``.
    columns
        What each column stands for: a position among the free rows ``(n,)``.
    needed
        The sampled rows that need cover ``(k,)``.
    stands
        The row that stands for each of them, -1 where its cover follows from others'.
    """

    row_starts: Ints
    columns_of: Ints
    column_starts: Ints
    rows_of: Ints
    rows: Ints
    columns: Ints
    needed: Ints
    stands: Ints

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.rows), len(self.columns)

    @cached_property
    def copies(self) -> Ints:
        """How many sampled rows each row stands for ``(m,)``."""
        return np.bincount(self.stands[self.stands >= 0], minlength=len(self.rows))

    @cached_property
    def matrix(self) -> Any:
        """The sparse 0-1 matrix ``(m, n)``."""
        from scipy.sparse import csr_array

        values = np.ones(len(self.columns_of))
        return csr_array((values, self.columns_of, self.row_starts), shape=self.shape)

    @cached_property
    def groups(self) -> Ints:
        """The connected part of each row ``(m,)``: no column covers rows of two."""
        from scipy.sparse.csgraph import connected_components

        m = len(self.rows)
        both = self.matrix @ self.matrix.T if m <= 400 else None
        if both is not None:
            return np.asarray(connected_components(both, directed=False)[1], dtype=np.int64)
        from scipy.sparse import block_array

        whole = block_array([[None, self.matrix], [self.matrix.T, None]])
        return np.asarray(connected_components(whole, directed=False)[1][:m], dtype=np.int64)


def make_cover(covers: Mask, *, outliers: bool, costly: bool = False) -> Cover:
    """Reduce a covering matrix to the rows and columns that matter.

    Columns that cover the same rows are one, and a column within another is never needed: both hold
    with outliers, and fail where columns differ in more than what they cover (`costly`). A row whose
    columns include all of another's is covered with it, which needs every row covered; with
    outliers only rows of the same columns become one, with as many copies.

    Parameters
    ----------
    covers
        Mask ``(m, n)``: whether a free row covers a sampled one.
    outliers
        Whether rows may stay uncovered.
    costly
        Whether columns are not interchangeable, as under class balance.

    Returns
    -------
    Cover
        With at least one column for each row, or an empty row where nothing covers it.
    """
    rows = np.arange(covers.shape[0])
    columns = np.flatnonzero(covers.any(axis=0))
    covers = covers[:, columns]
    stands = rows.copy()
    for _ in range(ROUNDS):
        before = covers.shape
        if not costly:
            kept = _distinct(covers.T)[0]
            covers, columns = covers[:, kept], columns[kept]
            kept = ~_contained(covers.T, larger=True)
            covers, columns = covers[:, kept], columns[kept]
        kept, which = _distinct(covers)
        covers, rows = covers[kept], rows[kept]
        stands = np.where(stands < 0, -1, which[stands])
        if not outliers:
            left = ~_contained(covers, larger=False)
            covers, rows = covers[left], rows[left]
            stands = np.where(stands < 0, -1, np.where(left, np.cumsum(left) - 1, -1)[stands])
        if covers.shape == before:
            break
    row_starts, columns_of = _compressed(covers)
    column_starts, rows_of = _compressed(covers.T)
    return Cover(row_starts, columns_of, column_starts, rows_of, rows, columns, np.arange(len(stands)), stands)


def _distinct(sets: Mask) -> tuple[Ints, Ints]:
    """Return the first of each kind of rows, ascending, and the kind of each row."""
    if not sets.size:
        return np.arange(len(sets)), np.arange(len(sets))
    packed = np.ascontiguousarray(np.packbits(sets, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return first[order], place[which]


def _contained(sets: Mask, *, larger: bool) -> Mask:
    from ._kernels import dominated

    if not sets.size:
        return np.zeros(len(sets), dtype=bool)
    width = -(-sets.shape[1] // 64) * 8
    packed = np.zeros((len(sets), width), dtype=np.uint8)
    bits = np.packbits(sets, axis=1)
    packed[:, : bits.shape[1]] = bits
    starts, members = _compressed(sets)
    back_starts, back = _compressed(sets.T)
    return np.asarray(
        dominated(packed.view(np.uint64), starts, members, back_starts, back, larger)
    )


def _compressed(sets: Mask) -> tuple[Ints, Ints]:
    sets = np.ascontiguousarray(sets)
    starts = np.zeros(len(sets) + 1, dtype=np.int64)
    np.cumsum(np.count_nonzero(sets, axis=1), out=starts[1:])
    return starts, np.nonzero(sets)[1].astype(np.int64)


def greedy_cover(cover: Cover, count: int) -> Ints:
    """Return `count` columns, each the one that covers most rows still uncovered."""
    matrix = cover.matrix
    left = cover.copies.astype(np.float64)
    gains: Floats = np.asarray(matrix.T @ left)
    chosen: list[int] = []
    for _ in range(min(count, len(cover.columns))):
        best = int(gains.argmax())
        chosen.append(best)
        rows = cover.rows_of[cover.column_starts[best] : cover.column_starts[best + 1]]
        newly = rows[left[rows] > 0]
        gains -= matrix[newly].T @ left[newly]
        left[newly] = 0.0
        gains[best] = -np.inf
    return np.array(chosen, dtype=np.int64)
