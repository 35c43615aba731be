"""Where detections are in the frames before and after: boxes moved by optical flow, or not at all.

Trackers take plain arrays and return boxes for each detection and each offset in frames, NaN where
the video has no such frame. Boxes of another tracker can take their place.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .optical_flow import VideoFlow

Floats = npt.NDArray[np.float64]
REACH = 3
"""K: frames to look ahead and back, three in the thesis."""
MEETING = ("center", "middle")
SAMPLES = 9
"""Points across and down at which the flow over a box's middle half is read."""


def offsets_within(reach: int = REACH) -> tuple[int, ...]:
    """Return the offsets of K frames back and K ahead.

    Examples
    --------
    >>> offsets_within(2)
    (-2, -1, 1, 2)
    """
    if reach < 1:
        raise ValueError(f"reach: must be at least 1 frame; got {reach}")
    return (*range(-reach, 0), *range(1, reach + 1))


def track_static(boxes: Any, video: Any, frame: Any, lengths: Any, *, reach: int = REACH) -> Floats:
    """Return the boxes themselves at every offset: nothing moves.

    Parameters
    ----------
    boxes
        Left, top, width, height in pixels ``(M, 4)``.
    video, frame
        Index of the video and position in it, from 0 ``(M,)``.
    lengths
        Number of frames of each video ``(V,)``.
    reach
        K; the offsets are `offsets_within`'s.

    Returns
    -------
    ndarray
        ``(M, 2K, 4)``, NaN outside the video.

    Examples
    --------
    >>> track_static([[0, 0, 5, 5]], [0], [0], [2], reach=1)[0].tolist()
    [[nan, nan, nan, nan], [0.0, 0.0, 5.0, 5.0]]
    """
    own, video, frame, lengths = _arrays(boxes, video, frame, lengths)
    offsets = offsets_within(reach)
    tracked = np.repeat(own[:, None], len(offsets), axis=1)
    for at, offset in enumerate(offsets):
        there = frame + offset
        tracked[(there < 0) | (there >= lengths[video]), at] = np.nan
    return tracked


def track_flow(
    boxes: Any,
    video: Any,
    frame: Any,
    lengths: Any,
    flows: Sequence[VideoFlow | None],
    *,
    reach: int = REACH,
    at: str = "center",
) -> Floats:
    """Return where optical flow carries boxes, a frame at a time.

    Parameters
    ----------
    boxes, video, frame, lengths, reach
        As in `track_static`.
    flows
        One for each video; None for one without images, where nothing moves.
    at
        ``"center"``: boxes move by the flow at their center, as in the thesis. ``"middle"``: by the
        median over the middle half of the box, across and down, read at 9 × 9 points.

    Returns
    -------
    ndarray
        ``(M, 2K, 4)``, NaN outside the video. Boxes keep their size.

    Raises
    ------
    ValueError
        Another word for `at`, or flow of another number of frames than the video's.
    """
    if at not in MEETING:
        raise ValueError(f"at: must be one of {', '.join(MEETING)}; got {at!r}")
    own, video, frame, lengths = _arrays(boxes, video, frame, lengths)
    if len(flows) != len(lengths):
        raise ValueError(f"flows: one for each of {len(lengths)} videos; got {len(flows)}")
    tracked = track_static(own, video, frame, lengths, reach=reach)
    order = np.argsort(video, kind="stable")
    ends = np.cumsum(np.bincount(video, minlength=len(lengths)))
    for number, (start, stop) in enumerate(pairwise((0, *ends))):
        flow, rows = flows[number], order[start:stop]
        if flow is None or not len(rows):
            continue
        if len(flow.flow) != max(int(lengths[number]) - 1, 0):
            raise ValueError(
                f"flows: video {number} has {lengths[number]} frames, its flow {len(flow.flow)} "
                "steps; there must be one step less"
            )
        for direction in (1, -1):
            current, place = own[rows].copy(), frame[rows].copy()
            for step in range(1, reach + 1):
                inside = (place + direction >= 0) & (place + direction < lengths[number])
                current[inside, :2] += _motion(flow, current[inside], place[inside], direction, at)
                place = place + direction
                column = reach - step if direction < 0 else reach + step - 1
                tracked[rows[inside], column] = current[inside]
    return tracked


def _motion(
    flow: VideoFlow, boxes: Floats, frame: npt.NDArray[np.int64], direction: int, at: str
) -> Floats:
    """Return how far each box moves from its frame to the next or the one before ``(n, 2)``."""
    height, width = flow.flow.shape[2:4]
    scale = np.array([width / flow.size[0], height / flow.size[1]])
    share = np.array([0.5]) if at == "center" else np.linspace(0.25, 0.75, SAMPLES)
    across = (boxes[:, 0, None] + boxes[:, 2, None] * share) * scale[0]
    down = (boxes[:, 1, None] + boxes[:, 3, None] * share) * scale[1]
    column = np.clip(across, 0, width - 1).astype(np.int64)
    row = np.clip(down, 0, height - 1).astype(np.int64)
    step = frame if direction > 0 else frame - 1
    way = 0 if direction > 0 else 1
    found = flow.flow[step[:, None, None], way, row[:, :, None], column[:, None, :]]
    moved = np.median(found.reshape(len(boxes), len(share) ** 2, 2).astype(np.float64), axis=1)
    return np.asarray(moved / scale)


def _arrays(boxes: Any, video: Any, frame: Any, lengths: Any) -> tuple[Floats, Any, Any, Any]:
    own = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    indices = [np.asarray(values, dtype=np.int64) for values in (video, frame, lengths)]
    for name, values in (("video", indices[0]), ("frame", indices[1])):
        if values.shape != (len(own),):
            raise ValueError(
                f"{name}: must have one value for each of {len(own)} boxes; got {values.shape}"
            )
    return own, indices[0], indices[1], indices[2]
