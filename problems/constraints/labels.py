"""Labels of rows, such as the video each belongs to, as small whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import freeze, to_numpy
from ..errors import InvalidInput

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..arrays import Ints


@dataclass(frozen=True, eq=False)
class Labels:
    """One label for each row, counted from 0 in the order in which they first occur.

    Parameters
    ----------
    values
        Labels ``(N,)`` as given, str or int.
    codes
        Numbers ``(N,)`` of the labels, ``0..G-1``.
    names
        The G labels, by number.
    """

    values: npt.NDArray[Any]
    codes: Ints
    names: npt.NDArray[Any]

    def code(self, label: Any, what: str) -> int:
        """Return the number of a label; text or a float stands for the whole number it shows."""
        known = self._known
        if isinstance(label, float) and label.is_integer():
            label = int(label)
        if str(label) in known:
            return known[str(label)]
        near = get_close_matches(str(label), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {_some(self.names)}"
        raise InvalidInput(f"{what}: no row has the label {label!r}; {hint}")

    @cached_property
    def _known(self) -> dict[str, int]:
        return {str(name): number for number, name in enumerate(self.names)}

    def members(self) -> tuple[Ints, Ints]:
        """Return all rows by label, and where each label's rows begin ``(G + 1,)``."""
        counts = np.bincount(self.codes, minlength=len(self.names))
        order = np.argsort(self.codes, kind="stable")
        return order, np.concatenate([[0], np.cumsum(counts)])


def as_labels(values: Any, what: str, size: int) -> Labels:
    """Validate labels: str or int, one for each row."""
    array = to_numpy(values.values if isinstance(values, Labels) else values, what)
    if array.dtype.kind == "O" and all(isinstance(value, str) for value in array.flat):
        array = array.astype(str)
    if array.dtype.kind == "f" and np.isfinite(array).all() and (array == np.floor(array)).all():
        array = array.astype(np.int64)
    if array.dtype.kind not in "iuUb":
        raise InvalidInput(f"{what}: labels must be str or int; got {array.dtype}; convert them")
    if array.ndim != 1 or len(array) != size:
        raise InvalidInput(
            f"{what}: must label each of {size} rows; got shape {array.shape}; pass one label a row"
        )
    if array.dtype.kind in "iu" and _is_dense(array):
        return _dense_labels(array)
    names, first, codes = np.unique(array, return_index=True, return_inverse=True)
    by_occurrence = np.argsort(first)
    rank = np.empty_like(by_occurrence)
    rank[by_occurrence] = np.arange(len(names))
    return Labels(freeze(array), freeze(rank[codes].astype(np.int64)), names[by_occurrence])


def _is_dense(array: npt.NDArray[Any]) -> bool:
    """Return whether whole numbers lie so close together that they can be looked up in a table."""
    return bool(len(array)) and int(array.max()) - int(array.min()) <= 4 * len(array)


def _dense_labels(array: npt.NDArray[Any]) -> Labels:
    """Do what `as_labels` does by sorting, by a table over the range of the labels."""
    values = array.astype(np.int64)
    values -= values[array.argmin()]
    first = np.full(int(values.max()) + 1, len(values))
    # Of several rows with one label the last one written stays: the first one.
    first[values[::-1]] = np.arange(len(values))[::-1]
    found = np.flatnonzero(first < len(values))
    found = found[np.argsort(first[found])]
    number = np.empty(len(first), dtype=np.int64)
    number[found] = np.arange(len(found))
    names = array[first[found]]
    return Labels(freeze(array), freeze(number[values]), names)


def _some(names: npt.NDArray[Any], at_most: int = 5) -> str:
    listed = ", ".join(str(name) for name in names[:at_most])
    return listed if len(names) <= at_most else f"{listed} and {len(names) - at_most} more"
