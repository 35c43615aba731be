"""Spaces: N points and the distance between any two, exact and fast.

`between` and `pairs` are the distances that everything is stated in: float64, and the same bits for
a pair wherever it is asked for. `rough` is one matrix product: within `rough_error` of the rough
form of the distance, for finding the few pairs whose exact distance matters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from .arrays import to_numpy
from .threads import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import numpy.typing as npt

    from .arrays import Floats, Ints, Mask, Rows

    Guess = Callable[[Rows, int], Ints]

T = TypeVar("T")

BLOCK_VALUES = 1 << 22
"""Rough distances in one block: 16 MB in float32."""

HELD_VALUES = 1 << 20
"""Numbers of the points of one block: 4 MB in float32."""


@dataclass(frozen=True, eq=False)
class Sites:
    """Points that many others are measured to, in the form that `Space.rough` multiplies with.

    Parameters
    ----------
    rows
        Dataset rows ``(m,)``.
    values
        What the space needs of them: an array with a row for each, or several.
    norms
        Their squared norms ``(m,)``.
    """

    rows: Ints
    values: Any
    norms: Floats

    def __len__(self) -> int:
        """Return m."""
        return len(self.rows)

    def part(self, which: slice | Mask) -> Sites:
        """Return some of them: a view for a slice, a copy for a mask ``(m,)``."""
        split = isinstance(self.values, tuple)
        values = tuple(v[which] for v in self.values) if split else self.values[which]
        return Sites(self.rows[which], values, self.norms[which])


class Space(ABC):
    """N points with a distance; rows are dataset rows."""

    name: ClassVar[str]
    """What users call the distance."""
    witness_share: ClassVar[float | None]
    """Share of the distance between two points within which no third point can lie of both: ½ in a
    metric, ¼ for its square, None where there is no triangle inequality."""
    size: int
    width: int
    """Numbers that `gather` holds of each point."""

    @property
    def in_files(self) -> bool:
        """Whether a problem file can hold it: whether `arrays` and `parameters` make it again."""
        return False

    @property
    def in_threads(self) -> bool:
        """Whether several threads may measure at once."""
        return False

    def share_out(
        self,
        work: Callable[[T], object],
        tasks: Iterable[T],
        tick: Callable[[], None] | None = None,
    ) -> None:
        """Measure block by block, side by side where that is allowed; see `side_by_side`."""
        if self.in_threads:
            side_by_side(work, tasks, tick)
            return
        for task in tasks:
            if tick is not None:
                tick()
            work(task)

    def facts(self) -> Mapping[str, Any]:
        """Return what describes it to people, in JSON's types."""
        return {"metric": self.name}

    @abstractmethod
    def between(self, rows: Ints, others: Ints) -> Floats:
        """Return the distances ``(k, m)`` in float64, bit-identical however they are asked for."""

    @abstractmethod
    def pairs(self, rows: Ints, others: Ints) -> Floats:
        """Return the distances ``(k,)`` of pairs, the same bits as `between`."""

    @abstractmethod
    def sites(self, rows: Ints) -> Sites:
        """Prepare points for `rough`."""

    @abstractmethod
    def rough(self, rows: Rows, sites: Sites) -> npt.NDArray[Any]:
        """Return rough distances ``(k, m)`` of rows to sites, on the device of the points.

        They grow with the distance, and are within `rough_error` of `to_rough` of it.
        """

    @abstractmethod
    def rough_error(self, rows: Rows, sites: Sites) -> Floats:
        """Return the most by which each row's rough distances may be wrong ``(k,)``."""

    def gather(self, rows: Ints) -> Sites:
        """Prepare points for being measured to sites, close together in memory."""
        return self.sites(rows)

    @abstractmethod
    def apart(self, points: Sites, sites: Sites) -> npt.NDArray[Any]:
        """Return rough distances ``(k, m)`` of gathered points to sites."""

    @abstractmethod
    def apart_error(self, points: Sites, sites: Sites) -> Floats:
        """Return the most by which each point's may be wrong ``(k,)``."""

    def witness_radius(self, distance: float) -> float:
        """Return within which radius no point lies of two points this far apart, in floating point.

        Where there is no triangle inequality that is 0.
        """
        del distance
        return 0.0

    def closest(self, rows: Rows, sites: Sites) -> tuple[Ints, Floats]:
        """Return each row's nearest site ``(k,)`` and its distance, both rough."""
        rough = to_numpy(self.rough(rows, sites))
        at = rough.argmin(axis=1)
        return at, rough[np.arange(len(at)), at].astype(np.float64)

    def guess(self, sites: Sites) -> Guess | None:
        """Return what guesses each row's nearest site, or None where nothing is much faster.

        A function of rows and of the place of the first site that counts.
        """
        del sites
        return None

    @abstractmethod
    def rough_pairs(self, rows: Rows, sites: Sites, which: Ints) -> Floats:
        """Return the rough distance ``(k,)`` of each row to one site each."""

    @abstractmethod
    def to_rough(self, distances: Floats) -> Floats:
        """Return distances in the form of `rough`, such as their squares."""

    @abstractmethod
    def from_rough(self, rough: Floats) -> Floats:
        """Undo `to_rough`; negative values count as 0."""

    @abstractmethod
    def start(self, tick: Callable[[], None] | None = None) -> int:
        """Return the row nearest to the mean of all: where farthest-first begins.

        `tick` is called now and then where that takes long, and may raise for want of time.
        """

    @property
    @abstractmethod
    def digest(self) -> bytes:
        """Hash of the values as given."""

    @abstractmethod
    def parameters(self) -> Mapping[str, Any]:
        """Return what defines it beside the arrays, by the names in problem files."""

    @abstractmethod
    def arrays(self) -> Mapping[str, Any]:
        """Return what defines it, by the names in problem files."""

    def blocks(self, width: int, values: int = BLOCK_VALUES) -> Iterator[tuple[int, int]]:
        """Yield ``(start, stop)`` over all rows, for `values` rough distances to `width` sites."""
        # Blocks that must be moved or converted are copies, which have to stay small.
        step = max(min(values // max(width, 1), HELD_VALUES // max(self.width, 1)), 256)
        for start in range(0, self.size, step):
            yield start, min(start + step, self.size)

    def nearer(self, start: int, stop: int, sites: Sites, radius: float) -> Mask:
        """Return which pairs ``(stop - start, m)`` are nearer than `radius`, strictly.

        The rough distances decide all but the pairs at the limit, and `pairs` decides those.
        """
        rough = to_numpy(self.rough(slice(start, stop), sites))
        with np.errstate(over="ignore"):
            limit = float(self.to_rough(np.array([max(radius, 0.0)]))[0])
        if limit > float(np.finfo(rough.dtype).max):
            return np.ones(rough.shape, dtype=bool)
        # Squares of the radius are rounded as well.
        error = self.rough_error(slice(start, stop), sites)[:, None] + 4e-16 * abs(limit)
        near = rough < limit
        at, which = np.nonzero(np.abs(rough - limit) <= error)
        near[at, which] = self.pairs(at + start, sites.rows[which]) < radius
        return near
