"""Limits on how many labels of a class are expected among the chosen rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..arrays import as_integers, as_matrix, as_vector, to_numpy
from ..errors import InfeasibleSelection, InvalidInput
from ..fingerprint import fingerprint, hash_array
from ..probabilities import Probabilities, as_probabilities
from .base import NONE, SLACK, Constraint, Guard, LinearRows, sparse_rows
from .growing import Room

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..arrays import Floats, Ints
    from ..dataset import Dataset


@dataclass(frozen=True, eq=False)
class ExpectedCount(Constraint):
    r"""So many labels of each class in expectation: :math:`l_k \le \sum_i p_{ik} z_i \le u_k`.

    Newly chosen rows are counted; labeled rows are not. Sums may leave the limits by 1e-9 of them.

    Parameters
    ----------
    probs
        P ``(N, C)``, rows that sum to 1.
    classes
        The class that is meant, or a list of them; each is limited by itself.
    at_most, at_least
        Labels, a number for every class or a list with one for each.

    Examples
    --------
    >>> from labelcut import BudgetedSelection, solve
    >>> probs = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]
    >>> cyclists = ExpectedCount(probs, classes=1, at_least=1.0)
    >>> solve(BudgetedSelection([3, 2, 1], budget=2, constraints=[cyclists])).indices
    array([1, 2])
    """

    kind: ClassVar[str] = "expected-count"
    file_arrays: ClassVar[Mapping[str, str]] = {"probs": "numbers"}
    file_parameters: ClassVar[Mapping[str, tuple[type, ...]]] = {
        "classes": (int, list),
        "at_most": (float, int, list),
        "at_least": (float, int, list),
    }
    file_required: ClassVar[tuple[str, ...]] = ("probs", "classes")
    probs: Any
    classes: Any
    at_most: Any = None
    at_least: Any = None
    columns: Floats = field(init=False, repr=False)
    """Probabilities ``(N, k)`` of the classes that are meant, once bound; 0 off the candidates."""

    def bind(self, dataset: Dataset) -> ExpectedCount:
        """Return the constraint with its probabilities and limits validated."""
        if self.at_most is None and self.at_least is None:
            raise InvalidInput(
                f"{self.title}: needs at_most or at_least; got neither; say how many labels"
            )
        given = isinstance(self.probs, Probabilities)
        probs = self.probs if given else as_matrix(self.probs, f"{self.title} probs")
        if probs.shape[0] != dataset.size:
            raise InvalidInput(
                f"{self.title} probs: must have {dataset.size} rows; got {probs.shape[0]}; "
                "pass one row of probabilities for each row of the dataset"
            )
        try:
            probs = as_probabilities(probs, dataset)
        except InvalidInput as error:
            raise InvalidInput(f"{self.title} {error}") from None
        classes = np.atleast_1d(as_integers(self.classes, f"{self.title} classes"))
        wrong = classes[(classes < 0) | (classes >= probs.shape[1])]
        if len(wrong) or not len(classes) or len(np.unique(classes)) < len(classes):
            raise InvalidInput(
                f"{self.title} classes: must be distinct and lie in 0..{probs.shape[1] - 1}; "
                f"got {classes.tolist()}; name columns of probs"
            )
        bound = replace(
            self,
            probs=probs,
            classes=classes,
            at_most=_limits(self.at_most, f"{self.title} at_most", len(classes)),
            at_least=_limits(self.at_least, f"{self.title} at_least", len(classes)),
        )
        crossed = np.flatnonzero(bound.lower > bound.upper)
        if len(crossed):
            at = crossed[0]
            raise InvalidInput(
                f"{self.title}: at_least must not exceed at_most; class {classes[at]} has "
                f"{bound.lower[at]:g} and {bound.upper[at]:g}; mend one of them"
            )
        object.__setattr__(bound, "columns", bound._columns(dataset))
        return bound

    def _columns(self, dataset: Dataset) -> Floats:
        columns = np.zeros((dataset.size, len(self.classes)))
        for first, values in self.probs.chunks():
            columns[first : first + len(values)] = values[:, self.classes]
        columns[~dataset.is_candidate] = 0.0
        return columns

    @cached_property
    def lower(self) -> Floats:
        """The smallest expected count of each class that is meant ``(k,)``."""
        return np.zeros(len(self.classes)) if self.at_least is None else self.at_least

    @cached_property
    def upper(self) -> Floats:
        """The largest expected count of each class that is meant ``(k,)``; infinite without one."""
        return np.full(len(self.classes), np.inf) if self.at_most is None else self.at_most

    def expected(self, chosen: Ints) -> Floats:
        """Return how many labels of each class that is meant are expected ``(k,)``."""
        return np.asarray(self.columns[chosen].sum(axis=0))

    def check(self, chosen: Ints, dataset: Dataset) -> None:
        """Raise naming the class whose expected count is farthest outside its limits."""
        del dataset
        self._check(chosen, self.lower)

    def check_growing(self, chosen: Ints, dataset: Dataset) -> None:
        """Raise naming the class whose expected count is most above its largest."""
        del dataset
        self._check(chosen, np.zeros_like(self.lower))

    def _check(self, chosen: Ints, lower: Floats) -> None:
        counts = self.expected(chosen)
        over = counts - self.upper * (1.0 + SLACK)
        under = lower * (1.0 - SLACK) - counts
        outside = np.maximum(over, under)
        worst = int(outside.argmax())
        if outside[worst] > 0:
            side, limit = (
                ("most", self.upper[worst]) if over[worst] > 0 else ("least", lower[worst])
            )
            raise InfeasibleSelection(
                f"{self.title}: {counts[worst]:.10g} labels of class {self.classes[worst]} are "
                f"expected, at {side} {limit:.10g} are asked for"
            )

    def linear(self, dataset: Dataset) -> LinearRows:
        """Return one row for each limit."""
        parts: list[tuple[Ints, Ints, Floats]] = []
        limits: list[float] = []
        for sign, bounds in ((1.0, self.upper), (-1.0, self.lower)):
            limited = np.isfinite(bounds) if sign > 0 else bounds > 0
            for at in np.flatnonzero(limited):
                rows = np.flatnonzero(self.columns[:, at])
                parts.append((np.full(len(rows), len(limits)), rows, sign * self.columns[rows, at]))
                limits.append(sign * bounds[at] * (1.0 + sign * SLACK))
        if not parts:
            return sparse_rows(NONE, NONE, 0.0, [], dataset.size)
        at_rows, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        return sparse_rows(at_rows, columns, values, limits, dataset.size)

    def describe(self) -> str:
        """Return the limits in words, such as ``at least 50 expected of class 3``."""
        return " and ".join(
            f"{name.replace('_', ' ')} {_in_words(limit)} expected of "
            f"class{'es' if len(self.classes) > 1 else ''} {', '.join(map(str, self.classes))}"
            for name, limit in (("at_least", self.at_least), ("at_most", self.at_most))
            if limit is not None
        )

    def arrays(self) -> Mapping[str, Any]:
        """Return the probabilities as they were given."""
        return {"probs": self.probs.matrix}

    def parameters(self) -> Mapping[str, Any]:
        """Return classes and limits."""
        stated = {"classes": self.classes, "at_most": self.at_most, "at_least": self.at_least}
        return {name: at.tolist() for name, at in stated.items() if at is not None}

    def fingerprint(self) -> str:
        """Hex blake2b over probabilities, classes and limits; not over its name."""
        values = {"classes": self.classes, "lower": self.lower, "upper": self.upper}
        hashes = [hash_array(name, at) for name, at in values.items()]
        return fingerprint(self.kind, {}, [self.probs.digest, *hashes])

    def forbidden(self, dataset: Dataset) -> Ints:
        """Return the candidates that alone exceed a limit."""
        rows = dataset.candidates
        return rows[(self.columns[rows] > self.upper * (1.0 + SLACK)).any(axis=1)]

    def guard(self, dataset: Dataset) -> Guard:
        """Return a guard that closes what would exceed a limit and knows what is short."""
        return _ExpectedGuard(self, dataset)


class _ExpectedGuard(Guard):
    def __init__(self, rule: ExpectedCount, dataset: Dataset) -> None:
        super().__init__(rule.closed(dataset))
        self.columns = rule.columns
        self.short = rule.lower.copy()
        best = -np.sort(-rule.columns[:, rule.lower > 0], axis=0)
        self.best = np.cumsum(best, axis=0)
        self.rooms = [
            Room(rule.columns[:, at], limit * (1.0 + SLACK / 2))
            for at, limit in enumerate(rule.upper)
            if isfinite(limit)
        ]
        self.wanted = np.flatnonzero(rule.lower > 0)

    def add(self, row: int) -> Ints:
        self.short -= self.columns[row]
        closed = [room.take(row) for room in self.rooms]
        return np.concatenate(closed) if closed else NONE

    def needs(self) -> int:
        return int(self._each().max(initial=0))

    def helps(self, rows: int | Ints) -> Any:
        each = self._each()
        at = int(each.argmax())
        column = self.wanted[at]
        return self.columns[rows, column] >= self.short[column] / max(each[at], 1)

    def _each(self) -> Ints:
        """Return how many of the best rows each class lacks, those taken counted again."""
        return np.array(
            [
                np.searchsorted(self.best[:, at], self.short[column] * (1.0 - SLACK)) + 1
                if self.short[column] > 0
                else 0
                for at, column in enumerate(self.wanted)
            ],
            dtype=np.int64,
        )


def _limits(stated: Any, what: str, count: int) -> Floats | None:
    if stated is None:
        return None
    array = to_numpy(stated, what)
    limits = as_vector(np.full(count, stated) if array.ndim == 0 else array, what, count)
    if not ((limits >= 0) & np.isfinite(limits)).all():
        raise InvalidInput(f"{what}: must be finite and ≥ 0; got {stated}; say how many labels")
    return limits


def _in_words(limits: Floats) -> str:
    return ", ".join(f"{limit:g}" for limit in limits)
