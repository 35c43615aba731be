"""Minimum cuts of graphs whose nodes are present or absent, in integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...problems.arrays import Ints, Mask
    from ...problems.temporal_coherence import TemporalCoherence

BATCH = 100_000
"""Nodes that are cut together at least, components being whole; the clock is read between."""


@dataclass(frozen=True, eq=False)
class Cut:
    r"""A graph whose cheapest labeling is a minimum cut.

    .. math:: \min_x \sum_v a_v (1 - x_v) + p_v x_v + \sum_e w_e |x_{i_e} - x_{j_e}|

    Parameters
    ----------
    absent, present
        :math:`a` and :math:`p`, whole numbers ≥ 0 ``(n,)``.
    edges
        Pairs of nodes ``(E, 2)``.
    weight
        :math:`w` ``(E,)``, whole numbers ≥ 0.
    """

    absent: Ints
    present: Ints
    edges: Ints
    weight: Ints

    def largest(self) -> Mask:
        """Return the largest set of present nodes that is optimal.

        PyMaxflow counts nodes that belong to neither side as the source's, which is ours.
        """
        return ~self._sinks(self.absent, self.present)

    def smallest(self) -> Mask:
        """Return the smallest set of present nodes that is optimal: the terminals swapped."""
        return self._sinks(self.present, self.absent)

    def _sinks(self, source: Ints, sink: Ints) -> Mask:
        import maxflow

        count = len(source)
        graph = maxflow.GraphInt(count, len(self.weight))
        nodes = graph.add_grid_nodes(count)
        if len(self.weight):
            graph.add_edges(self.edges[:, 0], self.edges[:, 1], self.weight, self.weight)
        graph.add_grid_tedges(nodes, source, sink)
        graph.maxflow()
        return np.asarray(graph.get_grid_segments(nodes), dtype=np.bool_)

    def flow(self) -> Ints:
        """Return a maximum flow ``(E,)``, positive from the first node of an edge to the second.

        It comes from OR-tools, since PyMaxflow tells only its value.
        """
        from ortools.graph.python import max_flow

        count = len(self.absent)
        if not len(self.weight):
            return np.zeros(0, dtype=np.int64)
        solver = max_flow.SimpleMaxFlow()
        one, other = (self.edges[:, at].astype(np.int32) for at in (0, 1))
        nodes = np.arange(count, dtype=np.int32)
        through = np.minimum(self.absent, self.present)
        source, sink = np.full_like(nodes, count), np.full_like(nodes, count + 1)
        # Both directions of an edge are arcs of their own; their difference is what flows.
        solver.add_arcs_with_capacity(
            np.concatenate([one, other, source, nodes]),
            np.concatenate([other, one, nodes, sink]),
            np.concatenate(
                [self.weight, self.weight, self.absent - through, self.present - through]
            ),
        )
        status = solver.solve(count, count + 1)
        if status != solver.OPTIMAL:
            raise RuntimeError(f"OR-tools' maximum flow ended with status {status}")
        size = len(self.weight)
        forward = solver.flows(np.arange(size, dtype=np.int32))
        backward = solver.flows(np.arange(size, 2 * size, dtype=np.int32))
        return np.asarray(forward - backward, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Batch:
    """Some components of a problem's graph.

    Parameters
    ----------
    nodes, edges
        Their nodes and edges in the whole problem, component after component.
    cut
        Their graph, nodes numbered as in `nodes`.
    """

    nodes: Ints
    edges: Ints
    cut: Cut


def batches(problem: TemporalCoherence) -> Iterator[Batch]:
    """Yield a problem in batches of whole components, which have no edges between them."""
    count, component = _components(problem)
    order = np.argsort(component, kind="stable")
    edge_component = component[problem.edges[:, 0]]
    edge_order = np.argsort(edge_component, kind="stable")
    ends = np.cumsum(np.bincount(component, minlength=count))
    edge_ends = np.cumsum(np.bincount(edge_component, minlength=count))
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    start = edge_start = 0
    while start < len(order):
        last = min(int(np.searchsorted(ends, start + BATCH)), count - 1)
        stop, edge_stop = int(ends[last]), int(edge_ends[last])
        nodes, edges = order[start:stop], edge_order[edge_start:edge_stop]
        cut = Cut(
            problem.absent_cost[nodes],
            problem.present_cost[nodes],
            number[problem.edges[edges]] - start,
            problem.edge_cost[edges],
        )
        yield Batch(nodes, edges, cut)
        start, edge_start = stop, edge_stop


def _components(problem: TemporalCoherence) -> tuple[int, Ints]:
    """Return how many components the graph has, and that of each node."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = problem.n_nodes
    if not size:
        return 0, np.empty(0, dtype=np.int64)
    joined = coo_array(
        (np.ones(len(problem.edges), dtype=bool), problem.edges.T), shape=(size, size)
    )
    count, component = connected_components(joined.tocsr(), directed=False)
    return int(count), component
