"""RALIS's game with a segmentation network that really learns, on images whose labels are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.errors import InvalidInput
from .scenes import VOID, Scenes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from ...models.policies.ralis_features import RegionMaps
    from ...models.policies.region_learner import RegionLearner
    from ...problems.arrays import Floats, Ints

_DRAWS = 200


@dataclass(frozen=True, eq=False)
class Splits:
    """Which images are for what.

    Attributes
    ----------
    state
        D_S: a state is how they are predicted.
    initial
        What the network has learned from when an episode begins. The paper takes a synthetic data
        set with the same classes for it.
    train
        D_T: whose regions a policy learns to ask for.
    reward
        D_R: on which the network is scored.
    valid
        D_V: whose regions a trained policy asks for.
    test
        On which what was learned from those is measured.
    """

    state: Ints
    initial: Ints
    train: Ints
    reward: Ints
    valid: Ints
    test: Ints


@dataclass(frozen=True)
class Sizes:
    """How many images each split has; the rest is D_V.

    The paper has 10 in D_S and 100 in D_T on CamVid, and D_R is its validation set.
    """

    state: int = 10
    initial: int = 10
    train: int = 100
    reward: int = 60

    def __post_init__(self) -> None:
        """Raise `InvalidInput` if a split would be empty."""
        for name, count in vars(self).items():
            if count < 1:
                raise InvalidInput(f"{name}: must be 1 image or more; {count} came")


def draw_splits(scenes: Scenes, sizes: Sizes, test: Any, seed: int = 0) -> Splits:
    """Deal images out at random, those of the state set with the class mix of D_T.

    Parameters
    ----------
    scenes
        All images.
    sizes
        How many each split has.
    test
        Test images: rows, or a mask.
    seed
        Of the draws.

    Raises
    ------
    InvalidInput
        If there are too few images.

    References
    ----------
    Reinforced Active Learning for Image Segmentation, section 4.1: sets of state images are drawn,
    200 times here, and the one whose class shares are nearest to those of D_T is taken.
    """
    rows = np.arange(len(scenes))
    given = np.asarray(test)
    held = rows[given if given.dtype == bool else given.astype(np.int64)]
    free = np.setdiff1d(rows, held)
    needed = sizes.state + sizes.initial + sizes.train + sizes.reward
    if len(free) <= needed:
        raise InvalidInput(
            f"images: {needed} are needed beside the test set and some for D_V; {len(free)} are "
            "there; make the splits smaller"
        )
    rng = np.random.default_rng(seed)
    train, left = np.split(rng.permutation(free), [sizes.train])
    mix = class_shares(scenes, train)
    found = [rng.permutation(left) for _ in range(_DRAWS)]
    away = [np.abs(class_shares(scenes, some[: sizes.state]) - mix).sum() for some in found]
    order = found[int(np.argmin(away))]
    cuts = np.cumsum([sizes.state, sizes.initial, sizes.reward])
    state, initial, reward, valid = (np.sort(part) for part in np.split(order, cuts))
    return Splits(state, initial, np.sort(train), reward, valid, held)


def class_shares(scenes: Scenes, images: Ints) -> Floats:
    """Return the share of each class among the pixels of images ``(C,)``."""
    counts = np.bincount(scenes.labels[images].ravel(), minlength=VOID + 1)[: len(scenes.names)]
    shares: Floats = counts / max(counts.sum(), 1)
    return shares


class SegmentationGame:
    """Regions of some images are labeled; a network learns from them and is scored on others.

    Parameters
    ----------
    learner
        The network and all images, cut into regions.
    names
        Names of the classes.
    pool
        Images whose regions may be labeled: D_T, or D_V.
    splits
        Where state and reward come from.
    weights
        What the network has learned when the game begins.
    cells
        The g of the grid of entropies.

    Raises
    ------
    InvalidInput
        If no class of the pool can be scored.
    """

    def __init__(
        self,
        learner: RegionLearner,
        names: tuple[str, ...],
        pool: Ints,
        splits: Splits,
        weights: Mapping[str, Tensor],
        cells: int = 5,
    ) -> None:
        self.learner, self.cells, self.weights = learner, cells, weights
        self.names, self.splits = names, splits
        each = learner.grid.each
        self.regions: Ints = regions_of(pool, each)
        self._state = regions_of(splits.state, each)
        self._truth = _true_shares(learner, len(names))
        offered = self._truth[self.regions].sum(axis=0) > 0
        scored = self._truth[regions_of(splits.reward, each)].sum(axis=0) > 0
        if not (offered & scored).any():
            raise InvalidInput(
                "reward: no class occurs both in the regions and in the images that are scored; "
                "nothing could be gained; choose other splits"
            )

    def restart(self) -> None:
        """Begin anew with the initial weights."""
        self.learner.begin(self.weights)

    def state(self) -> RegionMaps:
        """Say how the regions of the state set are predicted."""
        return self.look(self._state)

    def look(self, regions: Ints, passes: int = 0) -> RegionMaps:
        """Say how regions are predicted."""
        return self.learner.maps(regions, self.cells, passes)

    def truth(self, regions: Ints) -> NDArray[np.float32]:
        """Return the share of each true class; zeros where all is void."""
        return self._truth[regions]

    def label(self, regions: Ints) -> None:
        """Train one iteration: see each of the new regions once."""
        batch = self.learner.training.batch
        self.learner.train(regions, steps=-(-len(regions) // batch))

    def score(self) -> float:
        """Return the mean IoU of the classes of D_R on it in per cent."""
        return 100 * self.learner.iou_of_true_classes(self.splits.reward, len(self.names))[0]


@dataclass(frozen=True)
class Convergence:
    """When the network has learned enough from what was labeled.

    Attributes
    ----------
    epochs
        Times that all regions are seen, at most.
    patience
        Epochs without a better score on D_R after which training stops.
    """

    epochs: int = 40
    patience: int = 5


def learned_from(
    game: SegmentationGame, regions: Ints, until: Convergence
) -> tuple[float, Floats, int]:
    """Train from the initial weights until D_R gets no better, and measure on the test images.

    Returns
    -------
    float, NDArray, int
        Mean IoU on the test split, that of each class ``(C,)``, and how many epochs it took.

    References
    ----------
    Reinforced Active Learning for Image Segmentation, section 4.1 (early stopping on D_R).
    """
    learner = game.learner
    learner.begin(game.weights)
    best, kept, at = game.score(), learner.weights(), 0
    steps = -(-len(regions) // learner.training.batch)
    for epoch in range(1, until.epochs + 1):
        learner.train(regions, steps)
        score = game.score()
        if score > best:
            best, kept, at = score, learner.weights(), epoch
        elif epoch - at >= until.patience:
            break
    learner.begin(kept)
    mean, each = learner.iou_of_true_classes(game.splits.test, len(game.names))
    return mean, each, at


def regions_of(images: Ints, each: int) -> Ints:
    """Return the numbers of all regions of images."""
    numbers: Ints = (np.asarray(images)[:, None] * each + np.arange(each)).ravel()
    return numbers


def _true_shares(learner: RegionLearner, classes: int) -> NDArray[np.float32]:
    from ...models.histograms import class_histogram

    grid = learner.grid
    labels = learner.labels.cpu().numpy()
    (height, width), across = grid.region, grid.across
    cut = labels.reshape(len(labels), -1, height, across, width).swapaxes(2, 3)
    return class_histogram(cut.reshape(-1, height * width), classes)
