"""Policies at work: regions asked for with frozen weights, or by the rules RALIS is compared to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...problems.errors import InvalidInput
from .pools import choose_from_pools
from .ralis import seeded
from .region_game import Batches, Play, RegionGame, View

if TYPE_CHECKING:
    from ...models.policies.saving import Policy
    from ...problems.arrays import Floats, Ints
    from .pools import PoolChoice

Values = Callable[[RegionGame, View, np.random.Generator], "Floats"]


@dataclass(frozen=True)
class Strategy:
    """What candidates are worth.

    Attributes
    ----------
    name
        As tables call it.
    values
        Gives the value of each candidate ``(A,)``.
    size
        Candidates of each pool; None takes that of the batches.
    passes
        Of BALD, if it looks at that.
    """

    name: str
    values: Values
    size: int | None = None
    passes: int = 0


BASELINES = (
    Strategy("U", lambda game, view, rng: rng.random(len(view.candidates)), size=50),
    Strategy("H", lambda game, view, rng: view.maps.entropy),
    Strategy("B", lambda game, view, rng: _bald(view), passes=20),
)
"""Uniform, cumulative entropy and cumulative BALD, with the pools they have on CamVid (4.2)."""


@dataclass(frozen=True, eq=False)
class Acquisition:
    """Regions asked for, in order: those of a smaller budget are the first ones.

    Attributes
    ----------
    strategy
        Its name.
    regions
        ``(B,)``.
    choices
        How each step's batch was chosen.
    """

    strategy: str
    regions: Ints
    choices: tuple[PoolChoice, ...]


def frozen(policy: Policy, name: str = "RALIS") -> Strategy:
    """Return what candidates are worth to a trained policy.

    It learns nothing more. It may be asked about other data than it was trained on, as long as
    they have as many classes, and states as many regions.

    Raises
    ------
    ValueError
        From its values, if the data do not fit.
    """
    from ...models.policies.ralis import policy_features, query_network, query_values

    features = policy_features(policy)
    networks = {}

    def values(game: RegionGame, view: View, rng: np.random.Generator) -> Floats:
        classes = view.maps.histogram.shape[1]
        policy.require("ralis", features.names, classes)
        state, actions = view.features(game, features)
        if len(state) not in networks:
            networks[len(state)] = query_network(policy, len(state))
        return query_values(networks[len(state)], state, actions)

    return Strategy(name, values)


def untrained(policy: Policy, seed: int) -> Policy:
    """Return a policy of the same structure whose weights are drawn anew."""
    from ...models.policies.ralis import RalisAgent, RalisSettings, policy_features

    known = RalisSettings.__dataclass_fields__
    settings = RalisSettings(**{n: v for n, v in policy.settings.items() if n in known})
    agent = RalisAgent(policy_features(policy), policy.settings["regions"], settings, seed)
    return agent.policy()


def acquire(game: RegionGame, strategy: Strategy, batches: Batches, seed: int = 0) -> Acquisition:
    """Ask for regions, step by step, until the budget is spent.

    The network learns from each batch, as in training, and the next one is chosen by what it says
    then. Strategies with pools of one size get the same pools in the first step from one seed.

    Parameters
    ----------
    game
        The game; it is restarted.
    strategy
        What candidates are worth.
    batches
        How regions are asked for.
    seed
        Of pools, training and draws.

    Raises
    ------
    InvalidInput
        If there are too few regions, or values are not finite.
    """
    own = batches if strategy.size is None else replace(batches, size=strategy.size)
    pools, draws = (np.random.default_rng([seed, at]) for at in range(2))
    with seeded(seed):
        play = Play(game, own, pools, strategy.passes)
        while not play.over:
            view = play.view()
            values = np.asarray(strategy.values(game, view, draws))
            if not np.isfinite(values).all():
                raise InvalidInput(
                    f"strategy {strategy.name}: values must be finite; got {values.min()}"
                )
            play.label(choose_from_pools(values[view.places], view.pools))
    return Acquisition(strategy.name, play.labeled[: batches.budget], tuple(play.choices))


def class_entropy(shares: Floats) -> float:
    """Return the entropy in nats of the classes of labeled regions, from their shares ``(R, C)``.

    Higher means closer to as many pixels of each class (figure 3 of the paper).
    """
    p = shares.sum(axis=0) / max(float(shares.sum()), 1e-12)
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def _bald(view: View) -> Floats:
    found = view.maps.bald
    if found is None:
        raise InvalidInput("strategy B: needs BALD; give it passes of 2 or more")
    return np.asarray(found)
