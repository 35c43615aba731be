"""How many labels of each class to ask for: the target Ω, and λ, the price of missing it."""

from math import fsum
from typing import Any

import numpy as np

from .arrays import Floats, as_integers, as_number, as_vector, require_moderate
from .errors import InvalidInput


def paper_target(counts: Floats, budget: int) -> Floats:
    r"""Fill every class to the level of a balanced set, as the paper does.

    .. math:: \omega_k = \max(\tau - n_k, 0), \qquad \tau = \frac{\sum_k n_k + b}{C}

    Where some class already exceeds the level, the clipping makes :math:`\sum\Omega > b`: more is
    asked for than the budget can bring.

    Parameters
    ----------
    counts
        n ``(C,)``, labels of each class so far.
    budget
        b, labels to come.

    Returns
    -------
    Floats
        Ω ``(C,)`` (thesis eq. 4.3 to 4.5; ``c b + b_0`` there is all labels after this cycle).

    Examples
    --------
    >>> paper_target(np.array([0.0, 2.0, 10.0]), 6)
    array([6., 4., 0.])
    """
    level = (counts.sum() + budget) / len(counts)
    return np.asarray(np.maximum(level - counts, 0.0))


def fill_target(counts: Floats, budget: int) -> Floats:
    r"""Raise the lowest classes together until the budget is spent.

    .. math:: \omega_k = \max(\tau - n_k, 0) \quad\text{with } \tau \text{ such that}\quad
        \sum_k \omega_k = b

    Parameters
    ----------
    counts
        n ``(C,)``, labels of each class so far.
    budget
        b, labels to come.

    Returns
    -------
    Floats
        Ω ``(C,)``, summing to b.

    Examples
    --------
    >>> fill_target(np.array([0.0, 2.0, 10.0]), 6)
    array([4., 2., 0.])
    """
    ascending = np.sort(counts)
    classes = np.arange(1, len(counts) + 1)
    levels = (np.cumsum(ascending) + budget) / classes
    filled = int(np.flatnonzero(levels > ascending)[-1])
    return np.asarray(np.maximum(levels[filled] - counts, 0.0))


TARGETS = {"paper": paper_target, "fill": fill_target}


def as_target(
    target: Any, budget: int, n_classes: int, counts: Floats | None, n_labeled: int
) -> Floats:
    """Return Ω ``(C,)`` from an array, or by the rule of a name from the labeled classes.

    Parameters
    ----------
    target
        Ω ``(C,)``, ``"paper"`` or ``"fill"``.
    budget, n_classes
        b and C.
    counts
        n ``(C,)`` from `as_counts`, or None if nobody told.
    n_labeled
        How many rows are labeled; their classes must be known to a rule.

    Raises
    ------
    InvalidInput
        An unknown rule, a target that is negative or not finite, a rule without its counts.
    """
    if isinstance(target, str):
        if target not in TARGETS:
            raise InvalidInput(f"target: must be 'paper', 'fill' or an array (C,); got {target!r}")
        if counts is None and n_labeled:
            raise InvalidInput(
                f"target: {target!r} needs the classes of the {n_labeled} labeled rows; "
                "pass labeled_classes or labeled_counts, or the target as an array"
            )
        return TARGETS[target](np.zeros(n_classes) if counts is None else counts, budget)
    wanted = as_vector(target, "target", n_classes)
    if not (np.isfinite(wanted).all() and (wanted >= 0).all()):
        raise InvalidInput(
            f"target: must be finite and not negative; got {wanted.min():.4g}; "
            "pass the number of labels wanted of each class"
        )
    return wanted


def scaled_target(target: Floats, budget: int) -> Floats:
    """Scale Ω to the budget, for a distance that moves mass: it needs as much as comes."""
    total = fsum(target)
    if not total > 0:
        raise InvalidInput("target: 'wasserstein' needs a class that is wanted; got all zeros")
    return np.asarray(target * (budget / total))


def as_counts(classes: Any, counts: Any, n_classes: int, n_labeled: int = 0) -> Floats | None:
    """Return the labels of each class ``(C,)`` from classes or from counts; None from neither."""
    if classes is not None and counts is not None:
        raise InvalidInput("labeled_counts: give either counts or labeled_classes, not both")
    if counts is not None:
        numbers = as_vector(counts, "labeled_counts", n_classes)
        if not (np.isfinite(numbers).all() and (numbers >= 0).all()):
            raise InvalidInput(
                f"labeled_counts: must not be negative; got {numbers.min():.4g}; count labels"
            )
        return numbers
    return None if classes is None else count_classes(classes, n_classes, n_labeled)


def count_classes(classes: Any, n_classes: int, n_labeled: int) -> Floats:
    """Count the labels of each class ``(C,)``; labels from outside the dataset are welcome.

    Raises
    ------
    InvalidInput
        If a class lies outside ``0..C-1``, or fewer classes come than rows are labeled.
    """
    labels = as_integers(classes, "labeled_classes")
    wrong = np.flatnonzero((labels < 0) | (labels >= n_classes))
    if len(wrong):
        raise InvalidInput(
            f"labeled_classes: classes must lie in 0..{n_classes - 1}; got {labels[wrong[0]]} at "
            f"position {wrong[0]}; number classes as the columns of probs"
        )
    if n_labeled and len(labels) != n_labeled:
        raise InvalidInput(
            f"labeled_classes: must name the class of each of {n_labeled} labeled rows; "
            f"got {len(labels)}; pass one for each"
        )
    return np.bincount(labels, minlength=n_classes).astype(np.float64)


def as_balance(balance: Any) -> float:
    """Return λ, finite and not negative."""
    value = as_number(balance, "balance")
    if not (np.isfinite(value) and value >= 0):
        raise InvalidInput(f"balance: must be a finite number ≥ 0; got {value}; 1.0 is a start")
    require_moderate(np.array([value]), "balance")
    return value + 0.0  # -0.0 and 0.0 are one problem
