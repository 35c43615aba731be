"""The lower bound on a coreset's radius that weighted rows and prices of the limits prove."""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING

import numpy as np

from .pricing import EPS, utility_bound

if TYPE_CHECKING:
    from .arrays import Floats, Ints
    from .k_center import KCenter
    from .pricing import Prices


def proves_within_limits(
    problem: KCenter, rows: Ints, weights: Floats, radius: float, prices: Prices
) -> bool:
    r"""Return whether weighted rows and prices prove that no selection has a radius below `radius`.

    Give each row i a weight :math:`y_i \ge 0`. A candidate is worth the weight that it covers,
    :math:`u_j = \sum_{i:\, d_{ij} < r} y_i`, and what a selection covers is at most what its rows
    are worth together, which prices of budget and constraints bound from above (`utility_bound`).
    Any Ξ rows may stay uncovered, at best the heaviest. If the bound lies below the weight of the
    others, no selection covers all rows nearer than r.

    This is weak duality for the covering LP with the constraints' rows. It refutes radii that
    enough centers would cover, but not such as the constraints let in together.

    Parameters
    ----------
    problem
        N rows, budget and constraints.
    rows, weights
        Distinct dataset rows ``(k,)`` that no fixed center covers, and the weight of each.
    radius
        r.
    prices
        Any prices.

    Returns
    -------
    bool
        Whether the proof holds, in float64 on the distances themselves.
    """
    used = np.flatnonzero(weights > 0)
    rows, weights = rows[used], weights[used]
    if len(rows) <= problem.outliers or not np.isfinite(weights).all():
        return False
    covered, space = np.zeros(problem.space.size), problem.space
    sites = space.sites(rows)
    for start, stop in space.blocks(len(rows)):
        covered[start:stop] = space.nearer(start, stop, sites, radius) @ weights
    return exceeds(problem, weights, np.where(problem.is_free, covered, 0.0), prices)


def exceeds(problem: KCenter, weights: Floats, covered: Floats, prices: Prices) -> bool:
    """Return whether weights add up to more than any selection covers, outliers left out.

    Parameters
    ----------
    problem
        Budget, constraints and outliers.
    weights
        Weights ``(k,)`` of single rows.
    covered
        The weight that each row covers ``(N,)``, a sum of at most k of them.
    prices
        Any prices.
    """
    count = max(len(weights) - problem.outliers, 0)
    least = fsum(np.sort(weights)[:count]) * (1.0 - 4.0 * EPS)
    utility = covered * (1.0 + (len(weights) + 2) * EPS)
    return bool(utility_bound(problem, utility, prices) < least)
