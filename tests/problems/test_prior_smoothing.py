"""Smoothed priors against another optimizer, worked numbers, and what was before."""

import sys

import cvxpy as cp
import numpy as np
import pytest

from labelcut import ClassBalanced, correct_priors
from labelcut.problems import Correction, corrected
from labelcut.problems.arrays import Matrix
from labelcut.problems.calibration import no_calibration
from labelcut.problems.mixtures import Held, fit_priors
from labelcut.problems.prior_bootstrap import HeldOut
from labelcut.problems.sharpening import best_power


def sample(seed, flat=0.4):
    """Return predictions, a training mix and two columns of weights, some of them 0."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 4, size=(40, 2)) * rng.random((40, 2))
    return rng.dirichlet(np.full(3, flat), 40), rng.dirichlet(np.ones(3)), weights


def attained(ratios, weights, smoothing, prior):
    """Return the objective from its formula."""
    return weights @ np.log(ratios @ prior) + smoothing * np.log(prior).sum()


@pytest.mark.parametrize("share", [None, 0.3])
@pytest.mark.parametrize("smoothing", [0.25, 1.0, 7.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_prior_is_that_of_another_optimizer(seed, smoothing, share):
    """EM would maximize something else: of other weights, another m, or without the kept share."""
    probs, trained, weights = sample(seed)
    held = None if share is None else Held(np.array([1, 1]), np.array([share, share]))
    fit = fit_priors(
        Matrix((probs,)), trained, weights, held=held, smoothing=smoothing, tolerance=1e-10
    )
    assert fit.converged
    for at in range(2):
        prior = cp.Variable(3)
        gain = weights[:, at] @ cp.log(probs / trained @ prior)
        rules = [cp.sum(prior) == 1] + ([] if share is None else [prior[1] == share])
        cp.Problem(cp.Maximize(gain + smoothing * cp.sum(cp.log(prior))), rules).solve()
        np.testing.assert_allclose(fit.priors[:, at], prior.value, atol=1e-4)


@pytest.mark.parametrize("smoothing", [0.01, 1.0, 50.0])
@pytest.mark.parametrize("seed", range(12))
def test_every_round_gains_and_the_last_cannot(seed, smoothing):
    """An extrapolation that loses could be taken: from flat predictions EM leaps far."""
    probs, trained, weights = sample(seed, flat=2.0)
    first = np.random.default_rng(100 + seed).dirichlet(np.full(3, 0.3), 2).T
    fit = fit_priors(
        Matrix((probs,)), trained, weights, first, smoothing=smoothing, tolerance=1e-9, passes=6000
    )
    trace, ratios, mass = np.array(fit.trace), probs / trained, weights.sum(axis=0)
    assert (np.diff(trace, axis=0) >= -1e-12).all()
    for at in range(2):
        found, own = fit.priors[:, at], weights[:, at]
        value = attained(ratios, own, smoothing, found) / (mass[at] + smoothing)
        assert value == pytest.approx(trace[-1, at], abs=1e-6)
        # Concave: where all slopes are the same, no other mix attains more.
        slopes = (own / (ratios @ found)) @ ratios + smoothing / found
        np.testing.assert_allclose(slopes / (mass[at] + 3 * smoothing), 1.0, atol=1e-3)


def test_two_classes_are_worked_by_hand():
    """One row of 4 to 1 and one thought of in each class: 9 π² - 4 π - 1 = 0."""
    rows = Matrix((np.array([[0.8, 0.2]]),))
    found = fit_priors(rows, np.full(2, 0.5), smoothing=1.0).priors[0, 0]
    assert found == pytest.approx((2 + np.sqrt(13)) / 9, abs=1e-6)


SURE = np.array([[1.0, 0.0]] * 90 + [[0.0, 1.0]] * 10)


@pytest.mark.parametrize(("smoothing", "share"), [(0, 0.9), (1, 91 / 102), (45, 135 / 190)])
def test_classes_that_are_seen_are_counted(smoothing, share):
    """Laplace's rule of succession would not be what known classes give."""
    found = correct_priors(SURE, [50, 50], smoothing=smoothing, replicates=5)
    assert found.prior[0] == pytest.approx(share, abs=1e-5)


def confusable(smoothing):
    """Correct the hand-worked case of black-box shift estimation: 30 of 40 rows."""
    return correct_priors(
        np.array([[0.8, 0.2]] * 30 + [[0.4, 0.6]] * 10),
        [5, 5],
        method="confusion",
        held_out=np.array([[0.8, 0.2]] * 5 + [[0.4, 0.6]] * 5),
        held_out_classes=[0] * 5 + [1] * 5,
        calibration="none",
        smoothing=smoothing,
        replicates=5,
    )


