"""Branch and bound on a cover's columns: bounds from duals of linear programs, in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._lp import WarmProgram
from .refuting import ROUNDING, UNIT, covering_model, in_units, least_units

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from .._clock import Clock
    from .certifying import Nodes
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
    weights
        What proves it, in units: a weight for each row ``(m,)``, its copies one by one.
    """

    value: float
    taken: Floats
    left: Floats
    values: Floats
    weights: Floats


class Tree:
    r"""Whether `budget` columns cover all rows but the outliers, by depth-first search.

    With any weights w of the rows, columns z between l and h are

    .. math:: \sum_j z_j \ge W + \sum_j \min_{l_j \le z_j \le h_j} r_j z_j, \quad
        r_j = 1 - \sum_{i \in N_j} w_i

    where W is their sum without the Ξ heaviest. The duals of a linear program are good weights;
    they are rounded down to whole units, which add up exactly, and a branch ends where this exceeds
    the budget, whatever the solver says of its program.
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
    nodes
        Take in what the tree comes to: the proof, if it refutes.
    """

    def __init__(self, cover: Cover, budget: int, outliers: int, nodes: Nodes) -> None:
        self.cover, self.budget, self.outliers, self.nodes = cover, budget, outliers, nodes
        self.model = covering_model(cover, outliers, most=1.0)
        # Rounding weights down takes less than a unit of each row.
        enough = budget + cover.copies.sum() / UNIT + 2.0 * ROUNDING
        self.program = WarmProgram(self.model, enough)
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
            whole = stack.pop()
            branch = self.narrow(whole, bounded)
            if branch is None:
                self.nodes.add(bounded.weights)
                continue
            values = bounded.values
            doubtful = np.flatnonzero(np.abs(values - np.round(values)) > WHOLE)
            if not len(doubtful):
                chosen = np.flatnonzero(values > 0.5)
                return False, chosen if self.solves(chosen) else None
            rank = np.abs(values[doubtful] - 0.5) - self.larger[doubtful]
            doubtful = doubtful[np.argsort(rank, kind="stable")]
            stack.extend(self.split(whole, branch, bounded, doubtful, left))
        return True, None

    def bound(self, branch: Branch, seconds: float, steps: int | None = None) -> Bounded | None:
        """Solve the program of a branch, or take some steps; None if it ended without duals."""
        cover, (m, n) = self.cover, self.cover.shape
        bare = cover.matrix @ branch.upper[:n] < 0.5
        if cover.copies[bare].sum() > self.outliers:
            return self._proven(branch, (self.budget + 1.0) * UNIT * bare, np.zeros(n))
        solved = self.program.solve(*branch, seconds, steps)
        if solved is None:
            return None
        weights = in_units(cover, np.maximum(solved[1][:m], 0.0))
        return self._proven(branch, weights, solved[0][:n])

    def _proven(self, branch: Branch, weights: Floats, values: Floats) -> Bounded:
        """Return what weights in units prove of a branch."""
        n = len(values)
        total, reduced = least_units(self.cover, weights, self.outliers)
        least = np.minimum(reduced * branch.lower[:n], reduced * branch.upper[:n]).sum()
        value = total + least
        taken, left = value + np.maximum(reduced, 0.0), value + np.maximum(-reduced, 0.0)
        return Bounded(value / UNIT, taken / UNIT, left / UNIT, values, weights)

    def narrow(self, branch: Branch, bounded: Bounded) -> Branch | None:
        """Fix columns that cannot be taken or left out; None if the branch holds no cover."""
        if bounded.value > self.budget:
            return None
        n = len(bounded.values)
        lower, upper = branch.lower.copy(), branch.upper.copy()
        doubt = lower[:n] < upper[:n]
        upper[:n][doubt & (bounded.taken > self.budget)] = 0.0
        lower[:n][doubt & (bounded.left > self.budget)] = 1.0
        return Branch(lower, upper, self.program.basis())

    def split(
        self, whole: Branch, branch: Branch, bounded: Bounded, columns: Ints, seconds: float
    ) -> list[Branch]:
        """Return a column's branches, the one that takes it last, or what trials leave of them.

        Parameters
        ----------
        whole, branch, bounded
            A part of the tree, what is left of it, and what leaves no more of it.
        columns
            Columns in doubt, the best first.
        """
        best, most, fixed = int(columns[0]), 0.0, False
        narrower = (whole.lower != branch.lower).any() or (whole.upper != branch.upper).any()
        weights = bounded.weights if narrower else None
        for j in map(int, columns[:TRIED]):
            ways, gains, ended = [], [], []
            for side in (0, 1):
                way = _with(branch, j, side)
                tried = self.bound(way, seconds, STEPS)
                if tried is None or tried.value <= self.budget:
                    ways.append(way)
                    gain = LEAST if tried is None else max(tried.value - bounded.value, LEAST)
                    gains.append(gain)
                else:
                    ended.append((side, tried.weights))
            if ended:
                self.nodes.add(weights, j, ended[0][0])
                for _, proof in ended:
                    self.nodes.add(proof)
                weights = None
            if not ways:
                return []
            if ended:
                branch, fixed = ways[0], True
            elif gains[0] * gains[1] > most:
                best, most = j, gains[0] * gains[1]
        if fixed:
            return [branch]
        self.nodes.add(weights, best, 1)
        return [_with(branch, best, side) for side in (0, 1)]

    def solves(self, chosen: Ints) -> bool:
        """Return whether columns are a cover of at most b."""
        missed = self.cover.matrix[:, chosen].sum(axis=1) < 0.5
        return len(chosen) <= self.budget and self.cover.copies[missed].sum() <= self.outliers


def _with(branch: Branch, column: int, value: int) -> Branch:
    """Return a branch with one column fixed."""
    lower, upper = branch.lower.copy(), branch.upper.copy()
    lower[column] = upper[column] = value
    return Branch(lower, upper, branch.basis)
