"""Loops over covers, compiled. Imported only when they run: compiling takes seconds, once."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from ...problems.arrays import Ints, Mask


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function, and keep the result on disk where some folder can be written."""
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:
        return numba.njit(function)


def _dominated(
    bits: Any, starts: Ints, members: Ints, back_starts: Ints, back: Ints, larger: bool
) -> Mask:
    """Return which sets are contained in another (or contain another, if `larger` is False).

    A set is compared with those that share its rarest member; of equal sets the first one stays.

    Parameters
    ----------
    bits
        The sets as bits ``(n, words)`` uint64.
    starts, members
        Members of each set, by compressed rows.
    back_starts, back
        Sets that hold each member, likewise.
    larger
        True drops the sets within others, False those that have others within.
    """
    n, words = bits.shape
    gone = np.zeros(n, dtype=np.bool_)
    for k in range(n):
        if larger and gone[k]:
            continue
        rarest, fewest = -1, 1 << 62
        for at in range(starts[k], starts[k + 1]):
            count = back_starts[members[at] + 1] - back_starts[members[at]]
            if count < fewest:
                rarest, fewest = members[at], count
        if rarest < 0:
            if larger:
                gone[k] = True
            continue
        if not larger and gone[k]:
            continue
        for at in range(back_starts[rarest], back_starts[rarest + 1]):
            other = back[at]
            if other == k or gone[other]:
                continue
            inside = True
            for word in range(words):
                if bits[k, word] & ~bits[other, word]:
                    inside = False
                    break
            if not inside:
                continue
            # Here set k lies within the other one.
            if larger:
                gone[k] = True
                break
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


dominated = _compiled(_dominated)
search_cover = _compiled(_search_cover)
