"""Exact against greedy and the rest: every method on one problem, each in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from ..problems.base import TINY, Sense, StoppedBy, absolute_gap
from ..problems.errors import InvalidInput, NotEnoughMemory, UnsupportedProblem
from ..problems.problem_files import save_problem
from ..problems.selection import Selection
from ..problems.solution_files import load_solution, solution_to_dict
from ..solvers import methods as list_methods
from ..solvers import solve
from ..solvers.registry import choose
from .metrics import as_truth, predicted_l1, true_l1
from .true_balance import has_two_programs, paper_program, program_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..problems.arrays import Ints
    from ..problems.selection import SelectionProblem


@dataclass(frozen=True, eq=False)
class Run:
    """One method with one seed.

    Parameters
    ----------
    method, seed
        What ran.
    solution
        Its answer, or None if it refused or failed.
    megabytes
        Peak resident memory of its processes, or None where nobody can tell.
    refusal
        Why it would not begin, or None.
    failure
        Why it ended without an answer, or None; a process that ran out of memory, for example.
    """

    method: str
    seed: int
    solution: Selection | None = None
    megabytes: float | None = None
    refusal: str | None = None
    failure: str | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Every method on one problem, measured against the best proven bound.

    Parameters
    ----------
    problem
        What was solved.
    truth
        True class of every row ``(N,)``, -1 where it is not known, or None.
    runs
        All runs, in the order of methods and seeds.
    interrupted
        Whether Ctrl-C ended the comparison early.
    in_process
        Whether all runs shared this process, since the problem holds a function that no file can.
    paper
        The method with the best answer, on the probabilities as they were given, or None where
        they are not corrected or no labels are known.
    """

    problem: SelectionProblem
    truth: Ints | None
    runs: tuple[Run, ...]
    interrupted: bool = False
    in_process: bool = False
    paper: Run | None = None

    @property
    def bound(self) -> float | None:
        """The best bound that any method proved."""
        proven = self._proven()
        best = max if self.problem.sense is Sense.MIN else min
        return best(proven.values(), default=None)

    @property
    def bound_from(self) -> str | None:
        """The method that proved the best bound."""
        best = self.bound
        return next((name for name, bound in self._proven().items() if bound == best), None)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row a method, numbers averaged over its seeds.

        ``to_bound`` is the gap to the best proven bound, ``of_baseline`` the same as a share of the
        gap that the problem's baseline leaves (`SelectionProblem.baseline_method`). The problem's
        terms follow by name, and with class probabilities ``l1_predicted``, of P, and ``l1_true``,
        of the true labels.
        """
        names = dict.fromkeys(run.method for run in self.runs)
        return [self._row([run for run in self.runs if run.method == name]) for name in names]

    def to_dict(self) -> dict[str, Any]:
        """Return the whole comparison in JSON's own types."""
        return {
            "bound": self.bound,
            "bound_from": self.bound_from,
            "baseline": self.problem.baseline_method,
            "interrupted": self.interrupted,
            "in_process": self.in_process,
            "methods": self.rows(),
            "programs": self.programs(),
            "runs": [
                {
                    "method": run.method,
                    "seed": run.seed,
                    "megabytes": run.megabytes,
                    "refusal": run.refusal,
                    "failure": run.failure,
                    "solution": None if run.solution is None else solution_to_dict(run.solution),
                }
                for run in self.runs
            ],
        }

    def programs(self) -> list[dict[str, Any]]:
        """Return predicted and true balance of the paper's program and of the corrected one.

        Empty where the probabilities are not corrected, or no labels are known.
        """
        if self.paper is None:
            return []
        stated = paper_program(self.problem)
        own = self.best(self.paper.method)
        answers = {"as predicted": (stated, self.paper.solution), "corrected": (self.problem, own)}
        return program_rows(self.problem, self.truth, answers)

    def best(self, method: str) -> Selection | None:
        """Return a method's first answer, or None if it has none."""
        for run in self._answered():
            if run.method == method:
                return run.solution
        return None

    @cached_property
    def _way(self) -> float | None:
        """How far the baseline is from the best proven bound."""
        baseline = None if self.bound is None else self.problem.baseline()
        if baseline is None:  # its rows have to be completed, which the method did
            answer = self.best(self.problem.baseline_method)
            baseline = None if answer is None else answer.objective
        if baseline is None or self.bound is None:
            return None
        return absolute_gap(self.problem.sense, baseline, self.bound)

    def _proven(self) -> dict[str, float]:
        """Bounds by method; one that found no answer may have proven one all the same."""
        bounds: dict[str, float] = {}
        better = self.problem.sense.better
        for run in self.runs:
            bound = None if run.solution is None else run.solution.bound
            known = bounds.get(run.method)
            if bound is not None and (known is None or better(known, bound)):
                bounds[run.method] = bound
        return bounds

    def _answered(self) -> list[Run]:
        return [run for run in self.runs if run.solution and run.solution.objective is not None]

    def _row(self, runs: Sequence[Run]) -> dict[str, Any]:
        first = runs[0]
        measured = [self._measures(run) for run in runs]
        mean = {name: _mean([values[name] for values in measured]) for name in measured[0]}
        if first.solution is not None:
            status, reason = first.solution.status.value, first.solution.reason
        elif first.refusal is not None:
            status, reason = "refused", first.refusal
        else:
            status, reason = "failed", first.failure
        return {
            "method": first.method,
            "seeds": len(runs),
            **mean,
            "status": status,
            "reason": reason,
        }

    def _measures(self, run: Run) -> dict[str, float | None]:
        solution, problem = run.solution, self.problem
        objective = None if solution is None else solution.objective
        measured: dict[str, float | None] = {
            "objective": objective,
            "bound": None if solution is None else solution.bound,
            "to_bound": None,
            "of_baseline": None,
            **dict.fromkeys(problem.term_names),
        }
        if problem.class_balance is not None:
            measured |= {"l1_predicted": None, "l1_true": None}
        measured["seconds"] = None if solution is None else solution.runtime
        measured["megabytes"] = run.megabytes
        if solution is None or objective is None:
            return measured
        if self.bound is not None:
            gap = absolute_gap(solution.sense, objective, self.bound)
            measured["to_bound"] = gap / max(abs(objective), TINY)
            measured["of_baseline"] = gap / self._way if self._way else None
        measured |= {name: solution.terms[name] for name in problem.term_names}
        if problem.class_balance is not None:
            measured["l1_predicted"] = predicted_l1(problem.class_balance.probs, solution.indices)
            measured["l1_true"] = true_l1(problem, solution, self.truth)
        return measured


