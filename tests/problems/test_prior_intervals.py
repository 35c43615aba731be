"""Intervals for shares against another optimizer, worked numbers, and pools whose mix is known."""

import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

from labelcut import correct_priors
from labelcut.problems.arrays import Matrix
from labelcut.problems.mixtures import fit_priors
from labelcut.problems.prior_intervals import profile_distances


def posteriors(truth, classes, rng, apart):
    """Return the exact posteriors, under equal shares, of points around one corner a class."""
    points = apart * np.eye(classes)[truth] + rng.normal(size=(len(truth), classes))
    likely = np.exp(apart * points)
    return likely / likely.sum(axis=1, keepdims=True)


def profile(probs, at, share):
    """Return the greatest log-likelihood with one share given, by a general optimizer."""
    ratios = probs * probs.shape[1]
    others = np.delete(np.arange(probs.shape[1]), at)

    def loss(logits):
        weights = np.exp(logits - logits.max())
        prior = np.empty(probs.shape[1])
        prior[at], prior[others] = share, (1 - share) * weights / weights.sum()
        return -np.log(ratios @ prior).sum()

    return -minimize(loss, np.zeros(len(others)), method="BFGS", options={"gtol": 1e-6}).fun


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_ends_are_where_another_optimizer_puts_them(level):
    """The interval would be one of another likelihood, or of another level."""
    rng = np.random.default_rng(4)
    probs = posteriors(np.repeat(np.arange(3), [4, 30, 66]), 3, rng, apart=1.5)
    trained = np.full(3, 1 / 3)
    best = fit_priors(Matrix((probs,)), trained).priors[:, 0]
    below, above = profile_distances(Matrix((probs,)), trained, best, level)
    for at in range(3):
        peak = profile(probs, at, best[at])

        def short(share, at=at, peak=peak):
            return 2 * (peak - profile(probs, at, share)) - chi2.ppf(level, 1)

        high = brentq(short, best[at], 0.999)
        low = brentq(short, 1e-6, best[at]) if short(1e-6) > 0 else 0.0
        assert best[at] + above[at] == pytest.approx(high, abs=0.02 * above.max())
        assert best[at] - below[at] == pytest.approx(low, abs=0.02 * above.max())


def test_a_class_that_is_not_there_has_an_interval_worked_by_hand():
    """The bootstrap never draws a class that no row shows, and would call its absence certain."""
    sure = np.zeros((100, 3))
    sure[:70, 0] = sure[70:, 1] = 1.0
    found = correct_priors(sure, [1, 1, 1], level=0.95)
    # 100 log(1 - t) falls by half of the quantile.
    assert found.interval[2, 0] < 1e-5
    assert found.interval[2, 1] == pytest.approx(1 - np.exp(-chi2.ppf(0.95, 1) / 200), rel=0.04)


def held(truth, classes, each, seed, sharp):
    """Correct a pool whose model is too sure of itself, with `each` held-out rows a class."""
    rng = np.random.default_rng(seed)

    def predictions(labels):
        probs = posteriors(labels, classes, rng, apart=2.0) ** sharp
        return probs / probs.sum(axis=1, keepdims=True)

    probs, arguments = predictions(truth), {}
    if each:
        labels = np.repeat(np.arange(classes), each)
        arguments = {"held_out": predictions(labels), "held_out_classes": labels}
    return correct_priors(probs, np.ones(classes), replicates=40, **arguments)


@pytest.mark.parametrize(("each", "sharp"), [(0, 1), (10, 2)])
def test_two_rows_of_a_class_lie_in_its_interval(each, sharp):
    """Rare classes are what the correction is for; the bootstrap misses one in six of them."""
    counts = np.array([2, 2, 100, 100])
    inside = []
    for seed in range(30):
        found = held(np.repeat(np.arange(4), counts), 4, each, seed, sharp)
        share = counts / counts.sum()
        inside.append((found.interval[:, 0] <= share) & (share <= found.interval[:, 1]))
    # The pool's own counts vary less than draws from a prior do: above the level is right.
    assert np.mean(inside) >= 0.95
    assert np.mean(np.array(inside)[:, :2]) >= 0.95


@pytest.mark.parametrize(("each", "sharp"), [(0, 1), (10, 2)])
def test_priors_lie_in_intervals_of_95_percent_at_that_rate(each, sharp):
    """The interval would be a decoration: the truth would lie outside more often than it says."""
    prior = np.array([0.02, 0.08, 0.4, 0.5])
    inside = []
    for seed in range(60):
        truth = np.random.default_rng(900 + seed).choice(4, 500, p=prior)
        found = held(truth, 4, each, seed, sharp)
        inside.append((found.interval[:, 0] <= prior) & (prior <= found.interval[:, 1]))
    # 240 trials, four of which share a pool and sum to 1: within three standard errors.
    error = np.sqrt(0.95 * 0.05 / (60 * 3))
    assert 0.95 - 3 * error <= np.mean(inside) <= 0.95 + 3 * error


def test_distances_of_pool_and_held_out_rows_add_in_squares():
    """What the calibration leaves open would be left out, or counted as if known for sure."""
    from labelcut.problems.calibration import no_calibration
    from labelcut.problems.prior_bootstrap import Evidence, Spread
    from labelcut.problems.prior_intervals import share_intervals

    evidence = Evidence("confusion", np.full(2, 0.5), None, no_calibration(2))
    moves = np.linspace(-0.04, 0.03, 71)[:, None] * [1, -1]
    spread = Spread(moves, np.array([[0.02, -0.02], [-0.02, 0.02], [0.02, -0.02]]))
    pool = Matrix((np.full((9, 2), 0.5),))
    found = share_intervals(evidence, pool, np.array([0.6, 0.4]), spread, 0.9)
    # Of the pool's moves the middle nine tenths; Student's t with two degrees of freedom.
    below, above, other = 0.0365, 0.0265, 2.919986 * 0.02
    ends = [0.6 - np.hypot(below, other), 0.6 + np.hypot(above, other)]
    np.testing.assert_allclose(found[0], ends, atol=1e-6)
    np.testing.assert_allclose(found[1], [1 - ends[1], 1 - ends[0]], atol=1e-6)
