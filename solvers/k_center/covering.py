"""Covering at one radius: which columns cover which rows, reduced to what matters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints, Mask

ROUNDS = 5
"""Reductions by turns at most; the last rounds hardly find anything."""


class Incidence(NamedTuple):
    """A covering matrix as compiled loops take it; see `Cover`.

    Parameters
    ----------
    row_starts, columns_of, column_starts, rows_of
        The matrix by rows and by columns, compressed.
    copies
        How many dataset rows each row stands for ``(m,)``.
    """

    row_starts: Ints
    columns_of: Ints
    column_starts: Ints
    rows_of: Ints
    copies: Ints


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

    @property
    def incidence(self) -> Incidence:
        """The matrix as compiled loops take it."""
        parts = self.row_starts, self.columns_of, self.column_starts, self.rows_of
        return Incidence(*parts, self.copies)

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


def narrowed(cover: Cover, kept: Mask, *, outliers: bool) -> Cover:
    """Reduce a cover anew with some of its columns left.

    Parameters
    ----------
    cover
        A cover with columns that are interchangeable.
    kept
        Which columns are left ``(n,)``.
    outliers
        Whether rows may stay uncovered.
    """
    starts, members, left = _only(cover.row_starts, cover.columns_of, kept)
    inner = make_cover(starts, members, len(left), outliers=outliers)
    stands = np.where(cover.stands < 0, -1, inner.stands[cover.stands])
    return replace(
        inner,
        rows=cover.rows[inner.rows],
        columns=cover.columns[left[inner.columns]],
        needed=cover.needed,
        stands=stands,
    )


def make_cover(
    starts: Ints, members: Ints, width: int, *, outliers: bool, costly: bool = False
) -> Cover:
    """Reduce a covering matrix to the rows and columns that matter.

    A column that covers no more rows than another is never needed: this holds with outliers, and
    fails where columns differ in more than what they cover (`costly`). A row whose columns include
    all of another's is covered with it, which needs every row covered; with outliers only rows of
    the same columns become one, with as many copies.

    Parameters
    ----------
    starts, members
        The columns ``0..width-1`` that cover each row, in compressed rows.
    width
        How many columns there are.
    outliers
        Whether rows may stay uncovered.
    costly
        Whether columns are not interchangeable, as under class balance.
    """
    from ._kernels import superfluous, transposed

    rows, columns = np.arange(len(starts) - 1), np.arange(width)
    stands = rows.copy()
    starts, members, columns = _only(starts, members, np.bincount(members, minlength=width) > 0)
    # Twice transposed, each row's columns ascend.
    starts, members = transposed(*transposed(starts, members, len(columns)), len(rows))
    for _ in range(ROUNDS):
        before = len(rows), len(columns)
        if not costly:
            back_starts, back = transposed(starts, members, len(columns))
            kept = ~superfluous(back_starts, back, len(rows), True)
            starts, members, left = _only(starts, members, kept)
            columns = columns[left]
        if outliers:
            first, kind = _kinds(starts, members)
        else:
            left_rows = ~superfluous(starts, members, len(columns), False)
            first = np.flatnonzero(left_rows)
            kind = np.where(left_rows, np.cumsum(left_rows) - 1, -1)
        stands = np.where(stands < 0, -1, kind[stands])
        rows = rows[first]
        starts, members = _rows(starts, members, first)
        if (len(rows), len(columns)) == before:
            break
    column_starts, rows_of = transposed(starts, members, len(columns))
    needed = np.arange(len(stands))
    return Cover(starts, members, column_starts, rows_of, rows, columns, needed, stands)


def _only(starts: Ints, members: Ints, kept: Mask) -> tuple[Ints, Ints, Ints]:
    """Return compressed rows with some columns left, renumbered, and which those are."""
    inside = kept[members]
    counts = np.concatenate([[0], np.cumsum(inside)])
    number = np.cumsum(kept) - 1
    return counts[starts], number[members[inside]], np.flatnonzero(kept)


def _rows(starts: Ints, members: Ints, kept: Ints) -> tuple[Ints, Ints]:
    """Return some of the compressed rows."""
    sizes = np.diff(starts)[kept]
    new = np.concatenate([[0], np.cumsum(sizes)])
    at = np.repeat(starts[kept] - new[:-1], sizes) + np.arange(new[-1])
    return new, members[at]


def _kinds(starts: Ints, members: Ints) -> tuple[Ints, Ints]:
    """Return the first row of each kind, ascending, and the kind of each row."""
    kinds: dict[bytes, int] = {}
    kind = np.empty(len(starts) - 1, dtype=np.int64)
    first: list[int] = []
    for row in range(len(kind)):
        key = members[starts[row] : starts[row + 1]].tobytes()
        kind[row] = kinds.setdefault(key, len(kinds))
        if kind[row] == len(first):
            first.append(row)
    return np.array(first, dtype=np.int64), kind


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
