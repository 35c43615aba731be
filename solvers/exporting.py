"""Problems as model files, for any other solver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..problems.budgeted import BudgetedSelection
from ..problems.errors import UnsupportedProblem
from .budgeted.exporting import export_budgeted
from .class_balanced.exporting import export_class_balanced

if TYPE_CHECKING:
    from pathlib import Path

    from ..problems.selection import SelectionProblem


def export_model(problem: SelectionProblem, path: str | Path) -> int:
    """Write a problem's binary program as MPS and return the file's size in bytes.

    The variable of dataset row i is called ``z<i>``; see `export_class_balanced` and
    `export_budgeted` for what is minimized.

    Raises
    ------
    UnsupportedProblem
        For another kind of problem, or a distance or a constraint that is not linear.
    InvalidInput
        Another suffix, a place that cannot be written, or too little room on the disk.
    NotEnoughMemory
        If the model does not fit.
    """
    for rule in problem.constraints:
        if rule.is_curved:
            raise UnsupportedProblem(
                f"export: MPS states linear programs, {rule.title} with a confidence is not "
                "linear; leave the confidence out, or take to_cvxpy()"
            )
    if isinstance(problem, BudgetedSelection):
        return export_budgeted(problem, path)
    return export_class_balanced(problem, path)
