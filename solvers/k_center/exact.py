"""Exact k-center: covers of a sample of rows, found by local search and refuted by duality."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.base import Certificate
from .covering import greedy_cover
from .refuting import needed_centers, relaxed_cover, search_by_mip
from .sample import Sample, rough_distances

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.k_center import KCenter
    from ..search import Search
    from .covering import Cover
    from .refuting import Relaxation

STEPS = (20_000, 200_000, 1_000_000)
"""Moves of one local search, by turns of the bisection."""
ADDED = 12
"""Rows that join the sample at once."""


def solve_exact(search: Search[KCenter]) -> None:
    """Bisect the radius, with covers of a growing sample of rows."""
    start(search)
    _Bisection(search).run()


def start(search: Search[KCenter]) -> None:
    """Offer a farthest-first selection."""
    problem = search.problem
    chosen: list[int] = []
    nearest, distances = problem.to_fixed
    nearest, distances = nearest.copy(), distances.copy()
    free = problem.free
    if not len(problem.fixed):
        first = problem.space.start()
        chosen.append(first if problem.is_selectable[first] else int(free[0]))
        distances = problem.space.between(np.array(chosen), np.arange(problem.space.size))[0]
        nearest[:] = chosen[0]
    everything = np.arange(problem.space.size)
    open_ = np.zeros(problem.space.size, dtype=bool)
    open_[free] = True
    open_[chosen] = False
    while len(chosen) < problem.to_choose:
        search.clock.check()
        row = int(np.where(open_, distances, -1.0).argmax())
        chosen.append(row)
        open_[row] = False
        found = problem.space.between(np.array([row]), everything)[0]
        closer = found < distances
        distances[closer], nearest[closer] = found[closer], row
    search.offer(np.concatenate([problem.included, chosen]).astype(np.int64), nearest=nearest)
    search.prove(
        problem.least_imbalance(),
        Certificate("weighted-rows", True, problem.least_imbalance(), {"rows": [], "radius": 0.0}),
    )


@dataclass
class _Bisection:
    """The radius between its bounds; every test of one may add rows to the sample."""

    search: Search[KCenter]
    sample: Sample = field(init=False)
    low: float = 0.0
    """Proven: no selection has a smaller radius."""
    rounds: int = 0
    log: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.problem = self.search.problem
        self.sample = Sample(self.problem)
        self.rng = self.search.rng()

    @property
    def best(self) -> float:
        """The radius of the best selection so far."""
        assert self.search.best is not None
        return self.search.best.terms["radius"]

    def run(self) -> None:
        """Test radii until none is left between the bounds."""
        assert self.search.rows is not None
        self._grow(self.search.rows, self.best)
        self.sample.add(np.setdiff1d(self.search.rows, self.problem.fixed)[: 4 * ADDED])
        self._prove_above(-1.0)
        for self.steps in STEPS:
            unsure = self._heuristics()
            self.log.append(("phase1", self.steps, self.search.clock.elapsed(), self.low, self.best, len(self.sample.rows)))
        while unsure is not None and not self.search.closed:
            unsure = self._branch(unsure)

    def _heuristics(self) -> float | None:
        """Bisect by local search and LPs; return the least radius in doubt, or None."""
        doubt = self.low
        while True:
            self.search.clock.check()
            self.search.stop_if_closed()
            radii = self.sample.radii(max(doubt, self.low), self.best)
            if not len(radii):
                break
            radius = float(radii[len(radii) // 2])
            if self._coverable(radius):
                continue
            if not self._refuted(radius):
                doubt = np.nextafter(radius, np.inf)
        return None if self.low >= self.best else self.low

    def _coverable(self, radius: float) -> bool:
        """Cover the sample by local search; grow it until that fails or covers all rows."""
        chosen = None
        while True:
            self.search.clock.check()
            cover = self.sample.cover(radius)
            chosen = self._local_search(cover, chosen)
            if chosen is None:
                return False
            if not self._grow(chosen, radius):
                return True

    def _local_search(self, cover: Cover, hint: Ints | None) -> Ints | None:
        """Return free rows that cover the sample, or None."""
        from ._kernels import search_cover

        problem = self.problem
        if not len(cover.rows):
            return np.empty(0, dtype=np.int64)
        bare = np.diff(cover.row_starts) == 0
        if cover.copies[bare].sum() > problem.outliers:
            return None
        count = min(problem.to_choose, len(cover.columns))
        chosen = greedy_cover(cover, count)
        missed = search_cover(
            cover.row_starts,
            cover.columns_of,
            cover.column_starts,
            cover.rows_of,
            cover.copies,
            chosen,
            problem.outliers,
            self.steps,
            int(self.rng.integers(1 << 31)),
        )
        if missed > problem.outliers:
            return None
        return problem.free[cover.columns[chosen]]

    def _grow(self, chosen: Ints, radius: float) -> bool:
        """Offer a cover of the sample; add rows that it leaves uncovered, and say if there were."""
        problem = self.problem
        chosen = np.setdiff1d(chosen, problem.included)
        distances, nearest = rough_distances(problem, chosen)
        short = problem.to_choose - len(chosen)
        if short > 0:
            spare = np.setdiff1d(problem.free, chosen)
            far = spare[np.argsort(-distances[spare], kind="stable")[:short]]
            chosen = np.concatenate([chosen, far])
            distances, nearest = rough_distances(problem, chosen)
        limit = np.partition(distances, len(distances) - 1 - problem.outliers)
        if limit[len(distances) - 1 - problem.outliers] < self.best * (1 + 1e-6):
            self.search.offer(np.concatenate([problem.included, chosen]), nearest=nearest)
        slack = 1e-6 * radius
        far = np.flatnonzero(distances > radius - slack)
        far = far[np.argsort(-distances[far], kind="stable")]
        if len(far) <= problem.outliers:
            return False
        picked = self._spread(far, distances, radius)
        return self.sample.add(picked)

    def _spread(self, far: Ints, distances: Floats, radius: float) -> Ints:
        """Pick uncovered rows that are far from each other."""
        far = np.setdiff1d(far[:500], self.sample.rows, assume_unique=True)
        if not len(far):
            return far
        picked = []
        away = distances[far].copy()
        for _ in range(ADDED + self.problem.outliers):
            at = int(away.argmax())
            if away[at] <= 0:
                break
            picked.append(far[at])
            away = np.minimum(away, self.problem.space.between(far[at : at + 1], far)[0])
            away[at] = 0.0
        return np.array(picked, dtype=np.int64)

    def _refuted(self, radius: float) -> bool:
        """Refute a radius by linear programs, with rows that they violate added by turns."""
        while True:
            self.search.clock.check()
            cover = self.sample.cover(radius)
            if self._bare(cover, radius):
                return True
            relaxed = relaxed_cover(
                cover, self.problem.outliers, self.search.clock.remaining()
            )
            if relaxed is None:
                return False
            if self._exceeds(relaxed.needed):
                self._prove_above(radius, cover, relaxed.weights)
                return True
            if relaxed.needed < 0.9 * self.problem.to_choose - 1 or not self._separate(
                cover, relaxed, radius
            ):
                return False

    def _separate(self, cover: Cover, relaxed: Relaxation, radius: float) -> bool:
        """Add rows that the relaxed centers cover to less than one."""
        problem = self.problem
        used = np.flatnonzero(relaxed.values > 1e-9)
        rows, values = problem.free[cover.columns[used]], relaxed.values[used]
        covered = np.zeros(problem.space.size)
        sites = problem.space.sites(rows)
        limit = float(problem.space.to_rough(np.array([radius]))[0])
        for start_, stop in problem.space.blocks(len(rows)):
            near = np.asarray(problem.space.rough(start_, stop, sites)) <= limit
            covered[start_:stop] = near @ values
        covered[problem.to_fixed[1] <= radius] = 1.0
        lacking = np.flatnonzero(covered < 1.0 - 1e-3)
        lacking = lacking[np.argsort(covered[lacking], kind="stable")]
        lacking = np.setdiff1d(lacking[:200], self.sample.rows, assume_unique=True)
        if not len(lacking):
            return False
        order = np.argsort(covered[lacking], kind="stable")
        return self.sample.add(lacking[order][: 2 * ADDED])

    def _exceeds(self, needed: float) -> bool:
        return bool(np.ceil(needed - 1e-6) > self.problem.to_choose)

    def _bare(self, cover: Cover, radius: float) -> bool:
        """Refute a radius by rows that no candidate covers."""
        bare = np.diff(cover.row_starts) == 0
        if cover.copies[bare].sum() <= self.problem.outliers:
            return False
        self._prove_above(radius, cover, bare.astype(np.float64))
        return True

    def _prove_above(
        self, radius: float, cover: Cover | None = None, weights: Floats | None = None
    ) -> None:
        """Take in that no selection has this radius, with the rows that prove it."""
        low = self.sample.next_radius(radius, self.best)
        if low <= self.low:
            return
        self.low = low
        bound = low + self.problem.least_imbalance()
        if cover is None or weights is None:
            return
        members = np.flatnonzero(cover.stands >= 0)
        of = cover.stands[members]
        values = {
            "rows": self.sample.rows[cover.needed[members]].tolist(),
            "weights": (weights[of] / cover.copies[of]).tolist(),
            "groups": cover.groups[of].tolist(),
            "radius": low,
        }
        self.search.info["proof"] = "lp"
        self.search.prove(bound, Certificate("weighted-rows", True, bound, values))

    def _branch(self, doubt: float) -> float | None:
        """Ask HiGHS for a cover just below the best radius."""
        radii = self.sample.radii(self.low, self.best)
        if not len(radii):
            return None
        radius = float(radii[-1])
        while True:
            self.search.clock.check()
            cover = self.sample.cover(radius)
            refuted, chosen = search_by_mip(
                cover,
                self.problem.to_choose,
                self.problem.outliers,
                self.search.clock,
                self.search.clock.remaining(),
                self.search.seed,
            )
            self.log.append(("mip", radius, cover.shape, refuted, chosen is not None, self.search.clock.elapsed()))
            if refuted:
                self.low = self.sample.next_radius(radius, self.best)
                self.search.info["proof"] = "mip"
                bound = self.low + self.problem.least_imbalance()
                previous = self.search.certificate
                self.search.prove(bound, Certificate("branch-and-bound", False, previous.bound, previous.values))
                return self.low
            if chosen is None:
                return None
            if not self._grow(self.problem.free[cover.columns[chosen]], radius):
                return self.low
