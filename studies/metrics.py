"""How balanced a choice is: of the labels that came, and of the classes that were predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..problems.arrays import Floats, Ints, as_integers, as_matrix, as_rows
from ..problems.errors import InvalidInput
from ..problems.probabilities import Probabilities

if TYPE_CHECKING:
    from ..problems.selection import Selection, SelectionProblem


def l1_score(labels: Any, n_classes: int) -> float:
    r"""Return how far true labels are from balance: 0 is balanced, 1 is all in one class.

    .. math:: \frac{\sum_k |n_k - b/C|}{2b(C-1)/C}

    Parameters
    ----------
    labels
        True classes ``0..C-1`` of the b chosen rows.
    n_classes
        C; with one class every choice is balanced.

    Returns
    -------
    float
        The L1 score of thesis eq. 4.10, between 0 and 1.

    Raises
    ------
    InvalidInput
        No labels, or a class out of range.

    Examples
    --------
    >>> l1_score([0, 0, 1, 1], n_classes=2)
    0.0
    >>> l1_score([1, 1, 1], n_classes=2)
    1.0
    """
    classes = as_integers(labels, "labels")
    wrong = classes[(classes < 0) | (classes >= n_classes)]
    if len(wrong):
        raise InvalidInput(
            f"labels: classes must lie in 0..{n_classes - 1}; got {wrong[0]}; check n_classes"
        )
    return _score(np.bincount(classes, minlength=n_classes).astype(np.float64))


def predicted_l1(probs: Any, rows: Any) -> float:
    r"""Return the same score of the expected class counts :math:`P^\top z`.

    What a model predicts is not what will be labeled: this says how balanced the model believes a
    choice to be, `l1_score` says how balanced it is.

    Parameters
    ----------
    probs
        P ``(N, C)``, or a problem's ``probs``.
    rows
        Chosen rows.

    Examples
    --------
    >>> predicted_l1([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], rows=[0, 2])
    0.0
    """
    if not isinstance(probs, Probabilities):
        matrix = as_matrix(probs, "probs")
        return _score(matrix.take(as_rows(rows, "rows", matrix.shape[0])).sum(axis=0))
    return _score(probs.total(as_rows(rows, "rows", probs.shape[0])))


def true_l1(problem: SelectionProblem, solution: Selection, truth: Ints | None) -> float | None:
    """Return the L1 score of a choice's true labels, or None where they are not all known.

    None too without class probabilities, which say how many classes there are.
    """
    balanced = problem.class_balance
    if balanced is None or truth is None or not len(solution.indices):
        return None
    labels = truth[solution.indices]
    return None if (labels < 0).any() else l1_score(labels, balanced.n_classes)


def as_truth(truth: Any, problem: SelectionProblem) -> Ints | None:
    """Return the true class of every row ``(N,)``, -1 where it is not known; None stays None.

    Raises
    ------
    InvalidInput
        Another length than the dataset's, or a class out of range.
    """
    if truth is None:
        return None
    classes = as_integers(truth, "truth")
    size, balanced = problem.dataset.size, problem.class_balance
    if classes.shape != (size,):
        raise InvalidInput(
            f"truth: must hold one class for each of {size} rows; got shape {classes.shape}; "
            "use -1 where it is not known"
        )
    top = np.inf if balanced is None else balanced.n_classes - 1
    wrong = np.flatnonzero((classes < -1) | (classes > top))
    if len(wrong):
        span = "be ≥ 0" if balanced is None else f"lie in 0..{top}"
        raise InvalidInput(
            f"truth: classes must {span}, -1 where not known; "
            f"{problem.dataset.name(int(wrong[0]))} has {classes[wrong[0]]}; "
            "number classes as the columns of probs"
        )
    return classes


def _score(counts: Floats) -> float:
    total, classes = counts.sum(), len(counts)
    if not total > 0:
        raise InvalidInput("labels: there must be at least one; got none; pass the chosen rows'")
    if classes == 1:
        return 0.0
    worst = 2 * total * (classes - 1) / classes
    return min(float(np.abs(counts - total / classes).sum() / worst), 1.0)
