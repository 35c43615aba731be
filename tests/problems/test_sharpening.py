"""The power of predictions whose EM finds known class mixes best."""

import numpy as np
import pytest

from labelcut import correct_priors
from labelcut.problems.calibration import no_calibration
from labelcut.problems.errors import InvalidInput
from labelcut.problems.prior_bootstrap import HeldOut
from labelcut.problems.sharpening import best_power, raised

SHARES = np.array([0.6, 0.3, 0.1])


def _posteriors(truth, rng, power=1.0):
    """Posteriors under equal shares, to a power, of points around corners: e_k·x is their log."""
    probs = np.exp(power * (np.eye(3)[truth] + rng.normal(size=(len(truth), 3))))
    return probs / probs.sum(axis=1, keepdims=True)


def test_a_power_changes_predictions_as_it_says():
    """The prior would be that of other predictions than those that were tried."""
    probs = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    squared = probs**2 / (probs**2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(raised(no_calibration(3), 2.0).apply(probs), squared, rtol=1e-12)


@pytest.mark.parametrize(("power", "best"), [(1.0, 1.0), (0.5, 2.0)])
def test_posteriors_are_left_as_they_are_and_flattened_ones_sharpened_back(power, best):
    """EM on the truth is best: sharpened, its shares would be biased, and flat, too far apart."""
    classes = np.repeat(np.arange(3), 800)
    probs = _posteriors(classes, np.random.default_rng(0), power)
    assert best_power(HeldOut(probs, classes), no_calibration(3), np.full(3, 1 / 3)) == best


def test_the_correction_keeps_calibrated_predictions_and_says_what_was_done():
    """Corrected predictions would be too sure, or nobody would know where the prior is from."""
    rng = np.random.default_rng(3)
    truth, labels = rng.choice(3, 800, p=SHARES), np.repeat(np.arange(3), 60)
    pool, held_out = (_posteriors(some, rng, 0.5) for some in (truth, labels))
    given = {"held_out": held_out, "held_out_classes": labels, "replicates": 5}
    found = correct_priors(pool, np.ones(3), method="sharpened", calibration="none", **given)
    assert found.method == "sharpened"
    assert any("predictions to the power" in note for note in found.notes)
    expected = pool * (found.prior * 3)
    np.testing.assert_allclose(
        found.probs, expected / expected.sum(axis=1, keepdims=True), rtol=1e-6
    )


def test_without_held_out_rows_nothing_tells_the_power():
    """It would be guessed."""
    with pytest.raises(InvalidInput, match="held_out: method 'sharpened' needs labeled rows"):
        correct_priors(np.full((4, 2), 0.5), [1, 1], method="sharpened")
