"""Spaces whose distances come from inner products of points."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace

from .arrays import like, to_numpy
from .spaces import Sites, Space

if TYPE_CHECKING:
    import numpy.typing as npt

    from .arrays import Floats, Ints, Rows

SHARES = {"euclidean": 0.5, "squared-euclidean": 0.25, "cosine": 0.25}


class InnerProducts(Space):
    """A space whose distance is a function of squared Euclidean distance.

    Subclasses fill `metric`, `norms` (squared, float64, of the points as `rough` sees them),
    `dimension` and `dtype`, and give the inner products.
    """

    metric: str
    norms: Floats
    dimension: int
    dtype: type
    moved_from: float = 0.0
    """Length at which points were rounded before they were moved nearer to the origin."""

    @property
    def name(self) -> str:  # type: ignore[override]
        """What users call the distance."""
        return self.metric

    @property
    def witness_share(self) -> float:  # type: ignore[override]
        """½ for a metric, ¼ for its square."""
        return SHARES[self.metric]

    @property
    def in_files(self) -> bool:
        """Arrays and a metric: yes."""
        return True

    @abstractmethod
    def _products(self, rows: Rows, sites: Sites) -> Any:
        """Return inner products ``(k, m)`` of points in the working precision."""

    @abstractmethod
    def _inner_pairs(self, rows: Rows, sites: Sites, which: Ints) -> Any:
        """Return inner products ``(k,)`` of each row and one site each."""

    @abstractmethod
    def _inner_products(self, points: Any, sites: Any) -> npt.NDArray[Any]:
        """Return inner products ``(k, m)`` of two sets of prepared points."""

    def rough(self, rows: Rows, sites: Sites) -> npt.NDArray[Any]:
        """Return rough squared distances; see `Space.rough`."""
        products = self._products(rows, sites)
        products *= -2.0
        products += like(self.norms[rows][:, None], products)
        products += like(sites.norms[None], products)
        return products  # type: ignore[no-any-return]

    def rough_error(self, rows: Rows, sites: Sites) -> Floats:
        """Return the rounding error of a product of this length, by its norms."""
        return self._error(self.norms[rows], sites)

    def _error(self, norms: Floats, sites: Sites) -> Floats:
        unit = float(np.finfo(self.dtype).eps)
        most = float(sites.norms.max(initial=0.0))
        before = 4.0 * self.moved_from * float(np.sqrt(most))
        return np.asarray(unit * ((self.dimension + 16) * (norms + most) + before))

    def apart(self, points: Sites, sites: Sites) -> npt.NDArray[Any]:
        """Return rough squared distances; see `Space.apart`."""
        products = self._inner_products(points.values, sites.values)
        products *= -2.0
        products += points.norms.astype(products.dtype)[:, None]
        products += sites.norms.astype(products.dtype)
        return products

    def apart_error(self, points: Sites, sites: Sites) -> Floats:
        """Return the rounding error of a product of this length, by its norms."""
        return self._error(points.norms, sites)

    def closest(self, rows: Rows, sites: Sites) -> tuple[Ints, Floats]:
        """Return each row's nearest site and its rough distance; see `Space.closest`."""
        products = self._products(rows, sites)
        xp = array_namespace(products)
        # What is the same for all sites is added to the nearest one alone.
        products -= like(0.5 * sites.norms, products)
        at = xp.argmax(products, axis=1)
        most = xp.take_along_axis(products, at[:, None], axis=1)[:, 0]
        return to_numpy(at), self.norms[rows] - 2.0 * to_numpy(most).astype(np.float64)

    def rough_pairs(self, rows: Rows, sites: Sites, which: Ints) -> Floats:
        """Return rough squared distances to one site each; see `Space.rough_pairs`."""
        inner = to_numpy(self._inner_pairs(rows, sites, which)).astype(np.float64)
        return np.asarray(self.norms[rows] + sites.norms[which] - 2.0 * inner)

    def witness_radius(self, distance: float) -> float:
        """Return its share, and some off for the roundings of a sum of this length."""
        unit = float(np.finfo(np.float64).eps)
        return self.witness_share * distance * (1.0 - 1e-12 - 4.0 * self.dimension * unit)

    def to_rough(self, distances: Floats) -> Floats:
        """Return squared Euclidean distances."""
        if self.metric == "euclidean":
            return np.square(distances)
        return 2.0 * distances if self.metric == "cosine" else np.asarray(distances, np.float64)

    def from_rough(self, rough: Floats) -> Floats:
        """Return distances from squared Euclidean ones."""
        squared = np.maximum(np.asarray(rough, dtype=np.float64), 0.0)
        if self.metric == "euclidean":
            return np.sqrt(squared)
        return squared / 2.0 if self.metric == "cosine" else squared
