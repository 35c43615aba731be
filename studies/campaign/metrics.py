"""How good a model is: accuracy, accuracy for each class, overlap of regions, found objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.arrays import Floats, Ints, as_integers
from ...problems.errors import InvalidInput
from ...problems.true_errors import find_errors

if TYPE_CHECKING:
    from ...problems.arrays import Mask
    from ...problems.detections import Detections


def accuracy(truth: Any, predicted: Any) -> float:
    """Return the share of rows whose class was predicted; rows of class -1 are left out.

    Parameters
    ----------
    truth, predicted
        Classes ``(n,)``; -1 in `truth` where it is not known.

    Raises
    ------
    InvalidInput
        Two lengths, or no row of known class.

    Examples
    --------
    >>> accuracy([0, 1, 1, -1], [0, 1, 0, 0]).__round__(4)
    0.6667
    """
    true, guess = _known(truth, predicted)
    return float((true == guess).mean())


def mean_class_accuracy(truth: Any, predicted: Any) -> float:
    """Return the mean over classes of the share of their rows that was predicted.

    Classes that no row of `truth` has are left out, and so are rows of class -1.

    Parameters
    ----------
    truth, predicted
        Classes ``(n,)``; -1 in `truth` where it is not known.

    Raises
    ------
    InvalidInput
        Two lengths, or no row of known class.

    Examples
    --------
    >>> mean_class_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
    0.5
    """
    true, guess = _known(truth, predicted)
    own = np.unique(true, return_inverse=True)[1]
    return float((np.bincount(own, true == guess) / np.bincount(own)).mean())


def confusion_matrix(truth: Any, predicted: Any, classes: int, *, ignore: int = -1) -> Ints:
    """Return how many pixels or rows of class k were predicted to be l, ``(C, C)``.

    Matrices of several images add up to that of all.

    Parameters
    ----------
    truth, predicted
        Classes ``0..C-1``, two arrays of one shape.
    classes
        C.
    ignore
        The number in `truth` that is no class, such as 255.

    Raises
    ------
    InvalidInput
        Two shapes, or a class out of range.

    Examples
    --------
    >>> confusion_matrix([[0, 0], [1, 255]], [[0, 1], [1, 1]], 2, ignore=255)
    array([[1, 1],
           [0, 1]])
    """
    true, guess = _alike(truth, predicted)
    counted = true != ignore
    true, guess = true[counted], guess[counted]
    for values, name in ((true, "truth"), (guess, "predicted")):
        wrong = values[(values < 0) | (values >= classes)]
        if len(wrong):
            raise InvalidInput(
                f"{name}: classes must lie in 0..{classes - 1}; got {wrong[0]}; "
                "say which number to ignore"
            )
    return np.bincount(true * classes + guess, minlength=classes**2).reshape(classes, classes)


def mean_iou(confusion: Any) -> float:
    r"""Return the mean over classes of intersection over union.

    .. math:: \frac{1}{|K|} \sum_{k \in K} \frac{M_{kk}}{\sum_l M_{kl} + \sum_l M_{lk} - M_{kk}}

    where K are the classes that the truth or the prediction holds: one that is predicted though no
    pixel has it counts as 0. (The reward of region policies leaves such classes out of the mean:
    `labelcut.models.policies.region_learner.iou_of_true_classes`.)

    Parameters
    ----------
    confusion
        M ``(C, C)``, rows true and columns predicted, summed over all images.

    Raises
    ------
    InvalidInput
        No square of counts, or one without any.

    Examples
    --------
    >>> mean_iou([[1, 1], [0, 2]]).__round__(4)
    0.5833
    """
    counts = as_integers(confusion, "confusion")
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.sum() <= 0:
        raise InvalidInput(
            "confusion: must be a square matrix (C, C) of counts, not all 0; "
            f"got shape {counts.shape}; pass the sum of confusion_matrix over all images"
        )
    shared = np.diagonal(counts)
    union = counts.sum(axis=0) + counts.sum(axis=1) - shared
    return float((shared[union > 0] / union[union > 0]).mean())


def average_precision(
    detections: Detections, truth: Detections, *, min_iou: float = 0.5
) -> dict[str, float]:
    r"""Return the average precision of each class that has true objects.

    .. math:: AP = \sum_k (r_k - r_{k-1}) \max_{l \ge k} p_l

    over the detections of a class from the best score down, :math:`r_k` and :math:`p_k` the recall
    and precision of the first k. A detection is right when it overlaps an object of its frame and
    class by `min_iou` at least and no better detection has taken that object (`find_errors`).

    Parameters
    ----------
    detections, truth
        Found and true objects over the same videos or images.
    min_iou
        0.5 for AP@0.5.

    Returns
    -------
    dict
        AP by class; their mean is the mAP.

    Raises
    ------
    InvalidInput
        The two tables are not about the same videos, or there is no true object.
    """
    right = ~find_errors(detections, truth, min_iou=min_iou).false_positive
    objects = np.bincount(truth.label[truth.used], minlength=len(truth.classes))
    if not objects.any():
        raise InvalidInput("truth: there must be a true object; got none; pass annotated frames")
    found: dict[str, float] = {}
    for label in np.flatnonzero(objects):
        name = truth.classes[label]
        number = detections.classes.index(name) if name in detections.classes else -1
        own = np.flatnonzero(detections.used & (detections.label == number))
        best_first = own[np.argsort(-detections.score[own], kind="stable")]
        found[name] = _area(right[best_first], int(objects[label]))
    return found


def _area(right: Mask, objects: int) -> float:
    """Return the area under the highest precision that a recall or a larger one reaches."""
    hits = np.cumsum(right)
    precision: Floats = hits / np.arange(1, len(right) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    return float(highest[right].sum() / objects)


def _known(truth: Any, predicted: Any) -> tuple[Ints, Ints]:
    true, guess = _alike(truth, predicted)
    known = true >= 0
    if not known.any():
        raise InvalidInput("truth: a class must be known; got none; pass a labeled test set")
    return true[known], guess[known]


def _alike(truth: Any, predicted: Any) -> tuple[Ints, Ints]:
    true, guess = as_integers(truth, "truth"), as_integers(predicted, "predicted")
    if true.shape != guess.shape:
        raise InvalidInput(
            f"predicted: must have the shape of truth, {true.shape}; got {guess.shape}; "
            "pass one class for each"
        )
    return true.ravel(), guess.ravel()
