r"""Multipliers of the Lagrangian bound, found by Newton's method on a smoothed dual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...problems.distances import SquaredL2
from ...problems.threads import one_blas_thread
from .barriers import ALMOST, barrier_of

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.class_balanced import ClassBalanced
    from .._clock import Clock
    from .barriers import Barrier

HOT, COOLING, COOLINGS = 0.03, 0.3, 40
"""First τ as a share of the spread of the costs, its factor each time, and how often at most."""
ACCURACY = 2e-8
"""See `solve_dual`."""
FLOOR = 1e-5
"""Curvature that every direction has at least, in units of 1/τ; a row has a quarter at most."""
STEPS = 25
"""Newton steps at each temperature at most."""
SAMPLE = 50_000
"""Rows of the sample on which the first temperatures are walked through."""
SAMPLED = 4
"""Coolings that are walked through on the sample."""
SMALL = 8_000_000
"""Probabilities up to which all are held in float64, so that how P is stored changes nothing."""


@dataclass(frozen=True, eq=False)
class Dual:
    r"""Where the smoothed dual has its maximum.

    Parameters
    ----------
    multipliers
        μ ``(C,)`` within the dual ball.
    threshold
        ν, the reduced cost that divides chosen rows from others.
    shortfall
        :math:`\Omega - P^\top z` ``(C,)`` of the relaxed selection z.
    steps
        Newton steps taken.
    doubt
        Of the relaxed selection; see `ClassBalanced.doubt`.
    """

    multipliers: Floats
    threshold: float
    shortfall: Floats
    steps: int
    doubt: float = 0.0


def solve_dual(
    problem: ClassBalanced, clock: Clock, start: Dual | None = None, accuracy: float = ACCURACY
) -> Dual:
    r"""Maximize the Lagrangian bound over the multipliers.

    With reduced costs :math:`r_i(\mu) = -u_i - \mu^\top p_i`, the sum of the m smallest is
    :math:`\max_\nu\, m\nu - \sum_i \max(\nu - r_i, 0)`. The hinge is smoothed and the dual ball
    kept by a barrier B:

    .. math:: G(\mu, \nu) = \mu^\top \Omega - \text{conj}(\mu) + m \nu
        - \tau \sum_i \log\bigl(1 + e^{(\nu - r_i)/\tau}\bigr) + t\,B(\mu)

    G is concave in C + 1 unknowns. Its Hessian needs only rows with :math:`r_i` near ν, fewer as τ
    falls; each step is one pass over P in its own precision. Rows of P sum to 1, so
    :math:`(\mu + s, \nu - s)` is a null direction, and the Hessian is regularized.

    Whatever the multipliers are, `ClassBalanced.lower_bound` makes a proven bound of them.

    Parameters
    ----------
    problem
        The problem.
    clock
        When it runs out, the multipliers so far are returned.
    start
        Multipliers of a neighbouring problem to start from.
    accuracy
        Share of the bound that smoothing and barrier may cost at the end.
    """
    # One thread: the same sums on every machine, and no waiting for cores that others use.
    with one_blas_thread():
        return _solve(problem, clock, start, accuracy)


def _solve(problem: ClassBalanced, clock: Clock, start: Dual | None, accuracy: float) -> Dual:
    rows = problem.free
    more = problem.to_choose
    if problem.balance == 0 or more in (0, len(rows)) or problem.n_classes == 1:
        return _without_a_choice(problem, rows, more)
    middle = np.zeros(problem.n_classes) if start is None else start.multipliers
    barrier = barrier_of(problem.metric, problem.balance)
    smoothed = _Smoothed(problem, rows, more, barrier)
    mu, nu, steps = ALMOST * problem.metric.into_ball(middle, problem.balance), np.nan, 0
    if len(rows) > 2 * SAMPLE:
        chance = np.random.default_rng(0)
        part = np.sort(chance.choice(len(rows), SAMPLE, replace=False))
        mu, nu, steps, _ = _climb(smoothed.sample(part), mu, nu, range(SAMPLED), clock, accuracy)
    rest = range(SAMPLED - 1 if steps else 0, COOLINGS)
    mu, nu, more_steps, tau = _climb(smoothed, mu, nu, rest, clock, accuracy)
    multipliers = problem.metric.into_ball(mu, problem.balance)
    taken = _share(nu - smoothed.reduced(mu), tau)
    doubt = problem.doubt_of(rows, taken) + problem.doubt_of(problem.included)
    shortfall = smoothed.target - smoothed.weighed(taken)
    return Dual(multipliers, nu, shortfall, steps + more_steps, doubt)


def _without_a_choice(problem: ClassBalanced, rows: Ints, more: int) -> Dual:
    """Return zeros, which are optimal where balance costs nothing or nothing can be chosen."""
    chosen = rows[np.argsort(-problem.worth[rows], kind="stable")[:more]]
    level = -float(problem.worth[chosen].min()) if more else -np.inf
    all_chosen = np.concatenate([problem.included, chosen])
    shortfall = problem.target - problem.probs.total(all_chosen)
    doubt = problem.doubt_of(all_chosen)
    return Dual(np.zeros(problem.n_classes), level, shortfall, 0, doubt)


class _Smoothed:
    """G and its derivatives over some rows, priced in the precision that P is stored in."""

    def __init__(self, problem: ClassBalanced, rows: Ints, more: int, barrier: Barrier) -> None:
        self.problem = problem
        self.rows = rows
        self.more = float(more)
        self.barrier = barrier
        self.costs = -problem.worth[rows]
        self.everything = len(rows) == problem.dataset.size
        self.target = problem.target - problem.probs.total(problem.included)
        small = len(rows) * problem.n_classes <= SMALL
        self.probs: Floats | None = problem.probs.take(rows) if small else None
        # Rows of P differ by at most 2 in the sum of their classes, and by half of that commonly.
        self.spread = float(self.costs.std()) + 0.1 * problem.balance

    def sample(self, part: Ints) -> _Smoothed:
        """Return the same function on a part of the rows, with budget and target to scale."""
        share = len(part) / len(self.rows)
        other = object.__new__(_Smoothed)
        other.__dict__.update(self.__dict__)
        other.rows, other.costs = self.rows[part], self.costs[part]
        other.more, other.target = self.more * share, self.target * share
        other.everything = False
        other.probs = self.problem.probs.take(other.rows)
        return other

    def reduced(self, mu: Floats) -> Floats:
        """Return the reduced costs of the rows."""
        if self.probs is not None:
            return np.asarray(self.costs - self.probs @ mu)
        priced = self.problem.probs.price(mu)
        return np.asarray(self.costs - (priced if self.everything else priced[self.rows]))

    def weighed(self, weights: Floats) -> Floats:
        """Return the rows' probabilities, weighed and summed ``(C,)``."""
        if self.probs is not None:
            return weights @ self.probs
        return self.problem.probs.weigh(_scattered(weights, self.rows, self.problem.dataset.size))

    def near(self, at: Ints) -> Floats:
        """Return the probabilities of some of the rows ``(k, C)``."""
        return self.probs[at] if self.probs is not None else self.problem.probs.take(self.rows[at])

    def value(self, mu: Floats, nu: float, reduced: Floats, tau: float, t: float) -> float:
        """Return G."""
        x = (nu - reduced) / tau
        soft = float((np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))).sum())
        line = mu @ self.target - self.problem.metric.conjugate(mu, self.problem.balance)
        return float(line + self.more * nu - tau * soft + t * self.barrier.value(mu))


