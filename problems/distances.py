r"""How far expected class counts are from the target, and what its duals may be.

Every distance of a shortfall :math:`e = \Omega - P^\top z` is convex, so it is bounded from below
by lines: :math:`\lambda\,\text{dist}(e) \ge \mu^\top e - \text{conjugate}(\mu)` for multipliers μ
in the dual ball. Outside the ball the line is too steep by `excess` for each unit of mass at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .arrays import Floats, freeze, to_numpy
from .errors import InvalidInput
from .transport import transport_cost

TOLERANCE = 1e-9


class Distance(Protocol):
    """What the objective, the bound and the solvers need of a distance."""

    def value(self, shortfall: Floats) -> float:
        """Return the distance of a shortfall ``(C,)``."""
        ...

    def values(self, shortfalls: Floats) -> Floats:
        """Return the distance of each shortfall ``(n, C)``."""
        ...

    def unreachable(self, mass: float, n_classes: int) -> float:
        """Return the least distance of any shortfall that sums to `mass`."""
        ...

    def conjugate(self, multipliers: Floats, balance: float) -> float:
        """Return what a line's offset loses against ``balance * value``."""
        ...

    def excess(self, multipliers: Floats, balance: float) -> float:
        """Return how far multipliers lie outside the dual ball, for each unit of mass."""
        ...

    def into_ball(self, multipliers: Floats, balance: float) -> Floats:
        """Return nearby multipliers within the dual ball, up to rounding."""
        ...


@dataclass(frozen=True)
class L1:
    r""":math:`\|e\|_1` (thesis eq. 4.2); dual ball :math:`\|\mu\|_\infty \le \lambda`."""

    def value(self, shortfall: Floats) -> float:
        """Return the sum of absolute shortfalls."""
        return float(np.abs(shortfall).sum())

    def values(self, shortfalls: Floats) -> Floats:
        """Return the sums of absolute shortfalls."""
        return np.asarray(np.abs(shortfalls).sum(axis=1))

    def unreachable(self, mass: float, n_classes: int) -> float:
        """Return the mass itself."""
        del n_classes
        return abs(mass)

    def conjugate(self, multipliers: Floats, balance: float) -> float:
        """Return 0, as for every norm."""
        del multipliers, balance
        return 0.0

    def excess(self, multipliers: Floats, balance: float) -> float:
        """Return how far the largest multiplier exceeds λ."""
        return max(float(np.abs(multipliers).max()) - balance, 0.0)

    def into_ball(self, multipliers: Floats, balance: float) -> Floats:
        """Clip each multiplier."""
        return np.asarray(np.clip(multipliers, -balance, balance))


@dataclass(frozen=True)
class L2:
    r""":math:`\|e\|_2`; dual ball :math:`\|\mu\|_2 \le \lambda`."""

    def value(self, shortfall: Floats) -> float:
        """Return the Euclidean norm."""
        return float(np.sqrt(shortfall @ shortfall))

    def values(self, shortfalls: Floats) -> Floats:
        """Return the Euclidean norms."""
        return np.asarray(np.sqrt(np.einsum("ik,ik->i", shortfalls, shortfalls)))

    def unreachable(self, mass: float, n_classes: int) -> float:
        """Return the norm of the mass spread evenly."""
        return float(abs(mass) / np.sqrt(n_classes))

    def conjugate(self, multipliers: Floats, balance: float) -> float:
        """Return 0, as for every norm."""
        del multipliers, balance
        return 0.0

    def excess(self, multipliers: Floats, balance: float) -> float:
        """Return how far the norm of the multipliers exceeds λ."""
        return max(float(np.sqrt(multipliers @ multipliers)) - balance, 0.0)

    def into_ball(self, multipliers: Floats, balance: float) -> Floats:
        """Scale the multipliers down to the ball."""
        norm = float(np.sqrt(multipliers @ multipliers))
        return multipliers if norm <= balance else multipliers * (balance / norm)


@dataclass(frozen=True)
class SquaredL2:
    r""":math:`\|e\|_2^2`; μ is free and pays :math:`\|\mu\|_2^2 / 4\lambda`."""

    def value(self, shortfall: Floats) -> float:
        """Return the sum of squared shortfalls."""
        return float(shortfall @ shortfall)

    def values(self, shortfalls: Floats) -> Floats:
        """Return the sums of squared shortfalls."""
        return np.asarray(np.einsum("ik,ik->i", shortfalls, shortfalls))

    def unreachable(self, mass: float, n_classes: int) -> float:
        """Return the squared norm of the mass spread evenly."""
        return mass * mass / n_classes

    def conjugate(self, multipliers: Floats, balance: float) -> float:
        """Return the conjugate of the scaled square."""
        norm = float(multipliers @ multipliers)
        if norm == 0.0:
            return 0.0
        return norm / (4.0 * balance) if balance > 0 else np.inf

    def excess(self, multipliers: Floats, balance: float) -> float:
        """Return 0: no multiplier is too large."""
        del multipliers, balance
        return 0.0

    def into_ball(self, multipliers: Floats, balance: float) -> Floats:
        """Return the multipliers as they are, or zeros for λ = 0."""
        return multipliers if balance > 0 else np.zeros_like(multipliers)


