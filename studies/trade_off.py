"""Utility against balance: the whole trade-off, with bounds, and where it bends."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..problems.class_balanced import require_class_balanced
from ..problems.errors import InvalidInput
from ..solvers._clock import Clock
from ..solvers.class_balanced.tracing import relaxed_imbalance, trace
from ..solvers.dispatch import check_limits, explained
from ..solvers.registry import choose
from ..solvers.search import Infeasible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..problems.arrays import Floats, Ints
    from ..problems.class_balanced import ClassBalanced
    from ..problems.selection import SelectionProblem

GRID = np.concatenate([[0.0], np.geomspace(1e-3, 10.0, 17)])
"""λ of a frontier by default, in units of the utility's standard deviation."""
HALVINGS = 8
"""How often the interval that holds the knee is halved: λ is found to 0.3 %."""


@dataclass(frozen=True, eq=False)
class FrontierPoint:
    """The best selection found for one λ.

    Parameters
    ----------
    balance
        λ.
    indices
        Chosen rows, ascending.
    utility, imbalance
        The two terms of its objective; doubt counts as imbalance where labels are chances.
    objective, bound
        Its objective and a proven bound.
    relaxed_imbalance
        The imbalance of the relaxation.
    utility_bound
        No selection of this imbalance or less has more utility: proven, from all λ.
    """

    balance: float
    indices: Ints
    utility: float
    imbalance: float
    objective: float
    bound: float
    relaxed_imbalance: float
    utility_bound: float

    @property
    def abs_gap(self) -> float:
        """How far the objective may be from the best."""
        return max(self.objective - self.bound, 0.0)


@dataclass(frozen=True, eq=False)
class Frontier:
    """The trade-off over λ.

    Parameters
    ----------
    problem
        The problem, whose own λ plays no part.
    points
        By ascending λ.
    """

    problem: ClassBalanced
    points: tuple[FrontierPoint, ...]

    def knee(self, share: float = 0.01) -> float:
        """Return the smallest λ beyond which balance gains nothing worth paying for.

        The thesis chooses "the smallest λ after which the L1 loss does not diminish further"
        (section 4.5.1). Sharp: the smallest λ whose relaxed imbalance lies within `share` of the
        range, from λ = 0 to the least of all points, above that least.

        Raises
        ------
        InvalidInput
            If there are no points, time having run out before the first.
        """
        if not self.points:
            raise InvalidInput("frontier: no λ was solved in time; raise time_limit")
        imbalance_at = _imbalances(self.problem)
        imbalances = [point.relaxed_imbalance for point in self.points]
        least, most = min(imbalances), imbalance_at(0.0)
        level = least + share * (most - least)
        if most <= level:
            return 0.0
        at = next(k for k, value in enumerate(imbalances) if value <= level)
        low = self.points[at - 1].balance if at else 0.0
        return _halved(imbalance_at, low, self.points[at].balance, level)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row a point, in JSON's own types, without its indices."""
        names = [name for name in FrontierPoint.__dataclass_fields__ if name != "indices"]
        return [{name: getattr(point, name) for name in names} for point in self.points]


