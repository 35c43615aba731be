"""The binary program of budgeted selection as an MPS file, for any other solver."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .._mip_model import LinearModel
from .._mps import require_model_file, write_mps

if TYPE_CHECKING:
    from ...problems.budgeted import BudgetedSelection


def export_budgeted(problem: BudgetedSelection, path: str | Path) -> int:
    r"""Write :math:`\min_z -\sum_i u_i z_i` under budget and constraints as MPS.

    MPS minimizes, so the optimum is the negative of the largest utility. The variable of dataset
    row i is called ``z<i>``; there is one for each candidate, and a row for each constraint's row.

    Parameters
    ----------
    problem
        With any constraints.
    path
        An ``.mps`` file, written whole or not at all.

    Returns
    -------
    int
        The file's size in bytes.

    Raises
    ------
    InvalidInput, NotEnoughMemory
        As `require_model_file` says.
    """
    from scipy import sparse

    path = Path(path)
    rows, linear = (
        problem.candidates,
        [rule.linear(problem.dataset) for rule in problem.constraints],
    )
    require_model_file(path, 2 * len(rows) + sum(at.matrix.nnz for at in linear))
    blocks = [at.matrix[:, rows] for at in linear if len(at.limits)]
    lower = [np.full(len(at.limits), -np.inf) for at in linear]
    upper = [at.limits for at in linear]
    if problem.budget is not None:
        blocks.append(sparse.csr_array(np.ones((1, len(rows)))))
        lower.append(np.array([float(problem.budget)]))
        upper.append(np.array([float(problem.budget)]))
    empty = sparse.csr_array((0, len(rows)))
    model = LinearModel(
        cost=-problem.utility[rows],
        matrix=sparse.vstack([empty, *blocks], format="csr"),
        row_lower=np.concatenate([[], *lower]),
        row_upper=np.concatenate([[], *upper]),
        lower=np.zeros(len(rows)),
        upper=np.ones(len(rows)),
        integer=np.ones(len(rows), dtype=bool),
    )
    return write_mps(model, [f"z{row}" for row in rows], path)
