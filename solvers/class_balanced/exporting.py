"""The binary program of class-balanced selection as an MPS file, for any other solver."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...problems.class_balanced import require_class_balanced
from ...problems.errors import UnsupportedProblem
from .._mps import require_model_file, write_mps
from .model import linear_model, whole

if TYPE_CHECKING:
    from ...problems.selection import SelectionProblem

LINEAR = ("l1", "wasserstein")


def export_class_balanced(problem: SelectionProblem, path: str | Path) -> int:
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
    values = len(problem.selectable) * (problem.n_classes + 1)
    values += sum(rule.linear(problem.dataset).matrix.nnz for rule in problem.constraints)
    require_model_file(path, values)
    part = whole(problem)
    model = linear_model(problem, part)
    names = [f"z{row}" for row in part.rows]
    names += [f"y{at}" for at in range(len(model.cost) - len(names))]
    return write_mps(model, names, path)
