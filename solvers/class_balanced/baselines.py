"""What class-balanced selection is measured against: top utility and pseudo labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...problems.growing import TICK
from ..completing import complete, offer_or_complete
from .starting import offer_top

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.class_balanced import ClassBalanced
    from ..search import Search


def solve_top(search: Search[ClassBalanced]) -> None:
    """Take the most useful rows: eq. 4.8 with λ = 0, ties to the lowest row."""
    offer_top(search, ordered=True)


def solve_pseudo_label(search: Search[ClassBalanced]) -> None:
    """Take Ω's quota from each predicted class, most useful first, less doubt for chances.

    The paper's "Entropy L1 pseudo label": each row counts wholly for its most probable class. Ω is
    scaled to the budget and rounded to whole rows; where a class has too few rows that the
    constraints let in, the most useful rows of the others fill up (``info["filled"]`` says how
    many).
    """
    problem = search.problem
    classes = problem.probs.argmax()
    left = whole_quotas(problem.target, problem.budget)
    np.subtract.at(left, classes[problem.included], 1)
    rest = problem.free
    useful = rest[np.argsort(-problem.worth[rest], kind="stable")]
    if problem.is_limited:
        offer_or_complete(search, _grow_by_class(search, useful, classes, left), ordered=True)
        return
    within = np.concatenate(
        [[], *(useful[classes[useful] == k][: max(n, 0)] for k, n in enumerate(left))]
    ).astype(np.int64)
    more = problem.to_choose
    within = within[np.argsort(-problem.worth[within], kind="stable")][:more]
    others = useful[~np.isin(useful, within)][: more - len(within)]
    search.info["filled"] = len(others)
    search.offer(np.concatenate([problem.included, within, others]), ordered=True)


def _grow_by_class(
    search: Search[ClassBalanced], useful: Ints, classes: Ints, quotas: Ints
) -> Ints:
    """Return the included rows and others in order of utility, as quotas and constraints let in."""
    problem = search.problem
    growth, taken, left = problem.grow(), problem.included.tolist(), problem.to_choose
    search.info["filled"] = 0
    for is_filling in (False, True):
        for turn, row in enumerate(useful.tolist()):
            if left == 0:
                break
            if turn % TICK == 0:
                search.clock.check()
            within = is_filling or quotas[classes[row]] > 0
            if within and not growth.closed[row] and growth.allows(row, left):
                growth.add(row)
                taken.append(row)
                quotas[classes[row]] -= 1
                left -= 1
                search.info["filled"] += is_filling
    rows = np.array(taken, dtype=np.int64)
    return complete(search, rows, problem.worth) if left or growth.needs() else rows


def whole_quotas(target: Floats, budget: int) -> Ints:
    """Round a target to whole rows that sum to the budget, by largest remainders.

    Examples
    --------
    >>> whole_quotas(np.array([2.5, 1.5, 1.0]), 5)
    array([3, 1, 1])
    """
    total = target.sum()
    shares = target * (budget / total) if total > 0 else np.full(len(target), budget / len(target))
    quotas: Ints = np.floor(shares).astype(np.int64)
    remainders = np.argsort(-(shares - quotas), kind="stable")
    quotas[remainders[: budget - int(quotas.sum())]] += 1
    return quotas
