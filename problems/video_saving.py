"""Video problems written so that anybody can solve them again, without images or a tracker."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from .array_files import write_array
from .atomic import atomic_file, staged_folder
from .base import plain
from .errors import InvalidInput
from .problem_files import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .detections import Detections
    from .temporal_coherence import TemporalCoherence


def save_video_problem(
    problem: TemporalCoherence, path: str | Path, *, solve: Mapping[str, Any] | None = None
) -> None:
    """Write a problem file, and detections and tracked boxes into ``<stem>.data`` beside it.

    Detections are COCO results, and the tracker is ``boxes``: where it has led is what is kept.
    Class probabilities, which only baselines read, are not.

    Raises
    ------
    InvalidInput
        If the place cannot be written, `path` is no ``.toml`` name, a video has no frame, or the
        offsets are not the same number of frames back and ahead.
    """
    path = Path(path)
    if path.suffix != ".toml":
        raise InvalidInput(f"path: a problem file ends in .toml; got {path.name}; rename it")
    reach = max(problem.offsets)
    if list(problem.offsets) != [*range(-reach, 0), *range(1, reach + 1)]:
        raise InvalidInput(
            f"offsets: a file tells those from -K to K only; got {list(problem.offsets)}; put NaN "
            "where nothing was tracked"
        )
    folder = path.with_name(f"{path.stem}.data")
    content: dict[str, Any] = {
        "labelcut": FORMAT,
        "problem": {
            "kind": problem.kind,
            "min_score": problem.min_score,
            "link_iou": problem.link_iou,
            "cluster_iou": problem.cluster_iou,
            "weights": asdict(problem.weights),
        },
        "data": {
            "layout": "coco",
            "detections": f"{folder.name}/detections.json",
            "images": f"{folder.name}/images.json",
            "tracked": f"{folder.name}/tracked.npy",
        },
        "tracker": {"kind": "boxes", "reach": reach},
    }
    if not problem.detections.used.all():
        content["data"]["invalid"] = "ignore"
    if solve:
        content["solve"] = plain(solve)
    with atomic_file(path) as temporary, staged_folder(folder) as staging:
        listed = json.dumps(_images(problem.detections, folder))
        (staging / "images.json").write_text(listed, encoding="utf-8")
        found = json.dumps(_results(problem.detections))
        (staging / "detections.json").write_text(found, encoding="utf-8")
        write_array(staging / "tracked.npy", problem.tracked)
        temporary.write_text(tomli_w.dumps(content), encoding="utf-8")


def _images(detections: Detections, folder: Path) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    for at, video in enumerate(detections.videos):
        if not video.length:
            raise InvalidInput(f"videos: {video.name!r} has no frame; leave it out to save")
        for frame in range(video.length):
            entry: dict[str, Any] = {"id": len(images), "video_id": at, "frame_id": frame}
            if video.size is not None:
                entry["width"], entry["height"] = video.size
            image = video.images[frame] if video.images else None
            if image is not None:
                entry["file_name"] = os.path.relpath(image, folder)
            images.append(entry)
    return {
        "videos": [
            {"id": at, "name": video.name, "first_frame": video.first_frame}
            for at, video in enumerate(detections.videos)
        ],
        "images": images,
        "categories": [{"id": at, "name": name} for at, name in enumerate(detections.classes)],
    }


def _results(detections: Detections) -> list[dict[str, Any]]:
    columns = (detections.frame_row, detections.label, detections.boxes, detections.score)
    names = ("image_id", "category_id", "bbox", "score")
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]
