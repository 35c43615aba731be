"""The recommended choice as a problem that is ready to be solved and saved."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.uncertainty import entropy
from ...problems import BudgetedSelection, ClassBalanced, KCenter
from ...problems.arrays import as_integers, as_matrix, to_numpy
from ...problems.correcting import Correction, corrected
from ...problems.errors import InvalidInput
from ..campaign.by_balance import coreset_balance
from ..trade_off import knee

if TYPE_CHECKING:
    from ...problems import SelectionProblem
    from .advice import Advice
    from .measures import Scored

METHODS = {"random": "random", "k-center": "greedy", "k-center-cb": "greedy-l2"}
"""How a problem is solved, where not by ``auto``: as campaigns do."""


def make_problem(
    advice: Advice, pool: Scored, budget: int
) -> tuple[SelectionProblem, dict[str, Any]]:
    """Return the problem of an advice, and the arguments with which to solve it.

    Parameters
    ----------
    advice
        From `advise`.
    pool
        What it was advised for.
    budget
        b.

    Raises
    ------
    InvalidInput
        If the strategy needs class probabilities and there are none.
    """
    name = advice.strategy.removesuffix("-corrected")
    rows = {"budget": budget, "labeled": pool.labeled, "ids": pool.ids}
    table = {} if pool.video is None else {"video": pool.video, "frame": pool.frame}
    stated = {**rows, "table": {key: to_numpy(column) for key, column in table.items()}}
    solve = {"method": METHODS[name]} if name in METHODS else {}
    if name == "random":
        return BudgetedSelection(np.zeros(pool.size), **stated), solve
    if name == "k-center":
        return KCenter(pool.embeddings, **stated), solve
    if pool.probs is None:
        raise InvalidInput(
            f"probs: {advice.strategy} needs class probabilities; score the pool with a classifier"
        )
    utility = _utility(pool)
    if name == "entropy":
        return BudgetedSelection(utility, **stated), solve
    stated |= {"target": "fill", "labeled_counts": _counts(pool)}
    problem = ClassBalanced(pool.probs, utility, **stated)
    if advice.strategy.endswith("-corrected"):
        mix = Correction(
            _counts(pool), held_out=pool.held_out, held_out_classes=pool.labeled_classes
        )
        problem = corrected(problem, mix)
    if name == "entropy-cb":
        return replace(problem, balance=knee(problem)), solve
    # The file of a coreset has no [correct]: it holds the corrected probabilities themselves.
    (probs,) = problem.probs.matrix.parts
    make = partial(_coreset, pool.embeddings, probs, stated)
    return make(coreset_balance(make, METHODS[name])), solve


def _coreset(embeddings: Any, probs: Any, stated: dict[str, Any], balance: float) -> KCenter:
    return KCenter(embeddings, probs=probs, balance=balance, **stated)


def _utility(pool: Scored) -> Any:
    utility = np.zeros(pool.size)
    for first, values in as_matrix(pool.probs, "probs").chunks():
        utility[first : first + len(values)] = entropy(values)
    return utility


def _counts(pool: Scored) -> Any:
    """Return the labels of each class so far."""
    width = as_matrix(pool.probs, "probs").shape[1]
    if pool.labeled_classes is None:
        if len(pool.labeled):
            raise InvalidInput(
                "labeled_classes: a balanced choice needs the classes of the labeled rows"
            )
        return np.zeros(width)
    classes = as_integers(pool.labeled_classes, "labeled_classes")
    return np.bincount(classes, minlength=width)
