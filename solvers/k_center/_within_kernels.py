"""The loop that looks for covers within limits, compiled. Imported only when it runs."""

from typing import NamedTuple

import numpy as np

from ...problems.arrays import Floats, Ints
from .._compiling import to_compile
from ._covered import begun, close_column, open_column, weigh_more
from .covering import Incidence

LOOSE = 1e-9
"""By which a limit, in units of its row's largest entry, may be exceeded by rounding."""
RECENT = 3
"""Steps during which a closed column is not opened again."""
DRAWN = 64
"""Columns that are looked at where no row asks for some."""


class LimitRows(NamedTuple):
    """Limits of columns, in compressed rows and columns.

    Parameters
    ----------
    starts, columns
        The columns of each limit.
    column_starts, limits_of, uses
        The limits of each column and what it uses of them.
    limits
        What may be used ``(k,)``; below 0 for limits from below, where uses are below 0 too.
    """

    starts: Ints
    columns: Ints
    column_starts: Ints
    limits_of: Ints
    uses: Floats
    limits: Floats


class Use(NamedTuple):
    """What the chosen columns use of the limits.

    Parameters
    ----------
    used, price
        Of each limit, and what a unit beyond it costs ``(k,)``.
    broken, where
        The limits that are exceeded, listed in the first places, and the place of each, -1 for the
        others ``(k,)``.
    excesses
        How many they are ``(1,)``.
    """

    used: Floats
    price: Floats
    broken: Ints
    where: Ints
    excesses: Ints


def _note_use(limits: LimitRows, use: Use, column: int, sign: float) -> None:
    """Add what a column uses, or take it off with sign -1."""
    for at in range(limits.column_starts[column], limits.column_starts[column + 1]):
        r = limits.limits_of[at]
        use.used[r] += sign * limits.uses[at]
        over = use.used[r] > limits.limits[r] + LOOSE
        if over and use.where[r] < 0:
            use.where[r] = use.excesses[0]
            use.broken[use.excesses[0]] = r
            use.excesses[0] += 1
        elif not over and use.where[r] >= 0:
            use.excesses[0] -= 1
            last = use.broken[use.excesses[0]]
            use.broken[use.where[r]] = last
            use.where[last] = use.where[r]
            use.where[r] = -1


def _excess(limits: LimitRows, use: Use, column: int, sign: float) -> float:
    """Return by how much opening a column, or closing it with sign -1, raises the price to pay."""
    rises = 0.0
    for at in range(limits.column_starts[column], limits.column_starts[column + 1]):
        r = limits.limits_of[at]
        before = max(use.used[r] - limits.limits[r], 0.0)
        after = max(use.used[r] + sign * limits.uses[at] - limits.limits[r], 0.0)
        rises += use.price[r] * (after - before)
    return rises


note_use = to_compile(_note_use)
excess = to_compile(_excess, inline="always")


