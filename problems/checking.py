"""Re-checking somebody else's answer: feasibility, objective and bound, without solving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .base import Sense, Status
from .errors import CheckFailed, InfeasibleSelection, Stuck

if TYPE_CHECKING:
    from .base import Problem
    from .selection import Selection, SelectionProblem

TOLERANCE = 1e-9
"""Relative difference that another order of summation may explain."""


@dataclass(frozen=True)
class CheckReport:
    """What a check found to be true.

    Parameters
    ----------
    rows
        How many rows were found feasible.
    objective
        The objective, recomputed.
    bound
        The bound that was claimed, or None.
    proven
        The bound that the certificate proves by itself, recomputed, or None.
    bound_rechecked
        Whether `proven` supports the whole claim; False for branch and bound.
    """

    rows: int
    objective: float | None
    bound: float | None
    proven: float | None
    bound_rechecked: bool


def check(problem: SelectionProblem, solution: Selection) -> CheckReport:
    """Verify that a solution is feasible, worth what it claims, and bounded as it claims.

    Parameters
    ----------
    problem
        The problem it claims to answer.
    solution
        From `labelcut.solve`, or read back with `labelcut.load`.

    Returns
    -------
    CheckReport
        What was verified; a bound from branch and bound is reported as not re-checkable.

    Raises
    ------
    CheckFailed
        Another problem's solution, another status, objective, ids, table or bound than claimed.
    InfeasibleSelection
        A broken constraint, by name and amount.

    Examples
    --------
    >>> from labelcut import ClassBalanced, solve
    >>> problem = ClassBalanced([[0.9, 0.1], [0.2, 0.8]], [0.3, 0.5], budget=1)
    >>> check(problem, solve(problem, "exact")).rows
    1
    """
    if solution.fingerprint != problem.fingerprint:
        raise CheckFailed(
            f"fingerprint: the solution answers problem {solution.fingerprint[:12]}, this is "
            f"{problem.fingerprint[:12]}; give the problem it was solved for"
        )
    _check_status(problem, solution)
    if solution.objective is None:
        return CheckReport(0, None, solution.bound, None, False)
    problem.check(solution)
    _check_names(problem, solution)
    evaluation = problem.evaluate(solution)
    values = {**evaluation.terms, "objective": evaluation.objective}
    claims = {**solution.terms, "objective": solution.objective}
    for name in {**values, **claims}:
        claimed, value = claims.get(name), values.get(name)
        _require(
            claimed is not None and value is not None and _close(claimed, value),
            f"{name}: {claimed} is claimed, the rows give {value}",
        )
    proven = _check_bound(problem, solution)
    return CheckReport(
        rows=len(solution.indices),
        objective=evaluation.objective,
        bound=solution.bound,
        proven=proven,
        bound_rechecked=bool(solution.certificate and solution.certificate.recheckable),
    )


def _check_status(problem: SelectionProblem, solution: Selection) -> None:
    status, answered = solution.status, solution.objective is not None
    _require(
        solution.sense is problem.sense,
        f"sense: {solution.sense} is claimed, the problem's is {problem.sense}",
    )
    _require(
        answered == (status in (Status.OPTIMAL, Status.FEASIBLE)),
        f"status: {status} is claimed {'with' if answered else 'without'} an objective",
    )
    _require(answered or len(solution.indices) == 0, "indices: rows without an objective")
    _require(
        status is not Status.INFEASIBLE or not _has_answer(problem),
        "status: infeasible is claimed, the constraints do not contradict each other",
    )


def _has_answer(problem: SelectionProblem) -> bool:
    """Return whether rows drawn at random satisfy all constraints; if not, others still may."""
    if problem.why_infeasible() is not None:
        return False
    try:
        problem.check(problem.random_rows(np.random.default_rng(0)))
    except (InfeasibleSelection, Stuck):
        return False
    return True


def _check_names(problem: SelectionProblem, solution: Selection) -> None:
    if problem.ids is not None and solution.ids is not None:
        _require(
            np.array_equal(problem.ids[solution.indices], solution.ids),
            "ids: they are not the ids of the chosen rows",
        )
    for name in problem.table.keys() & solution.table.keys():
        _require(
            _same(problem.table[name][solution.indices], solution.table[name]),
            f"table: column {name!r} is not that of the chosen rows",
        )
    if solution.order is not None:
        _require(
            np.array_equal(np.sort(solution.order), solution.indices),
            "order: it does not list the chosen rows",
        )


def _check_bound(problem: Problem, solution: Selection) -> float | None:
    bound, certificate = solution.bound, solution.certificate
    if bound is None or solution.objective is None:
        return None
    ahead = bound - solution.objective if problem.sense is Sense.MIN else solution.objective - bound
    _require(
        ahead <= TOLERANCE * max(1.0, abs(bound)),
        f"bound: {bound} is claimed, the rows do better with {solution.objective}",
    )
    _require(certificate is not None, f"bound: {bound} is claimed without a certificate")
    if certificate is None:
        return None
    proven = problem.prove(certificate)
    for claimed in (certificate.bound, bound if certificate.recheckable else None):
        _require(
            claimed is None or (proven is not None and _reaches(problem.sense, proven, claimed)),
            f"bound: {claimed} is claimed, the certificate proves {proven}",
        )
    return proven


def _same(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    numbers = one.dtype.kind == other.dtype.kind == "f"
    return np.array_equal(one, other, equal_nan=numbers)


def _reaches(sense: Sense, proven: float, claimed: float) -> bool:
    short = claimed - proven if sense is Sense.MIN else proven - claimed
    return short <= TOLERANCE * max(1.0, abs(claimed))


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= TOLERANCE * max(1.0, abs(other))


def _require(true: bool, message: str) -> None:
    if not true:
        raise CheckFailed(f"{message}; the file was changed, or belongs to another version")
