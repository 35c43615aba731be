"""Balanced coresets made better by swaps: one center for the best row in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...problems.coverage import largest
from .exchanging import Exchange, Measured

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.k_center import KCenter
    from .._clock import Clock
    from ..search import Search

GAIN = 1e-6
"""Share of the objective that a swap gains at least: about what rough distances are off."""
PAIRS = 1 << 13
"""Far rows and candidates up to which all are measured to each other at once."""


def swap_centers(search: Search[KCenter], chosen: Ints, clock: Clock) -> Ints:
    """Swap centers of a selection until no swap of one for another row makes it better.

    Center by center the best row in its place is taken (vertex substitution; Teitz & Bart 1968).
    The answer is offered, also where the clock runs out, and returned.

    Parameters
    ----------
    search
        The run, of a problem with a norm for its class balance.
    chosen
        A selection to start from.
    clock
        Looked at for every center.
    """
    swaps = _Swaps(search.problem, chosen)
    moved = True
    try:
        while moved:
            moved = False
            for at in range(len(swaps.centers)):
                clock.check()
                moved |= swaps.improve(at)
    finally:
        search.offer(swaps.selection(), nearest=swaps.hints())
    return swaps.selection()


class _Swaps(Exchange):
    """A selection whose centers are swapped for whatever lowers the objective."""

    def __init__(self, problem: KCenter, chosen: Ints) -> None:
        distances, fixed = Measured(problem), problem.to_fixed[1]
        super().__init__(problem, chosen, distances, fixed, problem.free)
        self.value = largest(self.near, self.problem.outliers) + self.balance.value

    def hints(self) -> Ints:
        """Return a near center of each row ``(N,)``."""
        by_place = np.append(self.centers, -1)[self.near_at]
        return np.where(by_place < 0, self.problem.to_fixed[0], by_place)

    def improve(self, at: int) -> bool:
        """Put the best row in the place of a center, if it is better than the center."""
        left, costs, gain = self.left(at), self.costs(at), GAIN * abs(self.value)
        places, best, value = np.flatnonzero(costs < self.value - gain), -1, self.value
        while len(places := self._reaching(left, places, value - gain - costs[places])):
            place = int(places[costs[places].argmin()])
            places, row = places[places != place], int(self.rows[place])
            near = np.minimum(left, self.distances.to(row))
            found = largest(near, self.problem.outliers) + costs[place]
            if found < value - 0.5 * gain and self.allows(at, row):
                best, value = row, float(found)
        if best < 0:
            return False
        before = int(self.centers[at])
        self.swap(at, best)
        value = largest(self.near, self.problem.outliers) + self.balance.value
        if value >= self.value - 0.5 * gain:
            # Sums are rounded: where less comes than was promised, swaps would circle.
            self.swap(at, before)
            return False
        self.value = value
        return True

    def _reaching(self, left: Floats, places: Ints, limits: Floats) -> Ints:
        """Return which rows, in the center's place, bring the radius to within their limits.

        Parameters
        ----------
        left
            Distance of each row to the nearest other center ``(N,)``.
        places, limits
            Candidates by their places ``(m,)``, and the radius that each may leave.
        """
        places, limits = places[limits >= 0], limits[limits >= 0]
        missed = np.zeros(len(places), dtype=np.int64)
        far = np.flatnonzero(left > limits.min(initial=np.inf))
        far = far[np.argsort(-left[far], kind="stable")]
        for done, row in enumerate(far):
            if not len(places) or left[row] <= limits.min():
                break
            if (len(far) - done) * len(places) <= PAIRS:
                missed += self._missed(left, far[done:], self.rows[places], limits)
                return places[missed <= self.problem.outliers]
            apart = self.distances.to(int(row))[self.rows[places]]
            missed += np.minimum(apart, left[row]) > limits
            keep = missed <= self.problem.outliers
            places, limits, missed = places[keep], limits[keep], missed[keep]
        return places

    def _missed(self, left: Floats, far: Ints, rows: Ints, limits: Floats) -> Ints:
        """Return how many of the far rows stay beyond the limit of each candidate ``(m,)``."""
        apart = np.minimum(self.distances.among(far, rows), left[far][:, None])
        return np.asarray((apart > limits).sum(axis=0))
