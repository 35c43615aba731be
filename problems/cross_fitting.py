"""Whether predictions tell classes at all: log loss on rows that nothing was fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from .arrays import Floats, Ints
    from .calibration import Calibration

FOLDS = 5
"""Parts of the held-out rows, of which each is left out once."""
SURE = 0.95
"""Probability with which noise is to be recognized."""


def gains_over_mix(
    probs: Floats, classes: Ints, trained: Floats, fit: Callable[[Any, Any], Calibration]
) -> Floats:
    r"""Return how much better each row's class is told by predictions than by the class mix.

    .. math:: d_i = \log \frac{q_{i, y_i}\, m_{y_i} / \tau_{y_i}}
        {\sum_k q_{ik}\, m_k / \tau_k} - \log m_{y_i}, \qquad m_k = \frac{1 + n_k}{C + n}

    q is calibrated, and the mix m counted, on the other folds alone; rows go to folds in turn,
    class by class. Held-out rows may be of another mix than the τ that the classifier learned from:
    both sides know theirs.

    Parameters
    ----------
    probs, classes
        Held-out predictions ``(n, C)`` and their classes ``(n,)``; two rows at least.
    trained
        τ ``(C,)``.
    fit
        Fits the calibration.
    """
    count, size = probs.shape
    folds = np.empty(count, dtype=np.int64)
    folds[np.argsort(classes, kind="stable")] = np.arange(count) % min(FOLDS, count)
    gains = np.empty(count)
    for fold in np.unique(folds):
        out = folds == fold
        rest, own = classes[~out], classes[out]
        mix = (1.0 + np.bincount(rest, minlength=size)) / (size + len(rest))
        told = fit(probs[~out], rest).apply(probs[out]) * (mix / trained)
        told = told[np.arange(len(own)), own] / told.sum(axis=1)
        gains[out] = np.log(np.maximum(told, np.finfo(float).tiny)) - np.log(mix[own])
    return gains


def tells_classes(gains: Floats) -> bool:
    """Whether the mean gain is above 0, by Student's test on one side."""
    from scipy.special import stdtrit

    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return bool(gains.mean() > stdtrit(len(gains) - 1, SURE) * error)
