"""Loops over constrained selections, compiled. Imported only when they run."""

import numpy as np

from ...problems.arrays import Floats, Ints, Mask
from .._compiling import to_compile
from ._kernels import FASTMATH, HOPELESS, L1, L2, SQUARED, transport

TRANSPORT = SQUARED + 1
REACH = 8
"""How far apart in time the rows of a near swap lie, in rows."""


def _turning(first: Ints, starts: Ints, weights: Floats) -> tuple[Mask, Floats]:
    """Return the heaviest places apart from each other, and what turning each place around costs.

    `first` is the first place that each place excludes, `starts` where each sequence begins, both
    as in `Timeline`; weights ``(n,)`` are of any sign. Taking a place that is left out loses the
    best without it less the best with it; leaving one out, the other way round.
    """
    size = len(weights)
    taken, costs = np.zeros(size, np.bool_), np.zeros(size)
    forward, backward = np.zeros(size + 1), np.zeros(size + 1)
    for sequence in range(len(starts) - 1):
        start, stop = starts[sequence], starts[sequence + 1]
        forward[start] = 0.0
        for place in range(start, stop):
            forward[place + 1] = max(forward[place], forward[first[place]] + weights[place])
        # Taking a place leaves what lies before the places that it excludes, and after them.
        for place in range(start, stop + 1):
            backward[place] = 0.0
        for place in range(stop - 1, start - 1, -1):
            backward[place] = max(backward[place], backward[place + 1])
            through = weights[place] + backward[place + 1]
            if through > backward[first[place]]:
                backward[first[place]] = through
        best = forward[stop]
        place = stop
        while place > start:
            if forward[place] == forward[place - 1]:
                place -= 1
            else:
                taken[place - 1] = True
                place = first[place - 1]
        for place in range(start, stop):
            inside = forward[first[place]] + weights[place] + backward[place + 1]
            costs[place] = best - inside
        for place in range(start, stop):
            if taken[place]:
                without = forward[place] + backward[place + 1]
                later = place + 1
                while later < stop and first[later] <= place:
                    without = max(without, best - costs[later])
                    later += 1
                costs[place] = best - without
    return taken, costs


def _swap(
    probs: Floats,
    costs: Floats,
    shortfall: Floats,
    chosen: Mask,
    near: Ints,
    near_starts: Ints,
    used: Ints,
    used_starts: Ints,
    amounts: Floats,
    room: Floats,
    balance: float,
    distance: int,
    ground_cost: Floats,
    hot: float,
    cold: float,
    steps: int,
    seed: int,
) -> float:
    """Swap chosen rows for others under constraints, worse ones too while it is hot.

    Rows ``near[near_starts[i] : near_starts[i + 1]]`` exclude row i; in the same way `used` and
    `amounts` list what it takes of each limit, of which `room` is left. A row that one chosen row
    excludes is swapped with that one; any other with a random one, or with one that lies near it in
    the order of the rows. Limits that are broken may not be broken further. Returns the change of
    the objective to the best selection, which `chosen` then holds.
    """
    np.random.seed(seed)
    size, classes = probs.shape
    inside, outside = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    at = np.empty(size, np.int64)
    for k in range(len(inside)):
        at[inside[k]] = k
    for k in range(len(outside)):
        at[outside[k]] = k
    blocked = np.zeros(size, np.int64)
    for k in range(len(inside)):
        for other in near[near_starts[inside[k]] : near_starts[inside[k] + 1]]:
            blocked[other] += 1
    potentials, moved = np.zeros(classes), np.zeros(classes)
    distant = _distance(shortfall, distance, ground_cost, potentials)
    there, taking = np.empty(classes), np.zeros(len(room))
    change, best = 0.0, 0.0
    best_chosen = chosen.copy()
    temperature, cooling = hot, (cold / hot) ** (1.0 / steps)
    for _ in range(steps):
        temperature *= cooling
        a, b = -1, int(outside[np.random.randint(len(outside))])
        if blocked[b] == 0:
            if np.random.random() < 0.5:
                a = int(inside[np.random.randint(len(inside))])
            else:
                a = b + np.random.randint(-REACH, REACH + 1)
                if a < 0 or a >= size or not chosen[a]:
                    continue
        elif blocked[b] == 1:
            for k in range(near_starts[b], near_starts[b + 1]):
                if chosen[near[k]]:
                    a = int(near[k])
        else:
            continue
        cost = costs[b] - costs[a]
        if cost - balance * distant > HOPELESS * temperature:
            continue
        fits = True
        for k in range(used_starts[a], used_starts[a + 1]):
            taking[used[k]] -= amounts[k]
        for k in range(used_starts[b], used_starts[b + 1]):
            taking[used[k]] += amounts[k]
        for i in (a, b):
            for k in range(used_starts[i], used_starts[i + 1]):
                more = taking[used[k]]
                if more > 0.0 and more > room[used[k]]:
                    fits = False
        accepted = False
        if fits:
            allowed = -temperature * np.log(np.random.random())
            line = -distant
            if distance == TRANSPORT:
                line = 0.0
                for k in range(classes):
                    line += potentials[k] * (probs[a, k] - probs[b, k])
            if cost + balance * line <= allowed:
                for k in range(classes):
                    there[k] = shortfall[k] + probs[a, k] - probs[b, k]
                after = _distance(there, distance, ground_cost, moved)
                step = cost + balance * (after - distant)
                accepted = step <= allowed
        if accepted:
            for i in (a, b):
                for k in range(used_starts[i], used_starts[i + 1]):
                    room[used[k]] -= taking[used[k]]
                    taking[used[k]] = 0.0
            for k in range(near_starts[a], near_starts[a + 1]):
                blocked[near[k]] -= 1
            for k in range(near_starts[b], near_starts[b + 1]):
                blocked[near[k]] += 1
            inside[at[a]], outside[at[b]] = b, a
            at[a], at[b] = at[b], at[a]
            chosen[a], chosen[b] = False, True
            shortfall[:] = there
            potentials[:] = moved
            distant = after
            change += step
            if change < best - 1e-12:
                best = change
                best_chosen[:] = chosen
        else:
            for i in (a, b):
                for k in range(used_starts[i], used_starts[i + 1]):
                    taking[used[k]] = 0.0
    chosen[:] = best_chosen
    return best


def _plain_distance(
    shortfall: Floats, distance: int, ground_cost: Floats, potentials: Floats
) -> float:
    """Return the distance of a shortfall; for Wasserstein, write its potentials ``(C,)``."""
    if distance == TRANSPORT:
        return float(transport(shortfall, ground_cost, potentials))
    total = 0.0
    for k in range(len(shortfall)):
        total += abs(shortfall[k]) if distance == L1 else shortfall[k] * shortfall[k]
    return float(np.sqrt(total)) if distance == L2 else total


_distance = to_compile(_plain_distance, fastmath=FASTMATH)
turning = to_compile(_turning)
swap = to_compile(_swap, fastmath=FASTMATH)


def compile_all() -> None:
    """Compile the loops, or load them from the disk, by a tiny run."""
    probs, costs, shortfall = np.eye(2), np.zeros(2), np.zeros(2)
    turning(np.arange(2), np.array([0, 2]), costs)
    starts, none = np.zeros(3, np.int64), np.zeros(0, np.int64)
    arguments = (none, starts, none, starts, np.zeros(0), np.zeros(0), 1.0, L1, np.zeros((0, 0)))
    swap(probs, costs, shortfall, np.array([True, False]), *arguments, 1.0, 0.5, 1, 0)
