"""Overlap of boxes, and the pairs of boxes that overlap, found without comparing all with all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .arrays import Floats, Ints, Mask

CHUNK_PAIRS = 1 << 18
"""Pairs compared at a time; they fit into the processor's cache."""
ROUNDING = 1e-9


def iou(one: Floats, other: Floats) -> Floats:
    r"""Return intersection over union of boxes, pair by pair.

    .. math:: |A \cap B| \,/\, |A \cup B|

    Parameters
    ----------
    one, other
        Left, top, width, height ``(..., 4)``; boxes that are NaN overlap nothing.

    Examples
    --------
    >>> iou(np.array([0.0, 0.0, 2.0, 2.0]), np.array([1.0, 0.0, 2.0, 2.0])).round(4)
    np.float64(0.3333)
    """
    x, y, w, h = np.moveaxis(one, -1, 0)
    u, v, a, b = np.moveaxis(other, -1, 0)
    wide = np.minimum(x + w, u + a) - np.maximum(x, u)
    high = np.minimum(y + h, v + b) - np.maximum(y, v)
    inside = np.maximum(wide, 0.0) * np.maximum(high, 0.0)
    union = w * h + a * b - inside
    with np.errstate(invalid="ignore", divide="ignore"):
        share = inside / union
    return np.where(union > 0, share, 0.0)


def is_whole(boxes: Floats) -> Mask:
    """Return which boxes have four finite numbers ``(n,)``."""
    # Four passes over columns take a quarter of the time of one reduction along rows of four.
    x, y, w, h = boxes.T
    return np.asarray(np.isfinite(x) & np.isfinite(y) & np.isfinite(w) & np.isfinite(h))


def overlapping_pairs(
    queries: Floats, query_group: Ints, boxes: Floats, group: Ints, above: float
) -> Iterator[tuple[Ints, Ints, Floats]]:
    r"""Yield the pairs of a query and a box of one group whose IoU exceeds a threshold.

    Boxes are sorted by group and left edge. With IoU above θ, a box's left edge lies between
    :math:`l - w(1-θ)/θ` and :math:`l + w(1-θ)` for a query at :math:`l` of width :math:`w`, so two
    binary searches find all that come into question. Memory is linear in queries and boxes.

    Parameters
    ----------
    queries, boxes
        ``(Q, 4)`` and ``(B, 4)``; queries that are NaN meet nothing.
    query_group, group
        What must agree, such as frame and class, ``(Q,)`` and ``(B,)``, ≥ 0; a query's may be
        negative to meet nothing.
    above
        θ in 0..1 (0 excluded, since nothing bounds the left edge then).

    Yields
    ------
    tuple
        Queries, boxes and their IoU, a chunk of pairs at a time, by ascending query.
    """
    usable = np.flatnonzero(is_whole(queries) & (query_group >= 0))
    if not len(usable) or not len(boxes):
        return
    asked, asked_group = queries[usable], query_group[usable]
    left = np.minimum(boxes[:, 0].min(), asked[:, 0].min())
    reach = (1.0 - above) / above * max(asked[:, 2].max(), 0.0)
    span = max(boxes[:, 0].max(), asked[:, 0].max()) - left + 2.0 * reach + 1.0
    # One number orders by group, then left edge; what rounding blurs, the slack lets through.
    key = group * span + (boxes[:, 0] - left + reach)
    order = np.argsort(key, kind="stable")
    key = key[order]
    slack = ROUNDING * span + 4.0 * np.spacing(abs(key[-1]) + span)
    at = asked_group * span + (asked[:, 0] - left + reach)
    width = asked[:, 2]
    low = np.searchsorted(key, at - width * (1.0 - above) / above - slack)
    high = np.searchsorted(key, at + width * (1.0 - above) + slack, side="right")
    counts = np.maximum(high - low, 0)
    for start, stop in _parts(counts):
        count = counts[start:stop]
        which = np.repeat(np.arange(start, stop), count)
        steps = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
        hit = order[low[which] + steps]
        same = group[hit] == asked_group[which]
        which, hit = which[same], hit[same]
        share = iou(asked[which], boxes[hit])
        keep = share > above
        yield usable[which[keep]], hit[keep], share[keep]


def _parts(counts: Ints) -> Iterator[tuple[int, int]]:
    """Yield ranges of queries with about `CHUNK_PAIRS` pairs each, one query at least."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, before + CHUNK_PAIRS, side="right")), start + 1)
        yield start, stop
        start = stop
