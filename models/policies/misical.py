"""MiSiCAL: a network that values patches by whether they hold one class, from fixed features."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from .saving import Policy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..region_scoring import Regions

KIND = "misical"
_FAR = 10.0


def feature_names(classes: int) -> list[str]:
    """Return what the features of `patch_features` are called, for so many classes."""
    return ["bald max", "bald min", "bald mean", *(f"class {c} predicted" for c in range(classes))]


def patch_features(regions: "Regions") -> "NDArray[np.float32]":
    r"""Compute what the network sees of each patch.

    .. math:: F = [\max B, \min B, \mathrm{mean} B] \oplus
              [\text{is class } c \text{ predicted anywhere?}]_{c=1}^{C}

    Parameters
    ----------
    regions
        What `score_regions` says with ``maps=["bald"]`` (``passes=15`` in the paper).

    Returns
    -------
    NDArray
        F ``(N, 3 + C)`` float32, BALD in nats.

    Raises
    ------
    ValueError
        If there is no BALD.

    References
    ----------
    Mining of Single-Class by Active Learning, eq. 15 to 17.
    """
    if regions.bald is None:
        raise ValueError('regions: must have BALD; pass maps=["bald"] to score_regions')
    bald = np.stack([regions.bald.max, regions.bald.min, regions.bald.mean], axis=1)
    return np.concatenate([bald, regions.presence], axis=1).astype(np.float32)


class ValueNetwork(nn.Module):
    """Values of candidates from their features: centred, scaled, and linear layers with ReLU.

    What lies beyond ten standard deviations counts as ten: a class that is hardly ever predicted
    would be an input so large that it decides alone, by weights that nothing has trained.

    Parameters
    ----------
    features
        Number of features F.
    hidden
        Units of each hidden layer.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, features: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        sizes = (features, *hidden)
        layers: list[nn.Module] = []
        for come, leave in pairwise(sizes):
            layers += [nn.Linear(come, leave), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))

    def fit_scale(self, features: Tensor) -> None:
        """Take centre and scale from features ``(n, F)``; constant ones keep the scale 1."""
        self.center.copy_(features.mean(0))
        spread = features.std(0, correction=0)
        self.scale.copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))

    def forward(self, features: Tensor) -> Tensor:
        """Return values ``(...)`` of features ``(..., F)``."""
        values: Tensor = self.layers(((features - self.center) / self.scale).clamp(-_FAR, _FAR))
        return values.squeeze(-1)


def network_values(network: nn.Module, features: "NDArray[Any]") -> "NDArray[np.float64]":
    """Return a network's value of each candidate ``(n,)``, from features ``(n, F)``.

    Raises
    ------
    ValueError
        If a value is NaN or infinite.
    """
    device = next(network.parameters()).device
    x = torch.from_numpy(np.array(features, dtype=np.float32)).to(device)
    with torch.inference_mode():
        values: NDArray[np.float64] = network(x).double().cpu().numpy()
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(
            f"values: must be finite; candidate {row} has {values[row]}; lower the learning rate, "
            "and look at the features"
        )
    return values


def policy_values(policy: Policy, features: "NDArray[Any]", classes: int) -> "NDArray[np.float64]":
    """Return a saved policy's value Q of each candidate ``(n,)``.

    Raises
    ------
    ValueError
        If the policy was trained for other features or classes, or a value is not finite.
    """
    policy.require(KIND, feature_names(classes), classes)
    network = ValueNetwork(len(policy.features), tuple(policy.settings["hidden"]))
    network.load_state_dict(dict(policy.weights))
    return network_values(network, features)
