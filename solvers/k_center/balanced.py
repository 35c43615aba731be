"""Exact class-balanced coresets: the least imbalance at each radius, and the best sum of both."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.base import Certificate
from ...problems.distances import L1, Wasserstein
from ...problems.errors import InfeasibleSelection
from ...problems.k_center import KCenter
from .._clock import Clock, OutOfTime
from .._compiling import compiled
from .._mip import MipStatus, MipUpdate, solve_model
from ..class_balanced.model import (
    SAFETY,
    Cut,
    linear_model,
    lost,
    safe_bound,
    tangent,
    unit,
    whole,
)
from ..search import Search, Stop
from .sample import Sample, center_distances

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...problems.arrays import Floats, Ints
    from ...problems.class_balanced import ClassBalanced
    from .._mip import LinearModel

BRANCHED = 200_000
"""Probabilities up to which branch and bound is tried."""
SHARE = 0.3
"""Of the time that is left, what each part of the bound and each branch and bound may take."""
ADDED = 24
"""Rows that join the sample at once."""


def solve_balanced(
    search: Search[KCenter],
    solve_radius: Callable[[Search[KCenter]], None],
    solve_balance: Callable[[Search[ClassBalanced]], None],
) -> None:
    r"""Minimize radius + λ·dist(Ω, Pᵀz), with a proven bound.

    Let F(r) be the least weighted imbalance of b rows that cover all others within r, with their
    doubt where labels are chances; it does not increase with r. Selections whose radius lies in
    :math:`[a, c)` cost at least :math:`a + F(c^-)`, so the radius is split into intervals, best
    bound first, and F is bounded by branch and bound on a sample of rows that grows with what its
    answers leave uncovered. It begins with the best radius without balance and the best balance at
    any radius, whose sum is a bound that anyone can re-check.

    Parameters
    ----------
    search
        The run, with an answer.
    solve_radius, solve_balance
        Solve the problem without balance, and the class balance by itself.
    """
    intervals = _prepare(search, solve_radius, solve_balance)
    search.stop_if_closed()
    if len(search.problem.free) * intervals.balancing.n_classes <= BRANCHED:
        intervals.run()
        search.complete = True


@dataclass(frozen=True, eq=False)
class RadiusPoint:
    """The best balance found within one radius.

    Parameters
    ----------
    limit
        The radius allowed.
    indices
        Chosen rows, ascending.
    radius, imbalance
        Of these rows; with labels as chances the imbalance has their doubt in it.
    bound
        No selection within the limit has a smaller imbalance: proven, by branch and bound.
    """

    limit: float
    indices: Ints
    radius: float
    imbalance: float
    bound: float


def trace_radii(
    search: Search[KCenter],
    solve_radius: Callable[[Search[KCenter]], None],
    solve_balance: Callable[[Search[ClassBalanced]], None],
    count: int,
) -> list[RadiusPoint]:
    """Bound the least imbalance at `count` radii, from the least radius to the best balance's."""
    intervals = _prepare(search, solve_radius, solve_balance)
    found = intervals.found
    limits = np.linspace(min(found)[0], max(found)[0], count)
    for limit in limits[::-1]:
        try:
            intervals.bound_imbalance(float(limit))
        except (OutOfTime, Stop):  # the clock, or the sample's memory
            break
    points = []
    for limit in limits:
        _, radius, imbalance, rows = min(
            (imbalance, radius, imbalance, rows)
            for radius, imbalance, rows in found
            if radius <= limit * (1.0 + 1e-12)
        )
        bound = intervals.least(float(limit)) / intervals.balancing.balance
        points.append(RadiusPoint(float(limit), np.array(rows), radius, imbalance, bound))
    return points


def _prepare(
    search: Search[KCenter],
    solve_radius: Callable[[Search[KCenter]], None],
    solve_balance: Callable[[Search[ClassBalanced]], None],
) -> _Intervals:
    """Solve both parts alone and prove the sum of their bounds."""
    problem, balancing = search.problem, search.problem.balancing
    assert balancing is not None
    radius = _alone(search, _without_balance(problem), solve_radius)
    balanced = _alone(search, balancing, solve_balance)
    proof: dict[str, Any] = {}
    for part in (radius, balanced):
        if part.certificate is not None:
            proof |= dict(part.certificate.values)
    least = max(problem.least_imbalance(), balanced.bound or 0.0)
    low = radius.bound or 0.0
    rechecked = problem.prove(Certificate("parts", True, None, proof)) if proof else None
    if rechecked is not None:
        kind = "branched-rows" if "stages" in proof else "weighted-rows"
        search.prove(rechecked, Certificate(kind, True, rechecked, proof))
    search.prove(low + least, Certificate("branch-and-bound", False, rechecked, proof))
    intervals = _Intervals(search, low, least, rechecked, proof)
    for rows in (search.rows, radius.rows, balanced.rows):
        if rows is not None:
            intervals.take(rows, None)
    return intervals


