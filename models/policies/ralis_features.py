"""What RALIS sees: how each region is predicted, and how it differs from what is labeled."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..histograms import divergence_histograms

if TYPE_CHECKING:
    from numpy.typing import NDArray

_POOLED = ("min", "mean", "max")


@dataclass(frozen=True, eq=False)
class RegionMaps:
    """What a segmentation network says about R regions.

    Attributes
    ----------
    histogram
        Share of each predicted class ``(R, C)``.
    cells
        ``(R, 3·g·g)`` minima, means and maxima of the entropy in g × g cells, as `MapStats.cells`.
    entropy
        Entropy added up over the pixels ``(R,)``.
    bald
        BALD added up over the pixels ``(R,)``, or None.
    """

    histogram: "NDArray[Any]"
    cells: "NDArray[Any]"
    entropy: "NDArray[Any]"
    bald: "NDArray[Any] | None" = None


@dataclass(frozen=True)
class RalisFeatures:
    r"""Which features states and actions are made of.

    A region of the state is [share of each predicted class ⊕ entropy pooled to g × g cells]. An
    action is the same for its region ⊕ [how its divergences to the labeled regions are distributed
    ⊕ those to the unlabeled ones], see `divergence_histograms`.

    Parameters
    ----------
    classes
        Number of classes C.
    cells
        The g of the grid to which the map of entropies is pooled.
    pooled
        Which poolings: some of ``min``, ``mean``, ``max``. The paper's ablation "1H" has ``max``
        alone.
    bins
        Bins of each histogram of divergences; 0 leaves them out (ablation "3H").

    References
    ----------
    Reinforced Active Learning for Image Segmentation, section 3.1, appendices A and E.1. Grid and
    bins are not stated there.

    Examples
    --------
    >>> features = RalisFeatures(classes=2, cells=1, bins=2)
    >>> features.names  # doctest: +NORMALIZE_WHITESPACE
    ('class 0', 'class 1', 'min entropy 0', 'mean entropy 0', 'max entropy 0',
     'labeled divergence 0', 'labeled divergence 1',
     'unlabeled divergence 0', 'unlabeled divergence 1')
    """

    classes: int
    cells: int = 5
    pooled: tuple[str, ...] = _POOLED
    bins: int = 10

    def __post_init__(self) -> None:
        """Raise a ValueError if there are no such features."""
        if self.classes < 2 or self.cells < 1 or self.bins < 0:
            raise ValueError(
                "classes, cells, bins: must be at least 2, 1 and 0; "
                f"{self.classes}, {self.cells} and {self.bins} came"
            )
        if not self.pooled or not set(self.pooled) <= set(_POOLED):
            raise ValueError(f"pooled: must be some of {', '.join(_POOLED)}; {self.pooled} came")

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each feature of an action; those of a state come first."""
        entropies = [f"{name} entropy" for name in _POOLED if name in self.pooled]
        return (
            *(f"class {c}" for c in range(self.classes)),
            *(f"{name} {cell}" for name in entropies for cell in range(self.cells**2)),
            *(f"{to} divergence {b}" for to in ("labeled", "unlabeled") for b in range(self.bins)),
        )

    @property
    def width(self) -> int:
        """Features of a region of the state."""
        return self.classes + len(self.pooled) * self.cells**2

    @property
    def action_width(self) -> int:
        """Features of an action."""
        return self.width + 2 * self.bins

    def state(self, maps: RegionMaps) -> "NDArray[np.float32]":
        """Return the features ``(R, width)`` of the regions that make a state."""
        g = self.cells**2
        if maps.histogram.shape[1] != self.classes or maps.cells.shape[1] != 3 * g:
            raise ValueError(
                f"maps: must have {self.classes} classes and 3 x {g} cells; "
                f"{maps.histogram.shape[1]} and {maps.cells.shape[1]} came; score the regions with "
                f"cells={self.cells} and the classes the features are for"
            )
        kept = [at for at, name in enumerate(_POOLED) if name in self.pooled]
        parts = [maps.histogram, *(maps.cells[:, at * g : (at + 1) * g] for at in kept)]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def actions(
        self, maps: RegionMaps, labeled: "NDArray[Any]", unlabeled: "NDArray[Any]"
    ) -> "NDArray[np.float32]":
        """Return the features of asking for regions.

        Parameters
        ----------
        maps
            Of the R regions.
        labeled
            Share of each true class in the labeled regions ``(L, C)``; rows without a class (all
            zeros) are left out. Where none is left, all bins are 0.
        unlabeled
            Share of each predicted class in unlabeled regions ``(U, C)``.

        Returns
        -------
        NDArray
            ``(R, action_width)`` float32.
        """
        own = self.state(maps)
        if not self.bins:
            return own
        parts = [self._divergences(maps, others) for others in (labeled, unlabeled)]
        return np.concatenate([own, *parts], axis=1)

    def _divergences(self, maps: RegionMaps, others: "NDArray[Any]") -> "NDArray[np.float32]":
        there = others[others.sum(axis=1) > 0]
        if not len(there):
            return np.zeros((len(maps.histogram), self.bins), dtype=np.float32)
        return divergence_histograms(maps.histogram, there, bins=self.bins)
