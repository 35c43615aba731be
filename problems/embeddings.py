"""Embeddings as spaces: plain ones, and outer products that are never expanded."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace

from .arrays import Matrix, as_matrix, dtype_name, freeze, like, to_numpy
from .errors import InvalidInput
from .fingerprint import ArrayHash
from .spaces import Sites, Space

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from .arrays import Floats, Ints

METRICS = ("euclidean", "squared-euclidean", "cosine")
SHARES = {"euclidean": 0.5, "squared-euclidean": 0.25, "cosine": 0.25}
SAFE_IN_FLOAT32 = (1e-12, 1e12)
"""Largest norms within which float32 neither overflows nor vanishes in products."""
FEW = 16
"""Up to this dimension all work is in float64."""
CHUNK = 1 << 17
"""Values that are brought into float64 at once: 1 MB."""
NARROW = ("float16", "bfloat16", "float32")
"""Types whose values float32 holds exactly."""
ONE_THREAD = 1 << 18
"""Values up to which OpenBLAS multiplies a matrix and a vector without waking threads."""


class InnerProducts(Space):
    """A space whose distance is a function of squared Euclidean distance.

    Subclasses fill `metric`, `norms` (squared, float64, of the points as `rough` sees them) and
    `dimension`, and give `_products`.
    """

    metric: str
    norms: Floats
    dimension: int
    dtype: type
    scaled_away: float = 0.0
    """How far points were moved after scaling them, which had rounded them at that length."""

    @property
    def name(self) -> str:  # type: ignore[override]
        """What users call the distance."""
        return self.metric

    @property
    def witness_share(self) -> float:  # type: ignore[override]
        """½ for a metric, ¼ for its square."""
        return SHARES[self.metric]

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

    def closest(self, start: int, stop: int, sites: Sites) -> tuple[Ints, Floats]:
        """Return each row's nearest site and its rough distance; see `Space.closest`."""
        products = self._products(start, stop, sites)
        xp = array_namespace(products)
        # What is the same for all sites is added to the nearest one alone.
        products -= like(0.5 * sites.norms, products)
        at = xp.argmax(products, axis=1)
        most = xp.take_along_axis(products, at[:, None], axis=1)[:, 0]
        return to_numpy(at), self.norms[start:stop] - 2.0 * to_numpy(most).astype(np.float64)

    def rough_pairs(self, start: int, stop: int, sites: Sites, which: Ints) -> Floats:
        """Return rough squared distances to one site each; see `Space.rough_pairs`."""
        inner = to_numpy(self._inner_pairs(start, stop, sites, which)).astype(np.float64)
        return np.asarray(self.norms[start:stop] + sites.norms[which] - 2.0 * inner)

    @abstractmethod
    def _inner_pairs(self, start: int, stop: int, sites: Sites, which: Ints) -> Any:
        """Return inner products ``(stop - start,)`` of each row and one site each."""

    @abstractmethod
    def _inner_products(self, points: Any, sites: Any) -> npt.NDArray[Any]:
        """Return inner products ``(k, m)`` of two sets of prepared points."""

    def _error(self, norms: Floats, sites: Sites) -> Floats:
        unit = float(np.finfo(self.dtype).eps)
        most = float(sites.norms.max(initial=0.0))
        moved = self.scaled_away * float(np.sqrt(most))
        return np.asarray(unit * ((self.dimension + 16) * (norms + most) + 8.0 * moved))

    def witness_radius(self, distance: float) -> float:
        """Return its share, and some off for the roundings of a sum of this length."""
        unit = float(np.finfo(np.float64).eps)
        return self.witness_share * distance * (1.0 - 1e-12 - 4.0 * self.dimension * unit)

    @abstractmethod
    def _products(self, start: int, stop: int, sites: Sites) -> Any:
        """Return inner products ``(stop - start, m)`` of points in the working precision."""

    def rough(self, start: int, stop: int, sites: Sites) -> npt.NDArray[Any]:
        """Return rough squared distances; see `Space.rough`."""
        products = self._products(start, stop, sites)
        products *= -2.0
        products += like(self.norms[start:stop, None], products)
        products += like(sites.norms[None], products)
        return products  # type: ignore[no-any-return]

    def rough_error(self, start: int, stop: int, sites: Sites) -> Floats:
        """Return the rounding error of a product of this length, by its norms."""
        return self._error(self.norms[start:stop], sites)

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


