"""The Lagrangian bound of a linear objective: any prices of the constraints prove one."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import as_number, as_vector
from .constraints import Spacing
from .errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .arrays import Floats
    from .constraints import Timeline
    from .selection import SelectionProblem

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Prices:
    """What one more row, and one more unit of each limit, would be worth.

    Parameters
    ----------
    budget
        ν, of any sign; 0 where there is no budget.
    limits
        y, one array for each constraint in the problem's order, with one price of at least 0 for
        each of its linear rows. An empty array prices none of them. The first `Spacing` needs no
        prices: it is kept as it is.
    """

    budget: float
    limits: tuple[Floats, ...]

    def values(self) -> Mapping[str, Any]:
        """Return the prices by their names in certificates."""
        return {"budget_price": self.budget, "prices": [y.tolist() for y in self.limits]}


def utility_bound(problem: SelectionProblem, utility: Floats, prices: Prices) -> float:
    r"""Prove an upper bound on the largest utility of a selection from any prices.

    .. math:: \max_z \sum_i u_i z_i \;\le\; y^\top r + \nu b
        + \max_{z \in S} \sum_i (u_i - (A^\top y)_i - \nu)\, z_i

    where S keeps the candidates, the included and forbidden rows and the first `Spacing`, so that
    the maximum is a sum over sequences of a best set of rows apart from each other (weighted
    interval scheduling, O(N)); without `Spacing` it takes every row whose price is below its
    utility. With the best prices this is the value of the LP relaxation where the spacing is alone,
    and never worse.

    Every sum is taken exactly or rounded up, so that the bound holds for the numbers as given.

    Parameters
    ----------
    problem
        Budget and constraints.
    utility
        u ``(N,)``, finite on candidates.
    prices
        ν and y; negative y count as 0. Where they are so large that sums overflow, the bound is
        infinite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        constant, raised, reach = _priced(problem, utility, prices)
    if not isfinite(8.0 * reach):
        return np.inf
    included = raised[problem.included]
    size = fsum(np.abs(constant)) + fsum(np.abs(included))
    best = _best_apart(problem, raised)
    total = fsum([*constant, *included, *best])
    return total + 4 * EPS * (size + fsum(best))


def _priced(
    problem: SelectionProblem, utility: Floats, prices: Prices
) -> tuple[list[float], Floats, float]:
    """Return the constants, what rows are worth beyond prices, rounded up, and sizes in all."""
    constant: list[float] = []
    reduced = np.where(problem.dataset.is_candidate, utility, 0.0)
    weight = np.abs(reduced)
    if problem.budget is not None:
        constant.append(prices.budget * problem.budget)
        reduced, weight = reduced - prices.budget, weight + abs(prices.budget)
    terms = 4
    for rule, stated in zip(problem.constraints, prices.limits, strict=True):
        if not len(stated):
            continue
        y = np.maximum(stated, 0.0)
        linear = rule.linear(problem.dataset)
        used = linear.matrix.T @ y
        constant += (y * linear.limits).tolist()
        reduced, weight = reduced - used, weight + abs(linear.matrix).T @ y
        terms += int(linear.matrix.count_nonzero(axis=0).max(initial=0)) + 2
    reach = float(weight.sum() + np.abs(constant).sum())
    return constant, reduced + terms * EPS * weight, reach


def _best_apart(problem: SelectionProblem, weights: Floats) -> list[float]:
    """Return the largest weight of free rows that keep the first spacing, in parts rounded up."""
    spacing = next((rule for rule in problem.constraints if isinstance(rule, Spacing)), None)
    is_free = np.zeros(problem.dataset.size, dtype=bool)
    is_free[problem.free] = True
    if spacing is None:
        return list(weights[is_free & (weights > 0)].tolist())
    line = spacing.timeline
    line = line.kept(is_free[line.rows] & (weights[line.rows] > 0))
    return heaviest_apart(line, weights)


def heaviest_apart(line: Timeline, weights: Floats) -> list[float]:
    """Return, for each sequence, the largest sum of weights of rows that exclude no other.

    Weights ``(N,)`` are positive on the timeline; the sums are rounded up.
    """
    values, earlier = weights[line.rows].tolist(), line.first.tolist()
    sums, best = [], [0.0]
    for start, stop in zip(line.starts[:-1].tolist(), line.starts[1:].tolist(), strict=True):
        best = [0.0]
        for place in range(start, stop):
            taken = best[earlier[place] - start] + values[place]
            best.append(max(best[-1], taken))
        sums.append(best[-1] * (1.0 + (stop - start + 1) * EPS))
    return sums


def read_prices(values: Mapping[str, Any], problem: SelectionProblem) -> Prices | None:
    """Return the prices in a certificate's values, validated, or None if it holds none.

    Raises
    ------
    InvalidInput
        If there is not one list for each constraint, of the right length.
    """
    if "prices" not in values:
        return None
    stated = values["prices"]
    if not isinstance(stated, list | tuple) or len(stated) != len(problem.constraints):
        raise InvalidInput(
            f"certificate prices: must be {len(problem.constraints)} lists, one for each constraint"
        )
    limits = []
    for at, (rule, listed) in enumerate(zip(problem.constraints, stated, strict=True)):
        if not isinstance(listed, list | tuple):
            raise InvalidInput(f"certificate prices {at}: must be a list; got {listed!r}")
        rows = len(rule.linear(problem.dataset).limits) if len(listed) else 0
        y = as_vector(listed if len(listed) else np.empty(0), f"certificate prices {at}", rows)
        if not np.isfinite(y).all():
            raise InvalidInput(f"certificate prices {at}: must be finite")
        limits.append(y)
    budget_price = as_number(values.get("budget_price", 0.0), "certificate budget_price")
    if not isfinite(budget_price):
        raise InvalidInput(f"certificate budget_price: must be finite; got {budget_price}")
    return Prices(budget_price, tuple(limits))
