"""From labeled images to games: splits, a small network, and what it knows when a game begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...problems.errors import InvalidInput
from .ralis import seeded
from .segmentation_game import SegmentationGame, Splits, regions_of

if TYPE_CHECKING:
    from ...models.policies.region_learner import RegionLearner
    from ...problems.arrays import Ints
    from .scenes import Scenes


@dataclass(frozen=True)
class NetworkPlan:
    """The segmentation network of a game.

    Attributes
    ----------
    region
        Height and width of a region, which must divide the images.
    cells
        The g of the grid of entropies, which must divide the region.
    width, dropout, shrink
        Of `SmallUNet`; BALD needs dropout.
    epochs
        Times that it sees the regions it knows when a game begins.
    learning_rate
        Of the first training and of the games.
    batch
        Regions in a gradient step; 1 where regions are whole images.
    """

    region: tuple[int, int]
    cells: int = 5
    width: int = 8
    dropout: tuple[float, float] = (0.2, 0.2)
    shrink: int = 1
    epochs: int = 10
    learning_rate: float = 0.02
    batch: int = 8

    def __post_init__(self) -> None:
        """Raise `InvalidInput` if a number cannot be."""
        if (
            min(self.width, self.batch, self.shrink) < 1
            or self.epochs < 0
            or not self.learning_rate > 0
        ):
            raise InvalidInput(
                "width, batch, shrink, epochs, learning_rate: must be 1, 1, 1, 0 or more, and "
                f"above 0; got {self.width}, {self.batch}, {self.shrink}, {self.epochs} and "
                f"{self.learning_rate}"
            )


@dataclass(frozen=True, eq=False)
class SegmentationWorld:
    """Images dealt into splits, for games to train a policy in, and to see what it is worth.

    Attributes
    ----------
    scenes, splits
        The images, and which are for what.
    plan
        The network.
    seed
        Of its first weights and its first training.
    """

    scenes: Scenes
    splits: Splits
    plan: NetworkPlan
    seed: int = 0

    def training_game(self) -> SegmentationGame:
        """Return the game on D_T; the network has learned from the initial images."""
        return self._game(self.splits.train, self.splits.initial)

    def applying_game(self) -> SegmentationGame:
        """Return the game on D_V; the network has learned from D_T too (section 4.1)."""
        known = np.concatenate([self.splits.initial, self.splits.train])
        return self._game(self.splits.valid, known)

    def _game(self, pool: Ints, known: Ints) -> SegmentationGame:
        with seeded(self.seed):
            learner = self._learner()
            rows = regions_of(known, learner.grid.each)
            steps = -(-len(rows) // learner.training.batch)
            learner.train(rows, steps * self.plan.epochs)
        weights = learner.weights()
        names, cells = self.scenes.names, self.plan.cells
        return SegmentationGame(learner, names, pool, self.splits, weights, cells)

    def _learner(self) -> RegionLearner:
        from ...models.policies.region_grid import RegionGrid
        from ...models.policies.region_learner import RegionLearner, Training
        from ...models.segmenters import SmallUNet

        images, labels = self.scenes.images, self.scenes.labels
        grid = RegionGrid((images.shape[1], images.shape[2]), self.plan.region)
        # Windows around regions have multiples of 4 as their sides, as far as images reach.
        if any(side % self.plan.shrink for side in (4, *grid.size)):
            raise InvalidInput(
                f"shrink: must be 1, 2 or 4, and divide the images' height and width {grid.size}; "
                f"got {self.plan.shrink}; choose a divisor, or crop the images"
            )
        model = SmallUNet(
            len(self.scenes.names), self.plan.width, self.plan.dropout, self.plan.shrink
        )
        training = Training(lr=self.plan.learning_rate, batch=self.plan.batch)
        return RegionLearner(model, images, labels, grid, training)
