"""Re-checking somebody else's answer: feasibility, objective and bound, without solving."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .arrays import as_integers
from .base import TINY, Sense, Status, absolute_gap, plain
from .contradictions import is_contradictory
from .error_estimate import ErrorEstimate
from .errors import CheckFailed, InfeasibleSelection, Stuck
from .extreme_cuts import forced
from .pricing import read_prices, utility_bound
from .selection import Selection, SelectionProblem
from .temporal_coherence import TemporalCoherence

if TYPE_CHECKING:
    from .arrays import Mask
    from .base import Problem, Solution

TOLERANCE = 1e-9
"""Relative difference that another order of summation may explain."""
ESTIMATED = 1e-4
"""Difference between estimates that another machine may explain."""
GAP, ABS_GAP = 1e-4, 1e-6
"""The tolerances within which `solve` calls an answer optimal, where nobody asks for others."""
ATTEMPTS = 5
"""Draws that try to refute a claim that nothing satisfies the constraints."""


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
    status_rechecked
        Whether the status was verified; False for a claim that nothing satisfies the constraints
        which neither counting nor the certificate's prices prove, nor a selection refutes, and for
        an optimum that the certificate by itself does not prove within the default tolerances.
    """

    rows: int
    objective: float | None
    bound: float | None
    proven: float | None
    bound_rechecked: bool
    status_rechecked: bool = True


def check(problem: Problem[Any], solution: Solution) -> CheckReport:
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
        What was verified; a bound from branch and bound is reported as not re-checkable, and so is
        a contradiction that takes a search to see.

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
        shown = solution.status is not Status.INFEASIBLE or _is_infeasible(problem, solution)
        return CheckReport(0, None, solution.bound, None, False, shown)
    problem.check(solution)
    _check_columns(problem, solution)
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
        rows=_rows(solution),
        objective=evaluation.objective,
        bound=solution.bound,
        proven=proven,
        bound_rechecked=bool(solution.certificate and solution.certificate.recheckable),
        status_rechecked=solution.status is not Status.OPTIMAL
        or _is_optimal(problem.sense, evaluation.objective, proven),
    )


def _check_status(problem: Problem[Any], solution: Solution) -> None:
    status, answered = solution.status, solution.objective is not None
    _require(
        solution.sense is problem.sense,
        f"sense: {solution.sense} is claimed, the problem's is {problem.sense}",
    )
    _require(
        answered == (status in (Status.OPTIMAL, Status.FEASIBLE)),
        f"status: {status} is claimed {'with' if answered else 'without'} an objective",
    )
    _require(answered or not _rows(solution), "indices: rows without an objective")
    _require(
        status is not Status.OPTIMAL or solution.bound is not None,
        "status: optimal is claimed without a bound",
    )


def _is_optimal(sense: Sense, objective: float, proven: float | None) -> bool:
    """Whether a proven bound comes as near to an objective as solvers take for optimal."""
    if proven is None:
        return False
    near = max(ABS_GAP, GAP * max(abs(objective), TINY))
    return absolute_gap(sense, objective, proven) <= near


def _is_infeasible(problem: Problem[Any], solution: Solution) -> bool:
    """Return whether a contradiction is proven; raise `CheckFailed` if a selection refutes it."""
    if problem.why_infeasible() is not None:
        return True
    if not isinstance(problem, SelectionProblem):
        return False
    if is_contradictory(problem.constraints, problem.budget, problem.dataset):
        return True
    if solution.certificate is not None:
        # A utility of 0 that is proven to be below 0: no selection has any.
        prices = read_prices(solution.certificate.values, problem)
        if (
            prices is not None
            and utility_bound(problem, np.zeros(problem.dataset.size), prices) < 0
        ):
            return True
    for seed in range(ATTEMPTS):
        with suppress(Stuck, InfeasibleSelection):
            problem.check(problem.random_rows(np.random.default_rng(seed)))
            raise CheckFailed(
                "status: infeasible is claimed, the constraints do not contradict each other; "
                "the file was changed, or belongs to another version"
            )
    return False


