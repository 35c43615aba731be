"""Columns of a table of detections, each validated by itself: boxes, scores, names, classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .arrays import Floats, Ints, to_numpy
from .errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence


LARGEST_PIXEL = 1e9
"""Areas of larger boxes would lose what overlaps are told by."""


def one_of(value: str, known: Sequence[str], name: str) -> None:
    """Raise `InvalidInput` unless a word is one of those that are known."""
    if value not in known:
        raise InvalidInput(f"{name}: must be one of {', '.join(known)}; got {value!r}")


def as_boxes(boxes: Any) -> Floats:
    """Return boxes ``(M, 4)`` as finite float64."""
    array = to_numpy(boxes, "boxes")
    if array.size == 0:
        array = np.empty((0, 4))
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "fiu":
        raise InvalidInput(
            f"boxes: must be numbers of shape (M, 4): left, top, width, height; got "
            f"{array.dtype} {array.shape}; convert corners to sizes"
        )
    found = np.array(array, dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(wrong):
        raise InvalidInput(
            f"boxes: must be finite; row {wrong[0]} is {found[wrong[0]].tolist()} "
            f"({len(wrong)} such rows); drop these rows"
        )
    wrong = np.flatnonzero((np.abs(found) > LARGEST_PIXEL).any(axis=1))
    if len(wrong):
        raise InvalidInput(
            f"boxes: must be in pixels, up to {LARGEST_PIXEL:g}; row {wrong[0]} is "
            f"{found[wrong[0]].tolist()}; drop these rows"
        )
    return found


def as_column(values: Any, name: str, size: int) -> npt.NDArray[Any]:
    """Return a column with one value for each box."""
    column = to_numpy(values, name)
    if column.shape != (size,):
        raise InvalidInput(
            f"{name}: must have one value for each of {size} boxes; got shape {column.shape}"
        )
    return column


def as_names(values: Any, name: str, size: int) -> npt.NDArray[Any]:
    """Return a column of names as strings."""
    column = as_column(values, name, size)
    if size and column.dtype.kind not in "iuUO":
        raise InvalidInput(f"{name}: must be names or whole numbers; got {column.dtype}")
    return column.astype(str)


def as_scores(score: Any, scores: str, size: int) -> Floats:
    """Return scores in 0..1, read as `scores` says."""
    column = as_column(score, "score", size)
    if column.dtype.kind not in "fiu":
        raise InvalidInput(f"score: must be numbers; got {column.dtype}; convert to float")
    values = np.array(column, dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise InvalidInput(
            f"score: must be finite; row {wrong[0]} is {values[wrong[0]]} ({len(wrong)} such "
            "rows); drop these rows"
        )
    if scores == "logit":
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))
    if scores == "rank":
        return score_rank(values)
    outside = np.flatnonzero((values < 0.0) | (values > 1.0))
    if len(outside):
        raise InvalidInput(
            f"score: must lie in 0..1; row {outside[0]} has {values[outside[0]]:.6g}, so these "
            "look like logits or raw margins; pass scores='logit' to squash them, or "
            "scores='rank' where they have no known scale"
        )
    return values


def score_rank(values: Floats) -> Floats:
    """Return each value's mean rank as a share in 0..1; equal values share one.

    Examples
    --------
    >>> score_rank(np.array([0.2, 0.9, 0.9, 0.1]))
    array([0.375, 0.75 , 0.75 , 0.125])
    """
    if not len(values):
        return np.empty(0)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(((ends - 0.5 * counts) / len(values))[inverse])


def as_classes(
    label: Any, classes: Sequence[str] | None, size: int
) -> tuple[tuple[str, ...], Ints]:
    """Return the names of classes, and each box's index into them."""
    if label is None:
        return tuple(classes or ("object",))[:1], np.zeros(size, dtype=np.int64)
    column = as_column(label, "label", size)
    if column.dtype.kind in "iu" and classes is not None:
        wrong = np.flatnonzero((column < 0) | (column >= len(classes)))
        if len(wrong):
            raise InvalidInput(
                f"label: must lie in 0..{len(classes) - 1}; row {wrong[0]} has "
                f"{column[wrong[0]]}; number classes as they are listed"
            )
        return tuple(classes), column.astype(np.int64)
    if column.dtype.kind in "iu":
        values, codes = np.unique(column, return_inverse=True)
        return tuple(str(value) for value in values), codes.astype(np.int64)
    named = as_names(label, "label", size)
    if classes is None:
        found, codes = np.unique(named, return_inverse=True)
        return tuple(str(name) for name in found), codes.astype(np.int64)
    at = {name: index for index, name in enumerate(classes)}
    unknown = [name for name in np.unique(named) if name not in at]
    if unknown:
        raise InvalidInput(
            f"label: must be one of {', '.join(classes)}; got {str(unknown[0])!r}; add it to "
            "classes"
        )
    return tuple(classes), np.array([at[name] for name in named], dtype=np.int64)


def as_class_probs(probs: Any, size: int) -> Floats:
    """Return class probabilities ``(M, C)``, each row divided by its sum."""
    array = to_numpy(probs, "probs")
    if array.ndim != 2 or len(array) != size or array.dtype.kind not in "fiu":
        raise InvalidInput(
            f"probs: must be numbers of shape ({size}, classes); got {array.dtype} {array.shape}"
        )
    values = np.array(array, dtype=np.float64)
    sums = values.sum(axis=1)
    wrong = np.flatnonzero(~((np.abs(sums - 1.0) <= 1e-3) & (values >= 0).all(axis=1)))
    if len(wrong):
        raise InvalidInput(
            f"probs: row {wrong[0]} sums to {sums[wrong[0]]:.4g}, rows must be ≥ 0 and sum to 1 "
            "(±0.001); pass softmax outputs, not logits"
        )
    return np.asarray(values / sums[:, None])
