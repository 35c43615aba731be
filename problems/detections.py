"""Detections on video as one table: a video, a frame, a class, a box and a score for each row."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .arrays import Floats, Ints, Mask, as_integers, freeze
from .detection_columns import (
    as_boxes,
    as_class_probs,
    as_classes,
    as_column,
    as_names,
    as_scores,
    one_of,
)
from .errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger("labelcut")

SCORES = ("probability", "logit", "rank")
INVALID = ("error", "ignore")
MOST_FRAMES = 100_000_000
"""Frames of all videos together; each has a row of its own."""


@dataclass(frozen=True)
class Video:
    """One video of a table of detections.

    Parameters
    ----------
    name
        What it is called; no two videos share a name.
    length
        L, its number of frames, those without detections included.
    first_frame
        The number of its first frame in the user's own counting: 0 or 1, as a rule.
    size
        Width and height in pixels, or None where nobody told.
    images
        Path of the image of each frame, None for a frame that has none; empty without images.
    image_ids
        What a COCO file calls the image of each frame; empty where nobody told.
    """

    name: str
    length: int
    first_frame: int = 0
    size: tuple[int, int] | None = None
    images: tuple[str | None, ...] = ()
    image_ids: tuple[int | str, ...] = ()


@dataclass(frozen=True, eq=False)
class Detections:
    """M detections on several videos; read-only, made by `make_detections`.

    Parameters
    ----------
    boxes
        Left, top, width and height in pixels ``(M, 4)`` float64.
    score
        Confidence ``(M,)`` in 0..1.
    video
        Index into `videos` ``(M,)``.
    frame
        Position in its video ``(M,)``, 0 for the first frame; `frame_number` is the user's number.
    label
        Index into `classes` ``(M,)``.
    videos, classes
        All videos, those without a detection included, and the names of the classes.
    used
        Mask ``(M,)``: False for boxes that cannot be used and were asked to be ignored.
    probs
        Class probabilities ``(M, C)`` where the detector gives them, or None.
    class_ids
        What a COCO file calls each of `classes`; empty where nobody told.
    """

    boxes: Floats
    score: Floats
    video: Ints
    frame: Ints
    label: Ints
    videos: tuple[Video, ...]
    classes: tuple[str, ...]
    used: Mask
    probs: Floats | None = field(default=None)
    class_ids: tuple[int | str, ...] = ()

    def __len__(self) -> int:
        """Return M."""
        return len(self.score)

    @cached_property
    def lengths(self) -> Ints:
        """Number of frames of each video."""
        return freeze(np.array([video.length for video in self.videos], dtype=np.int64))

    @cached_property
    def offsets(self) -> Ints:
        """Row of each video's first frame among all frames, and their number at the end."""
        return freeze(np.concatenate([[0], np.cumsum(self.lengths)]))

    @property
    def n_frames(self) -> int:
        """F, the number of frames of all videos."""
        return int(self.offsets[-1])

    @cached_property
    def frame_row(self) -> Ints:
        """Row among all frames of all videos ``(M,)``, video after video."""
        return freeze(self.offsets[self.video] + self.frame)

    @cached_property
    def frame_number(self) -> Ints:
        """The user's own number of each detection's frame ``(M,)``."""
        first = np.array([video.first_frame for video in self.videos], dtype=np.int64)
        return freeze(self.frame + first[self.video])

    @cached_property
    def frame_table(self) -> dict[str, npt.NDArray[Any]]:
        """Name of the video and number of the frame, for each of the F frames."""
        names = np.array([video.name for video in self.videos], dtype=str)
        numbers = [np.arange(video.length) + video.first_frame for video in self.videos]
        frames = np.concatenate([np.empty(0, dtype=np.int64), *numbers])
        return {"video": freeze(np.repeat(names, self.lengths)), "frame": freeze(frames)}

    def __repr__(self) -> str:
        """Return sizes, not the arrays."""
        return (
            f"Detections({len(self)} boxes, {len(self.videos)} videos, {self.n_frames} frames, "
            f"{len(self.classes)} classes)"
        )


