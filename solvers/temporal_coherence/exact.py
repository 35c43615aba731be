"""Labelings of least energy by minimum cuts, with the flow that proves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...problems.arrays import freeze
from ...problems.base import Certificate
from .._clock import OutOfTime
from .cutting import batches

if TYPE_CHECKING:
    from ...problems.arrays import Ints
    from ...problems.temporal_coherence import TemporalCoherence
    from ..search import Search


def solve_exact(search: Search[TemporalCoherence]) -> None:
    r"""Label detections and candidates at least energy.

    .. math:: \min_x \sum_v a_v (1 - x_v) + p_v x_v + \sum_{(v,w)} w_{vw} |x_v - x_w|

    The answer is the largest optimal set of objects, so that a detection is called false only if
    every optimal labeling calls it so. The smallest optimal set is found too (option ``extremes``):
    where both agree, a label is certain. The maximum flow over the edges is the certificate (option
    ``certificate``); without it the bound is the energy of the cut, which then only solving again
    can confirm. Parts of the graph without an edge between them are cut one batch after another;
    what the clock leaves uncut keeps the detector's own word.
    """
    problem = search.problem
    reserve = _reserve(search)
    most = problem.trusting()
    least = most.copy()
    flow = np.zeros(len(problem.edge_cost), dtype=np.int64)
    with_flow, with_both = search.options["certificate"], search.options["extremes"]
    proven, finished = 0, False
    try:
        for batch in batches(problem):
            if search.clock.remaining() <= reserve:
                raise OutOfTime
            found = batch.cut.largest()
            both = batch.cut.smallest() if with_both else found
            if with_flow:
                flow[batch.edges] = batch.cut.flow()
            most[batch.nodes], least[batch.nodes] = found, both
            proven += _energy(batch.cut.absent, batch.cut.present, found)
            proven += int(batch.cut.weight[np.not_equal(*found[batch.cut.edges].T)].sum())
        finished = True
    finally:
        search.offer(most)
        _prove(search, flow if with_flow else None, proven)
    if finished and with_both:
        search.extras.update(least=freeze(least), most=freeze(most))
    search.complete = finished


def _reserve(search: Search[TemporalCoherence]) -> float:
    """Return the seconds that the end of the run will take.

    An answer is evaluated and its bound proven after the last cut, at a few times the cost of one
    evaluation; the fingerprint, which the solution needs, is made now and kept. The detector's own
    word is evaluated, not offered: of equally good answers a search keeps the first.
    """
    start = search.clock.elapsed()
    search.problem.evaluate(search.problem.trusting())
    taken = search.clock.elapsed() - start
    _ = search.problem.fingerprint
    return 6.0 * taken


def _energy(absent: Ints, present: Ints, found: np.ndarray) -> int:
    return int(absent[~found].sum() + present[found].sum())


def _prove(search: Search[TemporalCoherence], flow: Ints | None, proven: int) -> None:
    if flow is None:
        bound = proven / search.problem.scale
        search.prove(bound, Certificate("minimum-cut", False, None, {}))
        return
    values = {"flow": freeze(flow)}
    bound = search.problem.prove(Certificate("flow", True, None, values)) or 0.0
    search.prove(bound, Certificate("flow", True, bound, values))
