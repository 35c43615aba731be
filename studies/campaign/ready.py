"""A learner that is ready: a small network for vectors or small images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.arrays import to_numpy
from ...problems.errors import InvalidInput
from .learner import Learner

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from ...problems.arrays import Floats, Ints
    from .pool import Pool


@dataclass(frozen=True)
class Training:
    """How the ready learner trains.

    Parameters
    ----------
    epochs
        Passes over the labeled rows.
    batch
        Rows of a step.
    learning_rate, weight_decay
        Of AdamW.
    hidden
        Width of the layer before the classifying one, and so of the embeddings.
    dropout
        Rate before the last hidden layer.
    device
        Where models are trained and run.
    """

    epochs: int = 60
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    hidden: int = 64
    dropout: float = 0.3
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Check the ranges."""
        least = {"epochs": 1, "batch": 1, "learning_rate": 0, "weight_decay": 0, "hidden": 1}
        for name, value in least.items():
            if not value <= getattr(self, name) < np.inf:
                raise InvalidInput(
                    f"[learner] {name}: must be finite and at least {value}; "
                    f"got {getattr(self, name)}"
                )
        if not 0 <= self.dropout < 1:
            raise InvalidInput(f"[learner] dropout: must be from 0 to below 1; got {self.dropout}")


def ready_learner(pool: Pool, training: Training) -> Learner:
    """Return a learner for a pool of vectors ``(N, d)`` or images ``(N, channels, height, width)``.

    Inputs of any numeric type are standardized by the mean and standard deviation of the pool, for
    each column or channel. Vectors go through one hidden layer, images through two convolutions
    before it.

    Raises
    ------
    InvalidInput
        If the inputs are neither.
    """
    shape = tuple(getattr(pool.inputs, "shape", ()))
    if len(shape) not in (2, 4):
        raise InvalidInput(
            "[data] inputs: the ready learner takes vectors (N, d) and images (N, channels, "
            f"height, width); got shape {shape}; reshape them, or name make_model and train"
        )
    mean, scale = _moments(pool.inputs)

    def make_model(seed: int) -> nn.Module:
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = _network(shape[1:], pool.classes, training)
        model[0].mean.copy_(torch.as_tensor(mean))  # type: ignore[operator]
        model[0].scale.copy_(torch.as_tensor(scale))  # type: ignore[operator]
        return model.to(training.device)

    def train(
        model: nn.Module,
        inputs: Any,
        labels: Ints,
        *,
        seed: int,
        weights: Floats | None = None,
        progress: Callable[[nn.Module], None] | None = None,
    ) -> nn.Module:
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return _train(model, (inputs, labels, weights), training, progress)

    return Learner(make_model, train)


def _network(shape: tuple[int, ...], classes: int, training: Training) -> nn.Sequential:
    import torch
    from torch import nn

    class Standardize(nn.Module):
        """Inputs in units of the pool's standard deviations from its mean."""

        mean: torch.Tensor
        scale: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            width = (shape[0], 1, 1) if len(shape) == 3 else shape
            self.register_buffer("mean", torch.zeros(width))
            self.register_buffer("scale", torch.ones(width))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x.float() - self.mean) / self.scale

    layers: list[nn.Module] = [Standardize()]
    width = shape[0]
    if len(shape) == 3:
        layers += [
            nn.Conv2d(shape[0], 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(min(4, *shape[1:])),
            nn.Flatten(),
        ]
        width = 64 * min(4, *shape[1:]) ** 2
    head = [
        nn.Linear(width, training.hidden),
        nn.ReLU(),
        nn.Dropout(training.dropout),
        nn.Linear(training.hidden, classes),
    ]
    return nn.Sequential(*layers, *head)


def _train(
    model: nn.Module,
    data: tuple[Any, Ints, Floats | None],
    training: Training,
    progress: Callable[[nn.Module], None] | None,
) -> nn.Module:
    import torch

    inputs, labels, weights = data
    device = torch.device(training.device)
    x = torch.as_tensor(to_numpy(inputs), device=device)
    y = torch.as_tensor(np.asarray(labels), device=device)
    w = torch.ones(len(y)) if weights is None else torch.as_tensor(weights, dtype=torch.float32)
    w = w.to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    model.train()
    for _ in range(training.epochs):
        order = torch.randperm(len(y)).to(device)
        for rows in torch.split(order, training.batch):
            loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows], reduction="none")
            optimizer.zero_grad()
            (loss * w[rows]).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        if progress is not None:
            progress(model)
    return model.eval()


def _moments(inputs: Any) -> tuple[Any, Any]:
    """Return mean and standard deviation of every column or channel, float32."""
    axes = (0, 2, 3) if len(inputs.shape) == 4 else (0,)
    count, total, squares = 0, 0.0, 0.0
    step = max(1, (1 << 22) // max(1, int(np.prod(inputs.shape[1:]))))
    shift = None
    for start in range(0, len(inputs), step):
        part = to_numpy(inputs[start : start + step]).astype(np.float64)
        # Sums about the first part's mean, which large offsets cannot cancel.
        shift = part.mean(axis=axes, keepdims=True) if shift is None else shift
        part = part - shift
        count += part.size // shift.size
        total = total + part.sum(axis=axes, keepdims=True)
        squares = squares + (part**2).sum(axis=axes, keepdims=True)
    assert shift is not None
    spread = np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0.0))
    mean = (shift + total / count)[0]
    return mean.astype(np.float32), np.where(spread[0] > 0, spread[0], 1.0).astype(np.float32)
