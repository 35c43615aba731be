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
    steps: int,
    seed: int,
) -> int:
    """Look for columns that leave at most `may_miss` rows uncovered, by weighting rows.

    Row weighting local search (Gao et al. 2015) with as many columns as `chosen` holds: close the
    column that loses least, pick an uncovered row, open the column of it that gains most, and make
    all uncovered rows heavier. `chosen` becomes the best found; its uncovered rows are returned.

    Parameters
    ----------
    row_starts, columns_of, column_starts, rows_of
        The covering matrix by rows and by columns, compressed.
    copies
        How many dataset rows each row stands for.
    chosen
        Columns to start from, distinct.
    """
    np.random.seed(seed)
    m, n, count = len(row_starts) - 1, len(column_starts) - 1, len(chosen)
    weight = np.ones(m, dtype=np.int64)
    covered = np.zeros(m, dtype=np.int64)
    # With one chosen column on a row, the sum of its columns is that column.
    by = np.zeros(m, dtype=np.int64)
    gain = np.zeros(n, dtype=np.int64)
    place = np.full(n, -1, dtype=np.int64)
    moved = np.zeros(n, dtype=np.int64)
    may_open = np.ones(n, dtype=np.bool_)
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
    best = missed
    closed = -1
    for step in range(1, steps + 1):
        if best <= may_miss:
            break
        # Close the column whose rows weigh least, the one that moved longest ago on ties.
        worst = -1
        for k in range(count):
            c = solution[k]
            if c == closed:
                continue
            if (
                worst < 0
                or gain[c] < gain[worst]
                or (gain[c] == gain[worst] and moved[c] < moved[worst])
            ):
                worst = c
        if worst < 0:
            worst = solution[0]
        k = place[worst]
        place[worst] = -1
        moved[worst] = step
        may_open[worst] = False
        for at in range(column_starts[worst], column_starts[worst + 1]):
            i = rows_of[at]
            covered[i] -= 1
            by[i] -= worst
            if covered[i] == 0:
                where[i] = left
                open_rows[left] = i
                left += 1
                missed += copies[i]
                for to in range(row_starts[i], row_starts[i + 1]):
                    c = columns_of[to]
                    if c != worst:
                        gain[c] += weight[i]
                    may_open[c] = c != worst
            elif covered[i] == 1:
                gain[by[i]] += weight[i]
                for to in range(row_starts[i], row_starts[i + 1]):
                    may_open[columns_of[to]] = columns_of[to] != worst
        # Its gain is what it lost: the weight of its rows that nobody else covers.
        i = open_rows[np.random.randint(left)]
        opened, allowed = -1, False
        for at in range(row_starts[i], row_starts[i + 1]):
            c = columns_of[at]
            # A row whose columns are all barred opens the best of them all the same.
            if allowed and not may_open[c]:
                continue
            if (
                opened < 0
                or may_open[c] != allowed
                or gain[c] > gain[opened]
                or (gain[c] == gain[opened] and moved[c] < moved[opened])
            ):
                opened = c
                allowed = may_open[c]
        if opened < 0:
            opened = worst
        solution[k] = opened
        place[opened] = k
        moved[opened] = step
        closed = opened
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
                    c = columns_of[to]
                    if c != opened:
                        gain[c] -= weight[i]
                        may_open[c] = True
            elif covered[i] == 2:
                gain[by[i] - opened] -= weight[i]
        for at in range(left):
            i = open_rows[at]
            weight[i] += 1
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
