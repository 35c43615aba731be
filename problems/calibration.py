"""Calibration: probabilities rescaled until they hold on labeled rows that were held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .arrays import Floats, Ints, as_integers, as_matrix, freeze
from .errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SMALLEST = 1e-8
"""Probabilities below this count as this: no correction could ever raise an exact zero."""
BINS = 10
"""Bins of a reliability curve."""
RIDGE = 1.0
"""Weight of the squared distance from doing nothing, against one row's log loss."""


@dataclass(frozen=True, eq=False)
class Calibration:
    r"""Probabilities :math:`q_{ik} \propto \exp(a_k \log p_{ik} + c_k)`.

    Parameters
    ----------
    slopes
        a ``(C,)`` above 0; all alike are one over a temperature.
    offsets
        c ``(C,)``.
    """

    slopes: Floats
    offsets: Floats

    def apply(self, probs: Floats) -> Floats:
        """Return calibrated probabilities ``(k, C)`` of rows ``(k, C)``."""
        scores = np.log(np.maximum(probs, SMALLEST))
        scores *= self.slopes
        scores += self.offsets
        return softmax(scores)

    @property
    def temperature(self) -> float | None:
        """One over the slope, where all classes share one and have no offsets; else None."""
        slope = float(self.slopes[0])
        plain = (self.slopes == slope).all() and not self.offsets.any()
        return 1.0 / slope if plain else None


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often a model is right where it is so sure.

    Parameters
    ----------
    confidence, accuracy
        Mean probability of the predicted class in each bin, and the share of rows that are of it.
    counts
        Rows in each bin; empty bins are left out.
    error
        The expected calibration error.
    """

    confidence: Floats
    accuracy: Floats
    counts: Ints
    error: float


def softmax(scores: Floats) -> Floats:
    """Return ``exp(scores)`` with rows that sum to 1; the scores are overwritten."""
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def no_calibration(classes: int) -> Calibration:
    """Return the calibration that changes nothing."""
    return Calibration(freeze(np.ones(classes)), freeze(np.zeros(classes)))


def fit_temperature(probs: Any, labels: Any) -> Calibration:
    r"""Fit one temperature to held-out rows (Guo et al., ICML 2017).

    .. math:: \min_a\; -\sum_i \log q_{i,y_i} + \tfrac12 (\log a)^2,
        \qquad q_{ik} \propto p_{ik}^a

    The last term keeps the temperature finite where all held-out rows are right; among hundreds of
    rows it weighs nothing.

    Parameters
    ----------
    probs
        Predictions ``(n, C)`` of rows that the model did not learn from.
    labels
        Their classes ``(n,)``.

    Returns
    -------
    Calibration
        All slopes alike, no offsets.

    Raises
    ------
    InvalidInput
        If rows and labels do not belong together, or there is no row.

    Examples
    --------
    >>> probs = [[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]] * 50
    >>> fitted = fit_temperature(probs, [0, 0, 1, 1] * 50)
    >>> fitted.apply(np.array([[0.9, 0.1]])).round(2)
    array([[0.75, 0.25]])
    """
    held_out, classes = as_held_out(probs, labels)
    size = held_out.shape[1]

    def unpack(point: Floats) -> tuple[Floats, Floats]:
        return np.full(size, np.exp(point[0])), np.zeros(size)

    def chain(slopes: Floats, offsets: Floats) -> Floats:
        del offsets
        return np.array([slopes.sum()])

    return _fit(held_out, classes, np.zeros(1), unpack, chain)


def fit_vector(probs: Any, labels: Any) -> Calibration:
    r"""Fit a slope and an offset for each class to held-out rows (Guo et al., ICML 2017).

    .. math:: \min_{a, c}\; -\sum_i \log q_{i,y_i}
        + \tfrac12 \sum_k \left((\log a_k)^2 + c_k^2\right),
        \qquad q_{ik} \propto p_{ik}^{a_k} e^{c_k}

    The offsets absorb the class mix of the held-out rows; a prior correction starts from that.

    Parameters
    ----------
    probs, labels
        As in `fit_temperature`.

    Examples
    --------
    >>> fitted = fit_vector([[0.6, 0.4], [0.4, 0.6]] * 100, [0, 1] * 100)
    >>> bool(fitted.apply(np.array([[0.6, 0.4]]))[0, 0] > 0.95)
    True
    """
    held_out, classes = as_held_out(probs, labels)
    size = held_out.shape[1]

    def unpack(point: Floats) -> tuple[Floats, Floats]:
        return np.exp(point[:size]), point[size:]

    return _fit(held_out, classes, np.zeros(2 * size), unpack, lambda *both: np.concatenate(both))


FITS: Mapping[str, Callable[[Any, Any], Calibration]] = {
    "temperature": fit_temperature,
    "vector": fit_vector,
}
"""How to calibrate, by name."""


def reliability(probs: Any, labels: Any, bins: int = BINS) -> Reliability:
    r"""Return how far confidence and accuracy are apart, by bins of confidence.

    .. math:: \text{ECE} = \sum_b \frac{n_b}{n}\,|\text{accuracy}_b - \text{confidence}_b|

    Parameters
    ----------
    probs, labels
        Predictions ``(n, C)`` and true classes ``(n,)``.
    bins
        Bins of equal width of the largest probability, from 0 to 1.

    Examples
    --------
    >>> curve = reliability([[0.8, 0.2], [0.8, 0.2]], [0, 1])
    >>> round(curve.error, 6), curve.accuracy
    (0.3, array([0.5]))
    """
    rows, classes = as_held_out(probs, labels)
    sure, right = rows.max(axis=1), rows.argmax(axis=1) == classes
    at = np.minimum((sure * bins).astype(np.int64), bins - 1)
    counts = np.bincount(at, minlength=bins)
    some = counts > 0
    confidence = np.bincount(at, weights=sure, minlength=bins)[some] / counts[some]
    accuracy = np.bincount(at, weights=right, minlength=bins)[some] / counts[some]
    error = float(np.abs(accuracy - confidence) @ counts[some] / len(rows))
    return Reliability(confidence, accuracy, counts[some], error)


def as_held_out(probs: Any, labels: Any) -> tuple[Floats, Ints]:
    """Return predictions ``(n, C)`` that sum to 1 and their classes ``(n,)``, validated."""
    matrix = as_matrix(probs, "held_out")
    rows = matrix.take(np.arange(matrix.shape[0]))
    classes = as_integers(labels, "held_out_classes")
    size = rows.shape[1]
    if classes.shape != (len(rows),):
        raise InvalidInput(
            f"held_out_classes: must name the class of each of {len(rows)} held-out rows; got "
            f"shape {classes.shape}; pass one for each"
        )
    if ((classes < 0) | (classes >= size)).any():
        wrong = classes[(classes < 0) | (classes >= size)][0]
        raise InvalidInput(
            f"held_out_classes: classes must lie in 0..{size - 1}; got {wrong}; number classes "
            "as the columns of held_out"
        )
    sums = rows.sum(axis=1)
    fine = np.isfinite(sums) & (np.abs(sums - 1.0) <= 1e-3) & (rows.min(axis=1) >= 0)
    if not fine.all():
        row = int(np.flatnonzero(~fine)[0])
        raise InvalidInput(
            f"held_out: row {row} sums to {sums[row]:.4g} or holds a negative or missing number, "
            "rows must be probabilities; pass softmax outputs, not logits"
        )
    return rows / sums[:, None], classes


def _fit(
    probs: Floats,
    classes: Ints,
    start: Floats,
    unpack: Callable[[Floats], tuple[Floats, Floats]],
    chain: Callable[[Floats, Floats], Floats],
) -> Calibration:
    """Minimize log loss plus ridge; `chain` carries gradients of slopes and offsets to the point.

    Slopes enter as exponentials of the point, so that their gradient is scaled by themselves.
    """
    from scipy.optimize import minimize

    logs = np.log(np.maximum(probs, SMALLEST))
    here: tuple[npt.NDArray[Any], ...] = (np.arange(len(classes)), classes)

    def loss(point: Floats) -> tuple[float, Floats]:
        slopes, offsets = unpack(point)
        wrong = softmax(logs * slopes + offsets)
        value = -np.log(np.maximum(wrong[here], np.finfo(float).tiny)).sum()
        wrong[here] -= 1.0
        gradient = chain((wrong * logs).sum(axis=0) * slopes, wrong.sum(axis=0))
        return value + RIDGE / 2 * (point @ point), gradient + RIDGE * point

    span = np.log(100.0)
    bounds = [(-span, span)] * len(start)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    # Rounded, so that every machine calibrates alike.
    slopes, offsets = (np.round(values, 6) for values in unpack(np.asarray(found.x)))
    return Calibration(freeze(slopes), freeze(offsets))
