r"""Barriers that keep multipliers inside the dual ball of a distance.

A barrier is a concave function of μ that falls to minus infinity at the boundary of the ball.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from ...problems.distances import L1, L2, Wasserstein

if TYPE_CHECKING:
    from ...problems.arrays import Floats
    from ...problems.distances import Distance

ALMOST = 0.99
"""Share of the way to the boundary that a step may go."""


class Barrier(Protocol):
    """What Newton's method needs of a barrier."""

    def value(self, mu: Floats) -> float:
        """Return the barrier, minus infinity outside."""
        ...

    def derivatives(self, mu: Floats) -> tuple[Floats, Floats]:
        """Return gradient ``(C,)`` and Hessian ``(C, C)``."""
        ...

    def longest_step(self, mu: Floats, direction: Floats) -> float:
        """Return how long a step may be, at most 1, to stay inside."""
        ...


class Free:
    """No boundary: the barrier is 0."""

    def value(self, mu: Floats) -> float:
        """Return 0."""
        del mu
        return 0.0

    def derivatives(self, mu: Floats) -> tuple[Floats, Floats]:
        """Return zeros."""
        return np.zeros(len(mu)), np.zeros((len(mu), len(mu)))

    def longest_step(self, mu: Floats, direction: Floats) -> float:
        """Return 1."""
        del mu, direction
        return 1.0


class Ball:
    r""":math:`\log(\lambda^2 - \|\mu\|_2^2)`."""

    def __init__(self, radius: float) -> None:
        self.radius = radius

    def value(self, mu: Floats) -> float:
        """Return the barrier, minus infinity outside."""
        room = self.radius**2 - float(mu @ mu)
        return float(np.log(room)) if room > 0 else -np.inf

    def derivatives(self, mu: Floats) -> tuple[Floats, Floats]:
        """Return gradient and Hessian."""
        room = self.radius**2 - float(mu @ mu)
        gradient = -2.0 * mu / room
        return gradient, -2.0 / room * np.eye(len(mu)) - np.outer(gradient, gradient)

    def longest_step(self, mu: Floats, direction: Floats) -> float:
        """Solve the quadratic for the boundary."""
        a, half, c = direction @ direction, mu @ direction, self.radius**2 - mu @ mu
        reach = (-half + np.sqrt(half * half + a * c)) / a if a > 0 else np.inf
        return float(min(1.0, ALMOST * reach))


class Box:
    r""":math:`\sum_k \log(\lambda - \mu_k) + \log(\lambda + \mu_k)`."""

    def __init__(self, radius: float) -> None:
        self.radius = radius

    def value(self, mu: Floats) -> float:
        """Return the barrier, minus infinity outside."""
        room = self.radius**2 - mu**2
        return float(np.log(room).sum()) if (room > 0).all() else -np.inf

    def derivatives(self, mu: Floats) -> tuple[Floats, Floats]:
        """Return gradient and Hessian."""
        above, below = 1.0 / (self.radius - mu), 1.0 / (self.radius + mu)
        return below - above, -np.diag(above**2 + below**2)

    def longest_step(self, mu: Floats, direction: Floats) -> float:
        """Return the ratio to the nearest side."""
        return _reach(self.radius - np.sign(direction) * mu, np.abs(direction))


class Slopes:
    r""":math:`\sum_{k \ne l} \log(\lambda D_{kl} - \mu_k + \mu_l)`.

    Parameters
    ----------
    limits
        :math:`\lambda D` ``(C, C)``; limits of 0 are widened a little.
    """

    def __init__(self, limits: Floats) -> None:
        self.limits = np.maximum(limits, 1e-9 * limits.max())
        np.fill_diagonal(self.limits, np.inf)

    def value(self, mu: Floats) -> float:
        """Return the barrier, minus infinity outside."""
        room = self._room(mu)[~np.eye(len(mu), dtype=bool)]
        return float(np.log(room).sum()) if (room > 0).all() else -np.inf

    def derivatives(self, mu: Floats) -> tuple[Floats, Floats]:
        """Return gradient and Hessian."""
        pull = 1.0 / self._room(mu)
        both = pull**2 + pull.T**2
        return pull.sum(axis=0) - pull.sum(axis=1), both - np.diag(both.sum(axis=1))

    def longest_step(self, mu: Floats, direction: Floats) -> float:
        """Return the ratio to the nearest limit."""
        return _reach(self._room(mu), direction[:, None] - direction[None, :])

    def _room(self, mu: Floats) -> Floats:
        return np.asarray(self.limits - (mu[:, None] - mu[None, :]))


def barrier_of(metric: Distance, balance: float) -> Barrier:
    """Return the barrier of a distance's dual ball of radius λ > 0."""
    if isinstance(metric, L1):
        return Box(balance)
    if isinstance(metric, L2):
        return Ball(balance)
    if isinstance(metric, Wasserstein):
        return Slopes(balance * metric.ground_cost)
    return Free()


def _reach(room: Floats, speed: Floats) -> float:
    towards = np.isfinite(room) & (speed > 0)
    if not towards.any():
        return 1.0
    return float(min(1.0, ALMOST * (room[towards] / speed[towards]).min()))
