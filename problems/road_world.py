"""A made-up road world in the spirit of SYNTHIA-AL: small, seeded, and its truth is known.

Counts, areas and spawning percentages are those of the thesis's Table 2.1; sequences last 10 to
30 s at 25 frames a second. How things move and how the detector errs is ours: boxes cross
the picture at constant speed, nearer ones hide farther ones, and a detector flickers, doubles and
imagines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import Floats, Ints, Mask, freeze
from .detections import Detections, Video, join_detections, make_detections
from .errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

FPS = 25
SECONDS = (10, 30)
SIZE = (640, 480)
KINDS = ("pedestrian", "cyclist", "car", "wheelchair")
SHAPES = np.array([[28.0, 70.0], [45.0, 65.0], [110.0, 70.0], [40.0, 60.0]])
"""Width and height of each kind in pixels, at depth 1."""
SPEEDS = np.array([1.0, 2.5, 4.0, 1.0])
"""Pixels a frame at depth 1."""
LEAST_PIXELS = 50
"""Truth holds objects of which more pixels can be seen (thesis section 2.4)."""


@dataclass(frozen=True)
class Subset:
    """One line of Table 2.1.

    Parameters
    ----------
    name, sequences
        What it is called, and how many videos it has.
    areas
        ``C`` city, ``T`` town, ``H`` highway; a video is in one of them, and a highway has cars
        only.
    spawning
        Percentages of pedestrians, cyclists, cars and wheelchairs: the chance of each kind to
        appear, once a second.
    """

    name: str
    sequences: int
    areas: str
    spawning: tuple[int, int, int, int]


TRAINING = (
    Subset("default", 150, "CH", (30, 20, 35, 0)),
    Subset("town", 36, "T", (30, 20, 35, 0)),
    Subset("night", 6, "CH", (0, 0, 35, 0)),
    Subset("wheelchair", 5, "CT", (20, 20, 0, 100)),
)
TEST = (
    Subset("test", 85, "CHT", (30, 20, 35, 0)),
    Subset("test-wheelchair", 12, "CT", (20, 20, 0, 100)),
)


@dataclass(frozen=True)
class Flaws:
    """How the detector errs.

    Parameters
    ----------
    miss
        Share of what can be seen that it misses, in runs of a few frames.
    duplicate
        Chance of a second box on a detected object.
    flash, ghost
        False alarms that begin in a frame, on average: such that last one or two frames, and such
        that stay for some time.
    jitter
        Noise of boxes, as a share of their size.
    """

    miss: float = 0.15
    duplicate: float = 0.06
    flash: float = 0.25
    ghost: float = 0.01
    jitter: float = 0.04


@dataclass(frozen=True, eq=False)
class RoadWorld:
    """Videos with their truth, what a detector makes of them, and where a good tracker leads.

    Parameters
    ----------
    detections, truth
        M detections and G true objects over the same videos.
    tracked
        Where each detection is at each of `offsets`, with the noise of a tracker ``(M, T, 4)``.
    offsets
        Such as ``(-3, -2, -1, 1, 2, 3)``.
    objects
        Everything in the pictures, hidden or not: ``video``, ``frame``, ``object`` (a number within
        its video), ``label``, ``depth`` (smaller is nearer), ``box``, ``motion`` (pixels a frame)
        and ``seen``, the share that nothing hides.
    """

    detections: Detections
    truth: Detections
    tracked: Floats
    offsets: tuple[int, ...]
    objects: dict[str, Any]


def road_world(
    scale: float = 1.0,
    *,
    subsets: Sequence[Subset] = TRAINING,
    seconds: tuple[float, float] = SECONDS,
    flaws: Flaws | None = None,
    reach: int = 3,
    seed: int = 0,
) -> RoadWorld:
    """Draw videos of road scenes, and a flawed detector's boxes in them.

    Parameters
    ----------
    scale
        Share of each subset's sequences, one at least.
    subsets
        `TRAINING` (197 sequences at scale 1) or `TEST` (97), or others.
    seconds
        Shortest and longest sequence.
    flaws
        The detector's.
    reach
        K, frames to track ahead and back.
    seed
        Same seed, same world.

    Raises
    ------
    InvalidInput
        A scale or length that leaves nothing.

    Examples
    --------
    >>> world = road_world(0.01, seconds=(2, 3))
    >>> [video.name for video in world.detections.videos]
    ['default-0', 'default-1', 'town-0', 'night-0', 'wheelchair-0']
    """
    if not (scale > 0 and 0 < seconds[0] <= seconds[1]):
        raise InvalidInput(
            f"scale, seconds: must be above 0 and in order; got {scale}, {seconds}; pass 0.1 and "
            "(2, 3)"
        )
    flaws = flaws or Flaws()
    offsets = (*range(-reach, 0), *range(1, reach + 1))
    parts = []
    for number, subset in enumerate(subsets):
        for at in range(max(round(scale * subset.sequences), 1)):
            rng = np.random.default_rng([seed, number, at])
            parts.append(_video(f"{subset.name}-{at}", subset, seconds, flaws, offsets, rng))
    objects: dict[str, Any] = {
        name: freeze(np.concatenate([part[3][name] for part in parts])) for name in parts[0][3]
    }
    sizes = [len(part[3]["frame"]) for part in parts]
    objects["video"] = freeze(np.repeat(np.arange(len(parts)), sizes))
    return RoadWorld(
        detections=join_detections([part[0] for part in parts]),
        truth=join_detections([part[1] for part in parts]),
        tracked=freeze(np.concatenate([part[2] for part in parts])),
        offsets=offsets,
        objects=objects,
    )


def _video(
    name: str,
    subset: Subset,
    seconds: tuple[float, float],
    flaws: Flaws,
    offsets: tuple[int, ...],
    rng: np.random.Generator,
) -> tuple[Detections, Detections, Floats, dict[str, Any]]:
    length = int(rng.integers(round(seconds[0] * FPS), round(seconds[1] * FPS) + 1))
    highway = subset.areas[rng.integers(len(subset.areas))] == "H"
    chance = np.array(subset.spawning) / 100.0 * ([0, 0, 1, 0] if highway else [1, 1, 1, 1])
    paths = _paths(chance, length, rng)
    objects = _seen(paths, length)
    video = [Video(name, length, 0, SIZE)]
    boxes, seen = objects["box"], objects["seen"]
    true = np.flatnonzero(seen * boxes[:, 2] * boxes[:, 3] > LEAST_PIXELS)
    truth = make_detections(
        _in_picture(boxes[true]),
        np.ones(len(true)),
        objects["frame"][true],
        video=np.full(len(true), name),
        label=objects["label"][true],
        videos=video,
        classes=KINDS,
    )
    found = _detected(objects, true, length, flaws, rng)
    motion = found["motion"]
    tracked = np.full((len(motion), len(offsets), 4), np.nan)
    for at, offset in enumerate(offsets):
        there = (found["frame"] + offset >= 0) & (found["frame"] + offset < length)
        moved = found["box"].copy()
        noise = 0.02 * abs(offset) * found["box"][:, 2:] * rng.standard_normal(motion.shape)
        moved[:, :2] += offset * motion + noise
        tracked[there, at] = moved[there]
    detections = make_detections(
        found["box"],
        found["score"],
        found["frame"],
        video=np.full(len(motion), name),
        label=found["label"],
        videos=video,
        classes=KINDS,
    )
    return detections, truth, tracked, objects


def _paths(chance: Floats, length: int, rng: np.random.Generator) -> dict[str, Any]:
    """Draw what appears: when, where, of which kind, how near, and how it moves."""
    starts = np.arange(-3 * FPS, length, FPS)  # some are there before the film begins
    appears = rng.random((len(starts), len(KINDS))) < chance
    second, kind = np.nonzero(appears)
    count = len(kind)
    depth = rng.uniform(0.8, 2.5, count)
    shape = SHAPES[kind] / depth[:, None] * rng.uniform(0.85, 1.15, (count, 2))
    rightward = rng.random(count) < 0.5
    speed = SPEEDS[kind] / depth * rng.uniform(0.6, 1.4, count)
    drift = rng.uniform(-0.1, 0.1, count)
    inside = rng.random(count) < 0.5  # from a side of the picture, or out of a side street
    edge = np.where(rightward, -shape[:, 0], SIZE[0])
    left = np.where(inside, rng.uniform(0, SIZE[0] - shape[:, 0]), edge)
    horizon = 0.45 * SIZE[1]
    ground = horizon + 0.45 * SIZE[1] / depth
    return {
        "start": starts[second] + rng.integers(0, FPS, count),
        "label": kind,
        "depth": depth,
        "box": np.column_stack([left, ground - shape[:, 1], shape]),
        "motion": np.column_stack([np.where(rightward, speed, -speed), drift]),
    }


def _seen(paths: dict[str, Any], length: int) -> dict[str, Any]:
    """Return every object in every frame it is in, and which share of it nothing hides."""
    count = len(paths["label"])
    frame, object_ = (grid.ravel() for grid in np.meshgrid(range(length), range(count)))
    age = frame - paths["start"][object_]
    box = paths["box"][object_].copy()
    box[:, :2] += age[:, None] * paths["motion"][object_]
    center = box[:, :2] + 0.5 * box[:, 2:]
    here = (age >= 0) & (center >= 0).all(axis=1) & (center < SIZE).all(axis=1)
    frame, object_, box = frame[here], object_[here], box[here]
    order = np.lexsort((paths["depth"][object_], frame))
    frame, object_, box = frame[order], object_[order], box[order]
    inside = _in_picture(box)
    area = inside[:, 2] * inside[:, 3]
    hidden = np.zeros(len(frame))
    ends = np.cumsum(np.bincount(frame, minlength=length))
    for start, stop in zip(np.r_[0, ends[:-1]], ends, strict=True):
        part = inside[start:stop]
        low = np.maximum(part[:, None, :2], part[None, :, :2])
        high = np.minimum((part[:, :2] + part[:, 2:])[:, None], (part[:, :2] + part[:, 2:])[None])
        common = np.prod(np.maximum(high - low, 0.0), axis=2)
        nearer = np.tril(np.ones(common.shape, dtype=bool), -1)
        covers = np.where(nearer, common, 0.0)
        hidden[start:stop] = np.minimum(covers.sum(axis=1) / area[start:stop], 1.0)
    return {
        "frame": frame,
        "object": object_,
        "label": paths["label"][object_],
        "depth": paths["depth"][object_],
        "box": box,
        "motion": paths["motion"][object_],
        "seen": 1.0 - hidden,
    }


def _detected(
    objects: dict[str, Any], true: Ints, length: int, flaws: Flaws, rng: np.random.Generator
) -> dict[str, Any]:
    """Return what the detector says: true boxes, doubles of them, and false alarms."""
    hard = _hardness(objects, true, length, rng)
    # What is hidden or far is harder; the quantile makes the share of misses what is asked for.
    hard = hard + 1.5 * (1.0 - objects["seen"][true]) + 0.4 * objects["depth"][true]
    limit = np.quantile(hard, 1.0 - flaws.miss) if len(hard) else 0.0
    hit: Mask = hard <= limit
    rows = true[hit]
    sure = _squash(1.2 + 1.2 * (limit - hard[hit]) + 0.5 * rng.standard_normal(len(rows)))
    double = rng.random(len(rows)) < flaws.duplicate
    boxes = objects["box"][rows]
    shifted = boxes[double].copy()
    side = rng.choice([-1.0, 1.0], (len(shifted), 2)) * rng.uniform(0.15, 0.4, (len(shifted), 2))
    shifted[:, :2] += side * shifted[:, 2:]
    shifted[:, 2:] *= rng.uniform(0.6, 1.2, (len(shifted), 2))
    alarms = _alarms(length, flaws, rng)
    own = np.concatenate([boxes, shifted])
    own[:, :2] += flaws.jitter * own[:, 2:] * rng.standard_normal((len(own), 2))
    own[:, 2:] *= np.exp(flaws.jitter * rng.standard_normal((len(own), 2)))
    frames = objects["frame"]
    found = {
        "box": np.concatenate([own, alarms["box"]]),
        "frame": np.concatenate([frames[rows], frames[rows][double], alarms["frame"]]),
        "label": np.concatenate(
            [objects["label"][rows], objects["label"][rows][double], alarms["label"]]
        ),
        "motion": np.concatenate(
            [objects["motion"][rows], objects["motion"][rows][double], alarms["motion"]]
        ),
        "score": np.concatenate(
            [sure, _squash(0.2 + rng.standard_normal(int(double.sum()))), alarms["score"]]
        ),
    }
    kept = (_in_picture(found["box"])[:, 2:] > 2).all(axis=1)
    return {name: values[kept] for name, values in found.items()}


def _hardness(objects: dict[str, Any], true: Ints, length: int, rng: np.random.Generator) -> Floats:
    """Return noise that stays alike for a few frames of one object, so that misses come in runs."""
    count = int(objects["object"].max()) + 1 if len(objects["object"]) else 0
    noise = rng.standard_normal((count, length))
    for at in range(1, length):
        noise[:, at] = 0.6 * noise[:, at - 1] + 0.8 * noise[:, at]
    return np.asarray(noise[objects["object"][true], objects["frame"][true]])


def _alarms(length: int, flaws: Flaws, rng: np.random.Generator) -> dict[str, Any]:
    """Return false alarms, flashes and ghosts, that stand still but for noise."""
    begins, lasts = [], []
    for rate, longest in ((flaws.flash, 2), (flaws.ghost, 2 * FPS)):
        start = np.repeat(np.arange(length), rng.poisson(rate, length))
        begins.append(start)
        lasts.append(rng.integers(1 if longest == 2 else FPS // 2, longest + 1, len(start)))
    start, last = np.concatenate(begins), np.concatenate(lasts)
    kind = rng.integers(0, len(KINDS) - 1, len(start))
    shape = SHAPES[kind] / rng.uniform(1.0, 2.5, (len(start), 1))
    corner = rng.uniform(0, 1, (len(start), 2)) * (np.array(SIZE) - shape)
    base = rng.normal(0.0, 0.8, len(start)) + 0.8 * (last > 2)
    which = np.repeat(np.arange(len(start)), last)
    frame = start[which] + np.arange(len(which)) - np.repeat(np.cumsum(last) - last, last)
    which, frame = which[frame < length], frame[frame < length]
    box = np.column_stack([corner, shape])[which]
    box[:, :2] += flaws.jitter * box[:, 2:] * rng.standard_normal((len(box), 2))
    return {
        "box": box,
        "frame": frame,
        "label": kind[which],
        "motion": np.zeros((len(box), 2)),
        "score": _squash(base[which] + 0.4 * rng.standard_normal(len(which))),
    }


def _in_picture(boxes: Floats) -> Floats:
    """Return the part of each box that is in the picture."""
    low = np.clip(boxes[:, :2], 0, SIZE)
    high = np.clip(boxes[:, :2] + boxes[:, 2:], 0, SIZE)
    return np.concatenate([low, high - low], axis=1)


def _squash(values: Any) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.asarray(values))))
