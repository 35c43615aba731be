"""Run a segmentation network over a dataset and keep what it says about regions of the images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ._batches import model_logits
from ._devices import Place, borrowed
from ._layers import Inputs, embedding_layers, layer_name
from ._loaders import Batch, Pool, mismatch
from ._running import Blocks, run, seeded
from ._tables import RaggedTable, Table
from .regions import MapStats, region_blocks
from .score_folders import FolderTable, model_fingerprint
from .stochastic import bald, flip_disagreement, mc_dropout

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAPS = ("entropy", "bald", "flip_disagreement")
_COLUMNS = ("image", "top", "left", "height", "width")


@dataclass(frozen=True, eq=False)
class Regions:
    """What a model says about R regions of the images of a dataset.

    Attributes
    ----------
    image, top, left, height, width
        Which dataset row a region is cut from, and where, in pixels ``(R,)``.
    pixels
        How many of its pixels are no padding ``(R,)``: what it costs to label.
    histogram
        Share of each predicted class ``(R, C)`` float32.
    entropy, bald, flip_disagreement
        These maps in each region; None was not asked for. See the functions of these names.
    features
        Mean feature ``(R, D)`` float32, or None.
    """

    image: "NDArray[Any]"
    top: "NDArray[Any]"
    left: "NDArray[Any]"
    height: "NDArray[Any]"
    width: "NDArray[Any]"
    pixels: "NDArray[Any]"
    histogram: "NDArray[Any]"
    entropy: MapStats
    bald: MapStats | None = None
    flip_disagreement: MapStats | None = None
    features: "NDArray[Any] | None" = None

    @property
    def presence(self) -> "NDArray[np.bool_]":
        """Which classes are predicted anywhere in each region ``(R, C)``.

        Mining of Single-Class by Active Learning, eq. 16.
        """
        return np.asarray(self.histogram > 0)

    @property
    def table(self) -> "dict[str, NDArray[Any]]":
        """Columns that lead from a row to its region, for a problem's ``table``."""
        return {name: getattr(self, name) for name in _COLUMNS}

    def image_means(self, means: "NDArray[Any]") -> "NDArray[np.float64]":
        r"""Compute what holds for whole images from means over regions.

        .. math:: \frac{\sum_r n_r \, m_r}{\sum_r n_r}

        Parameters
        ----------
        means
            ``(R,)`` or ``(R, D)``: ``entropy.mean``, `features`, `histogram`, …

        Returns
        -------
        NDArray
            One row for each image up to the last one that has a region, weighted by pixels; NaN
            for images without any.

        References
        ----------
        Uncertainty-weighted embeddings, eq. 6 and 7.
        """
        weights = self.pixels.astype(np.float64)
        size = int(self.image.max()) + 1
        columns = np.asarray(means, dtype=np.float64).reshape(len(weights), -1).T
        totals = [np.bincount(self.image, weights * column, size) for column in columns]
        with np.errstate(invalid="ignore"):
            found = np.stack(totals, axis=1) / np.bincount(self.image, weights, size)[:, None]
        return found.reshape(size, *means.shape[1:])


