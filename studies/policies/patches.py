"""Patches of scenes: which classes they hold, and what a network says that learned from some."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .scenes import VOID

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from .mining import Rows
    from .scenes import Scenes


@dataclass(frozen=True, eq=False)
class ScoredPatches:
    """What a segmentation network says of all patches, computed once.

    Attributes
    ----------
    features
        ``(N, 3 + C)`` of MiSiCAL.
    entropy, bald
        Means over the patch ``(N,)``: the baselines' scores.
    table
        Columns ``image``, ``top``, ``left``, ``height``, ``width``.
    """

    features: NDArray[np.float32]
    entropy: NDArray[np.float64]
    bald: NDArray[np.float64]
    table: dict[str, NDArray[Any]]


def patch_presence(
    labels: NDArray[np.uint8], patch: tuple[int, int], classes: int
) -> NDArray[np.bool_]:
    """Find which classes each patch truly holds, by one pixel at least.

    Parameters
    ----------
    labels
        ``(n, H, W)``; other values than 0 to C - 1 are of no class.
    patch
        Height and width, which divide those of the images.
    classes
        C.

    Returns
    -------
    NDArray
        ``(N, C)``, image by image, row by row.

    Examples
    --------
    >>> labels = np.array([[[0, 0, 1, 2], [0, 0, 1, 1]]], dtype=np.uint8)
    >>> patch_presence(labels, (2, 2), 3).astype(int)
    array([[1, 0, 0],
           [0, 1, 1]])
    """
    cut = _cut(labels, patch)
    return np.stack([(cut == c).any(axis=1) for c in range(classes)], axis=1)


def only_patches(
    labels: NDArray[np.uint8], patch: tuple[int, int], rows: Rows
) -> NDArray[np.uint8]:
    """Return labels that are void outside of some patches ``(n, H, W)``."""
    n, height, width = labels.shape
    down, right = height // patch[0], width // patch[1]
    kept = np.zeros(n * down * right, dtype=bool)
    kept[rows] = True
    grid = kept.reshape(n, down, right)
    known = grid.repeat(patch[0], axis=1).repeat(patch[1], axis=2)
    return np.where(known, labels, np.uint8(VOID))


def score_patches(
    scenes: Scenes,
    patch: tuple[int, int],
    labeled: Rows,
    *,
    steps: int,
    width: int = 12,
    passes: int = 15,
    seed: int = 0,
    folder: Path | None = None,
) -> ScoredPatches:
    """Train a small network on the labeled patches, and let it say what is in all of them.

    Images are seen whole, patches are cut from the maps. Two dropout layers of rate 0.5 make the
    passes differ.

    Parameters
    ----------
    scenes
        Images and labels; labels outside of `labeled` are not looked at.
    patch
        Height and width, which divide those of the images.
    labeled
        Rows of labeled patches.
    steps
        Training steps of six images.
    width
        Of the network, see `SmallUNet`.
    passes
        With dropout.
    seed
        Of weights, order and dropout.
    folder
        Keeps the network and what is scored, so that a stopped run goes on; None keeps nothing.

    References
    ----------
    Mining of Single-Class by Active Learning, section 3.2.
    """
    from torch.utils.data import DataLoader, TensorDataset

    from ...models import score_regions
    from ...models.policies.misical import patch_features

    known = only_patches(scenes.labels, patch, labeled)
    model = _trained(replace(scenes, labels=known), steps, width, seed, folder)
    loader = DataLoader(TensorDataset(scenes.tensors()[0]), batch_size=4)
    out = None if folder is None else folder / "regions"
    found = score_regions(model, loader, patch, maps=("bald",), passes=passes, seed=seed, out=out)
    assert found.bald is not None
    return ScoredPatches(
        patch_features(found),
        found.entropy.mean.astype(np.float64),
        found.bald.mean.astype(np.float64),
        found.table,
    )


def _trained(scenes: Scenes, steps: int, width: int, seed: int, folder: Path | None) -> nn.Module:
    """Train a network on the pixels that are not void, or read the one that is kept."""
    import torch

    from ...models.policies import load_checkpoint, save_checkpoint
    from ...models.segmenters import SmallUNet, train_segmenter

    options = {"steps": steps, "width": width, "seed": seed, "pixels": _hash(scenes.labels)}
    file = None if folder is None else folder / "network.checkpoint"
    kept = None if file is None else load_checkpoint(file, options)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = SmallUNet(len(scenes.names), width, dropout=(0.5, 0.5))
        if kept is not None:
            model.load_state_dict(kept)
            return model
        some = np.flatnonzero((scenes.labels != VOID).any(axis=(1, 2)))
        train_segmenter(model, *scenes.take(some).tensors(), steps=steps, void=VOID)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(file, model.state_dict(), options)
    return model


def _hash(array: NDArray[Any]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()


def _cut(labels: NDArray[np.uint8], patch: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the pixels of each patch ``(N, h w)``."""
    n, height, width = labels.shape
    h, w = patch
    if height % h or width % w:
        raise ValueError(
            f"patch: must divide the images' {height} x {width} pixels; {h} x {w} came"
        )
    tiles = labels.reshape(n, height // h, h, width // w, w)
    return tiles.transpose(0, 1, 3, 2, 4).reshape(-1, h * w)
