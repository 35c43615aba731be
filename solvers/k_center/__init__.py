"""k-center coresets: their methods, exact and greedy side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import Method

if TYPE_CHECKING:
    from ...problems.k_center import KCenter


def _vectors(problem: KCenter) -> int:
    return 8 * 6 * problem.space.size + (48 << 20)


METHODS = {
    method.name: method
    for method in (
        Method(
            name="exact",
            about="covers of a sample of rows, refuted by duality and branch and bound",
            run="k_center.exact:solve_exact",
            memory=_vectors,
            proves=True,
        ),
        Method(
            name="improve",
            about="swaps of centers that shrink the radius",
            run="k_center.exact:solve_improve",
            memory=_vectors,
        ),
        Method(
            name="random",
            about="rows drawn uniformly",
            run="baselines:solve_random",
            memory=_vectors,
            random=True,
        ),
    )
}


def choose_auto(problem: KCenter) -> tuple[str, str]:
    """Return the method to take for a problem, and why."""
    del problem
    return "random", "random: the only one"
