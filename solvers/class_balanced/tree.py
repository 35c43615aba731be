"""Branch and bound in HiGHS on the rows that are still undecided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...problems.base import Certificate, StoppedBy
from ...problems.distances import L1, Wasserstein
from ...problems.errors import InfeasibleSelection
from .._mip import MipStatus, MipUpdate, solve_model
from ..search import Stop
from . import BRANCHED
from .model import SAFETY, Cut, Part, linear_model, lost, safe_bound, tangent, unit

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints, Mask
    from ...problems.class_balanced import ClassBalanced
    from ...problems.pricing import Prices
    from .._mip import MipResult
    from ..search import Search

SHORTEST = 1e-3
"""Seconds that HiGHS gets where none are left: it takes no limit of 0."""


@dataclass
class Branching:
    """Branch and bound in HiGHS on a part of the rows; cuts state what is not linear.

    Parameters
    ----------
    search
        The run; it has an answer.
    part
        The rows that are undecided: no selection that decides the others otherwise is better than
        the answer that the search has when this is made.
    multipliers, prices
        Those of the relaxation, for the certificate.
    """

    search: Search[ClassBalanced]
    part: Part
    multipliers: Floats
    prices: Prices | None = None

    def run(self) -> bool:
        """Return whether the best answer is proven optimal, up to HiGHS' tolerances."""
        search, problem, part = self.search, self.search.problem, self.part
        search.info["undecided"] = len(part.rows)
        if len(part.rows) * problem.n_classes > BRANCHED:
            return False
        search.clock.check()
        self.outside = objective(search)
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
        return result

    def _take(self, update: MipUpdate) -> bool:
        if update.values is not None:
            selected = update.values[: len(self.part.rows)] > 0.5
            self._offer(np.concatenate([self.part.taken, self.part.rows[selected]]))
        if update.bound is not None:
            self._prove(update.bound)
        return self.search.closed

    def _offer(self, rows: Ints) -> None:
        try:
            self.search.offer(rows)
        except InfeasibleSelection:
            # HiGHS keeps limits up to its tolerances only: its bound holds, its answer does not.
            if not self.search.problem.is_limited:
                raise

    def _prove(self, bound: float) -> None:
        safe = safe_bound(self.search.problem, bound, self.lost)
        # Selections outside the part are no better than the answer the part was made with.
        safe = min(safe, self.outside - SAFETY * abs(self.outside))
        prove_by_search(self.search, safe, self.multipliers, self.prices)

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


def objective(search: Search[ClassBalanced]) -> float:
    """Return the best objective so far; there is one since the search began."""
    assert search.best is not None
    return search.best.objective


def prove_by_search(
    search: Search[ClassBalanced], bound: float, multipliers: Floats, prices: Prices | None = None
) -> None:
    """Prove a bound that only a repeated search could re-check, with those of the root."""
    values = {"multipliers": multipliers.tolist(), **(prices.values() if prices else {})}
    root = search.problem.lower_bound(multipliers, prices)
    search.prove(bound, Certificate("branch-and-bound", False, root, values))
