"""Street scenes to learn acquisition on: drawn ones, and CamVid where it is."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.policies import region_grid
from ...problems.errors import InvalidInput
from ...problems.fingerprint import ArrayHash, fingerprint

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

VOID = region_grid.VOID
"""The label of a pixel without a class."""

NAMES = ("sky", "building", "road", "tree", "car", "pedestrian")
CAMVID_NAMES = (
    *("sky", "building", "pole", "road", "pavement", "tree"),
    *("sign", "fence", "car", "pedestrian", "bicyclist"),
)
_COLOURS = np.array(
    [
        [130, 170, 220],
        [140, 110, 95],
        [95, 95, 100],
        [60, 110, 60],
        [160, 50, 50],
        [200, 160, 90],
    ]
)


@dataclass(frozen=True, eq=False)
class Scenes:
    """Images whose pixels have classes.

    Attributes
    ----------
    images
        ``(n, H, W, 3)`` uint8.
    labels
        ``(n, H, W)`` uint8; `VOID` where a pixel has no class.
    names
        Names of the C classes.
    ids
        What each image is called ``(n,)``.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    names: tuple[str, ...]
    ids: NDArray[np.str_]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        """A hash of images and labels: of two data sets with one, a training is the same."""
        found = [ArrayHash(name, getattr(self, name).shape) for name in ("images", "labels")]
        for rows in zip(self.images, self.labels, strict=True):
            for running, values in zip(found, rows, strict=True):
                running.update(values)
        return fingerprint("scenes", {}, (running.digest() for running in found))

    def take(self, rows: Any) -> Scenes:
        """Return some of the images: rows, a mask or a slice."""
        return replace(self, images=self.images[rows], labels=self.labels[rows], ids=self.ids[rows])

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Return images ``(n, 3, H, W)`` float32 from -0.5 to 0.5, and labels as int64."""
        import torch

        x = torch.from_numpy(self.images).permute(0, 3, 1, 2).float() / 255 - 0.5
        return x, torch.from_numpy(self.labels.astype(np.int64))


def street_scenes(count: int, *, seed: int, size: tuple[int, int] = (72, 96)) -> Scenes:
    """Draw streets: sky, buildings and road, trees, cars, and here and there a pedestrian.

    Parameters
    ----------
    count
        Number of images.
    seed
        Of all that is random.
    size
        Height and width in pixels. What is drawn has the same size in pixels on any of them.

    Examples
    --------
    >>> scenes = street_scenes(2, seed=0)
    >>> scenes.images.shape, scenes.labels.max() < len(scenes.names)
    ((2, 72, 96, 3), np.True_)
    """
    rng = np.random.default_rng(seed)
    images, labels = zip(*(_street(rng, *size) for _ in range(count)), strict=True)
    ids = np.array([f"scene-{number}" for number in range(count)])
    return Scenes(np.stack(images), np.stack(labels), NAMES, ids)


def read_camvid(path: str | Path | None = None) -> Scenes:
    """Read CamVid at 180 × 240, in the order of its videos; class 11 (unlabeled) becomes void.

    Parameters
    ----------
    path
        An ``.npz`` file with ``images``, ``labels`` and ``names``. Default: `camvid_file`.

    Raises
    ------
    InvalidInput
        If there is no such file.
    """
    found = camvid_file() if path is None else Path(path)
    if found is None or not found.is_file():
        raise InvalidInput(
            f"CamVid: {found or 'no file'} is not there; let the environment variable "
            "LABELCUT_DATA lead to a folder with seg/camvid_train_180x240.npz"
        )
    with np.load(found) as data:
        order = np.argsort(data["names"])
        images, labels = data["images"][order], data["labels"][order].copy()
        ids = np.array([name.removesuffix(".png") for name in data["names"][order]])
    labels[labels >= len(CAMVID_NAMES)] = VOID
    return Scenes(images, labels, CAMVID_NAMES, ids)


def camvid_file() -> Path | None:
    """Return where LABELCUT_DATA has CamVid; None if it has not."""
    if "LABELCUT_DATA" not in os.environ:
        return None
    file = Path(os.environ["LABELCUT_DATA"]) / "seg" / "camvid_train_180x240.npz"
    return file if file.is_file() else None


def _street(
    rng: np.random.Generator, height: int, width: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    labels = np.zeros((height, width), dtype=np.uint8)
    horizon = int(height * rng.uniform(0.45, 0.6))
    left = 0
    while left < width:
        right = left + int(rng.integers(10, 30))
        labels[int(horizon * rng.uniform(0.15, 0.8)) : horizon, left:right] = 1
        left = right + int(rng.integers(0, 6))
    labels[horizon:] = 2
    rows, columns = np.mgrid[:height, :width]
    for _ in range(rng.integers(0, 4)):
        x, y, r = rng.integers(0, width), horizon - rng.integers(2, 10), rng.integers(5, 11)
        labels[(rows - y) ** 2 + (columns - x) ** 2 < r * r] = 3
    for kind, count in ((4, rng.integers(0, 4)), (5, rng.random() < 0.4)):
        for _ in range(count):
            base = int(rng.integers(horizon + 4, height))
            scale = 0.3 + (base - horizon) / (height - horizon)
            tall, wide = ((9, 16) if kind == 4 else (14, 4)) * np.array(scale)
            left = int(rng.integers(0, width))
            top, right = max(base - int(tall), 0), min(left + max(int(wide), 2), width)
            labels[top:base, left:right] = kind
    colours = np.clip(_COLOURS + rng.normal(0, 25, _COLOURS.shape), 0, 255)
    pixels = colours[labels] * rng.uniform(0.6, 1.1) + rng.normal(0, 22, (height, width, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8), labels
