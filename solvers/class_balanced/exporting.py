"""The binary program of class-balanced selection as an MPS file, for any other solver."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...problems.atomic import atomic_file, require_writable
from ...problems.class_balanced import require_class_balanced
from ...problems.errors import InvalidInput, UnsupportedProblem
from ...problems.memory import require_memory
from .model import linear_model, whole

if TYPE_CHECKING:
    from ...problems.class_balanced import ClassBalanced
    from ...problems.selection import SelectionProblem

BYTES_EACH = 40
"""Length of one coefficient's line in an MPS file, about."""
LINEAR = ("l1", "wasserstein")


def export_model(problem: SelectionProblem, path: str | Path) -> int:
    """Write eq. 4.8 as MPS; the variable of dataset row i is called ``z<i>``.

    Included rows are constants of the model: they are not among its variables. Constraints are rows
    of the model, scaled to coefficients of 1 at most.

    Parameters
    ----------
    problem
        With distance ℓ1 or Wasserstein; ℓ2 and its square are no linear programs.
    path
        An ``.mps`` file, written whole or not at all.

    Returns
    -------
    int
        The file's size in bytes.

    Raises
    ------
    UnsupportedProblem
        For another kind of problem, or a distance that is not linear.
    InvalidInput
        Another suffix, a place that cannot be written, or too little room on the disk.
    NotEnoughMemory
        If the model does not fit.
    """
    path = Path(path)
    problem = require_class_balanced(problem, "export")
    if problem.distance not in LINEAR:
        raise UnsupportedProblem(
            f"export: MPS states linear programs, {problem.distance!r} is not linear; "
            f"take distance {' or '.join(map(repr, LINEAR))}, or to_cvxpy()"
        )
    if path.suffix != ".mps":
        raise InvalidInput(f"export: the model file ends in .mps; got {path.name}; rename it")
    require_writable(path)
    values = len(problem.selectable) * (problem.n_classes + 1)
    values += sum(rule.linear(problem.dataset).matrix.nnz for rule in problem.constraints)
    size, free = BYTES_EACH * values, shutil.disk_usage(path.parent).free
    if size > free:
        raise InvalidInput(
            f"export: {path.name} would take about {size / 1e9:.1f} GB, the disk has "
            f"{free / 1e9:.1f} GB; write elsewhere or take fewer candidates"
        )
    require_memory(150 * values, "export", "take fewer candidates")
    return _write(problem, path)


def _write(problem: ClassBalanced, path: Path) -> int:
    import highspy

    part = whole(problem)
    model = linear_model(problem, part)
    highs = highspy.Highs()
    highs.silent()
    highs.passModel(
        len(model.cost),
        len(model.row_lower),
        model.matrix.nnz,
        int(highspy.MatrixFormat.kColwise),
        int(highspy.ObjSense.kMinimize),
        model.offset,
        model.cost,
        model.lower,
        model.upper,
        model.row_lower,
        model.row_upper,
        np.asarray(model.matrix.indptr[:-1], dtype=np.int32),
        np.asarray(model.matrix.indices, dtype=np.int32),
        model.matrix.data,
        model.integer.astype(np.int32),
    )
    names = [f"z{row}" for row in part.rows]
    names += [f"y{at}" for at in range(len(model.cost) - len(names))]
    for at, name in enumerate(names):
        highs.passColName(at, name)
    with atomic_file(path) as temporary:
        if highs.writeModel(str(temporary)) == highspy.HighsStatus.kError:
            raise InvalidInput(f"export: {path} cannot be written; choose another place")
        return temporary.stat().st_size
