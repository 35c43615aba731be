"""What greedy picks must leave of limits on sums, so that exactly b rows can be paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...problems.constraints import Cost, ExpectedCount

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.constraints import Growth
    from ...problems.k_center import KCenter


class Reserves:
    """Closes the rows that would not leave enough for the cheapest rows still to be chosen.

    What is left beyond those only shrinks, so that rows close for good.

    Parameters
    ----------
    problem
        With or without limits on sums.
    growth
        The selection that grows, with the included rows.
    """

    def __init__(self, problem: KCenter, growth: Growth) -> None:
        self.growth = growth
        included = problem.included
        self.each = [
            _Reserve(sizes, limit - float(sizes[included].sum()), problem)
            for sizes, limit in _sums(problem)
        ]
        self._close()

    def take(self, row: int) -> None:
        """Take in that a row was added."""
        for reserve in self.each:
            reserve.take(row)
        self._close()

    def _close(self) -> None:
        for reserve in self.each:
            self.growth.closed[reserve.beyond()] = True


class _Reserve:
    def __init__(self, sizes: Floats, limit: float, problem: KCenter) -> None:
        self.sizes, self.left, self.count = sizes, limit, problem.to_choose
        free = problem.free
        self.order = free[np.argsort(sizes[free], kind="stable")]
        self.sorted = sizes[self.order]
        self.cheapest = self.sorted.copy()
        self.fitting = len(self.order)

    def take(self, row: int) -> None:
        size = float(self.sizes[row])
        self.left -= size
        self.count -= 1
        at = int(np.searchsorted(self.cheapest, size))
        self.cheapest = np.delete(self.cheapest, at)

    def beyond(self) -> Ints:
        """Return the rows that fit no longer, each once."""
        spare = self.left - float(self.cheapest[: max(self.count - 1, 0)].sum())
        # Rounding must not close what fits exactly.
        spare += 1e-12 * abs(self.left)
        fitting = int(np.searchsorted(self.sorted, spare, side="right"))
        rows = self.order[fitting : self.fitting]
        self.fitting = min(fitting, self.fitting)
        return rows


def _sums(problem: KCenter) -> list[tuple[Floats, float]]:
    """Return what each row takes ``(N,)`` of a limit from above, and the limit."""
    sums: list[tuple[Floats, float]] = []
    for rule in problem.constraints:
        if isinstance(rule, Cost):
            sums.append((np.where(problem.dataset.is_candidate, rule.costs, 0.0), rule.allowed))
        elif isinstance(rule, ExpectedCount):
            limited = np.flatnonzero(np.isfinite(rule.upper))
            sums += [(rule.columns[:, at], float(rule.upper[at])) for at in limited]
    return sums
