"""Boxes of one frame and class, put together where they stand for one thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .boxes import iou, overlapping_pairs

if TYPE_CHECKING:
    from .arrays import Floats, Ints


def cluster_boxes(boxes: Floats, group: Ints, above: float) -> tuple[Ints, Floats]:
    """Return the cluster of each box ``(n,)``, numbered from 0, and each cluster's mean box.

    Boxes of one group are joined along chains of overlap above a threshold. A chain can lead from
    one object to the next, and then its mean lies on neither: boxes that do not overlap their
    cluster's mean above the threshold leave it and are joined among themselves, until all that
    stay do. Where all overlap the mean equally little, they stay together.

    Parameters
    ----------
    boxes
        Left, top, width, height ``(n, 4)``, in an order that does not depend on the user's: sums
        are taken in it.
    group
        What must agree, such as frame and class ``(n,)``, ≥ 0.
    above
        The threshold of IoU in 0..1, both excluded.

    Examples
    --------
    Five boxes in a row, each of which overlaps the next, are no single object:

    >>> boxes = np.array([[3.0 * step, 0, 10, 10] for step in range(5)])
    >>> cluster_boxes(boxes, np.zeros(5, dtype=np.int64), 0.5)[0]
    array([1, 0, 0, 0, 2])
    """
    cluster = _chains(boxes, group, above)
    count, rows = _count(cluster), np.arange(len(boxes))
    while len(rows):
        own = np.unique(cluster[rows], return_inverse=True)[1]
        share = iou(boxes[rows], _means(boxes[rows], own)[own])
        best = np.zeros(_count(own))
        np.maximum.at(best, own, share)
        leaving = (share <= above) & (share < best[own])
        if not leaving.any():
            break
        broken = np.zeros(len(best), dtype=bool)
        broken[own[leaving]] = True
        gone = rows[leaving]
        cluster[gone] = count + _chains(boxes[gone], cluster[gone], above)
        count = _count(cluster)
        rows = rows[broken[own]]
    cluster = np.unique(cluster, return_inverse=True)[1].astype(np.int64)
    return cluster, _means(boxes, cluster)


def _chains(boxes: Floats, group: Ints, above: float) -> Ints:
    """Return the cluster of each box: boxes of one group along chains of overlap."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = len(boxes)
    if not size:
        return np.empty(0, dtype=np.int64)
    found = [
        (one[one < other], other[one < other])
        for one, other, _ in overlapping_pairs(boxes, group, boxes, group, above)
    ]
    one, other = (np.concatenate(parts) for parts in zip(*found, strict=True))
    joined = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(size, size))
    return np.asarray(connected_components(joined.tocsr(), directed=False)[1], dtype=np.int64)


def _means(boxes: Floats, cluster: Ints) -> Floats:
    """Return the mean box of each cluster, all of which have boxes."""
    count = _count(cluster)
    sums = [np.bincount(cluster, weights=side, minlength=count) for side in boxes.T]
    return np.stack(sums, axis=1) / np.bincount(cluster, minlength=count)[:, None]


def _count(cluster: Ints) -> int:
    return int(cluster.max()) + 1 if len(cluster) else 0
