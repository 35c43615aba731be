"""All labelings of least energy at once: what a maximum flow forces to be present or absent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .arrays import Ints, Mask
    from .temporal_coherence import TemporalCoherence


def forced(problem: TemporalCoherence, flow: Ints) -> tuple[Mask, Mask]:
    r"""Return the nodes that are present, and absent, in every labeling of least energy.

    With :math:`o_v` what flows out of v over edges, the energy of a labeling is

    .. math:: E(x) = \sum_v a_v (1 - x_v) + (p_v + o_v) x_v
        + \sum_{(v,w)} w_{vw} |x_v - x_w| - f_{vw} (x_v - x_w)

    A flow whose bound is reached leaves no term above its least: v is present where
    :math:`p_v + o_v < a_v` and absent where it is greater, and an edge that is not full from v to w
    lets no v be present without w. What follows along such edges is forced, and nothing else:
    both extremes obey every term.

    Parameters
    ----------
    problem
        Costs and edges.
    flow
        A maximum flow ``(E,)``, positive from the first node of an edge to the second.

    Returns
    -------
    tuple of masks
        ``(M + C,)`` each.
    """
    count = problem.n_nodes
    one, other = problem.edges.T
    balance = problem.present_cost - problem.absent_cost
    np.add.at(balance, one, flow)
    np.subtract.at(balance, other, flow)
    # An arc leads from what is present to what must be so too.
    ahead, back = flow < problem.edge_cost, flow > -problem.edge_cost
    tails = np.concatenate([one[ahead], other[back]])
    heads = np.concatenate([other[ahead], one[back]])
    return (
        _reached(np.flatnonzero(balance < 0), tails, heads, count),
        _reached(np.flatnonzero(balance > 0), heads, tails, count),
    )


def _reached(first: Ints, tails: Ints, heads: Ints, count: int) -> Mask:
    """Return the nodes that arcs lead to from any of the first ones, these included."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order

    tails = np.concatenate([tails, np.full(len(first), count)])
    heads = np.concatenate([heads, first])
    size = (count + 1, count + 1)
    arcs = coo_array((np.ones(len(tails), dtype=bool), (tails, heads)), shape=size)
    order = breadth_first_order(arcs.tocsr(), count, return_predecessors=False)
    mask = np.zeros(count + 1, dtype=bool)
    mask[order] = True
    return mask[:count]
