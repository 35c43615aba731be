"""A search by swaps, compiled. Imported only when it runs: compiling takes time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._compiling import to_compile

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints, Mask

GROWTH, DECAY, FIRMEST, LOOSEST = 1.1, 0.8, 50.0, 0.05
"""How the weight of what exceeds a limit changes after each swap, and its range."""


def _swap(
    weights: Floats,
    values: Floats,
    variances: Floats,
    factors: Floats,
    limits: Floats,
    prices: Floats,
    leaf: Ints,
    chosen: Mask,
    steps: int,
    rest: int,
) -> Mask:
    """Return the best feasible places ``(n,)`` met on the way, none if there are none.

    Each step makes the swap of a chosen place and another one below the same node that is best
    where an excess over a limit costs its price; what was swapped rests a while. The cost of all
    excesses grows while limits are broken and falls while they are kept.
    """
    size, count = values.shape
    sums, spreads, total = np.zeros(count), np.zeros(count), 0.0
    for i in range(size):
        if chosen[i]:
            total += weights[i]
            for k in range(count):
                sums[k] += values[i, k]
                spreads[k] += variances[i, k]
    best, found = -np.inf, np.zeros(size, dtype=np.bool_)
    firm, resting = 1.0, np.zeros(size, dtype=np.int64)
    for step in range(steps):
        out, into, least = -1, -1, np.inf
        record, best_out, best_into = best, -1, -1
        for i in range(size):
            if not chosen[i]:
                continue
            for j in range(size):
                if chosen[j] or leaf[j] != leaf[i]:
                    continue
                gain = weights[j] - weights[i]
                if -gain >= least and total + gain <= record:
                    continue
                excess = 0.0
                for k in range(count):
                    spread = max(spreads[k] - variances[i, k] + variances[j, k], 0.0)
                    over = sums[k] - values[i, k] + values[j, k] - limits[k]
                    over += factors[k] * np.sqrt(spread)
                    if over > 0:
                        excess += prices[k] * over
                if excess == 0.0 and total + gain > record:
                    record, best_out, best_into = total + gain, i, j
                cost = firm * excess - gain
                if cost < least and resting[i] <= step and resting[j] <= step:
                    out, into, least = i, j, cost
        if best_out >= 0:
            out, into = best_out, best_into
        if out < 0:
            break
        chosen[out], chosen[into] = False, True
        total += weights[into] - weights[out]
        kept = True
        for k in range(count):
            sums[k] += values[into, k] - values[out, k]
            spreads[k] += variances[into, k] - variances[out, k]
            over = sums[k] + factors[k] * np.sqrt(max(spreads[k], 0.0)) - limits[k]
            kept = kept and over <= 0.0
        resting[out] = step + rest + step % 7
        resting[into] = step + rest + step % 5
        if kept:
            firm = max(firm * DECAY, LOOSEST)
            if total > best:
                best = total
                for i in range(size):
                    found[i] = chosen[i]
        else:
            firm = min(firm * GROWTH, FIRMEST)
    return found


swap = to_compile(_swap)


def compile_swaps() -> None:
    """Compile the search, or load it from the disk, by a tiny run."""
    ones, places = np.ones(1), np.zeros(2, dtype=np.int64)
    table, chosen = np.ones((2, 1)), np.array([True, False])
    swap(np.ones(2), table, table, ones, ones, ones, places, chosen, 1, 1)
