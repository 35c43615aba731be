"""Rows that must be chosen, and rows that must not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..arrays import as_rows
from ..errors import InfeasibleSelection, InvalidInput
from .base import Constraint, LinearRows, sparse_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..arrays import Ints
    from ..dataset import Dataset


@dataclass(frozen=True, eq=False)
class Include(Constraint):
    """These rows must be chosen: ``z_i = 1``.

    Parameters
    ----------
    rows
        Dataset rows or a mask ``(N,)``; each must be a candidate.
    """

    kind: ClassVar[str] = "include"
    file_arrays: ClassVar[Mapping[str, str]] = {"rows": "rows"}
    file_required: ClassVar[tuple[str, ...]] = ("rows",)
    rows: Any

    def bind(self, dataset: Dataset) -> Include:
        """Return the constraint with its rows ascending and known to be candidates."""
        rows = as_rows(self.rows, self.title, dataset.size)
        outside = rows[~dataset.is_candidate[rows]]
        if len(outside):
            why = "labeled already" if outside[0] in dataset.labeled else "not a candidate"
            raise InvalidInput(
                f"{self.title}: rows must be candidates; {dataset.name(int(outside[0]))} is {why}; "
                "take it out"
            )
        return replace(self, rows=rows)

    def check(self, chosen: Ints, dataset: Dataset) -> None:
        """Raise if a row of the list is not among the chosen ones."""
        missing = np.setdiff1d(self.rows, chosen)
        if len(missing):
            raise InfeasibleSelection(
                f"{self.title}: {len(missing)} of {len(self.rows)} rows are not chosen: "
                f"{dataset.names(missing)}"
            )

    def check_growing(self, chosen: Ints, dataset: Dataset) -> None:
        """Accept any rows: the list can still be added."""

    def linear(self, dataset: Dataset) -> LinearRows:
        """Return ``-z_i <= -1`` for each row."""
        return _one_each(self.rows, -1.0, -1.0, dataset.size)

    def describe(self) -> str:
        """Return how many rows must be chosen."""
        return f"{len(self.rows)} rows must be chosen"

    def arrays(self) -> Mapping[str, Any]:
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
    file_arrays: ClassVar[Mapping[str, str]] = {"rows": "rows"}
    file_required: ClassVar[tuple[str, ...]] = ("rows",)
    rows: Any

    def bind(self, dataset: Dataset) -> Forbid:
        """Return the constraint with its rows ascending."""
        return replace(self, rows=as_rows(self.rows, self.title, dataset.size))

    def check(self, chosen: Ints, dataset: Dataset) -> None:
        """Raise if a row of the list is among the chosen ones."""
        wrong = np.intersect1d(self.rows, chosen)
        if len(wrong):
            raise InfeasibleSelection(
                f"{self.title}: {len(wrong)} forbidden rows are chosen: {dataset.names(wrong)}"
            )

    def linear(self, dataset: Dataset) -> LinearRows:
        """Return ``z_i <= 0`` for each row."""
        return _one_each(self.rows, 1.0, 0.0, dataset.size)

    def describe(self) -> str:
        """Return how many rows must not be chosen."""
        return f"{len(self.rows)} rows must not be chosen"

    def arrays(self) -> Mapping[str, Any]:
        """Return the rows."""
        return {"rows": self.rows}

    def forbidden(self, dataset: Dataset) -> Ints:
        """Return the rows."""
        del dataset
        return np.asarray(self.rows)


def _one_each(rows: Ints, coefficient: float, limit: float, size: int) -> LinearRows:
    count = len(rows)
    return sparse_rows(np.arange(count), rows, coefficient, np.full(count, limit), size)
