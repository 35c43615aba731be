"""Pools made of a dataset: long-tailed, redundant by consecutive frames, redundant by augmentation.

Every function takes a `Pool` and returns another; the test set stays as it is. Redundant pools say
in the column ``source`` which row of theirs each row repeats.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.arrays import as_number
from ...problems.errors import InvalidInput

if TYPE_CHECKING:
    from ...problems.arrays import Ints
    from .pool import Pool


def long_tailed(
    pool: Pool, factor: float = 0.1, *, reserve: float = 0.1, seed: int = 0, rare: Any = None
) -> Pool:
    """Thin half of the classes of a pool to a share of their rows.

    Of each class a share `reserve` is kept whole, as in the thesis, where the initial labels come
    from it; the column ``reserved`` names these rows. Of the others, `factor` remains in the rare
    classes, rounded, which are drawn at random unless they are named.

    Parameters
    ----------
    pool
        With a known class for each row.
    factor
        The imbalance factor, in 0..1; the thesis takes 0.1 and 0.3.
    reserve
        Share of each class that is not thinned.
    seed
        Of the rare classes and of the rows that go.
    rare
        The rare classes; default: half of them, drawn.

    Raises
    ------
    InvalidInput
        Shares out of range, rows of unknown class, or a rare class that does not exist.

    References
    ----------
    Thesis 4.5.1, "Long-Tailed Datasets".
    """
    for name, share in (("factor", factor), ("reserve", reserve)):
        if not 0 <= as_number(share, name) <= 1:
            raise InvalidInput(f"{name}: must lie in 0..1; got {share}; the thesis takes 0.1")
    truth = _known_classes(pool)
    rng = np.random.default_rng(seed)
    drawn = rng.choice(pool.classes, pool.classes // 2, replace=False)
    thinned = drawn if rare is None else np.asarray(rare, dtype=np.int64)
    if len(thinned) and not (thinned.min() >= 0 and thinned.max() < pool.classes):
        raise InvalidInput(f"rare: classes must lie in 0..{pool.classes - 1}; got {rare}")
    reserved, others = [], []
    for label in range(pool.classes):
        rows = rng.permutation(np.flatnonzero(truth == label))
        first, rest = np.split(rows, [round(reserve * len(rows))])
        reserved.append(first)
        others.append(rest[: round(factor * len(rest))] if label in thinned else rest)
    first_rows = np.concatenate(reserved)
    rows = np.sort(np.concatenate([first_rows, *others]))
    thin = take(pool, rows)
    return replace(thin, table={**thin.table, "reserved": np.isin(rows, first_rows)})


def frame_runs(pool: Pool, size: int, following: int, *, seed: int = 0) -> Pool:
    """Draw frames at random, each with the X frames that follow it in its video (Pool-Xf).

    Pools of one size differ in redundancy only: X = 0 gives frames drawn uniformly. Runs never
    share a frame; the last is cut where X + 1 does not divide the size.

    Parameters
    ----------
    pool
        With the columns ``video`` and ``frame``; frames follow each other in ascending order of
        their numbers, whatever lies between.
    size
        Rows of the new pool.
    following
        X.
    seed
        Of the draws.

    Raises
    ------
    InvalidInput
        Without these columns, or where runs drawn at random leave no room for the size.

    References
    ----------
    Best Practices in Active Learning for Semantic Segmentation, section 3.2 (A2D2 pools).
    """
    if following < 0 or not size >= 1:
        raise InvalidInput(f"size, following: must be ≥ 1 and ≥ 0; got {size} and {following}")
    order, ends = _timeline(pool)
    length = following + 1
    free = np.ones(len(order), dtype=bool)
    rows, source = [], []
    left = size
    for start in np.random.default_rng(seed).permutation(len(order)):
        if start + length > ends[start] or not free[start : start + length].all():
            continue
        free[start : start + length] = False
        run = order[start : start + min(length, left)]
        rows.append(run)
        source.append(np.full(len(run), run[0]))
        left -= len(run)
        if not left:
            break
    if left:
        raise InvalidInput(
            f"size: {size} rows in runs of {length} asked for, {size - left} found room in "
            f"{len(order)} frames; take a smaller size or shorter runs"
        )
    return _with_sources(pool, np.concatenate(rows), np.concatenate(source))


@dataclass(frozen=True)
class Colors:
    """How far a duplicate's colors may go, each drawn uniformly; the values are ours.

    Parameters
    ----------
    brightness, contrast, saturation
        Largest relative change: 0.4 draws factors from 0.6 to 1.4.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4