def make_detections(
    boxes: Any,
    score: Any,
    frame: Any,
    *,
    video: Any = None,
    label: Any = None,
    videos: Sequence[Video] | None = None,
    classes: Sequence[str] | None = None,
    first_frame: int = 0,
    probs: Any = None,
    scores: str = "probability",
    invalid: str = "error",
) -> Detections:
    """Validate detections that are given as arrays.

    Rows may come in any order; every later answer is about the rows as they are here.

    Parameters
    ----------
    boxes
        ``(M, 4)``: left, top, width, height in pixels; they may reach over the image's border.
    score
        ``(M,)``, read as `scores` says.
    frame
        The user's own frame numbers ``(M,)``.
    video
        Name or number of each detection's video ``(M,)``; default: one video called ``video``.
    label
        Class name or number of each detection ``(M,)``; default: all are of one class.
    videos
        All videos, where some have no detection or their lengths and sizes are known; default:
        those of `video`, as long as their last detection says.
    classes
        Names of all classes; default: those of `label`.
    first_frame
        The number of every video's first frame, unless `videos` say it.
    probs
        Class probabilities ``(M, C)``; only acquisition baselines read them.
    scores
        ``"probability"``: in 0..1 already. ``"logit"``: squashed, :math:`1 / (1 + e^{-s})`.
        ``"rank"``: replaced by their rank among all, for scores on no known scale.
    invalid
        What to do about boxes that are empty or outside their image: ``"error"``, or ``"ignore"``
        to leave them out of everything, counted and logged.

    Raises
    ------
    InvalidInput
        Values that are not finite, scores out of range, unusable boxes, frames out of range, two
        videos of one name, arrays of different lengths.

    Examples
    --------
    >>> boxes = [[0, 0, 9, 9], [1, 0, 9, 9]]
    >>> detections = make_detections(boxes, [0.9, 0.8], [1, 2], first_frame=1)
    >>> detections
    Detections(2 boxes, 1 videos, 2 frames, 1 classes)
    >>> detections.frame
    array([0, 1])
    """
    array = as_boxes(boxes)
    size = len(array)
    one_of(scores, SCORES, "scores")
    one_of(invalid, INVALID, "invalid")
    numbers = as_integers(as_column(frame, "frame", size), "frame")
    named = np.full(size, "video") if video is None else as_names(video, "video", size)
    if videos is None:
        videos, codes = _found_videos(named, numbers, first_frame)
    else:
        codes = _known_videos(named, videos)
    _require_few_frames(videos)
    names, labels = as_classes(label, classes, size)
    position = _positions(numbers, codes, videos)
    used = _usable(array, codes, videos, invalid)
    return Detections(
        boxes=freeze(array),
        score=freeze(as_scores(score, scores, size)),
        video=freeze(codes),
        frame=freeze(position),
        label=freeze(labels),
        videos=tuple(videos),
        classes=names,
        used=freeze(used),
        probs=None if probs is None else freeze(as_class_probs(probs, size)),
    )


def join_detections(tables: Sequence[Detections]) -> Detections:
    """Return the rows of several tables as one, table after table.

    Raises
    ------
    InvalidInput
        No table, or two videos of one name.

    Examples
    --------
    >>> one, two = (
    ...     make_detections([[0, 0, 9, 9]], [0.9], [0], videos=[Video(name, 3)], video=[name])
    ...     for name in ("a", "b")
    ... )
    >>> join_detections([one, two]).frame_row
    array([0, 3])
    """
    if not tables:
        raise InvalidInput("detections: there must be at least one table; got none; name a file")
    if len(tables) == 1:
        return tables[0]
    videos = tuple(video for table in tables for video in table.videos)
    _require_names(videos)
    classes = tuple(dict.fromkeys(name for table in tables for name in table.classes))
    at = {name: index for index, name in enumerate(classes)}
    firsts = np.cumsum([0] + [len(table.videos) for table in tables])
    with_probs = all(table.probs is not None for table in tables)
    alike = len({table.probs.shape[1] for table in tables if table.probs is not None}) == 1
    probs = [table.probs for table in tables if table.probs is not None]
    labels = [
        np.array([at[name] for name in table.classes], dtype=np.int64)[table.label]
        for table in tables
    ]
    return Detections(
        boxes=freeze(np.concatenate([table.boxes for table in tables])),
        score=freeze(np.concatenate([table.score for table in tables])),
        video=freeze(
            np.concatenate([t.video + first for t, first in zip(tables, firsts, strict=False)])
        ),
        frame=freeze(np.concatenate([table.frame for table in tables])),
        label=freeze(np.concatenate(labels)),
        videos=videos,
        classes=classes,
        used=freeze(np.concatenate([table.used for table in tables])),
        probs=freeze(np.concatenate(probs)) if with_probs and alike else None,
    )