def _without_balance(problem: KCenter) -> KCenter:
    return KCenter(
        problem.space,
        problem.budget,
        outliers=problem.outliers,
        labeled=problem.labeled,
        candidates=problem.candidates,
        constraints=problem.constraints,
    )


def _alone(search: Search[KCenter], part: Any, solve: Callable[[Any], None]) -> Search[Any]:
    """Solve one part of the objective alone for some of the time, and offer its answer."""
    alone: Search[Any] = Search(
        problem=part,
        clock=Clock(SHARE * search.clock.remaining()),
        options={"node_limit": 2_000},
        seed=search.seed,
        gap_tol=0.1 * search.gap_tol,
        abs_gap_tol=search.abs_gap_tol,
    )
    try:
        solve(alone)
    except (OutOfTime, Stop):
        search.clock.check()
    if alone.rows is not None:
        search.offer(alone.rows)
    return alone


class _Intervals:
    """Intervals of the radius, and what is known of the least imbalance at radii."""

    def __init__(
        self,
        search: Search[KCenter],
        low: float,
        least: float,
        rechecked: float | None,
        proof: dict[str, Any],
    ) -> None:
        assert search.problem.balancing is not None
        assert search.rows is not None
        compiled(search.clock, __package__)
        self.search, self.problem, self.balancing = search, search.problem, search.problem.balancing
        self.low, self.rechecked, self.proof = low, rechecked, proof
        self.found: list[tuple[float, float, tuple[int, ...]]] = []
        self.sample = Sample(self.problem)
        self.sample.add(np.setdiff1d(search.rows, self.problem.fixed)[:ADDED], np.inf)
        self.known: list[tuple[float, float]] = [(np.inf, least)]
        self.cuts: tuple[Cut, ...] = ()
        self.barred: list[Ints] = []
        """Choices that are no answers: they break a limit by less than HiGHS' tolerance."""
        if not isinstance(self.balancing.metric, L1 | Wasserstein):
            shortfall = self.balancing.target - self.balancing.probs.total(search.rows)
            self.cuts = (tangent(self.balancing, shortfall),)
        part = whole(self.balancing)
        self.lost = lost(self.balancing, part)

    @property
    def best(self) -> float:
        """The best objective so far."""
        assert self.search.best is not None
        return self.search.best.objective

    def run(self) -> None:
        """Split the interval of the lowest bound until none lies below the answer."""
        heap = [(self.low + self.least(np.inf), self.low, np.inf)]
        while heap:
            bound, a, c = heapq.heappop(heap)
            self._prove(min(bound, self.best))
            self.search.stop_if_closed()
            if bound >= self.best - self._tolerance():
                return
            radii = self.sample.radii(a, min(c, self.best - self.least(np.inf)))
            below = float(radii[len(radii) // 2 - 1]) if len(radii) > 1 else a
            self.bound_imbalance(below, self.best - self.low)
            # The sample has grown: what it needs at `below` it needs up to its next distance only.
            middle = self.sample.next_radius(below, c)
            heapq.heappush(heap, (a + self.least(below), a, middle))
            if middle < c:
                last = float(self.sample.radii(middle, c)[-1])
                heapq.heappush(heap, (middle + self.least(last), middle, c))

    def take(self, rows: Ints, nearest: Ints | None) -> None:
        """Offer a selection, and remember both of its terms."""
        self.search.offer(rows, nearest=nearest)
        terms = self.problem.evaluate(rows, nearest).terms
        imbalance = terms["imbalance"] + terms.get("doubt", 0.0)
        self.found.append((terms["radius"], imbalance, tuple(np.sort(rows).tolist())))

    def least(self, radius: float) -> float:
        """Return the best bound known on F at a radius: F does not increase."""
        return max(value for at, value in self.known if at >= radius)

    def bound_imbalance(self, radius: float, cutoff: float = np.inf) -> None:
        """Bound F at a radius, until an answer of the sample covers all rows.

        Above the cutoff the bound is good enough.
        """
        while True:
            self.search.clock.check()
            bound, chosen = self._branch(radius, cutoff)
            self.known.append((radius, bound))
            if chosen is None or bound > cutoff:
                # Stopped at the cutoff, branch and bound has an answer that tells nothing.
                return
            distances, nearest = center_distances(self.problem, chosen, radius)
            rows = np.concatenate([self.problem.included, chosen])
            try:
                self.take(rows, nearest)
            except InfeasibleSelection:
                # HiGHS keeps limits to a tolerance only.
                self.barred.append(chosen)
                continue
            if self.cuts:
                shortfall = self.balancing.target - self.balancing.probs.total(rows)
                value = self.balancing.balance * self.balancing.metric.value(shortfall)
                if value - bound > 0.25 * self._tolerance():
                    self.cuts = (*self.cuts, tangent(self.balancing, shortfall))
                    continue
            far = np.setdiff1d(np.flatnonzero(distances > radius), self.sample.rows)
            if int((distances > radius).sum()) <= self.problem.outliers or not len(far):
                return
            order = np.argsort(-distances[far], kind="stable")
            self.sample.add(far[order][:ADDED], np.inf)

    def _tolerance(self) -> float:
        """Return how far a bound may stay below the answer, HiGHS' tolerances included."""
        relative = max(self.search.gap_tol, 4.0 * SAFETY) * abs(self.best)
        return max(relative, self.search.abs_gap_tol) + self.lost

    def _branch(self, radius: float, cutoff: float) -> tuple[float, Ints | None]:
        """Return a bound on F at a radius, infinite if nothing covers, and the rows behind it."""
        scale = unit(self.balancing)
        model, count = self._model(radius, scale), len(self.problem.free)

        def hopeless(update: MipUpdate) -> bool:
            if update.bound is None:
                return False
            return safe_bound(self.balancing, update.bound, self.lost) > cutoff

        result = solve_model(
            model,
            time_limit=max(SHARE * self.search.clock.remaining(), 1e-3),
            options={
                "random_seed": self.search.seed % (1 << 31),
                "mip_abs_gap": 0.2 * self._tolerance() / scale,
                "mip_feasibility_tolerance": 1e-9,
            },
            on_update=hopeless,
        )
        self.search.note_peak(result.peak_bytes)
        if result.status is MipStatus.INFEASIBLE:
            return np.inf, None
        least = self.least(radius)
        if result.bound is not None:
            least = max(least, safe_bound(self.balancing, result.bound, self.lost))
        if result.values is None:
            return least, None
        return least, self.problem.free[result.values[:count] > 0.5]

    def _model(self, radius: float, scale: float) -> LinearModel:
        """Return the class-balance model with the cover of the sample added."""
        from scipy import sparse

        model = linear_model(self.balancing, whole(self.balancing), cuts=self.cuts, divisor=scale)
        model = _without(model, [np.searchsorted(self.problem.free, at) for at in self.barred])
        cover = self.sample.cover(radius, costly=True)
        m = len(cover.rows)
        width = model.matrix.shape[1]
        outliers = self.problem.outliers
        matrix = sparse.coo_array(cover.matrix)
        at = (matrix.coords[0], cover.columns[matrix.coords[1]])
        covering = sparse.csr_array((matrix.data, at), shape=(m, width))
        if not outliers:
            return replace(
                model,
                matrix=sparse.vstack([model.matrix, covering], format="csc"),
                row_lower=np.concatenate([model.row_lower, np.ones(m)]),
                row_upper=np.concatenate([model.row_upper, np.full(m, np.inf)]),
            )
        copies: Floats = cover.copies.astype(np.float64)
        blocks = [
            [model.matrix, sparse.csr_array((model.matrix.shape[0], m))],
            [covering, sparse.eye_array(m)],
            [sparse.csr_array((1, width)), sparse.csr_array(copies[None])],
        ]
        return replace(
            model,
            cost=np.concatenate([model.cost, np.zeros(m)]),
            matrix=sparse.block_array(blocks, format="csc"),
            row_lower=np.concatenate([model.row_lower, np.ones(m), [-np.inf]]),
            row_upper=np.concatenate([model.row_upper, np.full(m, np.inf), [float(outliers)]]),
            lower=np.concatenate([model.lower, np.zeros(m)]),
            upper=np.concatenate([model.upper, np.ones(m)]),
            integer=np.concatenate([model.integer, np.ones(m, dtype=bool)]),
        )

    def _prove(self, bound: float) -> None:
        certificate = Certificate("branch-and-bound", False, self.rechecked, self.proof)
        self.search.prove(bound, certificate)


def _without(model: LinearModel, barred: list[Ints]) -> LinearModel:
    """Return a model that allows some choices of columns no longer."""
    from scipy import sparse

    if not barred:
        return model
    counts = np.array([len(columns) for columns in barred])
    at = (np.repeat(np.arange(len(barred)), counts), np.concatenate(barred))
    shape = (len(barred), model.matrix.shape[1])
    bars = sparse.csr_array((np.ones(len(at[0])), at), shape=shape)
    return replace(
        model,
        matrix=sparse.vstack([model.matrix, bars], format="csc"),
        row_lower=np.concatenate([model.row_lower, np.full(len(barred), -np.inf)]),
        row_upper=np.concatenate([model.row_upper, counts - 1.0]),
    )
