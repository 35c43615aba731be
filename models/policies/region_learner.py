"""A segmentation network that is asked about, and trained on, regions of images: fast on a CPU."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..regions import region_blocks
from ..stochastic import bald, mc_dropout
from .ralis_features import RegionMaps
from .region_grid import VOID, RegionGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

# Windows and whole images that go through the network at a time: what a core's cache holds.
_WINDOWS, _IMAGES = 12, 4


@dataclass(frozen=True)
class Training:
    """How the segmentation network learns.

    Attributes
    ----------
    lr, momentum, weight_decay
        Of stochastic gradient descent; the paper has 1e-3 on CamVid, with a large pretrained
        network, and 1e-4.
    batch
        Regions in a gradient step.
    flip
        Whether half of the windows are mirrored left to right.
    """

    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 1e-4
    batch: int = 8
    flip: bool = True


class RegionLearner:
    """A segmentation network and the images it is about.

    It sees each image less its own mean color, over its own standard deviation: a small network
    that has learned from pictures taken by day would take those taken at dusk for one dark thing.

    Parameters
    ----------
    model
        Its output is logits ``(batch, C, H, W)``.
    images, labels
        ``(n, H, W, 3)`` and ``(n, H, W)`` uint8; `VOID` where a pixel has no class.
    grid
        How images are cut into regions.
    training
        How the network learns.
    device
        Default: a GPU where there is one.
    """

    def __init__(
        self,
        model: nn.Module,
        images: "NDArray[np.uint8]",
        labels: "NDArray[np.uint8]",
        grid: RegionGrid,
        training: Training,
        *,
        device: torch.device | str | None = None,
    ) -> None:
        found = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device or found)
        self.model = model.to(self.device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.images = torch.from_numpy(images).to(self.device)
        self.labels = torch.from_numpy(labels).to(self.device)
        self._mean, self._spread = _light(self.images)
        self.grid, self.training = grid, training
        self.optimizer = self._fresh()

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the network's weights."""
        return copy.deepcopy(self.model.state_dict())

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        """Take over weights, and forget the optimizer's momentum."""
        self.model.load_state_dict(weights)
        self.optimizer = self._fresh()

    def train(self, rows: "Rows", steps: int, lr: float | None = None) -> None:
        """Take gradient steps on regions: all of them in turn, in an order drawn by torch.

        Pixels of the margin are seen, and do not count in the loss.
        """
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.lr if lr is None else lr
        for some in _turns(rows, self.training.batch, steps):
            x, y = self._cut(self.grid, some)
            if self.training.flip:
                mirrored = (torch.rand(len(x)) < 0.5).to(self.device)
                x = torch.where(mirrored[:, None, None, None], x.flip(-1), x)
                y = torch.where(mirrored[:, None, None], y.flip(-1), y)
            if bool((y == VOID).all()):
                continue
            loss = nn.functional.cross_entropy(self.model(x), y, ignore_index=VOID)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()

    @torch.inference_mode()
    def maps(self, rows: "Rows", cells: int, passes: int = 0) -> RegionMaps:
        """Return what the network says about regions; with BALD of so many passes, or without."""
        images = self.grid.whole_images(rows)
        # All regions of an image are seen at once, without their margins.
        grid, units, batch = (
            (self.grid, rows, _WINDOWS) if images is None else (self.grid.whole, images, _IMAGES)
        )
        parts = [
            self._maps(grid, units[start : start + batch], cells, passes)
            for start in range(0, len(units), batch)
        ]
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return RegionMaps(**found)

    def _maps(
        self, grid: RegionGrid, rows: "Rows", cells: int, passes: int
    ) -> "dict[str, NDArray[Any]]":
        x, _ = self._cut(grid, rows)
        self.model.eval()
        logits = _inside(grid, self.model(x), rows)
        maps = {}
        if passes:
            with mc_dropout(self.model):
                maps["bald"] = bald(
                    (_inside(grid, self.model(x), rows).softmax(0) for _ in range(passes)), axis=0
                )
        blocks = region_blocks(logits, self.grid.region, softmax=True, cells=cells, maps=maps)
        found = {
            "histogram": blocks["histogram"],
            "cells": blocks["entropy_cells"],
            "entropy": blocks["entropy"][:, 3],
            **({"bald": blocks["bald"][:, 3]} if passes else {}),
        }
        return {name: block.cpu().numpy() for name, block in found.items()}

    @torch.inference_mode()
    def iou_of_true_classes(
        self, images: "Rows", classes: int
    ) -> "tuple[float, NDArray[np.float64]]":
        """Return the mean intersection over union, and that of each class, on whole images.

        Classes that these images do not hold are NaN and left out of the mean.
        """
        self.model.eval()
        confusion = torch.zeros(classes * classes, dtype=torch.int64, device=self.device)
        for start in range(0, len(images), _IMAGES):
            some = torch.from_numpy(images[start : start + _IMAGES]).to(self.device)
            said = self.model(self._floats(self.images[some], some)).argmax(1)
            true = self.labels[some].long()
            counts = true != VOID
            pairs = true[counts] * classes + said[counts]
            confusion += torch.bincount(pairs, minlength=classes * classes)
        return iou_of_true_classes(confusion.view(classes, classes).cpu().numpy())

    def _fresh(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            self.model.parameters(),
            lr=self.training.lr,
            momentum=self.training.momentum,
            weight_decay=self.training.weight_decay,
        )

    def _cut(self, grid: RegionGrid, rows: "Rows") -> tuple[Tensor, Tensor]:
        """Return windows ``(n, 3, h, w)`` and their labels, void in the margin."""
        image, lines, columns = grid.windows(rows)
        at = (image[:, None, None], lines[:, :, None], columns[:, None, :])
        where = tuple(torch.from_numpy(part).to(self.device) for part in at)
        _, top, left = grid.corners(rows)
        inside = _within(lines, top, grid.region[0])[:, :, None]
        inside = inside & _within(columns, left, grid.region[1])[:, None, :]
        y = self.labels[where].long()
        y.masked_fill_(~torch.from_numpy(inside).to(self.device), VOID)
        return self._floats(self.images[where], torch.from_numpy(image).to(self.device)), y

    def _floats(self, pixels: Tensor, images: Tensor) -> Tensor:
        """Return pixels ``(n, h, w, 3)`` of images ``(n,)`` as the network sees them."""
        seen = (pixels.float() - self._mean[images]) / self._spread[images]
        return seen.permute(0, 3, 1, 2)


