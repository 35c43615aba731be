"""Binary models with limits on a sum and its standard deviation, by HiGHS and ever finer lines.

The root of the variance is replaced by straight lines between some of its values, one of which a
binary variable picks. They lie below the root, so that every bound is one, and on it at their ends:
a point that breaks a limit becomes an end itself and is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..problems.narrowing import CLOSE
from ._clock import Clock
from ._mip import LinearModel, MipResult, MipStatus, solve_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..problems.arrays import Floats, Ints
    from ..problems.constraints import Curve
    from ._mip import MipUpdate, Option

LINES, FINE = 8, 0.2
"""Lines for each root to begin with, but none for less than this of it."""
DROPPED = 1e-9
"""Coefficients up to this HiGHS takes for 0."""
TOLERANCES = {"mip_feasibility_tolerance": 1e-8, "primal_feasibility_tolerance": 1e-8}
"""Below these, presolve was seen to lose the only points that keep a curve."""
SHORTEST = 1e-3


@dataclass(frozen=True, eq=False)
class Bend:
    """A curve over a model's first columns, all other rows being decided.

    Parameters
    ----------
    values, variances
        Of the columns ``(n,)``.
    value, variance
        Of the rows that are chosen for certain.
    factor, limit
        The curve's.
    most, least
        The largest and the smallest variance that a selection can have.
    """

    values: Floats
    variances: Floats
    value: float
    variance: float
    factor: float
    limit: float
    most: float
    least: float = 0.0

    def at(self, chosen: Any) -> tuple[float, float]:
        """Return the variance of some columns, and by how much they exceed the limit."""
        variance = self.variance + float(self.variances[chosen].sum())
        total = self.value + float(self.values[chosen].sum())
        return variance, total + self.factor * float(np.sqrt(variance)) - self.limit


def bends_of(curves: Iterable[Curve], rows: Ints, taken: Ints, most: int) -> list[Bend]:
    """Return curves over some rows, of which so many can be chosen at most besides those taken."""
    bends = []
    for curve in curves:
        variances, fixed = curve.variances[rows], float(curve.variances[taken].sum())
        widest = (fixed + float(-np.sort(-variances)[: max(most, 0)].sum())) * (1.0 + CLOSE)
        bends.append(
            Bend(
                values=curve.values[rows],
                variances=variances,
                value=float(curve.values[taken].sum()),
                variance=fixed,
                factor=curve.factor,
                limit=curve.limit,
                most=min(widest, curve.most),
                least=max(fixed, curve.least),
            )
        )
    return bends


def solve_curved(
    model: LinearModel,
    bends: Sequence[Bend],
    *,
    time_limit: float,
    start: Floats | None = None,
    options: Mapping[str, Option] = MappingProxyType({}),
    on_update: Callable[[MipUpdate], bool | None] | None = None,
) -> MipResult:
    """Minimize a model whose first columns, all binary, also keep some curves.

    As `solve_model`, which it is without curves. Points that `on_update` is told, and the result's
    where the status is not optimal, keep the lines but may break a curve: check them.

    Parameters
    ----------
    model
        All columns binary; its rows hold for everything that keeps the curves.
    bends
        The curves over its columns.
    time_limit, start, options, on_update
        As for `solve_model`, for all rounds together; the tolerances are its own.
    """
    if not bends:
        return solve_model(
            model, time_limit=time_limit, start=start, options=options, on_update=on_update
        )
    clock = Clock(time_limit)
    size, best = len(model.cost), None
    ends = [_first_ends(bend) for bend in bends]
    banned: list[Floats] = []
    options = {**options, **TOLERANCES}

    def tell(update: MipUpdate) -> bool | None:
        assert on_update is not None
        known = None if update.values is None else update.values[:size]
        return on_update(replace(update, values=known))

    while True:
        result = solve_model(
            _with_lines(model, bends, ends, banned),
            time_limit=max(clock.remaining(), SHORTEST),
            start=None if start is None else _lifted(start, bends, ends),
            options=options,
            on_update=None if on_update is None else tell,
        )
        values = None if result.values is None else result.values[:size]
        bounds = [bound for bound in (best, result.bound) if bound is not None]
        best = max(bounds, default=None)
        result = replace(result, values=values, bound=best, seconds=clock.elapsed())
        if result.status is MipStatus.INFEASIBLE and "presolve" not in options:
            options["presolve"] = "off"
            continue
        if result.status is not MipStatus.OPTIMAL or values is None:
            return result
        chosen = values > 0.5
        broken = [at for at, bend in enumerate(bends) if bend.at(chosen)[1] > 0]
        if not broken:
            return result
        refined = [_refine(ends[at], bends[at], chosen) for at in broken]
        if not any(refined):
            banned.append(chosen.astype(np.float64))
        if clock.remaining() <= 0:
            return replace(result, status=MipStatus.TIME)


def _first_ends(bend: Bend) -> list[float]:
    """Return ends at equal steps of the root."""
    least = min(max(bend.variance, bend.least), bend.most)
    left, right = np.sqrt(least), np.sqrt(bend.most)
    count = min(max(int(np.ceil((right - left) / FINE)), 1), LINES)
    ends = np.unique(np.clip(np.linspace(left, right, count + 1) ** 2, least, bend.most)).tolist()
    return ends if len(ends) > 1 else [ends[0], ends[0]]


def _refine(ends: list[float], bend: Bend, chosen: Any) -> bool:
    """Make the variance of some columns an end; say whether it was none."""
    variance, _ = bend.at(chosen)
    if min(abs(variance - end) for end in ends) <= CLOSE * bend.most:
        return False
    ends.append(variance)
    ends.sort()
    return True


def _lifted(start: Floats, bends: Sequence[Bend], ends: Sequence[list[float]]) -> Floats:
    """Return a start with the variances and lines that go with it."""
    parts = [start]
    for bend, own in zip(bends, ends, strict=True):
        variance, _ = bend.at(start > 0.5)
        lines = len(own) - 1
        at = min(max(int(np.searchsorted(own, variance, side="right")) - 1, 0), lines - 1)
        picked = np.zeros(lines)
        picked[at] = 1.0
        parts += [picked * variance, picked]
    return np.concatenate(parts)


def _with_lines(
    model: LinearModel, bends: Sequence[Bend], ends: Sequence[list[float]], banned: list[Floats]
) -> LinearModel:
    """Return the model with the lines of each curve, and without the points that are banned."""
    from scipy import sparse

    size = len(model.cost)
    lines = [len(own) - 1 for own in ends]
    width = size + 2 * sum(lines)
    matrix = sparse.csr_array(model.matrix)
    wide = (matrix.data, matrix.indices, matrix.indptr)
    blocks: list[Any] = [sparse.csr_array(wide, shape=(matrix.shape[0], width))]
    upper = [model.row_upper]
    first = size
    for bend, own, count in zip(bends, ends, lines, strict=True):
        rows, limits = _lines(bend, own, first, width)
        first += 2 * count
        blocks.append(rows)
        upper.append(limits)
    for chosen in banned:
        row = np.concatenate([2.0 * chosen - 1.0, np.zeros(width - size)])
        blocks.append(sparse.csr_array(row[None]))
        upper.append(np.array([chosen.sum() - 1.0]))
    limits = np.concatenate(upper)
    least = np.full(len(limits) - len(model.row_lower), -np.inf)
    is_line = np.concatenate([np.repeat([False, True], count) for count in lines])
    return LinearModel(
        cost=np.concatenate([model.cost, np.zeros(width - size)]),
        matrix=sparse.csr_array(sparse.vstack(blocks, format="csr")),
        row_lower=np.concatenate([model.row_lower, least]),
        row_upper=limits,
        lower=np.concatenate([model.lower, np.zeros(width - size)]),
        upper=np.concatenate([model.upper, np.where(is_line, 1.0, np.inf)]),
        integer=np.concatenate([model.integer, is_line]),
        offset=model.offset,
    )


def _lines(bend: Bend, ends: list[float], first: int, width: int) -> tuple[Any, Floats]:
    r"""Return the rows of a curve's lines, whose columns come first w, then y, and their limits.

    Line j, :math:`\alpha_j + \beta_j w`, runs from end :math:`e_j` to :math:`e_{j+1}`, is picked by
    :math:`y_j`, and then holds the variance: :math:`w_j \le e_{j+1} y_j`,
    :math:`\sum_j y_j \ge 1`, :math:`\sum_i v_i z_i \le \sum_j w_j` and
    :math:`\sum_i a_i z_i + \kappa \sum_j (\alpha_j y_j + \beta_j w_j) \le r`. Beyond its ends a
    line lies above the root, so that none but the right one helps.
    """
    from scipy import sparse

    left, right = np.array(ends[:-1]), np.array(ends[1:])
    roots, count, size = np.sqrt(left), len(left), len(bend.values)
    slopes = np.where(right > left, 1.0 / np.maximum(roots + np.sqrt(right), 1e-150), 0.0)
    at_w, at_y = first + np.arange(count), first + count + np.arange(count)
    ones, each, places = np.ones(count), np.arange(count), np.arange(size)
    parts = [
        (each, at_w, ones),
        (each, at_y, -right),
        (np.full(count, count), at_y, -ones),
        (np.full(size, count + 1), places, bend.variances),
        (np.full(count, count + 1), at_w, -ones),
        (np.full(size, count + 2), places, bend.values),
        (np.full(count, count + 2), at_y, bend.factor * (roots - slopes * left)),
        (np.full(count, count + 2), at_w, bend.factor * slopes),
    ]
    rows, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    # HiGHS takes tiny coefficients for 0, which must not cost what they would have brought.
    lost = DROPPED * np.count_nonzero((bend.values < 0) & (bend.values >= -DROPPED))
    limits = np.zeros(count + 3)
    limits[count:] = -1.0, -bend.variance, bend.limit - bend.value + lost
    return sparse.csr_array((values, (rows, columns)), shape=(count + 3, width)), limits