class Embeddings(InnerProducts):
    r"""Points :math:`x_i \in R^d` in a matrix, kept as given.

    Euclidean :math:`\|x - y\|`, its square, or cosine :math:`1 - \cos(x, y)`, which is half the
    squared distance of the points scaled to length 1.

    Parameters
    ----------
    values
        ``(N, d)`` numbers: NumPy, memory-mapped, torch on any device, or shards.
    metric
        One of ``"euclidean"``, ``"squared-euclidean"``, ``"cosine"``.

    Raises
    ------
    InvalidInput
        Values that are not finite, a zero vector under cosine, an unknown metric.
    """

    def __init__(self, values: Any, metric: str = "euclidean") -> None:
        require_metric(metric)
        self.metric = metric
        self.matrix: Matrix = as_matrix(values, "embeddings")
        self.size, self.dimension = self.matrix.shape
        self.scale: Floats | None = None
        self._validate()

    def _validate(self) -> None:
        """Check, hash and measure all values; twice over if they are off centre."""
        running = ArrayHash("embeddings", self.matrix.shape)
        squares, total = np.empty(self.size), np.zeros(self.dimension)
        for first, chunk in self.matrix.chunks():
            running.update(chunk)
            with np.errstate(over="ignore", invalid="ignore"):
                lengths = np.einsum("ij,ij->i", chunk, chunk)
            self._refuse(chunk, lengths, first)
            squares[first : first + len(chunk)] = lengths
            if self.metric == "cosine":
                chunk = chunk / np.sqrt(lengths)[:, None]
            total += chunk.sum(axis=0)
        self._digest = running.digest()
        if self.metric == "cosine":
            self.scale = freeze(1.0 / np.sqrt(squares))
            squares = np.ones(self.size)
        self.mean = freeze(total / self.size)
        # A common offset ruins products in float32; a small one is not worth taking off.
        offset = float(self.mean @ self.mean)
        # Rounded, so that it is the same number in both precisions.
        rounded = self.mean.astype(np.float32).astype(np.float64)
        self.offset = rounded if offset > 0.2 * float(squares.mean()) else None
        if self.offset is not None:
            self.scaled_away = 0.0 if self.scale is None else float(np.sqrt(offset))
            for first, chunk in self.matrix.chunks():
                moved = self._placed(chunk, slice(first, first + len(chunk)))
                squares[first : first + len(chunk)] = np.einsum("ij,ij->i", moved, moved)
        self.norms = freeze(squares)
        low, high = SAFE_IN_FLOAT32
        # In few dimensions products are cheap, and points are near each other for their norms.
        fits = self.dimension > FEW and low < float(np.sqrt(squares.max())) < high
        self.dtype = np.float32 if fits else np.float64

    def _refuse(self, chunk: Floats, squares: Floats, first: int) -> None:
        wrong = np.flatnonzero(~np.isfinite(squares))
        if len(wrong):
            row = chunk[wrong[0]]
            bad = row[~np.isfinite(row)]
            if not len(bad):
                raise InvalidInput(
                    f"embeddings: row {first + wrong[0]} is too long to be measured in float64; "
                    "scale the embeddings down"
                )
            hint = (
                "float16 overflowed: embed in float32, or scale down"
                if dtype_name(self.matrix.parts[0]) == "float16" and np.isinf(bad[0])
                else "embed the row again or leave it out of the dataset"
            )
            raise InvalidInput(
                f"embeddings: row {first + wrong[0]} holds {bad[0]}; all numbers must be finite; "
                f"{hint}"
            )
        zero = np.flatnonzero(squares == 0.0)
        if len(zero) and self.metric == "cosine":
            raise InvalidInput(
                f"embeddings: row {first + zero[0]} is all zeros, which has no direction; "
                "take metric='euclidean' or leave the row out"
            )

    def _placed(self, values: Floats, rows: Any) -> Floats:
        """Return given values as points that products are taken of: scaled, then moved."""
        if self.scale is not None:
            values = values * self.scale[rows][:, None]
        return values if self.offset is None else values - self.offset

    def sites(self, rows: Ints) -> Sites:
        """Prepare points for `rough`."""
        values: Any = np.empty((len(rows), self.dimension), dtype=self.dtype)
        step = max(CHUNK // self.dimension, 1)
        for at in range(0, len(rows), step):
            some = rows[at : at + step]
            values[at : at + step] = self._placed(self.matrix.take(some), some)
        return Sites(rows, values, self.norms[rows])

    @property
    def width(self) -> int:  # type: ignore[override]
        """Columns."""
        return self.dimension

    def _inner_products(self, points: Any, sites: Any) -> npt.NDArray[Any]:
        return multiplied(points, sites)

    def _products(self, start: int, stop: int, sites: Sites) -> Any:
        block = self._block(start, stop)
        return block @ like(sites.values, block).T

    def _inner_pairs(self, start: int, stop: int, sites: Sites, which: Ints) -> Any:
        block = self._block(start, stop)
        return array_namespace(block).vecdot(block, like(sites.values[which], block))

    def _block(self, start: int, stop: int) -> Any:
        """Return points in the working precision, where they are stored."""
        block = self.matrix.stored(start, stop)
        xp = array_namespace(block)
        working = getattr(xp, self.dtype.__name__)
        # What float32 would round is moved before.
        wide = self.offset is not None and dtype_name(block) not in NARROW
        block = xp.astype(block, xp.float64 if wide else working, copy=False)
        if self.scale is not None:
            block = block * like(self.scale[start:stop, None], block)
        if self.offset is not None:
            block = block - like(self.offset, block)
        return xp.astype(block, working, copy=False)

    def points(self, rows: Ints) -> Floats:
        """Return points ``(k, d)`` in float64, of length 1 under cosine."""
        values = self.matrix.take(rows)
        return values if self.scale is None else values * self.scale[rows][:, None]

    def start(self) -> int:
        """Return the row nearest to the mean, the lowest on ties."""
        best, found = np.inf, 0
        step = max(CHUNK // self.dimension, 1)
        for start in range(0, self.size, step):
            rows = np.arange(start, min(start + step, self.size))
            away = self.points(rows) - self.mean
            squared = np.einsum("ij,ij->i", away, away)
            at = int(squared.argmin())
            if squared[at] < best:
                best, found = float(squared[at]), start + at
        return found

    @property
    def digest(self) -> bytes:
        """Hash of the values as given."""
        return self._digest

    def parameters(self) -> Mapping[str, Any]:
        """Return the metric."""
        return {"metric": self.metric}

    def arrays(self) -> Mapping[str, Any]:
        """Return the embeddings."""
        return {"embeddings": self.matrix}

    def between(self, rows: Ints, others: Ints) -> Floats:
        """Return the distances ``(k, m)``; see `Space.between`."""
        from scipy.spatial.distance import cdist

        table = np.empty((len(rows), len(others)))
        step = max(CHUNK // self.dimension, 1)
        name = "euclidean" if self.metric == "euclidean" else "sqeuclidean"
        for at in range(0, len(rows), step):
            some = self.points(rows[at : at + step])
            for to in range(0, len(others), step):
                block = table[at : at + step, to : to + step]
                block[...] = cdist(some, self.points(others[to : to + step]), name)
        if self.metric == "cosine":
            table /= 2.0
        return table

    def pairs(self, rows: Ints, others: Ints) -> Floats:
        """Return the distances ``(k,)`` of pairs; see `Space.pairs`."""
        from scipy.spatial.distance import cdist

        name = "euclidean" if self.metric == "euclidean" else "sqeuclidean"
        found = np.empty(len(rows))
        step = max(CHUNK // self.dimension, 1)
        for at in range(0, len(rows), step):
            ones, twos = self.points(rows[at : at + step]), self.points(others[at : at + step])
            for k, (one, two) in enumerate(zip(ones, twos, strict=True)):
                found[at + k] = cdist(one[None], two[None], name)[0, 0]
        return found / 2.0 if self.metric == "cosine" else found


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
        self.left, self.right = Embeddings(left), Embeddings(right)
        if self.left.size != self.right.size:
            raise InvalidInput(
                f"embeddings: both factors must have the same rows; got {self.left.size} and "
                f"{self.right.size}; pass them over one dataset"
            )
        self.size = self.left.size
        self.dimension = self.left.dimension + self.right.dimension
        squares = self._inner(np.arange(self.size), np.arange(self.size))
        self.scale: Floats | None = None
        if metric == "cosine":
            if (squares == 0.0).any():
                raise InvalidInput(
                    f"embeddings: row {int(np.flatnonzero(squares == 0.0)[0])} is all zeros, which "
                    "has no direction; take metric='euclidean' or leave the row out"
                )
            self.scale = freeze(1.0 / np.sqrt(squares))
            squares = np.ones(self.size)
        self.norms = freeze(squares)
        low, high = SAFE_IN_FLOAT32
        self.dtype = np.float32 if low < float(np.sqrt(squares.max())) < high else np.float64

    def _inner(self, rows: Ints, others: Ints) -> Floats:
        """Return inner products of pairs, as given, summed alike wherever they are asked for."""
        found = np.empty(len(rows))
        step = max(CHUNK // self.dimension, 1)
        for at in range(0, len(rows), step):
            some, to = rows[at : at + step], others[at : at + step]
            found[at : at + step] = np.einsum(
                "ij,ij->i", self.left.matrix.take(some), self.left.matrix.take(to)
            ) * np.einsum("ij,ij->i", self.right.matrix.take(some), self.right.matrix.take(to))
        return found

    def sites(self, rows: Ints) -> Sites:
        """Prepare points for `rough`."""
        left, right = self.left.matrix.take(rows), self.right.matrix.take(rows)
        if self.scale is not None:
            left = left * self.scale[rows][:, None]
        values: Any = left.astype(self.dtype), right.astype(self.dtype)
        return Sites(rows, values, self.norms[rows])

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

    def _products(self, start: int, stop: int, sites: Sites) -> Any:
        left, right = self._block(start, stop)
        products = left @ like(sites.values[0], left).T
        products *= right @ like(sites.values[1], right).T
        return products

    def _inner_pairs(self, start: int, stop: int, sites: Sites, which: Ints) -> Any:
        left, right = self._block(start, stop)
        xp = array_namespace(left)
        inner = xp.vecdot(left, like(sites.values[0][which], left))
        return inner * xp.vecdot(right, like(sites.values[1][which], right))

    def _block(self, start: int, stop: int) -> tuple[Any, Any]:
        """Return both factors in the working precision, where they are stored."""
        left, right = (part.matrix.stored(start, stop) for part in (self.left, self.right))
        xp = array_namespace(left)
        dtype = getattr(xp, self.dtype.__name__)
        left, right = xp.astype(left, dtype, copy=False), xp.astype(right, dtype, copy=False)
        if self.scale is not None:
            left = left * like(self.scale[start:stop, None], left)
        return left, right

    def pairs(self, rows: Ints, others: Ints) -> Floats:
        """Return the distances ``(k,)`` of pairs; see `Space.pairs`."""
        inner = self._inner(rows, others)
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

    def start(self) -> int:
        """Return the row nearest to the mean, the lowest on ties."""
        scale = np.ones(self.size) if self.scale is None else self.scale
        mean = np.zeros((self.left.dimension, self.right.dimension))
        step = max(CHUNK // self.dimension, 1)
        spans = [np.arange(at, min(at + step, self.size)) for at in range(0, self.size, step)]
        for rows in spans:
            left = self.left.matrix.take(rows) * scale[rows][:, None]
            mean += left.T @ self.right.matrix.take(rows) / self.size
        away = np.empty(self.size)
        for rows in spans:
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


def multiplied(points: npt.NDArray[Any], sites: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return inner products ``(k, m)``; of a single site on this thread.

    BLAS wakes threads for what takes microseconds, and waits for them for milliseconds where others
    use the cores.
    """
    if len(sites) > 1:
        return np.asarray(points @ sites.T)
    found = np.empty((len(points), len(sites)), dtype=points.dtype)
    step = max(ONE_THREAD // points.shape[1], 1)
    for at in range(0, len(points), step):
        np.matmul(points[at : at + step], sites.T, out=found[at : at + step])
    return found


def require_metric(metric: Any) -> None:
    """Raise `InvalidInput` unless a metric is known."""
    if metric not in METRICS:
        raise InvalidInput(f"metric: must be one of {', '.join(METRICS)}; got {metric!r}")
