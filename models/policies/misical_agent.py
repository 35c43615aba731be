"""How MiSiCAL learns: double Q-learning from a prioritized memory of picks and their rewards."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from .misical import KIND, ValueNetwork, feature_names, network_values
from .replay import Replay, annealed
from .saving import Policy
from .targets import double_dqn_targets, n_step_returns, soft_update

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLLOWING = 16
"""Candidates of a later step, of highest value, that stand for all of them in its target."""


@dataclass(frozen=True)
class Settings:
    r"""How the network learns. Defaults are the paper's where it states them.

    With a discount of 0, as the paper has it, a target is the reward alone: `steps`, `follow` and
    the target network then change nothing.

    Parameters
    ----------
    hidden
        Units of each hidden layer (not stated; ours).
    rate, decay, batch, clip
        RMSProp's learning rate and weight decay, experiences of a batch, and the norm that
        gradients are clipped to.
    discount, steps, follow
        γ, n of the n-step returns, and β by which the target network follows.
    explore
        ε, the share of picks that are drawn evenly.
    capacity, exponent, correction
        Experiences kept, η, and ζ at the start, which anneals to 1 (η and ζ not stated; those of
        Schaul et al.).
    updates
        Batches learned from after each event (not stated; ours).
    seed
        Of weights, draws and exploration.
    """

    hidden: tuple[int, ...] = (64, 64)
    rate: float = 1e-3
    decay: float = 1e-4
    batch: int = 256
    clip: float = 0.01
    discount: float = 0.0
    steps: int = 3
    follow: float = 0.002
    explore: float = 0.05
    capacity: int = 100_000
    exponent: float = 0.6
    correction: float = 0.4
    updates: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise a ValueError that names a number out of its range."""
        shares = ("discount", "follow", "explore", "exponent", "correction")
        for name in shares:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: must lie between 0 and 1; {getattr(self, name)} came")
        for name in ("steps", "batch", "capacity", "updates"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be 1 or more; {getattr(self, name)} came")
        if self.decay < 0:
            raise ValueError(f"decay: must be 0 or more; {self.decay} came; the paper's is 1e-4")
        for name in ("rate", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be positive; {getattr(self, name)} came")


class Agent:
    """The two networks, their memory, and how they learn from what picks brought.

    An event offers candidates, of which some are picked. Time counts events: the n-step return of
    a pick is its own reward, then the mean reward of the picks of each later event, discounted
    (with one pick an event that is eq. 22; for more the paper leaves the order open). Of the
    candidates that are offered n events later, the 16 of highest value at that time are remembered,
    and the target's next action is one of them.

    Parameters
    ----------
    features
        ``(n, F)`` of the first pool, which centre and scale are taken from.
    settings
        How it learns.
    horizon
        Updates until ζ has become 1.
    device
        Where the networks are.
    """

    def __init__(
        self,
        features: "NDArray[Any]",
        settings: Settings,
        *,
        horizon: int = 1000,
        device: str | torch.device | None = None,
    ) -> None:
        self.settings = settings
        self.horizon = horizon
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        with torch.random.fork_rng([]):
            torch.manual_seed(settings.seed)
            self.local = ValueNetwork(features.shape[1], settings.hidden)
        self.local.fit_scale(torch.from_numpy(np.array(features, dtype=np.float32)))
        self.local.to(self.device)
        self.target = deepcopy(self.local).requires_grad_(False)
        self.optimizer = torch.optim.RMSprop(
            self.local.parameters(), lr=settings.rate, weight_decay=settings.decay
        )
        self.memory = Replay(settings.capacity, exponent=settings.exponent, seed=settings.seed + 1)
        self.updates = 0
        self._waiting: list[tuple[NDArray[Any], NDArray[Any]]] = []

    def values(self, features: "NDArray[Any]") -> "NDArray[np.float64]":
        """Return the local network's value of each candidate ``(n,)``.

        Raises
        ------
        ValueError
            If a value is NaN or infinite. The memory is as it was.
        """
        return network_values(self.local, features)

    def offered(self, features: "NDArray[Any]") -> None:
        """Say what can be picked now; picks n events ago are complete by that."""
        if self.settings.discount and len(self._waiting) >= self.settings.steps:
            self._remember(features)

    def picked(self, features: "NDArray[Any]", rewards: "NDArray[Any]") -> None:
        """Say what was picked of it ``(k, F)``, and what that brought ``(k,)``."""
        features = np.asarray(features, dtype=np.float32)
        self._waiting.append((features, np.asarray(rewards, dtype=np.float32)))
        if not self.settings.discount:
            self._remember(None)

    def ended(self) -> None:
        """Say that the episode is over: nothing follows on the last picks."""
        while self._waiting:
            self._remember(None)

    def learn(self) -> float:
        """Learn from the memory, `updates` batches, and return the mean loss."""
        if not len(self.memory):
            return float("nan")
        losses = [self._update() for _ in range(self.settings.updates)]
        return float(np.mean(losses))

    def policy(self, classes: int) -> Policy:
        """Return the local network as a policy for `feature_names` of so many classes."""
        settings = asdict(self.settings) | {"hidden": list(self.settings.hidden)}
        return Policy(KIND, feature_names(classes), classes, settings, self.local.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return all there is to go on with, between two episodes."""
        return {
            "local": deepcopy(self.local.state_dict()),
            "target": deepcopy(self.target.state_dict()),
            "optimizer": deepcopy(self.optimizer.state_dict()),
            "memory": self.memory.state_dict(),
            "updates": self.updates,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.local.load_state_dict(state["local"])
        self.target.load_state_dict(state["target"])
        # The optimizer would go on with the tensors themselves, which may be another agent's.
        self.optimizer.load_state_dict(deepcopy(state["optimizer"]))
        self.memory.load_state_dict(state["memory"])
        self.updates = state["updates"]

    def _remember(self, following: "NDArray[Any] | None") -> None:
        """Put the picks that wait longest into the memory."""
        own, rewards = self._waiting[0]
        later = [np.full_like(rewards, found.mean()) for _, found in self._waiting[1:]]
        window = torch.from_numpy(np.stack([rewards, *later]))
        window = window[: self.settings.steps]
        returns, discounts, _ = n_step_returns(window, self.settings.discount, len(window))
        rows = {"features": own, "returns": returns[0].numpy()}
        if self.settings.discount:
            best = np.zeros((FOLLOWING, own.shape[1]), np.float32)
            if following is not None:
                values = self.values(following)
                order = np.argsort(-values, kind="stable")
                best = np.asarray(following, np.float32)[np.resize(order[:FOLLOWING], FOLLOWING)]
            rows["discount"] = np.full(len(own), float(discounts[0]), np.float32)
            rows["done"] = np.full(len(own), following is None)
            rows["following"] = np.repeat(best[None], len(own), axis=0)
        self.memory.add(**rows)
        del self._waiting[0]

    def _update(self) -> float:
        kept = self.settings
        drawn = self.memory.draw(
            kept.batch, annealed(kept.correction, 1.0, self.updates, self.horizon)
        )
        found = self.local(self._sent(drawn.rows["features"]))
        errors = found - self._targets(drawn.rows)
        loss = (self._sent(drawn.weights) * errors**2).mean()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.local.parameters(), kept.clip)
        self.optimizer.step()
        self.memory.update(drawn.places, errors.detach().cpu().numpy())
        soft_update(self.target, self.local, kept.follow)
        self.updates += 1
        return float(loss.detach())

    def _targets(self, rows: "Mapping[str, NDArray[Any]]") -> Tensor:
        returns = self._sent(rows["returns"])
        if not self.settings.discount:
            return returns
        following = self._sent(rows["following"])
        with torch.no_grad():
            select, evaluate = self.local(following), self.target(following)
        done = self._sent(rows["done"])
        return double_dqn_targets(returns, self._sent(rows["discount"]), done, select, evaluate)

    def _sent(self, array: "NDArray[Any]") -> Tensor:
        return torch.from_numpy(array).to(self.device)
