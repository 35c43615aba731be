"""Frames with their estimated mistakes drawn in, and one sheet of all of them."""

from __future__ import annotations

import re
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..problems.errors import InvalidInput

if TYPE_CHECKING:
    from ..problems.arrays import Floats
    from ..problems.error_estimate import ErrorEstimate
    from ..problems.temporal_coherence import TemporalCoherence

GREEN, PURPLE, YELLOW = (60, 180, 60), (200, 40, 200), (255, 215, 0)
COLORS = {"TP": GREEN, "FP": PURPLE, "FN": YELLOW}
"""RGB of each type that is drawn, as in the thesis's figure 2.3 for FP."""
TILE = 320
"""Width of a frame on the contact sheet, in pixels."""
COLUMNS = 4
STRIP = 22
"""Height of the line of text above a frame."""


def draw_frames(
    problem: TemporalCoherence,
    estimate: ErrorEstimate,
    frames: Any,
    folder: str | Path,
) -> list[Path]:
    """Write some frames with boxes, and ``contact-sheet.png`` of all of them.

    TP are green, FP purple, FN yellow. A frame without a readable image is drawn on gray.

    Parameters
    ----------
    problem, estimate
        What was solved, and its answer.
    frames
        Rows among all frames, such as a selection's `indices`.
    folder
        Where to write; it is made if need be.

    Returns
    -------
    list of Path
        The sheet, then one picture for each frame: ``<video>-<frame>.png``.

    Raises
    ------
    InvalidInput
        Without OpenCV, or where the folder cannot be written.
    """
    try:
        import cv2
    except ImportError:
        raise InvalidInput(
            "--draw: needs OpenCV; pip install 'labelcut[video]', or opencv-python-headless"
        ) from None
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{folder}: cannot be made ({error.strerror})") from None
    rows = np.asarray(frames, dtype=np.int64)
    table = problem.detections.frame_table
    pictures, written = [], []
    for row in rows:
        picture = _drawn(problem, estimate, int(row))
        name = f"{table['video'][row]}-{table['frame'][row]}"
        path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}.png"
        _save(cv2, path, picture)
        pictures.append(_tile(cv2, picture, name, _counts(estimate, int(row))))
        written.append(path)
    sheet = folder / "contact-sheet.png"
    _save(cv2, sheet, _sheet(pictures))
    return [sheet, *written]


def _drawn(problem: TemporalCoherence, estimate: ErrorEstimate, row: int) -> npt.NDArray[np.uint8]:
    import cv2

    detections = problem.detections
    own = np.flatnonzero(detections.frame_row == row)
    lost = np.flatnonzero((problem.graph.frame_row == row) & (estimate.candidate_types == "FN"))
    picture = _picture(problem, row)
    width = max(round(picture.shape[1] / 320), 1)
    # The ones that are right first, so that mistakes lie on top.
    marks: list[tuple[str, Floats]] = [
        *(("TP", detections.boxes[at]) for at in own if estimate.types[at] == "TP"),
        *(("FP", detections.boxes[at]) for at in own if estimate.types[at] == "FP"),
        *(("FN", problem.graph.boxes[at]) for at in lost),
    ]
    for kind, (left, top, wide, high) in marks:
        corners = [(round(left), round(top)), (round(left + wide), round(top + high))]
        cv2.rectangle(picture, corners[0], corners[1], COLORS[kind], width)
    return picture


def _picture(problem: TemporalCoherence, row: int) -> npt.NDArray[np.uint8]:
    """Return a frame's image in RGB, gray where there is none."""
    from ..models.optical_flow import read_image

    detections = problem.detections
    at = int(np.searchsorted(detections.offsets, row, side="right")) - 1
    video = detections.videos[at]
    image = video.images[row - int(detections.offsets[at])] if video.images else None
    found = None if image is None else read_image(image)
    if found is not None:
        return np.ascontiguousarray(found)
    here = detections.video == at
    ends = detections.boxes[here, :2] + detections.boxes[here, 2:]
    reach = np.ceil(ends.max(axis=0)) if len(ends) else np.array([320, 240])
    width, height = video.size or (int(reach[0]), int(reach[1]))
    return np.full((max(height, 16), max(width, 16), 3), 128, dtype=np.uint8)


def _counts(estimate: ErrorEstimate, row: int) -> str:
    return f"FP {estimate.table['fp'][row]}  FN {estimate.table['fn'][row]}"


def _tile(cv2: Any, picture: npt.NDArray[np.uint8], name: str, counts: str) -> Any:
    height = max(round(picture.shape[0] * TILE / picture.shape[1]), 1)
    tile = np.full((height + STRIP, TILE, 3), 255, dtype=np.uint8)
    tile[STRIP:] = cv2.resize(picture, (TILE, height), interpolation=cv2.INTER_AREA)
    text = f"{name[-24:]}   {counts}"
    place = (4, STRIP - 7)
    cv2.putText(tile, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return tile


def _sheet(tiles: list[Any]) -> npt.NDArray[np.uint8]:
    if not tiles:
        return np.full((STRIP, TILE, 3), 255, dtype=np.uint8)
    columns = min(COLUMNS, len(tiles))
    high = max(tile.shape[0] for tile in tiles)
    rows = ceil(len(tiles) / columns)
    sheet = np.full((rows * (high + 4), columns * (TILE + 4), 3), 255, dtype=np.uint8)
    for at, tile in enumerate(tiles):
        row, column = divmod(at, columns)
        top, left = row * (high + 4), column * (TILE + 4)
        sheet[top : top + tile.shape[0], left : left + TILE] = tile
    return sheet


def _save(cv2: Any, path: Path, picture: npt.NDArray[np.uint8]) -> None:
    good, data = cv2.imencode(".png", np.ascontiguousarray(picture[:, :, ::-1]))
    assert good
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be written ({error.strerror})") from None
