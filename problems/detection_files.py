"""Detections in the files that people have: MOT text, KITTI tracking text, COCO JSON."""

from __future__ import annotations

import configparser
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .array_files import require_file
from .detections import Detections, Video, make_detections
from .errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .arrays import Floats

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm")


def read_mot(
    path: str | Path,
    *,
    name: str | None = None,
    length: int | None = None,
    size: tuple[int, int] | None = None,
    first_frame: int = 1,
    truth: bool = False,
    scores: str = "probability",
    invalid: str = "error",
) -> Detections:
    """Read one video's detections, or its truth, in MOT text.

    Lines are ``frame, id, left, top, width, height, score`` and more that is not read; boxes are
    taken in pixels as they stand.

    Parameters
    ----------
    path
        A text file, or a MOTChallenge folder: ``det.txt`` or ``det/det.txt`` (``gt.txt`` or
        ``gt/gt.txt`` with `truth`), the images in ``img1``, and ``seqinfo.json`` or
        ``seqinfo.ini``, which say length and size.
    name, length, size
        The video's; default: what the folder says, or the file's name and its last frame.
    first_frame
        1 in MOT; 0 for files that count from 0.
    truth
        Whether these are true boxes: then the score column is a flag, and rows that are marked to
        be left out (0) are dropped.
    scores, invalid
        As in `make_detections`.

    Raises
    ------
    InvalidInput
        A missing file, lines that are no numbers, or what `make_detections` raises.
    """
    path = Path(path)
    info = _folder_info(path, first_frame) if path.is_dir() else _Folder(path.stem, None, None, ())
    file = _inside(path, "gt" if truth else "det") if path.is_dir() else path
    rows = _numbers(file)
    if rows.shape[1] < (6 if truth else 7):
        raise InvalidInput(
            f"{file.name}: lines must hold frame, id, left, top, width, height, score; got "
            f"{rows.shape[1]} columns"
        )
    score = np.ones(len(rows)) if truth else rows[:, 6]
    if truth and rows.shape[1] > 6:
        kept = rows[:, 6] != 0
        rows, score = rows[kept], score[kept]
    frames = rows[:, 0]
    length = length or info.length or _last(frames, first_frame, file)
    images = info.images[:length] + (None,) * (length - len(info.images)) if info.images else ()
    video = Video(name or info.name, length, first_frame, size or info.size, images)
    return _made(file, rows[:, 2:6], score, frames, video, None, scores, invalid)


def read_kitti(
    path: str | Path,
    *,
    name: str | None = None,
    length: int | None = None,
    size: tuple[int, int] | None = None,
    images: str | Path | None = None,
    truth: bool = False,
    scores: str = "probability",
    invalid: str = "error",
) -> Detections:
    """Read one video's detections, or its truth, in KITTI's tracking text.

    Lines are ``frame id type truncated occluded alpha left top right bottom`` and eight more, the
    last of which is the score; frames count from 0. Regions marked ``DontCare`` are dropped.

    Parameters
    ----------
    path
        The text file.
    name, length, size, images
        The video's, and the folder of its images, which are put where their numbers say; default:
        the file's name, and as long as images or else detections say.
    truth
        Whether these are true boxes, which have no score.
    scores, invalid
        As in `make_detections`.

    Raises
    ------
    InvalidInput
        A missing file, lines too short, or what `make_detections` raises.
    """
    path = Path(path)
    require_file(path, "detections")
    lines = [line.split() for line in _text(path).splitlines() if line.strip()]
    needed = 10 if truth else 18
    short = [number for number, line in enumerate(lines, 1) if len(line) < needed]
    if short:
        raise InvalidInput(
            f"{path.name}: line {short[0]} has {len(lines[short[0] - 1])} of {needed} columns; "
            "KITTI tracking results end with a score"
        )
    lines = [line for line in lines if line[2] != "DontCare"]
    try:
        rows = np.array([[line[0], *line[6:10]] for line in lines], dtype=float).reshape(-1, 5)
        score = np.array([1.0 if truth else line[17] for line in lines], dtype=float)
    except ValueError as error:
        raise InvalidInput(f"{path.name}: {error}; mend the line") from None
    boxes = np.concatenate([rows[:, 1:3], rows[:, 3:] - rows[:, 1:3]], axis=1)
    found = () if images is None else _by_number(list(_images(Path(images))), 0, length)
    length = length or len(found) or _last(rows[:, 0], 0, path)
    video = Video(name or path.stem, length, 0, size, found)
    label = np.array([line[2] for line in lines], dtype=str)
    return _made(path, boxes, score, rows[:, 0], video, label, scores, invalid)


