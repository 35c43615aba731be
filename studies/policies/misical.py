"""MiSiCAL's training: passes over what is labeled already, then picks that bring labels."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.errors import InvalidInput
from .mining import Mined, PoolTask, mine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ...models.policies import Policy
    from ...models.policies.misical_agent import Agent, Settings
    from .mining import Limit, Rows

CHECKPOINT, STOPPED = "training.checkpoint", "stopped.checkpoint"


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of a pool, and whether those that are labeled hold the class.

    Attributes
    ----------
    features
        ``(N, 3 + C)``, see `labelcut.models.policies.misical.patch_features`.
    holds
        1 where a patch truly holds the class, else 0 ``(N,)``; what stands at rows that are not
        labeled is not looked at before they are picked.
    labeled
        Rows that are labeled.

    Raises
    ------
    InvalidInput
        If shapes or numbers are wrong, or no labeled patch holds the class.
    """

    features: NDArray[Any]
    holds: NDArray[Any]
    labeled: Rows

    def __post_init__(self) -> None:
        """Check what is given."""
        require_features(self.features)
        size = len(self.features)
        if np.shape(self.holds) != (size,):
            raise InvalidInput(
                f"holds: must have one value for each of {size:,} rows; {len(self.holds):,} came"
            )
        if not len(self.labeled):
            raise InvalidInput("labeled: must name rows; none came; label some at random first")
        outside = self.labeled[(self.labeled < 0) | (self.labeled >= size)]
        if len(outside):
            raise InvalidInput(f"labeled: rows go from 0 to {size - 1:,}; {outside[0]} came")
        known = np.asarray(self.holds)[self.labeled]
        if not np.isin(known, (0, 1)).all():
            raise InvalidInput("holds: must be 0 or 1 at labeled rows; other values came")
        if not known.any():
            raise InvalidInput(
                f"holds: none of {len(known):,} labeled patches holds the class, so that nothing "
                "is rewarded and nothing can be learned; label more at random, or another class"
            )

    @property
    def classes(self) -> int:
        """C, how many classes the features tell apart."""
        return int(self.features.shape[1]) - 3


class Learning:
    """An agent as a strategy that goes on learning.

    Parameters
    ----------
    agent
        What values and learns.
    features
        Of every row of the dataset ``(N, F)``.
    learns
        False for a policy that stays as it is, and does not explore.
    """

    def __init__(self, agent: Agent, features: NDArray[Any], *, learns: bool = True) -> None:
        self._agent = agent
        self._features = np.asarray(features, dtype=np.float32)
        self._learns = learns
        self.explore = agent.settings.explore if learns else 0.0

    def values(self, rows: Rows) -> NDArray[np.float64]:
        """Return the local network's values."""
        if self._learns:
            self._agent.offered(self._features[rows])
        return self._agent.values(self._features[rows])

    def picked(self, rows: Rows, rewards: NDArray[Any]) -> None:
        """Remember, and learn from the memory."""
        if self._learns:
            self._agent.picked(self._features[rows], rewards)
            self._agent.learn()

    def ended(self) -> None:
        """Complete what waits for later rewards."""
        if self._learns:
            self._agent.ended()


def require_features(features: NDArray[Any]) -> None:
    """Raise `InvalidInput` unless features are a finite ``(N, 3 + C)``."""
    if features.ndim != 2 or features.shape[1] < 5 or not len(features):
        raise InvalidInput(
            f"features: must have shape (N, 3 + C) with C of at least 2; {features.shape} came; "
            "pass what patch_features returns"
        )
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise InvalidInput(f"features: must be finite; row {row} is not; score it again")


