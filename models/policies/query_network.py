"""The query network of RALIS: what it is worth to label a region, given how well things stand."""

import torch
from torch import Tensor, nn

from .ralis_features import RalisFeatures

_NARROW = 8
# What hardly varies over a batch is constant: with a smaller one, values of states that stay alike
# change without end as running means lag behind, and targets made of them with it.
_EPS = 1e-2


class QueryNetwork(nn.Module):
    r"""Q-values of regions.

    .. math:: Q(s, a) = \bigl(w^\top [f(s) \oplus g(a)] + b\bigr) \cdot
              \sigma\bigl(v^\top d(a) + c\bigr)

    f is 4 and g is 3 layers of batch norm, ReLU and a linear map; d are the divergences of the
    action, which only the gate sees. The first two layers of f look at one region of the state
    each, with common weights; what they say of all of them, side by side, goes through the other
    two. Without divergences there is no gate.

    Parameters
    ----------
    features
        Which features states and actions have.
    regions
        Number of regions S of a state.
    hidden
        Width of the hidden layers.

    References
    ----------
    Reinforced Active Learning for Image Segmentation, appendix B. Widths, and where the regions of
    a state come together, are not stated there. Batch norm begins with a shift of 1 at the input,
    as ReLU would hide whatever lies below the mean otherwise, and adds 0.01 to variances.

    Examples
    --------
    >>> network = QueryNetwork(RalisFeatures(classes=3, cells=2), regions=4).eval()
    >>> network(torch.rand(2, 4, 15), torch.rand(2, 7, 35)).shape
    torch.Size([2, 7])
    """

    def __init__(self, features: RalisFeatures, regions: int, hidden: int = 64) -> None:
        super().__init__()
        self.width = features.width
        self.region_layers = nn.Sequential(
            _layer(features.width, hidden, shift=1.0), _layer(hidden, _NARROW)
        )
        self.state_layers = nn.Sequential(_layer(regions * _NARROW, hidden), _layer(hidden, hidden))
        self.action_layers = nn.Sequential(
            _layer(features.width, hidden, shift=1.0),
            _layer(hidden, hidden),
            _layer(hidden, hidden),
        )
        self.score = nn.Linear(2 * hidden, 1)
        self.gate = nn.Linear(2 * features.bins, 1) if features.bins else None

    def forward(self, states: Tensor, actions: Tensor) -> Tensor:
        """Return Q ``(B, A)`` of actions ``(B, A, F)``, each in its state ``(B, S, width)``."""
        batch, number = actions.shape[:2]
        regions: Tensor = self.region_layers(states.flatten(0, 1))
        state: Tensor = self.state_layers(regions.reshape(batch, -1))
        action: Tensor = self.action_layers(actions[..., : self.width].flatten(0, 1))
        both = [state.repeat_interleave(number, 0), action]
        values: Tensor = self.score(torch.cat(both, dim=1)).view(batch, number)
        if self.gate is None:
            return values
        return values * torch.sigmoid(self.gate(actions[..., self.width :])).squeeze(-1)


def _layer(come: int, leave: int, shift: float = 0.0) -> nn.Sequential:
    norm = nn.BatchNorm1d(come, eps=_EPS)
    nn.init.constant_(norm.bias, shift)
    return nn.Sequential(norm, nn.ReLU(), nn.Linear(come, leave))
