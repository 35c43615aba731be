"""Exact class-balanced selection: dual bound, annealed swaps, enumeration, branch and bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...problems.arrays import as_number
from ...problems.base import Certificate, StoppedBy
from ...problems.distances import L1, Wasserstein
from ...problems.errors import InvalidInput
from .._mip import MipStatus, MipUpdate, solve_model
from ..search import Stop
from . import BRANCHED
from .enumeration import enumerate_cheapest
from .improvement import Annealing, Ranking, polish
from .model import SAFETY, Cut, Part, linear_model, lost, safe_bound, tangent, unit
from .relaxation import relax

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Mask
    from ...problems.class_balanced import ClassBalanced
    from .._mip import MipResult
    from ..search import Search

FIRST_ROUNDS = 24
"""Annealings before branch and bound is tried."""
LAST_ROUNDS = 1_000
"""Annealings after it: more than any clock allows on a pool where they matter."""
ENUMERABLE = 200
"""Undecided rows up to which enumeration is tried."""
SHORTEST = 1e-3
"""Seconds that HiGHS gets where none are left: it takes no limit of 0."""


def solve_exact(search: Search[ClassBalanced]) -> None:
    """Close the gap between answer and bound, as far as the clock allows.

    1. The dual gives the bound, and its rounding an answer (`relax`).
    2. The best swaps near the threshold (`polish`), then annealed ones (`Annealing`) better it.
    3. Where few selections have a Lagrangian value below the answer, all of them are looked at
       (`enumerate_cheapest`), which proves the optimum in float64.
    4. Where few rows are undecided by their reduced costs, HiGHS branches on those, for half of
       the time that is left.
    5. Annealing goes on until the clock runs out.
    """
    node_limit = as_number(search.options["node_limit"], "options: node_limit")
    if not node_limit >= 0:
        raise InvalidInput(f"options: node_limit must be at least 0; got {node_limit}")
    search.offer(search.problem.top_rows())
    dual, ranking = relax(search)
    search.stop_if_closed()
    polish(search, ranking)
    search.stop_if_closed()
    slack = _enumerate(search, ranking, dual.multipliers, int(node_limit))
    annealing = Annealing(search, ranking)
    if slack is None:
        annealing.run(FIRST_ROUNDS)
        slack = _enumerate(search, ranking, dual.multipliers, int(node_limit))
    if slack is not None:
        _prove_by_search(search, objective(search) - slack, dual.multipliers)
        search.complete = True
        return
    if _Branching(search, ranking, dual.multipliers).run():
        search.complete = True
        return
    annealing.run(LAST_ROUNDS)


def objective(search: Search[ClassBalanced]) -> float:
    """Return the best objective so far; there is one since the search began."""
    assert search.best is not None
    return search.best.objective


def undecided(ranking: Ranking, room: float) -> tuple[slice, slice]:
    """Return which ranks no reduced cost decides, and which are chosen for certain.

    Turning a row around costs the bound at least its distance from the threshold: the first rank
    left out for a chosen row, the last rank chosen for another. Where that exceeds the `room`
    between bound and answer, no better selection turns it around.
    """
    reduced, more = ranking.reduced, ranking.more
    if more in (0, len(reduced)):
        return slice(more, more), slice(0, more)
    first = int(np.searchsorted(reduced[:more], reduced[more] - room))
    last = more + int(np.searchsorted(reduced[more:], reduced[more - 1] + room, side="right"))
    return slice(first, last), slice(0, first)


def _room(search: Search[ClassBalanced], ranking: Ranking) -> float:
    """Return how far the answer lies above the ranking's own bound, rounding included.

    A better bound from other multipliers would decide rows by reduced costs that are not its own.
    """
    best = objective(search)
    return best - ranking.bound + 1e-9 * (abs(best) + abs(ranking.bound))


def _enumerate(
    search: Search[ClassBalanced], ranking: Ranking, multipliers: Floats, node_limit: int
) -> float | None:
    """Enumerate where so few rows are undecided that the tree may end."""
    inner, _ = undecided(ranking, _room(search, ranking))
    if inner.stop - inner.start > ENUMERABLE:
        return None
    return enumerate_cheapest(search, multipliers, node_limit)


@dataclass
class _Branching:
    """Branch and bound in HiGHS on the undecided rows; cuts state what is not linear."""

    search: Search[ClassBalanced]
    ranking: Ranking
    multipliers: Floats

    def run(self) -> bool:
        """Return whether the best answer is proven optimal, up to HiGHS' tolerances."""
        search, problem = self.search, self.search.problem
        best = objective(search)
        inner, taken = undecided(self.ranking, _room(search, self.ranking))
        rows = self.ranking.rows
        chosen = np.concatenate([problem.included, rows[taken]])
        part = Part(np.sort(rows[inner]), np.sort(chosen))
        search.info["undecided"] = len(part.rows)
        if len(part.rows) * problem.n_classes > BRANCHED:
            return False
        search.clock.check()
        self.part, self.outside = part, best
        self.lost = lost(problem, part)
        deadline = search.clock.elapsed() + search.clock.remaining() / 2
        cuts: tuple[Cut, ...] = ()
        linear = isinstance(problem.metric, L1 | Wasserstein)
        if not linear:
            cuts = (tangent(problem, self._shortfall(self._selected())),)
        while True:
            seconds = deadline - search.clock.elapsed()
            result = self._solve(cuts, max(seconds, SHORTEST))
            search.stop_if_closed()
            if result.status is MipStatus.STOPPED:
                raise Stop(StoppedBy.GAP)
            if result.status is not MipStatus.OPTIMAL:
                return False
            if linear or result.values is None:
                return self._is_complete()
            shortfall = self._shortfall(result.values[: len(part.rows)] > 0.5)
            if self._is_complete() or seconds <= 0:
                return self._is_complete()
            cuts = (*cuts, tangent(problem, shortfall))

    def _solve(self, cuts: tuple[Cut, ...], seconds: float) -> MipResult:
        search, part = self.search, self.part
        result = solve_model(
            linear_model(search.problem, part, cuts=cuts, divisor=unit(search.problem)),
            time_limit=seconds,
            options={
                "random_seed": search.seed % (1 << 31),
                # Tighter than asked for, so that the lowered bound closes the gap as well.
                "mip_rel_gap": max(search.gap_tol - 2 * SAFETY, 0.0),
                # By default rows may be missed by 1e-6, which λ multiplies.
                "mip_feasibility_tolerance": 1e-9,
            },
            on_update=self._take,
        )
        search.note_peak(result.peak_bytes)
        search.info["nodes"] = search.info.get("nodes", 0) + result.nodes
        if result.bound is not None:
            self._prove(result.bound)
        elif result.status is MipStatus.INFEASIBLE:
            self._prove(np.inf)
        return result

    def _take(self, update: MipUpdate) -> bool:
        if update.values is not None:
            selected = update.values[: len(self.part.rows)] > 0.5
            self.search.offer(np.concatenate([self.part.taken, self.part.rows[selected]]))
        if update.bound is not None:
            self._prove(update.bound)
        return self.search.closed

    def _prove(self, bound: float) -> None:
        safe = safe_bound(self.search.problem, bound, self.lost)
        # Selections outside the part are no better than the answer the part was made with.
        safe = min(safe, self.outside - SAFETY * abs(self.outside))
        _prove_by_search(self.search, safe, self.multipliers)

    def _is_complete(self) -> bool:
        best, bound = objective(self.search), self.search.bound
        scale = unit(self.search.problem)
        allowed = (self.search.gap_tol + 2 * SAFETY) * max(abs(best), scale) + self.lost
        return bound is not None and best - bound <= allowed

    def _selected(self) -> Mask:
        assert self.search.rows is not None
        return np.isin(self.part.rows, self.search.rows)

    def _shortfall(self, selected: Mask) -> Floats:
        problem = self.search.problem
        rows = np.concatenate([self.part.taken, self.part.rows[selected]])
        return problem.target - problem.probs.total(rows)


def _prove_by_search(search: Search[ClassBalanced], bound: float, multipliers: Floats) -> None:
    """Prove a bound that only a repeated search could re-check, with the root's multipliers."""
    values = {"multipliers": multipliers.tolist()}
    root = search.problem.lower_bound(multipliers)
    search.prove(bound, Certificate("branch-and-bound", False, root, values))
