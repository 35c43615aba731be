"""The annealing loop, compiled. Imported only when it runs: compiling takes seconds, once."""

import numpy as np

from ...problems.arrays import Floats, Ints
from .._compiling import to_compile

L1, L2, SQUARED = 0, 1, 2
LOOKS = 32
"""Swaps of one chosen row that are proposed in turn."""
HOPELESS = 25.0
"""Temperatures above the present objective at which a proposal is not even drawn for."""

FASTMATH = {"contract", "reassoc"}
"""Sums may be taken in any order, but infinities stay what they are."""


def _anneal(
    probs: Floats,
    costs: Floats,
    shortfall: Floats,
    chosen: Ints,
    others: Ints,
    balance: float,
    distance: int,
    hot: float,
    cold: float,
    steps: int,
    seed: int,
) -> tuple[float, float]:
    """Swap chosen rows for others, worse ones too while it is hot; all arrays change in place.

    For a random chosen row, `LOOKS` others are proposed in turn, which lie side by side in memory.
    The temperature falls geometrically from `hot` to `cold`. Returns the change of the objective
    from the start to the best selection, which `chosen` and `others` then hold, and the share of
    proposals that were taken.
    """
    np.random.seed(seed)
    classes = len(shortfall)
    distant = 0.0
    for k in range(classes):
        distant += abs(shortfall[k]) if distance == L1 else shortfall[k] * shortfall[k]
    if distance == L2:
        distant = np.sqrt(distant)
    inside, outside = probs[chosen], probs[others]
    cost_inside, cost_outside = costs[chosen], costs[others]
    here = np.empty(classes)
    change, best, taken = 0.0, 0.0, 0
    best_chosen, best_others = chosen.copy(), others.copy()
    turns = max(steps // LOOKS, 1)
    temperature, cooling = hot, (cold / hot) ** (1.0 / turns)
    for _ in range(turns):
        temperature *= cooling
        a, b = np.random.randint(len(chosen)), np.random.randint(len(others))
        for k in range(classes):
            here[k] = shortfall[k] + inside[a, k]
        for _ in range(LOOKS):
            b = b + 1 if b + 1 < len(others) else 0
            after = 0.0
            if distance == L1:
                for k in range(classes):
                    after += abs(here[k] - outside[b, k])
            else:
                for k in range(classes):
                    missing = here[k] - outside[b, k]
                    after += missing * missing
                if distance == L2:
                    after = np.sqrt(after)
            step = cost_outside[b] - cost_inside[a] + balance * (after - distant)
            if step > HOPELESS * temperature:
                continue
            if step > 0 and np.random.random() >= np.exp(-step / temperature):
                continue
            for k in range(classes):
                shortfall[k] = here[k] - outside[b, k]
                inside[a, k], outside[b, k] = outside[b, k], inside[a, k]
            cost_inside[a], cost_outside[b] = cost_outside[b], cost_inside[a]
            chosen[a], others[b] = others[b], chosen[a]
            distant = after
            change += step
            taken += 1
            if change < best - 1e-12:
                best = change
                best_chosen[:] = chosen
                best_others[:] = others
            break
    chosen[:] = best_chosen
    others[:] = best_others
    return best, taken / (turns * LOOKS)


def _anneal_transport(
    probs: Floats,
    costs: Floats,
    shortfall: Floats,
    chosen: Ints,
    others: Ints,
    balance: float,
    ground_cost: Floats,
    hot: float,
    cold: float,
    steps: int,
    seed: int,
) -> tuple[float, float]:
    """Do what `_anneal` does, for the Wasserstein distance.

    The potentials of the present shortfall give a line below the distance, which turns most
    proposals away before the cheapest flow of the new shortfall is computed.
    """
    np.random.seed(seed)
    classes = len(shortfall)
    potentials, after = np.zeros(classes), np.zeros(classes)
    distant = transport(shortfall, ground_cost, potentials)
    change, best, taken = 0.0, 0.0, 0
    best_chosen, best_others = chosen.copy(), others.copy()
    temperature, cooling = hot, (cold / hot) ** (1.0 / steps)
    for _ in range(steps):
        temperature *= cooling
        a, b = np.random.randint(len(chosen)), np.random.randint(len(others))
        i, j = chosen[a], others[b]
        cost = costs[j] - costs[i]
        allowed = -temperature * np.log(np.random.random())
        line = 0.0
        for k in range(classes):
            line += potentials[k] * (probs[i, k] - probs[j, k])
        if cost + balance * line > allowed:
            continue
        for k in range(classes):
            shortfall[k] += probs[i, k] - probs[j, k]
        moved = transport(shortfall, ground_cost, after)
        step = cost + balance * (moved - distant)
        if step > allowed:
            for k in range(classes):
                shortfall[k] -= probs[i, k] - probs[j, k]
            continue
        potentials[:] = after
        distant = moved
        change += step
        chosen[a], others[b] = j, i
        taken += 1
        if change < best - 1e-12:
            best = change
            best_chosen[:] = chosen
            best_others[:] = others
    chosen[:] = best_chosen
    others[:] = best_others
    return best, taken / steps


def _transport(shortfall: Floats, ground_cost: Floats, potentials: Floats) -> float:
    """Do what `transport_cost` does, in loops, and write the potentials ``(C,)``."""
    classes = len(shortfall)
    left, wanted = np.maximum(-shortfall, 0.0), np.maximum(shortfall, 0.0)
    tiny = 1e-14 * (left.sum() + wanted.sum()) + 1e-300
    flow = np.zeros((classes, classes))
    at_source, at_sink = np.zeros(classes), np.zeros(classes)
    to_source, to_sink = np.zeros(classes), np.zeros(classes)
    from_sink, from_source = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    is_source, is_sink = shortfall < 0, shortfall > 0
    while left.max() > tiny and wanted.max() > tiny:
        for k in range(classes):
            to_source[k] = 0.0 if left[k] > tiny else np.inf
            to_sink[k] = np.inf
            from_sink[k] = -1
        open_source, open_sink = is_source.copy(), is_sink.copy()
        target = -1
        while target < 0:
            s, t = -1, -1
            for k in range(classes):
                if open_source[k] and (s < 0 or to_source[k] < to_source[s]):
                    s = k
                if open_sink[k] and (t < 0 or to_sink[k] < to_sink[t]):
                    t = k
            if s >= 0 and (t < 0 or to_source[s] <= to_sink[t]) and to_source[s] < np.inf:
                open_source[s] = False
                for k in range(classes):
                    if is_sink[k]:
                        there = to_source[s] + max(
                            ground_cost[s, k] + at_source[s] - at_sink[k], 0.0
                        )
                        if there < to_sink[k]:
                            to_sink[k] = there
                            from_source[k] = s
                continue
            if wanted[t] > tiny:
                target = t
            open_sink[t] = False
            for k in range(classes):
                if flow[k, t] > 0 and to_sink[t] < to_source[k]:
                    to_source[k] = to_sink[t]
                    from_sink[k] = t
        for k in range(classes):
            if is_source[k]:
                at_source[k] += min(to_source[k], to_sink[target])
            if is_sink[k]:
                at_sink[k] += min(to_sink[k], to_sink[target])
        amount, t = wanted[target], target
        while True:
            s = from_source[t]
            if from_sink[s] < 0:
                amount = min(amount, left[s])
                break
            t = from_sink[s]
            amount = min(amount, flow[s, t])
        wanted[target] -= amount
        t = target
        while True:
            s = from_source[t]
            flow[s, t] += amount
            if from_sink[s] < 0:
                left[s] -= amount
                break
            t = from_sink[s]
            flow[s, t] -= amount
    for k in range(classes):
        potentials[k] = np.inf
        for s in range(classes):
            if is_source[s]:
                potentials[k] = min(potentials[k], at_source[s] + ground_cost[s, k])
        if potentials[k] == np.inf:
            potentials[k] = 0.0
    return float((flow * ground_cost).sum())


transport = to_compile(_transport, fastmath=FASTMATH)
anneal = to_compile(_anneal, fastmath=FASTMATH)
anneal_transport = to_compile(_anneal_transport, fastmath=FASTMATH)


def compile_for(transported: bool, limited: bool = False) -> None:
    """Compile the loop for a kind of distance, or load it from the disk, by a tiny run.

    Those of limited problems serve every distance.
    """
    if limited:
        from ._swaps import compile_all

        compile_all()
        return
    probs, costs, shortfall = np.eye(2), np.zeros(2), np.zeros(2)
    chosen, others = np.zeros(1, np.int64), np.ones(1, np.int64)
    if transported:
        ground_cost = 1.0 - np.eye(2)
        anneal_transport(probs, costs, shortfall, chosen, others, 1.0, ground_cost, 1.0, 0.5, 1, 0)
    else:
        anneal(probs, costs, shortfall, chosen, others, 1.0, L1, 1.0, 0.5, 1, 0)
