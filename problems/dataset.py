"""The rows a problem is stated over: who is labeled, who may be chosen, what they are called."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .arrays import Floats, Ints, Mask, as_rows, freeze, require_moderate, to_numpy
from .errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Dataset:
    """N rows, of which some are labeled and some may be chosen.

    Parameters
    ----------
    size
        N, the number of rows.
    labeled
        Rows that are labeled already, ascending; never selectable.
    candidates
        Rows that may be chosen, ascending.
    ids
        One str or int for each row ``(N,)``, or None.
    table
        Further columns ``(N,)`` by name; they travel with the problem and come back.
    """

    size: int
    labeled: Ints
    candidates: Ints
    ids: npt.NDArray[Any] | None
    table: Mapping[str, npt.NDArray[Any]]

    @cached_property
    def is_candidate(self) -> Mask:
        """Mask ``(N,)`` of the candidates."""
        mask = np.zeros(self.size, dtype=bool)
        mask[self.candidates] = True
        return mask

    def name(self, row: int) -> str:
        """Return how messages call a row: its number, and its id where there is one."""
        return f"row {row}" if self.ids is None else f"row {row} (id {self.ids[row]})"

    def names(self, rows: Ints, at_most: int = 3) -> str:
        """Return the first few of some rows as messages call them."""
        listed = ", ".join(self.name(int(row)) for row in rows[:at_most])
        return listed if len(rows) <= at_most else f"{listed} and {len(rows) - at_most} more"


def make_dataset(
    size: int,
    labeled: Any = None,
    candidates: Any = None,
    ids: Any = None,
    table: Mapping[str, Any] | None = None,
) -> Dataset:
    """Validate who is who among N rows.

    Parameters
    ----------
    size
        N.
    labeled, candidates
        Row numbers or masks ``(N,)``; `candidates` defaults to every row that is not labeled.
    ids, table
        As in `Dataset`.

    Raises
    ------
    InvalidInput
        Rows out of range or listed twice, a row both labeled and candidate, ids that repeat,
        columns of another length.

    Examples
    --------
    >>> make_dataset(4, labeled=[1]).candidates
    array([0, 2, 3])
    """
    labeled = as_rows([] if labeled is None else labeled, "labeled", size)
    free = np.ones(size, dtype=bool)
    free[labeled] = False
    if candidates is None:
        candidates = freeze(np.flatnonzero(free))
    else:
        candidates = as_rows(candidates, "candidates", size)
        both = candidates[~free[candidates]]
        if len(both):
            raise InvalidInput(
                f"candidates: labeled rows cannot be chosen; row {both[0]} is in both lists; "
                "take it out of one"
            )
    columns = {name: _as_column(values, name, size) for name, values in (table or {}).items()}
    return Dataset(size, labeled, candidates, None if ids is None else _as_ids(ids, size), columns)


def _as_column(values: Any, name: str, size: int) -> npt.NDArray[Any]:
    column = to_numpy(values)
    if column.dtype.kind not in "biufU":  # dates too: what JSON cannot hold becomes text
        column = column.astype(str)
    if column.ndim != 1 or len(column) != size:
        raise InvalidInput(
            f"table: column {name!r} must have one value for each of {size} rows; "
            f"got shape {column.shape}"
        )
    return freeze(column)


def _as_ids(ids: Any, size: int) -> npt.NDArray[Any]:
    array = to_numpy(ids)
    if array.dtype.kind == "O" and all(isinstance(value, str) for value in array.flat):
        array = array.astype(str)
    if array.dtype.kind not in "iuU":
        raise InvalidInput(f"ids: must be str or int; got {array.dtype}; convert them to str")
    if array.ndim != 1 or len(array) != size:
        raise InvalidInput(
            f"ids: must name each of {size} rows once; got shape {array.shape}; pass one id a row"
        )
    values, first, counts = np.unique(array, return_index=True, return_counts=True)
    if len(values) < size:
        again = values[counts > 1][0]
        row = first[counts > 1][0]
        raise InvalidInput(
            f"ids: must be distinct; {again} names row {row} and {counts[counts > 1][0] - 1} more; "
            "make them unique"
        )
    return freeze(array)


def require_finite(values: Floats, name: str, dataset: Dataset) -> None:
    """Raise `InvalidInput` naming the first candidate that holds NaN or infinity."""
    rows = dataset.candidates
    wrong = rows[~np.isfinite(values[rows])]
    if len(wrong):
        raise InvalidInput(
            f"{name}: {dataset.name(int(wrong[0]))} holds {values[wrong[0]]}; "
            "candidates need finite numbers; score the row again or leave it out of candidates"
        )
    require_moderate(values[rows], name)