@dataclass(frozen=True, eq=False)
class Wasserstein:
    r"""Cost of moving the expected counts onto the target under a ground cost D.

    .. math:: W(e) = \min_{F \ge 0} \sum_{kl} D_{kl} F_{kl} \quad\text{s.t.}\quad
        \sum_l F_{kl} - \sum_l F_{lk} = e_k

    Dual ball :math:`|\mu_k - \mu_l| \le \lambda D_{kl}` (Kantorovich and Rubinstein). It needs
    :math:`\sum e = 0`.

    Parameters
    ----------
    ground_cost
        D ``(C, C)``, a metric between classes: see `as_ground_cost`.
    """

    ground_cost: Floats

    def value(self, shortfall: Floats) -> float:
        """Return the least cost of moving the surplus to where it lacks."""
        return transport_cost(shortfall, self.ground_cost)

    def values(self, shortfalls: Floats) -> Floats:
        """Return the costs, one transport problem each."""
        return np.array([self.value(shortfall) for shortfall in shortfalls])

    def unreachable(self, mass: float, n_classes: int) -> float:
        """Return 0: the target is scaled to the budget."""
        del mass, n_classes
        return 0.0

    def conjugate(self, multipliers: Floats, balance: float) -> float:
        """Return 0, as for every norm."""
        del multipliers, balance
        return 0.0

    def excess(self, multipliers: Floats, balance: float) -> float:
        """Return by how much the steepest pair of multipliers exceeds λ D."""
        steep = multipliers[:, None] - multipliers[None, :] - balance * self.ground_cost
        return max(float(steep.max()), 0.0)

    def into_ball(self, multipliers: Floats, balance: float) -> Floats:
        """Lower multipliers until no pair is too steep; the triangle inequality makes it hold."""
        return np.asarray((multipliers[None, :] + balance * self.ground_cost).min(axis=1))


PLAIN: dict[str, Distance] = {"l1": L1(), "l2": L2(), "squared-l2": SquaredL2()}
"""The distances that need nothing but their name."""

NAMES = (*PLAIN, "wasserstein")


def as_distance(name: Any, ground_cost: Any, n_classes: int) -> Distance:
    """Return a distance by its name, with its ground cost validated.

    Raises
    ------
    InvalidInput
        An unknown name, a ground cost where none is taken, or none where one is needed.
    """
    if name not in NAMES:
        raise InvalidInput(f"distance: must be one of {', '.join(NAMES)}; got {name!r}")
    if name in PLAIN:
        if ground_cost is not None:
            raise InvalidInput(
                f"ground_cost: {name!r} takes none; leave it out or pass distance='wasserstein'"
            )
        return PLAIN[name]
    if ground_cost is None:
        raise InvalidInput(
            "ground_cost: 'wasserstein' needs the cost (C, C) of taking one class for another; "
            "pass it, or 1 - np.eye(C) for all alike"
        )
    return Wasserstein(as_ground_cost(ground_cost, n_classes))


def as_ground_cost(ground_cost: Any, n_classes: int) -> Floats:
    """Validate a class-to-class ground cost: a metric ``(C, C)``.

    Raises
    ------
    InvalidInput
        Another shape, negative or not finite, not symmetric, a diagonal that is not 0, or a detour
        that is cheaper than the direct way (the triangle inequality).
    """
    cost = np.array(to_numpy(ground_cost, "ground_cost"), dtype=np.float64)
    if cost.shape != (n_classes, n_classes):
        raise InvalidInput(
            f"ground_cost: must be ({n_classes}, {n_classes}), class to class; got {cost.shape}"
        )
    if not (np.isfinite(cost).all() and (cost >= 0).all()):
        raise InvalidInput(
            f"ground_cost: must be finite and not negative; got {cost.min():.4g} at least, "
            f"{cost.max():.4g} at most; pass distances"
        )
    if np.diagonal(cost).any():
        raise InvalidInput("ground_cost: a class is at distance 0 from itself; zero the diagonal")
    scale = TOLERANCE * max(float(cost.max()), 1e-300)
    if (np.abs(cost - cost.T) > scale).any():
        raise InvalidInput("ground_cost: must be the same both ways; average it with its transpose")
    for via in range(n_classes):
        detour = cost[:, via, None] + cost[None, via, :]
        short = np.argwhere(cost > detour + scale)
        if len(short):
            one, other = short[0]
            raise InvalidInput(
                f"ground_cost: the way from class {one} to {other} costs {cost[one, other]:.4g}, "
                f"over {via} only {detour[one, other]:.4g}; take the shortest ways "
                "(scipy.sparse.csgraph.floyd_warshall)"
            )
    return freeze(cost)
