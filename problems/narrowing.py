r"""The bound of curved limits: any prices narrow what a better answer can have, and prove it.

A line between two values of the variance lies below the root (`constraints.curves`), by little
where they are close. Prices of these lines bound the smallest and the largest variance of each
limit among all that is better than a floor; between these the lines are drawn anew, step by step,
and the last ones bound the utility.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import fsum
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import as_number, as_vector
from .errors import InvalidInput
from .pricing import EPS, Prices, read_prices, utility_bound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .arrays import Floats
    from .constraints import Constraint, Curve
    from .dataset import Dataset
    from .selection import SelectionProblem

CLOSE = 1e-9
"""Share of a variance by which its first range is widened, and within which two are one."""
ROUNDING = 1e-11
"""Share of a limit by which sums in another order may be off."""


@dataclass(frozen=True, eq=False)
class CurvedPrices:
    """What the constraints cost, and what the curves do between their ends.

    Parameters
    ----------
    prices
        Of budget and constraints.
    most, least, lines
        For each curve, of its largest and smallest variance and of the line between them
        ``(k,)``; negative ones count as 0.
    better
        Of a utility above the floor.
    """

    prices: Prices
    most: Floats
    least: Floats
    lines: Floats
    better: float = 0.0

    def values(self) -> Mapping[str, Any]:
        """Return the prices by their names in certificates."""
        listed = {name: getattr(self, name).tolist() for name in ("most", "least", "lines")}
        return {**self.prices.values(), **listed, "better": self.better}


@dataclass(frozen=True, eq=False)
class Step:
    """One narrowing of all ranges.

    Parameters
    ----------
    floor
        What is no better than this is left out of the ranges.
    ends
        For each curve the prices of its smallest and of its largest variance, None where these
        stay.
    """

    floor: float
    ends: tuple[tuple[CurvedPrices | None, CurvedPrices | None], ...]


@dataclass(frozen=True, eq=False)
class Narrowing:
    """All narrowings, and the prices of the utility within the last ranges."""

    steps: tuple[Step, ...]
    last: CurvedPrices

    def values(self) -> Mapping[str, Any]:
        """Return the proof's numbers, for certificates."""
        steps = [
            {
                "floor": step.floor,
                "ends": [
                    [None if end is None else end.values() for end in pair] for pair in step.ends
                ],
            }
            for step in self.steps
        ]
        return {"steps": steps, "last": self.last.values()}


def curves_of(rules: Iterable[Constraint], dataset: Dataset) -> list[Curve]:
    """Return the curves of some constraints."""
    return [curve for rule in rules for curve in rule.curves(dataset)]


def widest(problem: SelectionProblem, curves: Sequence[Curve]) -> list[Curve]:
    """Return curves with the ranges that any choice of so many rows keeps."""
    rows, wide = problem.free, []
    count = len(rows) if problem.budget is None else problem.to_choose
    for curve in curves:
        fixed = float(curve.variances[problem.included].sum())
        largest = fixed - float(np.sort(-curve.variances[rows])[:count].sum())
        wide.append(replace(curve, least=fixed * (1.0 - CLOSE), most=largest * (1.0 + CLOSE)))
    return wide


def lines_between(curves: Sequence[Curve]) -> tuple[Floats, Floats]:
    r"""Return slopes and heights of :math:`\alpha + \beta w \le \sqrt w` within the ranges."""
    left, right = (np.sqrt([getattr(curve, end) for curve in curves]) for end in ("least", "most"))
    slopes = 1.0 / np.maximum(left + right, 1e-150)
    return slopes, left * (1.0 - slopes * left)


def narrowed_bound(problem: SelectionProblem, utility: Floats, narrowing: Narrowing) -> float:
    """Prove an upper bound on the largest utility of a selection from any prices.

    Parameters
    ----------
    problem
        Whose constraints have curves.
    utility
        u ``(N,)``, finite on candidates.
    narrowing
        Whatever its prices are, none is believed.
    """
    utility = np.where(problem.dataset.is_candidate, utility, 0.0)
    curves, floor = narrowed(problem, utility, narrowing.steps)
    if any(curve.most < curve.least for curve in curves):
        return floor  # nothing is better
    return max(floor, weight_bound(problem, utility, curves, narrowing.last, utility, floor))