def score_regions(
    model: nn.Module,
    loader: Iterable[Any],
    region: tuple[int, int],
    *,
    maps: Sequence[str] = ("entropy",),
    cells: int | None = None,
    features: bool = False,
    device: torch.device | str | None = None,
    out: str | Path | None = None,
    layer: str | nn.Module | None = None,
    apply: Literal["softmax", "none"] = "softmax",
    amp: Literal["auto", "off"] | torch.dtype = "auto",
    passes: int = 20,
    seed: int = 0,
    progress: bool = False,
) -> Regions:
    r"""Compute uncertainty, classes and features of regions of segmented images.

    The model sees whole images and the grid is laid over its maps afterwards, since cutting first
    takes the context away that it needs. Regions do not overlap; those at the lower and right
    border are cut off there. Only sums over regions leave the device; on the CPU, as many threads
    as torch has (`torch.set_num_threads`) share an image.

    Parameters
    ----------
    model
        Segmentation network whose output is logits ``(batch, C, H, W)`` of its input's height and
        width: a tensor, the first of a tuple, or ``logits`` / ``out`` of a mapping or object.
    loader
        Batches as `score` takes them. Mappings may say what is padding: ``mask`` ``(batch, H, W)``
        is True for pixels that count, or ``size`` ``(batch, 2)`` holds the height and width of
        each image in the upper left corner. Padding takes no part in anything; a region that is
        nothing else is left out.
    region
        Height and width of a region, in pixels.
    maps
        Maps of uncertainty besides ``entropy``, which is always there: ``bald``, which runs the
        model `passes` times with dropout, and ``flip_disagreement`` (EqualAL).
    cells
        The g of a pooling grid g × g for `MapStats.cells`; it must divide the region.
    features
        Whether to keep the mean of the features too.
    device, out, apply, amp, passes, seed, progress
        See `score`. With `out` all images must have one (padded) size.
    layer
        The layer whose input ``(batch, D, h, w)`` holds the features, which may be coarser than
        the image. Default: of the convolution layers with C outputs, the one that runs last.

    Returns
    -------
    Regions
        Image by image, row by row.

    Raises
    ------
    ValueError, TypeError
        As `score` does; and if the maps do not have the input's size.

    References
    ----------
    Reinforced Active Learning for Image Segmentation, 3.1 and 4; Mining of Single-Class by Active
    Learning, section 3.2; Best Practices in Active Learning for Semantic Segmentation, section 2.

    Examples
    --------
    >>> model = nn.Conv2d(3, 5, 1)
    >>> regions = score_regions(model, torch.rand(1, 4, 3, 32, 48), region=(16, 20))
    >>> len(regions.image), regions.width[:3], regions.histogram.shape
    (24, array([20, 20,  8], dtype=int32), (24, 5))
    """
    unknown = sorted({*maps} - {*_MAPS})
    if isinstance(maps, str) or unknown:
        raise ValueError(f"maps: must be a list of {', '.join(_MAPS)}; {maps!r} came")
    if apply not in ("softmax", "none"):
        raise ValueError(f'apply: must be "softmax" or "none"; {apply!r} came; choose one of them')
    place = Place.of(model, device, amp)
    layers = embedding_layers(model, layer) if features else []
    pool = Pool.of(loader)
    table: Table = RaggedTable(pool.size)
    if out is not None:
        if pool.size is None:
            raise ValueError("out: needs a loader whose number of rows is known; see score()")
        options = {
            "region": list(region),
            "maps": sorted({*maps, "entropy"}),
            "cells": cells,
            "layer": layer_name(model, layer) if features else False,
            "apply": apply,
            "autocast": str(place.autocast),
            "passes": [passes, seed] if "bald" in maps else None,
            "model": model_fingerprint(model),
        }
        table = FolderTable(Path(out), pool.size, options)
    if table.done is None or not table.done.all():
        with (
            borrowed(model, place),
            Inputs(layers, chosen=layer is not None, pool="none") as seen,
        ):
            forward = _Forward(
                model,
                place,
                region,
                frozenset(maps),
                cells,
                apply == "softmax",
                seen if features else None,
                passes,
                seed,
            )
            run(pool, forward, table, place.target, progress=progress)
    return _regions(table.arrays())


def _regions(arrays: "Mapping[str, NDArray[Any]]") -> Regions:
    """Make one row of every region that has a pixel, from rows of images."""
    flat = dict(arrays)
    image = flat.pop("image", None)
    if image is None:
        images, number = arrays["pixels"].shape
        image = np.repeat(np.arange(images), number)
        flat = {name: a.reshape(images * number, *a.shape[2:]) for name, a in flat.items()}
    kept = flat["pixels"] > 0
    if not kept.all():
        image, flat = image[kept], {name: array[kept] for name, array in flat.items()}
    top, left, height, width = flat["box"].T
    entropies = _stats(flat, "entropy")
    assert entropies is not None
    return Regions(
        image=image,
        top=top,
        left=left,
        height=height,
        width=width,
        pixels=flat["pixels"],
        histogram=flat["histogram"],
        entropy=entropies,
        bald=_stats(flat, "bald"),
        flip_disagreement=_stats(flat, "flip_disagreement"),
        features=flat.get("features"),
    )


