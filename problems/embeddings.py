"""Embeddings as spaces: plain ones, and outer products that are never expanded."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace, device

from .arrays import Matrix, as_matrix, dtype_name, freeze
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
CHUNK = 1 << 20
"""Values that are brought into float64 at once: 8 MB."""


class InnerProducts(Space):
    """A space whose distance is a function of squared Euclidean distance.

    Subclasses fill `metric`, `norms` (squared, float64, of the points as `rough` sees them) and
    `dimension`, and give `_products`.
    """

    metric: str
    norms: Floats
    dimension: int
    dtype: type

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
    def _products(self, start: int, stop: int, sites: Sites) -> Any:
        """Return inner products ``(stop - start, m)`` of points in the working precision."""

    def rough(self, start: int, stop: int, sites: Sites) -> npt.NDArray[Any]:
        """Return rough squared distances; see `Space.rough`."""
        products = self._products(start, stop, sites)
        products *= -2.0
        products += _beside(self.norms[start:stop, None], products, products.dtype)
        products += _beside(sites.norms[None], products, products.dtype)
        return products  # type: ignore[no-any-return]

    def rough_error(self, start: int, stop: int, sites: Sites) -> Floats:
        """Return the rounding error of a product of this length, by its norms."""
        unit = float(np.finfo(self.dtype).eps)
        most = float(sites.norms.max(initial=0.0))
        return np.asarray((self.dimension + 16) * unit * (self.norms[start:stop] + most))

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
    argument
        What messages call the values.

    Raises
    ------
    InvalidInput
        Values that are not finite, a zero vector under cosine, an unknown metric.
    """

    def __init__(
        self, values: Any, metric: str = "euclidean", *, argument: str = "embeddings"
    ) -> None:
        require_metric(metric)
        self.metric, self.argument = metric, argument
        self.matrix: Matrix = as_matrix(values, argument)
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
        self.offset: Floats | None = None
        if offset > 0.2 * float(squares.mean()):
            # The same numbers in float32 and float64, or both would take off different offsets.
            fits = float(np.abs(self.mean).max()) < SAFE_IN_FLOAT32[1]
            rounded = self.mean.astype(np.float32 if fits else np.float64)
            self.offset = freeze(rounded.astype(np.float64))
        if self.offset is not None:
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
                    f"{self.argument}: row {first + wrong[0]} is too long to be measured in "
                    "float64; scale them down"
                )
            hint = (
                "float16 overflowed: embed in float32, or scale down"
                if dtype_name(self.matrix.parts[0]) == "float16" and np.isinf(bad[0])
                else "embed the row again or leave it out of the dataset"
            )
            raise InvalidInput(
                f"{self.argument}: row {first + wrong[0]} holds {bad[0]}; all numbers must be "
                f"finite; {hint}"
            )
        zero = np.flatnonzero(squares == 0.0)
        if len(zero) and self.metric == "cosine":
            raise InvalidInput(
                f"{self.argument}: row {first + zero[0]} is all zeros, which has no direction; "
                "take metric='euclidean' or leave the row out"
            )

    def _placed(self, values: Floats, rows: Any) -> Floats:
        """Return given values as points that products are taken of: scaled, then moved."""
        if self.scale is not None:
            values = values * self.scale[rows][:, None]
        return values if self.offset is None else values - self.offset

    def sites(self, rows: Ints) -> Sites:
        """Prepare points for `rough`."""
        values: Any = self._placed(self.matrix.take(rows), rows).astype(self.dtype)
        return Sites(rows, values, self.norms[rows])

    def _products(self, start: int, stop: int, sites: Sites) -> Any:
        block = self.matrix.stored(start, stop)
        xp = array_namespace(block)
        working = _working(self.dtype, block)
        # What float32 cannot hold must not be rounded before the offset is off.
        narrow = dtype_name(block) in ("float32", "float16", "bfloat16")
        placing = working if narrow or self.offset is None else xp.float64
        if block.dtype != placing:
            block = xp.astype(block, placing)
        if self.scale is not None:
            block = block * _beside(self.scale[start:stop, None], block, placing)
        if self.offset is not None:
            block = block - _beside(self.offset, block, placing)
        if block.dtype != working:
            block = xp.astype(block, working)
        return block @ _beside(sites.values, block, working).T

    def rough_error(self, start: int, stop: int, sites: Sites) -> Floats:
        """Return the rounding error of products, and of points that are scaled before they move."""
        error = super().rough_error(start, stop, sites)
        if self.scale is None or self.offset is None:
            return error
        longest = float(np.sqrt(sites.norms.max(initial=0.0)))
        return error + 4.0 * float(np.finfo(self.dtype).eps) * longest

    def points(self, rows: Ints) -> Floats:
        """Return points ``(k, d)`` in float64, of length 1 under cosine."""
        values = self.matrix.take(rows)
        return values if self.scale is None else values * self.scale[rows][:, None]

    def facts(self) -> Mapping[str, Any]:
        """Return the metric and d."""
        return {"metric": self.metric, "dimension": self.dimension}

    def start(self) -> int:
        """Return the row nearest to the mean, the lowest on ties."""
        best, found = np.inf, 0
        for first, chunk in self.matrix.chunks():
            rows = slice(first, first + len(chunk))
            scaled = chunk if self.scale is None else chunk * self.scale[rows][:, None]
            away = scaled - self.mean
            squared = np.einsum("ij,ij->i", away, away)
            at = int(squared.argmin())
            if squared[at] < best:
                best, found = float(squared[at]), first + at
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
            # One call for all pairs of one point: there are often few, the centers.
            order = np.argsort(others[at : at + step], kind="stable")
            points = self.points(rows[at : at + step][order])
            distinct, starts = np.unique(others[at : at + step][order], return_index=True)
            to, stops = self.points(distinct), [*starts[1:], len(order)]
            for k, (low, high) in enumerate(zip(starts, stops, strict=True)):
                found[at + order[low:high]] = cdist(points[low:high], to[k : k + 1], name)[:, 0]
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
        if metric == "cosine":
            zero = np.flatnonzero(squares == 0.0)
            if len(zero):
                raise InvalidInput(
                    f"left, right: row {zero[0]} of their product is all zeros, which has no "
                    "direction; take metric='euclidean' or leave the row out"
                )
            self.scale = freeze(1.0 / np.sqrt(squares))
            lefts, squares = 1.0 / rights, np.ones(self.size)
        self.norms = freeze(squares)
        low, high = SAFE_IN_FLOAT32
        longest = [float(np.sqrt(each.max())) for each in (lefts, rights, squares)]
        fits = all(low < length < high for length in longest)
        self.dtype = np.float32 if fits else np.float64

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

    def _products(self, start: int, stop: int, sites: Sites) -> Any:
        product = None
        for part, values in zip((self.left, self.right), sites.values, strict=True):
            block = part.matrix.stored(start, stop)
            xp = array_namespace(block)
            dtype = _working(self.dtype, block)
            block = block if block.dtype == dtype else xp.astype(block, dtype)
            if self.scale is not None and part is self.left:
                block = block * _beside(self.scale[start:stop, None], block, dtype)
            inner = block @ _beside(values, block, dtype).T
            product = inner if product is None else product * inner
        return product

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


def require_metric(metric: Any) -> None:
    """Raise `InvalidInput` unless a metric is known."""
    if metric not in METRICS:
        raise InvalidInput(f"metric: must be one of {', '.join(METRICS)}; got {metric!r}")


def _beside(values: Floats, block: Any, dtype: Any) -> Any:
    """Return values in a type on a block's device; a copy, since torch takes no read-only array."""
    return array_namespace(block).asarray(np.array(values), dtype=dtype, device=device(block))


def _working(dtype: type, block: Any) -> Any:
    """Return the type to take products in, where a block is.

    Torch can be told to take TF32 or bfloat16 for float32 products, which errs more than
    `rough_error` says; of float64 it takes none.
    """
    xp = array_namespace(block)
    asked = getattr(xp, "get_float32_matmul_precision", None)
    try:
        whole = asked is None or (
            asked() == "highest" and not xp.is_autocast_enabled(block.device.type)
        )
    except RuntimeError:  # set by its newer names, which this one cannot tell
        whole = False
    return getattr(xp, dtype.__name__) if whole else xp.float64
