"""Radius against balance: the least imbalance of a coreset within each radius, with bounds."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..problems.arrays import as_number
from ..problems.errors import InvalidInput, UnsupportedProblem
from ..problems.k_center import KCenter
from ..solvers._clock import Clock, OutOfTime
from ..solvers.class_balanced.branching import solve_exact as solve_class_balance
from ..solvers.dispatch import check_limits, explained
from ..solvers.k_center.balanced import BRANCHED, RadiusPoint, trace_radii
from ..solvers.k_center.exact import solve_exact, start
from ..solvers.registry import choose
from ..solvers.search import Infeasible, Search, Stop

if TYPE_CHECKING:
    from ..problems.selection import SelectionProblem


def coreset_frontier(
    problem: SelectionProblem,
    points: int = 8,
    *,
    time_limit: float = 60.0,
    gap_tol: float = 1e-4,
    seed: int = 0,
) -> tuple[RadiusPoint, ...]:
    r"""Trace the Pareto front of radius and imbalance.

    .. math:: F(r) = \min_S \text{dist}(\Omega, P^\top z) \;\text{s.t.}\; \text{radius}(S) \le r

    at radii from the least that was found to the radius of the best balance; where labels are
    chances, doubt counts as imbalance. Beside what was found stands a proven bound on F, so that
    the front lies between the two.

    Parameters
    ----------
    problem
        A `KCenter` with class probabilities and λ > 0, whose size plays no part.
    points
        How many radii, at least 2.
    time_limit
        Wall-clock seconds in all.
    gap_tol, seed
        As in `labelcut.solve`.

    Returns
    -------
    tuple of RadiusPoint
        By ascending radius; empty if the clock ran out before the ends of the front were found.

    Raises
    ------
    InvalidInput
        A problem without balance or too large for branch and bound, fewer than 2 points, or
        constraints that nothing satisfies.
    UnsupportedProblem
        A problem of another kind, or a constraint that no method for it takes.

    Examples
    --------
    >>> from labelcut import KCenter
    >>> probs = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    >>> problem = KCenter([[0.0], [1.0], [5.0], [9.0]], 2, probs=probs, balance=1.0)
    >>> [(p.radius, p.imbalance, round(p.bound, 3)) for p in coreset_frontier(problem, 2)]
    [(4.0, 0.0, 0.0), (4.0, 0.0, 0.0)]
    """
    if not isinstance(problem, KCenter):
        raise UnsupportedProblem(
            f"coreset_frontier: takes {KCenter.kind} problems, this one is {problem.kind}; "
            "frontier takes class-balanced ones"
        )
    check_limits(time_limit, gap_tol, seed)
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
    choose(problem, "exact")  # refuses what no method takes
    reason = problem.why_infeasible()
    if reason is not None:
        raise InvalidInput(f"coreset_frontier: {reason}")
    search: Search[KCenter] = Search(problem, Clock(time_limit), seed=int(seed), gap_tol=gap_tol)
    try:
        with suppress(Stop):
            start(search)
        return tuple(trace_radii(search, solve_exact, solve_class_balance, int(count)))
    except OutOfTime:
        return ()
    except Infeasible:
        raise InvalidInput(f"coreset_frontier: {explained(problem, search.clock)}") from None
