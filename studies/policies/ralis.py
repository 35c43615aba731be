"""RALIS: a policy that learns which regions to label, by playing with data whose labels are known.

Reinforced Active Learning for Image Segmentation, section 3.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.errors import InvalidInput
from .pools import choose_from_pools
from .region_game import Batches, Play, RegionGame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ...models.policies.ralis import RalisAgent, RalisSettings
    from ...models.policies.ralis_features import RalisFeatures
    from ...models.policies.saving import Policy
    from ...problems.arrays import Floats
    from .region_game import Features

CHECKPOINT, STOPPED = "training.pt", "stopped.pt"
_UNPAID = 3


@dataclass(frozen=True)
class Schedule:
    """How long is trained, and how much is tried out.

    Attributes
    ----------
    episodes
        Games that are played.
    epsilon
        Share of pools whose region is drawn at random, in the first and in the last step.
    exploring
        Share of all steps in which ε falls from the one to the other, evenly. Neither it nor ε is
        stated in the paper.
    """

    episodes: int = 20
    epsilon: tuple[float, float] = (1.0, 0.05)
    exploring: float = 0.5

    def __post_init__(self) -> None:
        """Raise `InvalidInput` if a number cannot be."""
        if self.episodes < 1 or not all(0 <= e <= 1 for e in (*self.epsilon, self.exploring)):
            raise InvalidInput(
                "episodes, epsilon, exploring: must be 1 or more, and shares from 0 to 1; got "
                f"{self.episodes}, {self.epsilon} and {self.exploring}"
            )

    def epsilon_at(self, step: int, steps: int) -> float:
        """Return ε in a step of so many each episode."""
        from ...models.policies import annealed

        start, end = self.epsilon
        return annealed(start, end, step, round(self.episodes * steps * self.exploring))


@dataclass(frozen=True)
class Episode:
    """What came of one game.

    Attributes
    ----------
    gain
        Sum of its rewards.
    loss
        Mean loss of the query network; None before it learned.
    epsilon
        Share of pools that explored in the last step.
    repeats
        Picks of arg max that would have been regions picked already; see `PoolChoice`.
    gained
        Sum of values beyond what arg max brings without its repeats.
    """

    gain: float
    loss: float | None
    epsilon: float
    repeats: int
    gained: float


@dataclass
class RalisTraining:
    """A policy under way.

    Parameters
    ----------
    game, features, batches, settings, schedule
        What is played, what is seen, how regions are asked for, how it learns, and how long.
    seed
        Of all that is random.
    folder
        Where to keep what has been learned after each episode; a training that finds such a file
        goes on from there and ends where an unbroken one does. Default: nowhere.
    facts
        What tells the game from others, JSON values: a training goes on with no other game.
    """

    game: RegionGame
    features: RalisFeatures
    batches: Batches
    settings: RalisSettings
    schedule: Schedule
    seed: int = 0
    folder: Path | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    episodes: list[Episode] = field(init=False, default_factory=list)

    def run(self, tell: Callable[[str], None] | None = None) -> Policy:
        """Play all episodes, learn from each step, and return the policy.

        Raises
        ------
        InvalidInput
            If there are too few regions, or nothing was rewarded in the first episodes.
        UnstableValues
            If the network's values are not finite. What was remembered is kept in the folder, as
            ``stopped.pt``.
        """
        from ...models.policies import load_checkpoint, save_checkpoint
        from ...models.policies.ralis import RalisAgent, UnstableValues

        regions = self._regions_of_state()
        agent = RalisAgent(self.features, regions, self.settings, self.seed)
        self.episodes = []
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            found = load_checkpoint(self.folder / CHECKPOINT, self._options(regions))
            if found is not None:
                agent.load_state_dict(found["agent"])
                self.episodes = [Episode(**told) for told in found["episodes"]]
        while len(self.episodes) < self.schedule.episodes:
            try:
                with seeded(self.seed, len(self.episodes)):
                    self.episodes.append(self._episode(agent))
            except UnstableValues:
                if self.folder is not None:
                    save_checkpoint(self.folder / STOPPED, self._state(agent), {})
                raise
            self._require_pay()
            if self.folder is not None:
                path = self.folder / CHECKPOINT
                save_checkpoint(path, self._state(agent), self._options(regions))
            if tell is not None:
                last = self.episodes[-1]
                tell(f"episode {len(self.episodes)}: gain {last.gain:.3f}, loss {last.loss}")
        return agent.policy(
            batches=asdict(self.batches), schedule=asdict(self.schedule), seed=self.seed
        )

    def _episode(self, agent: RalisAgent) -> Episode:
        number, steps = len(self.episodes), self.batches.steps
        rng = np.random.default_rng([self.seed, number])
        play = Play(self.game, self.batches, rng)
        losses, gain, before, epsilon = [], 0.0, self.game.score(), 0.0
        waiting: tuple[Features, Features, float] | None = None
        while not play.over:
            view = play.view()
            state, actions = view.features(self.game, self.features)
            if waiting is not None:
                agent.remember(*waiting, (state, actions[view.places]), done=False)
                losses.append(agent.learn())
            epsilon = self.schedule.epsilon_at(number * steps + len(play.choices), steps)
            values = agent.values(state, actions)[view.places]
            choice = choose_from_pools(explored(values, epsilon, rng), view.pools)
            play.label(choice)
            after = self.game.score()
            taken = actions[view.places[np.arange(len(choice.places)), choice.places]]
            waiting = (state, taken, after - before)
            gain, before = gain + after - before, after
            if play.over:
                agent.remember(*waiting, (state, actions[view.places]), done=True)
                losses.append(agent.learn())
        learned = [loss for loss in losses if loss is not None]
        return Episode(
            gain=float(gain),
            loss=float(np.mean(learned)) if learned else None,
            epsilon=epsilon,
            repeats=sum(choice.repeats for choice in play.choices),
            gained=sum(choice.utility - choice.distinct_utility for choice in play.choices),
        )

    def _regions_of_state(self) -> int:
        self.game.restart()
        return len(self.game.state().histogram)

    def _require_pay(self) -> None:
        if len(self.episodes) == _UNPAID and all(e.gain == 0.0 for e in self.episodes):
            raise InvalidInput(
                f"reward: the score did not change in {_UNPAID} episodes, there is nothing to "
                "learn from; does the class occur in the regions and in the images that are scored?"
            )

    def _state(self, agent: RalisAgent) -> dict[str, Any]:
        episodes = [asdict(episode) for episode in self.episodes]
        return {"agent": agent.state_dict(), "episodes": episodes}

    def _options(self, regions: int) -> Mapping[str, Any]:
        return {
            "seed": self.seed,
            "regions": regions,
            "features": list(self.features.names),
            **asdict(self.batches),
            **asdict(self.settings),
            **asdict(self.schedule),
            **self.facts,
        }


def explored(values: Floats, epsilon: float, rng: np.random.Generator) -> Floats:
    """Return values that make some pools choose at random.

    What they are given is small against the others' values: an exploring pool never takes a region
    away from one that knows what it wants.
    """
    exploring = rng.random(len(values)) < epsilon
    drawn = rng.random(values.shape)
    small = 1e-3 * max(float(np.ptp(values)), 1e-9)
    return np.where(exploring[:, None], small * drawn, values)


@contextmanager
def seeded(*seed: int) -> Iterator[None]:
    """Begin torch's random numbers anew, and put them back afterwards."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        yield
