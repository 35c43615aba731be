"""What learns in a campaign: functions that make, train and measure a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import nn

    from .pool import Pool


@dataclass(frozen=True)
class Learner:
    """How a campaign's models are made, trained and measured.

    Parameters
    ----------
    make_model
        ``make_model(seed) -> nn.Module``.
    train
        ``train(model, inputs, labels, *, seed, weights=None, progress=None) -> nn.Module``: inputs
        and labels ``(n,)`` int64 of the rows to learn from, weights ``(n,)`` of their losses or
        None; ``progress(model)`` is to be called once an epoch where it is not None.
    measure
        ``measure(model, pool) -> dict[str, float]``; None: accuracy and mean class accuracy on the
        test set.
    layer
        The layer whose input is the embedding, as in `labelcut.score`.
    batch
        Rows that are scored at a time.
    """

    make_model: Callable[[int], nn.Module]
    train: Callable[..., nn.Module]
    measure: Callable[[nn.Module, Pool], Mapping[str, float]] | None = None
    layer: str | None = None
    batch: int = 256

    def predict(
        self, model: nn.Module, inputs: Any, *, embeddings: bool = True
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """Return class probabilities ``(n, C)`` and embeddings ``(n, d)``, or None for these."""
        from ...models.scoring import score

        outputs = ("probs", "embeddings") if embeddings else ("probs",)
        layer = self.layer if embeddings else None
        found = score(model, batches(inputs, self.batch), outputs=outputs, layer=layer)
        assert found.probs is not None
        return found.probs, found.embeddings


def batches(inputs: Any, size: int) -> Iterator[Any]:
    """Yield the rows of inputs in order, so many at a time, as tensors."""
    import torch

    for start in range(0, len(inputs), size):
        rows = np.arange(start, min(start + size, len(inputs)))
        part = inputs[rows]
        yield torch.as_tensor(part) if isinstance(part, np.ndarray) else part