def narrowed(
    problem: SelectionProblem, utility: Floats, steps: Sequence[Step]
) -> tuple[list[Curve], float]:
    """Return curves with the ranges that some steps prove, and the highest of their floors.

    Whatever is better than that floor has its variances within the ranges.
    """
    curves, floor = widest(problem, curves_of(problem.constraints, problem.dataset)), -np.inf
    for step in steps:
        closer = []
        for curve, (low, high) in zip(curves, step.ends, strict=True):
            least, most, variances = curve.least, curve.most, curve.variances
            if low is not None:
                found = weight_bound(problem, -variances, curves, low, utility, step.floor)
                least = max(least, -found, 0.0)
            if high is not None:
                found = weight_bound(problem, variances, curves, high, utility, step.floor)
                most = min(most, found)
            closer.append(replace(curve, least=least, most=most))
        curves, floor = closer, max(floor, step.floor)
        if any(curve.most < curve.least for curve in curves):
            break
    return curves, floor


def weight_bound(
    problem: SelectionProblem,
    weights: Floats,
    curves: Sequence[Curve],
    priced: CurvedPrices,
    utility: Floats,
    floor: float,
) -> float:
    r"""Bound the weight of a selection that keeps the lines and is better than the floor.

    Rows :math:`v z \le \text{most}`, :math:`-v z \le -\text{least}`,
    :math:`a z + \kappa (\alpha + \beta v z) \le r` and :math:`-u z \le -\text{floor}`, each at its
    price, then `utility_bound`. Limits and weights are raised by what rounding may have taken.
    """
    slopes, heights = lines_between(curves)
    factors = np.array([curve.factor for curve in curves])
    most, least, lines = (np.maximum(y, 0.0) for y in (priced.most, priced.least, priced.lines))
    better = max(priced.better, 0.0) if np.isfinite(floor) else 0.0
    values = np.column_stack([curve.values for curve in curves])
    variances = np.column_stack([curve.variances for curve in curves])
    bent = lines * factors * slopes
    with np.errstate(over="ignore", invalid="ignore"):
        raised = weights - variances @ (most - least + bent) - values @ lines + better * utility
        size = np.abs(weights) + variances @ (most + least + bent) + np.abs(values) @ lines
        size += better * np.abs(utility)
        raised = raised + (4 * len(curves) + 8) * EPS * size
        parts = [
            *(most * [curve.most for curve in curves]),
            *(-least * [curve.least for curve in curves]),
            *(lines * [curve.limit for curve in curves]),
            *(-lines * factors * heights),
            -better * floor if better else 0.0,
        ]
        reach = float(np.abs(parts).sum() + size.sum())
    if not np.isfinite(8.0 * reach):
        return np.inf
    constant = fsum(parts) + ROUNDING * fsum(np.abs(parts))
    return utility_bound(problem, raised, priced.prices) + constant


def read_narrowing(values: Mapping[str, Any], problem: SelectionProblem) -> Narrowing | None:
    """Return the narrowing in a certificate's values, validated, or None if it holds none.

    Raises
    ------
    InvalidInput
        If something is missing, of another length, or no number.
    """
    if "narrowing" not in values:
        return None
    stated, count = values["narrowing"], len(curves_of(problem.constraints, problem.dataset))
    if not count:
        raise InvalidInput("certificate narrowing: no constraint has a confidence; take it out")
    try:
        steps = tuple(
            Step(_number(step["floor"], "floor"), tuple(_ends(step["ends"], problem, count)))
            for step in stated["steps"]
        )
        return Narrowing(steps, _read(stated["last"], problem, count))
    except (KeyError, TypeError):
        raise InvalidInput(
            "certificate narrowing: needs steps with floor and ends, and last; the file was changed"
        ) from None


def _ends(stated: Any, problem: SelectionProblem, count: int) -> Any:
    if len(stated) != count or any(len(pair) != 2 for pair in stated):
        raise InvalidInput(f"certificate narrowing: ends must be {count} pairs, one for each limit")
    for pair in stated:
        yield tuple(None if end is None else _read(end, problem, count) for end in pair)


def _read(stated: Mapping[str, Any], problem: SelectionProblem, count: int) -> CurvedPrices:
    prices = read_prices(stated, problem)
    if prices is None:
        raise InvalidInput("certificate narrowing: prices are missing")
    most, least, lines = (
        as_vector(stated[name], f"certificate {name}", count) for name in ("most", "least", "lines")
    )
    if not all(np.isfinite(values).all() for values in (most, least, lines)):
        raise InvalidInput("certificate narrowing: prices must be finite")
    return CurvedPrices(prices, most, least, lines, _number(stated["better"], "better"))


def _number(stated: Any, name: str) -> float:
    value = as_number(stated, f"certificate {name}")
    if not np.isfinite(value):
        raise InvalidInput(f"certificate {name}: must be finite; got {value}")
    return value
