"""Detections written back with what each of them was found to be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .atomic import atomic_file
from .errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .arrays import Floats
    from .detections import Detections


def write_detections(
    path: str | Path,
    detections: Detections,
    types: Any,
    *,
    layout: str = "mot",
    missed: Mapping[str, npt.NDArray[Any]] | None = None,
) -> None:
    """Write detections back with the estimated type of each, whole or not at all.

    Parameters
    ----------
    path
        The file; ``mot`` and ``kitti`` hold one video, ``coco`` any number.
    detections
        The table.
    types
        ``"TP"``, ``"FP"`` or ``"-"`` for each ``(M,)``.
    layout
        ``"mot"``: an eighth column; ``"kitti"``: a nineteenth column; ``"coco"``: a key ``type``,
        beside ``image_id`` and ``category_id`` where detections came from a COCO file.
    missed
        Candidates that are FN, as `ErrorEstimate.candidates` holds them; they follow with type
        ``FN`` and score -1.

    Raises
    ------
    InvalidInput
        An unknown layout, several videos where a file holds one, or a place that cannot be written.
    """
    writers = {"mot": _mot_text, "kitti": _kitti_text, "coco": _coco_text}
    if layout not in writers:
        raise InvalidInput(f"layout: must be one of {', '.join(writers)}; got {layout!r}")
    if layout != "coco" and len(detections.videos) > 1:
        raise InvalidInput(
            f"layout: a {layout} file holds one video; got {len(detections.videos)}; write one "
            "file for each, or layout 'coco'"
        )
    text = writers[layout](_Rows.of(detections, np.asarray(types, dtype=str), missed))
    with atomic_file(Path(path)) as temporary:
        temporary.write_text(text, encoding="utf-8")


@dataclass(frozen=True, eq=False)
class _Rows:
    video: list[str]
    frame: list[int]
    label: list[str]
    boxes: Floats
    score: list[float]
    types: list[str]
    image_ids: Mapping[tuple[str, int], int | str]
    class_ids: Mapping[str, int | str]

    @classmethod
    def of(
        cls,
        detections: Detections,
        types: npt.NDArray[np.str_],
        missed: Mapping[str, npt.NDArray[Any]] | None,
    ) -> _Rows:
        if types.shape != (len(detections),):
            raise InvalidInput(f"types: must name one for each of {len(detections)} detections")
        video = [detections.videos[at].name for at in detections.video]
        label = [detections.classes[at] for at in detections.label]
        frame, score = detections.frame_number.tolist(), detections.score.tolist()
        boxes, kinds = detections.boxes, types.tolist()
        if missed is not None:
            sides = [missed[side] for side in ("left", "top", "width", "height")]
            more = np.stack(sides, axis=1)
            boxes = np.concatenate([boxes, more])
            video += missed["video"].tolist()
            frame += missed["frame"].tolist()
            label += missed["class"].tolist()
            score += [-1.0] * len(more)
            kinds += ["FN"] * len(more)
        image_ids = {
            (video.name, video.first_frame + at): image
            for video in detections.videos
            for at, image in enumerate(video.image_ids)
        }
        named = dict(zip(detections.classes, detections.class_ids, strict=False))
        return cls(video, frame, label, boxes, score, kinds, image_ids, named)

    def ids(self, at: int) -> dict[str, int | str]:
        """Return what the COCO file that detections came from calls a row's image and class."""
        image = self.image_ids.get((self.video[at], self.frame[at]))
        category = self.class_ids.get(self.label[at])
        known = {"image_id": image, "category_id": category}
        return {name: value for name, value in known.items() if value is not None}


def _mot_text(rows: _Rows) -> str:
    parts = zip(rows.frame, rows.boxes.tolist(), rows.score, rows.types, strict=True)
    lines = (
        ",".join([str(frame), "-1", *(f"{side:.6g}" for side in box), f"{score:.6g}", kind])
        for frame, box, score, kind in parts
    )
    return "".join(f"{line}\n" for line in lines)


def _kitti_text(rows: _Rows) -> str:
    lines = []
    for at, (left, top, width, height) in enumerate(rows.boxes.tolist()):
        corners = " ".join(f"{side:.6g}" for side in (left, top, left + width, top + height))
        lines.append(
            f"{rows.frame[at]} -1 {rows.label[at]} -1 -1 -10 {corners} -1 -1 -1 -1000 -1000 -1000 "
            f"-10 {rows.score[at]:.6g} {rows.types[at]}\n"
        )
    return "".join(lines)


def _coco_text(rows: _Rows) -> str:
    entries = [
        {
            **rows.ids(at),
            "video": rows.video[at],
            "frame": rows.frame[at],
            "category": rows.label[at],
            "bbox": box,
            "score": rows.score[at],
            "type": rows.types[at],
        }
        for at, box in enumerate(rows.boxes.tolist())
    ]
    return json.dumps(entries) + "\n"
