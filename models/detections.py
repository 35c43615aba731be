"""From the boxes of a detector to its images: embeddings by class, and scores of frames."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .uncertainty import entropy, least_confidence, margin

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def detection_embeddings(
    scores: "ArrayLike",
    features: "ArrayLike",
    images: "ArrayLike",
    size: int,
    *,
    uncertainty: "ArrayLike | None" = None,
    tau: float = 1.0,
    aggregate: Literal["max", "mean"] = "max",
) -> "NDArray[Any]":
    r"""Compute an embedding of each image from its boxes, class by class.

    .. math:: \text{uwe}_c(x) = u(\hat d_c)^\tau f(\hat d_c), \qquad
              \hat d_c = \arg\max_{d \in D_c(x)} u(d)

    for ``max``, and the mean of :math:`u(d)^\tau f(d)` over :math:`D_c(x)` for ``mean``, where
    :math:`D_c(x)` are the boxes of the image whose predicted class is c. The parts of all classes
    stand one after the other; a class without a box is zero. The paper finds ``max`` as good or
    better.

    Parameters
    ----------
    scores
        Class scores ``(M, C)`` of all boxes, at least 0, without a background column. They need
        not sum to 1: detectors with sigmoids are welcome.
    features
        Box features ``(M, D)``.
    images
        Dataset row of each box's image ``(M,)``, in any order.
    size
        Number of images N.
    uncertainty
        ``(M,)``, at least 0. Default: best versus second best,
        :math:`u(d) = p_{(2)} / p_{(1)}` (eq. 8).
    tau
        Exponent τ ≥ 0, see `uwe`.
    aggregate
        ``"max"`` or ``"mean"``.

    Returns
    -------
    NDArray
        ``(N, C·D)`` in the precision of the features (float32 for integers). An image without
        boxes is all zeros.

    Raises
    ------
    ValueError
        If shapes do not fit, an image does not exist, a score is negative or not finite, a box has
        no score above 0, or an option is unknown.

    References
    ----------
    Uncertainty-weighted embeddings, eq. 8 and 9; appendix 7.2 for the mean.

    Examples
    --------
    >>> scores = [[0.8, 0.4], [0.5, 0.3], [0.2, 0.9]]
    >>> detection_embeddings(scores, [[1.0], [2.0], [9.0]], images=[0, 0, 1], size=3)
    array([[1.2, 0. ],
           [0. , 2. ],
           [0. , 0. ]])
    """
    p, f = _numbers(scores), _numbers(features)
    rows = _images(images, size, len(p))
    if p.ndim != 2 or f.ndim != 2 or len(p) != len(f) or not p.shape[1]:
        raise ValueError(
            f"scores, features: must have shapes (M, C) and (M, D); {p.shape} and {f.shape} came; "
            "put the boxes of all images one after the other"
        )
    if aggregate not in ("max", "mean"):
        raise ValueError(f'aggregate: must be "max" or "mean"; {aggregate!r} came; take one')
    if not 0 <= tau < np.inf:
        raise ValueError(f"tau: must be at least 0 and finite; {tau} came; the default is 1")
    wrong = ~(np.isfinite(p) & (p >= 0)).all(axis=1) | ~(p > 0).any(axis=1)
    if wrong.any():
        box = int(wrong.argmax())
        raise ValueError(
            f"scores: must be finite, at least 0 and not all 0; box {box} has {p[box].tolist()}; "
            "pass probabilities, not logits"
        )
    u = _ratios(p) if uncertainty is None else _numbers(uncertainty).astype(np.float64)
    if u.shape != (len(p),) or not (np.isfinite(u) & (u >= 0)).all():
        raise ValueError(
            f"uncertainty: must be {len(p)} finite numbers of at least 0; shape {u.shape} with a "
            f"least of {u.min() if u.size else 'none'} came; pass one for each box"
        )
    classes, width = p.shape[1], f.shape[1]
    dtype = f.dtype if np.issubdtype(f.dtype, np.floating) else np.dtype(np.float32)
    part = rows * classes + p.argmax(axis=1)
    found = np.zeros((size * classes, width), dtype=dtype)
    # The most uncertain box of each image and class first, the lowest on ties.
    order = np.lexsort((np.arange(len(u)), -u, part))
    parts, firsts = np.unique(part[order], return_index=True)
    if len(parts):
        weighted = f[order].astype(dtype, copy=False) * (u[order] ** tau).astype(dtype)[:, None]
        if aggregate == "max":
            found[parts] = weighted[firsts]
        else:
            counts = np.diff(firsts, append=len(order))
            sums = np.add.reduceat(weighted, firsts, axis=0, dtype=np.float64)
            found[parts] = sums / counts[:, None]
    return found.reshape(size, classes * width)


def frame_scores(
    probs: "ArrayLike",
    images: "ArrayLike",
    size: int,
    measure: Literal["least_confidence", "entropy", "margin"] = "entropy",
    *,
    empty: float = -1.0,
) -> "NDArray[np.float64]":
    r"""Compute how uncertain a detector is about each image or frame: the baselines for video.

    .. math:: \frac{1}{|D|} \sum_{d \in D} \left(1 - \max_c p_c\right), \qquad
              \frac{1}{|D|} \sum_{d \in D} H(p), \qquad
              \sum_{d \in D} \left(1 - (p_{(1)} - p_{(2)})\right)^2

    over the detections D of an image: means of least confidence and of entropy, and the sum of
    squared margins.

    Parameters
    ----------
    probs
        Class probabilities ``(M, C)`` of all detections.
    images
        Dataset row of each detection's image ``(M,)``, in any order.
    size
        Number of images N.
    measure
        Which of the three.
    empty
        Value of images without a detection; below 0, so that they rank last.

    Returns
    -------
    NDArray
        ``(N,)``; higher is more uncertain.

    Raises
    ------
    ValueError
        If shapes do not fit, an image does not exist, a row is no distribution, or the measure is
        unknown.

    References
    ----------
    Thesis section 2.5.2; Brust et al. 2018 for the margins.

    Examples
    --------
    >>> frame_scores([[0.5, 0.5], [1.0, 0.0]], images=[0, 0], size=2, measure="margin")
    array([ 1., -1.])
    """
    p = _numbers(probs).astype(np.float64)
    rows = _images(images, size, len(p))
    if p.ndim != 2:
        raise ValueError(
            f"probs: must have shape (M, C); {p.shape} came; put the detections of all images one "
            "after the other"
        )
    values = {"least_confidence": least_confidence, "entropy": entropy, "margin": margin}
    if measure not in values:
        raise ValueError(f"measure: must be {' or '.join(values)}; {measure!r} came; take one")
    u = values[measure](p)
    counts = np.bincount(rows, minlength=size)
    if measure == "margin":
        found = np.bincount(rows, u**2, minlength=size).astype(np.float64)
    else:
        found = np.bincount(rows, u, minlength=size) / np.maximum(counts, 1)
    return np.where(counts == 0, empty, found)


def _ratios(p: "NDArray[Any]") -> "NDArray[np.float64]":
    """Return the second best score over the best."""
    if p.shape[1] == 1:
        return np.zeros(len(p))
    ranked = np.partition(p.astype(np.float64), -2, axis=1)
    found: NDArray[np.float64] = ranked[:, -2] / ranked[:, -1]
    return found


def _numbers(values: Any) -> "NDArray[Any]":
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _images(images: "ArrayLike", size: int, boxes: int) -> "NDArray[np.int64]":
    rows = _numbers(images)
    if rows.shape != (boxes,) or (boxes and not np.issubdtype(rows.dtype, np.integer)):
        raise ValueError(
            f"images: must be {boxes} row numbers, one for each box; shape {rows.shape} of "
            f"{rows.dtype} came; repeat an image's row for each of its boxes"
        )
    if boxes and not 0 <= rows.min() <= rows.max() < size:
        raise ValueError(
            f"images: run from 0 to {size - 1}; {rows.min()} to {rows.max()} came; check size="
        )
    return rows.astype(np.int64)
