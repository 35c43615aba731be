"""Outer products as a space: points that are never expanded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace, device

from .arrays import freeze, like, product_type, to_numpy
from .embeddings import (
    CHUNK,
    Embeddings,
    fits_float32,
    multiplied,
    require_metric,
)
from .errors import InvalidInput
from .inner_products import InnerProducts
from .spaces import Sites

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from .arrays import Floats, Ints, Rows


class Factored(InnerProducts):
    r"""Outer products :math:`a_i \otimes f_i`, never expanded: BADGE's gradient embeddings.

    .. math:: \langle x_i, x_j\rangle = \langle a_i, a_j\rangle \langle f_i, f_j\rangle

    With A and d columns the points have A·d numbers, and only A + d are kept.

    Parameters
    ----------
    left, right
        a ``(N, A)`` and f ``(N, d)``, arrays as `Embeddings` takes them.
    metric
        As in `Embeddings`.

    Raises
    ------
    InvalidInput
        Another number of rows in one than in the other, or what `Embeddings` refuses.

    Examples
    --------
    >>> space = Factored([[1.0], [2.0]], [[3.0, 0.0], [0.0, 1.0]])
    >>> space.between(np.array([0]), np.array([1])) ** 2
    array([[13.]])
    """

    def __init__(self, left: Any, right: Any, metric: str = "euclidean") -> None:
        require_metric(metric)
        self.metric = metric
        self.left = Embeddings(left, argument="left")
        self.right = Embeddings(right, argument="right")
        if self.left.size != self.right.size:
            raise InvalidInput(
                f"left, right: must have the same rows; got {self.left.size} and "
                f"{self.right.size}; pass them over one dataset"
            )
        self.size = self.left.size
        self.dimension = self.left.dimension + self.right.dimension
        lefts, rights = self._inner_each(np.arange(self.size), np.arange(self.size))
        with np.errstate(over="ignore"):
            squares = lefts * rights
        wrong = np.flatnonzero(~np.isfinite(squares))
        if len(wrong):
            raise InvalidInput(
                f"left, right: row {wrong[0]} of their product is too long to be measured in "
                "float64; scale them down"
            )
        self.scale: Floats | None = None
        held = []
        if metric == "cosine":
            zero = np.flatnonzero(squares == 0.0)
            if len(zero):
                raise InvalidInput(
                    f"left, right: row {zero[0]} of their product is all zeros, which has no "
                    "direction; take metric='euclidean' or leave the row out"
                )
            self.scale = freeze(1.0 / np.sqrt(squares))
            held = [lefts.min(), lefts.max()]
            lefts, squares = 1.0 / rights, np.ones(self.size)
        self.norms = freeze(squares)
        held += [lefts.max(), rights.max(), squares.max()]
        self.dtype = np.float32 if all(map(fits_float32, held)) else np.float64

    def _inner_each(self, rows: Ints, others: Ints) -> tuple[Floats, Floats]:
        """Return both factors' inner products of pairs, the same bits wherever asked for."""
        found = np.empty((2, len(rows)))
        step = max(CHUNK // self.dimension, 1)
        for at in range(0, len(rows), step):
            some, to = rows[at : at + step], others[at : at + step]
            for k, part in enumerate((self.left.matrix, self.right.matrix)):
                found[k, at : at + step] = np.einsum("ij,ij->i", part.take(some), part.take(to))
        return found[0], found[1]

    def sites(self, rows: Ints) -> Sites:
        """Prepare points for `rough`."""
        left, right = self.left.matrix.take(rows), self.right.matrix.take(rows)
        if self.scale is not None:
            left = left * self.scale[rows][:, None]
        values: Any = left.astype(self.dtype), right.astype(self.dtype)
        return Sites(rows, values, self.norms[rows])

    @property
    def in_threads(self) -> bool:
        """Where both factors are NumPy's."""
        return self.left.in_threads and self.right.in_threads

    @property
    def width(self) -> int:  # type: ignore[override]
        """The columns of both factors."""
        return self.dimension

    def _inner_products(self, points: Any, sites: Any) -> npt.NDArray[Any]:
        (left, right), (other_left, other_right) = points, sites
        products = multiplied(left, other_left)
        products *= multiplied(right, other_right)
        return products

    def witness_radius(self, distance: float) -> float:
        """Return what rounding leaves of ¼ of the squared distance, which is a difference here."""
        unit = (self.dimension + 16) * float(np.finfo(np.float64).eps)
        squared = self.to_rough(np.array([distance])) / 4.0
        return float(self.from_rough(squared - 4.0 * unit * float(self.norms.max()))[0])

    def _products(self, rows: Rows, sites: Sites) -> Any:
        left, right = self._block(rows)
        products = left @ like(sites.values[0], left).T
        products *= right @ like(sites.values[1], right).T
        return products

    def _inner_pairs(self, rows: Rows, sites: Sites, which: Ints) -> Any:
        left, right = self._block(rows)
        xp = array_namespace(left)
        inner = xp.vecdot(left, like(sites.values[0][which], left))
        return inner * xp.vecdot(right, like(sites.values[1][which], right))

    def _block(self, rows: Rows) -> tuple[Any, Any]:
        """Return both factors in the working precision, where they are stored."""
        left, right = (part.matrix.stored(rows) for part in (self.left, self.right))
        xp, dtype = array_namespace(left), product_type(left, self.dtype)
        left = xp.astype(left, dtype, copy=False)
        if array_namespace(right) is xp and device(right) == device(left):
            right = xp.astype(right, dtype, copy=False)
        else:
            right = like(to_numpy(right), left)
        if self.scale is not None:
            left = left * like(self.scale[rows][:, None], left)
        return left, right

    def pairs(self, rows: Ints, others: Ints) -> Floats:
        """Return the distances ``(k,)`` of pairs; see `Space.pairs`."""
        lefts, rights = self._inner_each(rows, others)
        inner = lefts * rights
        if self.scale is not None:
            inner *= self.scale[rows] * self.scale[others]
        squared = self.norms[rows] + self.norms[others] - 2.0 * inner
        squared[rows == others] = 0.0
        return self.from_rough(squared)

    def between(self, rows: Ints, others: Ints) -> Floats:
        """Return the distances ``(k, m)``; see `Space.between`."""
        table = np.empty((len(rows), len(others)))
        for at, row in enumerate(rows):
            table[at] = self.pairs(np.full(len(others), row), others)
        return table

    def facts(self) -> Mapping[str, Any]:
        """Return the metric, A·d, and A and d."""
        factors = [self.left.dimension, self.right.dimension]
        return {
            "metric": self.metric,
            "dimension": factors[0] * factors[1],
            "factors": factors,
        }

    def start(self, tick: Callable[[], None] | None = None) -> int:
        """Return the row nearest to the mean, the lowest on ties."""
        scale = np.ones(self.size) if self.scale is None else self.scale
        mean = np.zeros((self.left.dimension, self.right.dimension))
        step = max(CHUNK // self.dimension, 1)
        spans = [np.arange(at, min(at + step, self.size)) for at in range(0, self.size, step)]
        for rows in spans:
            if tick is not None:
                tick()
            left = self.left.matrix.take(rows) * scale[rows][:, None]
            mean += left.T @ self.right.matrix.take(rows) / self.size
        away = np.empty(self.size)
        for rows in spans:
            if tick is not None:
                tick()
            left = self.left.matrix.take(rows) * scale[rows][:, None]
            inner = np.einsum("ij,ij->i", left @ mean, self.right.matrix.take(rows))
            away[rows] = self.norms[rows] - 2.0 * inner
        return int(away.argmin())

    @property
    def digest(self) -> bytes:
        """Hash of both factors as given."""
        return b"factored" + self.left.digest + self.right.digest

    def parameters(self) -> Mapping[str, Any]:
        """Return the metric."""
        return {"metric": self.metric}

    def arrays(self) -> Mapping[str, Any]:
        """Return both factors."""
        return {"left": self.left.matrix, "right": self.right.matrix}
