"""Selections that grow row by row and never break a constraint: in a given order, or at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .constraints import Spacing
from .errors import Stuck

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .arrays import Floats, Ints, Mask
    from .constraints import Growth
    from .selection import SelectionProblem

    Tick = Callable[[], None]


TICK = 256
"""Rows between two looks at the clock."""


def most_useful(
    problem: SelectionProblem,
    utility: Floats,
    tie_breaks: Ints | None = None,
    tick: Tick | None = None,
) -> Ints:
    """Return the included rows and the most useful others that the constraints let in.

    Parameters
    ----------
    problem
        Whose constraints hold.
    utility
        Worth of each row ``(N,)``. Without a budget only rows above 0 are taken, and others where
        a constraint needs them.
    tie_breaks
        Rank ``(N,)`` that decides between rows of equal utility; by default the lowest row.
    tick
        Called every now and then; it may raise, to end the search for want of time.

    Raises
    ------
    Stuck
        If the rows taken first leave no room for what else the constraints ask for.
    """
    free = problem.free
    ties = free if tie_breaks is None else tie_breaks[free]
    order = free[np.lexsort((ties, -utility[free]))]
    if not problem.is_limited and problem.budget is not None:
        return np.concatenate([problem.included, order[: problem.to_choose]])
    worth = utility > 0.0 if problem.budget is None else None
    return grow_by(problem, order.tolist(), worth=worth, tick=tick)


def grow_by(
    problem: SelectionProblem,
    order: Iterable[int],
    *,
    worth: Mask | None = None,
    tick: Tick | None = None,
) -> Ints:
    """Return the included rows and what of an order the constraints let in, one after another.

    Parameters
    ----------
    problem
        Whose constraints hold.
    order
        Rows, the first choice first.
    worth
        Rows ``(N,)`` to take wherever they may be; others only where a constraint needs them.
    tick
        As for `most_useful`.

    Raises
    ------
    Stuck
        If the order ends before budget and constraints are satisfied; it carries the rows taken.
    """
    return _grow(problem, problem.grow(), order, worth, tick)


def grow_at_random(
    problem: SelectionProblem, rng: np.random.Generator, tick: Tick | None = None
) -> Ints:
    """Return the included rows and others drawn at random, as the constraints let them in.

    Without `Spacing` every row that is still open is equally likely. With it this is
    "Random+R" (thesis 2.5.2): draw a sequence uniformly among those that still have an open row,
    then one of its open rows.

    Raises
    ------
    Stuck
        If the draws leave no room for what else the constraints ask for.
    """
    growth, free = problem.grow(), problem.free
    spacing = [rule for rule in problem.constraints if isinstance(rule, Spacing)]
    if not spacing:
        return _grow(problem, growth, free[rng.permutation(len(free))].tolist(), None, tick)
    codes = spacing[0].labels.codes
    return _grow(problem, growth, _by_sequence(free, codes, growth, rng), None, tick)


def _grow(
    problem: SelectionProblem,
    growth: Growth,
    order: Iterable[int],
    worth: Mask | None,
    tick: Tick | None,
) -> Ints:
    taken, left = problem.included.tolist(), problem.to_choose
    for turn, row in enumerate(order):
        if left <= 0:
            break
        if tick is not None and turn % TICK == 0:
            tick()
        if growth.closed[row] or not growth.allows(row, left):
            continue
        if worth is not None and not worth[row] and not growth.helps(row):
            continue
        growth.add(row)
        taken.append(row)
        left -= 1
    rows = np.array(taken, dtype=np.int64)
    if growth.needs() or (problem.budget is not None and left):
        raise Stuck(rows)
    return rows


def _by_sequence(
    free: Ints, codes: Ints, growth: Growth, rng: np.random.Generator
) -> Iterator[int]:
    """Yield open rows: of a sequence drawn uniformly, the next of its rows in random order."""
    shuffled = free[rng.permutation(len(free))]
    shuffled = shuffled[np.argsort(codes[shuffled], kind="stable")]
    _, starts = np.unique(codes[shuffled], return_index=True)
    queues = [rows.tolist()[::-1] for rows in np.split(shuffled, starts[1:])] if len(free) else []
    while queues:
        at = int(rng.integers(len(queues)))
        queue = queues[at]
        while queue and growth.closed[queue[-1]]:
            queue.pop()
        if queue:
            yield queue.pop()
        else:
            queues[at] = queues[-1]
            queues.pop()
