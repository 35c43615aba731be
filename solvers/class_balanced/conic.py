r"""The relaxation under all constraints over some of the rows, as a conic program for Clarabel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.constraints import Forbid, Include, Spacing
from ...problems.pricing import Prices
from .model import distance_part, unit

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from ...problems.arrays import Floats, Ints
    from ...problems.class_balanced import ClassBalanced
    from ...problems.constraints import LinearRows, Timeline

USABLE = ("Solved", "AlmostSolved", "MaxTime", "MaxIterations", "InsufficientProgress")
"""States whose duals are worth pricing with: any prices prove a bound."""
SHORTEST = 1e-3
"""Seconds that Clarabel gets where none are left."""


@dataclass(frozen=True, eq=False)
class PricedLimits:
    """The constraints of a problem in the form that relaxations and swaps take.

    Parameters
    ----------
    problem
        Whose they are.
    """

    problem: ClassBalanced

    @cached_property
    def first_spacing(self) -> int:
        """Number of the constraint that the bound keeps as it is, -1 without one."""
        kinds = [isinstance(rule, Spacing) for rule in self.problem.constraints]
        return kinds.index(True) if any(kinds) else -1

    @cached_property
    def is_free(self) -> Any:
        """Mask ``(N,)`` of the rows that are to be decided."""
        mask = np.zeros(self.problem.dataset.size, dtype=bool)
        mask[self.problem.free] = True
        return mask

    @cached_property
    def line(self) -> Timeline | None:
        """The free rows in order of the first spacing, None without one."""
        if self.first_spacing < 0:
            return None
        rule = self.problem.constraints[self.first_spacing]
        assert isinstance(rule, Spacing)
        return rule.timeline.kept(self.is_free[rule.timeline.rows])

    @cached_property
    def priced(self) -> tuple[LinearRows | None, ...]:
        """The linear rows of each constraint that the bound prices, None for the others."""
        kept = (Include, Forbid)
        return tuple(
            None
            if at == self.first_spacing or isinstance(rule, kept)
            else rule.linear(self.problem.dataset)
            for at, rule in enumerate(self.problem.constraints)
        )

    @cached_property
    def left(self) -> tuple[Floats | None, ...]:
        """What the included rows leave of each priced limit."""
        included = self.problem.included
        return tuple(None if rows is None else rows.left(included) for rows in self.priced)

    def residual(self, worth: Floats, prices: Prices) -> Floats:
        """Return what each row is worth beyond the prices of what it uses ``(N,)``."""
        residual = worth - prices.budget
        for rows, y in zip(self.priced, prices.limits, strict=True):
            if rows is not None and len(y):
                residual = residual - rows.matrix.T @ y
        return np.asarray(residual)


@dataclass(frozen=True, eq=False)
class Relaxed:
    r"""The relaxation over some rows.

    Parameters
    ----------
    rows
        The rows that it decided on.
    shares
        How much of each is taken ``(n,)``, in [0, 1].
    multipliers
        μ ``(C,)`` within the dual ball.
    prices
        ν and y of all constraints.
    shortfall
        :math:`\Omega - P^\top z` ``(C,)`` of the relaxed selection z.
    value
        Its value; a bound only for selections among these rows.
    doubt
        Of the relaxed selection z; see `ClassBalanced.doubt`.
    """

    rows: Ints
    shares: Floats
    multipliers: Floats
    prices: Prices
    shortfall: Floats
    value: float
    doubt: float


def relax_rows(limits: PricedLimits, rows: Ints, accuracy: float, seconds: float) -> Relaxed | None:
    r"""Solve the relaxation of eq. 4.8 under all constraints over some of the free rows.

    .. math:: \min_{0 \le z \le 1}\; -u^\top z + \lambda\,\text{dist}(\Omega - P^\top z)
        \quad\text{s.t.}\quad \mathbf 1^\top z = b,\; A z \le r

    The distance is a linear part for ℓ1 and Wasserstein, a second-order cone for ℓ2 and a quadratic
    objective for its square. An interior-point method takes few steps on it, and its duals lie in
    the middle of the optimal ones.

    Parameters
    ----------
    limits
        The constraints.
    rows
        Some of the free rows; the others are left out.
    accuracy
        Relative gap to solve to.
    seconds
        After which the present iterate is returned.

    Returns
    -------
    Relaxed or None
        None if these rows cannot satisfy the constraints, or the program could not be solved.
    """
    import clarabel
    from scipy import sparse

    problem = limits.problem
    classes, count, divisor = problem.n_classes, len(rows), unit(problem)
    spread, costs, is_free, _ = distance_part(problem, ())
    width = spread.shape[1]
    target = problem.target - problem.probs.total(problem.included)
    budget = sparse.csr_array(np.append(np.ones(count), np.zeros(width))[None])
    above, bounds, places = _limit_rows(limits, rows)
    positive = np.flatnonzero(~is_free)
    signs = sparse.csr_array(
        (-np.ones(len(positive)), (np.arange(len(positive)), positive)),
        shape=(len(positive), width),
    )
    probs = sparse.csr_array(problem.probs.take(rows).T)
    blocks = [
        sparse.hstack([probs, spread]),
        budget,
        sparse.block_array([[above, None], [None, signs]]),
    ]
    right = [target, np.array([float(problem.to_choose)]), bounds, np.zeros(len(positive))]
    cones: list[Any] = [clarabel.ZeroConeT(classes + 1)]
    cones.append(clarabel.NonnegativeConeT(len(bounds) + len(positive)))
    linear = np.concatenate([-problem.worth[rows], problem.balance * costs]) / divisor
    curve = np.zeros(count + width)
    if problem.distance == "squared-l2":
        linear[-1], curve[count:-1] = 0.0, 2.0 * problem.balance / divisor
    elif problem.distance == "l2":
        order = np.append(width - 1, np.arange(classes))
        cone = (-np.ones(classes + 1), (np.arange(classes + 1), count + order))
        blocks.append(sparse.csr_array(cone, shape=(classes + 1, count + width)))
        right.append(np.zeros(classes + 1))
        cones.append(clarabel.SecondOrderConeT(classes + 1))
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads, settings.presolve_enable = False, 1, False
    settings.direct_solve_method = "faer"
    settings.tol_gap_rel = settings.tol_gap_abs = settings.tol_feas = accuracy
    settings.time_limit = max(seconds, SHORTEST)
    solver = clarabel.DefaultSolver(
        sparse.csc_matrix(sparse.diags_array(curve)),
        linear,
        sparse.csc_matrix(sparse.vstack(blocks)),
        np.concatenate(right),
        cones,
        settings,
    )
    solution = solver.solve()
    duals = divisor * np.array(solution.z)
    if str(solution.status) not in USABLE or not np.isfinite(duals).all():
        return None
    y = duals[classes + 1 :]
    prices = Prices(float(duals[classes]), _spread_prices(limits, places, y))
    shares = np.clip(np.array(solution.x)[:count], 0.0, 1.0)
    return Relaxed(
        rows,
        shares,
        problem.metric.into_ball(-duals[:classes], problem.balance),
        prices,
        target - probs @ shares,
        divisor * solution.obj_val - float(problem.worth[problem.included].sum()),
        problem.doubt_of(rows, shares) + problem.doubt_of(problem.included),
    )


def _limit_rows(limits: PricedLimits, rows: Ints) -> tuple[csr_array, Floats, list[Ints]]:
    """Return all rows ``G z <= h``, and which rows of each priced constraint come first in them."""
    from scipy import sparse

    count = len(rows)
    parts, bounds, places = [], [], []
    for stated, left in zip(limits.priced, limits.left, strict=True):
        if stated is None or left is None:
            places.append(np.empty(0, dtype=np.int64))
            continue
        used, binding = stated.binding(rows, left)
        parts.append(used)
        bounds.append(left[binding])
        places.append(binding)
    windows, is_inside = _windows(limits, rows)
    single = np.flatnonzero(~is_inside)
    identity = sparse.eye_array(count, format="csr")
    parts += [windows, identity[single], -identity]
    bounds += [np.ones(windows.shape[0] + len(single)), np.zeros(count)]
    return sparse.vstack(parts, format="csr"), np.concatenate(bounds), places


def _windows(limits: PricedLimits, rows: Ints) -> tuple[csr_array, Any]:
    """Return the first spacing's rows ``z(window) <= 1`` among some rows, and who is in one."""
    from scipy import sparse

    if limits.line is None:
        return sparse.csr_array((0, len(rows))), np.zeros(len(rows), dtype=bool)
    place = np.full(limits.problem.dataset.size, -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    line = limits.line.kept(place[limits.line.rows] >= 0)
    window, members = line.windows()
    where = (window, place[members])
    matrix = sparse.csr_array(
        (np.ones(len(members)), where), shape=(int(window.max(initial=-1)) + 1, len(rows))
    )
    is_inside = np.zeros(len(rows), dtype=bool)
    is_inside[place[members]] = True
    return matrix, is_inside


def _spread_prices(limits: PricedLimits, places: list[Ints], duals: Floats) -> tuple[Floats, ...]:
    prices, first = [], 0
    for stated, binding in zip(limits.priced, places, strict=True):
        y = np.zeros(0 if stated is None else len(stated.limits))
        y[binding] = np.maximum(duals[first : first + len(binding)], 0.0)
        first += len(binding)
        prices.append(y)
    return tuple(prices)
