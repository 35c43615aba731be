"""What labels and disagreements cost in the energy over video detections."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from .arrays import Floats, Ints, Mask, as_number
from .detection_columns import score_rank
from .errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .detections import Detections
    from .linking import CoherenceGraph


@dataclass(frozen=True)
class CoherenceWeights:
    r"""Numbers that make costs of scores and overlaps; the defaults are the thesis's unit costs.

    With :math:`r` a detection's score rank within its video, in 0..1, and :math:`o` the IoU of a
    link, the costs are these; r in the last is the origin's.

    ==================================  ==========================================================
    calling a detection false           `detection` + `score` · r
    calling a candidate missed          `candidate`
    a link whose ends disagree          `link` + `overlap` · o
    a candidate and origin disagree     (`origin` + `trusted` · r) · `decay` ^ (steps - 1)
    ==================================  ==========================================================

    Parameters
    ----------
    detection, score, candidate, link, overlap, origin, trusted
        As above, each ≥ 0.
    decay
        In 0..1: how much less a box says that was tracked over one frame more.
    """

    detection: float = 1.0
    score: float = 0.0
    candidate: float = 1.0
    link: float = 1.0
    overlap: float = 0.0
    origin: float = 1.0
    trusted: float = 0.0
    decay: float = 1.0

    def __post_init__(self) -> None:
        """Check that every cost is finite and not negative, as the cut needs it."""
        for name, value in asdict(self).items():
            number = as_number(value, name)
            if not (np.isfinite(number) and number >= 0):
                raise InvalidInput(f"weights: {name} must be a number ≥ 0; got {value}")
        if self.decay > 1:
            raise InvalidInput(f"weights: decay must lie in 0..1; got {self.decay}")


PRESETS: Mapping[str, CoherenceWeights] = {
    "paper": CoherenceWeights(),
    "weighted": CoherenceWeights(
        detection=0.25, score=3.0, candidate=0.5, link=0.0, overlap=0.25, origin=0.5, trusted=0.25
    ),
}
"""Weights by name: ``paper`` is eq. 2.2 to 2.4 of the thesis, ``weighted`` is ours."""


def as_weights(weights: CoherenceWeights | str) -> CoherenceWeights:
    """Return weights by name or as they are."""
    if isinstance(weights, CoherenceWeights):
        return weights
    if weights not in PRESETS:
        raise InvalidInput(
            f"weights: must be one of {', '.join(PRESETS)}, or a CoherenceWeights; got {weights!r}"
        )
    return PRESETS[weights]


def detection_costs(weights: CoherenceWeights, detections: Detections, used: Mask) -> Floats:
    """Return the cost of calling each detection false ``(M,)``; 0 where it takes no part."""
    rank = _video_rank(detections, used)
    return np.where(used, weights.detection + weights.score * rank, 0.0)


def edge_costs(
    weights: CoherenceWeights, detections: Detections, used: Mask, graph: CoherenceGraph
) -> Floats:
    """Return the cost of disagreement of each link, then of each candidate and origin."""
    rank = _video_rank(detections, used)[graph.origins[:, 1]]
    links = weights.link + weights.overlap * graph.overlap
    origins = (weights.origin + weights.trusted * rank) * weights.decay ** (graph.steps - 1)
    return np.concatenate([links, origins])


def _video_rank(detections: Detections, used: Mask) -> Floats:
    rank = np.zeros(len(detections))
    rows = np.flatnonzero(used)
    order = rows[np.argsort(detections.video[rows], kind="stable")]
    ends: Ints = np.cumsum(np.bincount(detections.video[rows], minlength=len(detections.videos)))
    for start, stop in pairwise((0, *ends)):
        part = order[start:stop]
        rank[part] = score_rank(detections.score[part])
    return rank
