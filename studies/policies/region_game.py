"""The game that RALIS learns from: regions are labeled, a network learns from them, and it pays.

Whatever answers these questions can be played: a segmentation network that is really trained
(`segmentation_game`), or a world where it is known what pays (`planted_regions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...problems.errors import InvalidInput
from .pools import PoolChoice, draw_pools

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...models.policies.ralis_features import RalisFeatures, RegionMaps
    from ...problems.arrays import Ints

    Features = NDArray[np.float32]


class RegionGame(Protocol):
    """What is asked of a game."""

    @property
    def regions(self) -> Ints:
        """Regions that may be labeled."""
        ...

    def restart(self) -> None:
        """Begin anew: nothing is labeled, and the network has its initial weights."""
        ...

    def state(self) -> RegionMaps:
        """Say how the regions of the state set are predicted now."""
        ...

    def look(self, regions: Ints, passes: int = 0) -> RegionMaps:
        """Say how regions are predicted now; with BALD of so many passes, or without."""
        ...

    def truth(self, regions: Ints) -> NDArray[Any]:
        """Return the share of each true class in labeled regions ``(R, C)``."""
        ...

    def label(self, regions: Ints) -> None:
        """Label regions, and train the network on them."""
        ...

    def score(self) -> float:
        """Return how good the network is now; its increase is the reward."""
        ...


@dataclass(frozen=True)
class Batches:
    """How regions are asked for.

    Attributes
    ----------
    pools, size
        K regions a step, one from each pool of N. The paper: 24 and 10 on CamVid, 256 and 100 on
        Cityscapes.
    budget
        Regions of an episode; the last step may go beyond it, as it is a whole one.
    """

    pools: int = 24
    size: int = 10
    budget: int = 500

    def __post_init__(self) -> None:
        """Raise `InvalidInput` if a number cannot be."""
        if min(self.pools, self.size, self.budget) < 1:
            raise InvalidInput(
                "pools, size, budget: must be 1 or more; got "
                f"{self.pools}, {self.size} and {self.budget}"
            )

    @property
    def steps(self) -> int:
        """Steps of an episode."""
        return -(-self.budget // self.pools)

    def require(self, regions: int) -> None:
        """Raise `InvalidInput` unless pools can be drawn until the last step."""
        before = self.pools * (self.steps - 1)
        if regions < before + self.pools * self.size:
            raise InvalidInput(
                f"regions: {self.steps} steps of {self.pools} pools of {self.size} need "
                f"{before + self.pools * self.size}, as {before} are labeled before the last; "
                f"there are {regions}; lower the budget, the pools, or their size"
            )


@dataclass(frozen=True, eq=False)
class View:
    """What is known in a step, before its regions are chosen.

    Attributes
    ----------
    pools
        Regions of the pools ``(K, N)``.
    candidates
        The different regions among them ``(A,)``.
    places
        Where each region of the pools is among the candidates ``(K, N)``.
    maps
        How candidates are predicted.
    labeled
        Regions labeled so far.
    """

    pools: Ints
    candidates: Ints
    places: Ints
    maps: RegionMaps
    labeled: Ints

    def features(self, game: RegionGame, features: RalisFeatures) -> tuple[Features, Features]:
        """Return the features of the state ``(S, F)`` and of asking for each candidate."""
        truth = game.truth(self.labeled)
        # The pools stand for all that is not labeled (section 3.1).
        actions = features.actions(self.maps, truth, self.maps.histogram)
        return features.state(game.state()), actions


class Play:
    """An episode under way.

    Parameters
    ----------
    game
        The game, which is restarted.
    batches
        How regions are asked for.
    rng
        Of the pools.
    passes
        Of BALD, for strategies that look at it.
    """

    def __init__(
        self, game: RegionGame, batches: Batches, rng: np.random.Generator, passes: int = 0
    ) -> None:
        batches.require(len(game.regions))
        game.restart()
        self._game, self._batches, self._rng, self._passes = game, batches, rng, passes
        self._unlabeled = np.asarray(game.regions, dtype=np.int64)
        self.labeled = np.empty(0, dtype=np.int64)
        self.choices: list[PoolChoice] = []

    @property
    def over(self) -> bool:
        """Whether the budget is spent."""
        return len(self.choices) >= self._batches.steps

    def view(self) -> View:
        """Draw the pools of this step and look at their regions."""
        pools = draw_pools(self._unlabeled, self._batches.pools, self._batches.size, self._rng)
        candidates, places = np.unique(pools, return_inverse=True)
        maps = self._game.look(candidates, self._passes)
        return View(pools, candidates, places.reshape(pools.shape), maps, self.labeled)

    def label(self, choice: PoolChoice) -> None:
        """Label what was chosen."""
        self._game.label(choice.regions)
        self.choices.append(choice)
        self.labeled = np.concatenate([self.labeled, choice.regions])
        self._unlabeled = np.setdiff1d(self._unlabeled, choice.regions, assume_unique=True)
