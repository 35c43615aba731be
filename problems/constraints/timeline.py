"""Rows in order of time, and how far each one reaches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..memory import require_memory

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..arrays import Ints, Mask


ENTRY = 72
"""Bytes that a row of a window takes at the peak, in pairs and then in a sparse matrix."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """Some rows by sequence and position, with the rows that each excludes.

    Places ``k`` and ``l > k`` exclude each other exactly if ``l <= last[k]``; so every window
    ``k..last[k]`` is a clique, and no row excludes another but inside a window.

    Parameters
    ----------
    rows
        Rows ``(n,)`` by sequence, then position, then row.
    last
        The last place that each place excludes ``(n,)``, itself if none; it never falls.
    starts
        The place where each sequence begins, and n at the end.
    """

    rows: Ints
    last: Ints
    starts: Ints

    @cached_property
    def first(self) -> Ints:
        """The first place that each place excludes ``(n,)``, itself if none."""
        return np.searchsorted(self.last, np.arange(len(self.rows)))

    def window_entries(self) -> int:
        """Return how many pairs `windows` has: rows times the length of a window, where long."""
        _, sizes = self._largest()
        return int(sizes.sum())

    def windows(self) -> tuple[Ints, Ints]:
        """Return each largest window's number and rows, one pair for each member of a window.

        Raises
        ------
        NotEnoughMemory
            If they do not fit: wide windows overlap, and each has all of its rows.
        """
        begins, sizes = self._largest()
        require_memory(
            ENTRY * int(sizes.sum()),
            f"spacing: {len(begins):,} windows of {sizes.mean() if len(sizes) else 0:,.0f} rows",
            "shorten exclude_within, thin out the candidates, or take method 'greedy' or 'random'",
        )
        offsets = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        members = self.rows[np.repeat(begins, sizes) + offsets]
        return np.repeat(np.arange(len(begins)), sizes), members

    def _largest(self) -> tuple[Ints, Ints]:
        """Return where each largest window begins, and how many places it has."""
        grows = self.last > np.concatenate([[-1], self.last[:-1]])
        begins = np.flatnonzero(grows & (self.last > np.arange(len(self.last))))
        return begins, self.last[begins] - begins + 1

    def kept(self, keep: Mask) -> Timeline:
        """Return the timeline of some of its rows, by a mask ``(n,)`` of places."""
        before = np.concatenate([[0], np.cumsum(keep)])
        last = before[self.last[keep] + 1] - 1
        return Timeline(self.rows[keep], last, before[self.starts])


def make_timeline(
    rows: Ints, sequence: Ints, position: npt.NDArray[Any], exclude_within: Any
) -> Timeline:
    """Sort rows by time and find what each excludes.

    Parameters
    ----------
    rows
        Rows to sort.
    sequence, position
        Number of the sequence and position in it ``(N,)`` of every row.
    exclude_within
        Two rows i and j of a sequence exclude each other if
        ``position[j] - position[i] <= exclude_within``, the later less the earlier.
    """
    order = _sorted(rows, sequence, position)
    codes, places = sequence[order], position[order]
    begins = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]])[: len(order)])
    starts = np.concatenate([begins, [len(order)]])
    last = np.arange(len(order))
    ends = np.repeat(starts[1:], np.diff(starts)) - 1
    # Steps double until one leads too far, and then halve: most windows are short.
    far = ends.copy()
    at, step = np.flatnonzero(last < far), 1
    while len(at):
        ahead = np.minimum(last[at] + step, far[at])
        near = places[ahead] - places[at] <= exclude_within
        last[at[near]] = ahead[near]
        far[at[~near]] = ahead[~near] - 1
        at, step = at[near & (ahead < far[at])], 2 * step
    at = np.flatnonzero(last < far)
    while len(at):
        middle = (last[at] + far[at] + 1) // 2
        near = places[middle] - places[at] <= exclude_within
        last[at[near]] = middle[near]
        far[at[~near]] = middle[~near] - 1
        at = at[last[at] < far[at]]
    return Timeline(order, last, starts)


def _sorted(rows: Ints, sequence: Ints, position: npt.NDArray[Any]) -> Ints:
    """Return rows by sequence, position and row; data mostly come in this order."""
    codes, places = sequence[rows], position[rows]
    same = codes[1:] == codes[:-1]
    tied = same & (places[1:] == places[:-1])
    later = (codes[1:] > codes[:-1]) | (same & (places[1:] > places[:-1]))
    if (later | (tied & (rows[1:] > rows[:-1]))).all():
        return rows.copy()
    return rows[np.lexsort((rows, places, codes))]
