"""Radii settled by branch and bound: by a small tree, whose proof is kept, or by HiGHS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .branching import Tree
from .certifying import Branchings
from .refuting import narrow, search_by_mip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...problems.arrays import Ints
    from .bisection import Bisection

TREE_WORK = 300_000_000
"""Steps of the simplex method, times entries of the matrix, that a tree may take."""


class Settled(NamedTuple):
    """What branch and bound tells of a radius.

    Parameters
    ----------
    refuted
        Whether no b centers cover the sample.
    chosen
        Free rows that do.
    proof
        What re-proves the refutation, if that is short.
    """

    refuted: bool
    chosen: Ints | None = None
    proof: Mapping[str, Any] | None = None


def settle_by_tree(bisection: Bisection, radius: float, deadline: float) -> Settled:
    """Settle a radius by a tree of linear programs that ends early.

    Parameters
    ----------
    bisection
        The sample.
    radius
        To be covered or refuted.
    deadline
        On the run's clock.
    """
    problem, clock = bisection.problem, bisection.search.clock
    budget, outliers = problem.to_choose, problem.outliers
    proof = Branchings(bisection.sample)
    cover, refuted = narrow(bisection.sample.cover(radius), budget, outliers, clock, proof)
    tree = Tree(cover, budget, outliers, proof.begin(cover))
    ended, chosen = tree.search(TREE_WORK, deadline - clock.elapsed(), clock)
    if ended or refuted:
        return Settled(True, proof=proof.values() if ended else None)
    return Settled(False, None if chosen is None else problem.free[cover.columns[chosen]])


def settle_by_mip(bisection: Bisection, radius: float, deadline: float) -> Settled:
    """Settle a radius by HiGHS, with the arguments of `settle_by_tree`."""
    problem, clock = bisection.problem, bisection.search.clock
    budget, outliers = problem.to_choose, problem.outliers
    cover, refuted = narrow(bisection.sample.cover(radius), budget, outliers, clock)
    if refuted:
        return Settled(True)
    left = deadline - clock.elapsed()
    refuted, chosen = search_by_mip(cover, budget, outliers, left, bisection.search)
    return Settled(refuted, None if chosen is None else problem.free[cover.columns[chosen]])