def _found_videos(
    named: npt.NDArray[Any], numbers: Ints, first_frame: int
) -> tuple[tuple[Video, ...], Ints]:
    names, codes = np.unique(named, return_inverse=True)
    last = np.full(len(names), first_frame - 1)
    np.maximum.at(last, codes, numbers)
    lengths = last - first_frame + 1
    pairs = zip(names, lengths, strict=True)
    videos = tuple(Video(str(name), int(length), first_frame) for name, length in pairs)
    return videos, codes.astype(np.int64)


def _known_videos(named: npt.NDArray[Any], videos: Sequence[Video]) -> Ints:
    _require_names(videos)
    names = np.array([video.name for video in videos], dtype=str)
    order = np.argsort(names)
    if not len(names):
        raise InvalidInput("videos: there must be at least one; got none; list them")
    at = order[np.searchsorted(names, named, sorter=order).clip(max=len(names) - 1)]
    unknown = np.flatnonzero(names[at] != named)
    if len(unknown):
        raise InvalidInput(
            f"video: every detection's must be listed; row {unknown[0]} is of "
            f"{str(named[unknown[0]])!r}; add it to videos"
        )
    return np.asarray(at, dtype=np.int64)


def _require_names(videos: Sequence[Video]) -> None:
    seen: set[str] = set()
    for video in videos:
        if video.name in seen:
            raise InvalidInput(
                f"videos: names must be distinct; {video.name!r} comes twice; rename one"
            )
        seen.add(video.name)
        if video.length < 0:
            raise InvalidInput(f"videos: {video.name!r} has length {video.length}; must be ≥ 0")
        if video.images and len(video.images) != video.length:
            raise InvalidInput(
                f"videos: {video.name!r} has {video.length} frames and {len(video.images)} images; "
                "pass one path for each frame, None where there is none"
            )


def _require_few_frames(videos: Sequence[Video]) -> None:
    frames = sum(video.length for video in videos)
    if frames > MOST_FRAMES:
        longest = max(videos, key=lambda video: video.length)
        raise InvalidInput(
            f"frame: videos may have {MOST_FRAMES:,} frames together; got {frames:,}, of which "
            f"{longest.name!r} has {longest.length:,} from {longest.first_frame} on; number frames "
            "one by one, not by time, and pass first_frame where they begin late"
        )


def _positions(numbers: Ints, codes: Ints, videos: Sequence[Video]) -> Ints:
    first = np.array([video.first_frame for video in videos], dtype=np.int64)
    length = np.array([video.length for video in videos], dtype=np.int64)
    position = numbers - first[codes]
    wrong = np.flatnonzero((position < 0) | (position >= length[codes]))
    if len(wrong):
        row = int(wrong[0])
        video = videos[codes[row]]
        span = f"{video.length} frames from {video.first_frame} on"
        raise InvalidInput(
            f"frame: {video.name!r} has {span}; row {row} is in frame {numbers[row]}; check "
            "first_frame (0 or 1) and the length"
        )
    return np.asarray(position)


def _usable(boxes: Floats, codes: Ints, videos: Sequence[Video], invalid: str) -> Mask:
    """Return which boxes have an area within their image."""
    sizes = np.array([video.size or (np.inf, np.inf) for video in videos]).reshape(-1, 2)[codes]
    empty = (boxes[:, 2:] <= 0).any(axis=1)
    ends = boxes[:, :2] + boxes[:, 2:]
    known = np.isfinite(sizes).all(axis=1)
    outside = known & ((ends <= 0) | (boxes[:, :2] >= sizes)).any(axis=1) & ~empty
    for wrong, what in ((empty, "of zero area"), (outside, "outside the image")):
        rows = np.flatnonzero(wrong)
        if len(rows) and invalid == "error":
            raise InvalidInput(
                f"boxes: must have an area within the image; row {rows[0]} "
                f"{boxes[rows[0]].tolist()} is {what} ({len(rows)} such rows); drop these rows "
                "or pass invalid='ignore'"
            )
        if len(rows):
            logger.warning("%d boxes %s are ignored, the first in row %d", len(rows), what, rows[0])
    return np.asarray(~(empty | outside))
