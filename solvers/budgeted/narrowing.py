r"""Curved limits between the smallest and largest variance that a better answer can have.

A line between two values of the variance lies below the root (`problems.constraints.curves`), by
little where they are close. So linear programs look for the smallest and the largest variance of
each limit among all that satisfies the lines and is better than the answer, and the lines are drawn
anew between these, for a few rounds. Each end is proven by prices, in float64.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.narrowing import ROUNDING, CurvedPrices, Narrowing, Step, lines_between, widest
from .._lp import solve_lp
from .branching import Core, model_over
from .relaxing import Pursuit, prices_of, row_sizes
from .structure import Crossing, Structure
from .swapping import swap_near
from .windows import windows_among

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...problems.arrays import Floats
    from ...problems.constraints import Curve

ROUNDS, WORTH = 4, 0.1
"""Rounds at most, and the share of the ranges that a round must take away for another one."""
SHARE = 0.4
"""No round begins after this share of the time that is left."""
TANGENTS = 3
"""Rounds of tangents, whose answers the swaps begin with."""
LARGEST = 50_000
"""Places up to which the linear programs are solved as a whole."""


def narrow(pursuit: Pursuit, curves: Sequence[Curve]) -> tuple[Pursuit, list[Curve]]:
    """Return a pursuit with lines in the place of curves, and the curves with their ranges.

    It holds whatever is better than the answer, and tells the pursuit given of what it finds; the
    prices that prove its bound are that one's `narrowing`.

    Parameters
    ----------
    pursuit
        One with curves and with prices (`relax`), whose answer and bound improve.
    curves
        Of its problem's constraints.
    """
    curves = widest(pursuit.problem, curves)
    lined = _lined(pursuit, curves)
    if len(pursuit.structure.rows) > LARGEST or not _price(lined):
        return pursuit, curves
    pursuit.narrowing = Narrowing((), _curved_prices(lined, len(curves)))
    near = lined
    for _ in range(TANGENTS):
        touching = _touching(near, curves)
        if touching is None or not _price(touching):
            break
        near = touching
    swap_near(pursuit, near, curves)
    until = pursuit.clock.elapsed() + SHARE * pursuit.clock.remaining()
    for _ in range(ROUNDS):
        if pursuit.closed or pursuit.rows is None or pursuit.clock.elapsed() > until:
            break
        closer, step = _shrunk(pursuit, lined, curves)
        following = _lined(pursuit, closer)
        if not _price(following):
            break
        steps = (*pursuit.narrowing.steps, step)
        pursuit.narrowing = Narrowing(steps, _curved_prices(following, len(curves)))
        shrunk = _width(closer) <= (1.0 - WORTH) * _width(curves)
        lined, curves = following, closer
        if not shrunk:
            break
    return lined, curves


def _width(curves: Sequence[Curve]) -> float:
    """Return all ranges together, in standard deviations."""
    return float(sum(np.sqrt(curve.most) - np.sqrt(curve.least) for curve in curves))


def _lined(pursuit: Pursuit, curves: Sequence[Curve]) -> Pursuit:
    """Return a pursuit with the lines between the ends of the ranges, and these as limits."""
    rows = [sign * curve.variances for curve in curves for sign in (1.0, -1.0)]
    limits = [end for curve in curves for end in (curve.most, -curve.least)]
    return _with_rows(pursuit, curves, *lines_between(curves), rows, limits)


def _touching(near: Pursuit, curves: Sequence[Curve]) -> Pursuit | None:
    """Return a pursuit with the tangents at the variances of what some prices choose.

    They lie above the roots, so that whatever keeps them keeps the curves.
    """
    assert near.merged is not None
    rows = near.whole(near.merged.places)
    roots = np.sqrt([curve.variances[rows].sum() for curve in curves])
    if not roots.all():
        return None
    touching = _with_rows(near, curves, 0.5 / roots, 0.5 * roots, [], [])
    # What keeps the tangents is not all that keeps the curves: its bound is none.
    return replace(touching, tell=lambda found: None)


def _with_rows(
    pursuit: Pursuit,
    curves: Sequence[Curve],
    slopes: Floats,
    heights: Floats,
    rows: list[Floats],
    limits: list[float],
) -> Pursuit:
    r"""Return a pursuit with more rows, then :math:`a z + \kappa (\alpha + \beta v z) \le r`."""
    structure, included = pursuit.structure, pursuit.problem.included
    rules, straight = pursuit.problem.constraints, structure.crossing
    plain = [at for at, rule in enumerate(straight.rule) if rule >= 0 and not rules[rule].is_curved]
    for curve, slope, height in zip(curves, slopes, heights, strict=True):
        rows.append(curve.values + curve.factor * slope * curve.variances)
        limits.append(curve.limit - curve.factor * height)
    right = np.array(limits)
    own = np.array([row[included].sum() for row in rows])
    right += ROUNDING * (np.abs(right) + np.array([np.abs(row[included]).sum() for row in rows]))
    return _sharing(pursuit, _crossed(structure, plain, rows, right - own))


def _crossed(structure: Structure, kept: Any, rows: Sequence[Floats], limits: Floats) -> Structure:
    """Return a structure with some of its crossing limits and further ones."""
    from scipy import sparse

    straight, added = structure.crossing, np.full(len(limits), -1)
    more = sparse.csr_array(np.array([row[structure.rows] for row in rows]))
    crossing = Crossing(
        sparse.csr_array(sparse.vstack([straight.matrix[kept], more], format="csr")),
        np.concatenate([straight.limits[kept], limits]),
        np.concatenate([straight.rule[kept], added]),
        np.concatenate([straight.row[kept], added]),
    )
    return replace(structure, crossing=crossing)


def _sharing(pursuit: Pursuit, structure: Structure) -> Pursuit:
    """Return a pursuit over another structure, which holds whatever is better than the answer."""

    def share(found: Pursuit) -> None:
        if found.rows is not None:
            pursuit.offer(found.rows)
        pursuit.prove(max(found.bound, pursuit.value))

    return Pursuit(
        pursuit.problem,
        structure,
        pursuit.utility,
        pursuit.clock,
        gap=pursuit.gap,
        tell=share,
        rows=pursuit.rows,
        value=pursuit.value,
    )


def _price(pursuit: Pursuit) -> bool:
    """Price crossing limits by a linear program; say whether there was an optimum."""
    places = np.arange(len(pursuit.structure.rows))
    core, windows = Core(places, places[:0], exact=True), windows_among(pursuit.structure, places)
    model, unit = model_over(pursuit, core, windows)
    # Presolve compares all pairs of dense columns, which takes a hundred times the simplex method.
    found = solve_lp(model, 0.5 * pursuit.clock.remaining(), {"presolve": "off"})
    pursuit.clock.check()
    if found is None:
        return False
    crossing = pursuit.structure.crossing
    duals = found[1][len(found[1]) - len(crossing.limits) :]
    pursuit.at(np.maximum(-unit * duals / row_sizes(crossing.matrix), 0.0))
    return True


def _shrunk(pursuit: Pursuit, lined: Pursuit, curves: Sequence[Curve]) -> tuple[list[Curve], Step]:
    """Return curves with the variances of what keeps the lines and is better than the answer."""
    structure, closer, proof = lined.structure, [], []
    every = np.arange(len(structure.crossing.limits))
    above = pursuit.value - pursuit.offset - ROUNDING * (abs(pursuit.value) + pursuit.size)
    better = _crossed(structure, every, [-pursuit.utility], np.array([-above]))
    for curve in curves:
        ends: list[float] = []
        prices: list[CurvedPrices | None] = []
        for sign, known in ((-1.0, curve.least), (1.0, curve.most)):
            end = Pursuit(pursuit.problem, better, sign * curve.variances, pursuit.clock)
            priced = _price(end) and end.bound < sign * known
            prices.append(_curved_prices(end, len(curves)) if priced else None)
            ends.append(sign * min(end.bound, sign * known))
        closer.append(replace(curve, least=max(ends[0], 0.0), most=max(ends)))
        proof.append((prices[0], prices[1]))
    return closer, Step(pursuit.value, tuple(proof))


def _curved_prices(pursuit: Pursuit, count: int) -> CurvedPrices:
    """Return the prices of a pursuit over lines, sorted by what they are of."""
    prices = prices_of(pursuit)
    assert prices is not None
    added = pursuit.multipliers[pursuit.structure.crossing.rule < 0]
    ranges = added[: 2 * count]
    better = float(added[3 * count]) if len(added) > 3 * count else 0.0
    return CurvedPrices(prices, ranges[::2], ranges[1::2], added[2 * count : 3 * count], better)
