"""How much a frame is worth annotating: counts of mistakes, from truth or estimated, and baselines.

Everything here is about frames: F rows, video after video as in `Detections.frame_table`. They are
another index space than the detections that the numbers come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import Floats, as_vector
from .errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .detections import Detections
    from .error_estimate import ErrorEstimate
    from .temporal_coherence import TemporalCoherence

COUNTS = ("fp", "fn", "both")


def count_utility(estimate: ErrorEstimate, what: str = "fp") -> Floats:
    """Return the estimated number of mistakes of each frame ``(F,)`` (thesis section 2.3.2).

    Parameters
    ----------
    estimate
        An answer of `solve` to a `TemporalCoherence`.
    what
        ``"fp"`` false positives, as in the thesis, ``"fn"`` false negatives, or ``"both"``.

    Raises
    ------
    InvalidInput
        Another word, or an estimate that holds no answer.
    """
    if what not in COUNTS:
        raise InvalidInput(f"what: must be one of {', '.join(COUNTS)}; got {what!r}")
    if not estimate.table:
        raise InvalidInput(f"estimate: holds no answer ({estimate.status}); solve without limits")
    names = ("fp", "fn") if what == "both" else (what,)
    return np.asarray(sum(estimate.table[name].astype(np.float64) for name in names))


def soft_utility(
    problem: TemporalCoherence, false_positive: Any, false_negative: Any, *, missed: float = 1.0
) -> Floats:
    r"""Return expected mistakes from shares in place of labels, for each frame ``(F,)``.

    .. math:: \sum_{d} s_d + m \sum_c s_c \, \bar r_c

    Parameters
    ----------
    problem
        The graph, with D detections and C candidates.
    false_positive, false_negative
        :math:`s`, shares of the levels of a trust sweep at which a detection is an FP ``(M,)`` and
        a candidate an FN ``(C,)``.
    missed
        :math:`m`, what a candidate counts against a detection. It counts in proportion to
        :math:`\bar r_c`, the mean score of the detections that were tracked to it.
    """
    detections, graph = problem.detections, problem.graph
    wrong = as_vector(false_positive, "false_positive", len(detections))
    lost = as_vector(false_negative, "false_negative", graph.n_candidates)
    candidate, origin = graph.origins.T
    count = np.bincount(candidate, minlength=graph.n_candidates)
    total = np.bincount(candidate, detections.score[origin], minlength=graph.n_candidates)
    weights = missed * lost * total / np.maximum(count, 1)
    here = np.where(problem.used, wrong, 0.0)
    utility = np.bincount(detections.frame_row, here, minlength=detections.n_frames)
    more = np.bincount(graph.frame_row, weights, minlength=detections.n_frames)
    return np.asarray(utility + more, dtype=np.float64)


def summed_utility(detections: Detections, values: Any) -> Floats:
    """Return the sum of one value for each detection over each frame ``(F,)``.

    Examples
    --------
    >>> from labelcut.problems.detections import make_detections
    >>> detections = make_detections([[0, 0, 9, 9]] * 3, [0.9, 0.5, 0.7], [0, 2, 2])
    >>> summed_utility(detections, 1 - detections.score).round(2)
    array([0.1, 0. , 0.8])
    """
    weights = as_vector(values, "values", len(detections))
    weights = np.where(detections.used, weights, 0.0)
    counts = np.bincount(detections.frame_row, weights=weights, minlength=detections.n_frames)
    return np.asarray(counts, dtype=np.float64)


def least_confidence_utility(detections: Detections) -> Floats:
    """Return minus the mean of the largest class probability over a frame's detections ``(F,)``."""
    return _mean(detections, -_probs(detections).max(axis=1))


def entropy_utility(detections: Detections) -> Floats:
    """Return the mean entropy, in nats, over a frame's detections ``(F,)``."""
    probs = _probs(detections)
    return _mean(detections, -(probs * np.log(np.maximum(probs, 1e-300))).sum(axis=1))


def margin_utility(detections: Detections) -> Floats:
    r"""Return :math:`\sum (1 - (p_1 - p_2))^2` over a frame's detections ``(F,)``.

    :math:`p_1` and :math:`p_2` are the two largest probabilities of a detection.
    """
    probs = np.sort(_probs(detections), axis=1)
    values = (1.0 - (probs[:, -1] - probs[:, -2])) ** 2
    return _ranked_last(detections, summed_utility(detections, values))


FRAME_BASELINES: Mapping[str, Callable[[Detections], Floats]] = {
    "confidence": least_confidence_utility,
    "entropy": entropy_utility,
    "margin": margin_utility,
}
"""What frames are worth by the detector's own uncertainty, without a graph; by name."""


def _probs(detections: Detections) -> Floats:
    """Return class probabilities, or score and its complement where the detector gives none."""
    if detections.probs is not None and detections.probs.shape[1] > 1:
        return detections.probs
    return np.stack([detections.score, 1.0 - detections.score], axis=1)


def _mean(detections: Detections, values: Floats) -> Floats:
    count = summed_utility(detections, np.ones(len(detections)))
    total = summed_utility(detections, values)
    return _ranked_last(detections, total / np.maximum(count, 1.0))


def _ranked_last(detections: Detections, utility: Floats) -> Floats:
    """Put frames without detections below all others."""
    empty = summed_utility(detections, np.ones(len(detections))) == 0
    found = utility[~empty]
    lowest = float(found.min()) - 1.0 if len(found) else 0.0
    return np.where(empty, lowest, utility)
