"""The farthest row from all centers, while centers are added one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...problems.arrays import as_slice
from ...problems.coverage import nearest_among
from .batches import batches, grouped
from .known import Known
from .pool import Pool
from .ranking import farthest_rows, largest, level_about, level_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...problems.arrays import Floats, Ints, Mask, Rows
    from ...problems.spaces import Guess, Sites, Space
    from .._clock import Clock
    from .charge import Charge

SMALL = 1024
"""Rows that a pool holds at least."""
SHARE = 1 / 16
"""Share of all rows that a pool holds at most, for four bytes a number."""
SETTLED_AT_ONCE = 32
"""Rows that are measured in float64 together, most of which are needed soon."""
BEFORE_AT_ONCE = 4
"""So many times more are measured to the fixed centers together."""
FIRST = 512
"""Fixed centers that every row is measured to; the others only concern rows that are far."""
PASS_VALUES = 1 << 18
"""Rough distances in one block of a pass: 1 MB in float32, which the cache holds."""
GATHERED = 1 << 19
"""Numbers of the points that a thread measures at once: 2 MB in float32."""
CENTER_VALUES = 1 << 20
"""Numbers of the centers that rows are measured to at once."""


WORTH_A_GUESS = 128
"""Centers of which one is guessed first: measuring a row to fewer takes no longer."""
GLANCES_GROW, ROUNDS_GROW = 1.5, 2.0
"""How many times more rows are measured in each round."""


class Farthest:
    r"""Name the open row farthest from all centers, as plain farthest-first does in float64.

    Distances to the nearest center only fall, so an old one is an upper bound on the present one.
    They are kept up to date in a pool of the rows that were farthest; the next farthest row is
    found there while its distance exceeds the largest old one outside (or equals it, and the row is
    lower). Then matrix products measure the rows of the largest old distances to the centers added
    since, until a new pool is found; the distances of rows that are never among the farthest stay
    old. In the pool, too, products in float32 only give upper bounds, and a row is measured in
    float64 when its bound is the largest: so whatever row is named, its distance is exact and no
    other is larger.

    Parameters
    ----------
    space
        N points.
    fixed
        Rows that are centers from the start ``(m,)``, ascending.
    to_fixed
        Each row's nearest of them and its distance ``(N,)``, exactly, -1 and inf without any; None
        if nobody knows, which leaves rows unmeasured that are never among the farthest.
    clock
        Looked at at every step.
    is_open
        Mask ``(N,)`` of the rows that may be named.
    charge
        What a row costs beside: then the row with the largest difference is named.
    """

    def __init__(
        self,
        space: Space,
        fixed: Ints,
        to_fixed: tuple[Ints, Floats] | None,
        clock: Clock,
        is_open: Mask,
        charge: Charge | None = None,
    ) -> None:
        self.space, self.clock, self.charge = space, clock, charge
        self.before = self._before(fixed, to_fixed)
        """What is known of rows' distances to the fixed centers."""
        self.known = self.before.at(np.arange(space.size))
        self.fixed = fixed[: 0 if to_fixed else None]
        """The fixed centers that rows are measured to as if they were added."""
        self.centers: list[int] = [] if to_fixed else fixed.tolist()
        self.is_open = is_open.copy()
        self.added: list[int] = []
        self.seen = np.zeros(space.size, dtype=np.int32)
        """How many of the centers each row was measured to."""
        self.pool: Pool | None = None
        self.passes = 0
        self.last_named: tuple[int, int, float] | None = None
        self.measured = space.size
        # Given distances come in whole rows, and what may fall must be seen at every step.
        self.partial = space.width > 0 and (charge is None or charge.lazy)
        self.most = max(int(SHARE * space.size), SMALL) if self.partial else space.size
        self.want = min(max(space.size // 64, SMALL), self.most) if self.partial else space.size

    def _before(self, fixed: Ints, to_fixed: tuple[Ints, Floats] | None) -> Known:
        size = self.space.size
        if to_fixed is not None:
            return Known(to_fixed[1].copy(), to_fixed[0].copy(), np.ones(size, dtype=bool))
        known = Known(np.full(size, np.inf), np.full(size, -1), np.full(size, not len(fixed)))
        known.put(fixed, Known(np.zeros(len(fixed)), fixed, np.ones(len(fixed), dtype=bool)))
        return known

    def farthest(self, rank: int = 0) -> tuple[int, float]:
        """Return the open row that is farthest, or after `rank` farther ones, and its distance.

        Ties go to the lowest row. With a charge the second number is what is left of the distance.
        """
        if self.last_named is not None and self.last_named[0] == rank:
            return self.last_named[1:]
        while True:
            self.clock.check()
            pool = self.pool or self._renewed(rank + 1)
            keys = pool.keys()
            top = largest(keys, rank + 1)
            row, key = int(pool.rows[top[-1]]), float(keys[top[-1]])
            if (-key, row) >= (-pool.limit[0], pool.limit[1]):
                del pool, keys
                self._renewed(rank + 1)
            elif pool.known.settled[top].all():
                self.last_named = rank, row, key
                return row, key
            else:
                self._settle(pool, keys, rank + 1)

    def ahead(self, count: int) -> Ints:
        """Return rows that may be the next farthest ones."""
        pool = self.pool or self._renewed(count)
        keys = pool.keys()
        return pool.rows[largest(keys, min(count, int((keys > -np.inf).sum())))]

    def add(self, row: int) -> None:
        """Make a row a center, and close it."""
        self.added.append(row)
        self.centers.append(row)
        if self.charge is not None:
            self.charge.add(row)
        if self.pool is not None:
            self._measure_pool(self.pool, row)
        self.close(row)

    def _measure_pool(self, pool: Pool, row: int) -> None:
        pool.named += 1
        if row in pool.ahead:
            site, rough = pool.ahead.pop(row)
        else:
            site = self.space.sites(np.array([row]))
            rough = self.space.apart(pool.points, site)[:, 0]
        error = self.space.apart_error(pool.points, site)
        pool.known.measured(self.space, rough.astype(np.float64), error, row)
        if self.charge is not None:
            pool.charged = self.charge.gathered()

    def close(self, row: int) -> None:
        """Never name a row again."""
        self.last_named = None
        self.is_open[row] = False
        if self.pool is not None:
            self.pool.close(row)

    def keep(self, allowed: Mask) -> None:
        """Never name rows again that are not allowed, by a mask ``(N,)``."""
        self.last_named = None
        self.is_open &= allowed
        if self.pool is not None:
            self.pool.is_open &= allowed[self.pool.rows]

    def hints(self) -> Ints:
        """Return a near center of each row ``(N,)``, and put the pool away."""
        self._return_pool()
        self.pool = None
        return self.known.nearest

    def upper(self) -> Floats:
        """Return an upper bound on each row's distance to its nearest center ``(N,)``."""
        self._return_pool()
        return self.known.upper

    def bring_up_to_date(self, count: int) -> None:
        """Measure rows to all centers until those of the `count` largest distances are, or all."""
        self._return_pool()
        self._begin()
        self._freshen(self.known.upper.copy(), min(count, self.space.size))

    def _return_pool(self) -> None:
        """Take over what is known of the rows of the pool."""
        if self.pool is not None:
            self.known.put(self.pool.rows, self.pool.known)
            self.seen[self.pool.rows] = len(self.centers)

    def _freshen(self, keys: Floats, count: int, charged: Floats | None = None) -> None:
        """Measure rows until those of the `count` largest keys are up to date.

        Most rows came near to some center since, and one guess shows it.
        """
        if count < len(keys):
            self._lower(keys, count, charged, self._glance, GLANCES_GROW)
        self._lower(keys, count, charged, self._measure, ROUNDS_GROW)

    def _lower(
        self,
        keys: Floats,
        count: int,
        charged: Floats | None,
        measure: Callable[[Ints], None],
        growth: float,
    ) -> None:
        """Measure rows until none is left whose key may be among the `count` largest ones.

        The keys of measured rows fall, so more rows are measured each time; but none whose old key
        lies below `count` new ones, for it can only fall.
        """
        done, many = self.seen == len(self.centers), 2.0 * count
        lowest = -np.inf if count >= len(keys) else -np.finfo(np.float64).max
        while True:
            level = max(level_of(keys[done], count), lowest)
            rows = np.flatnonzero(~done & (keys >= level))
            if not len(rows):
                return
            rows = rows[keys[rows] >= level_about(keys[rows], int(many))]
            measure(rows)
            done[rows], many = True, many * growth
            # Closed rows stay closed.
            upper = np.where(keys[rows] > -np.inf, self.known.upper[rows], -np.inf)
            keys[rows] = upper if charged is None else upper - charged[rows]

    def _begin(self) -> None:
        """Measure every row to some of the fixed centers, which is enough for most of them."""
        if len(self.fixed) and self.known.upper.max() == np.inf:
            self._glance(np.arange(self.space.size), min(len(self.fixed), FIRST))

    def _glance(self, rows: Ints, upto: int | None = None) -> None:
        """Measure ascending rows to one likely center of those that came since.

        Where there are few or nobody guesses, rows are measured to all of them.
        """
        upto, seen = len(self.centers) if upto is None else upto, self.seen[rows]
        many = upto - seen >= WORTH_A_GUESS
        # A block lies beside as many sites.
        start, step = int(seen.min()), max(GATHERED // (2 * max(self.space.width, 1)), 256)
        groups = [(since, rows[many][which]) for since, which in grouped(seen[many])]
        for sites in self._sites(start, upto) if groups else ():
            guess = self.space.guess(sites)
            if guess is None:
                many[:] = False
                break
            tasks = [
                (sites, guess, max(since - start, 0), some)
                for since, group in groups
                if since - start < len(sites)
                for some in batches(group, step)
            ]
            self.space.share_out(self._glance_block, tasks, self.clock.check)
            start += len(sites)
        self.measured += int(many.sum())
        if not many.all():
            self._measure(rows[~many], upto)

    def _glance_block(self, task: tuple[Sites, Guess, int, Ints]) -> None:
        sites, guess, first, rows = task
        block = as_slice(rows)
        at = guess(block, first)
        rough = self.space.rough_pairs(block, sites, at)
        self._take_in(block, sites, at, rough)

    def _measure(self, rows: Ints, upto: int | None = None) -> None:
        """Measure ascending rows to the centers that came since each of them was measured."""
        upto, seen = len(self.centers) if upto is None else upto, self.seen[rows]
        groups = [(since, rows[which]) for since, which in grouped(seen)]
        start = groups[0][0]
        for sites in self._sites(start, upto):
            self._measure_to(sites, start, groups)
            start += len(sites)
        self.seen[rows] = upto
        self.measured += len(rows)

    def _sites(self, since: int, upto: int) -> Iterator[Sites]:
        """Yield all centers but the first ones, prepared, some at a time and not kept."""
        many = len(self.fixed)
        for some in batches(self.fixed[since:upto], FIRST):
            yield self.space.sites(some)
        new = np.array(self.centers[max(since, many) : upto], dtype=np.int64)
        for some in batches(new, max(CENTER_VALUES // max(self.space.width, 1), 64)):
            yield self.space.sites(some)

    def _measure_to(self, sites: Sites, start: int, groups: list[tuple[int, Ints]]) -> None:
        """Measure rows to those of the centers from `start` on that came since."""
        width, tasks = max(self.space.width, 1), []
        for since, rows in groups:
            new = sites.part(slice(max(since - start, 0), None))
            if len(new):
                step = max(min(PASS_VALUES // len(new), GATHERED // width), 256)
                tasks += [(new, some) for some in batches(rows, step)]
        self.space.share_out(self._measure_block, tasks, self.clock.check)

    def _measure_block(self, task: tuple[Sites, Ints]) -> None:
        sites, rows = task
        block = as_slice(rows)
        self._take_in(block, sites, *self.space.closest(block, sites))

    def _take_in(self, rows: Rows, sites: Sites, at: Ints, rough: Floats) -> None:
        """Take in rough distances of rows to one site each."""
        known = self.known.at(rows)
        known.measured(self.space, rough, self.space.rough_error(rows, sites), sites.rows[at])
        self.known.put(rows, known)

    def _renewed(self, needed: int) -> Pool:
        """Gather the farthest rows anew, up to date."""
        if self.pool is not None and self.pool.named:
            # A pool pays while naming from it costs no more than finding its rows did.
            if self.pool.named * self.want < self.measured:
                self.want = min(2 * self.want, self.most)
            elif self.pool.named * self.want > 4 * self.measured:
                self.want = max(self.want // 2, min(SMALL, self.most))
        self._return_pool()
        # The next pool takes its place in memory.
        self.pool = None
        self._begin()
        keys, charged = np.where(self.is_open, self.known.upper, -np.inf), None
        if self.charge is not None and self.charge.lazy:
            charged = self.charge.everyone()
            keys -= charged
        count = max(self.want, 2 * needed)
        self.passes, self.measured = self.passes + 1, self.space.size // 8
        self._freshen(keys, count, charged)
        rows, limit = farthest_rows(keys, count)
        points = self.space.gather(rows)
        self.pool = Pool(rows, points, self.known.at(rows), self.is_open[rows], limit)
        if self.charge is not None:
            self.charge.gather(rows)
            self.pool.charged = self.charge.gathered()
        return self.pool

    def _settle(self, pool: Pool, keys: Floats, needed: int) -> None:
        """Measure the rows of the largest bounds to all centers in float64."""
        alive = keys >= pool.limit[0]
        if self.partial and self.charge is None and needed <= alive.sum() < len(alive) / 2:
            self._drop(pool, ~alive)
            keys = keys[alive]
        vague = np.where(pool.known.settled, -np.inf, keys)
        count = int((vague > -np.inf).sum())
        at = largest(vague, min(count, max(needed, SETTLED_AT_ONCE)))
        rows = pool.rows[at]
        if not self.before.settled[rows].all():
            # More of them, as the fixed centers must all be prepared for it.
            more = largest(vague, min(count, BEFORE_AT_ONCE * len(at)))
            self._settle_before(pool.rows[more])
        points, found = self.space.gather(rows), self.before.at(rows)
        for sites in self._sites(len(self.fixed), len(self.centers)):
            found.take_in(*nearest_among(self.space, points, sites))
        pool.known.put(at, found)
        if self.partial:
            # Whoever is named is settled before, and products of many at once cost far less.
            rough = self.space.apart(pool.points, points)
            for k, row in enumerate(rows.tolist()):
                pool.ahead[row] = points.part(slice(k, k + 1)), rough[:, k].copy()

    def _drop(self, pool: Pool, fallen: Mask) -> None:
        """Leave out rows that rows outside may exceed: the pool is renewed before their turn."""
        rows = pool.rows[fallen]
        self.known.put(rows, pool.known.at(fallen))
        self.seen[rows] = len(self.centers)
        pool.keep(~fallen)

    def _settle_before(self, rows: Ints) -> None:
        """Measure rows to the fixed centers in float64, once."""
        rows = rows[~self.before.settled[rows]]
        points, found = self.space.gather(rows), self.before.at(rows)
        parts = list(batches(self.fixed, FIRST))
        nearest: list[tuple[Ints, Floats]] = [(rows, found.upper)] * len(parts)

        def measure(k: int) -> None:
            nearest[k] = nearest_among(self.space, points, self.space.sites(parts[k]))

        self.space.share_out(measure, range(len(parts)), self.clock.check)
        for one in nearest:
            found.take_in(*one)
        found.settled[:] = True
        self.before.put(rows, found)
