"""The agent of RALIS: values regions, remembers what labeling them did, and learns from it."""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from .query_network import QueryNetwork
from .ralis_features import RalisFeatures
from .replay import Replay
from .saving import Policy
from .targets import double_dqn_targets, soft_update

if TYPE_CHECKING:
    from numpy.typing import NDArray


class UnstableValues(ValueError):
    """A query network gave values that are not finite."""


@dataclass(frozen=True)
class RalisSettings:
    """How the query network learns.

    Attributes
    ----------
    discount
        γ; not stated in the paper. Rewards are differences of one score, so that with γ near 1 all
        actions of a state are worth nearly the same.
    lr, momentum, weight_decay
        Of stochastic gradient descent. The paper has 1e-3 on CamVid, 1e-4 on Cityscapes; 1e-3.
    batch
        Transitions of one region each in a gradient step.
    replay
        Transitions kept: 600 on CamVid, 3,200 on Cityscapes.
    updates
        Gradient steps after each step of the game.
    target_every
        The target network becomes a copy of the query network after so many gradient steps; not
        stated in the paper.
    clip
        Largest norm of a gradient; not in the paper, without it values can grow without end.
    hidden
        Width of the query network's hidden layers; not stated in the paper.

    References
    ----------
    Reinforced Active Learning for Image Segmentation, section 3.2 and appendix B.
    """

    discount: float = 0.5
    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 1e-3
    batch: int = 16
    replay: int = 600
    updates: int = 4
    target_every: int = 25
    clip: float = 1.0
    hidden: int = 64

    def __post_init__(self) -> None:
        """Raise a ValueError if a number cannot be."""
        if not 0 <= self.discount <= 1:
            raise ValueError(f"discount: must lie between 0 and 1; {self.discount} came")
        if self.batch < 2 or self.replay < self.batch:
            raise ValueError(
                "batch, replay: batch norm needs 2 transitions or more, and the memory must hold "
                f"them; {self.batch} and {self.replay} came"
            )
        if min(self.updates, self.target_every, self.hidden) < 1:
            raise ValueError("updates, target_every, hidden: must be 1 or more")
        if not (self.lr > 0 and self.clip > 0 and self.momentum >= 0 and self.weight_decay >= 0):
            raise ValueError(
                "lr, clip, momentum, weight_decay: must be above 0, and the last two 0 or more; "
                f"{self.lr}, {self.clip}, {self.momentum} and {self.weight_decay} came"
            )


