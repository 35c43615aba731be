"""Runners for class-balanced selection: labelcut, CVXPY, HiGHS alone, lightly-mundig."""

from typing import Any

import numpy as np

import labelcut
from labelcut.solvers.search import Progress

AT_LIMIT = 0.999
"""A multiplier of this share of λ counts as being at its limit."""


def _solve(
    problem: labelcut.ClassBalanced, target_gap: float | None = None, **settings: Any
) -> dict[str, Any]:
    reached = None

    def watch(progress: Progress) -> None:
        nonlocal reached
        objective, bound = progress.objective, progress.bound
        if reached is not None or objective is None or bound is None or target_gap is None:
            return
        if objective - bound <= target_gap * abs(objective):
            reached = progress.elapsed

    solution = labelcut.solve(problem, **settings, progress=watch)
    certificate = solution.certificate
    multipliers = np.array(certificate.values["multipliers"] if certificate else [])
    return {
        "rows": solution.indices,
        "bound": solution.bound,
        "reached": reached,
        "at_limit": int((np.abs(multipliers) >= AT_LIMIT * problem.balance).sum()),
        "worker_peak": solution.info.get("worker_peak_bytes"),
    }


def _cvxpy(problem: labelcut.ClassBalanced, time_limit: float) -> dict[str, Any]:
    import cvxpy

    model = problem.to_cvxpy()
    try:
        model.solve(solver="HIGHS", time_limit=time_limit)
    except cvxpy.error.SolverError as error:
        return {"rows": None, "remark": str(error).splitlines()[0]}
    selected = next(variable for variable in model.variables() if variable.name() == "z")
    bound = float(model.solver_stats.extra_stats.mip_dual_bound)
    return {
        "rows": _rows(problem, selected.value),
        "bound": bound if np.isfinite(bound) else None,
        "remark": model.status,
    }


def _highs(problem: labelcut.ClassBalanced, time_limit: float) -> dict[str, Any]:
    from labelcut.solvers._mip import solve_model
    from labelcut.solvers.class_balanced.model import linear_model, whole

    part = whole(problem)
    model = linear_model(problem, part, divisor=1.0)
    result = solve_model(model, time_limit=time_limit)
    values = None
    if result.values is not None:
        values = np.zeros(problem.dataset.size)
        values[part.taken], values[part.rows] = 1.0, result.values[: len(part.rows)]
    return {
        "rows": _rows(problem, values),
        "bound": result.bound,
        "remark": result.status.value,
        "worker_peak": result.peak_bytes,
    }


def _mundig(problem: labelcut.ClassBalanced, strength: float) -> dict[str, Any]:
    from importlib.metadata import version

    import lightly_mundig

    size, classes = problem.probs.shape
    selection = lightly_mundig.Selection()
    selection.add_weighting_strategy(problem.utility.astype(np.float32), 1.0)
    selection.add_balancing_strategy(
        problem.probs.take(np.arange(size)).astype(np.float32),
        np.full(classes, 1 / classes, dtype=np.float32),
        float(strength),
    )
    rows = np.array(selection.run_selection([], size, problem.budget))
    return {"rows": rows, "remark": f"version {version('lightly-mundig')}"}


def _rows(problem: labelcut.ClassBalanced, values: Any) -> Any:
    """Return the rows that are set in a solver's values, None unless they fill the budget."""
    if values is None:
        return None
    rows = np.flatnonzero(np.asarray(values)[: problem.dataset.size] > 0.5)
    return rows if len(rows) == problem.budget else None


RUNNERS = {"solve": _solve, "cvxpy": _cvxpy, "highs": _highs, "mundig": _mundig}