def _stats(arrays: "Mapping[str, NDArray[Any]]", name: str) -> MapStats | None:
    if name not in arrays:
        return None
    low, mean, high, total = arrays[name].T
    return MapStats(low, mean, high, total, arrays.get(f"{name}_cells"))


@dataclass(frozen=True)
class _Forward:
    """What is computed of a batch of images, on the device."""

    model: nn.Module
    place: Place
    region: tuple[int, int]
    maps: frozenset[str]
    cells: int | None
    softmax: bool
    seen: Inputs | None
    passes: int
    seed: int

    @torch.inference_mode()
    def __call__(self, x: Tensor, batch: Batch) -> Blocks:
        scores = self._scores(x)
        features = None if self.seen is None else self.seen.take(scores)
        maps = self._maps(x, scores, batch)
        masks = _masks(batch, tuple(x.shape[-2:]), len(x))
        images = []
        for i, image in enumerate(scores):
            try:
                images.append(
                    region_blocks(
                        image,
                        self.region,
                        softmax=self.softmax,
                        mask=None if masks is None else masks[i].to(x.device),
                        cells=self.cells,
                        maps={name: values[i] for name, values in maps.items()},
                        features=None if features is None else features[i],
                    )
                )
            except ValueError as error:
                raise ValueError(f"{error} (image {batch.rows[i]} of the dataset)") from None
        if self.seen is not None:
            self.seen.forget()
        return {name: torch.stack([image[name] for image in images]) for name in images[0]}

    def _scores(self, x: Tensor) -> Tensor:
        scores = model_logits(self.place.run(self.model, x))
        if scores.ndim != 4 or x.ndim != 4 or scores.shape[2:] != x.shape[2:]:
            raise ValueError(
                "model: must turn (batch, channels, H, W) into (batch, C, H, W) of the same height "
                f"and width; {tuple(scores.shape)} came for {tuple(x.shape)}; put classes on axis "
                "1, and enlarge coarser maps with nn.functional.interpolate"
            )
        if len(scores) != len(x):
            raise ValueError(mismatch(f"{len(scores)} rows", len(x)))
        return scores

    def _probs(self, scores: Tensor) -> Tensor:
        return scores.float().softmax(1) if self.softmax else scores.float()

    def _maps(self, x: Tensor, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        maps = {}
        if "bald" in self.maps:
            with mc_dropout(self.model), seeded(self.seed, int(batch.rows[0]), self.place.target):
                passes = (self._probs(self._scores(x)) for _ in range(self.passes))
                maps["bald"] = bald(passes, axis=1)
        if "flip_disagreement" in self.maps:
            mirrored = self._probs(self._scores(x.flip(-1)))
            probs = self._probs(scores)
            maps["flip_disagreement"] = flip_disagreement(probs, mirrored, 1, width_axis=-1)
        return maps


def _masks(batch: Batch, size: tuple[int, ...], count: int) -> Tensor | None:
    """Return which pixels count ``(n, H, W)``, if the loader says so."""
    content = batch.content if isinstance(batch.content, Mapping) else {}
    part = slice(batch.offset, batch.offset + count)
    if (mask := content.get("mask")) is not None:
        found = torch.as_tensor(mask)[part].bool()
        if tuple(found.shape) != (count, *size):
            raise ValueError(
                f"loader: mask must have shape {(count, *size)}; {tuple(found.shape)} came; give "
                "one boolean for each pixel"
            )
        return found
    if (given := content.get("size")) is not None:
        sizes = torch.as_tensor(given)[part]
        if tuple(sizes.shape) != (count, 2) or bool((sizes < 0).any()):
            raise ValueError(
                f"loader: size must have shape {(count, 2)}; {tuple(sizes.shape)} came; give the "
                "height and width of each image without its padding"
            )
        down, right = (torch.arange(n) for n in size)
        return (down[:, None] < sizes[:, :1, None]) & (right < sizes[:, 1:, None])
    return None
