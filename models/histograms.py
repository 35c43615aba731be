"""How the class histograms of regions differ from those of many others: divergences, binned."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Divergences at a time: 32 MB in float64, however many regions there are.
_BLOCK = 1 << 22


def divergence_histograms(
    histograms: "ArrayLike",
    others: "ArrayLike",
    *,
    bins: int = 10,
    smoothing: float = 1e-3,
) -> "NDArray[np.float32]":
    r"""Compute how the divergences of each region to many others are distributed.

    .. math:: D_{ik} = \sum_c q_{ic} \log \frac{q_{ic}}{r_{kc}}, \qquad
              q_{ic} = \frac{p_{ic} + \varepsilon}{1 + C \varepsilon}

    with r smoothed in the same way. The direction is from the region to the others, KL(region ‖
    other). Bins are equally wide from 0 to the largest value that smoothed histograms can have,
    :math:`\log\frac{1 + \varepsilon}{\varepsilon} / (1 + C\varepsilon)`, and each region's bins
    sum to 1. The paper leaves direction, bins and smoothing open; these are our choices. For the
    labeled regions `others` come from the truth, for the unlabeled ones from predictions; a region
    that is among them counts with its divergence of 0.

    Parameters
    ----------
    histograms
        Class shares ``(R, C)`` of the regions, rows that sum to 1.
    others
        Class shares ``(K, C)``.
    bins
        Number of bins.
    smoothing
        The ε > 0 added to every share.

    Returns
    -------
    NDArray
        Shares of the K divergences ``(R, bins)`` float32. Computed in blocks: besides the result
        and smoothed copies of both inputs, memory does not grow with R or K.

    Raises
    ------
    ValueError
        If the shapes do not fit, a row does not sum to 1 (±0.001), or there are no others.

    References
    ----------
    Reinforced Active Learning for Image Segmentation, section 3.1.

    Examples
    --------
    >>> pure = np.eye(3)
    >>> divergence_histograms(pure[:1], pure, bins=2)
    array([[0.33333334, 0.6666667 ]], dtype=float32)
    """
    p, r = _shares(histograms, "histograms"), _shares(others, "others")
    if p.shape[1] != r.shape[1]:
        raise ValueError(
            f"others: must have the same classes as histograms; {r.shape[1]} came for "
            f"{p.shape[1]}; count both over all classes"
        )
    if not len(r):
        raise ValueError("others: must hold at least one region; none came; pass zeros instead")
    if bins < 1 or not 0 < smoothing < np.inf:
        raise ValueError(
            f"bins, smoothing: must be at least 1 and above 0; {bins} and {smoothing} came"
        )
    classes = p.shape[1]
    q, r = ((shares + smoothing) / (1 + classes * smoothing) for shares in (p, r))
    logs = np.log(r)
    own = np.einsum("ic,ic->i", q, np.log(q))
    largest = np.log((1 + smoothing) / smoothing) / (1 + classes * smoothing)
    counts = np.zeros((len(q), bins), dtype=np.int64)
    rows = max(_BLOCK // len(r), 1)
    columns = max(_BLOCK // min(rows, len(q) or 1), 1)
    for top in range(0, len(q), rows):
        some = slice(top, top + rows)
        for left in range(0, len(r), columns):
            divergence = q[some] @ -logs[left : left + columns].T
            divergence += own[some, None]
            divergence *= bins / largest
            # Rounding may leave a 0 below and a largest value above the bins.
            at = np.clip(divergence, 0, bins - 1, out=divergence).astype(np.int64)
            at += np.arange(len(at))[:, None] * bins
            counts[some] += np.bincount(at.ravel(), minlength=len(at) * bins).reshape(-1, bins)
    return (counts / len(r)).astype(np.float32)


def class_histogram(labels: "ArrayLike", classes: int) -> "NDArray[np.float32]":
    """Count the classes of labeled regions.

    Parameters
    ----------
    labels
        True classes ``(R, ...)``, one region in each row; entries outside 0 to C - 1 (void,
        padding) do not count.
    classes
        Number of classes C.

    Returns
    -------
    NDArray
        Shares ``(R, C)`` float32; zeros for a region without any class.

    Examples
    --------
    >>> class_histogram([[0, 0, 2, 255]], classes=3)
    array([[0.6666667 , 0.        , 0.33333334]], dtype=float32)
    """
    flat = np.asarray(labels).reshape(len(np.asarray(labels)), -1)
    counted = (flat >= 0) & (flat < classes)
    at = (np.where(counted, flat, 0) + np.arange(len(flat))[:, None] * classes)[counted]
    counts = np.bincount(at, minlength=len(flat) * classes).reshape(-1, classes)
    shares: NDArray[Any] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares.astype(np.float32)


def _shares(values: "ArrayLike", name: str) -> "NDArray[np.float64]":
    shares = np.asarray(values, dtype=np.float64)
    if shares.ndim != 2:
        raise ValueError(
            f"{name}: must have shape (R, C); {shares.shape} came; pass one histogram a row"
        )
    wrong = ~(np.abs(shares.sum(axis=1) - 1) <= 1e-3) | (shares < 0).any(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"{name}: rows must be shares that sum to 1 (±0.001); row {row} sums to "
            f"{shares[row].sum():g}; divide counts by their sum, and leave empty regions out"
        )
    return shares
