"""Branch and bound on a cover's columns: bounds from duals of linear programs, in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._lp import WarmProgram
from .refuting import ROUNDING, covering_model

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from .._clock import Clock
    from .covering import Cover

TRIED = 4
"""Columns of which both branches are tried before one is chosen."""
STEPS = 50
"""Steps of the simplex method that a trial takes at most."""
LEAST = 1e-4
"""Gain of a trial that counts as none."""
WHOLE = 1e-6
"""Distance from an integer that is none."""
LARGER = 1e-3
"""Preference for columns of more rows, in units of distance from one half."""


class Branch(NamedTuple):
    """A part of the tree: bounds of the variables, and a basis to begin with."""

    lower: Floats
    upper: Floats
    basis: Any


@dataclass(frozen=True, eq=False)
class Bounded:
    """What duals prove of the number of columns in a branch, infinite if it has no cover.

    Parameters
    ----------
    value
        A bound on it.
    taken, left
        A bound on it where a column is taken, and where it is left out ``(n,)``.
    values
        The relaxed columns ``(n,)``.
    """

    value: float
    taken: Floats
    left: Floats
    values: Floats


class Tree:
    r"""Whether `budget` columns cover all rows but the outliers, by depth-first search.

    With any duals :math:`y \ge 0` of the rows, and :math:`u \ge 0` of the outliers' limit, columns
    z between l and h take

    .. math:: \sum_j z_j \ge \sum_i y_i - u\,\Xi + \sum_j \min_{l_j \le z_j \le h_j} r_j z_j
        + \sum_i \min(0, u n_i - y_i), \quad r_j = 1 - \sum_{i \in N_j} y_i

    A branch ends where this exceeds the budget in float64, whatever the solver says of its program.
    A column that would lift it there by :math:`|r_j|` is fixed. Of a few columns near one half both
    branches are tried with some steps of the simplex method, and the one is branched on that lifts
    the bound most in both (Applegate, Bixby, Chvátal & Cook 1995).

    Parameters
    ----------
    cover
        Columns that are interchangeable.
    budget
        b.
    outliers
        How many rows may stay uncovered, copies counted.
    """

    def __init__(self, cover: Cover, budget: int, outliers: int) -> None:
        self.cover, self.budget, self.outliers = cover, budget, outliers
        self.model = covering_model(cover, outliers, most=1.0)
        self.most = budget + ROUNDING
        self.program = WarmProgram(self.model, enough=self.most + ROUNDING)
        self.larger = LARGER * np.diff(cover.column_starts)

    def search(self, work: float, seconds: float, clock: Clock) -> tuple[bool, Ints | None]:
        """Search until the tree is done, a cover is found, or work or time are over.

        Parameters
        ----------
        work
            Steps of the simplex method, times entries of the matrix.

        Returns
        -------
        bool
            Whether there is no cover.
        ndarray or None
            Columns that are one.
        """
        deadline = clock.elapsed() + min(seconds, clock.remaining())
        steps = work / max(self.model.matrix.nnz, 1)
        stack = [Branch(self.model.lower, self.model.upper, None)]
        while stack:
            clock.check()
            left = deadline - clock.elapsed()
            if left <= 0 or self.program.steps > steps:
                return False, None
            bounded = self.bound(stack[-1], left)
            if bounded is None:
                return False, None
            branch = self.narrow(stack.pop(), bounded)
            if branch is None:
                continue
            values = bounded.values
            doubtful = np.flatnonzero(np.abs(values - np.round(values)) > WHOLE)
            if not len(doubtful):
                chosen = np.flatnonzero(values > 0.5)
                return False, chosen if self.solves(chosen) else None
            rank = np.abs(values[doubtful] - 0.5) - self.larger[doubtful]
            stack.extend(
                self.split(branch, bounded.value, doubtful[np.argsort(rank, kind="stable")], left)
            )
        return True, None

    def bound(self, branch: Branch, seconds: float, steps: int | None = None) -> Bounded | None:
        """Solve the program of a branch, or take some steps; None if it ended without duals."""
        cover, (m, n) = self.cover, self.cover.shape
        bare = cover.matrix @ branch.upper[:n] < 0.5
        if cover.copies[bare].sum() > self.outliers:
            return Bounded(np.inf, *np.zeros((3, n)))
        solved = self.program.solve(*branch, seconds, steps)
        if solved is None:
            return None
        values, duals = solved[0][:n], solved[1]
        weights, price = np.maximum(duals[:m], 0.0), max(-float(duals[m:].sum()), 0.0)
        reduced = 1.0 - cover.matrix.T @ weights
        least = np.minimum(reduced * branch.lower[:n], reduced * branch.upper[:n]).sum()
        missed = np.minimum(price * cover.copies - weights, 0.0).sum() if self.outliers else 0.0
        value = float(weights.sum() - price * self.outliers + least + missed)
        gain = np.maximum(reduced, 0.0), np.maximum(-reduced, 0.0)
        return Bounded(value, value + gain[0], value + gain[1], values)

    def narrow(self, branch: Branch, bounded: Bounded) -> Branch | None:
        """Fix columns that cannot be taken or left out; None if the branch holds no cover."""
        if bounded.value > self.most:
            return None
        n = len(bounded.values)
        lower, upper = branch.lower.copy(), branch.upper.copy()
        doubt = lower[:n] < upper[:n]
        upper[:n][doubt & (bounded.taken > self.most)] = 0.0
        lower[:n][doubt & (bounded.left > self.most)] = 1.0
        return Branch(lower, upper, self.program.basis())

    def split(self, branch: Branch, value: float, columns: Ints, seconds: float) -> list[Branch]:
        """Return a column's branches, the one that takes it last, or what trials leave of them."""
        best, most, fixed = int(columns[0]), 0.0, False
        for j in columns[:TRIED]:
            ways, gains = [], []
            for side in (0.0, 1.0):
                way = _with(branch, int(j), side)
                tried = self.bound(way, seconds, STEPS)
                if tried is None or tried.value <= self.most:
                    ways.append(way)
                    gains.append(LEAST if tried is None else max(tried.value - value, LEAST))
            if not ways:
                return []
            if len(ways) == 1:
                branch, fixed = ways[0], True
            elif gains[0] * gains[1] > most:
                best, most = int(j), gains[0] * gains[1]
        return [branch] if fixed else [_with(branch, best, side) for side in (0.0, 1.0)]

    def solves(self, chosen: Ints) -> bool:
        """Return whether columns are a cover of at most b."""
        missed = self.cover.matrix[:, chosen].sum(axis=1) < 0.5
        return len(chosen) <= self.budget and self.cover.copies[missed].sum() <= self.outliers


def _with(branch: Branch, column: int, value: float) -> Branch:
    """Return a branch with one column fixed."""
    lower, upper = branch.lower.copy(), branch.upper.copy()
    lower[column] = upper[column] = value
    return Branch(lower, upper, branch.basis)
