"""The pool's prior through a confusion matrix: black-box shift estimation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .arrays import Floats, Ints, Matrix

SUM_TO_ONE = 100.0
"""Weight of the equation that shares sum to 1."""


def class_means(probs: Floats, classes: Ints) -> Floats:
    """Return the mean prediction ``(C, C)`` of the held-out rows of each class; row k of class k.

    A class without rows is taken to be predicted as itself.
    """
    size = probs.shape[1]
    sums, counts = np.zeros((size, size)), np.bincount(classes, minlength=size)
    np.add.at(sums, classes, probs)
    means = sums / np.maximum(counts, 1)[:, None]
    means[counts == 0] = np.eye(size)[counts == 0]
    return means


def mean_predictions(probs: Matrix) -> Floats:
    """Return the mean probability of each class ``(C,)``."""
    total = np.zeros(probs.shape[1])
    for _, values in probs.chunks():
        total += values.sum(axis=0)
    return np.asarray(total / total.sum())


def confusion_prior(probs: Floats, classes: Ints, pool_mean: Floats) -> Floats:
    r"""Return the shares whose mean prediction would be the pool's.

    .. math:: \min_{\pi \ge 0,\, \sum\pi = 1} \|M^\top \pi - \mu\|_2

    Row k of M is the mean prediction of held-out rows of class k, μ the mean prediction in the
    pool (Lipton, Wang & Smola, ICML 2018, with soft predictions).

    Parameters
    ----------
    probs, classes
        Held-out predictions ``(n, C)`` and their classes ``(n,)``.
    pool_mean
        μ ``(C,)``.
    """
    from scipy.optimize import nnls

    matrix = class_means(probs, classes).T
    system = np.vstack([matrix, np.full(len(pool_mean), SUM_TO_ONE)])
    shares, _ = nnls(system, np.append(pool_mean, SUM_TO_ONE))
    return np.asarray(shares / shares.sum())
