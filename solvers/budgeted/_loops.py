"""Loops over rows in order of time: plain Python, which `_kernels` compiles.

A *unit* is a run of places that exclude each other at most among themselves; each hangs on a node
of the tree of limits. At a price e for each row, the best rows of a unit are found place by place:
``best(i) = max(best(i - 1), best(first(i) - 1) + w(i) - e)``. Sums and counts are kept apart, so
that large prices cost no digits and equal values are seen as equal. Only places that are worth
their price matter, so callers leave out all others.

The arrays to work in come from outside and hold one value more than the longest unit has places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints, Mask

EPS = float(np.finfo(np.float64).eps)


def count(
    weights: Floats,
    first: Ints,
    starts: Ints,
    price: Floats,
    few_sums: Floats,
    few_counts: Ints,
    many_sums: Floats,
    many_counts: Ints,
    fewest: Ints,
    most: Ints,
) -> None:
    """Write the smallest and largest number of rows that is best in each unit at its price."""
    for u in range(len(price)):
        e, start = price[u], starts[u]
        few_sum, few, many_sum, many = 0.0, 0, 0.0, 0
        few_sums[0], few_counts[0], many_sums[0], many_counts[0] = 0.0, 0, 0.0, 0
        for i in range(start, starts[u + 1]):
            k, j, w = i - start + 1, first[i] - start, weights[i]
            total, more = few_sums[j] + w, few_counts[j] + 1
            gain = (total - few_sum) - e * (more - few)
            if gain > 0 or (gain == 0 and more < few):
                few_sum, few = total, more
            few_sums[k], few_counts[k] = few_sum, few
            total, more = many_sums[j] + w, many_counts[j] + 1
            gain = (total - many_sum) - e * (more - many)
            if gain > 0 or (gain == 0 and more > many):
                many_sum, many = total, more
            many_sums[k], many_counts[k] = many_sum, many
        fewest[u], most[u] = few, many


def fit(begins: Ints, ends: Ints, last: Ints, room: Ints) -> None:
    """Write the largest number of rows of each unit that exclude no other."""
    for u in range(len(begins)):
        room[u], i = 0, begins[u]
        while i < ends[u]:
            room[u] += 1
            i = last[i] + 1


def best_sets(
    weights: Floats,
    first: Ints,
    starts: Ints,
    price: Floats,
    keys: Floats,
    many: bool,
    sums: Floats,
    counts: Ints,
    ranks: Floats,
    chosen: Mask,
    sizes: Ints,
) -> None:
    """Mark a best set of each unit at its price, the fewest or the most rows, and count them.

    Among equally good ones the keys' sum decides, then the earliest rows.
    """
    for u in range(len(price)):
        e, start, stop = price[u], starts[u], starts[u + 1]
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
        sizes[u] = counts[stop - start]
        i = stop - 1
        while i >= start:
            if chosen[i]:
                for between in range(first[i], i):
                    chosen[between] = False
                i = first[i] - 1
            else:
                i -= 1


def exchange(
    weights: Floats,
    last: Ints,
    starts: Ints,
    keys: Floats,
    missing: Ints,
    other: Mask,
    part: Ints,
    delta: Ints,
    gain: Floats,
    rank: Floats,
    chosen: Mask,
) -> None:
    """Give the chosen sets of units the rows that they miss from other sets, as good and larger.

    The best sets at the price just above and just below fall into parts that exclude nothing of
    another part, in each of which the second has one row more, as many, or one less. So taking the
    second in some of those where it has one more gives every number between.
    """
    for u in range(len(missing)):
        start, stop, left = starts[u], starts[u + 1], missing[u]
        parts, before = -1, -1
        for i in range(start, stop):
            if chosen[i] == other[i]:
                continue
            if before < 0 or i > last[before]:
                parts += 1
                rank[parts], delta[parts], gain[parts] = -keys[i], 0, 0.0
            before = i
            part[i - start] = parts
            delta[parts] += 1 if other[i] else -1
            gain[parts] += weights[i] if other[i] else -weights[i]
        order = np.argsort(np.asarray(rank[: parts + 1]), kind="mergesort")
        order = order[np.argsort(-np.asarray(gain[: parts + 1])[order], kind="mergesort")]
        swapped = np.zeros(parts + 1, dtype=np.bool_)
        for at in order:
            if delta[at] == 0 and gain[at] > 0:
                swapped[at] = True
            if delta[at] == 1 and left > 0:
                swapped[at] = True
                left -= 1
        for i in range(start, stop):
            if chosen[i] != other[i] and swapped[part[i - start]]:
                chosen[i] = other[i]


def heaviest(weights: Floats, first: Ints, starts: Ints, best: Floats, sums: Floats) -> None:
    """Write the largest sum of weights, all above 0, that each unit has room for, rounded up."""
    for u in range(len(sums)):
        start, stop, top = starts[u], starts[u + 1], 0.0
        best[0] = 0.0
        for i in range(start, stop):
            top = max(top, best[first[i] - start] + weights[i])
            best[i - start + 1] = top
        sums[u] = top * (1.0 + (stop - start + 1) * EPS)


def losses(
    weights: Floats,
    first: Ints,
    last: Ints,
    starts: Ints,
    chosen: Mask,
    front: Floats,
    back: Floats,
    inside: Floats,
) -> None:
    """Write what each unit's best sum loses by taking a place, and by leaving out a chosen one.

    `weights` are net of prices. A set without a chosen place either has none of the places that it
    excludes, and gains by taking it, or has one of these.
    """
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
