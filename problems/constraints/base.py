"""What every hard constraint can do, whatever it asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..fingerprint import fingerprint, hash_array

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    import numpy.typing as npt
    from scipy.sparse import csr_array

    from ..arrays import Floats, Ints, Mask
    from ..dataset import Dataset
    from .curves import Curve

SLACK = 1e-9
"""Share of a limit on sums of real numbers by which rounding may exceed it."""
KEPT_SLACK = SLACK / 2
"""What of it is used where sums are kept up as rows come and go, and not to the last bit."""
NONE: Ints = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class LinearRows:
    """Rows ``A z <= r`` over all N dataset rows.

    Parameters
    ----------
    matrix
        Sparse A ``(m, N)``.
    limits
        r ``(m,)``.
    """

    matrix: csr_array
    limits: Floats

    def left(self, taken: Ints) -> Floats:
        """Return what some rows leave of each limit if they are taken ``(m,)``."""
        return np.asarray(self.limits - self.matrix[:, taken].sum(axis=1))

    def binding(self, rows: Ints, left: Floats) -> tuple[csr_array, Ints]:
        """Return A over some rows, and which of its rows some choice of these would break.

        Parameters
        ----------
        rows
            Columns of A that are to be decided.
        left
            What the others leave of each limit ``(m,)``.
        """
        matrix = self.matrix[:, rows].tocsr()
        kept = np.flatnonzero(matrix.maximum(0.0).sum(axis=1) > left)
        return matrix[kept], kept


class Guard:
    """Which rows a growing selection may still take in; rows only ever close.

    Parameters
    ----------
    closed
        Mask ``(N,)`` of the rows that are closed from the start.
    """

    def __init__(self, closed: Mask) -> None:
        self.closed = closed

    def add(self, row: int) -> Ints:
        """Take a row in and return the rows that this closes, itself not counted."""
        del row
        return NONE

    def needs(self) -> int:
        """Return how many further rows it takes at least to satisfy the constraint."""
        return 0

    def helps(self, rows: int | Ints) -> Any:
        """Return whether each of some rows, or of one row, is of those that it takes."""
        return np.ones(np.shape(rows), dtype=bool)


@dataclass(frozen=True, eq=False)
class Constraint(ABC):
    """A hard constraint on the chosen rows; all rows are dataset rows.

    It is stated by a user, who may give it a name; `bind` validates it against a dataset, and the
    other methods are those of a bound constraint.

    Parameters
    ----------
    name
        What messages and reports call it.
    """

    name: str | None = field(default=None, kw_only=True)

    kind: ClassVar[str]
    file_arrays: ClassVar[Mapping[str, str]] = {}
    """Its arrays in problem files, each ``"rows"``, ``"numbers"`` or ``"labels"``."""
    file_parameters: ClassVar[Mapping[str, tuple[type, ...]]] = {}
    """Its numbers in problem files, with their types."""
    file_required: ClassVar[tuple[str, ...]] = ()
    """What a problem file must say of it."""

    @abstractmethod
    def bind(self, dataset: Dataset) -> Self:
        """Return the constraint validated, or raise `InvalidInput`."""

    @abstractmethod
    def check(self, chosen: Ints, dataset: Dataset) -> None:
        """Raise `InfeasibleSelection` with the worst violation if a selection breaks it."""

    def check_growing(self, chosen: Ints, dataset: Dataset) -> None:
        """Raise `InfeasibleSelection` if no selection that holds these rows can satisfy it."""
        self.check(chosen, dataset)

    @abstractmethod
    def linear(self, dataset: Dataset) -> LinearRows:
        """Return the constraint as rows ``A z <= r``; with `curves`, rows that these imply.

        They are the same whenever they are asked for: prices refer to them by number.
        """

    @property
    def is_curved(self) -> bool:
        """Whether `curves` say more than the linear rows."""
        return False

    def curves(self, dataset: Dataset) -> tuple[Curve, ...]:
        """Return the limits that no linear rows can state, which replace those of `linear`."""
        del dataset
        return ()

    def straightened(self, chosen: Ints, share: float) -> Constraint:
        """Return it without curves, its limits moved by a share of the margins of some rows."""
        del chosen, share
        return self

    @abstractmethod
    def describe(self) -> str:
        """Return what it asks for in a few words, such as ``spacing 3``."""

    @abstractmethod
    def arrays(self) -> Mapping[str, Any]:
        """Return the arrays that define it, by the names they have in problem files."""

    def parameters(self) -> Mapping[str, Any]:
        """Return the numbers and strings that define it, by their names in problem files."""
        return {}

    @property
    def title(self) -> str:
        """Its class, and its name where it has one."""
        own = type(self).__name__
        return own if self.name is None else f"{own} {self.name!r}"

    def fingerprint(self) -> str:
        """Hex blake2b over what it asks for; not over its name."""
        hashes = [hash_array(name, values) for name, values in self.arrays().items()]
        return fingerprint(self.kind, self.parameters(), hashes)

    def included(self, dataset: Dataset) -> Ints:
        """Return the rows that every feasible selection holds."""
        del dataset
        return NONE

    def forbidden(self, dataset: Dataset) -> Ints:
        """Return the rows that no feasible selection holds."""
        del dataset
        return NONE

    def guard(self, dataset: Dataset) -> Guard:
        """Return a fresh guard for a selection that grows from nothing."""
        return Guard(self.closed(dataset))

    def closed(self, dataset: Dataset) -> Mask:
        """Return a fresh mask ``(N,)`` of the rows that no feasible selection holds."""
        mask = np.zeros(dataset.size, dtype=bool)
        mask[self.forbidden(dataset)] = True
        return mask


def sparse_rows(
    rows: npt.NDArray[Any], columns: npt.NDArray[Any], values: Any, limits: Any, size: int
) -> LinearRows:
    """Return linear rows from their entries; ``values`` may be one number for all."""
    from scipy.sparse import coo_array

    bounds = np.asarray(limits, dtype=np.float64)
    filled = np.broadcast_to(np.asarray(values, dtype=np.float64), rows.shape)
    matrix = coo_array((filled, (rows, columns)), shape=(len(bounds), size)).tocsr()
    return LinearRows(matrix, bounds)
