"""Patches of scenes: which classes they hold, and what a network says that learned from some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .scenes import VOID

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    passes: int = 15,
    seed: int = 0,
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
    passes
        With dropout.
    seed
        Of weights, order and dropout.

    References
    ----------
    Mining of Single-Class by Active Learning, section 3.2.
    """
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from ...models import score_regions
    from ...models.policies.misical import patch_features
    from ...models.segmenters import SmallUNet, train_segmenter

    x, _ = scenes.tensors()
    known = only_patches(scenes.labels, patch, labeled)
    some = np.flatnonzero((known != VOID).any(axis=(1, 2)))
    y = torch.from_numpy(known[some].astype(np.int64))
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = SmallUNet(len(scenes.names), dropout=(0.5, 0.5))
        train_segmenter(model, x[some], y, steps=steps, void=VOID)
    loader = DataLoader(TensorDataset(x), batch_size=4)
    found = score_regions(model, loader, patch, maps=("bald",), passes=passes, seed=seed)
    assert found.bald is not None
    return ScoredPatches(
        patch_features(found),
        found.entropy.mean.astype(np.float64),
        found.bald.mean.astype(np.float64),
        found.table,
    )


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