def compare(
    problem: SelectionProblem,
    methods: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    *,
    time_limit: float = 60.0,
    gap_tol: float = 1e-4,
    abs_gap_tol: float = 1e-6,
    truth: Any = None,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Run methods side by side and measure them against the best proven bound.

    Each run has a process of its own, so that seconds and peak memory are its own, and so that one
    that fails leaves the others their rows. Only a problem over a function of distances, which no
    other process can have, is solved in this one; the comparison says so.

    Parameters
    ----------
    problem
        What to solve.
    methods
        Names; default: all that apply.
    seeds
        Methods that draw at random run once for each, the others once.
    time_limit, gap_tol, abs_gap_tol
        For each run, as in `labelcut.solve`.
    truth
        True class of every row ``(N,)``, -1 where it is not known, for the true L1 score.
    progress
        Called with a line of text before each run.

    Returns
    -------
    Comparison
        On Ctrl-C what was finished by then.

    Raises
    ------
    InvalidInput
        An unknown method, no seeds, a limit that is no number, or a truth that does not fit.
    UnsupportedProblem
        A method that was asked for cannot take the problem.
    KeyboardInterrupt
        Ctrl-C before the first run was finished.
    """
    if isinstance(methods, str):
        raise InvalidInput(f"methods: must be a list; got {methods!r}; pass [{methods!r}]")
    able = [info.name for info in list_methods(problem) if info.refusal is None]
    names = dict.fromkeys(methods or able)
    known = as_truth(truth, problem)
    if not len(seeds):
        raise InvalidInput("seeds: at least one is needed; got none; pass (0,)")
    planned = []
    for name in names:
        method, _ = choose(problem, name)
        planned += [(name, int(seed)) for seed in (seeds if method.random else seeds[:1])]
    limits = {"time_limit": time_limit, "gap_tol": gap_tol, "abs_gap_tol": abs_gap_tol}
    runs: list[Run] = []
    apart = problem.in_files
    with TemporaryDirectory(prefix="labelcut-") as folder:
        path = Path(folder) / "problem.toml"
        if apart:
            save_problem(problem, path)
        for at, (name, seed) in enumerate(planned):
            try:
                if progress is not None:
                    progress(f"{name} (run {at + 1} of {len(planned)})")
                run = (
                    _measure(path, name, seed, limits)
                    if apart
                    else _here(problem, name, seed, limits)
                )
                runs.append(run)
                stopped = None if run.solution is None else run.solution.stopped_by
                if stopped is StoppedBy.INTERRUPT:
                    raise KeyboardInterrupt
            except KeyboardInterrupt:
                if not runs:
                    raise
                return Comparison(problem, known, tuple(runs), True, not apart)
        paper = None
        if has_two_programs(problem, known):
            plain = path.with_name("paper.toml")
            save_problem(paper_program(problem), plain)
            lead = _leading(problem, runs)
            try:
                if progress is not None:
                    progress(f"{lead.method} on the probabilities as they were given")
                paper = _measure(plain, lead.method, lead.seed, limits)
            except KeyboardInterrupt:
                return Comparison(problem, known, tuple(runs), True, not apart)
    return Comparison(problem, known, tuple(runs), False, not apart, paper)


def _leading(problem: SelectionProblem, runs: Sequence[Run]) -> Run:
    """Return the first run with the best objective, or the first of all without one."""
    lead, best = runs[0], None
    for run in runs:
        objective = None if run.solution is None else run.solution.objective
        if objective is not None and (best is None or problem.sense.better(objective, best)):
            lead, best = run, objective
    return lead


def _here(problem: SelectionProblem, method: str, seed: int, limits: Mapping[str, Any]) -> Run:
    try:
        solution = solve(problem, method, seed=seed, **limits)
    except (NotEnoughMemory, UnsupportedProblem) as error:
        return Run(method, seed, refusal=str(error))
    except InvalidInput:
        raise
    except Exception as error:  # the user's function may raise anything
        return Run(method, seed, failure=f"{type(error).__name__}: {error}")
    return Run(method, seed, solution)


def _measure(path: Path, method: str, seed: int, limits: Mapping[str, float]) -> Run:
    out = path.with_name(f"{method}-{seed}.json")
    request = {"problem": str(path), "out": str(out), "method": method, "seed": seed, **limits}
    # -P: a folder or file of the user's that is called like a module of ours stays out of it.
    command = [sys.executable, "-P", "-m", "labelcut.studies._measure", json.dumps(request)]
    log = path.with_name("stderr.txt")
    # stdin stays open until the end: the child ends itself when it closes.
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            told = process.stdout.read()
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        return Run(method, seed, failure=_obituary(process.returncode, log))
    answer = json.loads(told)
    if "invalid" in answer:
        raise InvalidInput(answer["invalid"])
    solution = load_solution(out) if "megabytes" in answer else None
    assert solution is None or isinstance(solution, Selection)
    return Run(method, seed, solution, **answer)


def _obituary(code: int, log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    hint = "; signal 9 often means that memory ran out" if code == -9 else ""
    return f"its process ended without an answer ({how}{hint}): {(lines or ['no message'])[-1]}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
