"""What class-balanced selection is measured against: top utility and pseudo labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.class_balanced import ClassBalanced
    from ..search import Search


def solve_top(search: Search[ClassBalanced]) -> None:
    """Take the most useful rows: eq. 4.8 with λ = 0, ties to the lowest row."""
    search.offer(search.problem.top_rows(), ordered=True)


def solve_pseudo_label(search: Search[ClassBalanced]) -> None:
    """Take Ω's quota from each predicted class, most useful first.

    The paper's "Entropy L1 pseudo label": each row counts wholly for its most probable class. Ω is
    scaled to the budget and rounded to whole rows; where a class has too few rows, the most useful
    rows of the others fill up (``info["filled"]`` says how many).
    """
    problem = search.problem
    classes = problem.probs.argmax()
    left = whole_quotas(problem.target, problem.budget)
    np.subtract.at(left, classes[problem.included], 1)
    rest = problem.free
    useful = rest[np.argsort(-problem.utility[rest], kind="stable")]
    within = np.concatenate(
        [[], *(useful[classes[useful] == k][: max(n, 0)] for k, n in enumerate(left))]
    ).astype(np.int64)
    more = problem.to_choose
    within = within[np.argsort(-problem.utility[within], kind="stable")][:more]
    others = useful[~np.isin(useful, within)][: more - len(within)]
    search.info["filled"] = len(others)
    search.offer(np.concatenate([problem.included, within, others]), ordered=True)


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
