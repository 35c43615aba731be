"""What local search keeps in mind while columns open and close, compiled with its loops."""

from typing import Any, NamedTuple

import numpy as np

from ...problems.arrays import Ints
from .._compiling import to_compile
from .covering import Incidence


class Covered(NamedTuple):
    """Which rows the chosen columns cover, and what opening or closing a column would change.

    Parameters
    ----------
    weight
        Of each row ``(m,)``.
    gain
        What a column would cover anew, or if chosen what nobody else covers, by weight ``(n,)``.
    times
        By how many chosen columns each row is covered ``(m,)``.
    by
        The sum of these columns, so that with one of them it is that column ``(m,)``.
    open_rows, where
        The uncovered rows, listed in the first places, and the place of each ``(m,)``.
    counts
        How many rows are uncovered, and how many dataset rows these stand for ``(2,)``.
    """

    weight: Any
    gain: Any
    times: Ints
    by: Ints
    open_rows: Ints
    where: Ints
    counts: Ints


def _begun(cover: Incidence, chosen: Ints, weight: Any) -> Covered:
    """Return what is covered by some columns, with weights of 1 that are then kept in `weight`."""
    m, n = len(cover.row_starts) - 1, len(cover.column_starts) - 1
    state = Covered(
        weight,
        np.zeros(n, weight.dtype),
        np.zeros(m, np.int64),
        np.zeros(m, np.int64),
        np.empty(m, np.int64),
        np.empty(m, np.int64),
        np.zeros(2, np.int64),
    )
    for c in chosen:
        for at in range(cover.column_starts[c], cover.column_starts[c + 1]):
            state.times[cover.rows_of[at]] += 1
            state.by[cover.rows_of[at]] += c
    for i in range(m):
        if state.times[i] == 0:
            uncover(cover, state, i)
            for at in range(cover.row_starts[i], cover.row_starts[i + 1]):
                state.gain[cover.columns_of[at]] += weight[i]
        elif state.times[i] == 1:
            state.gain[state.by[i]] += weight[i]
    return state


def _uncover(cover: Incidence, state: Covered, i: int) -> None:
    """Enter a row among the uncovered ones."""
    state.where[i] = state.counts[0]
    state.open_rows[state.counts[0]] = i
    state.counts[0] += 1
    state.counts[1] += cover.copies[i]


def _open_column(cover: Incidence, state: Covered, column: int) -> int:
    """Open a column, and return how many entries of rows that took."""
    looked = 0
    for at in range(cover.column_starts[column], cover.column_starts[column + 1]):
        i = cover.rows_of[at]
        state.times[i] += 1
        state.by[i] += column
        if state.times[i] == 1:
            state.counts[0] -= 1
            last = state.open_rows[state.counts[0]]
            state.open_rows[state.where[i]] = last
            state.where[last] = state.where[i]
            state.counts[1] -= cover.copies[i]
            looked += cover.row_starts[i + 1] - cover.row_starts[i]
            for to in range(cover.row_starts[i], cover.row_starts[i + 1]):
                if cover.columns_of[to] != column:
                    state.gain[cover.columns_of[to]] -= state.weight[i]
        elif state.times[i] == 2:
            state.gain[state.by[i] - column] -= state.weight[i]
    return looked


def _close_column(cover: Incidence, state: Covered, column: int) -> int:
    """Close a column, and return how many entries of rows that took."""
    looked = 0
    for at in range(cover.column_starts[column], cover.column_starts[column + 1]):
        i = cover.rows_of[at]
        state.times[i] -= 1
        state.by[i] -= column
        if state.times[i] == 0:
            uncover(cover, state, i)
            looked += cover.row_starts[i + 1] - cover.row_starts[i]
            for to in range(cover.row_starts[i], cover.row_starts[i + 1]):
                if cover.columns_of[to] != column:
                    state.gain[cover.columns_of[to]] += state.weight[i]
        elif state.times[i] == 1:
            state.gain[state.by[i]] += state.weight[i]
    return looked


def _weigh_more(cover: Incidence, state: Covered) -> int:
    """Make all uncovered rows heavier, and return how many entries of rows that took."""
    looked = 0
    for at in range(state.counts[0]):
        i = state.open_rows[at]
        state.weight[i] += 1
        looked += cover.row_starts[i + 1] - cover.row_starts[i]
        for to in range(cover.row_starts[i], cover.row_starts[i + 1]):
            state.gain[cover.columns_of[to]] += 1
    return looked


uncover = to_compile(_uncover)
begun = to_compile(_begun)
open_column = to_compile(_open_column)
close_column = to_compile(_close_column)
weigh_more = to_compile(_weigh_more)
