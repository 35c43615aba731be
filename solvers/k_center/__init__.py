"""k-center coresets: their methods, exact and greedy side by side."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..registry import EVERY_CONSTRAINT, Method, by_name
from .limits import limit_entries

if TYPE_CHECKING:
    from ...problems.k_center import KCenter


def _vectors(problem: KCenter) -> int:
    # Guards of the constraints, and what completes a selection that gets stuck.
    guards = 8 * len(problem.constraints) + 24 if problem.is_limited else 0
    return 8 * (6 + guards) * problem.space.size + (48 << 20)


def _pooled(problem: KCenter) -> int:
    # A pool of a sixteenth of the points in float32, and the centers that rows are measured to.
    centers = len(problem.labeled) + problem.budget
    points = 4 * problem.space.width * (problem.space.size // 16 + 2 * centers)
    balancing = problem.balancing
    classes = 0 if balancing is None or problem.balance == 0 else balancing.n_classes
    return 2 * _vectors(problem) + points + classes * problem.space.size


def _sampled(problem: KCenter) -> int:
    # The sample's distances, at most, and HiGHS' process.
    entries = min(80_000_000, 4_000 * len(problem.free))
    return _pooled(problem) + 12 * entries + 64 * limit_entries(problem) + (200 << 20)


def _swapped(problem: KCenter) -> int:
    if problem.balance == 0:
        return _sampled(problem)
    # Distances that swaps keep: of a few thousand rows to each other and to the centers, and of the
    # last rows that were asked for to all.
    return _sampled(problem) + (256 << 20) + 4 * 4096 * problem.to_choose


def _only_norms(problem: KCenter) -> str | None:
    balancing = problem.balancing
    if problem.balance > 0 and balancing is not None and balancing.ground_cost is not None:
        return f"cannot take distance {balancing.distance!r}"
    return None


def _only_l1(problem: KCenter) -> str | None:
    balancing = problem.balancing
    if balancing is None or problem.balance == 0:
        return "needs balance > 0"
    return None if balancing.distance == "l1" else f"is for l1; distance is {balancing.distance!r}"


_method = partial(Method, memory=_pooled, constraints=EVERY_CONSTRAINT)

METHODS = by_name(
    _method(
        name="exact",
        about="covers of a sample of rows, refuted by duality and branch and bound",
        run="k_center.exact:solve_exact",
        memory=_swapped,
        proves=True,
    ),
    _method(
        name="improve",
        about="swaps of centers that shrink the radius, with balance the sum of both",
        run="k_center.exact:solve_improve",
        memory=_swapped,
        proves=True,
        refuses=_only_norms,
    ),
    _method(
        name="greedy",
        about="farthest-first, at most twice the optimum; with balance thesis algorithm 2",
        run="k_center.greedily:solve_greedy",
        proves=True,
        prepares=True,
        refuses=_only_norms,
    ),
    _method(
        name="greedy-l2",
        about="algorithm 2 steered by the ℓ2 distance, which tells classes apart at once",
        run="k_center.greedily:solve_straight",
        proves=True,
        refuses=_only_l1,
    ),
    _method(
        name="k-means++",
        about="rows drawn in proportion to squared distance (D² sampling, BADGE)",
        run="k_center.sampling:solve_k_means_pp",
        random=True,
    ),
    _method(
        name="random",
        about="rows drawn uniformly",
        run="baselines:solve_random",
        memory=_vectors,
        random=True,
    ),
)


def choose_auto(problem: KCenter) -> tuple[str, str]:
    """Return the method to take for a problem, and why."""
    del problem
    return "exact", "exact: greedy first, then better radii and bounds within the time limit"
