"""Embeddings as spaces: points in a matrix of any backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace

from .arrays import Matrix, as_matrix, as_slice, dtype_name, freeze, like, product_type, to_numpy
from .errors import InvalidInput
from .fingerprint import ArrayHash
from .inner_products import InnerProducts
from .spaces import Sites

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from .arrays import Floats, Ints, Rows
    from .spaces import Guess

METRICS = ("euclidean", "squared-euclidean", "cosine")
SAFE_IN_FLOAT32 = (1e-12, 1e12)
"""Largest norms within which float32 neither overflows nor vanishes in products."""
FEW = 16
"""Up to this dimension all work is in float64."""
NARROW = ("float16", "bfloat16", "float32")
"""Types whose values float32 holds exactly."""
LEADING = 32
"""Directions along which near sites are guessed."""
CHUNK = 1 << 17
"""Values that are brought into float64 at once: 1 MB."""
ONE_THREAD = 1 << 18
"""Values up to which OpenBLAS multiplies a matrix and a vector without waking threads."""


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
        self.is_narrow = all(dtype_name(part) in NARROW for part in self.matrix.parts)
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
        held = []
        if self.metric == "cosine":
            held = [squares.min(), squares.max()]
            self.scale = freeze(1.0 / np.sqrt(squares))
            squares = np.ones(self.size)
        self.mean = freeze(total / self.size)
        # A common offset ruins products in float32; a small one is not worth taking off.
        far = float(self.mean @ self.mean) > 0.2 * float(squares.mean())
        self.offset = _in_both_precisions(self.mean) if far else None
        if self.offset is not None:
            self.moved_from = 0.0 if self.scale is None else 1.0
            for first, chunk in self.matrix.chunks():
                moved = self._placed(chunk, slice(first, first + len(chunk)))
                squares[first : first + len(chunk)] = np.einsum("ij,ij->i", moved, moved)
        self.norms = freeze(squares)
        # In few dimensions products are cheap, and points are near each other for their norms.
        fits = self.dimension > FEW and all(map(fits_float32, [squares.max(), *held]))
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
        if self.scale is None and self.is_narrow and self.dtype is np.float32:
            values = to_numpy(self._block(as_slice(rows))).astype(self.dtype, copy=False)
            return Sites(rows, values, self.norms[rows])
        values = np.empty((len(rows), self.dimension), dtype=self.dtype)
        step = max(CHUNK // self.dimension, 1)
        for at in range(0, len(rows), step):
            some = rows[at : at + step]
            values[at : at + step] = self._placed(self.matrix.take(some), some)
        return Sites(rows, values, self.norms[rows])

    @property
    def width(self) -> int:  # type: ignore[override]
        """Columns."""
        return self.dimension

    @property
    def in_threads(self) -> bool:
        """NumPy's points: yes; other backends have threads or devices of their own."""
        return self.matrix.in_numpy

    def _inner_products(self, points: Any, sites: Any) -> npt.NDArray[Any]:
        return multiplied(points, sites)

    def _products(self, rows: Rows, sites: Sites) -> Any:
        block = self._block(rows)
        return block @ like(sites.values, block).T

    def _inner_pairs(self, rows: Rows, sites: Sites, which: Ints) -> Any:
        block = self._block(rows)
        return array_namespace(block).vecdot(block, like(sites.values[which], block))

    def _block(self, rows: Rows) -> Any:
        """Return points in the working precision, where they are stored."""
        block = self.matrix.stored(rows)
        xp = array_namespace(block)
        working = product_type(block, self.dtype)
        # What float32 would round is moved before.
        wide = self.offset is not None and not self.is_narrow
        block = xp.astype(block, xp.float64 if wide else working, copy=False)
        if self.scale is not None:
            block = block * like(self.scale[rows][:, None], block)
        if self.offset is not None:
            block = block - like(self.offset, block)
        return xp.astype(block, working, copy=False)

    def points(self, rows: Ints) -> Floats:
        """Return points ``(k, d)`` in float64, of length 1 under cosine."""
        values = self.matrix.take(rows)
        return values if self.scale is None else values * self.scale[rows][:, None]

    def facts(self) -> Mapping[str, Any]:
        """Return the metric and d."""
        return {"metric": self.metric, "dimension": self.dimension}

    def start(self, tick: Callable[[], None] | None = None) -> int:
        """Return the row nearest to the mean, the lowest on ties."""
        mean = self.mean if self.offset is None else self.mean - self.offset
        values: Any = mean.astype(self.dtype)[None]
        site = Sites(np.array([-1]), values, np.array([mean @ mean]))
        rough, error = np.empty(self.size), np.empty(self.size)

        def measure(block: tuple[int, int]) -> None:
            some = slice(*block)
            rough[some] = to_numpy(self.rough(some, site))[:, 0]
            error[some] = self.rough_error(some, site)

        self.share_out(measure, self.blocks(1), tick)
        near = np.flatnonzero(rough - error <= (rough + error).min())
        best, found = np.inf, 0
        step = max(CHUNK // self.dimension, 1)
        for first in range(0, len(near), step):
            rows = near[first : first + step]
            away = self.points(rows) - self.mean
            squared = np.einsum("ij,ij->i", away, away)
            at = int(squared.argmin())
            if squared[at] < best:
                best, found = float(squared[at]), int(rows[at])
        return found

    def guess(self, sites: Sites) -> Guess | None:
        """Return what guesses nearest sites in the directions along which sites differ most.

        These are about the leading principal ones, by one step of randomized subspace iteration
        (Halko, Martinsson & Tropp 2011).
        """
        if self.dimension < 4 * LEADING:
            return None
        moved = sites.values - sites.values.mean(axis=0)
        draws = np.random.default_rng(0).standard_normal((self.dimension, LEADING), self.dtype)
        directions = np.linalg.qr(moved.T @ (moved @ draws))[0]
        along = Sites(np.full(LEADING, -1), directions.T, np.zeros(LEADING))
        places = sites.values @ directions
        halves = 0.5 * np.einsum("ij,ij->i", places, places)

        def nearest(rows: Rows, first: int) -> Ints:
            products = to_numpy(self._products(rows, along)) @ places[first:].T
            products -= halves[first:]
            return np.asarray(first + products.argmax(axis=1))

        return nearest

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
        # One call for all pairs of one point: there are often few, the centers.
        order = np.argsort(others, kind="stable")
        for at in range(0, len(rows), step):
            some = order[at : at + step]
            distinct, starts = np.unique(others[some], return_index=True)
            points, to, stops = self.points(rows[some]), self.points(distinct), [*starts[1:], None]
            for k, (low, high) in enumerate(zip(starts, stops, strict=True)):
                found[some[low:high]] = cdist(points[low:high], to[k : k + 1], name)[:, 0]
        return found / 2.0 if self.metric == "cosine" else found


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


def fits_float32(squared: float) -> bool:
    """Return whether float32 neither overflows nor vanishes in points of this squared norm."""
    low, high = SAFE_IN_FLOAT32
    return low < float(np.sqrt(squared)) < high


def require_metric(metric: Any) -> None:
    """Raise `InvalidInput` unless a metric is known."""
    if metric not in METRICS:
        raise InvalidInput(f"metric: must be one of {', '.join(METRICS)}; got {metric!r}")


def _in_both_precisions(offset: Floats) -> Floats:
    """Return numbers that float32 and float64 take off alike, as near as float32 reaches."""
    fits = float(np.abs(offset).max()) < float(np.finfo(np.float32).max)
    # Beyond that points are no float32 either, and are moved in float64.
    return freeze(offset.astype(np.float32).astype(np.float64)) if fits else offset
