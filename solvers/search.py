"""One run in progress: its clock, its best answer, its best bound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from ..problems.base import TINY, Certificate, Evaluation, StoppedBy, absolute_gap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..problems.base import Problem
    from ._clock import Clock


P = TypeVar("P", bound="Problem[Any]")


@dataclass(frozen=True)
class Progress:
    """What a progress callback is told.

    Parameters
    ----------
    elapsed
        Seconds since the run began.
    objective, bound
        The best so far, or None.
    """

    elapsed: float
    objective: float | None
    bound: float | None


class Stop(Exception):
    """A run is finished before its method is; carries why."""

    def __init__(self, stopped_by: StoppedBy) -> None:
        super().__init__(stopped_by)
        self.stopped_by = stopped_by


class Infeasible(Exception):
    """A method has shown that nothing satisfies the constraints."""


@dataclass
class Search(Generic[P]):
    """What a method works on: it offers answers and bounds, and the best of both survive it.

    So a run that is stopped, by the clock or by Ctrl-C, still returns everything it found.

    Parameters
    ----------
    problem
        What is solved.
    clock
        The wall clock of the run.
    options
        The method's options, complete with defaults.
    seed
        Seed of everything random.
    gap_tol, abs_gap_tol
        Where the search may end.
    on_progress
        Called with every improvement.
    info
        What the method wants to tell of its run, in JSON's types.
    rows, order, best
        The best answer so far: as its problem keeps it (rows ascending), rows in the order of
        choice, and its evaluation.
    extras
        What else the problem's kind of solution holds of the best answer, by name.
    bound, certificate
        The best bound so far and what re-checks it.
    complete
        Whether the method has shown that nothing better than `best` exists.
    """

    problem: P
    clock: Clock
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    gap_tol: float = 1e-4
    abs_gap_tol: float = 1e-6
    on_progress: Callable[[Progress], None] | None = None
    info: dict[str, Any] = field(default_factory=dict)
    rows: npt.NDArray[Any] | None = None
    order: npt.NDArray[Any] | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    best: Evaluation | None = None
    bound: float | None = None
    certificate: Certificate | None = None
    complete: bool = False

    def rng(self) -> np.random.Generator:
        """Return a fresh generator from the run's seed."""
        return np.random.default_rng(self.seed)

    def offer(self, rows: npt.NDArray[Any], *, ordered: bool = False, **known: Any) -> bool:
        """Take an answer in if it is feasible and the best so far.

        Parameters
        ----------
        rows
            Chosen rows, or the problem's other kind of answer.
        ordered
            Whether `rows` come in the order of choice.
        known
            What saves the problem time in evaluating them, such as ``nearest``; never believed.

        Raises
        ------
        InfeasibleSelection
            If the answer breaks a constraint: a mistake in the method, never in the user's input.
        """
        self.problem.check(rows)
        found = self.problem.evaluate(rows, **known)
        better = self.problem.sense.better
        if self.best is not None and not better(found.objective, self.best.objective):
            return False
        self.best, self.rows = found, self.problem.kept(rows)
        self.order = np.asarray(rows) if ordered else None
        self._report()
        return True

    def prove(self, bound: float, certificate: Certificate) -> bool:
        """Take a proven bound in if it is the best so far."""
        if not np.isfinite(bound):
            return False
        # Of two bounds the one farther from "better" says more: higher for min, lower for max.
        if self.bound is not None and not self.problem.sense.better(self.bound, bound):
            return False
        self.bound, self.certificate = bound, certificate
        self._report()
        return True

    def note_peak(self, peak: int | None) -> None:
        """Remember the peak memory of the HiGHS process, which this process does not see."""
        if peak is not None:
            self.info["worker_peak_bytes"] = max(peak, self.info.get("worker_peak_bytes", 0))

    @property
    def closed(self) -> bool:
        """Whether answer and bound are as close as asked for."""
        if self.best is None or self.bound is None:
            return False
        gap = absolute_gap(self.problem.sense, self.best.objective, self.bound)
        return gap <= max(self.abs_gap_tol, self.gap_tol * max(abs(self.best.objective), TINY))

    def stop_if_closed(self) -> None:
        """Raise `Stop` once the gap is closed."""
        if self.closed:
            raise Stop(StoppedBy.GAP)

    def _report(self) -> None:
        if self.on_progress is not None:
            objective = None if self.best is None else self.best.objective
            self.on_progress(Progress(self.clock.elapsed(), objective, self.bound))
