"""Greedy class balancing: the paper's algorithm 2, with a utility in place of the distance."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from ...problems.distances import L1, L2
from ...problems.errors import Stuck
from .._clock import OutOfTime
from ..completing import complete, offer_or_complete
from .starting import offer_top

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints, Mask
    from ...problems.class_balanced import ClassBalanced
    from ...problems.constraints import Growth
    from ..search import Search

POOL = 2048
"""Rows whose cost is kept up to date; picks come from here while that is safe."""


def solve_greedy(search: Search[ClassBalanced]) -> None:
    r"""Choose one row at a time, each the best next one (thesis algorithm 2).

    .. math:: \psi = \arg\min_i\; -u_i + \lambda\,\|\Omega - P^\top z - p_i\|_1

    Without a bound. With ℓ1, while no class is full every row lowers the distance by the same
    amount, since rows of P sum to 1: until then this is plain top utility, and
    ``info["steered_from"]`` tells how many picks that were. With ℓ2 and its square, the distance
    steers from the first pick; there each pick takes one pass over P.
    """
    problem = search.problem
    try:
        steered = isinstance(problem.metric, L1)
        rows = (grow if steered else grow_straight)(search, problem.included)
    except OutOfTime:
        offer_top(search)
        raise
    except Stuck as stuck:
        rows = complete(search, stuck.rows, problem.worth)
    else:
        if steered:
            with suppress(OutOfTime):
                search.info["steered_from"] = _steered_from(search, rows)
    offer_or_complete(search, rows, ordered=True)


def _steered_from(search: Search[ClassBalanced], rows: Ints) -> int | None:
    """Return the first pick that plain top utility would not have made."""
    try:
        top = search.problem.top_rows(search.clock.check)
    except Stuck as stuck:
        top = stuck.rows
    differ = np.flatnonzero(rows[: len(top)] != top)
    return int(differ[0]) if len(differ) else None


def grow(search: Search[ClassBalanced], start: Ints) -> Ints:
    r"""Extend a partial selection greedily to the whole budget.

    With the room left in each class, :math:`r = \max(\Omega - P^\top z, 0)`, the cost of row i is,
    up to a constant, :math:`f_i = -u_i + 2\lambda \sum_k \max(p_{ik} - r_k, 0)`. Room only
    shrinks, so costs only grow, in floating point too, and an old cost is a lower bound on the
    present one. Hence the lazy evaluation: costs are kept up to date in a pool of the cheapest
    rows, and picks are made there while none outside can be cheaper. Same picks as evaluating
    every row at every step, ties to the lowest row.

    Parameters
    ----------
    search
        The run; its clock is looked at before every pick.
    start
        Rows that are chosen already; included rows must be among them.

    Returns
    -------
    Ints
        b rows, `start` first, then in the order of choice.

    Raises
    ------
    OutOfTime
        When the clock runs out.
    Stuck
        If the constraints let no further row in before the budget is met.
    """
    problem = search.problem
    growth = _opened(problem, start)
    room = problem.target - problem.probs.total(start)
    costs = np.full(problem.dataset.size, np.inf)
    for first, values in problem.probs.chunks():
        here = np.flatnonzero(~growth.closed[first : first + len(values)])
        costs[first + here] = _costs(problem, first + here, values[here], room)
    chosen = list(start)
    while len(chosen) < problem.budget:
        left = problem.budget - len(chosen)
        allowed = _allowed(growth, left)
        pool, next_cost, next_row = _cheapest(np.where(allowed, costs, np.inf))
        probs = problem.probs.take(pool)
        # While a constraint needs all that is left, every pick changes what is allowed.
        picks = 1 if growth.needs() >= left else left - growth.needs()
        while picks > 0:
            search.clock.check()
            fresh = _costs(problem, pool, probs, room)
            fresh[growth.closed[pool] | ~allowed[pool]] = np.inf
            at = int(fresh.argmin())
            row, cost = int(pool[at]), fresh[at]
            if cost == next_cost == np.inf:
                raise Stuck(np.array(chosen, dtype=np.int64))
            if (cost, row) >= (next_cost, next_row):
                costs[pool] = np.where(allowed[pool], fresh, costs[pool])
                break
            chosen.append(row)
            room -= probs[at]
            growth.add(row)
            picks -= 1
    if growth.needs():
        raise Stuck(np.array(chosen, dtype=np.int64))
    return np.array(chosen, dtype=np.int64)


def grow_straight(search: Search[ClassBalanced], start: Ints) -> Ints:
    r"""Extend a partial selection greedily under ℓ2 or its square, row by row.

    With the shortfall e, :math:`\|e - p_i\|^2 = \|e\|^2 - 2 e^\top p_i + \|p_i\|^2`; the products
    :math:`e^\top p_i` are kept, and each pick changes them by one product with P.

    Parameters, returns and errors are those of `grow`.
    """
    problem = search.problem
    growth = _opened(problem, start)
    squares = np.full(problem.dataset.size, np.inf)
    for first, values in problem.probs.chunks():
        squares[first : first + len(values)] = (values**2).sum(axis=1)
    shortfall = problem.target - problem.probs.total(start)
    products = problem.probs.dot(shortfall)
    chosen = list(start)
    while len(chosen) < problem.budget:
        search.clock.check()
        distances = np.maximum(shortfall @ shortfall - 2.0 * products + squares, 0.0)
        if isinstance(problem.metric, L2):
            np.sqrt(distances, out=distances)
        allowed = _allowed(growth, problem.budget - len(chosen))
        costs = np.where(allowed, problem.balance * distances - problem.worth, np.inf)
        row = int(costs.argmin())
        if costs[row] == np.inf:
            break
        chosen.append(row)
        growth.add(row)
        picked = problem.probs.take(np.array([row]))[0]
        shortfall -= picked
        products -= problem.probs.price(picked)
    if len(chosen) < problem.budget or growth.needs():
        raise Stuck(np.array(chosen, dtype=np.int64))
    return np.array(chosen, dtype=np.int64)


def _opened(problem: ClassBalanced, start: Ints) -> Growth:
    """Return a selection that holds some rows, the included ones among them, and may grow."""
    growth = problem.grow()
    if problem.is_limited:
        for row in np.setdiff1d(start, problem.included):
            growth.add(int(row))
    growth.closed[start] = True
    return growth


def _allowed(growth: Growth, left: int) -> Mask:
    """Return which rows ``(N,)`` may come next, so many being left to choose."""
    if not growth.needing:
        return ~growth.closed
    return np.asarray(growth.allows(np.arange(len(growth.closed)), left))


def _costs(problem: ClassBalanced, rows: Ints, probs: Floats, room: Floats) -> Floats:
    overshoot = np.maximum(probs - np.maximum(room, 0.0), 0.0).sum(axis=1)
    return np.asarray(2.0 * problem.balance * overshoot - problem.worth[rows])


def _cheapest(costs: Floats) -> tuple[Ints, float, int]:
    """Return the cheapest rows, ascending, and cost and number of the first row left out."""
    if len(costs) <= POOL:
        return np.arange(len(costs)), np.inf, len(costs)
    level = np.partition(costs, POOL)[POOL]
    below, level_rows = np.flatnonzero(costs < level), np.flatnonzero(costs == level)
    fill = POOL - len(below)
    pool = np.sort(np.concatenate([below, level_rows[:fill]]))
    return pool, float(level), int(level_rows[fill])
