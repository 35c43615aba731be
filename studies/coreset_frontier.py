"""Radius against balance: the least imbalance of a coreset within each radius, with bounds."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..problems.arrays import as_number
from ..problems.errors import InvalidInput
from ..solvers._clock import Clock
from ..solvers.class_balanced.branching import solve_exact as solve_class_balance
from ..solvers.k_center.balanced import BRANCHED, RadiusPoint, trace_radii
from ..solvers.k_center.exact import solve_exact, start
from ..solvers.search import Search, Stop

if TYPE_CHECKING:
    from ..problems.k_center import KCenter


def coreset_frontier(
    problem: KCenter,
    points: int = 8,
    *,
    time_limit: float = 60.0,
    gap_tol: float = 1e-4,
    seed: int = 0,
) -> tuple[RadiusPoint, ...]:
    r"""Trace the Pareto front of radius and imbalance.

    .. math:: F(r) = \min_S \text{dist}(\Omega, P^\top z) \;\text{s.t.}\; \text{radius}(S) \le r

    at radii from the least that was found to the radius of the best balance. Beside what was found
    stands a proven bound on F, so that the front lies between the two.

    Parameters
    ----------
    problem
        With class probabilities and λ > 0, whose size plays no part.
    points
        How many radii, at least 2.
    time_limit
        Wall-clock seconds in all.
    gap_tol, seed
        As in `labelcut.solve`.

    Returns
    -------
    tuple of RadiusPoint
        By ascending radius.

    Raises
    ------
    InvalidInput
        A problem without balance or too large for branch and bound, or fewer than 2 points.

    Examples
    --------
    >>> from labelcut import KCenter
    >>> probs = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    >>> problem = KCenter([[0.0], [1.0], [5.0], [9.0]], 2, probs=probs, balance=1.0)
    >>> [(p.radius, p.imbalance, round(p.bound, 3)) for p in coreset_frontier(problem, 2)]
    [(4.0, 0.0, 0.0), (4.0, 0.0, 0.0)]
    """
    if problem.balancing is None or problem.balance == 0:
        raise InvalidInput("problem: needs class probabilities and balance > 0; pass both")
    count = as_number(points, "points")
    if not (count >= 2 and count.is_integer()):
        raise InvalidInput(f"points: must be a whole number, at least 2; got {points}")
    size = len(problem.free) * problem.balancing.n_classes
    if size > BRANCHED:
        raise InvalidInput(
            f"problem: {size:,} probabilities, branch and bound takes {BRANCHED:,}; "
            "choose among fewer candidates"
        )
    search: Search[KCenter] = Search(problem, Clock(time_limit), seed=seed, gap_tol=gap_tol)
    with suppress(Stop):
        start(search)
    return tuple(trace_radii(search, solve_exact, solve_class_balance, int(count)))