class RalisAgent:
    """A query network that learns by double Q-learning from regions that were labeled.

    Parameters
    ----------
    features
        What states and actions are made of.
    regions
        Number of regions of a state.
    settings
        How it learns.
    seed
        Of first weights and of the memory's draws.
    device
        Where the networks are; a CUDA device if there is one.
    """

    def __init__(
        self,
        features: RalisFeatures,
        regions: int,
        settings: RalisSettings,
        seed: int = 0,
        *,
        device: str | torch.device | None = None,
    ) -> None:
        self.features, self.regions, self.settings = features, regions, settings
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.query = QueryNetwork(features, regions, settings.hidden)
        self.query.to(self.device)
        self.target = QueryNetwork(features, regions, settings.hidden).to(self.device)
        soft_update(self.target, self.query, 1.0)
        self.target.eval()
        self.optimizer = torch.optim.SGD(
            self.query.parameters(),
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        self.memory = Replay(settings.replay, seed=seed)
        # States are kept once for all regions that were asked for in them.
        self._states: NDArray[np.float32] = np.zeros((2, 0, 0), np.float32)
        self._moment = 0
        self._learned = 0

    def values(
        self, state: "NDArray[np.float32]", actions: "NDArray[np.float32]"
    ) -> "NDArray[np.float64]":
        """Return Q ``(A,)`` of actions ``(A, F)`` in a state ``(S, width)``.

        Raises
        ------
        UnstableValues
            If one is NaN or infinite.
        """
        return query_values(self.query, state, actions)

    def remember(
        self,
        state: "NDArray[np.float32]",
        actions: "NDArray[np.float32]",
        reward: float,
        following: "tuple[NDArray[np.float32], NDArray[np.float32]]",
        *,
        done: bool,
    ) -> None:
        """Keep one step: what was asked for in a state, and what came of it.

        Parameters
        ----------
        state
            ``(S, width)``.
        actions
            Features of the region labeled from each of K pools ``(K, F)``.
        reward
            The same for all of them.
        following
            The next state, and the candidates of each pool there ``(K, N, F)``; anything of these
            shapes where the episode is `done`.
        done
            Whether it is.
        """
        count = len(actions)
        slots = -(-self.settings.replay // count) + 2
        if self._states.shape != (slots, *state.shape):
            self._states = np.zeros((slots, *state.shape), np.float32)
        for at, seen in enumerate((state, following[0])):
            self._states[(self._moment + at) % slots] = seen
        self.memory.add(
            moment=np.full(count, self._moment),
            action=actions,
            candidates=following[1],
            reward=np.full(count, reward, np.float32),
            done=np.full(count, done),
        )
        self._moment += 1

    def learn(self) -> float | None:
        r"""Take gradient steps on transitions drawn evenly; None while there are too few.

        .. math:: y = r + \gamma Q(s', \arg\max_{a' \in P'} Q(s', a'; \phi'); \phi)

        The target network φ' selects and the query network φ evaluates (eq. 3).

        Returns
        -------
        float or None
            Mean of the losses (eq. 2).

        Raises
        ------
        UnstableValues
            If targets are NaN or infinite; the memory is as it was.
        """
        if len(self.memory) < self.settings.batch:
            return None
        losses = [self._step() for _ in range(self.settings.updates)]
        return float(np.mean(losses))

    def _step(self) -> float:
        rows = self.memory.draw(self.settings.batch).rows
        slots = len(self._states)
        now = self._sent(self._states[rows["moment"] % slots])
        then = self._sent(self._states[(rows["moment"] + 1) % slots])
        candidates = self._sent(rows["candidates"])
        self.query.eval()
        try:
            with torch.no_grad():
                targets = double_dqn_targets(
                    self._sent(rows["reward"]),
                    self.settings.discount,
                    self._sent(rows["done"]),
                    next_select=self.target(then, candidates),
                    next_evaluate=self.query(then, candidates),
                )
        except ValueError as error:
            raise UnstableValues(str(error)) from None
        self.query.train()
        values = self.query(now, self._sent(rows["action"])[:, None])[:, 0]
        loss: Tensor = nn.functional.mse_loss(values, targets)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.query.parameters(), self.settings.clip)
        self.optimizer.step()
        self._learned += 1
        if self._learned % self.settings.target_every == 0:
            soft_update(self.target, self.query, 1.0)
        return float(loss.detach())

    def _sent(self, array: "NDArray[Any]") -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def policy(self, **told: Any) -> Policy:
        """Return what has been learned; `told` are further facts of the training to keep."""
        settings = {
            "cells": self.features.cells,
            "pooled": list(self.features.pooled),
            "bins": self.features.bins,
            "regions": self.regions,
            **asdict(self.settings),
            **told,
        }
        weights = {name: value.clone() for name, value in self.query.state_dict().items()}
        return Policy("ralis", self.features.names, self.features.classes, settings, weights)

    def state_dict(self) -> dict[str, Any]:
        """Return all there is to go on with."""
        return {
            "query": self.query.state_dict(),
            "target": self.target.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "memory": self.memory.state_dict(),
            "states": self._states,
            "moment": self._moment,
            "learned": self._learned,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.query.load_state_dict(state["query"])
        self.target.load_state_dict(state["target"])
        # Copied, as the optimizer would share its tensors with the state.
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.memory.load_state_dict(state["memory"])
        self._states = np.array(state["states"])
        self._moment, self._learned = int(state["moment"]), int(state["learned"])


def policy_features(policy: Policy) -> RalisFeatures:
    """Return which features a RALIS policy was trained for."""
    told = policy.settings
    return RalisFeatures(policy.classes, told["cells"], tuple(told["pooled"]), told["bins"])


def query_network(policy: Policy, regions: int) -> QueryNetwork:
    """Return a policy's network for states of so many regions, ready to give values.

    Raises
    ------
    ValueError
        If the policy was trained for states of another number of regions, or is none of RALIS.
    """
    features = policy_features(policy)
    policy.require("ralis", features.names, features.classes)
    if policy.settings["regions"] != regions:
        raise ValueError(
            f"policy: was trained for states of {policy.settings['regions']} regions, {regions} "
            "came; choose so many images for the state, cut into as many regions"
        )
    network = QueryNetwork(features, regions, policy.settings["hidden"])
    network.load_state_dict(dict(policy.weights))
    return network.eval()


@torch.no_grad()
def query_values(
    network: QueryNetwork, state: "NDArray[np.float32]", actions: "NDArray[np.float32]"
) -> "NDArray[np.float64]":
    """Return Q ``(A,)`` of actions ``(A, F)`` in one state ``(S, width)``.

    Raises
    ------
    UnstableValues
        If one is NaN or infinite.
    """
    network.eval()
    device = next(network.parameters()).device
    given = (torch.from_numpy(array)[None].to(device) for array in (state, actions))
    found = network(*given)[0]
    if not bool(found.isfinite().all()):
        first = int((~found.isfinite()).nonzero()[0])
        raise UnstableValues(
            f"Q: values must be finite; that of action {first} came out as {float(found[first])}; "
            "lower the learning rate or the discount, and look at features and rewards"
        )
    values: NDArray[np.float64] = found.double().cpu().numpy()
    return values
