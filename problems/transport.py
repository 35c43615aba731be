"""The cheapest way of moving a surplus to where it lacks, by successive shortest paths."""

import numpy as np

from .arrays import Floats


def transport_cost(shortfall: Floats, ground_cost: Floats) -> float:
    r"""Return the least cost of a flow that evens out a shortfall.

    .. math:: \min_{F \ge 0} \sum_{kl} D_{kl} F_{kl} \quad\text{s.t.}\quad
        \sum_l F_{kl} - \sum_l F_{lk} = e_k

    Under a metric the flow goes straight from classes with too much to classes with too little.
    Successive shortest paths with potentials, in float64; at most 2C paths of O(C²) each.

    Parameters
    ----------
    shortfall
        e ``(C,)``; it must sum to 0, up to rounding.
    ground_cost
        D ``(C, C)``, a metric.

    Examples
    --------
    >>> transport_cost(np.array([1.0, -0.5, -0.5]), np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0.0]]))
    1.5
    """
    sources, sinks = np.flatnonzero(shortfall < 0), np.flatnonzero(shortfall > 0)
    if not (len(sources) and len(sinks)):
        return 0.0
    left, wanted = -shortfall[sources], shortfall[sinks].copy()
    # Both sides carry the same mass but for rounding: what is over stays where it is.
    tiny = 1e-15 * max(float(left.sum()), float(wanted.sum()))
    cost = ground_cost[np.ix_(sources, sinks)]
    flow = np.zeros_like(cost)
    at_source, at_sink = np.zeros(len(sources)), np.zeros(len(sinks))
    while left.max() > tiny and wanted.max() > tiny:
        reduced = np.maximum(cost + at_source[:, None] - at_sink[None, :], 0.0)
        path, to_source, to_sink = _shortest_path(reduced, flow, left > tiny, wanted > tiny)
        at_source += to_source
        at_sink += to_sink
        forward, backward = path
        amount = min(left[forward[0][0]], wanted[forward[-1][1]], *(flow[arc] for arc in backward))
        for arc in forward:
            flow[arc] += amount
        for arc in backward:
            flow[arc] -= amount
        left[forward[0][0]] -= amount
        wanted[forward[-1][1]] -= amount
    return float((flow * cost).sum())


Arc = tuple[int, int]


def _shortest_path(
    reduced: Floats,
    flow: Floats,
    has_left: np.typing.NDArray[np.bool_],
    wants: np.typing.NDArray[np.bool_],
) -> tuple[tuple[list[Arc], list[Arc]], Floats, Floats]:
    """Dijkstra from all sources with mass left to the nearest sink that wants some.

    Arcs with flow may be gone back; their reduced cost is 0. Returns the path's arcs forward and
    back, and what to add to the potentials of sources and sinks.
    """
    sources, sinks = reduced.shape
    to_source = np.where(has_left, 0.0, np.inf)
    to_sink = np.full(sinks, np.inf)
    from_sink = np.full(sources, -1)
    from_source = np.full(sinks, -1)
    open_source, open_sink = np.ones(sources, dtype=bool), np.ones(sinks, dtype=bool)
    while True:
        near_source = np.where(open_source, to_source, np.inf)
        near_sink = np.where(open_sink, to_sink, np.inf)
        s, t = int(near_source.argmin()), int(near_sink.argmin())
        if near_source[s] <= near_sink[t]:
            open_source[s] = False
            shorter = to_source[s] + reduced[s] < to_sink
            to_sink[shorter] = to_source[s] + reduced[s][shorter]
            from_source[shorter] = s
            continue
        if wants[t]:
            break
        open_sink[t] = False
        back = (flow[:, t] > 0) & (to_sink[t] < to_source)
        to_source[back] = to_sink[t]
        from_sink[back] = t
    length = to_sink[t]
    forward: list[Arc] = []
    backward: list[Arc] = []
    while True:
        s = int(from_source[t])
        forward.append((s, t))
        if from_sink[s] < 0:
            break
        t = int(from_sink[s])
        backward.append((s, t))
    forward.reverse()
    return (forward, backward), np.minimum(to_source, length), np.minimum(to_sink, length)
