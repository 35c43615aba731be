"""A ranking of mistakes: how much trust in the detector each detection needs to be believed."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.arrays import Floats, Ints, Mask, as_vector, freeze
from ...problems.errors import InvalidInput
from ...problems.temporal_coherence import LARGEST
from .._clock import Clock
from .cutting import Cut, batches

if TYPE_CHECKING:
    from ...problems.temporal_coherence import TemporalCoherence

logger = logging.getLogger("labelcut")

LEVELS = tuple(float(level) for level in 2.0 ** np.arange(-5.0, 3.01, 0.25))
GRAIN = 1 << 10
"""Costs are multiplied by this, so that levels between whole numbers are told apart."""


@dataclass(frozen=True, eq=False)
class TrustSweep:
    """At which level of trust the cut begins to see an object at each node.

    Parameters
    ----------
    levels
        The L levels of trust, ascending.
    flips
        For each node (detections, then candidates) the number of levels at which no object is
        there ``(M + C,)``: it is there from ``levels[flips]`` on, and never where `flips` is L.
    n_detections
        M.
    complete
        False if the time ran out, and some flips are only known to lie near.
    """

    levels: Floats
    flips: Ints
    n_detections: int
    complete: bool = True

    def level(self) -> Floats:
        """Return the level at which each detection flips to TP ``(M,)``; inf if it never does."""
        beyond = np.append(self.levels, np.inf)
        return np.asarray(beyond[self.flips[: self.n_detections]])

    def false_positive(self) -> Floats:
        """Return the share of levels at which each detection is an FP ``(M,)``, to rank by."""
        return np.asarray(self.flips[: self.n_detections] / len(self.levels))

    def false_negative(self) -> Floats:
        """Return the share of levels at which each candidate is an FN ``(C,)``."""
        return np.asarray(1.0 - self.flips[self.n_detections :] / len(self.levels))


def sweep_trust(
    problem: TemporalCoherence,
    levels: Any = LEVELS,
    *,
    largest: bool = True,
    time_limit: float = math.inf,
) -> TrustSweep:
    r"""Solve a problem at many levels of trust in the detector.

    .. math:: x(t) = \arg\min_x \sum_d t\, a_d (1 - x_d) + \sum_c p_c x_c + \sum_e w_e |x_i - x_j|

    Trust multiplies the costs of calling detections false, and those alone: then the optimal sets
    of objects grow with it (largest with largest, smallest with smallest), and each node flips
    once. So the levels are halved again and again, and each cut settles the nodes that the next
    ones need no longer look at: time grows with the logarithm of the number of levels.

    Parameters
    ----------
    problem
        The graph and its costs.
    levels
        Levels of trust, ascending and above 0; 1 is the problem itself. Products with costs are
        rounded to integers, 1024 to a unit of the problem's.
    largest
        Compare the largest optimal sets, as `solve` does, or the smallest.
    time_limit
        Seconds; a node that is not settled by then flips in the middle of the levels that are left
        to it, and `TrustSweep.complete` is False.

    Raises
    ------
    InvalidInput
        A limit that is not above 0, no levels, levels out of order, or capacities beyond the
        integers of the cut.

    Examples
    --------
    >>> from labelcut.problems.detections import make_detections
    >>> from labelcut.problems.temporal_coherence import TemporalCoherence
    >>> detections = make_detections([[0, 0, 9, 9]] * 2 + [[50, 0, 9, 9]], [0.9] * 3, [0, 1, 1])
    >>> tracked = np.repeat(detections.boxes[:, None], 2, axis=1)
    >>> sweep_trust(TemporalCoherence(detections, tracked, (-1, 1)), [0.25, 0.5, 1.0]).level()
    array([0.25, 0.25, 1.  ])
    """
    steps = as_vector(levels, "levels")
    if not len(steps) or not (steps > 0).all() or not (np.diff(steps) > 0).all():
        raise InvalidInput("levels: must be ascending numbers above 0; pass at least one")
    total = sum(float(part.sum()) for part in (problem.present_cost, problem.edge_cost))
    total += float(problem.absent_cost.sum()) * max(steps[-1], 1.0)
    if not total * GRAIN < LARGEST / 4:
        raise InvalidInput(
            f"levels: capacities sum to {total * GRAIN:.3g}, beyond the integers of the cut; take "
            "lower levels or smaller weights"
        )
    if not time_limit > 0:
        raise InvalidInput(f"time_limit: must be above 0 seconds; got {time_limit}")
    clock = Clock(time_limit)
    flips = np.zeros(problem.n_nodes, dtype=np.int64)
    complete = True
    for batch in batches(problem):
        grained = Cut(
            GRAIN * batch.cut.absent,
            GRAIN * batch.cut.present,
            batch.cut.edges,
            GRAIN * batch.cut.weight,
        )
        flips[batch.nodes], settled = _flips(grained, steps, largest, clock)
        complete &= settled
    if not complete:
        logger.warning("the trust sweep ran out of time: some flips are between known levels")
    return TrustSweep(freeze(steps), freeze(flips), len(problem.detections), complete)


def _flips(cut: Cut, levels: Floats, largest: bool, clock: Clock) -> tuple[Ints, bool]:
    """Return the flip of each node, and whether there was time to settle all."""
    settled = True
    flips = np.zeros(len(cut.absent), dtype=np.int64)
    none = np.zeros(len(cut.absent), dtype=np.int64)
    parts = [(cut, np.arange(len(cut.absent)), none, 0, len(levels))]
    while parts:
        part, nodes, support, low, high = parts.pop()
        if low == high or not len(nodes):
            flips[nodes] = low
            continue
        middle = (low + high) // 2
        if not clock.remaining():
            flips[nodes], settled = middle, False
            continue
        found = _solved(part, support, float(levels[middle]), largest)
        for side, ends in ((found, (low, middle)), (~found, (middle + 1, high))):
            kept, added = _restricted(part, side, present_outside=side is not found)
            parts.append((kept, nodes[side], support[side] + added, *ends))
    return flips, settled


def _solved(cut: Cut, support: Ints, level: float, largest: bool) -> Mask:
    """Cut at a level; `support` is what nodes settled as present pay beyond those as absent."""
    absent = np.rint(cut.absent * level).astype(np.int64) + np.maximum(support, 0)
    present = cut.present + np.maximum(-support, 0)
    priced = Cut(absent, present, cut.edges, cut.weight)
    return priced.largest() if largest else priced.smallest()


def _restricted(cut: Cut, inside: Mask, *, present_outside: bool) -> tuple[Cut, Ints]:
    """Return the graph of some nodes, and what their edges to all others are worth to them."""
    one, other = cut.edges.T
    sign = 1 if present_outside else -1
    added = np.zeros(len(inside), dtype=np.int64)
    for here, there in ((one, other), (other, one)):
        leaving = inside[here] & ~inside[there]
        np.add.at(added, here[leaving], sign * cut.weight[leaving])
    kept = inside[one] & inside[other]
    number = np.cumsum(inside) - 1
    edges = number[cut.edges[kept]]
    return Cut(cut.absent[inside], cut.present[inside], edges, cut.weight[kept]), added[inside]
