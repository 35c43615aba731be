"""The radius between its bounds: covers of a sample are found, and others refuted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.base import Certificate
from .._compiling import compiled
from .certifying import weighted_rows
from .covering import greedy_cover
from .limits import make_limits
from .refuting import relaxed_cover
from .sample import Sample, center_distances
from .settling import settle_by_mip, settle_by_tree
from .within import branch_within, search_locally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...problems.arrays import Floats, Ints
    from ...problems.k_center import KCenter
    from ..search import Search
    from .covering import Cover
    from .settling import Settled

    Settling = Callable[["Bisection", float, float], Settled]
    """Takes a radius, and the seconds on the clock at which to stop."""


@dataclass(frozen=True)
class Effort:
    """How much local search a cover is worth.

    Parameters
    ----------
    searches
        How many, each from where the one before left off.
    touches
        Matrix entries that each may look at.
    afresh
        Whether those from the middle one on start from greedy covers.
    """

    searches: int
    touches: int
    afresh: bool = True


A_SECOND = 150_000_000
"""Matrix entries that local search looks at in a second, about."""
LONG = 200_000_000
"""Matrix entries that one local search may look at."""
EACH = 500
"""Swaps of one local search for each row and column, at most, about."""
QUICK, LIGHT = Effort(1, 3_000_000), Effort(1, 20_000_000)
MEDIUM, STRONG = Effort(2, 100_000_000), Effort(12, LONG)
ADDED = 12
"""Rows that join the sample at once, while it is small."""
GROWTH = 0.125
"""Share of the sample that joins it at once when it is large."""
CHEAP = 10_000_000
"""Values of rows to whose distances it may come then."""
NEAR = 1e-4
"""Relative distance of the bound to a radius in doubt that leaves the rest to branch and bound."""
STALLED = 3
"""Linear programs in a row that hardly come nearer to a refutation before it is given up."""
PROOFS = {"weighted-rows": "lp", "branched-rows": "tree"}
"""How `info` names what the last bound rests on, by the kind of its certificate."""


def worth(seconds: float) -> Effort:
    """Return local searches that take about so many seconds, all from the best selection."""
    count = int(np.ceil(seconds * A_SECOND / LONG))
    return Effort(count, int(seconds * A_SECOND / max(count, 1)), afresh=False)


class Bisection:
    """Tests of radii between a proven bound and the best selection's.

    Parameters
    ----------
    search
        The run, with an answer.
    """

    def __init__(self, search: Search[KCenter]) -> None:
        assert search.rows is not None
        self.search = search
        self.problem = search.problem
        compiled(search.clock, __package__, *([True] if self.problem.is_limited else []))
        self.limits = make_limits(self.problem)
        self.sample = Sample(self.problem)
        self.rng = search.rng()
        self.low = 0.0
        """Proven: no selection has a smaller radius."""
        self.relaxed: dict[float, float] = {}
        """How many centers linear programs need at the radii they were solved for."""
        self.sample.add(np.setdiff1d(search.rows, self.problem.fixed)[: 4 * ADDED], self.best)
        self.offer(np.setdiff1d(search.rows, self.problem.included), -1.0)

    @property
    def best(self) -> float:
        """The radius of the best selection so far."""
        assert self.search.best is not None
        return self.search.best.terms["radius"]

    def descend(self, effort: Effort, seconds: float = np.inf) -> None:
        """Halve the radii below the best until local search covers none of those it comes to."""
        doubt, deadline = self.low, self.search.clock.elapsed() + seconds
        while self.search.clock.elapsed() < deadline:
            self.search.stop_if_closed()
            radii = self.sample.radii(max(doubt, self.low), self.best)
            if not len(radii):
                return
            radius = float(radii[len(radii) // 2])
            if not self.cover(radius, effort, deadline):
                doubt = float(np.nextafter(radius, np.inf))

    def lift(self, near: float = NEAR) -> None:
        """Raise the bound to the largest radius that linear programs refute.

        The radius below the best comes first. Larger radii need fewer centers, so where it stays
        in doubt a smaller one follows, where linear interpolation expects b of them.
        """
        above, failed = self.best, False
        while True:
            self.search.stop_if_closed()
            radii = self.sample.radii(self.low, above)
            if not len(radii) or (failed and radii[-1] - radii[0] <= near * self.best):
                return
            radius = float(radii[self._crossing(radii) if failed else -1])
            if not self.refute(radius):
                above, failed = radius, True

    def top(self) -> float:
        """Return the largest radius in doubt, or the best radius if there is none."""
        radii = self.sample.radii(self.low, self.best)
        return float(radii[-1]) if len(radii) else self.best

    def hopeful(self, slack: float) -> float | None:
        """Return the largest radius in doubt for which the LP lacks no more than some centers.

        None if no radius is in doubt.
        """
        radii = self.sample.radii(self.low, self.best)
        if not len(radii):
            return None
        known = sorted(self.relaxed.items()) or [(self.best, np.inf)]
        needed = np.interp(radii, [at for at, _ in known], [value for _, value in known])
        enough = np.flatnonzero(needed >= self.problem.to_choose - slack)
        return float(radii[enough[-1] if len(enough) else 0])

    def cover(self, radius: float, effort: Effort, deadline: float = np.inf) -> bool:
        """Cover the sample by local search; grow it until that fails or all rows are covered."""
        while self.search.clock.elapsed() < deadline:
            self.search.clock.check()
            chosen = self._local_search(self.state(radius), radius, effort)
            if chosen is None:
                return False
            if self.offer(chosen, radius):
                return True
        return False

    def refute(self, radius: float) -> bool:
        """Refute a radius by linear programs, with rows that they lack added by turns."""
        goal, nearest, stalled = self.problem.to_choose + 1e-5, -np.inf, 0
        while True:
            self.search.clock.check()
            cover = self.sample.cover(radius)
            if self._refute_by_bare_rows(cover, radius):
                return True
            outliers, left = self.problem.outliers, self.search.clock.remaining()
            relaxed = relaxed_cover(cover, outliers, left)
            if relaxed is None:
                return False
            self.relaxed[radius] = relaxed.needed
            if np.ceil(relaxed.needed - 1e-6) > self.problem.to_choose:
                proof = weighted_rows(self.sample, cover, relaxed.weights)
                self.raise_low(radius, "weighted-rows", proof)
                return True
            stalled = stalled + 1 if goal - relaxed.needed > 0.9 * (goal - nearest) else 0
            nearest = max(nearest, relaxed.needed)
            if stalled == STALLED or not self.separate(cover, relaxed.values, radius):
                return False

    def branch(self, radius: float, seconds: float) -> bool | None:
        """Settle a radius by branch and bound: True if covered, False if refuted, else None."""
        if self.limits is not None:
            return branch_within(self, self.limits, radius, seconds)
        return self._branch(radius, seconds, settle_by_mip)

    def branch_soon(self, radius: float, seconds: float) -> bool | None:
        """Settle a radius by a small tree, the same way."""
        return self._branch(radius, seconds, settle_by_tree)

    def _branch(self, radius: float, seconds: float, settle: Settling) -> bool | None:
        clock = self.search.clock
        deadline = clock.elapsed() + seconds
        while True:
            clock.check()
            left = min(deadline - clock.elapsed(), clock.remaining())
            if left <= 0:
                return None
            settled = settle(self, radius, deadline)
            if settled.refuted:
                self.raise_low(radius, "branched-rows", settled.proof)
                return False
            if settled.chosen is None:
                return None
            if self.offer(settled.chosen, radius):
                return True

    def _local_search(self, cover: Cover, radius: float, effort: Effort) -> Ints | None:
        """Return free rows that cover the sample, or None; from the best ones, then afresh."""
        from ._kernels import search_cover

        if self.limits is not None:
            return search_locally(self, self.limits, cover, effort)
        if not len(cover.rows):
            return np.empty(0, dtype=np.int64)
        may_miss = self.problem.outliers
        if cover.copies[np.diff(cover.row_starts) == 0].sum() > may_miss:
            return None
        count = min(self.problem.to_choose, len(cover.columns))
        entries = len(cover.columns_of)
        swap = entries / len(cover.rows) * (entries / len(cover.columns) + count)
        touches = int(min(effort.touches, EACH * sum(cover.shape) * swap))
        for turn in range(effort.searches):
            self.search.clock.check()
            # On a busy machine the rate may be a quarter of that.
            most = int(min(self.search.clock.remaining(), 1e6) * A_SECOND / 4)
            if turn == 0:
                chosen = self._near_best(cover, radius, count)
            elif effort.afresh and turn == effort.searches // 2:
                chosen = greedy_cover(cover, count)
            missed = search_cover(
                cover.incidence,
                chosen,
                may_miss,
                min(touches, most + 1_000),
                int(self.rng.integers(1 << 31)),
            )
            if missed <= may_miss:
                return self.problem.free[cover.columns[chosen]]
        return None

    def state(self, radius: float) -> Cover:
        """State which free rows cover the sample, reduced as far as the constraints allow."""
        if self.limits is not None:
            return self.limits.cover(self.sample, radius)
        return self.sample.cover(radius)

    def own(self) -> Ints:
        """Return the best selection's rows without the included ones."""
        assert self.search.rows is not None
        return np.setdiff1d(self.search.rows, self.problem.included)

    def _near_best(self, cover: Cover, radius: float, count: int) -> Ints:
        """Return columns that cover most of what the best selection's rows cover."""
        chosen = self.own()
        rows = self.sample.rows[cover.rows]
        covers = self.problem.space.between(chosen, rows) <= radius
        columns = np.unique((covers @ cover.matrix).argmax(axis=1))[:count]
        if len(columns) == count:
            return columns
        left = ~(cover.matrix[:, columns].sum(axis=1) > 0)
        gains = left @ cover.matrix
        gains[columns] = -1.0
        more = np.argsort(-gains, kind="stable")[: count - len(columns)]
        return np.concatenate([columns, more])

    def offer(self, chosen: Ints, radius: float) -> bool:
        """Offer free rows; return whether they cover all rows, else add some that they do not."""
        problem = self.problem
        distances, nearest = center_distances(problem, chosen, radius)
        short = problem.to_choose - len(chosen)
        if short > 0:
            spare = np.setdiff1d(problem.free, chosen)
            more = spare[np.argsort(-distances[spare], kind="stable")[:short]]
            chosen = np.concatenate([chosen, more])
            distances, nearest = center_distances(problem, chosen, radius)
        place = len(distances) - 1 - problem.outliers
        if np.partition(distances, place)[place] < self.best * (1 + 1e-4):
            self.search.offer(np.concatenate([problem.included, chosen]), nearest=nearest)
        far = np.flatnonzero(distances > radius)
        if len(far) <= problem.outliers:
            assert self.best <= radius, "a cover of all rows has a larger radius than it was for"
            return True
        before = len(self.sample.rows)
        self.sample.add(self._spread(far, distances), self.best)
        assert radius < 0 or len(self.sample.rows) > before, "no uncovered row is new to the sample"
        return False

    def _spread(self, far: Ints, distances: Floats) -> Ints:
        """Pick uncovered rows that are far from each other, the farthest first."""
        far = np.setdiff1d(far, self.sample.rows, assume_unique=True)
        far = far[np.argsort(-distances[far], kind="stable")[:500]]
        away = distances[far].copy()
        count = self._growth() + self.problem.outliers
        picked: list[int] = []
        while len(picked) < count and (away > 0).any():
            at = int(away.argmax())
            picked.append(int(far[at]))
            away = np.minimum(away, self.problem.space.between(far[at : at + 1], far)[0])
            away[at] = 0.0
        return np.array(picked, dtype=np.int64)

    def _crossing(self, radii: Floats) -> int:
        """Return the place among radii in doubt where linear programs might need b centers."""
        budget, known = self.problem.to_choose, self.relaxed
        below = [at for at in known if at < radii[0]]
        above = [at for at in known if at > radii[-1]]
        if not above:
            return len(radii) // 2
        last = min(above)
        if not below:
            # In the plane the number of centers falls with the square of the radius.
            radius = 0.98 * last * min(known[last] / max(budget, 1), 1.0) ** 0.5
            return max(int(np.searchsorted(radii, radius, side="right")) - 1, 0)
        first = max(below)
        # What is refuted needs more centers than its program had come to: never less than halfway.
        share = (known[first] - budget) / max(known[first] - known[last], 1e-9)
        radius = first + min(max(share, 0.5), 0.9) * (last - first)
        return int(np.clip(np.searchsorted(radii, radius), 0, len(radii) - 1))

    def _growth(self) -> int:
        """Return how many rows may join at once: a share of the sample, unless they cost much."""
        cheap = CHEAP // (len(self.problem.free) * self.problem.space.width + 1)
        return max(ADDED, min(int(GROWTH * len(self.sample.rows)), cheap))

    def separate(self, cover: Cover, values: Floats, radius: float) -> bool:
        """Add rows whose relaxed centers sum to less than one; return whether there were any."""
        problem = self.problem
        used = np.flatnonzero(values > 1e-9)
        sites = problem.space.sites(problem.free[cover.columns[used]])
        covered = np.empty(problem.space.size)
        for start, stop in problem.space.blocks(len(used)):
            near = problem.space.nearer(start, stop, sites, np.nextafter(radius, np.inf))
            covered[start:stop] = near @ values[used]
        covered[problem.to_fixed[1] <= radius] = 1.0
        covered[self.sample.rows] = 1.0
        lacking = np.flatnonzero(covered < 1.0 - 1e-3)
        if not len(lacking):
            return False
        order = np.argsort(covered[lacking], kind="stable")
        self.sample.add(lacking[order][: 2 * self._growth()], self.best)
        return True

    def _refute_by_bare_rows(self, cover: Cover, radius: float) -> bool:
        bare = np.diff(cover.row_starts) == 0
        if cover.copies[bare].sum() <= self.problem.outliers:
            return False
        weights = bare.astype(np.float64) * cover.copies
        self.raise_low(radius, "weighted-rows", weighted_rows(self.sample, cover, weights))
        return True

    def raise_low(
        self, radius: float, kind: str = "", proof: Mapping[str, Any] | None = None
    ) -> None:
        """Take in that no selection has this radius, with what proves it if something short does.

        Parameters
        ----------
        radius
            What was refuted.
        kind, proof
            The certificate's kind and its values, the radius excepted.
        """
        self.low = max(self.low, self.sample.next_radius(radius, self.best))
        bound = self.low + self.problem.least_imbalance()
        known = self.search.certificate
        self.search.info["proof"] = "mip" if proof is None else PROOFS[kind]
        if proof is None:
            values, proven = (known.values, known.bound) if known else ({}, None)
            self.search.prove(bound, Certificate("branch-and-bound", False, proven, values))
            return
        values = {**proof, "radius": self.low}
        self.search.prove(bound, Certificate(kind, True, bound, values))
