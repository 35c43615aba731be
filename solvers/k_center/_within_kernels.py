"""The loop that looks for covers within limits, compiled. Imported only when it runs."""

import numpy as np

from ...problems.arrays import Floats, Ints
from .._compiling import to_compile

LOOSE = 1e-9
"""By which a limit, in units of its row's largest entry, may be exceeded by rounding."""
RECENT = 3
"""Steps during which a closed column is not opened again."""
DRAWN = 64
"""Columns that are looked at where no row asks for some."""


def _search_within(
    row_starts: Ints,
    columns_of: Ints,
    column_starts: Ints,
    rows_of: Ints,
    copies: Ints,
    chosen: Ints,
    may_miss: int,
    entry_starts: Ints,
    entry_columns: Ints,
    limit_starts: Ints,
    limits_of: Ints,
    uses: Floats,
    limits: Floats,
    touches: int,
    seed: int,
) -> int:
    """Look for columns that leave at most `may_miss` rows uncovered and keep all limits.

    As `search_cover`, with as many columns as `chosen` holds; limits are rows as well, whose excess
    counts by a price that rises while it lasts. `chosen` becomes the best found that keeps all
    limits, and its uncovered rows are returned; more than there are if none does.

    Parameters
    ----------
    row_starts, columns_of, column_starts, rows_of, copies
        The covering matrix over all columns, as in `search_cover`.
    chosen
        Columns to start from, distinct.
    entry_starts, entry_columns
        The columns of each limit, compressed.
    limit_starts, limits_of, uses
        The limits of each column and what it uses of them, compressed.
    limits
        What may be used; below 0 for limits from below, where uses are below 0 too.
    touches
        Entries to look at, at most.
    """
    np.random.seed(seed)
    m, n, count, size = len(copies), len(column_starts) - 1, len(chosen), len(limits)
    weight, price = np.ones(m), np.ones(size)
    covered = np.zeros(m, dtype=np.int64)
    # With one chosen column on a row, the sum of its columns is that column.
    by = np.zeros(m, dtype=np.int64)
    gain = np.zeros(n)
    used = np.zeros(size)
    place = np.full(n, -1, dtype=np.int64)
    moved = np.full(n, -RECENT - 1, dtype=np.int64)
    open_rows, where = np.empty(m, dtype=np.int64), np.empty(m, dtype=np.int64)
    broken, at_broken = np.empty(size, dtype=np.int64), np.full(size, -1, dtype=np.int64)
    solution = chosen.copy()
    for k in range(count):
        c = solution[k]
        place[c] = k
        for at in range(column_starts[c], column_starts[c + 1]):
            covered[rows_of[at]] += 1
            by[rows_of[at]] += c
        for at in range(limit_starts[c], limit_starts[c + 1]):
            used[limits_of[at]] += uses[at]
    excesses = 0
    for r in range(size):
        if used[r] > limits[r] + LOOSE:
            at_broken[r] = excesses
            broken[excesses] = r
            excesses += 1
    left, missed, everything = 0, 0, 1
    for i in range(m):
        everything += copies[i]
        if covered[i] == 0:
            where[i] = left
            open_rows[left] = i
            left += 1
            missed += copies[i]
            for at in range(row_starts[i], row_starts[i + 1]):
                gain[columns_of[at]] += 1.0
        elif covered[i] == 1:
            gain[by[i]] += 1.0
    best = missed if excesses == 0 else everything
    opened, step, work = -1, 0, 0
    while best > may_miss and work < touches:
        step += 1
        # Close the column that loses least, the one that moved longest ago on ties.
        worst, lowest = -1, np.inf
        for k in range(count):
            c = solution[k]
            if c == opened and count > 1:
                continue
            loss = gain[c]
            work += 1 + limit_starts[c + 1] - limit_starts[c]
            for at in range(limit_starts[c], limit_starts[c + 1]):
                r = limits_of[at]
                before = max(used[r] - limits[r], 0.0)
                loss += price[r] * (max(used[r] - uses[at] - limits[r], 0.0) - before)
            if loss < lowest or (loss == lowest and moved[c] < moved[worst]):
                worst, lowest = c, loss
        k = place[worst]
        place[worst] = -1
        moved[worst] = step
        work += column_starts[worst + 1] - column_starts[worst]
        for at in range(column_starts[worst], column_starts[worst + 1]):
            i = rows_of[at]
            covered[i] -= 1
            by[i] -= worst
            if covered[i] == 0:
                where[i] = left
                open_rows[left] = i
                left += 1
                missed += copies[i]
                work += row_starts[i + 1] - row_starts[i]
                for to in range(row_starts[i], row_starts[i + 1]):
                    if columns_of[to] != worst:
                        gain[columns_of[to]] += weight[i]
            elif covered[i] == 1:
                gain[by[i]] += weight[i]
        for turn in range(2):
            # First what the closed column leaves, then, once one is opened, what that brings.
            c, sign = (worst, -1.0) if turn == 0 else (opened, 1.0)
            if turn == 1:
                solution[k] = c
                place[c] = k
                moved[c] = step
                work += column_starts[c + 1] - column_starts[c]
                for at in range(column_starts[c], column_starts[c + 1]):
                    i = rows_of[at]
                    covered[i] += 1
                    by[i] += c
                    if covered[i] == 1:
                        left -= 1
                        open_rows[where[i]] = open_rows[left]
                        where[open_rows[left]] = where[i]
                        missed -= copies[i]
                        work += row_starts[i + 1] - row_starts[i]
                        for to in range(row_starts[i], row_starts[i + 1]):
                            if columns_of[to] != c:
                                gain[columns_of[to]] -= weight[i]
                    elif covered[i] == 2:
                        gain[by[i] - c] -= weight[i]
            for at in range(limit_starts[c], limit_starts[c + 1]):
                r = limits_of[at]
                used[r] += sign * uses[at]
                over = used[r] > limits[r] + LOOSE
                if over and at_broken[r] < 0:
                    at_broken[r] = excesses
                    broken[excesses] = r
                    excesses += 1
                elif not over and at_broken[r] >= 0:
                    excesses -= 1
                    broken[at_broken[r]] = broken[excesses]
                    at_broken[broken[excesses]] = at_broken[r]
                    at_broken[r] = -1
            if turn == 1:
                break
            # An uncovered row or a limit from below asks for one of its columns, else some do.
            first, stop, kind = 0, min(DRAWN, n), 0
            draw = np.random.randint(left + excesses) if left + excesses > 0 else -1
            if draw >= left and limits[broken[draw - left]] < 0.0:
                r = broken[draw - left]
                first, stop, kind = entry_starts[r], entry_starts[r + 1], 1
            elif left > 0:
                i = open_rows[draw if draw < left else np.random.randint(left)]
                if row_starts[i + 1] > row_starts[i]:
                    first, stop, kind = row_starts[i], row_starts[i + 1], 2
            opened, most, fresh = -1, -np.inf, False
            work += stop - first
            for at in range(first, stop):
                c = np.random.randint(n)
                if kind == 1:
                    c = entry_columns[at]
                elif kind == 2:
                    c = columns_of[at]
                if place[c] >= 0:
                    continue
                rested = step - moved[c] > RECENT
                if fresh and not rested:
                    continue
                worth = gain[c]
                if excesses == 0 and fresh == rested and worth < most:
                    # Where no limit is exceeded, none makes a column worth more.
                    continue
                work += limit_starts[c + 1] - limit_starts[c]
                for to in range(limit_starts[c], limit_starts[c + 1]):
                    r = limits_of[to]
                    before = max(used[r] - limits[r], 0.0)
                    worth -= price[r] * (max(used[r] + uses[to] - limits[r], 0.0) - before)
                if (
                    opened < 0
                    or rested != fresh
                    or worth > most
                    or (worth == most and moved[c] < moved[opened])
                ):
                    opened, most, fresh = c, worth, rested
            if opened < 0:
                opened = worst
        for at in range(left):
            i = open_rows[at]
            weight[i] += 1.0
            work += row_starts[i + 1] - row_starts[i]
            for to in range(row_starts[i], row_starts[i + 1]):
                gain[columns_of[to]] += 1.0
        for at in range(excesses):
            price[broken[at]] += 1.0
        if excesses == 0 and missed < best:
            best = missed
            chosen[:] = solution
    return best


search_within = to_compile(_search_within)


def compile_within() -> None:
    """Compile the loop, or load it from the disk, by a tiny run."""
    starts, members = np.array([0, 1, 2]), np.array([0, 1])
    chosen, copies = np.array([0]), np.ones(2, dtype=np.int64)
    limit_starts, limits_of = np.array([0, 1, 1]), np.array([0])
    entries = np.array([0, 1]), np.array([0])
    search_within(
        starts, members, starts, members, copies, chosen, 0, *entries, limit_starts, limits_of,
        np.ones(1), np.ones(1), 2, 0,
    )  # fmt: skip
