"""Exact against greedy and the rest: every method on one problem, each in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from ..problems.base import TINY, absolute_gap
from ..problems.errors import InvalidInput, LabelcutError
from ..problems.problem_files import save_problem
from ..problems.solution_files import load_solution, solution_to_dict
from ..solvers import methods as list_methods
from ..solvers.registry import choose
from .metrics import l1_score, predicted_l1

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..problems.arrays import Ints
    from ..problems.class_balanced import ClassBalanced
    from ..problems.selection import Selection


@dataclass(frozen=True, eq=False)
class Run:
    """One method with one seed.

    Parameters
    ----------
    method, seed
        What ran.
    solution
        Its answer, or None if it refused.
    megabytes
        Peak resident memory of its processes, or None where the system does not tell.
    refusal
        Why it refused, or None.
    """

    method: str
    seed: int
    solution: Selection | None
    megabytes: float | None
    refusal: str | None


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
    """

    problem: ClassBalanced
    truth: Ints | None
    runs: tuple[Run, ...]
    interrupted: bool = False

    @property
    def bound(self) -> float | None:
        """The best bound that any method proved."""
        bounds = [run.solution.bound for run in self._answered() if run.solution is not None]
        proven = [bound for bound in bounds if bound is not None]
        return max(proven, default=None)

    @property
    def bound_from(self) -> str | None:
        """The method that proved the best bound."""
        for run in self._answered():
            if run.solution is not None and run.solution.bound == self.bound is not None:
                return run.method
        return None

    def rows(self) -> list[dict[str, Any]]:
        """Return one row a method, numbers averaged over its seeds.

        ``to_bound`` is the gap to the best proven bound, ``of_top`` the same as a share of the gap
        that top utility leaves; ``l1_true`` is of the true labels, ``l1_predicted`` of P.
        """
        names = dict.fromkeys(run.method for run in self.runs)
        return [self._row([run for run in self.runs if run.method == name]) for name in names]

    def to_dict(self) -> dict[str, Any]:
        """Return the whole comparison in JSON's own types."""
        return {
            "bound": self.bound,
            "bound_from": self.bound_from,
            "interrupted": self.interrupted,
            "methods": self.rows(),
            "runs": [
                {
                    "method": run.method,
                    "seed": run.seed,
                    "megabytes": run.megabytes,
                    "refusal": run.refusal,
                    "solution": None if run.solution is None else solution_to_dict(run.solution),
                }
                for run in self.runs
            ],
        }

    def best(self, method: str) -> Selection | None:
        """Return a method's first answer, or None if it has none."""
        for run in self._answered():
            if run.method == method:
                return run.solution
        return None

    def _answered(self) -> list[Run]:
        return [run for run in self.runs if run.solution and run.solution.objective is not None]

    def _row(self, runs: Sequence[Run]) -> dict[str, Any]:
        first = runs[0]
        measured = [self._measures(run) for run in runs]
        mean = {name: _mean([values[name] for values in measured]) for name in measured[0]}
        status = first.solution.status.value if first.solution is not None else "refused"
        reason = first.refusal or (first.solution.reason if first.solution else None)
        return {
            "method": first.method,
            "seeds": len(runs),
            **mean,
            "status": status,
            "reason": reason,
        }

    def _measures(self, run: Run) -> dict[str, float | None]:
        solution = run.solution
        objective = None if solution is None else solution.objective
        if solution is None or objective is None:
            names = ("objective", "bound", "to_bound", "of_top", "utility", "imbalance")
            return dict.fromkeys((*names, "l1_predicted", "l1_true", "seconds", "megabytes"))
        gap = None if self.bound is None else absolute_gap(solution.sense, objective, self.bound)
        baseline = self.problem.baseline()
        way = None
        if baseline is not None and self.bound is not None:
            way = absolute_gap(solution.sense, baseline, self.bound)
        return {
            "objective": objective,
            "bound": solution.bound,
            "to_bound": None if gap is None else gap / max(abs(objective), TINY),
            "of_top": gap / way if gap is not None and way else None,
            "utility": solution.terms["utility"],
            "imbalance": solution.terms["imbalance"],
            "l1_predicted": predicted_l1(self.problem.probs, solution.indices),
            "l1_true": true_l1(self.problem, solution, self.truth),
            "seconds": solution.runtime,
            "megabytes": run.megabytes,
        }


def compare(
    problem: ClassBalanced,
    methods: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    *,
    time_limit: float = 60.0,
    gap_tol: float = 1e-4,
    abs_gap_tol: float = 1e-6,
    truth: Ints | None = None,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Run methods side by side and measure them against the best proven bound.

    Each run has a process of its own, so that seconds and peak memory are its own.

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
        An unknown method, or no seeds.
    KeyboardInterrupt
        Ctrl-C before the first run was finished.
    """
    known = {info.name: info for info in list_methods(problem)}
    names = list(methods or (name for name, info in known.items() if info.refusal is None))
    if not len(seeds):
        raise InvalidInput("seeds: at least one is needed; got none; pass (0,)")
    planned = []
    for name in names:
        method, _ = choose(problem, name)
        planned += [(name, int(seed)) for seed in (seeds if method.random else seeds[:1])]
    limits = {"time_limit": time_limit, "gap_tol": gap_tol, "abs_gap_tol": abs_gap_tol}
    runs: list[Run] = []
    with TemporaryDirectory(prefix="labelcut-") as folder:
        path = Path(folder) / "problem.toml"
        save_problem(problem, path)
        for at, (name, seed) in enumerate(planned):
            if progress is not None:
                progress(f"{name} (run {at + 1} of {len(planned)})")
            try:
                runs.append(_measure(path, name, seed, limits))
            except KeyboardInterrupt:
                if not runs:
                    raise
                return Comparison(problem, truth, tuple(runs), interrupted=True)
    return Comparison(problem, truth, tuple(runs))


def true_l1(problem: ClassBalanced, solution: Selection, truth: Ints | None) -> float | None:
    """Return the L1 score of a choice's true labels, or None where they are not all known."""
    if truth is None or not len(solution.indices):
        return None
    labels = truth[solution.indices]
    return None if (labels < 0).any() else l1_score(labels, problem.n_classes)


def _measure(path: Path, method: str, seed: int, limits: Mapping[str, float]) -> Run:
    out = path.with_name(f"{method}-{seed}.json")
    request = {"problem": str(path), "out": str(out), "method": method, "seed": seed, **limits}
    # -P: a folder or file of the user's that is called like a module of ours stays out of it.
    command = [sys.executable, "-P", "-m", "labelcut.studies._measure", json.dumps(request)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            told = process.stdout.read()
            log = b"" if process.stderr is None else process.stderr.read()
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        last = log.decode(errors="replace").strip().splitlines()[-1:]
        raise LabelcutError(f"compare: {method} ended without an answer; {' '.join(last)}")
    answer = json.loads(told)
    return Run(
        method=method,
        seed=seed,
        solution=None if answer["refusal"] else load_solution(out),
        megabytes=answer["megabytes"],
        refusal=answer["refusal"],
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
