"""Loops over covers, compiled. Imported only when they run: compiling takes seconds, once."""

import numpy as np

from ...problems.arrays import Ints, Mask
from .._compiling import to_compile


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


def _search_cover(
    row_starts: Ints,
    columns_of: Ints,
    column_starts: Ints,
    rows_of: Ints,
    copies: Ints,
    chosen: Ints,
    may_miss: int,
    touches: int,
    seed: int,
) -> int:
    """Look for columns that leave at most `may_miss` rows uncovered, by swaps and weights on rows.

    Tabu search on weighted rows (Zhang et al. 2020) with as many columns as `chosen` holds: pick an
    uncovered row, open one of its columns and close another, the pair that leaves the least weight
    uncovered, and where that is no less than before, make all uncovered rows heavier. What was just
    opened is not closed by the next swap, nor what was just closed opened. `chosen` becomes the
    best found; its uncovered rows are returned.

    Parameters
    ----------
    row_starts, columns_of, column_starts, rows_of
        The covering matrix by rows and by columns, compressed.
    copies
        How many dataset rows each row stands for.
    chosen
        Columns to start from, distinct.
    touches
        Matrix entries to look at, about, before it gives up.
    """
    np.random.seed(seed)
    m, n, count = len(row_starts) - 1, len(column_starts) - 1, len(chosen)
    weight = np.ones(m, dtype=np.int64)
    covered = np.zeros(m, dtype=np.int64)
    # With one chosen column on a row, the sum of its columns is that column.
    by = np.zeros(m, dtype=np.int64)
    # What a column would cover anew, or if chosen what nobody else covers, by weight.
    gain = np.zeros(n, dtype=np.int64)
    place = np.full(n, -1, dtype=np.int64)
    shared = np.zeros(count, dtype=np.int64)
    open_rows, where = np.empty(m, dtype=np.int64), np.empty(m, dtype=np.int64)
    solution = chosen.copy()
    for k in range(count):
        place[solution[k]] = k
        for at in range(column_starts[solution[k]], column_starts[solution[k] + 1]):
            covered[rows_of[at]] += 1
            by[rows_of[at]] += solution[k]
    left, missed = 0, 0
    for i in range(m):
        if covered[i] == 0:
            where[i] = left
            open_rows[left] = i
            left += 1
            missed += copies[i]
            for at in range(row_starts[i], row_starts[i + 1]):
                gain[columns_of[at]] += 1
        elif covered[i] == 1:
            gain[by[i]] += 1
    best, touched = missed, 0
    opened, closed = -1, -1
    while best > may_miss and touched < touches:
        i = open_rows[np.random.randint(left)]
        least, ties, entering, leaving = 0, 0, -1, -1
        for at in range(row_starts[i], row_starts[i + 1]):
            c = columns_of[at]
            if c == closed:
                continue
            touched += column_starts[c + 1] - column_starts[c] + count
            # A column's only rows are no longer lost with it where c covers them as well.
            for to in range(column_starts[c], column_starts[c + 1]):
                if covered[rows_of[to]] == 1:
                    shared[place[by[rows_of[to]]]] += weight[rows_of[to]]
            for k in range(count):
                change = gain[solution[k]] - shared[k] - gain[c]
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
        gain[opened] = 0
        touched += column_starts[opened + 1] - column_starts[opened]
        for at in range(column_starts[opened], column_starts[opened + 1]):
            i = rows_of[at]
            covered[i] += 1
            by[i] += opened
            if covered[i] == 1:
                left -= 1
                open_rows[where[i]] = open_rows[left]
                where[open_rows[left]] = where[i]
                missed -= copies[i]
                for to in range(row_starts[i], row_starts[i + 1]):
                    if columns_of[to] != opened:
                        gain[columns_of[to]] -= weight[i]
                gain[opened] += weight[i]
            elif covered[i] == 2:
                gain[by[i] - opened] -= weight[i]
        gain[closed] = 0
        touched += column_starts[closed + 1] - column_starts[closed]
        for at in range(column_starts[closed], column_starts[closed + 1]):
            i = rows_of[at]
            covered[i] -= 1
            by[i] -= closed
            if covered[i] == 0:
                where[i] = left
                open_rows[left] = i
                left += 1
                missed += copies[i]
                for to in range(row_starts[i], row_starts[i + 1]):
                    if columns_of[to] != closed:
                        gain[columns_of[to]] += weight[i]
                gain[closed] += weight[i]
            elif covered[i] == 1:
                gain[by[i]] += weight[i]
        if least >= 0:
            for at in range(left):
                i = open_rows[at]
                weight[i] += 1
                touched += row_starts[i + 1] - row_starts[i]
                for to in range(row_starts[i], row_starts[i + 1]):
                    gain[columns_of[to]] += 1
        if missed < best:
            best = missed
            chosen[:] = solution
    return best


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
    chosen, copies = np.array([0]), np.ones(2, dtype=np.int64)
    search_cover(starts, members, starts, members, copies, chosen, 0, 1, 0)
