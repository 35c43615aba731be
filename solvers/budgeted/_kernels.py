"""Loops over rows in order of time, compiled. Imported only when they run: compiling takes time.

A *unit* is a run of places that exclude each other at most among themselves; each hangs on a node
of the tree of limits. At a price e for each row, the best rows of a unit are found place by place:
``best(i) = max(best(i - 1), best(first(i) - 1) + w(i) - e)``. Sums and counts are kept apart, so
that large prices cost no digits and equal values are seen as equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._compiling import to_compile

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints, Mask

EPS = float(np.finfo(np.float64).eps)


def _count(
    weights: Floats,
    first: Ints,
    starts: Ints,
    leaf: Ints,
    price: Floats,
    active: Mask,
    unit_low: Ints,
    unit_high: Ints,
) -> None:
    """Write the smallest and largest number of rows that is best in each active unit."""
    longest = 0
    for u in range(len(leaf)):
        longest = max(longest, starts[u + 1] - starts[u])
    low_sum, high_sum = np.zeros(longest + 1), np.zeros(longest + 1)
    low_count = np.zeros(longest + 1, dtype=np.int64)
    high_count = np.zeros(longest + 1, dtype=np.int64)
    for u in range(len(leaf)):
        if not active[leaf[u]]:
            continue
        e, start, stop = price[leaf[u]], starts[u], starts[u + 1]
        for i in range(start, stop):
            k, j, w = i - start, first[i] - start, weights[i]
            low_sum[k + 1], low_count[k + 1] = low_sum[k], low_count[k]
            high_sum[k + 1], high_count[k + 1] = high_sum[k], high_count[k]
            if w < e:
                continue
            more = low_count[j] + 1
            gain = (low_sum[j] + w - low_sum[k]) - e * (more - low_count[k])
            if gain > 0 or (gain == 0 and more < low_count[k]):
                low_sum[k + 1], low_count[k + 1] = low_sum[j] + w, more
            more = high_count[j] + 1
            gain = (high_sum[j] + w - high_sum[k]) - e * (more - high_count[k])
            if gain > 0 or (gain == 0 and more > high_count[k]):
                high_sum[k + 1], high_count[k + 1] = high_sum[j] + w, more
        unit_low[u], unit_high[u] = low_count[stop - start], high_count[stop - start]


def _add_up(
    leaf: Ints,
    parent: Ints,
    lower: Ints,
    upper: Ints,
    active: Mask,
    top: Mask,
    unit: Ints,
    node: Ints,
) -> None:
    """Add counts of units up the tree; each node passes on what its limits make of its count."""
    for v in range(len(parent)):
        if active[v]:
            node[v] = 0
    for u in range(len(leaf)):
        if active[leaf[u]]:
            node[leaf[u]] += unit[u]
    for v in range(len(parent) - 1, 0, -1):
        if active[v] and not top[v]:
            node[parent[v]] += min(max(node[v], lower[v]), upper[v])


def _fit(first: Ints, starts: Ints, room: Ints) -> None:
    """Write the largest number of rows of each unit that exclude no other."""
    for u in range(len(starts) - 1):
        taken = -1
        for i in range(starts[u], starts[u + 1]):
            if first[i] > taken:
                taken = i
                room[u] += 1


def _best_set(
    weights: Floats,
    first: Ints,
    keys: Floats,
    start: int,
    stop: int,
    e: float,
    many: bool,
    sums: Floats,
    counts: Ints,
    ranks: Floats,
    chosen: Mask,
) -> int:
    """Mark a best set of a unit's places at a price, the fewest or the most rows; count them.

    Among equally good ones the keys' sum decides, then the earliest rows.
    """
    sums[0], counts[0], ranks[0] = 0.0, 0, 0.0
    for i in range(start, stop):
        k, j, w = i - start, first[i] - start, weights[i]
        chosen[i] = False
        sums[k + 1], counts[k + 1], ranks[k + 1] = sums[k], counts[k], ranks[k]
        if w < e:
            continue
        more, rank = counts[j] + 1, ranks[j] + keys[i]
        gain = (sums[j] + w - sums[k]) - e * (more - counts[k])
        wanted = more - counts[k] if many else counts[k] - more
        if gain > 0 or (gain == 0 and (wanted > 0 or (wanted == 0 and rank > ranks[k]))):
            sums[k + 1], counts[k + 1], ranks[k + 1] = sums[j] + w, more, rank
            chosen[i] = True
    i = stop - 1
    while i >= start:
        if chosen[i]:
            for between in range(first[i], i):
                chosen[between] = False
            i = first[i] - 1
        else:
            i -= 1
    return int(counts[stop - start])


def _recover(
    weights: Floats,
    first: Ints,
    last: Ints,
    starts: Ints,
    above: Floats,
    below: Floats,
    wanted: Ints,
    keys: Floats,
    chosen: Mask,
) -> None:
    """Mark as many places of each unit as are wanted, a best set of that size.

    The best sets at the price just above and just below fall into parts that exclude nothing of
    another part, in each of which the second has one row more, as many, or one less. So taking the
    second in some of those where it has one more gives every number between.
    """
    longest = 0
    for u in range(len(starts) - 1):
        longest = max(longest, starts[u + 1] - starts[u])
    sums, ranks = np.zeros(longest + 1), np.zeros(longest + 1)
    counts = np.zeros(longest + 1, dtype=np.int64)
    other = np.zeros(len(weights), dtype=np.bool_)
    for u in range(len(starts) - 1):
        start, stop, goal = starts[u], starts[u + 1], wanted[u]
        for i in range(start, stop):
            chosen[i] = False
        if goal == 0:
            continue
        if stop - start == 1:
            chosen[start] = True
            continue
        few = best_set(
            weights, first, keys, start, stop, above[u], False, sums, counts, ranks, chosen
        )
        if few == goal:
            continue
        most = best_set(
            weights, first, keys, start, stop, below[u], True, sums, counts, ranks, other
        )
        if most == goal:
            chosen[start:stop] = other[start:stop]
            continue
        part = np.full(stop - start, -1, dtype=np.int64)
        delta = np.zeros(stop - start, dtype=np.int64)
        gain, rank = np.zeros(stop - start), np.zeros(stop - start)
        parts, before = -1, -1
        for i in range(start, stop):
            if chosen[i] == other[i]:
                continue
            if before < 0 or i > last[before]:
                parts += 1
                rank[parts] = -keys[i]
            before = i
            part[i - start] = parts
            delta[parts] += 1 if other[i] else -1
            gain[parts] += weights[i] if other[i] else -weights[i]
        order = np.argsort(rank[: parts + 1], kind="mergesort")
        order = order[np.argsort(-gain[order], kind="mergesort")]
        swapped = np.zeros(parts + 1, dtype=np.bool_)
        missing = goal - few
        for at in order:
            if delta[at] == 0 and gain[at] > 0:
                swapped[at] = True
            if delta[at] == 1 and missing > 0:
                swapped[at] = True
                missing -= 1
        for i in range(start, stop):
            at = part[i - start]
            if at >= 0 and swapped[at]:
                chosen[i] = other[i]


def _heaviest(weights: Floats, first: Ints, starts: Ints, sums: Floats) -> None:
    """Write the largest sum of weights of places of each unit that exclude no other, rounded up."""
    longest = 0
    for u in range(len(sums)):
        longest = max(longest, starts[u + 1] - starts[u])
    best = np.zeros(longest + 1)
    for u in range(len(sums)):
        start, used = starts[u], 0
        for i in range(start, starts[u + 1]):
            k = i - start
            best[k + 1] = best[k]
            if weights[i] > 0:
                used += 1
                best[k + 1] = max(best[k], best[first[i] - start] + weights[i])
        sums[u] = best[starts[u + 1] - start] * (1.0 + (used + 1) * EPS)


def _losses(
    weights: Floats, first: Ints, last: Ints, starts: Ints, chosen: Mask, inside: Floats
) -> None:
    """Write what each unit's best sum loses by taking a place, and by leaving out a chosen one.

    `weights` are net of prices. A set without a chosen place either has none of the places that it
    excludes, and gains by taking it, or has one of these.
    """
    longest = 0
    for u in range(len(starts) - 1):
        longest = max(longest, starts[u + 1] - starts[u])
    front, back = np.zeros(longest + 1), np.zeros(longest + 2)
    for u in range(len(starts) - 1):
        start, stop = starts[u], starts[u + 1]
        size = stop - start
        for i in range(start, stop):
            k = i - start
            front[k + 1] = max(front[k], front[first[i] - start] + weights[i])
        back[size] = 0.0
        for i in range(stop - 1, start - 1, -1):
            k = i - start
            back[k] = max(back[k + 1], back[last[i] + 1 - start] + weights[i])
        for i in range(start, stop):
            with_it = front[first[i] - start] + weights[i] + back[last[i] + 1 - start]
            inside[i] = max(front[size] - with_it, 0.0)
        for i in range(start, stop):
            if chosen[i]:
                loss = max(weights[i], 0.0)
                for other in range(first[i], last[i] + 1):
                    if other != i and not chosen[other]:
                        loss = min(loss, inside[other])
                inside[i] = loss


count = to_compile(_count)
add_up = to_compile(_add_up)
fit = to_compile(_fit)
best_set = to_compile(_best_set)
recover = to_compile(_recover)
heaviest = to_compile(_heaviest)
losses = to_compile(_losses)


def compile_for(swaps: bool = False) -> None:
    """Compile the loops, or the search by swaps, or load them from the disk, by a tiny run."""
    if swaps:
        from ._swap_kernels import compile_swaps

        return compile_swaps()
    weights, places = np.array([1.0, 2.0]), np.zeros(2, dtype=np.int64)
    ends, starts = np.ones(2, dtype=np.int64), np.array([0, 2])
    one, price = np.zeros(1, dtype=np.int64), np.zeros(1)
    mask, chosen = np.ones(1, dtype=bool), np.zeros(2, dtype=bool)
    count(weights, places, starts, one, price, mask, one.copy(), one.copy())
    add_up(one, one, one, one, mask, mask, one.copy(), one.copy())
    fit(places, starts, one.copy())
    recover(weights, places, ends, starts, price, price, one + 1, np.zeros(2), chosen)
    heaviest(weights, places, starts, np.zeros(1))
    losses(weights, places, ends, starts, chosen, np.zeros(2))
