"""Prices for the limits that cross the tree, and the answers met on the way to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import fsum
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.errors import InfeasibleSelection, Stuck
from ...problems.growing import grow_by
from ...problems.pricing import Prices
from .._clock import OutOfTime
from .merging import EPS, Merged, merge, own_prices, priced_out, proven

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...problems.arrays import Floats, Ints
    from ...problems.narrowing import Narrowing
    from ...problems.selection import SelectionProblem
    from .._clock import Clock
    from .structure import Structure

ROUNDS = 150
"""Evaluations of the dual, at most."""
FEW = 300
"""Crossing limits up to which cutting planes find the prices; beyond, subgradient steps."""


@dataclass(eq=False)
class Pursuit:
    """The best answer and the best bound so far for one utility, in the problem's own rows.

    Parameters
    ----------
    problem, structure, utility, clock
        What is maximized; utility ``(N,)``.
    gap
        Gap at which it may end, as a function of the answer's value.
    tell
        Called with every better answer or bound.
    rng
        Decides between equally good places; without it the earliest.
    rows, value
        The best answer so far.
    bound
        The best proven bound so far.
    root, multipliers, merged
        The best bound that prices prove, those of the crossing limits, and the tree's best places
        at them.
    peak, nodes
        Peak memory and nodes of HiGHS, None and 0 where it did not run.
    narrowing
        What proves a bound from lines in the place of curves, or None.
    """

    problem: SelectionProblem
    structure: Structure
    utility: Floats
    clock: Clock
    gap: Callable[[float], float] = lambda value: 0.0
    tell: Callable[[Pursuit], None] = lambda pursuit: None
    rng: np.random.Generator | None = None
    rows: Ints | None = None
    value: float = -np.inf
    bound: float = np.inf
    root: float = np.inf
    multipliers: Floats = field(default_factory=lambda: np.empty(0))
    merged: Merged | None = None
    peak: int | None = None
    nodes: int = 0
    narrowing: Narrowing | None = None

    def __post_init__(self) -> None:
        """Look up the weights of the places."""
        self.weights = self.utility[self.structure.rows]
        self.offset = fsum(self.utility[self.problem.included])
        self.size = fsum(np.abs(self.utility[self.problem.included]))

    @property
    def optimal(self) -> bool:
        """Whether the bound leaves nothing between itself and the answer."""
        return self.rows is not None and self.bound <= self.value

    @property
    def closed(self) -> bool:
        """Whether answer and bound are as close as asked for."""
        return self.rows is not None and self.bound - self.value <= self.gap(self.value)

    def offer(self, rows: Ints) -> bool:
        """Take an answer in if it is feasible and the best so far."""
        value = fsum(self.utility[rows])
        if value <= self.value:
            return False
        try:
            self.problem.check(rows)
        except InfeasibleSelection:
            return False
        self.rows, self.value = np.sort(rows), value
        self.tell(self)
        return True

    def prove(self, bound: float) -> None:
        """Take a proven bound in if it is the best so far."""
        if bound < self.bound:
            self.bound = bound
            self.tell(self)

    def whole(self, places: Ints) -> Ints:
        """Return rows of the problem from places, the included ones too."""
        return np.concatenate([self.problem.included, self.structure.rows[places]])

    def at(self, multipliers: Floats) -> tuple[float, Any]:
        r"""Evaluate the dual at some prices y: its value and its slope ``r - A z``.

        .. math:: g(y) = y^\top r
            + \max_{z \in \text{tree}} (u - A^\top y)^\top z \;\ge\; \text{optimum}
        """
        crossing = self.structure.crossing
        weights, slack = self.net(multipliers)
        merged = merge(self.structure, weights, self.clock, self.rng)
        given = crossing.limits * multipliers
        bound = fsum(
            [proven(self.structure, weights, slack, merged, self.clock), self.offset, *given]
        )
        bound += 8 * EPS * (self.size + float(np.abs(given).sum()) + abs(bound))
        slope = crossing.limits - crossing.matrix @ merged.chosen.astype(float)
        if bound < self.root:
            self.root, self.multipliers, self.merged = bound, multipliers, merged
            self.prove(bound)
        if (slope >= -1e-9 * (1.0 + np.abs(crossing.limits))).all():
            self.offer(self.whole(merged.places))
        return bound, slope

    def net(self, multipliers: Floats) -> tuple[Floats, Floats | float]:
        """Return weights net of some prices, and by how much rounding may have lowered them."""
        crossing = self.structure.crossing
        if not len(multipliers):
            return self.weights, 0.0
        used = crossing.matrix.T @ multipliers
        size = abs(crossing.matrix).T @ multipliers + np.abs(self.weights)
        return self.weights - used, (len(multipliers) + 4) * EPS * size

    def grow(self) -> None:
        """Grow an answer by the utility that is left over the best prices."""
        if self.merged is None:
            return
        weights, _ = self.net(self.multipliers)
        net, _ = priced_out(self.structure, weights, self.merged.price)
        order = self.structure.rows[np.lexsort((-net, ~self.merged.chosen))]
        order_by_net = self.structure.rows[np.argsort(-net, kind="stable")]
        for rows in (order, order_by_net):
            self.clock.check()
            worth = None
            if self.problem.budget is None:
                worth = np.zeros(self.problem.dataset.size, dtype=bool)
                worth[self.structure.rows[self.weights > 0]] = True
            try:
                self.offer(grow_by(self.problem, rows.tolist(), worth=worth, tick=self.clock.check))
            except Stuck:
                continue


def relax(pursuit: Pursuit, seconds: float) -> None:
    """Find good prices of the crossing limits, for so many seconds at most.

    Raises
    ------
    OutOfTime
        If the clock runs out before the dual was evaluated once.
    """
    count = len(pursuit.structure.crossing.limits)
    until = pursuit.clock.elapsed() + seconds
    value, slope = pursuit.at(np.zeros(count))
    try:
        if pursuit.closed or (slope >= 0).all():
            return
        if count == 1:
            _one_price(pursuit, value, float(slope[0]), until)
        elif count <= FEW:
            _cutting_planes(pursuit, value, slope, until)
        else:
            _subgradients(pursuit, value, slope, until)
    except OutOfTime:
        return


def _scale(pursuit: Pursuit) -> Floats:
    """Return prices of the size that turns a usual row's utility to nothing ``(m,)``."""
    spread = float(np.ptp(pursuit.weights)) if len(pursuit.weights) else 0.0
    return (spread or 1.0) / row_sizes(pursuit.structure.crossing.matrix)


