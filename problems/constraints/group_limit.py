"""Limits on how many rows are chosen of each group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..arrays import as_number, freeze
from ..errors import InfeasibleSelection, InvalidInput
from ..fingerprint import fingerprint, hash_array
from .base import NONE, Constraint, Guard, LinearRows, sparse_rows
from .labels import Labels, as_labels

if TYPE_CHECKING:
    from ..arrays import Ints
    from ..dataset import Dataset

Limit = int | Mapping[Any, int] | None
LARGEST = 1 << 62
"""More rows than there are anywhere."""


@dataclass(frozen=True, eq=False)
class GroupLimit(Constraint):
    r"""So many rows of each group: :math:`l_g \le \sum_{i \in g} z_i \le u_g`.

    Newly chosen rows are counted; labeled rows are not.

    Parameters
    ----------
    groups
        Label of each row's group ``(N,)``, str or int: its video, its city, its cluster.
    at_most, at_least
        A whole number for every group, or a mapping from labels to numbers for some of them.

    Examples
    --------
    >>> from labelcut import BudgetedSelection, solve
    >>> night_and_day = GroupLimit(["day", "day", "night"], at_least={"night": 1}, at_most=1)
    >>> solve(BudgetedSelection([3, 2, 1], budget=2, constraints=[night_and_day])).indices
    array([0, 2])
    """

    kind: ClassVar[str] = "group-limit"
    file_arrays: ClassVar[Mapping[str, str]] = {"groups": "labels"}
    file_parameters: ClassVar[Mapping[str, tuple[type, ...]]] = {
        "at_most": (int, dict),
        "at_least": (int, dict),
    }
    file_required: ClassVar[tuple[str, ...]] = ("groups",)
    groups: Any
    at_most: Limit = None
    at_least: Limit = None

    def bind(self, dataset: Dataset) -> GroupLimit:
        """Return the constraint with its labels counted and its limits validated."""
        if self.at_most is None and self.at_least is None:
            raise InvalidInput(
                f"{self.title}: needs at_most or at_least; got neither; say how many of each group"
            )
        labels = as_labels(self.groups, f"{self.title} groups", dataset.size)
        bound = replace(self, groups=labels)
        sizes = np.bincount(labels.codes, minlength=len(labels.names))
        short = np.flatnonzero(bound.lower > sizes)
        if len(short):
            at = short[0]
            raise InvalidInput(
                f"{self.title} at_least: {bound.lower[at]} rows of group {labels.names[at]!s} are "
                f"asked for, it has {sizes[at]}; lower it, or name only the groups that are meant "
                f"({len(short)} groups are too small)"
            )
        crossed = np.flatnonzero(bound.lower > bound.upper)
        if len(crossed):
            at = crossed[0]
            raise InvalidInput(
                f"{self.title}: at_least must not exceed at_most; group {labels.names[at]!s} has "
                f"{bound.lower[at]} and {bound.upper[at]}; mend one of them"
            )
        return bound

    @property
    def labels(self) -> Labels:
        """The groups, once bound."""
        assert isinstance(self.groups, Labels)
        return self.groups

    @cached_property
    def lower(self) -> Ints:
        """The smallest count of each group ``(G,)``."""
        return self._limits(self.at_least, "at_least", 0)

    @cached_property
    def upper(self) -> Ints:
        """The largest count of each group ``(G,)``; its size where there is no limit."""
        sizes = np.bincount(self.labels.codes, minlength=len(self.labels.names))
        return np.minimum(self._limits(self.at_most, "at_most", len(self.labels.codes)), sizes)

    def _limits(self, stated: Limit, name: str, default: int) -> Ints:
        labels, what = self.labels, f"{self.title} {name}"
        limits = np.full(len(labels.names), default, dtype=np.int64)
        if isinstance(stated, Mapping):
            seen = set()
            for label, number in stated.items():
                code = labels.code(label, what)
                if code in seen:
                    raise InvalidInput(f"{what}: group {label!s} comes twice; keep one of the two")
                seen.add(code)
                limits[code] = _count(number, f"{what} of {label!s}")
        elif stated is not None:
            limits[:] = _count(stated, what)
        return freeze(limits)

    def check(self, chosen: Ints, dataset: Dataset) -> None:
        """Raise naming the group whose count is farthest outside its limits."""
        self._check(chosen, dataset, self.lower)

    def check_growing(self, chosen: Ints, dataset: Dataset) -> None:
        """Raise naming the group that is most above its largest count."""
        self._check(chosen, dataset, np.zeros_like(self.lower))

    def _check(self, chosen: Ints, dataset: Dataset, lower: Ints) -> None:
        chosen = chosen[dataset.is_candidate[chosen]]
        labels = self.labels
        counts = np.bincount(labels.codes[chosen], minlength=len(labels.names))
        worst, outside = 0, np.maximum(counts - self.upper, lower - counts)
        if len(outside) and outside.max() > 0:
            worst = int(outside.argmax())
            over = counts[worst] > self.upper[worst]
            limit = self.upper[worst] if over else lower[worst]
            raise InfeasibleSelection(
                f"{self.title}: {counts[worst]} rows of group {labels.names[worst]!s} are chosen, "
                f"at {'most' if over else 'least'} {limit} are asked for; "
                f"{np.count_nonzero(outside > 0)} groups are outside their limits"
            )

    def linear(self, dataset: Dataset) -> LinearRows:
        """Return one row for each limit that the number of candidates does not keep by itself."""
        labels, rows = self.labels, dataset.candidates
        sizes = np.bincount(labels.codes[rows], minlength=len(labels.names))
        signs = ((1.0, self.upper < sizes), (-1.0, self.lower > 0))
        parts, limits, above = [], [], 0
        for sign, limited in signs:
            number = np.cumsum(limited) - 1 + above
            members = rows[limited[labels.codes[rows]]]
            parts.append((number[labels.codes[members]], members, np.full(len(members), sign)))
            limits.append(sign * (self.upper if sign > 0 else self.lower)[limited])
            above += int(limited.sum())
        at, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        return sparse_rows(at, columns, values, np.concatenate(limits), dataset.size)

    def describe(self) -> str:
        """Return the limits in words, such as ``at most 12 of each of 800``."""
        count = len(self.labels.names)
        return " and ".join(
            f"{name.replace('_', ' ')} {_in_words(stated, count)}"
            for name, stated in (("at_least", self.at_least), ("at_most", self.at_most))
            if stated is not None
        )

    def arrays(self) -> Mapping[str, Any]:
        """Return the labels."""
        return {"groups": self.labels.values}

    def parameters(self) -> Mapping[str, Any]:
        """Return the limits; labels of a mapping as text."""
        stated = {"at_most": self.at_most, "at_least": self.at_least}
        return {
            name: {str(label): int(number) for label, number in limit.items()}
            if isinstance(limit, Mapping)
            else int(limit)
            for name, limit in stated.items()
            if limit is not None
        }

    def fingerprint(self) -> str:
        """Hex blake2b over who is with whom and the limits; not over labels or the name."""
        values = {"codes": self.labels.codes, "lower": self.lower, "upper": self.upper}
        return fingerprint(self.kind, {}, [hash_array(name, at) for name, at in values.items()])

    def forbidden(self, dataset: Dataset) -> Ints:
        """Return the candidates of groups of which none may be chosen."""
        rows = dataset.candidates
        return np.asarray(rows[self.upper[self.labels.codes[rows]] == 0])

    def guard(self, dataset: Dataset) -> Guard:
        """Return a guard that closes full groups and knows which ones are short."""
        return _GroupGuard(self, dataset)


class _GroupGuard(Guard):
    def __init__(self, limit: GroupLimit, dataset: Dataset) -> None:
        super().__init__(limit.closed(dataset))
        self.codes = limit.labels.codes
        self.members, self.starts = limit.labels.members()
        self.room = limit.upper.copy()
        self.short = limit.lower.copy()
        self.missing = int(self.short.sum())

    def add(self, row: int) -> Ints:
        group = self.codes[row]
        if self.short[group] > 0:
            self.short[group] -= 1
            self.missing -= 1
        self.room[group] -= 1
        full = self.room[group] <= 0
        return self.members[self.starts[group] : self.starts[group + 1]] if full else NONE

    def needs(self) -> int:
        return self.missing

    def helps(self, rows: int | Ints) -> Any:
        return self.short[self.codes[rows]] > 0


def _count(value: Any, what: str) -> int:
    number = as_number(value, what)
    if not (number >= 0 and number.is_integer()):
        raise InvalidInput(f"{what}: must be a whole number ≥ 0; got {value}; say how many rows")
    return min(int(number), LARGEST)


def _in_words(stated: Limit, count: int, at_most: int = 3) -> str:
    if not isinstance(stated, Mapping):
        return f"{stated} of each of {count}"
    if not stated:
        return "any number, no group being named"
    some = [f"{number} of {label}" for label, number in list(stated.items())[:at_most]]
    more = f" and {len(stated) - at_most} more" if len(stated) > at_most else ""
    return ", ".join(some) + more
