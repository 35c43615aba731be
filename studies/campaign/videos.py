"""Pools of video frames: from videos, and made-up videos in which images drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.errors import InvalidInput
from .pool import Pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt


def video_pool(
    videos: Mapping[str, Any],
    truth: Mapping[str, Any] | None = None,
    *,
    classes: int,
    test: tuple[Any, Any] | None = None,
) -> Pool:
    """Return the frames of videos as a pool, video after video.

    Parameters
    ----------
    videos
        Frames ``(F_v, ...)`` of each video by its name, in time order; all of one shape.
    truth
        Class of each frame ``(F_v,)``, for the same videos; -1 where unknown.
    classes
        C.
    test
        Inputs and classes of the test set.

    Returns
    -------
    Pool
        With the columns ``video`` and ``frame`` (from 0) and ids such as ``name/12``.

    Raises
    ------
    InvalidInput
        If there are no videos, or truth is not about the same frames.
    """
    if not videos:
        raise InvalidInput("videos: must hold at least one; got none; pass frames by name")
    lengths = {name: len(frames) for name, frames in videos.items()}
    if truth is not None and {name: len(part) for name, part in truth.items()} != lengths:
        raise InvalidInput(
            "truth: must hold one value for each frame of the same videos; got "
            f"{sum(map(len, truth.values()))} values for {sum(lengths.values())} frames"
        )
    known = None if truth is None else np.concatenate([truth[name] for name in lengths])
    names = np.repeat(np.array(list(lengths)), list(lengths.values()))
    frame = np.concatenate([np.arange(length) for length in lengths.values()])
    return Pool(
        inputs=np.concatenate([np.asarray(frames) for frames in videos.values()]),
        truth=known,
        test_inputs=None if test is None else test[0],
        test_truth=None if test is None else test[1],
        classes=classes,
        ids=np.array([f"{name}/{at}" for name, at in zip(names, frame, strict=True)]),
        table={"video": names, "frame": frame},
    )


@dataclass(frozen=True)
class Drift:
    """How images move in made-up videos.

    Parameters
    ----------
    turn, shift
        Standard deviations of a video's speeds: radians and shares of the half picture a frame.
    start_turn, start_shift, start_scale
        Largest angle, shift and relative change of size at the first frame.
    clutter, noise
        Standard deviations of a still background of each video and of every pixel of every frame.
    """

    turn: float = 0.01
    shift: float = 0.005
    start_turn: float = 0.3
    start_shift: float = 0.2
    start_scale: float = 0.15
    clutter: float = 0.15
    noise: float = 0.02


def drifting(
    images: Any, frames: int, *, drift: Drift | None = None, seed: int = 0
) -> npt.NDArray[np.float32]:
    """Make one video of each image: it drifts and turns before a background of its own.

    Neighboring frames are nearly equal, frames of two videos are not, also where both show the
    same class: redundancy without a camera.

    Parameters
    ----------
    images
        ``(n, H, W)`` in 0..1.
    frames
        F, of each video.
    drift
        How they move.
    seed
        Of everything drawn.

    Returns
    -------
    ndarray
        ``(n, F, 1, H, W)`` in 0..1.
    """
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    moves, rng = drift or Drift(), np.random.default_rng(seed)
    pictures = np.asarray(images, dtype=np.float32)
    count, time = len(pictures), np.arange(frames)
    angle = rng.uniform(-1, 1, (count, 1)) * moves.start_turn
    angle = angle + rng.normal(0, moves.turn, (count, 1)) * time
    scale = 1 + rng.uniform(-1, 1, (count, 1)) * moves.start_scale + 0 * angle
    shift = rng.uniform(-1, 1, (count, 1, 2)) * moves.start_shift
    shift = shift + rng.normal(0, moves.shift, (count, 1, 2)) * time[:, None]
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    rows = [
        np.stack([cos, -sin, shift[..., 0]], axis=-1),
        np.stack([sin, cos, shift[..., 1]], axis=-1),
    ]
    places = torch.tensor(np.stack(rows, axis=-2).reshape(-1, 2, 3), dtype=torch.float32)
    stills = torch.tensor(np.repeat(pictures, frames, axis=0))[:, None]
    grid = affine_grid(places, list(stills.shape), align_corners=False)
    moved = (
        grid_sample(stills, grid, align_corners=False)
        .numpy()
        .reshape(count, frames, 1, *pictures.shape[1:])
    )
    still = rng.normal(0, moves.clutter, (count, 1, 1, *pictures.shape[1:]))
    noise = rng.normal(0, moves.noise, moved.shape)
    return np.asarray(np.clip(moved + still + noise, 0, 1), dtype=np.float32)
