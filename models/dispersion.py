"""Label dispersion: how often a model has changed its mind about a row while it was trained."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Rows of a history that are sorted at a time.
_CHUNK = 1 << 16


class LabelDispersion:
    r"""Tracker of the classes predicted for each row, epoch by epoch.

    .. math:: \text{dispersion}(x) = 1 - \frac{f_x}{T}, \qquad
              f_x = \max_c \sum_{t=1}^{T} 1[y^t = c]

    f is how often the class predicted most was predicted, T the number of predictions. Kept are
    counts ``(N, C)``, or the predictions themselves ``(N, T)`` where `epochs` is known and smaller
    than C, both in the smallest integers that hold them.

    Parameters
    ----------
    size
        Number of rows N of the dataset.
    classes
        Number of classes C.
    epochs
        Largest number of predictions of a row, if known.

    Raises
    ------
    ValueError
        If one of them is not positive.

    References
    ----------
    Thesis eq. 3.1 and 3.2.

    Examples
    --------
    >>> tracker = LabelDispersion(size=2, classes=3)
    >>> for predictions in ([0, 2], [1, 2], [0, 2], [1, 2]):
    ...     tracker.add(predictions)
    >>> tracker.values()
    array([0.5, 0. ])
    """

    def __init__(self, size: int, classes: int, epochs: int | None = None) -> None:
        for name, value in (("size", size), ("classes", classes), ("epochs", epochs)):
            if value is not None and value < 1:
                raise ValueError(f"{name}: must be at least 1; {value} came; pass a positive one")
        self.size, self.classes, self.epochs = size, classes, epochs
        self._is_history = epochs is not None and epochs < classes
        largest = classes - 1 if self._is_history else (epochs or 255)
        columns = epochs if self._is_history and epochs else classes
        self._kept: NDArray[Any] = np.zeros((size, columns), dtype=np.min_scalar_type(largest))
        self._seen = np.zeros(size, dtype=np.uint32)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the tracker holds."""
        return self._kept.nbytes + self._seen.nbytes

    def add(self, predictions: "ArrayLike", rows: "ArrayLike | None" = None) -> None:
        """Count one prediction for each row, once an epoch (or for each batch of it).

        Parameters
        ----------
        predictions
            Predicted classes ``(n,)``, or probabilities or logits ``(n, C)`` whose largest is the
            prediction; NumPy or torch on any device.
        rows
            Dataset rows ``(n,)`` that they belong to, each at most once. Default: all N, in order.

        Raises
        ------
        ValueError
            If the lengths differ, a class or a row does not exist, a row comes twice, or a row has
            been predicted `epochs` times already.
        """
        labels = self._labels(predictions)
        where: Any = slice(None) if rows is None else self._rows(rows)
        n = self.size if rows is None else len(where)
        if len(labels) != n:
            raise ValueError(
                f"predictions: must be one for each of {n} rows; {len(labels)} came; "
                "pass rows= with the dataset rows they belong to"
            )
        seen = self._seen[where]
        if self.epochs is not None and n and int(seen.max()) >= self.epochs:
            full = int(np.flatnonzero(seen >= self.epochs)[0])
            row = full if rows is None else int(where[full])
            raise ValueError(
                f"predictions: row {row} has been predicted {self.epochs} times already, which is "
                "epochs=; make the tracker with more epochs, or without"
            )
        at = np.arange(self.size) if rows is None else where
        if self._is_history:
            self._kept[at, seen] = labels
        else:
            self._widen(int(seen.max()) + 1 if n else 0)
            self._kept[at, labels] += 1
        self._seen[where] += 1

    def values(self) -> "NDArray[np.float64]":
        r"""Return the dispersions ``(N,)``; NaN for rows that were never predicted.

        They lie between 0 (always the same class) and :math:`1 - 1/\min(C, T)`.
        """
        top = self._modal()[1].astype(np.float64)
        never = self._seen == 0
        return np.where(never, np.nan, 1.0 - top / np.where(never, 1, self._seen))

    def modal_classes(self) -> "NDArray[np.int64]":
        """Return the class predicted most of each row ``(N,)``, the lowest on ties, -1 for none."""
        return np.where(self._seen == 0, -1, self._modal()[0])

    def _modal(self) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
        """Return the class predicted most and how often it was, for every row."""
        classes, counts = np.zeros((2, self.size), dtype=np.int64)
        for start in range(0, self.size, _CHUNK):
            some = slice(start, start + _CHUNK)
            kept = self._kept[some]
            if self._is_history:
                classes[some], counts[some] = _longest_runs(kept, self._seen[some])
            else:
                classes[some] = kept.argmax(axis=1)
                counts[some] = kept.max(axis=1)
        return classes, counts

    def _widen(self, largest: int) -> None:
        """Make room for a count."""
        if largest > np.iinfo(self._kept.dtype).max:
            self._kept = self._kept.astype(np.min_scalar_type(largest))

    def _labels(self, predictions: "ArrayLike") -> "NDArray[np.int64]":
        values = _to_numpy(predictions)
        if values.ndim == 2 and values.shape[1] == self.classes:
            return np.asarray(values.argmax(axis=1), dtype=np.int64)
        if values.ndim != 1 or (values.size and not np.issubdtype(values.dtype, np.integer)):
            raise ValueError(
                f"predictions: must be classes (n,) or probabilities (n, {self.classes}); shape "
                f"{values.shape} of {values.dtype} came; pass the argmax over the classes"
            )
        wrong = np.flatnonzero((values < 0) | (values >= self.classes))
        if len(wrong):
            raise ValueError(
                f"predictions: classes run from 0 to {self.classes - 1}; {values[wrong[0]]} came "
                f"at position {wrong[0]}; check classes="
            )
        return values.astype(np.int64, copy=False)

    def _rows(self, rows: "ArrayLike") -> "NDArray[np.int64]":
        where = _to_numpy(rows)
        if where.ndim != 1 or (where.size and not np.issubdtype(where.dtype, np.integer)):
            raise ValueError(
                f"rows: must be row numbers (n,); shape {where.shape} of {where.dtype} came; pass "
                "the dataset rows of the predictions"
            )
        wrong = np.flatnonzero((where < 0) | (where >= self.size))
        if len(wrong):
            raise ValueError(
                f"rows: run from 0 to {self.size - 1}; {where[wrong[0]]} came; check size="
            )
        if len(np.unique(where)) < len(where):
            raise ValueError(
                "rows: each may come once in a call; one came twice; call add once for every epoch"
            )
        return where.astype(np.int64, copy=False)


def _to_numpy(values: Any) -> "NDArray[Any]":
    """Return an array, from torch on any device too."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if values.is_floating_point():
            values = values.float()
    return np.asarray(values)


def _longest_runs(
    history: "NDArray[Any]", seen: "NDArray[Any]"
) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    """Return the most frequent value and its frequency in the first entries of each row."""
    epochs = history.shape[1]
    unused = np.arange(epochs) >= seen[:, None]
    # What is not there yet sorts to the front, as values that occur once each.
    values = np.where(unused, -1 - np.arange(epochs), history.astype(np.int64))
    values = np.sort(values, axis=1)
    place = np.arange(epochs)
    starts = np.ones(values.shape, dtype=bool)
    starts[:, 1:] = values[:, 1:] != values[:, :-1]
    lengths = place - np.maximum.accumulate(np.where(starts, place, 0), axis=1) + 1
    lengths[values < 0] = 0
    # The first of equals, as rows are sorted, is the lowest class.
    best = lengths.argmax(axis=1)[:, None]
    found = np.take_along_axis(values, best, axis=1)[:, 0]
    return found, np.take_along_axis(lengths, best, axis=1)[:, 0]