def augmented(
    pool: Pool,
    size: int,
    duplicates: int = 5,
    *,
    area: float = 0.85,
    colors: Colors | None = None,
    maps: int = 0,
    seed: int = 0,
) -> Pool:
    """Draw images at random and add augmented duplicates of each (Pool-Aug).

    A duplicate is a random crop of a share of the image's area, of the same proportions, brought
    back to size, its colors changed.

    Parameters
    ----------
    pool
        Images ``(N, channels, H, W)`` in 0..1, NumPy or torch.
    size
        Rows of the new pool; the last image gets fewer duplicates where it does not come out even.
    duplicates
        How many of each image; the paper makes five.
    area
        Share of the image that a crop holds; the paper takes 0.85.
    colors
        Changes of color.
    maps
        So many channels at the end hold maps, of classes for example: they are cropped alike, by
        the nearest pixel, and keep their values.
    seed
        Of the draws.

    Raises
    ------
    InvalidInput
        If the inputs are no images, the area lies out of range, or there are too few images.

    References
    ----------
    Best Practices in Active Learning for Semantic Segmentation, section 3.2 and figure 2.
    """
    images = np.asarray(pool.inputs)
    if images.ndim != 4:
        raise InvalidInput(
            f"pool: duplicates are made of images (N, channels, H, W); got shape {images.shape}"
        )
    if not 0 < as_number(area, "area") <= 1:
        raise InvalidInput(f"area: must lie in 0..1, above 0; got {area}; the paper takes 0.85")
    needed = -(-size // (duplicates + 1))
    if duplicates < 0 or not 1 <= needed <= len(images):
        raise InvalidInput(
            f"size: {size} rows with {duplicates} duplicates each need {needed} images; the pool "
            f"has {len(images)}; lower the size"
        )
    rng = np.random.default_rng(seed)
    originals = np.sort(rng.choice(len(images), needed, replace=False))
    rows = np.repeat(originals, duplicates + 1)[:size]
    inputs, painted = np.array(images[rows]), images.shape[1] - maps
    for at in np.flatnonzero(np.arange(size) % (duplicates + 1)):
        window = _crop(images.shape[2:], area, rng)
        colored = _resized(inputs[at, :painted], window, smooth=True)
        inputs[at, :painted] = _recolored(colored, colors or Colors(), rng)
        inputs[at, painted:] = _resized(inputs[at, painted:], window, smooth=False)
    made = _with_sources(pool, rows, rows)
    return replace(made, inputs=_like(inputs, pool.inputs))


def take(pool: Pool, rows: Ints, ids: Any = None) -> Pool:
    """Return some rows of a pool.

    Parameters
    ----------
    pool
        The pool.
    rows
        Its rows, in the order of the new pool.
    ids
        Names in the new pool; default: as in the old one.

    Raises
    ------
    InvalidInput
        If a row does not exist, or comes twice and keeps its id.
    """
    if len(rows) and not (rows.min() >= 0 and rows.max() < pool.size):
        raise InvalidInput(
            f"rows: must lie in 0..{pool.size - 1}; got {rows.min()} to {rows.max()}"
        )
    kept = None if pool.ids is None else pool.ids[rows]
    return replace(
        pool,
        inputs=pool.inputs[rows],
        truth=None if pool.truth is None else pool.truth[rows],
        ids=kept if ids is None else ids,
        table={name: column[rows] for name, column in pool.table.items()},
    )


def _with_sources(pool: Pool, rows: Ints, source: Ints) -> Pool:
    """Take rows in ascending order and add which row of the new pool each one repeats."""
    order = np.argsort(rows, kind="stable")
    rows, first = rows[order], np.searchsorted(rows[order], source[order])
    ids = None
    if len(np.unique(rows)) < len(rows):
        names = rows if pool.ids is None else pool.ids[rows]
        nth = np.arange(len(rows)) - np.searchsorted(rows, rows)
        ids = np.array([f"{name}+{n}" for name, n in zip(names, nth, strict=True)])
    made = take(pool, rows, ids)
    return replace(made, table={**made.table, "source": first})


def _known_classes(pool: Pool) -> Ints:
    if pool.truth is None or (pool.truth < 0).any():
        raise InvalidInput("pool: a long tail is made of known classes; give the truth of all rows")
    return pool.truth


def _timeline(pool: Pool) -> tuple[Ints, Ints]:
    """Return rows by video and frame, and for each place where its video ends."""
    missing = [name for name in ("video", "frame") if name not in pool.table]
    if missing:
        raise InvalidInput(f"pool: frames are followed in time; its table lacks {missing[0]!r}")
    _, codes = np.unique(pool.table["video"], return_inverse=True)
    order = np.lexsort((pool.table["frame"], codes))
    ends = np.searchsorted(codes[order], codes[order], side="right")
    return order, ends


def _crop(shape: tuple[int, ...], area: float, rng: np.random.Generator) -> tuple[slice, slice]:
    """Draw a window of a share of the area and of the same proportions."""
    sides = [max(round(side * area**0.5), 1) for side in shape]
    starts = [int(rng.integers(side - part + 1)) for side, part in zip(shape, sides, strict=True)]
    first, second = (slice(at, at + part) for at, part in zip(starts, sides, strict=True))
    return first, second


def _resized(image: Any, window: tuple[slice, slice], *, smooth: bool) -> Any:
    """Bring a window of an image ``(channels, H, W)`` to the image's size."""
    part, shape = image[:, window[0], window[1]], image.shape[1:]
    places = [
        np.clip((np.arange(side) + 0.5) * inner / side - 0.5, 0, inner - 1)
        for side, inner in zip(shape, part.shape[1:], strict=True)
    ]
    if not smooth:
        nearest = [np.floor(place + 0.5).astype(int) for place in places]
        return part[:, nearest[0][:, None], nearest[1]]
    for axis, place in enumerate(places, start=1):
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, part.shape[axis] - 1)
        weight = (place - low).reshape([-1 if k == axis else 1 for k in range(3)])
        part = part.take(low, axis) * (1 - weight) + part.take(high, axis) * weight
    return part


def _recolored(image: Any, colors: Colors, rng: np.random.Generator) -> Any:
    """Change contrast, saturation and brightness of an image in 0..1."""
    spans = np.array([colors.contrast, colors.saturation, colors.brightness])
    contrast, saturation, brightness = rng.uniform(1 - spans, 1 + spans)
    gray = image.mean(axis=0, keepdims=True)
    image = gray + saturation * (image - gray)
    image = gray.mean() + contrast * (image - gray.mean())
    return np.clip(brightness * image, 0.0, 1.0)


def _like(images: Any, given: Any) -> Any:
    """Return images in the array type of those given."""
    if hasattr(given, "detach"):
        import torch

        return torch.as_tensor(images, dtype=given.dtype)
    return images.astype(given.dtype, copy=False)
