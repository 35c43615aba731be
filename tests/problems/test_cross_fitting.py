"""Predictions that tell nothing are recognized, and those that tell a little are not."""

import numpy as np
import pytest

from labelcut import correct_priors
from labelcut.problems.calibration import fit_temperature
from labelcut.problems.cross_fitting import gains_over_mix, tells_classes


def noise(classes, each, seed, telling=0.0):
    """Return held-out predictions of which logits know their class by so much, and the classes."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    logits = 1.5 * rng.normal(size=(len(labels), classes)) + telling * np.eye(classes)[labels]
    probs = np.exp(logits)
    return probs / probs.sum(axis=1, keepdims=True), labels


@pytest.mark.parametrize(("classes", "each"), [(2, 2), (2, 100), (5, 5), (10, 4)])
def test_noise_is_not_a_prior(classes, each):
    """Confident noise would move the pool's shares, and with them what is labeled."""
    found = []
    for seed in range(20):
        held_out, labels = noise(classes, each, seed)
        pool, _ = noise(classes, 2000 // classes, 100 + seed)
        found.append(
            correct_priors(
                pool, np.ones(classes), held_out=held_out, held_out_classes=labels, replicates=10
            )
        )
    # One in twenty passes by chance; 5 or more of 20 would with a probability of 0.3 %.
    assert sum(each.identified for each in found) <= 4
    assert any("no better than the classes' mix" in str(each.reason) for each in found)
    assert not any(each.applied for each in found if not each.identified)


def test_predictions_that_tell_classes_are_believed():
    """Every model would be called noise."""
    for seed in range(20):
        held_out, labels = noise(4, 25, seed, telling=3.0)
        assert tells_classes(gains_over_mix(held_out, labels, np.full(4, 0.25), fit_temperature))


def test_gains_are_worked_by_hand():
    """Rows would be judged by a calibration or a mix that has seen them."""
    from labelcut.problems.calibration import no_calibration

    probs = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    trained = np.array([0.25, 0.75])
    found = gains_over_mix(probs, np.array([0, 0, 1]), trained, lambda *_: no_calibration(2))
    # Three folds of a row each; the mix counts the other two, and one more of each class.
    odds = [0.8 / 0.25 * 2, 0.2 / 0.75 * 2], [0.6 / 0.25 * 2, 0.4 / 0.75 * 2]
    last = [0.3 / 0.25 * 3, 0.7 / 0.75 * 1]
    told = [odds[0][0] / sum(odds[0]), odds[1][0] / sum(odds[1]), last[1] / sum(last)]
    np.testing.assert_allclose(found, np.log(told) - np.log([2 / 4, 2 / 4, 1 / 4]), atol=1e-6)


def test_held_out_rows_of_another_mix_than_the_training_are_no_noise():
    """Nine rows of ten of one class: a mix that counts them would beat an honest model."""
    rng = np.random.default_rng(0)
    classes = (rng.random(60) < 0.1).astype(int)
    score = 1 / (1 + np.exp(-2 * rng.normal(2 * classes - 1)))
    probs = np.stack([1 - score, score], axis=1)
    assert tells_classes(gains_over_mix(probs, classes, np.array([0.5, 0.5]), fit_temperature))


def test_calibration_is_fitted_to_the_other_folds():
    """A row would be told by a calibration that knows its class."""
    seen = []

    def fit(probs, labels):
        seen.append(set(map(tuple, probs)))
        return fit_temperature(probs, labels)

    probs, labels = noise(3, 6, 0)
    gains_over_mix(probs, labels, np.full(3, 1 / 3), fit)
    assert len(seen) == 5
    left_out = [set(map(tuple, probs)) - some for some in seen]
    assert sorted(row for rows in left_out for row in rows) == sorted(map(tuple, probs))