def _search_within(
    cover: Incidence, limits: LimitRows, chosen: Ints, may_miss: int, touches: int, seed: int
) -> int:
    """Look for columns that leave at most `may_miss` rows uncovered and keep all limits.

    As `search_cover`, with as many columns as `chosen` holds; limits are rows as well, whose excess
    counts by a price that rises while it lasts. `chosen` becomes the best found that keeps all
    limits, and its uncovered rows are returned; more than there are if none does.

    Parameters
    ----------
    cover
        The covering matrix over all columns.
    limits
        What is to be kept.
    chosen
        Columns to start from, distinct.
    touches
        Entries to look at, at most.
    """
    np.random.seed(seed)
    count, size, n = len(chosen), len(limits.limits), len(cover.column_starts) - 1
    sizes, limit_starts = np.diff(cover.column_starts), limits.column_starts
    state = begun(cover, chosen, np.ones(len(cover.copies)))
    none = np.full(size, -1, dtype=np.int64)
    use = Use(np.zeros(size), np.ones(size), none.copy(), none, np.zeros(1, np.int64))
    # Where nothing is used a limit from below is broken already.
    for r in range(size):
        if limits.limits[r] + LOOSE < 0.0:
            use.where[r] = use.excesses[0]
            use.broken[use.excesses[0]] = r
            use.excesses[0] += 1
    place = np.full(n, -1, dtype=np.int64)
    moved = np.full(n, -RECENT - 1, dtype=np.int64)
    solution = chosen.copy()
    for k in range(count):
        place[solution[k]] = k
        note_use(limits, use, solution[k], 1.0)
    best = state.counts[1] if use.excesses[0] == 0 else cover.copies.sum() + 1
    opened, step, work = -1, 0, 0
    while best > may_miss and work < touches:
        step += 1
        # Close the column that loses least, the one that moved longest ago on ties.
        worst, lowest = -1, np.inf
        for k in range(count):
            c = solution[k]
            if c == opened and count > 1:
                continue
            work += 1 + limit_starts[c + 1] - limit_starts[c]
            loss = state.gain[c] + excess(limits, use, c, -1.0)
            if loss < lowest or (loss == lowest and moved[c] < moved[worst]):
                worst, lowest = c, loss
        k = place[worst]
        place[worst] = -1
        moved[worst] = step
        work += sizes[worst] + close_column(cover, state, worst)
        note_use(limits, use, worst, -1.0)
        # An uncovered row or a limit from below asks for one of its columns, else some do.
        left, excesses = state.counts[0], use.excesses[0]
        first, stop, kind = 0, min(DRAWN, n), 0
        draw = np.random.randint(left + excesses) if left + excesses > 0 else -1
        if draw >= left and limits.limits[use.broken[draw - left]] < 0.0:
            r = use.broken[draw - left]
            first, stop, kind = limits.starts[r], limits.starts[r + 1], 1
        elif left > 0:
            i = state.open_rows[draw if draw < left else np.random.randint(left)]
            if cover.row_starts[i + 1] > cover.row_starts[i]:
                first, stop, kind = cover.row_starts[i], cover.row_starts[i + 1], 2
        opened, most, fresh = -1, -np.inf, False
        work += stop - first
        for at in range(first, stop):
            c = np.random.randint(n)
            if kind == 1:
                c = limits.columns[at]
            elif kind == 2:
                c = cover.columns_of[at]
            if place[c] >= 0:
                continue
            rested = step - moved[c] > RECENT
            if fresh and not rested:
                continue
            worth = state.gain[c]
            if excesses == 0 and fresh == rested and worth < most:
                # Where no limit is exceeded, none makes a column worth more.
                continue
            work += limit_starts[c + 1] - limit_starts[c]
            worth -= excess(limits, use, c, 1.0)
            if (
                opened < 0
                or rested != fresh
                or worth > most
                or (worth == most and moved[c] < moved[opened])
            ):
                opened, most, fresh = c, worth, rested
        if opened < 0:
            opened = worst
        solution[k] = opened
        place[opened] = k
        moved[opened] = step
        work += sizes[opened] + open_column(cover, state, opened)
        note_use(limits, use, opened, 1.0)
        work += weigh_more(cover, state)
        for at in range(use.excesses[0]):
            use.price[use.broken[at]] += 1.0
        if use.excesses[0] == 0 and state.counts[1] < best:
            best = state.counts[1]
            chosen[:] = solution
    return int(best)


search_within = to_compile(_search_within)


def compile_within() -> None:
    """Compile the loop, or load it from the disk, by a tiny run."""
    starts, members = np.array([0, 1, 2]), np.array([0, 1])
    cover = Incidence(starts, members, starts, members, np.ones(2, dtype=np.int64))
    entries = np.array([0, 1]), np.array([0])
    limits = LimitRows(*entries, np.array([0, 1, 1]), np.array([0]), np.ones(1), np.ones(1))
    search_within(cover, limits, np.array([0]), 0, 2, 0)