def frontier(
    problem: SelectionProblem,
    lambdas: Sequence[float] | None = None,
    *,
    time_limit: float = 60.0,
    gap_tol: float = 1e-4,
    seed: int = 0,
) -> Frontier:
    r"""Solve a class-balanced problem for many λ, each from the one before.

    Every bound of one λ bounds all others: no selection z has
    :math:`-u^\top z + \lambda\,\text{dist}` below the bound of λ, so its utility is at most
    :math:`\min_\lambda \lambda\,\text{dist} - \text{bound}(\lambda)`.

    Parameters
    ----------
    problem
        Its own λ plays no part.
    lambdas
        λ ≥ 0; default: 0 and 17 values from 0.001 to 10 standard deviations of the utility.
    time_limit
        Seconds for all of them; what is not reached is left out, be it all.
    gap_tol, seed
        As in `labelcut.solve`.

    Raises
    ------
    InvalidInput
        If no λ is given, or one is negative or not finite, or nothing satisfies the constraints.
    UnsupportedProblem
        For a problem of another kind, or a constraint that no method for it takes.

    Examples
    --------
    >>> from labelcut.problems import ClassBalanced
    >>> probs, utility = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]], [0.3, 0.5, 0.1]
    >>> trade = frontier(ClassBalanced(probs, utility, budget=2), [0.0, 1.0])
    >>> [round(point.utility, 6) for point in trade.points]
    [0.8, 0.6]
    """
    problem = _checked(problem, "frontier")
    check_limits(time_limit, gap_tol, seed)
    balances = np.unique(np.asarray(_grid(problem) if lambdas is None else lambdas, dtype=float))
    if not len(balances) or not (np.isfinite(balances).all() and balances[0] >= 0):
        raise InvalidInput(
            f"lambdas: must be finite numbers ≥ 0; got {list(balances)}; pass such as [0, 0.1, 1]"
        )
    clock = Clock(time_limit)
    found = []
    try:
        for traced in trace(problem, balances.tolist(), gap_tol=gap_tol, seed=seed, clock=clock):
            found.append(traced)
            if clock.remaining() <= 0:
                break
    except Infeasible:
        raise InvalidInput(f"frontier: {explained(problem, clock)}") from None
    bounds = [(traced.search.problem.balance, traced.search.bound) for traced in found]
    points = []
    for traced in found:
        search = traced.search
        assert search.best is not None
        assert search.rows is not None
        assert search.bound is not None
        imbalance = search.best.terms["imbalance"] + search.best.terms.get("doubt", 0.0)
        points.append(
            FrontierPoint(
                balance=search.problem.balance,
                indices=search.rows,
                utility=search.best.terms["utility"],
                imbalance=imbalance,
                objective=search.best.objective,
                bound=search.bound,
                relaxed_imbalance=traced.relaxed_imbalance,
                utility_bound=min(
                    balance * imbalance - bound for balance, bound in bounds if bound is not None
                ),
            )
        )
    return Frontier(problem, tuple(points))


def knee(problem: SelectionProblem, share: float = 0.01) -> float:
    """Return `Frontier.knee` over the default λ, without looking for selections.

    The imbalance of the relaxation never grows with λ (of two λ, each has an optimum that the other
    may not beat at its own price), so that bisection finds the λ in a few relaxations.

    Parameters
    ----------
    problem
        Its own λ plays no part.
    share
        As in `Frontier.knee`.

    Raises
    ------
    InvalidInput, UnsupportedProblem
        As `frontier`.

    Examples
    --------
    >>> from labelcut.problems import ClassBalanced
    >>> probs, utility = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0.3, 0.5, 0.1]
    >>> round(knee(ClassBalanced(probs, utility, budget=2)), 3)  # 0.2 of utility for 2 of balance
    0.1
    """
    problem = _checked(problem, "knee")
    imbalance_at, balances = _imbalances(problem), _grid(problem).tolist()
    try:
        least, most = imbalance_at(balances[-1]), imbalance_at(0.0)
    except Infeasible:
        raise InvalidInput(f"knee: {explained(problem, Clock())}") from None
    level = least + share * (most - least)
    if most <= level:
        return 0.0
    at = bisect_left(balances, True, 1, key=lambda balance: imbalance_at(balance) <= level)
    return _halved(imbalance_at, balances[at - 1], balances[at], level)


def _checked(problem: SelectionProblem, who: str) -> ClassBalanced:
    problem = require_class_balanced(problem, who)
    choose(problem, "exact")  # refuses what no method takes
    reason = problem.why_infeasible()
    if reason is not None:
        raise InvalidInput(f"{who}: {reason}")
    return problem


def _grid(problem: ClassBalanced) -> Floats:
    return GRID * (float(problem.utility[problem.selectable].std()) or 1.0)


def _imbalances(problem: ClassBalanced) -> Callable[[float], float]:
    """Return the function from λ to the imbalance of the relaxation, each found once."""
    return cache(lambda balance: relaxed_imbalance(replace(problem, balance=balance)))


def _halved(imbalance_at: Callable[[float], float], low: float, high: float, level: float) -> float:
    """Return the λ between two, of which the lower lies above a level, where it is reached."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if imbalance_at(middle) <= level:
            high = middle
        else:
            low = middle
    return high