def test_shares_by_confusion_are_smoothed_as_counts():
    """Another rule would hold for the other method."""
    np.testing.assert_allclose(confusable(2).prior, [32 / 44, 12 / 44], atol=1e-5)


@pytest.mark.parametrize("smoothing", [1e9, sys.float_info.max])
def test_without_end_shares_are_equal(smoothing):
    """Sums would overflow, or the data would still be seen."""
    for found in (correct_priors(SURE, [9, 1], smoothing=smoothing), confusable(smoothing)):
        np.testing.assert_allclose(found.prior, 0.5, atol=1e-5)
        assert np.isfinite(found.probs).all()


def lost(rows=200):
    """Return a pool whose last three rows are of a rare class that others are taken for, too."""
    common = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05]]).repeat(rows // 2, axis=0)
    return np.vstack([common, [[0.35, 0.15, 0.5]] * 3])


def test_a_rare_class_is_kept_that_likelihood_loses():
    """Its rows would be sure not to be of it, and no selection would ever find one."""
    plain, kept = (correct_priors(lost(), [9, 9, 9], smoothing=m) for m in (0, 1))
    assert plain.applied
    assert kept.applied
    assert plain.prior[2] < 1e-4
    # One row is thought of in addition, and as much again at the least by what the three are.
    assert kept.prior[2] > 1 / 206
    assert plain.probs[-3:, 2].max() < 1e-3
    assert kept.probs[-3:, 2].min() > 0.01
    expected = lost() * kept.prior
    np.testing.assert_allclose(kept.probs, expected / expected.sum(axis=1, keepdims=True))


def test_what_the_data_tell_stays_without_smoothing():
    """Intervals and doubts would be those of rows that nobody has seen."""
    plain, kept = (correct_priors(lost(), [9, 9, 9], smoothing=m) for m in (0, 100))
    np.testing.assert_array_equal(plain.interval, kept.interval)
    assert plain.interval[2, 1] < kept.prior[2]
    assert "smoothed by 100 rows of each class" in " ".join(kept.notes)
    flat = np.full((4000, 2), [0.8, 0.2])
    plain, kept = (correct_priors(flat, [1, 1], smoothing=m) for m in (0, 4000))
    assert "collapses on class 0" in plain.reason
    assert kept.reason == plain.reason
    assert not kept.applied


def test_sharpened_predictions_are_smoothed_at_their_power():
    """The recommended correction would be left out, or smoothed on other predictions."""
    rng = np.random.default_rng(3)
    truth, labels = rng.choice(3, 300, p=[0.6, 0.35, 0.05]), np.repeat(np.arange(3), 60)
    pool, held_out = (
        np.exp(0.5 * (np.eye(3)[some] + rng.normal(size=(len(some), 3))))
        for some in (truth, labels)
    )
    pool /= pool.sum(axis=1, keepdims=True)
    held_out /= held_out.sum(axis=1, keepdims=True)
    found = correct_priors(
        pool,
        [1, 1, 1],
        method="sharpened",
        calibration="none",
        held_out=held_out,
        held_out_classes=labels,
        smoothing=4,
        replicates=5,
    )
    power = best_power(HeldOut(held_out, labels), no_calibration(3), np.full(3, 1 / 3))
    assert power > 1
    sharp = pool**power
    slopes = (sharp / (sharp @ found.prior)[:, None]).sum(axis=0) + 4 / found.prior
    np.testing.assert_allclose(slopes / (300 + 3 * 4), 1.0, atol=1e-3)
    expected = pool * found.prior
    np.testing.assert_allclose(
        found.probs, expected / expected.sum(axis=1, keepdims=True), rtol=1e-6
    )


FINGERPRINT = "2852330c5dfe476fd16a7898207dce5f"
"""Of the problem below before there was any smoothing."""


def test_what_was_saved_without_smoothing_is_the_same_problem():
    """Answers to problems that earlier versions saved would be refused."""
    rows = [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.6, 0.4]]
    problem = ClassBalanced(rows, [0.1, 0.5, 0.4, 0.6], 2)
    assert corrected(problem, Correction([3, 1])).fingerprint == FINGERPRINT
    assert corrected(problem, Correction([3, 1], smoothing=0)).fingerprint == FINGERPRINT
    smoothed = [corrected(problem, Correction([3, 1], smoothing=m)).fingerprint for m in (1, 2)]
    assert len({FINGERPRINT, *smoothed}) == 3