def row_sizes(matrix: Any) -> Floats:
    """Return the largest coefficient of each row of a sparse matrix ``(m,)``, 1 where none is."""
    if not min(matrix.shape):
        return np.ones(matrix.shape[0])
    largest = abs(matrix).max(axis=1).toarray().ravel()
    return np.where(largest > 0, largest, 1.0)


def _one_price(pursuit: Pursuit, value: float, slope: float, until: float) -> None:
    """Minimize over one price: the dual is convex, and two tangents meet at the next price."""
    low = (0.0, value, slope)
    step = scale = float(_scale(pursuit)[0])
    high: tuple[float, float, float] | None = None
    for turn in range(ROUNDS):
        if pursuit.clock.elapsed() > until or pursuit.closed:
            return
        if high is None:
            price = low[0] + step
            step *= 4.0
        else:
            cut = low[2] - high[2]
            price = (high[1] - low[1] + low[2] * low[0] - high[2] * high[0]) / cut
            if turn % 4 == 3:
                price = 0.5 * (low[0] + high[0])
            if not low[0] < price < high[0]:
                return
            meeting = low[1] + low[2] * (price - low[0])
        found, slopes = pursuit.at(np.array([price]))
        here = (price, found, float(slopes[0]))
        if high is not None and turn % 4 != 3 and found - meeting <= 1e-13 * abs(found):
            return
        if here[2] < 0:
            low = here
        else:
            high = here
            if here[2] == 0:
                return
        if price > 1e15 * scale:
            return


