"""Balanced coresets for a radius to aim at: swaps that pay for what lies beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.arrays import to_numpy
from ...problems.spaces import BLOCK_VALUES
from .exchanging import Exchange
from .sample import center_distances

if TYPE_CHECKING:
    import numpy.typing as npt

    from ...problems.arrays import Floats, Ints
    from ...problems.k_center import KCenter
    from .._clock import Clock

MOST = 4096
"""Rows whose distances to each other are held: 64 MB."""
LARGEST = 1e30
"""Sums of as many distances fit float32 as long as none is larger."""
PRICE = 3.0
"""What a row costs for each unit of distance beyond the radius; the objective's own is 1."""
ROUNDINGS = (1.0, 0.3, 0.0)
"""Roundings of ℓ1 one after the other (`Balance`), in labels."""
SWEEPS = 6
"""Sweeps over the centers with each rounding, at most."""
LEAST = 1e-9
"""Share of what is paid that a swap gains at least."""


class Aim:
    r"""Selections for any radius to aim at.

    .. math:: \min_S\; \lambda\,\text{dist}(\Omega, P^\top z)
        + c \sum_i \max(\min_{s \in S} d(x_i, x_s) - r, 0)

    The largest distance tells nothing of a swap that does not cover the farthest row, and lets none
    pass that leaves another one behind; this sum does. Of many rows some stand for all: those
    farthest from a selection, and others in even steps.

    Parameters
    ----------
    problem
        With a norm for its class balance.
    chosen
        The selection, from which the first answer may begin.
    clock
        Looked at for every center.
    """

    def __init__(self, problem: KCenter, chosen: Ints, clock: Clock) -> None:
        self.problem, self.clock = problem, clock
        some = _standing_for_all(problem, chosen)
        rows = np.union1d(some[problem.is_free[some]], np.setdiff1d(chosen, problem.fixed))
        self.table = Table(problem, some, rows)
        self.fixed = problem.to_fixed[1][some]
        self.outliers = problem.outliers * len(some) // problem.space.size

    def at(self, radius: float, chosen: Ints) -> Ints:
        """Return the selection for a radius that swaps lead to; infinite asks for balance alone.

        Parameters
        ----------
        radius
            r.
        chosen
            Where to begin: with an answer of this method, or the selection the aim was made with.
        """
        state = Exchange(self.problem, chosen, self.table, self.fixed, self.table.rows)
        for rounding in ROUNDINGS if state.balance.has_corners else ROUNDINGS[-1:]:
            state.balance.rounding = rounding
            for _ in range(SWEEPS):
                if not sum(self._improve(state, at, radius) for at in range(len(state.centers))):
                    break
        return state.selection()

    def _improve(self, state: Exchange, at: int, radius: float) -> bool:
        """Put the row in a center's place that costs least, if it costs less."""
        self.clock.check()
        left, costs = state.left(at), state.costs(at)
        far = np.flatnonzero(left > radius)
        if len(far):
            apart = self.table.held[far]
            with np.errstate(over="ignore"):  # what is too large for float32 is no minimum
                apart = np.minimum(apart, left[far][:, None].astype(apart.dtype), out=apart)
            costs += self._beyond(apart, radius)
        now = state.balance.value + float(self._beyond(state.near[:, None], radius)[0])
        limit = now - LEAST * abs(now)
        while costs[place := int(costs.argmin())] < limit:
            if state.allows(at, row := int(state.rows[place])):
                state.swap(at, row)
                return True
            costs[place] = np.inf
        return False

    def _beyond(self, distances: Floats, radius: float) -> Floats:
        """Return what columns of distances ``(m, n)`` pay, the largest of each for outliers."""
        beyond = np.maximum(distances - radius, 0.0)
        counted = len(beyond) - self.outliers
        if counted <= 0:
            return np.zeros(beyond.shape[1])
        if self.outliers:
            beyond = np.partition(beyond, counted - 1, axis=0)[:counted]
        return np.asarray(PRICE * beyond.sum(axis=0), dtype=np.float64)


class Table:
    """Distances between some rows and some others, all held: in float32 where they fit.

    Parameters
    ----------
    problem
        N rows.
    covered
        Rows that must be covered ``(m,)``.
    rows
        Rows that may come in ``(n,)``, ascending.
    """

    def __init__(self, problem: KCenter, covered: Ints, rows: Ints) -> None:
        self.rows = rows
        space, sites = problem.space, problem.space.sites(rows)
        self.held: npt.NDArray[Any] = np.zeros((len(covered), len(rows)), dtype=np.float32)
        step = max(BLOCK_VALUES // (4 * len(rows)), 1)
        for first in range(0, len(covered), step):
            some = slice(first, first + step)
            rough = to_numpy(space.rough(covered[some], sites)).astype(np.float64)
            found = space.from_rough(rough)
            if found.max() > LARGEST:
                self.held = self.held.astype(np.float64, copy=False)
            self.held[some] = found
        same = np.searchsorted(rows, covered).clip(max=len(rows) - 1)
        self.held[np.arange(len(covered)), same] *= rows[same] != covered

    def to(self, row: int) -> Floats:
        """Return each covered row's distance to one ``(m,)``."""
        return self.held[:, np.searchsorted(self.rows, row)].astype(np.float64)

    def among(self, places: Ints, rows: Ints) -> Floats:
        """Return the distances ``(k, r)`` of some covered rows, by their places, to others."""
        return self.held[np.ix_(places, np.searchsorted(self.rows, rows))].astype(np.float64)


def _standing_for_all(problem: KCenter, chosen: Ints) -> Ints:
    """Return rows that stand for all, ascending: those far from a selection, and some of all."""
    size = problem.space.size
    if size <= MOST:
        return np.arange(size)
    distances, _ = center_distances(problem, np.setdiff1d(chosen, problem.fixed), 0.0)
    far = np.argpartition(-distances, MOST // 2)[: MOST // 2]
    return np.union1d(far, np.arange(0, size, -(-2 * size // MOST)))
