"""Models of a campaign: how each begins, is trained and is measured."""

from __future__ import annotations

import random
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.errors import InvalidInput
from .metrics import accuracy, mean_class_accuracy
from .records import FULL, Record
from .seeds import derive_seed
from .store import Finished
from .timing import Stopwatch, now

if TYPE_CHECKING:
    from torch import nn

    from ...problems.arrays import Ints
    from .files import Campaign
    from .learner import Learner
    from .pool import Pool


def first_model(campaign: Campaign, seed: int) -> nn.Module:
    """Return a new model, with the file's weights where models do not begin from scratch."""
    model = campaign.learner.make_model(seed)
    if campaign.weights is not None and campaign.plan.init != "scratch":
        from ...models.named import load_weights

        load_weights(model, campaign.weights)
    return model


def measured(learner: Learner, pool: Pool, model: nn.Module) -> dict[str, float]:
    """Return what the learner, or else the test set, says of a model."""
    if learner.measure is not None:
        return finite(learner.measure(model, pool), "[learner] measure")
    if pool.test_inputs is None or pool.test_truth is None:
        return {}
    probs, _ = learner.predict(model, pool.test_inputs, embeddings=False)
    guessed = probs.argmax(axis=1)
    return {
        "accuracy": accuracy(pool.test_truth, guessed),
        "mean_class_accuracy": mean_class_accuracy(pool.test_truth, guessed),
    }


def finite(told: Any, who: str) -> dict[str, float]:
    """Return what users' functions measured; NaN and infinity were not, and are left out.

    Raises
    ------
    InvalidInput
        At what is no number.
    """
    if not isinstance(told, Mapping):
        raise InvalidInput(f"{who}: must give numbers by name; got {told!r}")
    found = {}
    for name, value in told.items():
        try:
            found[name] = float(value)
        except (TypeError, ValueError):
            raise InvalidInput(f"{who}: must give numbers by name; {name} is {value!r}") from None
    return {name: value for name, value in found.items() if isfinite(value)}


def full_run(campaign: Campaign, seed: int, labels: Ints) -> Finished:
    """Train a model on every row of known class, and measure it: what all labels would give.

    Parameters
    ----------
    labels
        Classes of the rows that are known, in their order.
    """
    pool, watch, since = campaign.pool, Stopwatch(), now()
    begun = derive_seed(seed, 0, "train")
    with watch.on("train"):
        seed_all(begun)
        model = campaign.learner.train(
            first_model(campaign, begun), pool.inputs[pool.known], labels, seed=begun
        )
    with watch.on("score"):
        metrics = measured(campaign.learner, pool, model)
    for name, spent in watch.spent.items():
        metrics |= spent.named(name)
    metrics |= now().less(since).named("cycle")
    none = np.zeros(0, dtype=np.int64)
    counts = np.bincount(labels, minlength=pool.classes)
    share = len(labels) / pool.size
    return Finished(Record(FULL, seed, 0, len(labels), share, metrics, none, counts, none), {})


class Tracker:
    """Label dispersion over the epochs of one training."""

    def __init__(self, campaign: Campaign) -> None:
        from ...models.dispersion import LabelDispersion

        self.pool = campaign.pool
        self.learner = campaign.learner
        self.counted = LabelDispersion(self.pool.size, self.pool.classes)
        self.epochs = 0

    def add(self, model: nn.Module) -> None:
        """Count an epoch's predictions."""
        probs, _ = self.learner.predict(model, self.pool.inputs, embeddings=False)
        self.counted.add(probs.argmax(axis=1))
        self.epochs += 1

    def values(self) -> Any:
        """Return the dispersions, or None if nothing was counted."""
        return self.counted.values() if self.epochs else None


def seed_all(seed: int) -> None:
    """Seed what users' functions may draw from without asking."""
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
