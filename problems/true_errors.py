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
        G true objects over the same videos; scores are not looked at.
    graph
        Whose candidates to judge too; None for none.
    used
        Which detections take part ``(M,)``; default: the table's own `used`.
    min_iou
        Overlap at which a detection has an object, 0.5 as in the thesis.

    Raises
    ------
    InvalidInput
        If the two tables are not about the same videos.
    """
    names = [[(video.name, video.length) for video in t.videos] for t in (detections, truth)]
    if names[0] != names[1]:
        raise InvalidInput(
            f"truth: must be about the same videos with the same lengths; got {names[1][:3]} "
            f"for {names[0][:3]}"
        )
    group, truth_group = _groups(detections, truth)
    taking = detections.used if used is None else used
    queries = np.where(taking[:, None], detections.boxes, np.nan)
    found = list(overlapping_pairs(queries, group, truth.boxes, truth_group, _below(min_iou)))
    none = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))
    row, object_, share = (np.concatenate(parts) for parts in zip(*(found or [none]), strict=True))
    hit, taken = _greedy(detections.score, row, object_, share, len(truth))
    false = taking & ~hit
    covered = _covered(graph, detections, truth, ~taken, truth_group, min_iou)
    frames = detections.n_frames
    return TrueErrors(
        false_positive=freeze(false),
        missed=freeze(~taken),
        false_negative=freeze(covered),
        fp=freeze(np.bincount(detections.frame_row[false], minlength=frames)),
        fn=freeze(np.bincount(truth.frame_row[~taken], minlength=frames)),
    )


def _below(min_iou: float) -> float:
    """Return the number that "at least" `min_iou` means "above"."""
    return float(np.nextafter(min_iou, 0.0))


def _groups(detections: Detections, truth: Detections) -> tuple[Ints, Ints]:
    """Return one number for frame and class in both tables, whose classes agree by name."""
    known = dict.fromkeys((*detections.classes, *truth.classes))
    names = {name: at for at, name in enumerate(known)}
    numbered = []
    for table in (detections, truth):
        labels = np.array([names[name] for name in table.classes], dtype=np.int64)
        numbered.append(table.frame_row * len(names) + labels[table.label])
    return numbered[0], numbered[1]


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
    graph: CoherenceGraph | None,
    detections: Detections,
    truth: Detections,
    missed: Mask,
    truth_group: Ints,
    min_iou: float,
) -> Mask:
    if graph is None:
        return np.zeros(0, dtype=bool)
    known = dict.fromkeys((*detections.classes, *truth.classes))
    names = {name: at for at, name in enumerate(known)}
    labels = np.array([names[name] for name in detections.classes], dtype=np.int64)
    group = graph.frame_row * len(names) + labels[graph.label]
    covered = np.zeros(graph.n_candidates, dtype=bool)
    boxes = truth.boxes[missed]
    for one, _, _ in overlapping_pairs(
        graph.boxes, group, boxes, truth_group[missed], _below(min_iou)
    ):
        covered[one] = True
    return covered
