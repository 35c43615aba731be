"""Calibration against worked numbers, other optimizers, and predictions whose truth is known."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from labelcut.problems import (
    Calibration,
    InvalidInput,
    fit_temperature,
    fit_vector,
    reliability,
)


def drawn(temperature, rows=4000, classes=4, seed=0, offsets=0.0):
    """Draw labels from probabilities, and return those sharpened as a network's would be."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (rows, classes))
    fair = np.exp(logits + offsets)
    fair /= fair.sum(axis=1, keepdims=True)
    labels = (rng.random((rows, 1)) > fair.cumsum(axis=1)).sum(axis=1)
    sharp = np.exp(logits * temperature)
    return sharp / sharp.sum(axis=1, keepdims=True), labels, fair


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_of_sharpened_predictions_is_found(temperature):
    """A model that is too sure of itself would stay so."""
    probs, labels, fair = drawn(temperature)
    fitted = fit_temperature(probs, labels)
    assert fitted.temperature == pytest.approx(temperature, rel=0.08)
    np.testing.assert_allclose(fitted.apply(probs), fair, atol=0.05)


def test_the_temperature_is_that_of_another_optimizer():
    """The fit would stop early, or at a wrong gradient."""
    probs, labels, _ = drawn(1.7, rows=60)
    logs = np.log(probs)

    def loss(log_slope):
        scores = logs * np.exp(log_slope)
        nll = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(60), labels]
        return nll.sum() + log_slope**2 / 2

    best = minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-9})
    slope = fit_temperature(probs, labels).slopes[0]
    assert np.log(slope) == pytest.approx(best.x, abs=1e-4)


def test_vector_scaling_finds_what_each_class_lacks():
    """Classes that a model favours would keep their favour."""
    offsets = np.array([1.0, 0.0, -1.0, 0.0])
    probs, labels, fair = drawn(2.0, rows=8000, offsets=offsets)
    fitted = fit_vector(probs, labels)
    assert fitted.temperature is None
    np.testing.assert_allclose(fitted.offsets - fitted.offsets.mean(), offsets, atol=0.15)
    np.testing.assert_allclose(fitted.apply(probs), fair, atol=0.08)


def test_rows_that_are_all_right_leave_the_temperature_finite():
    """Certainty without end would follow from a lucky handful of labels."""
    probs = np.full((5, 3), 0.2) + 0.4 * np.eye(3)[[0, 1, 2, 0, 1]]
    assert 0.1 < fit_temperature(probs, [0, 1, 2, 0, 1]).temperature < 1


def test_probabilities_of_zero_can_be_calibrated():
    """A softmax that underflowed would become NaN."""
    fitted = Calibration(np.full(2, 0.5), np.zeros(2))
    calibrated = fitted.apply(np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(calibrated, [[1 / (1 + 1e-4), 1e-4 / (1 + 1e-4)]])


def test_reliability_is_worked_by_hand():
    """The error people quote would be another one than Guo's."""
    probs = [[0.95, 0.05], [0.95, 0.05], [0.6, 0.4], [0.35, 0.65]]
    curve = reliability(probs, [0, 1, 0, 1])
    # Bins of 0.1: two rows at 0.95, one of them right; 0.6 and 0.65, both right.
    np.testing.assert_allclose(curve.confidence, [0.625, 0.95])
    np.testing.assert_allclose(curve.accuracy, [1.0, 0.5])
    assert curve.counts.tolist() == [2, 2]
    assert curve.error == pytest.approx((0.375 + 0.45) / 2)


def test_fair_predictions_have_no_calibration_error():
    """A calibrated model would be called uncalibrated."""
    _, labels, fair = drawn(1.0, rows=50_000)
    assert reliability(fair, labels).error < 0.01


@pytest.mark.parametrize(
    ("probs", "labels", "message"),
    [
        ([[0.5, 0.5]], [0, 1], "held_out_classes: must name the class of each of 1 held-out rows"),
        ([[0.5, 0.5]], [2], r"held_out_classes: classes must lie in 0\.\.1; got 2; number"),
        ([[0.5, 0.9]], [0], r"held_out: row 0 sums to 1\.4 .* pass softmax outputs, not logits"),
        ([[1.5, -0.5]], [0], "held_out: row 0 .* holds a negative"),
        ([[np.nan, 1.0]], [0], "held_out: row 0 sums to nan"),
        (np.empty((0, 2)), [], "held_out: must have rows and columns"),
    ],
)
@pytest.mark.parametrize("use", [fit_temperature, fit_vector, reliability])
def test_bad_held_out_rows_are_one_clear_error(use, probs, labels, message):
    """Labels of other rows would calibrate the model to nonsense."""
    with pytest.raises(InvalidInput, match=message):
        use(probs, labels)
