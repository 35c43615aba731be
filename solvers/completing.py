"""What to do when a selection that grew row by row is stuck: keep most of it, and finish it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..problems.errors import InfeasibleSelection
from ._clock import OutOfTime
from .budgeted.maximizing import maximize
from .search import Infeasible

if TYPE_CHECKING:
    from ..problems.arrays import Floats, Ints
    from .search import Search

ENOUGH = 1e-3
"""Share of the rows that may be given up without need where branch and bound decides."""


def complete(search: Search[Any], rows: Ints, worth: Floats | None = None) -> Ints:
    r"""Return a feasible selection that keeps as many of some rows as possible.

    .. math:: \max_z \sum_{i \in \text{rows}} z_i + \tfrac{1}{2}\sum_{i \notin \text{rows}} w_i z_i

    with w the worth, so scaled that all of it is less than one row.

    Parameters
    ----------
    search
        The run, whose problem and clock count.
    rows
        Rows that were taken so far, in the order of choice.
    worth
        Decides between the other rows ``(N,)``, by default their order.

    Returns
    -------
    ndarray
        The rows that stay in their order, then the others.

    Raises
    ------
    Infeasible
        If nothing satisfies the constraints.
    OutOfTime
        If the clock ran out before anything was found.
    """
    problem = search.problem
    weights = np.zeros(problem.dataset.size)
    if worth is not None:
        used = np.where(problem.is_selectable, worth, 0.0)
        share = 0.5 / max(problem.to_choose, 1)
        weights = used * (share / (float(np.abs(used).max(initial=0.0)) or 1.0))
    weights[rows] = 1.0
    found = maximize(problem, weights, search.clock, seed=search.seed, gap_tol=ENOUGH)
    search.note_peak(found.peak)
    if found.infeasible:
        raise Infeasible
    if found.rows is None:
        raise OutOfTime
    kept = np.isin(rows, found.rows)
    return np.concatenate([rows[kept], np.setdiff1d(found.rows, rows)])


def offer_or_complete(search: Search[Any], rows: Ints, *, ordered: bool = False) -> None:
    """Offer rows that grew; included rows that contradict a constraint show only now.

    Raises
    ------
    Infeasible
        If nothing satisfies the constraints.
    OutOfTime
        If the clock ran out before anything was found.
    """
    try:
        search.offer(rows, ordered=ordered)
    except InfeasibleSelection:
        if not search.problem.is_limited:
            raise
        search.offer(complete(search, rows), ordered=ordered)
