"""Hard constraints on a selection, one small class each, on one interface.

A constraint can validate itself against a dataset, check a selection, write its linear rows for
exact solvers and CVXPY, fix rows in or out, and tell greedy solvers what may still be added.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from .arrays import Floats, Ints, Mask, as_rows
from .errors import InfeasibleSelection, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scipy.sparse import csr_array

    from .dataset import Dataset


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
        return np.empty(0, dtype=np.int64)


class Constraint(ABC):
    """What every hard constraint can do; all rows are dataset rows."""

    kind: ClassVar[str]

    @abstractmethod
    def bind(self, dataset: Dataset) -> Constraint:
        """Return the constraint with its rows validated, or raise `InvalidInput`."""

    @abstractmethod
    def check(self, chosen: Ints, dataset: Dataset) -> None:
        """Raise `InfeasibleSelection` with the worst violation if a selection breaks it."""

    @abstractmethod
    def linear(self, dataset: Dataset) -> LinearRows:
        """Return the constraint as rows ``A z <= r``."""

    @abstractmethod
    def arrays(self) -> Mapping[str, npt.NDArray[Any]]:
        """Return the arrays that define it, by the names they have in problem files."""

    def parameters(self) -> Mapping[str, Any]:
        """Return the numbers and strings that define it, by their names in problem files."""
        return {}

    def included(self, dataset: Dataset) -> Ints:
        """Return the rows that every feasible selection holds."""
        del dataset
        return np.empty(0, dtype=np.int64)

    def forbidden(self, dataset: Dataset) -> Ints:
        """Return the rows that no feasible selection holds."""
        del dataset
        return np.empty(0, dtype=np.int64)

    def guard(self, dataset: Dataset) -> Guard:
        """Return a fresh guard for a selection that grows from the included rows."""
        closed = np.zeros(dataset.size, dtype=bool)
        closed[self.forbidden(dataset)] = True
        return Guard(closed)


@dataclass(frozen=True, eq=False)
class Include(Constraint):
    """These rows must be chosen: ``z_i = 1``.

    Parameters
    ----------
    rows
        Dataset rows or a mask ``(N,)``; each must be a candidate.
    """

    kind: ClassVar[str] = "include"
    rows: Any

    def bind(self, dataset: Dataset) -> Include:
        """Return the constraint with its rows ascending and known to be candidates."""
        rows = as_rows(self.rows, "Include", dataset.size)
        outside = rows[~dataset.is_candidate[rows]]
        if len(outside):
            why = "labeled already" if outside[0] in dataset.labeled else "not a candidate"
            raise InvalidInput(
                f"Include: rows must be candidates; {dataset.name(int(outside[0]))} is {why}; "
                "take it out"
            )
        return Include(rows)

    def check(self, chosen: Ints, dataset: Dataset) -> None:
        """Raise if a row of the list is not among the chosen ones."""
        missing = np.setdiff1d(self.rows, chosen)
        if len(missing):
            raise InfeasibleSelection(
                f"Include: {len(missing)} of {len(self.rows)} rows are not chosen: "
                f"{dataset.names(missing)}"
            )

    def linear(self, dataset: Dataset) -> LinearRows:
        """Return ``-z_i <= -1`` for each row."""
        return _one_each(self.rows, -1.0, -1.0, dataset.size)

    def arrays(self) -> Mapping[str, npt.NDArray[Any]]:
        """Return the rows."""
        return {"rows": self.rows}

    def included(self, dataset: Dataset) -> Ints:
        """Return the rows."""
        del dataset
        return np.asarray(self.rows)


@dataclass(frozen=True, eq=False)
class Forbid(Constraint):
    """These rows must not be chosen: ``z_i = 0``.

    Parameters
    ----------
    rows
        Dataset rows or a mask ``(N,)``; rows that are no candidates do no harm.
    """

    kind: ClassVar[str] = "forbid"
    rows: Any

    def bind(self, dataset: Dataset) -> Forbid:
        """Return the constraint with its rows ascending."""
        return Forbid(as_rows(self.rows, "Forbid", dataset.size))

    def check(self, chosen: Ints, dataset: Dataset) -> None:
        """Raise if a row of the list is among the chosen ones."""
        wrong = np.intersect1d(self.rows, chosen)
        if len(wrong):
            raise InfeasibleSelection(
                f"Forbid: {len(wrong)} forbidden rows are chosen: {dataset.names(wrong)}"
            )

    def linear(self, dataset: Dataset) -> LinearRows:
        """Return ``z_i <= 0`` for each row."""
        return _one_each(self.rows, 1.0, 0.0, dataset.size)

    def arrays(self) -> Mapping[str, npt.NDArray[Any]]:
        """Return the rows."""
        return {"rows": self.rows}

    def forbidden(self, dataset: Dataset) -> Ints:
        """Return the rows."""
        del dataset
        return np.asarray(self.rows)


CONSTRAINTS: Mapping[str, type[Include] | type[Forbid]] = {
    constraint.kind: constraint for constraint in (Include, Forbid)
}
"""The constraints by their kind in problem files."""


def _one_each(rows: Ints, coefficient: float, limit: float, size: int) -> LinearRows:
    from scipy.sparse import csr_array

    count = len(rows)
    matrix = csr_array((np.full(count, coefficient), (np.arange(count), rows)), shape=(count, size))
    return LinearRows(matrix, np.full(count, limit))