def _climb(
    smoothed: _Smoothed, mu: Floats, nu: float, coolings: range, clock: Clock, accuracy: float
) -> tuple[Floats, float, int, float]:
    """Walk Newton's method through falling temperatures."""
    steps, tau = 0, HOT * smoothed.spread
    reduced = smoothed.reduced(mu)
    if np.isnan(nu):
        count = max(int(smoothed.more), 1)
        nu = float(np.partition(reduced, count - 1)[count - 1])
    for cooling in coolings:
        near = int((np.abs(nu - reduced) < tau).sum()) + len(mu)
        scale = abs(smoothed.more * nu) + abs(float(mu @ smoothed.target))
        if steps and near * tau <= accuracy * scale:
            break
        tau = HOT * COOLING**cooling * smoothed.spread
        t = 0.01 * tau
        for _ in range(STEPS):
            if clock.remaining() <= 0:
                return mu, nu, steps, tau
            direction, slope = _newton(smoothed, mu, nu, reduced, tau, t)
            steps += 1
            if slope <= tau * max(1e-5 * smoothed.more, 1e-3):
                break
            moved = _line_search(smoothed, mu, nu, reduced, direction, slope, tau, t)
            if moved is None:
                break
            mu, nu, reduced = moved
    return mu, nu, steps, tau


