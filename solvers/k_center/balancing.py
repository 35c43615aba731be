"""What the class-balance term makes a row cost, for greedy selection."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...problems.distances import L1, L2

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.class_balanced import ClassBalanced
    from ...problems.k_center import KCenter
    from .charge import Charge


def charge_of(problem: KCenter, *, straight: bool = False) -> Charge:
    """Return the cost of rows under the problem's class balance, its included rows taken in.

    `straight` takes the ℓ2 distance in the place of the problem's own.
    """
    balancing = problem.balancing
    if balancing is None:
        raise AssertionError("λ > 0 has class probabilities")
    charge: Charge
    if straight:
        charge = Shortfall(replace(balancing, distance="l2", labels="shares"))
    elif isinstance(balancing.metric, L1):
        charge = Overshoot(balancing)
    else:
        charge = Shortfall(balancing)
    return charge if balancing.doubt is None else Doubting(charge, balancing)


class Doubting:
    """Another charge, and the doubt about each row's label, which stays what it is."""

    def __init__(self, charge: Charge, balancing: ClassBalanced) -> None:
        self.charge, self.lazy = charge, charge.lazy
        assert balancing.doubt is not None
        # NaN on rows that are closed.
        self.price = np.nan_to_num(balancing.balance * balancing.doubt)
        self.rows = np.empty(0, dtype=np.int64)

    def gather(self, rows: Ints) -> None:
        """Remember the rows."""
        self.rows = rows
        self.charge.gather(rows)

    def gathered(self) -> Floats:
        """Return what the rows cost now ``(k,)``."""
        return np.asarray(self.charge.gathered() + self.price[self.rows])

    def everyone(self) -> Floats:
        """Return what every row costs now ``(N,)``."""
        return np.asarray(self.charge.everyone() + self.price)

    def add(self, row: int) -> None:
        """Take a row in."""
        self.charge.add(row)


class Overshoot:
    r"""Under ℓ1 a row costs what lies beyond the room left in its classes.

    With :math:`r = \Omega - P^\top z` that is, up to a constant,
    :math:`2\lambda \sum_k \max(p_{ik} - \max(r_k, 0), 0)`; room only shrinks, so costs only grow.
    """

    lazy = True

    def __init__(self, balancing: ClassBalanced) -> None:
        self.balancing = balancing
        self.room = balancing.target - balancing.probs.total(balancing.included)
        self.probs = np.empty((0, balancing.n_classes))

    def gather(self, rows: Ints) -> None:
        """Take the rows' probabilities."""
        self.probs = self.balancing.probs.take(rows)

    def gathered(self) -> Floats:
        """Return what the gathered rows cost now ``(k,)``."""
        return self._costs(self.probs)

    def everyone(self) -> Floats:
        """Return what every row costs now ``(N,)``; NaN counts as 0, for rows that are closed."""
        costs = np.zeros(self.balancing.dataset.size)
        for first, values in self.balancing.probs.chunks():
            costs[first : first + len(values)] = self._costs(values)
        return np.nan_to_num(costs)

    def add(self, row: int) -> None:
        """Take a row's probabilities off the room."""
        self.room -= self.balancing.probs.take(np.array([row]))[0]

    def _costs(self, probs: Floats) -> Floats:
        beyond = np.maximum(probs - np.maximum(self.room, 0.0), 0.0).sum(axis=1)
        return np.asarray(2.0 * self.balancing.balance * beyond)


class Shortfall:
    r"""Under ℓ2 or its square a row costs the distance that it leaves.

    With the shortfall e, :math:`\|e - p_i\|^2 = \|e\|^2 - 2 e^\top p_i + \|p_i\|^2`; the products
    :math:`e^\top p_i` are kept, and each pick changes them by one product with P. Costs rise and
    fall, so every row must be in the pool.
    """

    lazy = False

    def __init__(self, balancing: ClassBalanced) -> None:
        self.balancing = balancing
        probs = balancing.probs
        self.squares = np.empty(balancing.dataset.size)
        for first, values in probs.chunks():
            self.squares[first : first + len(values)] = (values**2).sum(axis=1)
        self.missing = balancing.target - probs.total(balancing.included)
        self.products = probs.dot(self.missing)
        self.rows = np.empty(0, dtype=np.int64)

    def gather(self, rows: Ints) -> None:
        """Remember the rows."""
        self.rows = rows

    def gathered(self) -> Floats:
        """Return what the rows cost now ``(k,)``."""
        return self.everyone()[self.rows]

    def everyone(self) -> Floats:
        """Return what every row costs now ``(N,)``."""
        left = np.maximum(self.missing @ self.missing - 2.0 * self.products + self.squares, 0.0)
        if isinstance(self.balancing.metric, L2):
            np.sqrt(left, out=left)
        return np.asarray(self.balancing.balance * left)

    def add(self, row: int) -> None:
        """Take a row's probabilities off the shortfall."""
        picked = self.balancing.probs.take(np.array([row]))[0]
        self.missing -= picked
        self.products -= self.balancing.probs.price(picked)
