"""A distance in time between all rows that are labeled."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..arrays import as_number, freeze, to_numpy
from ..errors import InfeasibleSelection, InvalidInput
from ..fingerprint import fingerprint, hash_array
from .base import NONE, Constraint, Guard, LinearRows, sparse_rows
from .labels import Labels, as_labels
from .timeline import Timeline, make_timeline

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from ..arrays import Ints, Mask
    from ..dataset import Dataset

LARGEST = 1 << 62


@dataclass(frozen=True, eq=False)
class Spacing(Constraint):
    r"""No two rows of a sequence so close: :math:`|t_i - t_j| \le k` excludes one of i and j.

    Labeled rows count: what lies so close to one of them is not chosen. Rows at the same position
    exclude each other. The difference is the later position less the earlier one as computed, in
    whole numbers where positions are whole, else in float64.

    Parameters
    ----------
    sequence
        Label of each row's sequence ``(N,)``, such as its video, or None for a single one.
    position
        t ``(N,)``: frame numbers or times, in any order, finite on candidates and labeled rows.
    exclude_within
        k ≥ 0, in the unit of `position`.

    Examples
    --------
    >>> from labelcut import BudgetedSelection, solve
    >>> spacing = Spacing(["clip"] * 4, [0, 1, 2, 3], exclude_within=1)
    >>> solve(BudgetedSelection([2, 3, 2.5, 1], budget=2, constraints=[spacing])).indices
    array([0, 2])
    """

    kind: ClassVar[str] = "spacing"
    file_arrays: ClassVar[Mapping[str, str]] = {"sequence": "labels", "position": "numbers"}
    file_parameters: ClassVar[Mapping[str, tuple[type, ...]]] = {"exclude_within": (float, int)}
    file_required: ClassVar[tuple[str, ...]] = ("position", "exclude_within")
    sequence: Any
    position: Any
    exclude_within: float
    timeline: Timeline = field(init=False, repr=False)
    """The candidates that are not too close to a labeled row, once bound."""
    near_labeled: Ints = field(init=False, repr=False)
    """The candidates that are, ascending, once bound."""

    def bind(self, dataset: Dataset) -> Spacing:
        """Return the constraint with its rows in order of time."""
        sequence = self.sequence
        if sequence is None:
            sequence = np.zeros(dataset.size, dtype=np.int64)
        labels = as_labels(sequence, f"{self.title} sequence", dataset.size)
        position = _positions(self.position, f"{self.title} position", dataset)
        gap = as_number(self.exclude_within, f"{self.title} exclude_within")
        if not (gap >= 0 and isfinite(gap)):
            raise InvalidInput(
                f"{self.title} exclude_within: must be a finite number ≥ 0; got "
                f"{self.exclude_within}; give it in the unit of position"
            )
        whole = gap.is_integer() and position.dtype.kind == "i" and gap < LARGEST
        limit: Any = int(gap) if whole else gap
        bound = replace(self, sequence=labels, position=freeze(position), exclude_within=limit)
        used = _used(dataset)
        timeline = make_timeline(used, labels.codes, position, limit)
        near = _near(timeline, ~dataset.is_candidate[timeline.rows])
        candidate = dataset.is_candidate[timeline.rows]
        object.__setattr__(bound, "timeline", timeline.kept(candidate & ~near))
        object.__setattr__(bound, "near_labeled", np.sort(timeline.rows[candidate & near]))
        return bound

    @property
    def labels(self) -> Labels:
        """The sequences, once bound."""
        assert isinstance(self.sequence, Labels)
        return self.sequence

    def check(self, chosen: Ints, dataset: Dataset) -> None:
        """Raise naming the two rows that are closest."""
        chosen = chosen[dataset.is_candidate[chosen]]
        rows = np.concatenate([chosen, dataset.labeled])
        order = rows[np.lexsort((rows, self.position[rows], self.labels.codes[rows]))]
        one, other = order[:-1], order[1:]
        may = (self.labels.codes[one] == self.labels.codes[other]) & (
            dataset.is_candidate[one] | dataset.is_candidate[other]
        )
        apart = self.position[other] - self.position[one]
        close = np.flatnonzero(may & (apart <= self.exclude_within))
        if not len(close):
            return
        at = close[apart[close].argmin()]
        first, second = int(one[at]), int(other[at])
        already = [row for row in (first, second) if not dataset.is_candidate[row]]
        note = f", of which {dataset.name(already[0])} is labeled already" if already else ""
        raise InfeasibleSelection(
            f"{self.title}: {dataset.name(first)} and {dataset.name(second)} of "
            f"{self._name(first)} lie {apart[at]:.10g} apart, more than "
            f"{self.exclude_within:.10g} is asked for{note}; {len(close)} such pairs"
        )

    def linear(self, dataset: Dataset) -> LinearRows:
        """Return ``z(window) <= 1`` for each largest window, ``z_i <= 0`` near labeled rows."""
        return self.linear_among(np.ones(dataset.size, dtype=bool))

    def linear_among(self, kept: Mask) -> LinearRows:
        """Return the rows that `linear` would have if only some rows ``(N,)`` could be chosen.

        Windows overlap, so that all of them may have far more entries than the dataset has rows.
        """
        rows, members = self.timeline.kept(kept[self.timeline.rows]).windows()
        count = int(rows.max(initial=-1)) + 1
        near_labeled = self.near_labeled[kept[self.near_labeled]]
        near = np.arange(len(near_labeled)) + count
        limits = np.concatenate([np.ones(count), np.zeros(len(near))])
        return sparse_rows(
            np.concatenate([rows, near]),
            np.concatenate([members, near_labeled]),
            1.0,
            limits,
            len(kept),
        )

    def describe(self) -> str:
        """Return the spacing."""
        return f"spacing {self.exclude_within:g}"

    def arrays(self) -> Mapping[str, Any]:
        """Return sequences and positions."""
        return {"sequence": self.labels.values, "position": self.position}

    def parameters(self) -> Mapping[str, Any]:
        """Return the spacing."""
        return {"exclude_within": self.exclude_within}

    def fingerprint(self) -> str:
        """Hex blake2b over who is with whom, positions and spacing; not over labels or name."""
        values = {"codes": self.labels.codes, "position": self.position}
        hashes = [hash_array(name, at) for name, at in values.items()]
        return fingerprint(self.kind, {"exclude_within": float(self.exclude_within)}, hashes)

    def forbidden(self, dataset: Dataset) -> Ints:
        """Return the candidates that are too close to a labeled row."""
        del dataset
        return self.near_labeled

    def guard(self, dataset: Dataset) -> Guard:
        """Return a guard that closes the neighbours of what is taken."""
        return _SpacingGuard(self, dataset)

    def _name(self, row: int) -> str:
        return f"sequence {self.labels.names[self.labels.codes[row]]!s}"


class _SpacingGuard(Guard):
    def __init__(self, spacing: Spacing, dataset: Dataset) -> None:
        super().__init__(spacing.closed(dataset))
        self.line = spacing.timeline
        self.place = np.full(dataset.size, -1, dtype=np.int64)
        self.place[self.line.rows] = np.arange(len(self.line.rows))

    def add(self, row: int) -> Ints:
        place = self.place[row]
        if place < 0:
            return NONE
        return self.line.rows[self.line.first[place] : self.line.last[place] + 1]


def _used(dataset: Dataset) -> Ints:
    """Return the candidates and the labeled rows, ascending."""
    used = dataset.is_candidate.copy()
    used[dataset.labeled] = True
    return np.flatnonzero(used)


def _near(timeline: Timeline, labeled: Mask) -> Mask:
    """Return which places a labeled one excludes ``(n,)``."""
    places = np.arange(len(labeled))
    reach = np.maximum.accumulate(np.where(labeled, timeline.last, -1))
    counts = np.concatenate([[0], np.cumsum(labeled)])
    ahead = counts[timeline.last + 1] - counts[places + 1]
    return np.asarray((reach >= places) | (ahead > 0))


def _positions(values: Any, what: str, dataset: Dataset) -> npt.NDArray[Any]:
    array = to_numpy(values, what)
    if array.dtype.kind == "f":
        array = array.astype(np.float64)
    if array.dtype.kind not in "iuf":
        raise InvalidInput(
            f"{what}: must be numbers; got {array.dtype}; pass frame numbers or seconds"
        )
    if array.shape != (dataset.size,):
        raise InvalidInput(
            f"{what}: must have {dataset.size} values; got shape {array.shape}; pass one a row"
        )
    used = _used(dataset)
    # Compared before the conversion, in which large unsigned numbers would become negative.
    wrong = used[~((array[used] > -LARGEST) & (array[used] < LARGEST))]
    if len(wrong):
        raise InvalidInput(
            f"{what}: must be finite on candidates and labeled rows; {dataset.name(int(wrong[0]))} "
            f"holds {array[wrong[0]]}; mend it, or leave the row out of both"
        )
    return np.array(array, dtype=np.float64 if array.dtype.kind == "f" else np.int64)
