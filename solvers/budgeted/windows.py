"""The windows of a spacing as rows of a model: what lies in each is at most one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from .structure import Structure

SPARED = 4
"""How many times as many entries plain rows must have for sums to take their place."""


@dataclass(frozen=True, eq=False)
class Windows:
    r"""Rows over some places z and, where windows are wide, over sums s of them.

    Windows overlap, so that as plain rows all of them have as many entries as places times places
    in a window. By sums from the left, :math:`s_t = s_{t-1} + z_t`, a window takes two,
    :math:`s_{\text{end}} - s_{\text{before}} \le 1`, and a place three.

    Parameters
    ----------
    matrix
        Rows ``(m, n + e)``, sparse: the places come first, then e sums.
    lower, upper
        Limits of the rows ``(m,)``.
    summed
        The places that are summed up, ascending ``(e,)``.
    starts
        Which of them begin a new sum, ascending.
    """

    matrix: Any
    lower: Floats
    upper: Floats
    summed: Ints
    starts: Ints

    def with_sums(self, values: Floats) -> Floats:
        """Return values of the places ``(n,)`` followed by the sums that go with them."""
        sums = np.cumsum(values[self.summed])
        before = np.concatenate([[0.0], sums])[self.starts]
        sizes = np.diff(np.append(self.starts, len(sums)))
        return np.concatenate([values, sums - np.repeat(before, sizes)])


def windows_among(structure: Structure, places: Ints, *, plain: bool = False) -> Windows:
    """Return a row for each largest run of some places of which each two exclude each other.

    Parameters
    ----------
    structure, places
        Places, ascending.
    plain
        Do without sums.
    """
    reach = np.searchsorted(places, structure.last[places], side="right")
    begins = np.flatnonzero(reach > np.concatenate([[0], reach[:-1]])) if len(places) else reach
    begins = begins[reach[begins] - begins > 1]
    ends = reach[begins]
    if plain or (ends - begins).sum() <= SPARED * (3 * len(places) + 2 * len(begins)):
        return _plain(begins, ends, len(places))
    return _summed(begins, ends, len(places))


def _plain(begins: Ints, ends: Ints, count: int) -> Windows:
    from scipy import sparse

    sizes = ends - begins
    inner = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    members = np.repeat(begins, sizes) + inner
    rows = np.repeat(np.arange(len(begins)), sizes)
    shape = (len(begins), count)
    matrix = sparse.csr_array((np.ones(len(rows)), (rows, members)), shape=shape)
    none = np.empty(0, dtype=np.int64)
    return Windows(matrix, np.full(shape[0], -np.inf), np.ones(shape[0]), none, none)


def _summed(begins: Ints, ends: Ints, count: int) -> Windows:
    from scipy import sparse

    depth = np.zeros(count + 1, dtype=np.int64)
    np.add.at(depth, begins, 1)
    np.add.at(depth, ends, -1)
    covered = np.cumsum(depth[:-1])
    summed = np.flatnonzero(covered)
    # A place that no window holds together with the one before it begins a new sum.
    joined = np.zeros(count, dtype=bool)
    joined[1:] = covered[1:] > np.bincount(begins, minlength=count)[1:]
    starts = np.flatnonzero(~joined[summed])
    number = np.cumsum(covered > 0) - 1 + count
    every, following = np.arange(len(summed)), np.flatnonzero(joined[summed])
    window = len(summed) + np.arange(len(begins))
    after = np.flatnonzero(joined[begins])
    entries = (
        (every, number[summed], 1.0),
        (every, summed, -1.0),
        (following, number[summed[following]] - 1, -1.0),
        (window, number[ends - 1], 1.0),
        (window[after], number[begins[after]] - 1, -1.0),
    )
    rows, columns = (np.concatenate([entry[at] for entry in entries]) for at in (0, 1))
    values = np.concatenate([np.full(len(row), value) for row, _, value in entries])
    shape = (len(summed) + len(begins), count + len(summed))
    lower = np.concatenate([np.zeros(len(summed)), np.full(len(begins), -np.inf)])
    upper = np.concatenate([np.zeros(len(summed)), np.ones(len(begins))])
    matrix = sparse.csr_array((values, (rows, columns)), shape=shape)
    return Windows(matrix, lower, upper, summed, starts)
