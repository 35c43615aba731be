"""Tasks whose best play is known, on which a policy must show that it learns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .mining import PoolTask
from .misical import Patches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .mining import Rows


def rare_patches(size: int, labeled: int, *, seed: int, share: float = 0.03) -> Patches:
    """Draw patches of which few hold the class, and features that tell of it in part.

    Classes 0 and 1 of 6 are predicted in 90 % of the patches that hold the class, and in 1 % and
    5 % of the others: 74 % and 36 % of the patches with one of them hold it, 98 % of those with
    both. The other classes and the spread of BALD say nothing; its mean says little.

    Parameters
    ----------
    size, labeled
        Patches, and how many of them are labeled.
    seed
        Of all that is random.
    share
        Of the patches hold the class.

    Examples
    --------
    >>> patches = rare_patches(1000, 300, seed=0)
    >>> patches.features.shape, patches.classes
    ((1000, 9), 6)
    """
    rng = np.random.default_rng([seed, *b"rare"])
    holds = rng.random(size) < share
    chance = np.where(holds[:, None], [0.9, 0.9, 0.3, 0.3, 0.3, 0.3], [0.01, 0.05, *[0.3] * 4])
    presence = rng.random((size, 6)) < chance
    bald = np.sort(rng.gamma(2.0, 0.05, (size, 3)) * np.where(holds, 1.2, 1.0)[:, None], axis=1)
    features = np.concatenate([bald[:, [2, 0, 1]], presence], axis=1).astype(np.float32)
    rows = np.sort(rng.choice(size, labeled, replace=False))
    return Patches(features, holds.astype(np.int64), rows)


class Delayed(PoolTask):
    """A pool whose rewards come some events late: those of an event are paid, as their mean.

    Parameters
    ----------
    rewards, rows, draw
        As of `PoolTask`.
    delay
        Events.
    """

    def __init__(
        self, rewards: NDArray[Any], rows: Rows, draw: int = 2000, *, delay: int = 2
    ) -> None:
        super().__init__(rewards, rows, draw)
        self._due = [0.0] * delay

    def pick(self, rows: Rows) -> NDArray[Any]:
        """Take rows out, and pay what an earlier event has earned."""
        self._due.append(float(super().pick(rows).mean()))
        return np.full(len(rows), self._due.pop(0))


class Doors:
    """Candidates of three sorts: some pay little, some nothing, and those open what pays most.

    Plain ones pay 0.2 and doors 0. In the event after a door was picked there are rich ones, which
    pay 1. Picking a door and a rich one in turns brings 0.5 an event; who looks at the next reward
    alone never opens a door. `features` tell the sorts apart, with noise beside.

    Parameters
    ----------
    events
        Length of an episode.
    seed
        Of the noise.
    """

    PLAIN, DOOR, RICH = 0, 1, 2
    BEST = 0.5

    def __init__(self, events: int, *, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.sorts = np.repeat([self.PLAIN, self.DOOR, self.RICH], 30)
        noise = rng.random((len(self.sorts), 3)).astype(np.float32)
        self.features = np.concatenate([noise, np.eye(3, dtype=np.float32)[self.sorts]], axis=1)
        self._left = events
        self._open = False

    def offers(self, rng: np.random.Generator) -> Rows:
        """Draw ten of each sort that can be had."""
        if not self._left:
            return np.zeros(0, dtype=np.int64)
        sorts = [self.PLAIN, self.DOOR, *([self.RICH] if self._open else [])]
        drawn = [rng.choice(np.flatnonzero(self.sorts == s), 10, replace=False) for s in sorts]
        return np.sort(np.concatenate(drawn))

    def pick(self, rows: Rows) -> NDArray[Any]:
        """Pay for one pick, and open what it opens."""
        self._left -= 1
        picked = self.sorts[rows]
        self._open = bool((picked == self.DOOR).any())
        paid: NDArray[Any] = np.array([0.2, 0.0, 1.0])[picked]
        return paid
