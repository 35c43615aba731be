"""What a strategy returns must be rows it could choose, as many as the budget says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.arrays import Ints, to_numpy
from ...problems.errors import InvalidInput
from ...problems.selection import Selection

if TYPE_CHECKING:
    from .round import Round


def checked_rows(answer: Any, round: Round, who: str) -> Ints:
    """Return the rows of a strategy's answer, ascending.

    Raises
    ------
    InvalidInput
        Unless they are as many candidates as the budget says, each once.
    """
    where = f"strategy {who}, cycle {round.cycle}"
    if isinstance(answer, Selection):
        if answer.objective is None:
            raise InvalidInput(
                f"{where}: found no rows ({answer.status.value}: {answer.reason}); loosen its "
                "options or lower the budget"
            )
        answer = answer.indices
    rows = to_numpy(answer, where)
    if not rows.size:  # an empty list is of floats
        rows = np.zeros(0, dtype=np.int64)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise InvalidInput(
            f"{where}: must return a Selection or row numbers; got {rows.dtype} of shape "
            f"{rows.shape}"
        )
    values, counts = np.unique(rows.astype(np.int64), return_counts=True)
    problems = {
        "comes twice": values[counts > 1],
        "is labeled already": np.intersect1d(values, round.labeled),
        "is kept for the audit": np.intersect1d(values, round.barred),
        "is no row of the pool": values[(values < 0) | (values >= round.pool.size)],
    }
    for what, wrong in problems.items():
        if len(wrong):
            raise InvalidInput(
                f"{where}: row {wrong[0]} {what}; return distinct rows of round.candidates"
            )
    if len(values) != round.budget:
        raise InvalidInput(
            f"{where}: must return {round.budget} rows; got {len(values)}; return as many as "
            "round.budget says"
        )
    return values
