"""Problem files of kind ``temporal-coherence``: detections, a tracker, and the frames to choose."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .array_files import read_array, require_known
from .coherence_weights import CoherenceWeights, as_weights
from .detection_files import read_coco, read_kitti, read_mot
from .detections import join_detections
from .errors import InvalidInput
from .frame_utilities import FRAME_BASELINES
from .problem_files import SOLVE, read_toml, require_format, require_types, toml_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .detections import Detections

KIND = "temporal-coherence"
TRACKERS = ("flow", "siamese", "static", "boxes")
LAYOUTS = ("mot", "kitti", "coco")
UTILITIES = ("fp", "fn", "both", "soft", "mixed", *FRAME_BASELINES)

PROBLEM = {
    "kind": (str,),
    "weights": (str, dict),
    "min_score": (float, int),
    "link_iou": (float, int),
    "cluster_iou": (float, int),
}
DATA = {
    "detections": (str, list),
    "layout": (str,),
    "images": (str,),
    "truth": (str, list),
    "tracked": (str, dict),
    "scores": (str,),
    "invalid": (str,),
}
TRACKER = {
    "kind": (str,),
    "reach": (int,),
    "height": (int,),
    "preset": (str,),
    "at": (str,),
    "cache": (str,),
    "weights": (str,),
}
FRAMES = {"budget": (int,), "utility": (str,), "spacing": (int,), "at_most": (int,)}


@dataclass(frozen=True)
class Tracking:
    """How boxes are followed.

    Parameters
    ----------
    kind
        ``"flow"``, ``"siamese"``, ``"static"``, or ``"boxes"`` of the user's own tracker.
    reach
        K, frames to look ahead and back.
    height, preset, at
        Rows at which flow is computed, DIS preset, and where a box reads it.
    cache
        Folder that keeps the flow, or None.
    weights
        File of the siamese network's weights, or None for those that are built in.
    """

    kind: str = "flow"
    reach: int = 3
    height: int = 300
    preset: str = "ultrafast"
    at: str = "center"
    cache: Path | None = None
    weights: Path | None = None

    @property
    def offsets(self) -> tuple[int, ...]:
        """Offsets in frames that boxes are followed to, such as ``(-2, -1, 1, 2)``."""
        return (*range(-self.reach, 0), *range(1, self.reach + 1))


@dataclass(frozen=True)
class Framing:
    """Which frames to choose.

    Parameters
    ----------
    budget
        How many.
    utility
        ``"fp"`` estimated false positives (thesis), ``"fn"``, ``"both"``, ``"soft"`` counts of a
        trust sweep, ``"mixed"``: false positives at unit costs plus the weighted soft counts, or
        the baselines ``"confidence"``, ``"entropy"`` and ``"margin"``.
    spacing
        No two frames of one video lie this near or nearer; 3 in the thesis.
    at_most
        Frames of one video at most, or None.
    """

    budget: int
    utility: str = "fp"
    spacing: int = 3
    at_most: int | None = None


@dataclass(frozen=True, eq=False)
class VideoFile:
    """What a file of kind ``temporal-coherence`` states; a tracker makes a problem of it.

    Parameters
    ----------
    detections
        All of them, video after video.
    truth
        True objects of the same videos, for reports only, or None.
    tracked
        Boxes of the user's own tracker ``(M, 2K, 4)``, or None.
    tracking, framing
        How boxes are followed, and which frames to choose (None for none).
    parameters
        Keyword arguments of `TemporalCoherence`.
    solve
        Arguments of `labelcut.solve`.
    layout
        Of the files that the detections came from.
    """

    detections: Detections
    truth: Detections | None
    tracked: Any
    tracking: Tracking
    framing: Framing | None
    parameters: Mapping[str, Any]
    solve: Mapping[str, Any]
    layout: str = "mot"


def is_video_file(path: str | Path) -> bool:
    """Return whether a problem file is of kind ``temporal-coherence``."""
    problem = read_toml(Path(path)).get("problem")
    return isinstance(problem, dict) and problem.get("kind") == KIND


def read_video_file(path: str | Path) -> VideoFile:
    """Read a problem file of kind ``temporal-coherence``; paths are relative to its folder.

    Raises
    ------
    InvalidInput
        One message that names the file, the key, the rule, what came and the way out.
    """
    path = Path(path)
    content = read_toml(path)
    try:
        return _read(content, path.parent)
    except InvalidInput as error:
        raise InvalidInput(f"{path.name}: {error}") from None


def _read(content: Mapping[str, Any], folder: Path) -> VideoFile:
    require_format(content)
    known = {"labelcut", "problem", "data", "tracker", "frames", "solve"}
    require_known(content, known, "top level")
    stated, data = toml_table(content, "problem"), toml_table(content, "data")
    require_types(stated, PROBLEM, "[problem]")
    require_types(data, DATA, "[data]")
    solve = toml_table(content, "solve", needed=False)
    require_types(solve, SOLVE, "[solve]")
    if "detections" not in data:
        raise InvalidInput("[data] detections: is missing; name a file or a MOT folder")
    tracking = _tracking(toml_table(content, "tracker", needed=False), folder)
    if (tracking.kind == "boxes") != ("tracked" in data):
        raise InvalidInput(
            "[tracker] kind: 'boxes' needs [data] tracked, and no other kind takes it; state both"
        )
    parameters = {key: value for key, value in stated.items() if key != "kind"}
    if "weights" in parameters:
        parameters["weights"] = _weights(parameters["weights"])
    detections, truth = _tables(data, folder)
    return VideoFile(
        detections=detections,
        truth=truth,
        tracked=read_array(data["tracked"], folder, "tracked") if "tracked" in data else None,
        tracking=tracking,
        framing=_framing(content),
        parameters=parameters,
        solve=solve,
        layout=data.get("layout", "mot"),
    )


def _weights(stated: Any) -> CoherenceWeights:
    if not isinstance(stated, dict):
        return as_weights(stated)
    require_known(stated, {field.name for field in fields(CoherenceWeights)}, "[problem] weights")
    return CoherenceWeights(**stated)


def _tracking(stated: dict[str, Any], folder: Path) -> Tracking:
    require_types(stated, TRACKER, "[tracker]")
    kind = stated.get("kind", "flow")
    if kind not in TRACKERS:
        raise InvalidInput(f"[tracker] kind: must be one of {', '.join(TRACKERS)}; got {kind!r}")
    if stated.get("reach", 1) < 1:
        raise InvalidInput(f"[tracker] reach: must be at least 1; got {stated['reach']}")
    for key in ("cache", "weights"):
        if key in stated:
            stated[key] = folder / stated[key]
    return Tracking(**stated)


def _framing(content: Mapping[str, Any]) -> Framing | None:
    if "frames" not in content:
        return None
    stated = toml_table(content, "frames")
    require_types(stated, FRAMES, "[frames]")
    if "budget" not in stated:
        raise InvalidInput("[frames] budget: is missing; say how many frames to choose")
    framing = Framing(**stated)
    if framing.utility not in UTILITIES:
        raise InvalidInput(
            f"[frames] utility: must be one of {', '.join(UTILITIES)}; got {framing.utility!r}"
        )
    if framing.spacing < 0:
        raise InvalidInput(f"[frames] spacing: must be ≥ 0 frames; got {framing.spacing}")
    return framing


def _tables(data: Mapping[str, Any], folder: Path) -> tuple[Detections, Detections | None]:
    """Return the detections, and the truth over the same videos where there is one."""
    layout = data.get("layout", "mot")
    if layout not in LAYOUTS:
        raise InvalidInput(f"[data] layout: must be one of {', '.join(LAYOUTS)}; got {layout!r}")
    reading = {key: data[key] for key in ("scores", "invalid") if key in data}
    sources, truths = _sources(data["detections"]), None
    if "truth" in data:
        truths = _sources(data["truth"])
        if len(truths) != len(sources):
            raise InvalidInput(
                f"[data] truth: must name one for each of {len(sources)} detections; got "
                f"{len(truths)}"
            )
    images = data.get("images")
    if layout == "coco":
        if images is None or len(sources) > 1:
            raise InvalidInput("[data] images: a COCO problem is one results file and its images")
        listed = folder / images
        detections = read_coco(folder / sources[0], listed, **reading)
        if truths is None:
            return detections, None
        return detections, read_coco("", folder / truths[0], truth=True, **_of_truth(reading))
    if images is not None and layout == "mot":
        raise InvalidInput("[data] images: a MOT folder holds its own; take the key out")
    pictures = None if images is None else folder / images
    one = read_mot if layout == "mot" else _kitti_reader(pictures)
    pairs = [
        _one_video(one, folder / item, None if truths is None else folder / truths[at], reading)
        for at, item in enumerate(sources)
    ]
    known = [truth for _, truth in pairs if truth is not None]
    return join_detections([own for own, _ in pairs]), join_detections(known) if known else None


def _one_video(
    read: Callable[..., Detections], path: Path, truth: Path | None, reading: Mapping[str, Any]
) -> tuple[Detections, Detections | None]:
    """Read one video; where nothing says its length, it is as long as either file says."""
    own = read(path, **reading)
    if truth is None:
        return own, None
    video = own.videos[0]
    asked = {"name": video.name, "truth": True, **_of_truth(reading)}
    true = read(truth, **asked)
    length = max(video.length, true.videos[0].length)
    if video.length < length:
        own = read(path, length=length, **reading)
    if true.videos[0].length < length:
        true = read(truth, **asked, length=length)
    return own, true


def _of_truth(reading: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a reader's arguments holds for truth too, which has no scores."""
    return {key: value for key, value in reading.items() if key == "invalid"}


def _kitti_reader(pictures: Path | None) -> Callable[..., Detections]:
    def read(path: Path, **arguments: Any) -> Detections:
        images = None if pictures is None else pictures / path.stem
        return read_kitti(path, images=images, **arguments)

    return read


def _sources(source: Any) -> list[str]:
    sources = source if isinstance(source, list) else [source]
    if not sources or not all(isinstance(item, str) for item in sources):
        raise InvalidInput(f"[data] detections: must name files or folders; got {source!r}")
    return sources