def _newton(
    smoothed: _Smoothed, mu: Floats, nu: float, reduced: Floats, tau: float, t: float
) -> tuple[Floats, float]:
    """Return the Newton direction over (ν, μ) and the slope of G along it."""
    taken = _share(nu - reduced, tau)
    near = np.flatnonzero(np.abs(nu - reduced) < 25.0 * tau)
    probs = smoothed.near(near)
    weights = taken[near] * (1.0 - taken[near]) / tau
    weighted = probs * weights[:, None]
    metric, balance = smoothed.problem.metric, smoothed.problem.balance
    bend, curve = smoothed.barrier.derivatives(mu)
    classes = len(mu)
    gradient = np.empty(classes + 1)
    gradient[0] = smoothed.more - taken.sum()
    gradient[1:] = smoothed.target - smoothed.weighed(taken) + t * bend
    hessian = np.empty((classes + 1, classes + 1))
    hessian[0, 0] = weights.sum()
    hessian[0, 1:] = hessian[1:, 0] = weighted.sum(axis=0)
    hessian[1:, 1:] = probs.T @ weighted - t * curve
    if isinstance(metric, SquaredL2):
        gradient[1:] -= mu / (2.0 * balance)
        hessian[1:, 1:] += np.eye(classes) / (2.0 * balance)
    # In proportion, not to drown ν beside multipliers at the boundary, where the barrier is steep.
    diagonal = np.diag_indices(classes + 1)
    hessian[diagonal] += 1e-9 * hessian[diagonal] + FLOOR / tau
    try:
        direction = np.linalg.solve(hessian, gradient)
    except np.linalg.LinAlgError:
        direction = gradient / np.trace(hessian)
    return np.asarray(direction, dtype=np.float64), float(gradient @ direction)


def _line_search(
    smoothed: _Smoothed,
    mu: Floats,
    nu: float,
    reduced: Floats,
    direction: Floats,
    slope: float,
    tau: float,
    t: float,
) -> tuple[Floats, float, Floats] | None:
    """Return the first of ever shorter steps that climbs enough, or None."""
    here = smoothed.value(mu, nu, reduced, tau, t)
    length = smoothed.barrier.longest_step(mu, direction[1:])
    while length > 1e-6:
        there_mu, there_nu = mu + length * direction[1:], nu + length * direction[0]
        there = smoothed.reduced(there_mu)
        if smoothed.value(there_mu, there_nu, there, tau, t) >= here + 0.1 * length * slope:
            return there_mu, there_nu, there
        length *= 0.4
    return None


def _share(below: Floats, tau: float) -> Floats:
    """Return how much of each row is taken, by how far its reduced cost lies below ν."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(below / tau, -40.0, 40.0))))


def _scattered(values: Floats, rows: Ints, size: int) -> Floats:
    whole = np.zeros(size)
    whole[rows] = values
    return whole
