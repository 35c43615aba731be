"""A detector's real mistakes, from the truth: what the estimates are measured against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .arrays import Floats, Ints, Mask, freeze
from .boxes import overlapping_pairs
from .errors import InvalidInput

if TYPE_CHECKING:
    from .detections import Detections
    from .linking import CoherenceGraph


@dataclass(frozen=True, eq=False)
class TrueErrors:
    """Which detections are false and which objects were missed.

    Parameters
    ----------
    false_positive
        ``(M,)``: detections of no object, or of one that another detection has; False too for
        detections that take no part.
    missed
        ``(G,)``: true objects that no detection has.
    false_negative
        ``(C,)``: candidates that lie on a missed object.
    fp, fn
        Their number in each frame ``(F,)``: utilities of the thesis's oracle (section 2.3.1).
    """

    false_positive: Mask
    missed: Mask
    false_negative: Mask
    fp: Ints
    fn: Ints


def find_errors(
    detections: Detections,
    truth: Detections,
    graph: CoherenceGraph | None = None,
    *,
    used: Mask | None = None,
    min_iou: float = 0.5,
) -> TrueErrors:
    """Match detections with true objects of their frame and class, best score first.

    Parameters
    ----------
    detections
        M detections.
    truth
        G true objects over the same videos; scores are not looked at, and those that cannot be used
        count for nothing.
    graph
        Whose candidates to judge too; None for none.
    used
        Which detections take part ``(M,)``; default: the table's own `used`.
    min_iou
        Overlap at which a detection has an object, 0.5 as in the thesis.

    Raises
    ------
    InvalidInput
        If the two tables are not about the same videos, or `min_iou` is out of range.
    """
    if not 0 < min_iou <= 1:
        raise InvalidInput(f"min_iou: must lie in 0..1, above 0; got {min_iou}; the usual is 0.5")
    names = [[(video.name, video.length) for video in t.videos] for t in (detections, truth)]
    if names[0] != names[1]:
        raise InvalidInput(
            f"truth: must be about the same videos with the same lengths; got {names[1][:3]} "
            f"for {names[0][:3]}"
        )
    group, truth_group = _groups(detections, truth)
    taking = detections.used if used is None else used
    queries = np.where(taking[:, None], detections.boxes, np.nan)
    truth_group = np.where(truth.used, truth_group, -1)
    found = list(overlapping_pairs(queries, group, truth.boxes, truth_group, _below(min_iou)))
    none = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))
    row, object_, share = (np.concatenate(parts) for parts in zip(*(found or [none]), strict=True))
    hit, taken = _greedy(detections.score, row, object_, share, len(truth))
    false, missed = taking & ~hit, truth.used & ~taken
    covered = np.zeros(0, dtype=bool)
    if graph is not None:
        covered = _covered(graph, detections, truth, missed, min_iou)
    frames = detections.n_frames
    return TrueErrors(
        false_positive=freeze(false),
        missed=freeze(missed),
        false_negative=freeze(covered),
        fp=freeze(np.bincount(detections.frame_row[false], minlength=frames)),
        fn=freeze(np.bincount(truth.frame_row[missed], minlength=frames)),
    )


def _below(min_iou: float) -> float:
    """Return the number that "at least" `min_iou` means "above"."""
    return float(np.nextafter(min_iou, 0.0))


def _groups(detections: Detections, truth: Detections) -> tuple[Ints, Ints]:
    """Return one number for frame and class in both tables, whose classes agree by name."""
    own, true = _class_numbers(detections, truth)
    count = len(own) + len(true)
    return (
        detections.frame_row * count + own[detections.label],
        truth.frame_row * count + true[truth.label],
    )


def _class_numbers(detections: Detections, truth: Detections) -> tuple[Ints, Ints]:
    """Return a number for each class of both tables, the same for the same name."""
    names = (*detections.classes, *truth.classes)
    numbers = np.unique(np.array(names, dtype=str), return_inverse=True)[1]
    return numbers[: len(detections.classes)], numbers[len(detections.classes) :]


def _greedy(
    score: Floats, row: Ints, object_: Ints, share: Floats, objects: int
) -> tuple[Mask, Mask]:
    """Give each detection, best first, the object left to it that it overlaps most."""
    hit, taken = np.zeros(len(score), dtype=bool), np.zeros(objects, dtype=bool)
    order = np.lexsort((object_, -share, row, -score[row]))
    for one, other in zip(row[order], object_[order], strict=True):
        if not hit[one] and not taken[other]:
            hit[one] = taken[other] = True
    return hit, taken


def _covered(
    graph: CoherenceGraph,
    detections: Detections,
    truth: Detections,
    missed: Mask,
    min_iou: float,
) -> Mask:
    """Return which candidates lie on a missed object of their frame and class."""
    own, true = _class_numbers(detections, truth)
    count = len(own) + len(true)
    group = graph.frame_row * count + own[graph.label]
    lost = (truth.frame_row * count + true[truth.label])[missed]
    covered = np.zeros(graph.n_candidates, dtype=bool)
    boxes = truth.boxes[missed]
    for one, _, _ in overlapping_pairs(graph.boxes, group, boxes, lost, _below(min_iou)):
        covered[one] = True
    return covered