def read_coco(
    results: str | Path,
    images: str | Path,
    *,
    truth: bool = False,
    scores: str = "probability",
    invalid: str = "error",
) -> Detections:
    """Read detections of many videos from a COCO results file and the file of its images.

    An image's video is its ``video_id`` (named by ``videos`` where the file has them) or else the
    folder of its ``file_name``; frames are in the order of ``frame_id``, ``frame_index``, or the
    file names with their numbers read as numbers, and count from 0, or from the ``first_frame`` of
    their entry in ``videos``.

    Parameters
    ----------
    results
        A list of ``{image_id, category_id, bbox, score}``.
    images
        An object with ``images`` and, for names of classes, ``categories``.
    truth
        Read the ``annotations`` of the images file instead; `results` is not looked at then.
    scores, invalid
        As in `make_detections`.

    Raises
    ------
    InvalidInput
        A missing file or key, an image nobody listed, or what `make_detections` raises.
    """
    images = Path(images)
    listed = _json(images, "images", dict)
    try:
        places, videos = _coco_videos(listed, images)
        names = {item["id"]: str(item["name"]) for item in listed.get("categories", [])}
    except InvalidInput:
        raise
    except KeyError as error:
        raise InvalidInput(f"{images.name}: {error} is missing; write COCO images") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidInput(f"{images.name}: {error}; write COCO images") from None
    source = images if truth else Path(results)
    entries = listed.get("annotations", []) if truth else _json(source, "detections", list)
    try:
        at = [places[entry["image_id"]] for entry in entries]
        boxes = np.array([entry["bbox"] for entry in entries], dtype=float)
        label = [names.get(entry["category_id"], str(entry["category_id"])) for entry in entries]
        score = np.array([1.0 if truth else entry["score"] for entry in entries], dtype=float)
    except KeyError as error:
        raise InvalidInput(
            f"{source.name}: {error} is missing, or is an image that {images.name} does not list"
        ) from None
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{source.name}: {error}; write COCO results") from None
    video = np.array([videos[place[0]].name for place in at], dtype=str)
    classes = tuple(dict.fromkeys([*names.values(), *label]))
    called = {name: entry["category_id"] for name, entry in zip(label, entries, strict=True)}
    called |= {name: key for key, name in names.items()}
    try:
        table = make_detections(
            boxes,
            score,
            np.array([videos[v].first_frame + frame for v, frame in at], dtype=np.int64),
            video=video,
            label=np.array(label, dtype=str),
            videos=videos,
            classes=classes or ("object",),
            scores=scores,
            invalid=invalid,
        )
    except InvalidInput as error:
        raise InvalidInput(f"{source.name}: {error}") from None
    return replace(table, class_ids=tuple(called[name] for name in classes))


@dataclass(frozen=True)
class _Folder:
    name: str
    length: int | None
    size: tuple[int, int] | None
    images: tuple[str | None, ...]


def _folder_info(path: Path, first_frame: int) -> _Folder:
    values: dict[str, Any] = {}
    if (path / "seqinfo.json").exists():
        values = _json(path / "seqinfo.json", "seqinfo", dict)
    elif (path / "seqinfo.ini").exists():
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(_text(path / "seqinfo.ini"))
        except configparser.Error as error:
            what = str(error).splitlines()[0]
            raise InvalidInput(f"seqinfo.ini: {what}; write it as MOTChallenge does") from None
        values = dict(parser["Sequence"]) if parser.has_section("Sequence") else {}
    values = {str(key).lower(): value for key, value in values.items()}
    width, height = (_whole(values, (key, f"im{key}")) for key in ("width", "height"))
    count = _whole(values, ("length", "seqlength"))
    size = (width, height) if width and height else None
    images = _by_number(list(_images(path / "img1")), first_frame, count)
    name = str(values.get("name") or path.name)
    return _Folder(name, count or len(images) or None, size, images)


def _whole(values: Mapping[str, Any], names: tuple[str, str]) -> int | None:
    """Return what a folder's facts say of either name, or None where they do not or say 0."""
    stated = values.get(names[0]) or values.get(names[1])
    if not stated:
        return None
    try:
        number = int(stated)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise InvalidInput(f"seqinfo: {names[0]} must be a whole number above 0; got {stated!r}")
    return number