def _cutting_planes(pursuit: Pursuit, value: float, slope: Floats, until: float) -> None:
    """Minimize the largest tangent within a box around the best prices, which moves and shrinks."""
    from scipy.optimize import linprog

    scale = _scale(pursuit)
    center, best = np.zeros(len(scale)), value
    slopes, heights = [slope * scale], [value]
    radius = 0.25
    for _ in range(ROUNDS):
        if pursuit.clock.elapsed() > until or pursuit.closed:
            return
        size = len(scale)
        found = linprog(
            np.append(np.zeros(size), 1.0),
            A_ub=np.column_stack([np.array(slopes), -np.ones(len(slopes))]),
            b_ub=-np.array(heights),
            bounds=[*((max(c - radius, 0.0), c + radius) for c in center), (None, None)],
        )
        if found.x is None:
            return
        point, model = found.x[:-1], float(found.x[-1])
        promised = best - model
        at_edge = bool((np.abs(point - center) >= radius * (1 - 1e-9)).any())
        if promised <= 1e-9 * max(abs(best), 1e-9):
            if not at_edge:
                return
            radius *= 4.0
            if radius > 1e9:
                return
        bound, slope = pursuit.at(point * scale)
        slopes.append(slope * scale)
        heights.append(bound - float(slope * scale @ point))
        if bound < best - 0.1 * promised:
            center, best = point, bound
            radius *= 2.0 if at_edge else 1.0
        elif bound > best:
            radius *= 0.6


def _subgradients(pursuit: Pursuit, value: float, slope: Floats, until: float) -> None:
    """Step against the slope, as far as a goal asks for that lies between answer and bound."""
    scale = _scale(pursuit)
    point, length, best, waited = np.zeros(len(scale)), 1.0, value, 0
    direction = np.zeros(len(scale))
    for _ in range(ROUNDS):
        if pursuit.clock.elapsed() > until or pursuit.closed:
            return
        goal = pursuit.value if pursuit.rows is not None else best - 0.02 * max(abs(best), 1e-9)
        direction = 0.7 * slope * scale + 0.3 * direction
        squares = float(direction @ direction)
        if squares == 0:
            return
        point = np.maximum(point - length * max(value - goal, 0.0) / squares * direction, 0.0)
        value, slope = pursuit.at(point * scale)
        waited = 0 if value < best else waited + 1
        best = min(best, value)
        if waited >= 5:
            length, waited = 0.5 * length, 0
            point = pursuit.multipliers / scale


def cannot_meet(pursuit: Pursuit) -> bool:
    """Return whether some crossing limit alone is out of reach within the tree.

    The smallest ``A_k z`` over the tree is found exactly, and its proven bound lies above ``r_k``.
    Only few limits are looked at.
    """
    structure, clock = pursuit.structure, pursuit.clock
    if len(structure.crossing.limits) > FEW:
        return False
    for at, limit in enumerate(structure.crossing.limits):
        row = structure.crossing.matrix[[at], :].toarray().ravel()
        merged = merge(structure, -row, clock)
        least = -proven(structure, -row, 0.0, merged, clock)
        if least > limit:
            return True
        if structure.crossing.matrix[[at], :] @ merged.chosen <= limit:
            pursuit.offer(pursuit.whole(merged.places))
    return False


def prices_of(pursuit: Pursuit) -> Prices | None:
    """Return the best prices by the linear rows of the problem's constraints."""
    problem, structure = pursuit.problem, pursuit.structure
    if pursuit.merged is None:
        return None
    own = own_prices(structure, pursuit.merged.price)
    limits: list[Floats] = []
    for at, count in enumerate(structure.stated):
        nodes = np.flatnonzero(structure.rule == at)
        crossing = np.flatnonzero(structure.crossing.rule == at)
        y = np.zeros(count)
        for sign, row in ((1.0, structure.upper_row), (-1.0, structure.lower_row)):
            priced = nodes[(sign * own[nodes] > 0) & (row[nodes] >= 0)]
            y[row[priced]] = sign * own[priced]
        y[structure.crossing.row[crossing]] = pursuit.multipliers[crossing]
        limits.append(y)
    budget = float(own[0]) if problem.budget is not None else 0.0
    return Prices(budget, tuple(limits))
