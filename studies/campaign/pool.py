"""The dataset of a campaign: rows that may be labeled, and a test set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...problems.arrays import Ints, as_integers, freeze, to_numpy
from ...problems.dataset import make_dataset
from ...problems.errors import InvalidInput
from ...problems.fingerprint import ArrayHash, hash_array

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_CHUNK = 1 << 20
"""Values that are hashed at a time."""


@dataclass(frozen=True, eq=False)
class Pool:
    """The dataset of a campaign: N rows that may be labeled, and a test set.

    Parameters
    ----------
    inputs
        What models see: a NumPy array or torch tensor, or anything else that an int64 array of
        rows indexes; N first.
    truth
        True classes ``(N,)``, -1 where unknown; None in a campaign with a person who has labeled
        nothing yet.
    test_inputs, test_truth
        The test set and its classes ``(T,)``, or None.
    classes
        Number of classes C.
    class_names
        Names of the classes ``(C,)``, by which a person may answer, or None.
    ids
        One str or int for each row ``(N,)``, or None.
    table
        Columns ``(N,)`` by name, such as ``video``, ``frame``, or ``source`` (the row that a
        duplicate was made from).

    Raises
    ------
    InvalidInput
        If lengths differ, a class does not exist, or ids or names repeat.

    Examples
    --------
    >>> pool = Pool(np.eye(4), truth=[0, 1, 1, -1], classes=2)
    >>> pool.size, pool.is_image
    (4, False)
    """

    inputs: Any
    truth: Ints | None = None
    test_inputs: Any = None
    test_truth: Ints | None = None
    classes: int = 2
    ids: npt.NDArray[Any] | None = None
    table: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    class_names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Validate."""
        size = _length(self.inputs, "inputs")
        if not size:
            raise InvalidInput("inputs: must hold at least one row; got none; pass the dataset")
        if isinstance(self.classes, bool) or self.classes < 2:
            raise InvalidInput(f"classes: must be an int of at least 2; got {self.classes!r}")
        dataset = make_dataset(size, ids=self.ids, table=self.table)
        truth = self._classes(self.truth, "truth", size)
        tested = None
        if self.test_inputs is not None:
            tested = self._classes(
                self.test_truth, "test_truth", _length(self.test_inputs, "test_inputs")
            )
        elif self.test_truth is not None:
            raise InvalidInput("test_truth: has no test_inputs; pass both or none")
        found = {
            "truth": truth,
            "test_truth": tested,
            "ids": dataset.ids,
            "table": dict(dataset.table),
            "class_names": _named(self.class_names, self.classes),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)

    @property
    def size(self) -> int:
        """N, the number of rows."""
        return _length(self.inputs, "inputs")

    @property
    def is_image(self) -> bool:
        """Whether a row is an image ``(channels, height, width)``."""
        return len(getattr(self.inputs, "shape", ())) == 4

    @property
    def known(self) -> Ints:
        """Rows whose class is known."""
        truth = self.truth
        return np.zeros(0, np.int64) if truth is None else np.flatnonzero(truth >= 0)

    def fingerprint(self) -> str:
        """Return a hash of the values that a campaign depends on.

        Inputs that are no arrays count by their length alone.
        """
        named = {"truth": self.truth, "test_truth": self.test_truth, "ids": self.ids, **self.table}
        if self.class_names is not None:
            named["class_names"] = np.array(self.class_names)
        digests = [hash_array(name, value) for name, value in named.items() if value is not None]
        for name in ("inputs", "test_inputs"):
            values = getattr(self, name)
            if values is not None:
                digests.append(_hash_inputs(name, values))
        return hash_array(
            f"pool {self.classes}", np.frombuffer(b"".join(digests), dtype=np.uint8)
        ).hex()

    def _classes(self, values: Any, name: str, size: int) -> Ints | None:
        if values is None:
            return None
        classes = as_integers(values, name)
        if classes.shape != (size,):
            raise InvalidInput(
                f"{name}: must hold one class for each of {size} rows; got shape {classes.shape}; "
                "use -1 where it is not known"
            )
        wrong = np.flatnonzero((classes < -1) | (classes >= self.classes))
        if len(wrong):
            raise InvalidInput(
                f"{name}: classes run from 0 to {self.classes - 1}, -1 is unknown; row {wrong[0]} "
                f"holds {classes[wrong[0]]}; check classes"
            )
        return freeze(classes)


def _named(names: Sequence[str] | None, classes: int) -> tuple[str, ...] | None:
    """Return the names of the classes without blanks around them."""
    if names is None:
        return None
    found = tuple(name.strip() if isinstance(name, str) else "" for name in names)
    if len(found) != classes or not all(found) or len(set(found)) < classes:
        raise InvalidInput(
            f"class_names: must be one text for each of {classes} classes, no two alike; got "
            f"{list(names)!r}"
        )
    wrong = [at for at, name in enumerate(found) if name.isdecimal() and name != str(at)]
    if wrong:
        raise InvalidInput(
            f"class_names: class {wrong[0]} is called {found[wrong[0]]!r}, which reads as the "
            "number of another class; write it otherwise, such as "
            f"'no. {found[wrong[0]]}'"
        )
    return found


def _length(values: Any, name: str) -> int:
    try:
        return len(values)
    except TypeError:
        raise InvalidInput(
            f"{name}: must have a length and take rows as index; got {type(values).__name__}; "
            "pass an array or tensor"
        ) from None


def _hash_inputs(name: str, values: Any) -> bytes:
    shape = getattr(values, "shape", None)
    if shape is None:
        return hash_array(name, np.array([len(values)]))
    running = ArrayHash(name, tuple(map(int, shape)))
    for part in _parts(values):
        running.update(part)
    return running.digest()


def _parts(values: Any) -> Iterator[npt.NDArray[Any]]:
    step = max(1, _CHUNK // max(1, int(np.prod(values.shape[1:]))))
    for start in range(0, len(values), step):
        yield to_numpy(values[start : start + step])