def iou_of_true_classes(confusion: "NDArray[np.int64]") -> "tuple[float, NDArray[np.float64]]":
    r"""Compute the mean intersection over union of the classes that occur in truth.

    .. math:: \text{IoU}_c = \frac{n_{cc}}{\sum_j n_{cj} + \sum_i n_{ic} - n_{cc}}

    A class that is predicted but does not occur costs the classes whose pixels it takes, and is no
    further class of the mean: a reward on few images would jump by the share of a class with its
    first wrong pixel. `labelcut.studies.campaign.mean_iou`, for whole test sets, counts it as 0.

    Parameters
    ----------
    confusion
        n ``(C, C)``: pixels of true class c (row) that are predicted as j (column).

    Returns
    -------
    float
        The mean.
    NDArray
        Each class ``(C,)``; NaN where it does not occur.

    Raises
    ------
    ValueError
        If no pixel has a class.

    Examples
    --------
    >>> iou_of_true_classes(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]]))
    (0.7083333333333333, array([0.75      , 0.66666667,        nan]))
    """
    right = np.diagonal(confusion).astype(np.float64)
    true = confusion.sum(axis=1)
    if not true.any():
        raise ValueError("labels: no pixel has a class; nothing can be measured on such images")
    union = true + confusion.sum(axis=0) - right
    each = np.where(true > 0, right / np.maximum(union, 1), np.nan)
    return float(np.nanmean(each)), each


def _light(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each color of each image ``(n, 1, 1, 3)``."""
    found = [torch.std_mean(image.float(), (0, 1), correction=0) for image in images]
    spread, mean = (torch.stack(part)[:, None, None] for part in zip(*found, strict=True))
    return mean, spread.clamp(min=1.0)


def _inside(grid: RegionGrid, logits: Tensor, rows: "Rows") -> Tensor:
    """Return the regions' own part of windows, one below the other ``(C, n·h, w)``."""
    _, top, left = grid.corners(rows)
    _, lines, columns = grid.windows(rows)
    height, width = grid.region
    down = (top - lines[:, 0])[:, None] + np.arange(height)
    right = (left - columns[:, 0])[:, None] + np.arange(width)
    at = (np.arange(len(rows))[:, None, None], down[:, :, None], right[:, None, :])
    where = tuple(torch.from_numpy(part).to(logits.device) for part in at)
    own = logits.permute(0, 2, 3, 1)[where]
    return own.permute(3, 0, 1, 2).reshape(logits.shape[1], -1, width)


def _within(lines: "Rows", start: "Rows", length: int) -> "NDArray[np.bool_]":
    inside: NDArray[np.bool_] = (lines >= start[:, None]) & (lines < start[:, None] + length)
    return inside


def _turns(rows: "Rows", batch: int, steps: int) -> "Iterator[Rows]":
    """Yield batches: every row once, in a new order, before any comes again."""
    left = rows[:0]
    for _ in range(steps):
        if len(left) == 0:
            left = rows[torch.randperm(len(rows)).numpy()]
        yield left[:batch]
        left = left[batch:]
