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

    solver = highspy.Highs()
    solver.silent()
    limits = {"time_limit": max(seconds, SHORTEST), "threads": 1}
    for name, value in {**limits, **options}.items():
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
    solver.run()
    inside = options.get("solver") == "ipm"
    if inside and solver.getModelStatus() == highspy.HighsModelStatus.kUnknown:
        solver.setOptionValue("solver", "simplex")
        solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    solution = solver.getSolution()
    return np.array(solution.col_value), np.array(solution.row_dual)