def _by_number(images: list[str], first_frame: int, length: int | None) -> tuple[str | None, ...]:
    """Put images where the last number in their name says, None where a frame has none."""
    numbers = [re.findall(r"\d+", Path(image).stem) for image in images]
    if not images or not all(numbers):
        return tuple(images)
    at = {int(found[-1]) - first_frame: image for found, image in zip(numbers, images, strict=True)}
    return tuple(at.get(frame) for frame in range(length or max(at) + 1))


def _inside(folder: Path, kind: str) -> Path:
    for path in (folder / f"{kind}.txt", folder / kind / f"{kind}.txt"):
        if path.exists():
            return path
    raise InvalidInput(f"{folder.name}: the folder has no {kind}.txt nor {kind}/{kind}.txt")


def _images(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    files = [file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES]
    return [str(file) for file in sorted(files, key=lambda file: _natural(file.name))]


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Return a key that sorts the numbers within names as numbers."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]


def _coco_videos(
    listed: Mapping[str, Any], file: Path
) -> tuple[dict[Any, tuple[int, int]], list[Video]]:
    """Return the video and frame of each image id, and the videos."""
    entries = listed.get("images")
    if not isinstance(entries, list) or not entries:
        raise InvalidInput(f"{file.name}: 'images' must list the frames; got {type(entries)}")
    called = {item["id"]: str(item.get("name", item["id"])) for item in listed.get("videos", [])}
    first = {item["id"]: int(item.get("first_frame", 0)) for item in listed.get("videos", [])}
    grouped: dict[Any, list[dict[str, Any]]] = {}
    for entry in entries:
        own = entry.get("video_id")
        key = str(Path(str(entry.get("file_name", ""))).parent) if own is None else own
        grouped.setdefault(key, []).append(entry)
    places: dict[Any, tuple[int, int]] = {}
    videos = []
    for at, (key, frames) in enumerate(grouped.items()):
        frames.sort(key=_coco_order)
        for frame, entry in enumerate(frames):
            before = frames[frame - 1].get("frame_id") if frame else None
            if before is not None and entry.get("frame_id") == before:
                raise InvalidInput(
                    f"{file.name}: images {frames[frame - 1]['id']} and {entry['id']} of one video "
                    f"have frame_id {before}; number them one by one"
                )
            if entry["id"] in places:
                raise InvalidInput(f"{file.name}: image {entry['id']} comes twice; drop one")
            places[entry["id"]] = (at, frame)
        width, height = frames[0].get("width"), frames[0].get("height")
        size = (int(width), int(height)) if width and height else None
        paths = tuple(
            str(file.parent / str(e["file_name"])) if "file_name" in e else None for e in frames
        )
        name = called.get(key, str(key))
        ids = tuple(entry["id"] for entry in frames)
        videos.append(Video(name, len(frames), first.get(key, 0), size, paths, ids))
    return places, videos


def _coco_order(entry: Mapping[str, Any]) -> Any:
    for key in ("frame_id", "frame_index"):
        if key in entry:
            return [(0, int(entry[key]))]
    return _natural(str(entry.get("file_name", entry["id"])))


def _made(
    file: Path,
    boxes: Floats,
    score: Floats,
    frames: Floats,
    video: Video,
    label: Any,
    scores: str,
    invalid: str,
) -> Detections:
    try:
        return make_detections(
            boxes,
            score,
            frames,
            video=np.full(len(boxes), video.name),
            label=label,
            videos=[video],
            scores=scores,
            invalid=invalid,
        )
    except InvalidInput as error:
        raise InvalidInput(f"{file.name}: {error}") from None


def _last(frames: Floats, first_frame: int, file: Path) -> int:
    if not len(frames):
        raise InvalidInput(f"{file.name}: holds no detection; say the video's length")
    return int(frames.max()) - first_frame + 1


def _numbers(path: Path) -> Floats:
    require_file(path, "detections")
    lines = [line for line in _text(path).splitlines() if line.strip()]
    if not lines:
        return np.empty((0, 10))
    try:
        rows = [line.split(",")[:7] for line in lines]
        found: Floats = np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise InvalidInput(
            f"{path.name}: lines must be numbers with commas between ({error}); mend the line"
        ) from None
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path.name}: cannot be read ({error})") from None


def _json(path: Path, what: str, kind: type) -> Any:
    require_file(path, what)
    try:
        content = json.loads(_text(path))
    except ValueError as error:
        raise InvalidInput(f"{path.name}: is no JSON ({error}); write it again") from None
    if not isinstance(content, kind):
        raise InvalidInput(
            f"{path.name}: must hold a {kind.__name__}; got {type(content).__name__}"
        )
    return content
