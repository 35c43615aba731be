"""The graph over detections: links along time, and candidates where something may be missed.

Thesis section 2.3.2 and figure 2.2. The thesis gives no threshold: IoU above 0.5 is ours, for links
and for the clustering of candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .arrays import Floats, Ints, Mask, freeze
from .box_clusters import cluster_boxes
from .boxes import is_whole, overlapping_pairs

if TYPE_CHECKING:
    from .detections import Detections


@dataclass(frozen=True, eq=False)
class CoherenceGraph:
    """Who supports whom: detections ``0..M-1``, and C candidates where trackers lead to nothing.

    Parameters
    ----------
    links
        Pairs of detections of different frames ``(E, 2)``, the lower row first, ascending.
    overlap
        The larger IoU of each link's two tracked boxes ``(E,)``.
    boxes
        Of each candidate, the mean of the tracked boxes it stands for ``(C, 4)``.
    frame_row, label
        Frame (a row among all frames) and class of each candidate ``(C,)``.
    origins
        Pairs of a candidate and a detection that was tracked to it ``(O, 2)``, ascending.
    steps
        How many frames apart the two are ``(O,)``.
    """

    links: Ints
    overlap: Floats
    boxes: Floats
    frame_row: Ints
    label: Ints
    origins: Ints
    steps: Ints

    @property
    def n_candidates(self) -> int:
        """C."""
        return len(self.boxes)


def link(
    detections: Detections,
    used: Mask,
    tracked: Floats,
    offsets: tuple[int, ...],
    *,
    link_iou: float = 0.5,
    cluster_iou: float = 0.5,
) -> CoherenceGraph:
    r"""Link detections that trackers carry onto one another, and cluster what they lead to else.

    Detection k of frame i and l of frame j of one class are linked when

    .. math:: IoU(d_i^k, d_{j→i}^l) > θ \quad \text{or} \quad IoU(d_j^l, d_{i→j}^k) > θ.

    A box that is tracked to a frame in which its detection has no link is unmatched. Unmatched
    boxes of one frame and class are joined to candidates along chains of overlap above
    `cluster_iou`, and those that overlap their candidate's mean no more than that leave it again
    (`cluster_boxes`); their order does not matter. Boxes whose center is outside the image, where
    its size is known, are dropped.

    Parameters
    ----------
    detections
        M detections.
    used
        Which of them take part ``(M,)``.
    tracked
        Where each detection is at each offset, left, top, width, height ``(M, T, 4)``; NaN where
        the video has no such frame.
    offsets
        The T offsets in frames, such as ``(-2, -1, 1, 2)``.
    link_iou, cluster_iou
        θ of links and of candidates, above 0.
    """
    rows = np.flatnonzero(used)
    classes = max(len(detections.classes), 1)
    group = detections.frame_row[rows] * classes + detections.label[rows]
    own = detections.boxes[rows]
    pairs, shares = [], []
    for at, offset in enumerate(offsets):
        boxes, target = _carried(detections, rows, tracked, at, offset)
        for one, other, share in overlapping_pairs(boxes, target, own, group, link_iou):
            pairs.append(np.stack([rows[one], rows[other]], axis=1))
            shares.append(share)
    links, overlap = _distinct(pairs, shares, len(detections))
    met = _met_frames(detections, links)
    loose = []
    for at, offset in enumerate(offsets):
        boxes, target = _carried(detections, rows, tracked, at, offset)
        seen = rows * detections.n_frames + detections.frame_row[rows] + offset
        free = np.flatnonzero((target >= 0) & ~_contains(met, seen))
        loose.append((rows[free], boxes[free], target[free], np.full(len(free), abs(offset))))
    origin, boxes, target, steps = (np.concatenate(parts) for parts in zip(*loose, strict=True))
    # Sums are taken in one order, so that shuffled rows give the same boxes to the last bit.
    order = np.lexsort((*boxes.T, steps, target))
    origin, boxes, target, steps = origin[order], boxes[order], target[order], steps[order]
    cluster, mean = cluster_boxes(boxes, target, cluster_iou)
    return _with_candidates(links, overlap, cluster, mean, origin, target, steps, classes)


def _carried(
    detections: Detections, rows: Ints, tracked: Floats, at: int, offset: int
) -> tuple[Floats, Ints]:
    """Return the boxes at an offset, and their frame and class; -1 where there is none."""
    video, frame = detections.video[rows], detections.frame[rows] + offset
    boxes = np.asarray(tracked[rows, at], dtype=np.float64)
    there = (frame >= 0) & (frame < detections.lengths[video]) & is_whole(boxes)
    there &= _in_picture(detections, rows, boxes)
    group = (detections.frame_row[rows] + offset) * max(len(detections.classes), 1)
    return boxes, np.where(there, group + detections.label[rows], -1)


def _met_frames(detections: Detections, links: Ints) -> Ints:
    """Return, ascending, detection times F plus each frame in which the detection has a link."""
    one, other = links.T
    frames = detections.n_frames
    there = detections.frame_row
    return np.sort(np.concatenate([one * frames + there[other], other * frames + there[one]]))


def _contains(ascending: Ints, values: Ints) -> Mask:
    at = np.searchsorted(ascending, values)
    found = np.zeros(len(values), dtype=bool)
    inside = at < len(ascending)
    found[inside] = ascending[at[inside]] == values[inside]
    return found


def _in_picture(detections: Detections, rows: Ints, boxes: Floats) -> Mask:
    """Return which boxes have their center in the image; True where its size is not known."""
    sizes = np.array([video.size or (np.inf, np.inf) for video in detections.videos])
    if not np.isfinite(sizes).any():
        return np.ones(len(rows), dtype=bool)
    inside = np.isinf(sizes[:, 0])[detections.video[rows]]
    x, y, w, h = boxes.T
    wide, high = sizes[detections.video[rows]].T
    x, y = x + 0.5 * w, y + 0.5 * h
    return np.asarray(inside | ((x >= 0) & (x <= wide) & (y >= 0) & (y <= high)))


def _distinct(pairs: list[Ints], shares: list[Floats], size: int) -> tuple[Ints, Floats]:
    """Return each pair once, ascending, with the largest of its overlaps."""
    if not pairs:
        return np.empty((0, 2), dtype=np.int64), np.empty(0)
    both = np.concatenate(pairs)
    share = np.concatenate(shares)
    key = both.min(axis=1) * size + both.max(axis=1)
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.empty(0, np.int64)
    low, high = np.divmod(key[first], size)
    largest = np.maximum.reduceat(share[order], first) if len(first) else np.empty(0)
    return np.stack([low, high], axis=1), largest


def _with_candidates(
    links: Ints,
    overlap: Floats,
    cluster: Ints,
    mean: Floats,
    origin: Ints,
    target: Ints,
    steps: Ints,
    classes: int,
) -> CoherenceGraph:
    """Return the graph, candidates by frame, class and place in whatever order rows came."""
    count = len(mean)
    group = np.zeros(count, dtype=np.int64)
    group[cluster] = target
    ranks = np.lexsort((*mean.T[::-1], group))
    number = np.empty(count, dtype=np.int64)
    number[ranks] = np.arange(count)
    origins = np.stack([number[cluster], origin], axis=1)
    by = np.lexsort(origins.T[::-1])
    return CoherenceGraph(
        links=freeze(links),
        overlap=freeze(overlap),
        boxes=freeze(mean[ranks]),
        frame_row=freeze(group[ranks] // classes),
        label=freeze(group[ranks] % classes),
        origins=freeze(origins[by]),
        steps=freeze(steps[by]),
    )
