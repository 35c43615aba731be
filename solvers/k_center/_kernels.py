"""Loops over covers, compiled. Imported only when they run: compiling takes seconds, once."""

import numpy as np

from ...problems.arrays import Ints, Mask
from .._compiling import to_compile
from ._covered import begun, close_column, open_column, weigh_more
from .covering import Incidence


def _transposed(starts: Ints, members: Ints, count: int) -> tuple[Ints, Ints]:
    """Return compressed rows as compressed columns: for each member the sets that hold it."""
    back_starts = np.zeros(count + 1, dtype=np.int64)
    for at in range(len(members)):
        back_starts[members[at] + 1] += 1
    for k in range(count):
        back_starts[k + 1] += back_starts[k]
    fill = back_starts[:-1].copy()
    back = np.empty(len(members), dtype=np.int64)
    for k in range(len(starts) - 1):
        for at in range(starts[k], starts[k + 1]):
            back[fill[members[at]]] = k
            fill[members[at]] += 1
    return back_starts, back


def _superfluous(starts: Ints, members: Ints, count: int, larger: bool) -> Mask:
    """Return which sets lie within another, or, if `larger` is False, which hold another.

    A set is compared with those that share its rarest member, as bits; of equal sets one stays.

    Parameters
    ----------
    starts, members
        Members ``0..count-1`` of each set, in compressed rows.
    """
    n, words = len(starts) - 1, (count + 63) // 64
    bits = np.zeros((n, words), dtype=np.uint64)
    for k in range(n):
        for at in range(starts[k], starts[k + 1]):
            bits[k, members[at] // 64] |= np.uint64(1) << np.uint64(members[at] % 64)
    back_starts, back = transposed(starts, members, count)
    gone = np.zeros(n, dtype=np.bool_)
    for k in range(n):
        if gone[k] or starts[k] == starts[k + 1]:
            gone[k] = gone[k] or larger
            continue
        rarest = members[starts[k]]
        for at in range(starts[k], starts[k + 1]):
            i = members[at]
            if back_starts[i + 1] - back_starts[i] < back_starts[rarest + 1] - back_starts[rarest]:
                rarest = i
        first = members[starts[k]] // 64
        for at in range(back_starts[rarest], back_starts[rarest + 1]):
            other = back[at]
            if other == k or gone[other]:
                continue
            within = True
            for word in range(first, words):
                if bits[k, word] & ~bits[other, word]:
                    within = False
                    break
            if within and larger:
                gone[k] = True
                break
            if within:
                gone[other] = True
    return gone


def _search_cover(cover: Incidence, chosen: Ints, may_miss: int, touches: int, seed: int) -> int:
    """Look for columns that leave at most `may_miss` rows uncovered, by swaps and weights on rows.

    Tabu search on weighted rows (Zhang et al. 2020) with as many columns as `chosen` holds: pick an
    uncovered row, open one of its columns and close another, the pair that leaves the least weight
    uncovered, and where that is no less than before, make all uncovered rows heavier. What was just
    opened is not closed by the next swap, nor what was just closed opened. `chosen` becomes the
    best found; its uncovered rows are returned.

    Parameters
    ----------
    cover
        The covering matrix.
    chosen
        Columns to start from, distinct.
    touches
        Matrix entries to look at, about, before it gives up.
    """
    np.random.seed(seed)
    count, column_starts = len(chosen), cover.column_starts
    state = begun(cover, chosen, np.ones(len(cover.copies), np.int64))
    place = np.full(len(column_starts) - 1, -1, dtype=np.int64)
    shared = np.zeros(count, dtype=np.int64)
    solution = chosen.copy()
    for k in range(count):
        place[solution[k]] = k
    best, touched = state.counts[1], 0
    opened, closed = -1, -1
    while best > may_miss and touched < touches:
        i = state.open_rows[np.random.randint(state.counts[0])]
        least, ties, entering, leaving = 0, 0, -1, -1
        for at in range(cover.row_starts[i], cover.row_starts[i + 1]):
            c = cover.columns_of[at]
            if c == closed:
                continue
            touched += column_starts[c + 1] - column_starts[c] + count
            # A column's only rows are no longer lost with it where c covers them as well.
            for to in range(column_starts[c], column_starts[c + 1]):
                row = cover.rows_of[to]
                if state.times[row] == 1:
                    shared[place[state.by[row]]] += state.weight[row]
            for k in range(count):
                change = state.gain[solution[k]] - shared[k] - state.gain[c]
                shared[k] = 0
                if solution[k] == opened and count > 1:
                    continue
                if entering < 0 or change < least:
                    least, ties, entering, leaving = change, 1, c, k
                elif change == least:
                    ties += 1
                    if np.random.randint(ties) == 0:
                        entering, leaving = c, k
        touched += 1
        if entering < 0:
            opened, closed = -1, -1
            # A row without columns is never covered.
            continue
        opened, closed = entering, solution[leaving]
        solution[leaving] = opened
        place[opened], place[closed] = leaving, -1
        touched += column_starts[opened + 1] - column_starts[opened]
        open_column(cover, state, opened)
        touched += column_starts[closed + 1] - column_starts[closed]
        close_column(cover, state, closed)
        if least >= 0:
            touched += weigh_more(cover, state)
        if state.counts[1] < best:
            best = state.counts[1]
            chosen[:] = solution
    return int(best)


transposed = to_compile(_transposed)
superfluous = to_compile(_superfluous)
search_cover = to_compile(_search_cover)


def compile_for(limited: bool = False) -> None:
    """Compile all loops, or load them from the disk, by a tiny run.

    Parameters
    ----------
    limited
        Whether there are limits to keep.
    """
    if limited:
        from ._within_kernels import compile_within

        compile_within()
    starts, members = np.array([0, 1, 2]), np.array([0, 1])
    transposed(starts, members, 2)
    superfluous(starts, members, 2, True)
    cover = Incidence(starts, members, starts, members, np.ones(2, dtype=np.int64))
    search_cover(cover, np.array([0]), 0, 1, 0)
