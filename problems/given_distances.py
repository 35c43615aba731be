"""Distances that the user gives: a matrix, or a function that makes its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .arrays import as_matrix, as_number, to_numpy
from .errors import InvalidInput
from .fingerprint import ArrayHash
from .spaces import Sites, Space

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from .arrays import Floats, Ints, Rows

TILE = 1024
"""Rows and columns that are compared with their mirror image at once."""
SAMPLED = 64
"""Rows of a function that stand for all of them in its fingerprint."""


class GivenDistances(Space):
    """Distances ``(N, N)`` as the user gives them; no triangle inequality is assumed.

    Parameters
    ----------
    distances
        A symmetric matrix, not negative, zero on its diagonal: NumPy, memory-mapped, torch or
        shards. Or a function that takes rows ``(k,)`` and returns their distances ``(k, N)`` to all
        rows; its rows are validated as they come.
    size
        N, for a function; a matrix has its own.

    Raises
    ------
    InvalidInput
        Naming the first entry that breaks a rule.
    """

    name: ClassVar[str] = "given"
    witness_share: ClassVar[float | None] = None
    width = 0

    def __init__(self, distances: Any, size: int | None = None) -> None:
        self.rows_of: Callable[[Ints], Any] | None = None
        if callable(distances):
            if size is None:
                raise InvalidInput("size: a function of rows needs N beside it; pass size=N")
            number = as_number(size, "size")
            if not (number >= 1 and number.is_integer()):
                raise InvalidInput(f"size: must be a whole number, at least 1; got {size}")
            self.rows_of, self.size = distances, int(number)
            self._digest = self._hashed(np.linspace(0, self.size - 1, SAMPLED).astype(np.int64))
            return
        self.matrix = as_matrix(distances, "distances")
        self.size = self.matrix.shape[0]
        if self.matrix.shape[1] != self.size:
            raise InvalidInput(
                f"distances: must be square; got shape {self.matrix.shape}; "
                "pass one row and one column for each point, or KCenter(embeddings, ...)"
            )
        if size is not None and as_number(size, "size") != self.size:
            raise InvalidInput(f"size: {size} for a matrix of {self.size} rows; leave it out")
        self._validate()

    @property
    def in_files(self) -> bool:
        """Whether it is a matrix."""
        return self.rows_of is None

    def _validate(self) -> None:
        running = ArrayHash("distances", self.matrix.shape)
        for first, chunk in self.matrix.chunks():
            running.update(chunk)
            self._refuse(chunk, np.arange(first, first + len(chunk)))
        self._digest = running.digest()
        for a in range(0, self.size, TILE):
            for b in range(a, self.size, TILE):
                one, other = self._tile(a, b), self._tile(b, a).T
                _refuse_asymmetric(one, other, np.arange(a, self.size), np.arange(b, self.size))

    def _tile(self, row: int, column: int) -> npt.NDArray[Any]:
        rows = self.matrix.stored(slice(row, min(row + TILE, self.size)))
        return to_numpy(rows[:, column : column + TILE])

    def _hashed(self, rows: Ints) -> bytes:
        sampled = np.unique(rows)
        running = ArrayHash("distances", (self.size, self.size))
        values = self._take(sampled)
        running.update(values)
        among = values[:, sampled]
        _refuse_asymmetric(among, among.T, sampled, sampled)
        return running.digest()

    def _take(self, rows: Ints) -> Floats:
        """Return whole rows ``(k, N)`` in float64."""
        if self.rows_of is None:
            return self.matrix.take(rows)
        values = np.asarray(to_numpy(self.rows_of(rows), "distances"), dtype=np.float64)
        if values.shape != (len(rows), self.size):
            raise InvalidInput(
                f"distances: the function must return ({len(rows)}, {self.size}) for "
                f"{len(rows)} rows; got shape {values.shape}"
            )
        self._refuse(values, rows)
        return values

    def _refuse(self, values: Floats, rows: Ints) -> None:
        wrong = np.argwhere(~(np.isfinite(values) & (values >= 0)))
        if len(wrong):
            at, j = int(wrong[0][0]), int(wrong[0][1])
            raise InvalidInput(
                f"distances: entry ({rows[at]}, {j}) is {values[at, j]}; distances must be finite "
                "and not negative"
            )
        own = values[np.arange(len(rows)), rows]
        if own.any():
            at = int(np.flatnonzero(own)[0])
            raise InvalidInput(
                f"distances: the diagonal must be zero; entry ({rows[at]}, {rows[at]}) is "
                f"{own[at]:.6g}; pass distances, not similarities"
            )

    def between(self, rows: Ints, others: Ints) -> Floats:
        """Return the distances ``(k, m)``, a few whole rows at a time."""
        table = np.empty((len(rows), len(others)))
        step = max((1 << 21) // self.size, 1)
        for at in range(0, len(rows), step):
            table[at : at + step] = self._take(rows[at : at + step])[:, others]
        return table

    def pairs(self, rows: Ints, others: Ints) -> Floats:
        """Return the distances ``(k,)`` of pairs, each row read once, of the side with fewer."""
        distinct, place = np.unique(rows, return_inverse=True)
        columns, turned = np.unique(others, return_inverse=True)
        if len(columns) < len(distinct):
            distinct, place, others = columns, turned, rows
        found = np.empty(len(rows))
        step = max((1 << 21) // self.size, 1)
        for at in range(0, len(distinct), step):
            here = np.flatnonzero((place >= at) & (place < at + step))
            values = self._take(distinct[at : at + step])
            found[here] = values[place[here] - at, others[here]]
        return found

    def sites(self, rows: Ints) -> Sites:
        """Take the sites' whole rows: by symmetry they hold what all others are away."""
        return Sites(rows, self._take(rows), np.zeros(len(rows)))

    def gather(self, rows: Ints) -> Sites:
        """Keep nothing but the rows: the sites hold what they are away."""
        return Sites(rows, None, np.zeros(len(rows)))

    def apart(self, points: Sites, sites: Sites) -> npt.NDArray[Any]:
        """Return the distances themselves ``(k, m)``."""
        return np.array(sites.values[:, points.rows].T)

    def apart_error(self, points: Sites, sites: Sites) -> Floats:
        """Return zeros: they are exact."""
        return np.zeros(len(points))

    def rough_pairs(self, rows: Rows, sites: Sites, which: Ints) -> Floats:
        """Return the distances themselves ``(k,)``."""
        return np.asarray(sites.values[which, np.arange(self.size)[rows]])

    def rough(self, rows: Rows, sites: Sites) -> npt.NDArray[Any]:
        """Return the distances themselves ``(k, m)``."""
        return np.array(sites.values[:, rows].T)

    def rough_error(self, rows: Rows, sites: Sites) -> Floats:
        """Return zeros: they are exact."""
        del sites
        return np.zeros(len(np.arange(self.size)[rows]))

    def to_rough(self, distances: Floats) -> Floats:
        """Return the distances themselves."""
        return np.asarray(distances, dtype=np.float64)

    def from_rough(self, rough: Floats) -> Floats:
        """Return the distances themselves."""
        return np.asarray(rough, dtype=np.float64)

    def start(self, tick: Callable[[], None] | None = None) -> int:
        """Return the row with the smallest sum of distances, the lowest on ties."""
        sums = np.empty(self.size)
        step = max((1 << 21) // self.size, 1)
        for at in range(0, self.size, step):
            if tick is not None:
                tick()
            rows = np.arange(at, min(at + step, self.size))
            sums[rows] = self._take(rows).sum(axis=1)
        return int(sums.argmin())

    @property
    def digest(self) -> bytes:
        """Hash of the matrix as given, or of 64 rows of the function."""
        return self._digest

    def parameters(self) -> dict[str, Any]:
        """Return nothing: the matrix says it all."""
        return {}

    def arrays(self) -> Mapping[str, Any]:
        """Return the matrix."""
        if self.rows_of is not None:
            raise InvalidInput(
                "distances: a function cannot be saved; pass the matrix or embeddings to save"
            )
        return {"distances": self.matrix}


def _refuse_asymmetric(
    one: npt.NDArray[Any], other: npt.NDArray[Any], rows: Ints, columns: Ints
) -> None:
    wrong = np.argwhere(one != other)
    if len(wrong):
        i, j = (int(at) for at in wrong[0])
        raise InvalidInput(
            f"distances: must be symmetric; entry ({rows[i]}, {columns[j]}) is {one[i, j]:.9g}, "
            f"entry ({columns[j]}, {rows[i]}) is {other[i, j]:.9g}; "
            "pass (D + D.T) / 2 if that is what you mean"
        )
