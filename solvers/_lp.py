"""Linear programs in HiGHS, in this process: it keeps a clock on programs without integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..problems.arrays import Floats
    from ._mip_model import LinearModel

SHORTEST = 1e-3
"""Seconds that HiGHS gets where none are left."""


def solve_lp(
    model: LinearModel, seconds: float, options: Mapping[str, Any]
) -> tuple[Floats, Floats] | None:
    """Return values ``(n,)`` and row duals ``(m,)`` of a linear program, None without an optimum.

    Parameters
    ----------
    model
        Its integers are taken as real numbers.
    seconds
        Time limit.
    options
        HiGHS' options. Where interior points come close and no closer, the simplex method follows.
    """
    import highspy

    solver = _loaded(model, {"time_limit": max(seconds, SHORTEST), **options})
    solver.run()
    inside = options.get("solver") == "ipm"
    if inside and solver.getModelStatus() == highspy.HighsModelStatus.kUnknown:
        solver.setOptionValue("solver", "simplex")
        solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    solution = solver.getSolution()
    return np.array(solution.col_value), np.array(solution.row_dual)


class WarmProgram:
    """A linear program solved again and again with other bounds, each time from a basis.

    Parameters
    ----------
    model
        Its integers are taken as real numbers.
    enough
        An objective that ends a solve once the duals come to it.
    """

    def __init__(self, model: LinearModel, enough: float) -> None:
        self.solver = _loaded(model, {"presolve": "off", "objective_bound": enough})
        self.every = np.arange(model.cost.size, dtype=np.int32)
        self.steps = 0
        """Steps of the simplex method so far."""

    def basis(self) -> Any:
        """Return the basis of the last solve."""
        return self.solver.getBasis()

    def solve(
        self, lower: Floats, upper: Floats, basis: Any, seconds: float, steps: int | None = None
    ) -> tuple[Floats, Floats] | None:
        """Return values ``(n,)`` and row duals ``(m,)``, at the end or after some steps.

        None where time ran out or there is no feasible point.
        """
        import highspy

        solver, ends = self.solver, highspy.HighsModelStatus
        solver.setOptionValue("time_limit", solver.getRunTime() + max(seconds, SHORTEST))
        limit = highspy.kHighsIInf if steps is None else steps
        solver.setOptionValue("simplex_iteration_limit", limit)
        solver.changeColsBounds(len(self.every), self.every, lower, upper)
        if basis is not None:
            solver.setBasis(basis)
        solver.run()
        self.steps += max(solver.getInfo().simplex_iteration_count, 1)
        status = solver.getModelStatus()
        usable = {ends.kOptimal, ends.kObjectiveBound}
        if status not in (usable if steps is None else usable | {ends.kIterationLimit}):
            return None
        solution = solver.getSolution()
        return np.array(solution.col_value), np.array(solution.row_dual)


def _loaded(model: LinearModel, options: Mapping[str, Any]) -> Any:
    """Return a silent HiGHS, on one thread, that holds the program."""
    import highspy

    solver = highspy.Highs()
    solver.silent()
    for name, value in {"threads": 1, **options}.items():
        solver.setOptionValue(name, value)
    matrix, (rows, columns) = model.matrix, model.matrix.shape
    layout = highspy.MatrixFormat
    solver.passModel(
        columns,
        rows,
        matrix.nnz,
        int(layout.kRowwise if matrix.format == "csr" else layout.kColwise),
        int(highspy.ObjSense.kMinimize),
        0.0,
        model.cost,
        model.lower,
        model.upper,
        model.row_lower,
        model.row_upper,
        matrix.indptr[:-1].astype(np.int32),
        matrix.indices.astype(np.int32),
        matrix.data,
        np.zeros(columns, dtype=np.int32),
    )
    return solver
