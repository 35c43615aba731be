"""A world where it is known which regions pay: what a policy learns there can be judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .pools import draw_pools

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...models.policies.ralis_features import RegionMaps
    from ...problems.arrays import Floats, Ints
    from .region_game import Batches


@dataclass(frozen=True)
class PlantedWorld:
    """What a planted world is like.

    Attributes
    ----------
    regions, classes, cells
        Number of regions, of classes, and the g of the grid of entropies.
    rare
        Share of regions that hold the rare class, the last one. Each pays 1 when it is labeled.
    noise
        How far predicted class shares are from the true ones, from 0 to 1.
    delay
        Steps until a region pays.
    """

    regions: int = 2000
    classes: int = 5
    cells: int = 1
    rare: float = 0.1
    noise: float = 0.3
    delay: int = 0


class PlantedGame:
    """Regions of which only those with the rare class pay; predictions of them are noisy.

    Nothing is trained: predictions stay as they are.

    Parameters
    ----------
    world
        What it is like.
    seed
        Of the regions.
    """

    def __init__(self, world: PlantedWorld, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.world = world
        self.regions: Ints = np.arange(world.regions)
        self.pays = rng.random(world.regions) < world.rare
        self._truth = self._shares(rng, self.pays)
        mixed = rng.dirichlet(np.ones(world.classes), world.regions)
        self._predicted = (1 - world.noise) * self._truth + world.noise * mixed
        self._entropies = rng.random((world.regions, world.cells**2, 3))
        self._entropies.sort(axis=2)
        self._paid: list[int] = []
        self._due: list[float] = []

    def restart(self) -> None:
        """Begin anew."""
        self._paid, self._due = [], []

    def state(self) -> RegionMaps:
        """Return the first regions; where rewards are late, the first shows what is yet to come.

        That is the share of labeled regions with the rare class that have not paid yet.
        """
        maps = self.look(self.regions[:4])
        if self.world.delay:
            due = self._due[-self.world.delay :]
            share = sum(due) / max(len(due), 1)
            maps.histogram[0] = np.append(
                np.full(self.world.classes - 1, (1 - share) / (self.world.classes - 1)), share
            )
        return maps

    def look(self, regions: Ints, passes: int = 0) -> RegionMaps:
        """Return noisy class shares, and entropies that say nothing."""
        from ...models.policies.ralis_features import RegionMaps

        cells = self._entropies[regions].transpose(0, 2, 1).reshape(len(regions), -1)
        means = self._entropies[regions, :, 1].mean(axis=1)
        return RegionMaps(self._predicted[regions], cells, means, means if passes else None)

    def truth(self, regions: Ints) -> Floats:
        """Return the true class shares."""
        return self._truth[regions]

    def label(self, regions: Ints) -> None:
        """Label regions."""
        self._paid.append(int(self.pays[regions].sum()))
        self._due.append(float(self.pays[regions].mean()))

    def score(self) -> float:
        """Return how many of the regions that were labeled long enough ago have paid."""
        return float(sum(self._paid[: max(len(self._paid) - self.world.delay, 0)]))

    def oracle(self, batches: Batches, seed: int) -> float:
        """Return what somebody gains who knows which regions pay, one from each pool."""
        rng = np.random.default_rng(seed)
        left, gain = self.regions, 0
        for _ in range(batches.steps):
            pools = draw_pools(left, batches.pools, batches.size, rng)
            taken: list[int] = []
            # Pools with the fewest regions that pay choose first.
            for pool in sorted(pools, key=lambda pool: int(self.pays[pool].sum())):
                own = [region for region in pool if region not in taken]
                taken.append(int(max(own, key=lambda region: self.pays[region])))
            gain += int(self.pays[taken].sum())
            left = np.setdiff1d(left, taken)
        return float(gain)

    def _shares(self, rng: np.random.Generator, rare: NDArray[np.bool_]) -> Floats:
        shares = rng.dirichlet(np.ones(self.world.classes - 1), self.world.regions)
        part = np.where(rare, rng.uniform(0.2, 0.5, self.world.regions), 0.0)[:, None]
        return np.concatenate([(1 - part) * shares, part], axis=1)
