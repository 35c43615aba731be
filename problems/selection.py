"""Problems that choose rows, and the answer to them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from .arrays import Ints, Mask, as_number, as_rows, freeze, to_numpy
from .base import Problem, Solution
from .constraints import Constraint, ExpectedCount, Forbid, Growth, Include, Spacing
from .constraints.timeline import ENTRY
from .contradictions import clash
from .dataset import Dataset, make_dataset
from .errors import InfeasibleSelection, InvalidInput
from .fingerprint import fingerprint, hash_array
from .growing import grow_at_random

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import Self

    from .class_balanced import ClassBalanced
    from .layouts import Layout
    from .probabilities import Probabilities


@dataclass(frozen=True, eq=False, kw_only=True)
class Selection(Solution):
    """Chosen rows with their objective, bound and certificate.

    Parameters
    ----------
    indices
        Chosen dataset rows, ascending; empty without an answer.
    order
        The same rows in the order of choice, where the solver has one.
    ids
        The problem's ids of `indices`, or None if it has none.
    table
        The problem's further columns at `indices`.
    """

    kind: ClassVar[str] = "selection"
    indices: Ints
    order: Ints | None = None
    ids: npt.NDArray[Any] | None = None
    table: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def summary(self) -> str:
        """Return the answer in a few lines of text."""
        lines = [f"{len(self.indices)} rows by {self.method}: {self.status}"]
        if self.reason:
            lines.append(f"reason     {self.reason}")
        if self.objective is not None:
            lines.append(f"objective  {self.objective:.6g} ({self.sense})")
        if self.gap is not None:
            lines.append(f"bound      {self.bound:.6g} (gap {self.gap:.2g})")
        lines += [f"{name:<10} {value:.6g}" for name, value in self.terms.items()]
        lines.append(f"seconds    {self.runtime:.2f} (stopped by {self.stopped_by})")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False, init=False, repr=False)
class SelectionProblem(Problem[Selection]):
    """A problem whose answer is some of the candidates, exactly `budget` of them where it has one.

    Subclasses add the objective. Everything here is validated and read-only; all rows are rows of
    the dataset.

    Parameters
    ----------
    budget
        b, the number of rows to choose, or None where constraints alone limit it.
    labeled, candidates, ids, table
        See `Dataset`.
    constraints
        Hard constraints; every one holds in every selection that a solver returns.
    """

    layout: ClassVar[Layout]
    """What its problem files may hold."""
    baseline_method: ClassVar[str]
    """The method whose answer `baseline` is the objective of."""
    budget: int | None
    labeled: Ints
    candidates: Ints
    constraints: tuple[Constraint, ...]
    ids: npt.NDArray[Any] | None
    table: Mapping[str, npt.NDArray[Any]]
    dataset: Dataset = field(init=False)

    def _set_rows(
        self,
        size: int,
        budget: int | None,
        labeled: Any,
        candidates: Any,
        constraints: Iterable[Constraint],
        ids: Any,
        table: Mapping[str, Any] | None,
    ) -> None:
        dataset = make_dataset(size, labeled, candidates, ids, table)
        if isinstance(constraints, Constraint):
            raise InvalidInput(
                f"constraints: must be a list; got one {type(constraints).__name__}; "
                "put it into brackets"
            )
        bound = tuple(_bind(constraint, dataset) for constraint in constraints)
        self._set(
            dataset=dataset,
            labeled=dataset.labeled,
            candidates=dataset.candidates,
            ids=dataset.ids,
            table=dataset.table,
            constraints=bound,
        )
        open_ended = budget is None and not self.layout.needs_budget
        self._set(budget=None if open_ended else self._as_budget(budget))

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _as_budget(self, budget: Any) -> int:
        number = as_number(budget, "budget")
        if not (number >= 1 and number.is_integer()):
            raise InvalidInput(
                f"budget: must be a whole number, at least 1; got {budget}; say how many rows"
            )
        forbidden = [rule.rows for rule in self.constraints if isinstance(rule, Forbid)]
        left = self.dataset.is_candidate.copy()
        for rows in forbidden:
            left[rows] = False
        count, free = int(number), int(np.count_nonzero(left))
        if count > free:
            taken = len(self.candidates) - free
            because = (
                f"{taken} of {len(self.candidates)} candidates are forbidden"
                if taken
                else f"{free} candidates among {self.dataset.size} rows, "
                f"{len(self.labeled)} of them labeled"
            )
            raise InvalidInput(
                f"budget: {count} rows asked for, {free} can be chosen ({because}); "
                "lower the budget or free some rows"
            )
        return count

    @cached_property
    def included(self) -> Ints:
        """Rows that every feasible selection holds, ascending."""
        rows = [constraint.included(self.dataset) for constraint in self.constraints]
        return freeze(np.unique(np.concatenate([np.empty(0, dtype=np.int64), *rows])))

    @cached_property
    def is_selectable(self) -> Mask:
        """Mask ``(N,)`` of the candidates that no constraint forbids outright."""
        mask = self.dataset.is_candidate.copy()
        for constraint in self.constraints:
            mask[constraint.forbidden(self.dataset)] = False
        return mask

    @cached_property
    def selectable(self) -> Ints:
        """Candidates that no constraint forbids outright, ascending."""
        return freeze(np.flatnonzero(self.is_selectable))

    @cached_property
    def free(self) -> Ints:
        """Selectable rows that the included rows leave open, themselves not counted, ascending."""
        if not self.is_limited:
            return freeze(np.setdiff1d(self.selectable, self.included, assume_unique=True))
        return freeze(np.flatnonzero(~self.grow().closed))

    @property
    def to_choose(self) -> int:
        """How many of the free rows to choose; at most so many where there is no budget."""
        return len(self.free) if self.budget is None else self.budget - len(self.included)

    @cached_property
    def is_limited(self) -> bool:
        """Whether it has constraints that do more than include and forbid rows."""
        return any(not isinstance(rule, Include | Forbid) for rule in self.constraints)

    def grow(self) -> Growth:
        """Return a fresh selection that holds the included rows and may take in others."""
        growth = Growth(self.constraints, self.dataset)
        for row in self.included:
            growth.add(int(row))
        return growth

    def window_bytes(self, kept: int = 0) -> int:
        """Return what the windows of all spacings but the first `kept` take as linear rows."""
        spacings = [rule for rule in self.constraints if isinstance(rule, Spacing)]
        return ENTRY * sum(rule.timeline.window_entries() for rule in spacings[kept:])

    def random_rows(self, rng: np.random.Generator, tick: Callable[[], None] | None = None) -> Ints:
        """Return the included rows, and others drawn at random; see `grow_at_random`.

        Raises
        ------
        Stuck
            If the draws leave no room for what the constraints ask for.
        """
        if self.is_limited:
            return grow_at_random(self, rng, tick)
        drawn = rng.choice(self.free, size=self.to_choose, replace=False)
        return np.concatenate([self.included, drawn])

    def rows_of(self, answer: Selection | Any) -> Ints:
        """Return the distinct, ascending dataset rows of a selection or an array of rows."""
        return as_rows(_indices(answer), "indices", self.dataset.size)

    def check(self, answer: Selection | Any) -> None:
        """Raise `InfeasibleSelection` naming the first constraint broken and by how much."""
        try:
            rows = self.rows_of(answer)
        except InvalidInput as error:
            raise InfeasibleSelection(str(error)) from None
        if self.budget is not None and len(rows) != self.budget:
            raise InfeasibleSelection(
                f"budget: {len(rows)} rows are chosen, exactly {self.budget} are asked for"
            )
        outside = rows[~self.dataset.is_candidate[rows]]
        if len(outside):
            why = "labeled already" if outside[0] in self.labeled else "not a candidate"
            raise InfeasibleSelection(
                f"candidates: {len(outside)} chosen rows may not be chosen; "
                f"{self.dataset.name(int(outside[0]))} is {why}"
            )
        for constraint in self.constraints:
            constraint.check(rows, self.dataset)

    def why_infeasible(self) -> str | None:
        """Return what the included rows contradict, if anything; further reasons take a search."""
        return clash(self)

    @cached_property
    def fingerprint(self) -> str:
        """Hex blake2b over kind, parameters, constraints and values; not over paths or ids."""
        rows = [
            hash_array("labeled", self.labeled),
            hash_array("candidates", self.candidates),
        ]
        rules = [constraint.fingerprint() for constraint in self.constraints]
        parameters = {"budget": self.budget, **self.parameters(), "constraints": sorted(rules)}
        return fingerprint(self.kind, parameters, [*self.hashes(), *rows])

    def kept(self, answer: Selection | Any) -> Ints:
        """Return rows as a search keeps them: ascending."""
        return np.sort(_indices(answer))

    def solution(
        self, answer: Ints | None, *, order: Ints | None = None, **fields: Any
    ) -> Selection:
        """Return the chosen rows with their ids and columns, and the rest of the solution."""
        rows = np.empty(0, dtype=np.int64) if answer is None else answer
        return Selection(
            indices=freeze(rows),
            order=None if order is None else freeze(order),
            ids=None if self.ids is None else freeze(self.ids[rows]),
            table={name: freeze(column[rows]) for name, column in self.table.items()},
            **fields,
        )

    @classmethod
    def from_file(cls, **arguments: Any) -> Self:
        """Make the problem from what a file states, by the names of its `layout`."""
        return cls(**arguments)

    @property
    def in_files(self) -> bool:
        """Whether a problem file can hold it; functions can stand in no file."""
        return True

    @property
    def class_balance(self) -> ClassBalanced | None:
        """The part of the problem that is about classes, or None without probabilities."""
        return None

    @property
    def class_probs(self) -> Probabilities | None:
        """The class balance's probabilities, or else the first `ExpectedCount`'s, or None."""
        if self.class_balance is not None:
            return self.class_balance.probs
        counted = (rule.probs for rule in self.constraints if isinstance(rule, ExpectedCount))
        return next(counted, None)

    def notes(self) -> Mapping[str, Any]:
        """Return how probabilities were corrected, where they were."""
        probs = self.class_probs
        if probs is None or probs.origin is None:
            return {}
        return {"correct": probs.origin.outcome.record()}

    @property
    @abstractmethod
    def term_names(self) -> tuple[str, ...]:
        """Names of the terms that tell one answer from another."""

    def facts(self) -> Mapping[str, Any]:
        """Return what else describes the problem, by names that people read, in JSON's types."""
        return {}

    @abstractmethod
    def parameters(self) -> Mapping[str, Any]:
        """Return the problem's own numbers and strings by their names in problem files."""

    @abstractmethod
    def arrays(self) -> Mapping[str, Any]:
        """Return the problem's own arrays by their names in problem files."""

    @abstractmethod
    def hashes(self) -> list[bytes]:
        """Return the hash of each of the problem's own arrays."""

    def save(self, path: str | Path) -> None:
        """Write a problem file, with its arrays in a folder beside it."""
        from .problem_files import save_problem

        save_problem(self, path)

    def __repr__(self) -> str:
        """Return kind and sizes, not the arrays."""
        return (
            f"{type(self).__name__}({self.dataset.size} rows, {len(self.labeled)} labeled, "
            f"{len(self.candidates)} candidates, budget {self.budget or 'open'})"
        )


def _bind(constraint: Any, dataset: Dataset) -> Constraint:
    if not isinstance(constraint, Constraint):
        raise InvalidInput(
            f"constraints: must be labelcut constraints; got {type(constraint).__name__}; "
            "pass a list such as [Include(rows)]"
        )
    if not (constraint.name is None or isinstance(constraint.name, str)):
        raise InvalidInput(f"constraints: a name must be text; got {constraint.name!r}")
    return constraint.bind(dataset)


def _indices(answer: Any) -> npt.NDArray[Any]:
    return to_numpy(answer.indices if isinstance(answer, Selection) else answer)