def pretrain(
    patches: Patches,
    settings: Settings,
    *,
    passes: int = 4,
    size: int = 100,
    draw: int = 2000,
    folder: Path | None = None,
    begin: Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> Agent:
    """Train an agent by going through the labeled patches several times.

    Each pass begins with all of them on offer and ends when all are picked; weights and memory are
    kept from pass to pass. No limits hold here: these labels are paid already.

    Parameters
    ----------
    patches
        Features, and the class of labeled patches.
    settings
        How the network learns.
    passes, size, draw
        Times through the labeled patches, picks of an event, and candidates that are drawn.
    folder
        Where a checkpoint is written after every pass; a run of the same arguments goes on from
        there and ends with the same bits. None keeps nothing.
    begin
        Folder of an earlier training, whose weights and memory to begin with.
    tell
        Called with a line after every pass.

    Returns
    -------
    Agent

    Raises
    ------
    ValueError
        If a value is not finite: what was remembered up to then is kept in the folder, as
        ``stopped.checkpoint``, beside the last checkpoint. Or if `folder` was begun with other
        arguments.

    References
    ----------
    Mining of Single-Class by Active Learning, section 3.1 (four passes).
    """
    from ...models.policies import load_checkpoint, save_checkpoint
    from ...models.policies.misical_agent import Agent

    events = -(-len(patches.labeled) // size)
    agent = Agent(patches.features, settings, horizon=passes * events * settings.updates)
    options = _options(patches, settings, passes=passes, size=size, draw=draw, begin=begin)
    done = 0
    if begin is not None:
        begun = load_checkpoint(begin / CHECKPOINT, None)
        if begun is None:
            raise InvalidInput(f"begin: {begin} must hold {CHECKPOINT}; it does not; leave it out")
        _take_over(agent, begun["agent"], begin)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        saved = load_checkpoint(folder / CHECKPOINT, options)
        if saved is not None:
            done = saved["passes"]
            agent.load_state_dict(saved["agent"])
    strategy = Learning(agent, patches.features)
    for number in range(done, passes):
        task = PoolTask(patches.holds, patches.labeled, draw)
        seed = [settings.seed, number]
        try:
            found = mine(task, strategy, budget=len(patches.labeled), size=size, seed=seed)
        except ValueError as error:
            if folder is None:
                raise
            save_checkpoint(folder / STOPPED, {"passes": number, "agent": agent.state_dict()}, {})
            raise ValueError(f"{error}; the memory is kept in {folder / STOPPED}") from None
        if folder is not None:
            state = {"passes": number + 1, "agent": agent.state_dict()}
            save_checkpoint(folder / CHECKPOINT, state, options)
        if tell is not None:
            tell(
                f"pass {number + 1} of {passes}: {early_share(found):.0%} of hits in its first half"
            )
    return agent


def early_share(found: Mined) -> float:
    """Return the share of the rewards that came with the first half of the picks."""
    total = float(found.rewards.sum())
    half = float(found.rewards[: -(-len(found.rewards) // 2)].sum())
    return half / total if total else 0.0


def explore_pool(
    agent: Agent,
    patches: Patches,
    *,
    budget: int,
    size: int = 100,
    draw: int = 2000,
    limits: Sequence[Limit] = (),
    seed: int = 0,
) -> Mined:
    """Go on with the rows that are not labeled, learning from what picks bring.

    Parameters are those of `mine`; the events of all strategies with one seed draw alike.
    """
    pool = np.setdiff1d(np.arange(len(patches.features)), patches.labeled)
    if budget > len(pool):
        raise InvalidInput(
            f"budget: {budget:,} picks are asked for, the pool has {len(pool):,}; lower the budget"
        )
    task = PoolTask(patches.holds, pool, draw)
    strategy = Learning(agent, patches.features)
    return mine(task, strategy, budget=budget, size=size, limits=limits, seed=seed)


def train_misical(patches: Patches, settings: Settings, folder: Path, **arguments: Any) -> Policy:
    """Train as `pretrain` does, and save the policy into the folder of its checkpoints."""
    from ...models.policies import save_policy

    policy = pretrain(patches, settings, folder=folder, **arguments).policy(patches.classes)
    save_policy(policy, folder)
    return policy


def _take_over(agent: Agent, state: dict[str, Any], begin: Path) -> None:
    """Begin with an earlier agent's networks and memory, and anneal anew."""
    try:
        agent.load_state_dict({**state, "updates": 0})
    except (RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise InvalidInput(
            f"begin: {begin} was trained with another network or memory ({text}); keep hidden and "
            "capacity, and the number of classes"
        ) from None


def _options(
    patches: Patches, settings: Settings, *, begin: Path | None, **numbers: int
) -> dict[str, Any]:
    """Return what a run that goes on must have in common with this one."""
    hashed = hashlib.blake2b(digest_size=16)
    for array in (
        np.asarray(patches.features, dtype=np.float64),
        np.asarray(patches.labeled, dtype=np.int64),
        np.asarray(patches.holds)[patches.labeled].astype(np.int64),
    ):
        hashed.update(f"{array.shape}".encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    start = None if begin is None else str(begin)
    return {"settings": asdict(settings), "data": hashed.hexdigest(), "begin": start, **numbers}
