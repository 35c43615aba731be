r"""The relaxation under all constraints, found on few rows and proven on all of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.base import Certificate
from ...problems.pricing import Prices
from .._compiling import compiled
from ..completing import complete
from .conic import PricedLimits, Relaxed, relax_rows
from .dual import solve_dual

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...problems.arrays import Floats, Ints, Mask
    from ...problems.class_balanced import ClassBalanced
    from .._clock import Clock
    from ..search import Search

FEWEST = 2_000
"""Free rows up to which all are taken at once."""
PASSES = 20
ROUGH, FINE = 1e-3, 1e-8
"""Relative gaps that the first passes and the last ones are solved to."""
NEARLY = 1e-2
"""Relative gap between a pass and the bound of all rows below which it is worth being exact."""
TIME_SHARE = 0.8
"""Share of the time left that a pass may take: one step of it may last."""
SMALL = 200_000
"""Probabilities up to which the relaxation is solved until no row is missing."""
ENOUGH = 2e-6
"""Relative gap at which larger ones end."""


@dataclass(frozen=True, eq=False)
class Turning:
    """The free rows, and what turning each of them around costs the bound.

    Parameters
    ----------
    limits
        The constraints.
    relaxed
        The relaxation on the rows that mattered.
    bound
        What its multipliers and prices prove.
    rows
        Free rows, by time where there is spacing, else ascending.
    is_taken
        Which of them the Lagrangian of the bound takes ``(n,)``.
    costs
        By how much the bound rises if a row is to be turned around ``(n,)``, at least 0.
    """

    limits: PricedLimits
    relaxed: Relaxed
    bound: float
    rows: Ints
    is_taken: Mask
    costs: Floats


def prove_priced(
    search: Search[ClassBalanced], multipliers: Floats, prices: Prices | None
) -> float:
    """Prove the bound of multipliers and prices, with them as the certificate, and return it."""
    bound = search.problem.lower_bound(multipliers, prices)
    values = {"multipliers": multipliers.tolist(), **({} if prices is None else prices.values())}
    search.prove(bound, Certificate("multipliers", True, bound, values))
    return bound


def sift(
    search: Search[ClassBalanced],
    limits: PricedLimits,
    start: Ints | None = None,
    on_pass: Callable[[Relaxed], None] = lambda relaxed: None,
) -> tuple[Relaxed, float]:
    """Solve the relaxation on few rows, price all others, and take in those that would help.

    Prices of a relaxation over some rows prove a bound over all of them. A row helps if it is worth
    more than the prices of what it uses; once no row outside helps, both are equal. The first rows
    are the most useful ones under the multipliers of the problem without constraints, and those of
    the answer so far; where these cannot satisfy the constraints, a selection that does is found.

    Parameters
    ----------
    search
        The run; bounds are offered to it, and the rows of its answer belong to the first ones.
    limits
        The constraints.
    start
        Further rows to begin with.
    on_pass
        Called with the relaxation of each pass but the last.

    Returns
    -------
    tuple
        The best relaxation and the bound that it proves; where no relaxation could be solved, the
        most useful rows, whose bound counts no constraint but the budget.

    Raises
    ------
    OutOfTime
        Before the first bound, if the clock runs out.
    """
    problem, free = search.problem, search.problem.free
    plain = _unpriced(search)
    if not 0 < problem.to_choose < len(free):
        return plain
    rows = free if len(free) <= FEWEST else _first_rows(search, start)
    few = max(problem.budget // 4, FEWEST // 4)
    best: tuple[Relaxed, float] | None = None
    accuracy = FINE if len(rows) == len(free) else ROUGH
    for _ in range(PASSES):
        if best is None:
            search.clock.check()
        elif search.clock.remaining() <= 0:
            break
        relaxed = relax_rows(limits, rows, accuracy, TIME_SHARE * search.clock.remaining())
        if relaxed is None:
            if len(rows) == len(free) or search.best is not None:
                break
            search.offer(complete(search, problem.included, problem.worth))
            assert search.rows is not None
            rows = np.union1d(rows, np.setdiff1d(search.rows, problem.included))
            continue
        bound = prove_priced(search, relaxed.multipliers, relaxed.prices)
        if best is None or bound > best[1]:
            best = relaxed, bound
        gap = (relaxed.value - bound) / max(abs(bound), 1e-300)
        new = _missing(problem, limits, relaxed)
        done = not len(new) or (gap <= ENOUGH and len(rows) * problem.n_classes > SMALL)
        if done and (accuracy <= FINE or abs(gap) <= FINE):
            break
        on_pass(relaxed)
        if accuracy > FINE:
            rows = _kept(rows, limits, relaxed, few)
        accuracy = FINE if done or gap <= NEARLY else ROUGH
        rows = np.union1d(rows, new[: 2 * problem.budget + FEWEST // 2])
    return best or plain


def _unpriced(search: Search[ClassBalanced]) -> tuple[Relaxed, float]:
    """Return the relaxation without balance and constraints, and the bound that it proves."""
    problem, free = search.problem, search.problem.free
    order = free[np.argsort(-problem.worth[free], kind="stable")]
    count = min(problem.to_choose, len(free))
    level = float(problem.worth[order[max(count - 1, 0)]]) if len(order) else 0.0
    prices = Prices(level, (np.empty(0),) * len(problem.constraints))
    shortfall = problem.target - problem.probs.total(np.union1d(problem.included, order[:count]))
    multipliers = np.zeros(problem.n_classes)
    shares = (np.arange(len(order)) < count).astype(float)
    bound = prove_priced(search, multipliers, prices)
    doubt = problem.doubt_of(order[:count]) + problem.doubt_of(problem.included)
    return Relaxed(order, shares, multipliers, prices, shortfall, bound, doubt), bound


def _first_rows(search: Search[ClassBalanced], start: Ints | None) -> Ints:
    problem = search.problem
    dual = solve_dual(problem, search.clock)
    prove_priced(search, dual.multipliers, None)
    worth = (problem.worth + problem.probs.dot(dual.multipliers))[problem.free]
    count = min(problem.budget * 3 // 2 + FEWEST // 2, len(worth))
    most = problem.free[np.argpartition(-worth, count - 1)[:count]]
    others = [rows for rows in (start, search.rows) if rows is not None]
    rows = np.unique(np.concatenate([most, *others]))
    return np.setdiff1d(rows, problem.included, assume_unique=True)


def _residual(problem: ClassBalanced, limits: PricedLimits, relaxed: Relaxed) -> Floats:
    worth = problem.worth + problem.probs.dot(relaxed.multipliers)
    return limits.residual(worth, relaxed.prices)


def _missing(problem: ClassBalanced, limits: PricedLimits, relaxed: Relaxed) -> Ints:
    """Return the rows that would help, the most helpful first."""
    residual = _residual(problem, limits, relaxed)
    helps = limits.is_free & (residual > 0)
    helps[relaxed.rows] = False
    new = np.flatnonzero(helps)
    return new[np.argsort(-residual[new], kind="stable")]


def _kept(rows: Ints, limits: PricedLimits, relaxed: Relaxed, few: int) -> Ints:
    """Return the rows that matter, and of the others those that come nearest to it."""
    residual = _residual(limits.problem, limits, relaxed)[rows]
    matters = (relaxed.shares > 1e-2) | (residual > 0)
    others = rows[~matters][np.argsort(-residual[~matters], kind="stable")]
    return np.concatenate([rows[matters], others[:few]])


def turn(
    search: Search[ClassBalanced], limits: PricedLimits, relaxed: Relaxed, bound: float
) -> Turning:
    """Return what turning each row around costs the bound of a relaxation.

    Raises
    ------
    OutOfTime
        If the compiled loop is not ready when the clock runs out.
    """
    problem, line = search.problem, limits.line
    residual = _residual(problem, limits, relaxed)
    if line is None:
        weights = residual[problem.free]
        return Turning(limits, relaxed, bound, problem.free, weights > 0, np.abs(weights))
    kernels = swap_kernels(search.clock)
    weights = np.ascontiguousarray(residual[line.rows])
    is_taken, costs = kernels.turning(
        line.first.astype(np.int64), line.starts.astype(np.int64), weights
    )
    return Turning(limits, relaxed, bound, line.rows, is_taken, np.maximum(costs, 0.0))


def swap_kernels(clock: Clock) -> Any:
    """Return the compiled loops of constrained selections."""
    compiled(clock, __package__, False, True)
    return import_module("._swaps", __package__)
