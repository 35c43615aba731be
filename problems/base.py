"""What every problem and every solution agree on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isnan
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pathlib import Path

TINY = 1e-10
"""Objectives below this count as this in relative gaps."""


class Sense(StrEnum):
    """Whether a smaller or a larger objective is better."""

    MIN = "min"
    MAX = "max"

    def better(self, one: float, other: float) -> bool:
        """Whether one objective beats another."""
        return one < other if self is Sense.MIN else one > other


class Status(StrEnum):
    """What is known of an answer."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNKNOWN = "unknown"


class StoppedBy(StrEnum):
    """Why a run ended."""

    GAP = "gap"
    EXHAUSTED = "exhausted"
    TIME = "time"
    INTERRUPT = "interrupt"


@dataclass(frozen=True)
class Evaluation:
    """A problem's objective at an answer, and its parts.

    Parameters
    ----------
    objective
        The objective in float64.
    terms
        Its parts by name, positive quantities before weighting.
    """

    objective: float
    terms: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Certificate:
    """What lets somebody else re-check a bound without solving.

    Parameters
    ----------
    kind
        ``"multipliers"``, or ``"branch-and-bound"`` for a bound that no short proof supports.
    recheckable
        Whether `values` prove the whole bound; if not, they prove `bound` at best.
    bound
        The bound that `values` prove by themselves, or None if there are none.
    values
        The proof's numbers by name.
    """

    kind: str
    recheckable: bool
    bound: float | None
    values: Mapping[str, Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Solution:
    """An answer with its proof; see `Selection` for one that holds rows.

    Parameters
    ----------
    sense
        Whether the objective is minimized or maximized.
    objective
        The problem's objective at the answer, recomputed in float64; None without an answer.
    bound
        A proven bound on the best objective possible (lower for min, upper for max), or None.
    status, stopped_by
        What is known, and why the run ended.
    terms
        The objective's parts by name, positive quantities before weighting.
    certificate
        What re-checks the bound, or None.
    reason
        Why nothing satisfies the constraints, when `status` is infeasible.
    method, seed, runtime, info
        How it came about; `runtime` in seconds.
    fingerprint
        The problem's hash.
    """

    sense: Sense
    objective: float | None
    bound: float | None
    status: Status
    stopped_by: StoppedBy
    terms: Mapping[str, float] = field(default_factory=dict)
    certificate: Certificate | None = None
    reason: str | None = None
    method: str
    seed: int = 0
    runtime: float = 0.0
    info: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str

    kind: ClassVar[str]

    @property
    def abs_gap(self) -> float | None:
        """``|objective - bound|``; a bound beyond the objective by rounding counts as 0."""
        if self.objective is None or self.bound is None:
            return None
        return absolute_gap(self.sense, self.objective, self.bound)

    @property
    def gap(self) -> float | None:
        """``abs_gap / max(|objective|, 1e-10)``."""
        if self.abs_gap is None or self.objective is None:
            return None
        return self.abs_gap / max(abs(self.objective), TINY)

    def save(self, path: str | Path) -> None:
        """Write the solution as JSON, whole or not at all."""
        from .solution_files import save_solution

        save_solution(self, path)


def absolute_gap(sense: Sense, objective: float, bound: float) -> float:
    """Return how far an objective may be from the best, at least 0."""
    gap = objective - bound if sense is Sense.MIN else bound - objective
    return max(gap, 0.0)


Answer = TypeVar("Answer", bound=Solution)


class Problem(ABC, Generic[Answer]):
    """What is being decided, stated as an optimization problem.

    A problem validates itself on construction, evaluates and checks answers, re-proves bounds from
    certificates and hashes its own values. It does not know how it is solved.
    """

    kind: ClassVar[str]
    sense: ClassVar[Sense]

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hex blake2b over kind, parameters, constraints and values; not over paths or ids."""

    @abstractmethod
    def evaluate(self, answer: Any) -> Evaluation:
        """Return objective and terms of an answer in float64."""

    @abstractmethod
    def check(self, answer: Any) -> None:
        """Raise `InfeasibleSelection` naming the first constraint broken and by how much."""

    @abstractmethod
    def prove(self, certificate: Certificate) -> float | None:
        """Return the bound that a certificate's values prove by themselves, or None."""

    def prepare(self, tick: Callable[[], None]) -> None:
        """Compute what most methods need and takes long; `tick` may raise for want of time."""
        del tick

    @abstractmethod
    def why_infeasible(self) -> str | None:
        """Return why no answer exists where that is seen at once, else None."""

    @abstractmethod
    def baseline(self) -> float | None:
        """Return the objective of the simplest answer, to read gaps against, or None."""

    @abstractmethod
    def kept(self, answer: Any) -> npt.NDArray[Any]:
        """Return a feasible answer as a search keeps it, in one canonical form."""

    @abstractmethod
    def solution(self, answer: npt.NDArray[Any] | None, **fields: Any) -> Answer:
        """Return the problem's kind of `Solution`; `answer` is as `kept` gave it, or None."""

    def notes(self) -> Mapping[str, Any]:
        """Return what a solution's ``info`` should say of the problem, by topic."""
        return {}


def plain(value: Any) -> Any:
    """Return a value made of JSON's own types: arrays become lists, NaN becomes None.

    Examples
    --------
    >>> plain({"a": np.array([1.5])})
    {'a': [1.5]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and isnan(value) else value
