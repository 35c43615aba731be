"""k-means++ seeding: rows drawn with probability proportional to squared distance."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from ...problems.errors import Stuck
from ...problems.growing import grow_by
from .._clock import OutOfTime
from ..completing import complete
from .reserving import Reserves

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints, Mask
    from ...problems.k_center import KCenter
    from ...problems.spaces import Sites
    from ..search import Search


def solve_k_means_pp(search: Search[KCenter]) -> None:
    r"""Draw one row at a time by D² sampling (Arthur & Vassilvitskii 2007), as BADGE does.

    .. math:: \Pr(i) \propto \min_{c \in S \cup L} \|x_i - x_c\|^2

    over the selectable rows; the first one uniformly where no row is labeled or included, and all
    uniformly once every row lies on a center. Under cosine the points are those of length 1, so
    that rows are drawn in proportion to 1 - cos; given distances are squared. Distances are those
    of one product in the space's working precision for each pick. Constraints close rows as others
    are drawn; where the draws leave no room for what is still asked for, other rows complete them.
    """
    problem = search.problem
    space, rng = problem.space, search.rng()
    nearest = problem.to_fixed[0].copy()
    squares = _squared(problem, space.to_rough(problem.to_fixed[1])).copy()
    picks: list[int] = []
    every = np.arange(space.size)
    growth = problem.grow()
    reserves = Reserves(problem, growth)
    try:
        while len(picks) < problem.to_choose:
            search.clock.check()
            left = problem.to_choose - len(picks)
            is_open = growth.allows(every, left) if growth.needs() >= left else ~growth.closed
            if not is_open.any():
                break
            row = _draw(rng, np.where(is_open, squares, 0.0), is_open)
            picks.append(row)
            growth.add(row)
            reserves.take(row)
            site = space.sites(np.array([row]))
            for start, stop in space.blocks(1):
                _approach(problem, start, stop, site, squares, nearest)
    except OutOfTime:
        with suppress(Stuck, OutOfTime):
            order = [*picks, *problem.free.tolist()]
            _offer(search, grow_by(problem, order, tick=search.clock.check_late), nearest)
        raise
    rows = np.concatenate([problem.included, np.array(picks, dtype=np.int64)])
    if len(picks) < problem.to_choose or growth.needs():
        rows = complete(search, rows, np.where(np.isfinite(squares), squares, 0.0))
    _offer(search, rows, nearest)


def _draw(rng: np.random.Generator, weights: Floats, is_open: Mask) -> int:
    """Return an open row in proportion to its weight; uniformly where all are 0 or inf."""
    total = weights.sum()
    if not (0 < total < np.inf):
        return int(rng.choice(np.flatnonzero(is_open)))
    sums = weights.cumsum()
    # The sum's rounding must not let a row of weight 0 in at the end.
    at = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
    return min(at, int(np.flatnonzero(weights)[-1]))


def _approach(
    problem: KCenter, start: int, stop: int, site: Sites, squares: Floats, nearest: Ints
) -> None:
    """Lower the squared distances of a block of rows by one more center, in place."""
    rough = problem.space.closest(slice(start, stop), site)[1]
    # What rounding makes of two points in one place is no distance.
    rough[rough <= problem.space.rough_error(slice(start, stop), site)] = 0.0
    found = _squared(problem, rough)
    nearer = found < squares[start:stop]
    squares[start:stop][nearer] = found[nearer]
    nearest[start:stop][nearer] = site.rows[0]


def _squared(problem: KCenter, rough: Floats) -> Floats:
    return np.square(rough) if problem.space.witness_share is None else rough


def _offer(search: Search[KCenter], rows: Ints, nearest: Ints) -> None:
    problem = search.problem
    some = problem.fixed[0] if len(problem.fixed) else rows[0]
    hints = np.where(nearest < 0, some, nearest)
    search.offer(rows, ordered=True, nearest=hints)