def _rows(solution: Solution) -> int:
    """Return how many rows a solution speaks of."""
    if isinstance(solution, ErrorEstimate):
        return len(solution.types)
    return len(solution.indices) if isinstance(solution, Selection) else 0


def _check_columns(problem: Problem[Any], solution: Solution) -> None:
    """Check what else a solution says of its rows."""
    if isinstance(problem, TemporalCoherence) and isinstance(solution, ErrorEstimate):
        _check_counts(problem, solution)
    elif isinstance(problem, SelectionProblem) and isinstance(solution, Selection):
        _check_names(problem, solution)
        _check_notes(problem, solution)


def _check_counts(problem: TemporalCoherence, solution: ErrorEstimate) -> None:
    present = problem.present(solution)
    _check_table(solution, present, problem, ("fp", "fn"))
    for name, column in problem.candidate_table().items():
        _require(
            name in solution.candidates and _alike(column, solution.candidates[name]),
            f"candidates: column {name!r} is not that of the problem's candidates",
        )
    if solution.certain is None or solution.candidate_certain is None:
        return
    sure = np.concatenate([solution.certain, solution.candidate_certain])
    _require(sure.shape == present.shape, "certain: it does not speak of each detection")
    least, most = present & sure, present | ~sure
    energies = {problem.energy(labeling) for labeling in (least, present, most)}
    _require(
        len({sum(parts) for parts in energies}) == 1,
        "certain: what is left open cannot be labeled otherwise at the same energy",
    )
    _check_certain(problem, solution, sure, present)
    _check_table(solution, least, problem, ("fp_most", "fn_least"))
    _check_table(solution, most, problem, ("fp_least", "fn_most"))


def _check_certain(
    problem: TemporalCoherence, solution: ErrorEstimate, sure: Mask, present: Mask
) -> None:
    """Check that what is called certain is forced, where a maximum flow tells."""
    certificate = solution.certificate
    proven = None if certificate is None else problem.prove(certificate)
    if certificate is None or proven != problem.evaluate(present).objective:
        return
    flow = as_integers(certificate.values["flow"], "flow")
    on, off = forced(problem, np.clip(flow, -problem.edge_cost, problem.edge_cost))
    _require(
        np.array_equal(sure, on | off),
        "certain: other labelings of the same energy differ where it says that none does",
    )


def _check_table(
    solution: ErrorEstimate, present: Mask, problem: TemporalCoherence, names: tuple[str, str]
) -> None:
    for name, counts in zip(names, problem.count(present), strict=True):
        _require(
            name in solution.table and np.array_equal(solution.table[name], counts),
            f"table: column {name!r} does not count the types",
        )


def _check_notes(problem: SelectionProblem, solution: Selection) -> None:
    """Check what a solution records of its problem, such as the prior that corrected it."""
    for name, value in problem.notes().items():
        claimed = solution.info.get(name)
        _require(
            claimed is None or _agree(plain(value), plain(claimed)),
            f"info: {name!r} is not what the problem gives",
        )


def _agree(one: Any, other: Any) -> bool:
    """Whether two records agree, numbers as far as machines estimate alike."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_agree(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_agree, one, other))
    if isinstance(one, float) and isinstance(other, int | float):
        return abs(one - other) <= ESTIMATED * max(1.0, abs(one))
    return bool(one == other)


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


def _check_bound(problem: Problem[Any], solution: Solution) -> float | None:
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


def _alike(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Whether two columns agree, means of boxes up to what another machine may round otherwise."""
    if one.dtype.kind != "f" or one.shape != other.shape or other.dtype.kind not in "fiu":
        return _same(one, other)
    return bool(np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE))


def _reaches(sense: Sense, proven: float, claimed: float) -> bool:
    short = claimed - proven if sense is Sense.MIN else proven - claimed
    return short <= TOLERANCE * max(1.0, abs(claimed))


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= TOLERANCE * max(1.0, abs(other))


def _require(true: bool, message: str) -> None:
    if not true:
        raise CheckFailed(f"{message}; the file was changed, or belongs to another version")
