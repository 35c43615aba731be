"""Priors against pools whose class mix is known, other optimizers, and worked numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

import labelcut
from labelcut import correct_priors
from labelcut.problems import InvalidInput
from labelcut.problems.arrays import Matrix
from labelcut.problems.mixtures import fit_priors


def pool(prior, trained, rows=2000, seed=0, apart=1.5):
    """Draw points around one corner for each class, and return the exact posteriors under a mix."""
    rng = np.random.default_rng(seed)
    classes = len(prior)
    truth = rng.choice(classes, rows, p=prior)
    points = apart * np.eye(classes)[truth] + rng.normal(size=(rows, classes))
    likely = np.exp(apart * points) * trained
    return likely / likely.sum(axis=1, keepdims=True), truth


def shares(values):
    """Return positive numbers that sum to 1."""
    values = np.asarray(values, dtype=float)
    return values / values.sum()


def log_likelihood(probs, trained, prior):
    """Return the mean log-likelihood from its formula."""
    return np.log(probs @ (prior / trained)).mean()


MIXES = st.lists(st.floats(0.02, 1), min_size=3, max_size=3).map(shares)


@given(prior=MIXES, trained=MIXES, seed=st.integers(0, 50), start=MIXES)
def test_the_likelihood_never_falls(prior, trained, seed, start):
    """An extrapolated step could leave the path that EM climbs, and end anywhere."""
    probs, _ = pool(prior, trained, rows=60, seed=seed, apart=0.7)
    fit = fit_priors(Matrix((probs,)), trained, start=start[:, None])
    trace = np.array(fit.trace)[:, 0]
    assert (np.diff(trace) >= -1e-12).all()
    assert log_likelihood(probs, trained, fit.priors[:, 0]) >= trace[-1] - 1e-12
    assert fit.priors.min() >= 0
    assert fit.priors.sum() == pytest.approx(1)


@given(prior=MIXES, trained=MIXES, seed=st.integers(0, 50))
def test_no_other_prior_is_more_likely(prior, trained, seed):
    """EM would be stopped before it has arrived."""
    probs, _ = pool(prior, trained, rows=200, seed=seed)
    found = fit_priors(Matrix((probs,)), trained).priors[:, 0]
    ratios = probs / trained
    # The likelihood is concave: towards any other prior it gains less than its slope there.
    slopes = (ratios / (ratios @ found)[:, None]).mean(axis=0)
    assert slopes.max() - slopes @ found < 1e-4


def test_the_prior_is_that_of_another_optimizer():
    """EM would maximize something else."""
    trained = np.array([0.2, 0.5, 0.3])
    probs, _ = pool([0.6, 0.3, 0.1], trained, rows=300)

    def loss(logits):
        return -log_likelihood(probs, trained, shares(np.exp(logits)))

    best = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-7})
    found = fit_priors(Matrix((probs,)), trained).priors[:, 0]
    np.testing.assert_allclose(found, shares(np.exp(best.x)), atol=1e-5)


def test_weights_count_rows_as_often():
    """The bootstrap would draw from another pool than the one given."""
    trained = np.full(3, 1 / 3)
    probs, _ = pool([0.6, 0.3, 0.1], trained, rows=50)
    weights = np.random.default_rng(1).integers(0, 4, size=(50, 2)).astype(float)
    together = fit_priors(Matrix((probs,)), trained, weights).priors
    for at in range(2):
        repeated = np.repeat(probs, weights[:, at].astype(int), axis=0)
        alone = fit_priors(Matrix((repeated,)), trained).priors[:, 0]
        np.testing.assert_allclose(together[:, at], alone, atol=1e-5)


def test_a_pool_that_has_not_shifted_stays_as_it_is():
    """Correction would bend predictions that need none."""
    trained = np.array([2.0, 3.0, 5.0])
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(3), 400)
    for _ in range(200):  # until the mean prediction is the training mix, where EM rests
        probs *= shares(trained) / probs.mean(axis=0)
        probs /= probs.sum(axis=1, keepdims=True)
    found = correct_priors(probs, trained)
    np.testing.assert_allclose(found.prior, shares(trained), atol=1e-5)
    np.testing.assert_allclose(found.probs, probs, atol=1e-5)
    assert found.applied


def test_corrected_rows_are_worked_by_hand():
    """Odds would be turned the wrong way round."""
    sure = np.array([[1.0, 0.0]] * 90 + [[0.0, 1.0]] * 10)
    found = correct_priors(np.vstack([sure, [[0.5, 0.5]]]), [50, 50])
    # The pool is 9 to 1, and a row that cannot tell takes the pool's own odds.
    assert found.prior[0] == pytest.approx(0.9, abs=1e-4)
    np.testing.assert_allclose(found.probs[-1], [0.9, 0.1], atol=1e-4)
    assert "101 rows hold exact zeros, which count as 1e-08" in found.notes[0]


@pytest.mark.parametrize("method", ["em", "confusion"])
def test_the_interval_holds_the_true_prior_at_its_rate(method):
    """The interval would be a decoration: the truth would lie outside more often than it says."""
    prior, trained = np.array([0.6, 0.3, 0.1]), np.full(3, 1 / 3)
    inside = []
    for seed in range(60):
        probs, _ = pool(prior, trained, rows=600, seed=seed)
        arguments = {}
        if method == "confusion":
            held_out, classes = pool(trained, trained, rows=300, seed=1000 + seed)
            arguments = {"held_out": held_out, "held_out_classes": classes, "calibration": "none"}
        found = correct_priors(
            probs, [1, 1, 1], method=method, replicates=100, level=0.9, **arguments
        )
        assert found.identified
        inside += list((found.interval[:, 0] <= prior) & (prior <= found.interval[:, 1]))
    # 180 trials at 90 %, of which three always share a pool: within three standard errors.
    assert 0.9 - 3 * np.sqrt(0.09 / 60) <= np.mean(inside) <= 0.98


def test_the_interval_of_a_large_pool_is_that_of_all_its_rows(monkeypatch):
    """The sample that the bootstrap draws from would pass for the pool, and widen the interval."""
    monkeypatch.setattr("labelcut.problems.prior_bootstrap.SAMPLE", 4_000)
    prior, trained = np.array([0.7, 0.3]), np.full(2, 0.5)
    probs, _ = pool(prior, trained, rows=50_000, apart=1.0)
    found = correct_priors(probs.astype(np.float32), [1, 1], replicates=150)
    assert found.probs.dtype == np.float32
    information = ((probs[:, 0] / 0.5 - probs[:, 1] / 0.5) / (probs @ (prior / 0.5))) ** 2
    deviation = 1 / np.sqrt(information.sum())
    width = found.interval[0, 1] - found.interval[0, 0]
    assert 0.6 * 3.92 * deviation < width < 1.5 * 3.92 * deviation
    assert abs(found.prior[0] - 0.7) < 5 * deviation


def test_held_out_rows_calibrate_before_the_prior_is_estimated():
    """A model that is too sure of itself would be taken at its word."""
    prior, trained = np.array([0.5, 0.4, 0.1]), np.full(3, 1 / 3)
    probs, truth = pool(prior, trained, rows=4000, apart=1.0)
    held_out, classes = pool(trained, trained, rows=600, seed=1, apart=1.0)

    def sharpened(values):
        return values**3 / (values**3).sum(axis=1, keepdims=True)

    mix = np.bincount(truth) / len(truth)
    errors = {}
    for name, arguments in {
        "trusted": {},
        "temperature": {"held_out": sharpened(held_out), "held_out_classes": classes},
    }.items():
        found = correct_priors(sharpened(probs), [7, 7, 7], **arguments)
        errors[name] = np.abs(found.prior - mix).sum()
    assert found.calibration.temperature == pytest.approx(3, rel=0.2)
    assert errors["temperature"] < 0.1 < errors["trusted"]
    assert "the probabilities are taken as calibrated" in " ".join(
        correct_priors(probs, [7, 7, 7]).notes
    )


def test_the_confusion_matrix_is_solved_by_hand():
    """Black-box shift estimation would use the matrix the wrong way round."""
    held_out = np.array([[0.8, 0.2]] * 5 + [[0.4, 0.6]] * 5)
    rows = np.array([[0.8, 0.2]] * 30 + [[0.4, 0.6]] * 10)
    found = correct_priors(
        rows,
        [5, 5],
        method="confusion",
        held_out=held_out,
        held_out_classes=[0] * 5 + [1] * 5,
        calibration="none",
    )
    # The mean prediction (0.7, 0.3) is three parts (0.8, 0.2) and one part (0.4, 0.6).
    np.testing.assert_allclose(found.prior, [0.75, 0.25], atol=1e-5)


def test_vector_scaling_starts_from_the_mix_of_the_held_out_rows():
    """The training mix would be taken out twice."""
    prior, trained = np.array([0.2, 0.8]), np.array([0.9, 0.1])
    probs, _ = pool(prior, trained, rows=6000)
    held_out, classes = pool([0.5, 0.5], trained, rows=4000, seed=3)
    found = correct_priors(
        probs, [90, 10], held_out=held_out, held_out_classes=classes, calibration="vector"
    )
    np.testing.assert_allclose(found.prior, prior, atol=0.03)
    assert found.summary().startswith("em, vector scaling, shares from")


def test_only_the_pool_counts():
    """Labeled rows, of which nobody needs predictions, would bend the prior or stop the run."""
    probs, _ = pool([0.9, 0.1], np.full(2, 0.5), rows=300)
    mixed = np.vstack([np.full((20, 2), np.nan), probs])
    alone, among = correct_priors(probs, [1, 1]), correct_priors(mixed, [1, 1], rows=range(20, 320))
    np.testing.assert_array_equal(alone.probs, among.probs[20:])
    assert np.isnan(among.probs[:20]).all()
    np.testing.assert_array_equal(alone.interval, among.interval)


def test_the_same_seed_gives_the_same_interval():
    """A saved problem would be another one when read again."""
    probs, _ = pool([0.9, 0.1], np.full(2, 0.5), rows=100)
    first, again = correct_priors(probs, [1, 1]), correct_priors(probs, [1, 1])
    np.testing.assert_array_equal(first.interval, again.interval)
    np.testing.assert_array_equal(first.probs, again.probs)


def flat(rows=200):
    """Return predictions that hardly tell one class from another."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.002, (rows, 3))
    return 1 / 3 + noise - noise.mean(axis=1, keepdims=True)


DOUBTS = [
    (pool([0.8, 0.2], [0.5, 0.5])[0], [5, 5], {"method": "none"}, "'none' estimates no", False),
    (flat(), [1, 1, 1], {}, "too flat", False),
    (np.full((50, 2), 0.5), [1, 1], {}, "too flat", False),
    (np.array([[0.6, 0.4], [0.4, 0.6]] * 3), [1, 1], {}, "too flat|too few", False),
    (np.full((4000, 2), [0.8, 0.2]), [1, 1], {}, "collapses on class 0", False),
    (pool([0.8, 0.2], [0.5, 0.5])[0], [5, 0], {}, "never learned class 1", True),
    (
        pool([0.8, 0.2], [0.5, 0.5])[0],
        [5, 5],
        {"held_out": [[0.9, 0.1], [0.2, 0.8]], "held_out_classes": [0, 1]},
        "2 held-out rows are too few to calibrate 2 classes; label 4",
        True,
    ),
]


@pytest.mark.parametrize(
    ("probs", "counts", "arguments", "reason", "applied"), DOUBTS, ids=range(len(DOUBTS))
)
def test_what_the_data_do_not_tell_is_said(probs, counts, arguments, reason, applied):
    """A prior read out of noise would steer the choice of what to label."""
    import re

    found = correct_priors(probs, counts, **arguments)
    assert not found.identified
    assert re.search(reason, found.reason)
    assert found.applied == applied
    if not applied:
        np.testing.assert_allclose(found.probs, probs, atol=1e-6)
    assert "not identified" in found.summary()


def test_a_class_that_is_never_predicted_is_named_and_keeps_a_share():
    """An empty class would divide by zero, or be lost for good."""
    rng = np.random.default_rng(0)
    first = rng.beta(0.2, 0.2, 500)
    probs = np.stack([first, 1 - first, np.zeros(500)], axis=1)
    found = correct_priors(probs, [5, 5, 5])
    assert found.identified
    assert 0 < found.prior[2] < 1e-5
    assert np.isfinite(found.probs).all()
    assert any("no row is predicted as class 2" in note for note in found.notes)


def test_one_class_is_all_there_is():
    """A single class would divide by zero."""
    found = correct_priors([[1.0], [1.0]], [3])
    assert found.prior.tolist() == [1.0]
    assert found.identified


FINE = {"probs": [[0.9, 0.1], [0.2, 0.8]], "trained_on": [1, 1]}
HELD = {"held_out": [[0.9, 0.1], [0.8, 0.2]], "held_out_classes": [0, 0]}
BAD = [
    ({"trained_on": [1, 1, 1]}, "trained_on: must hold one count for each of 2 classes; got 3; co"),
    ({"trained_on": [1, -1]}, "trained_on: counts must be finite, not negative and not all 0; got"),
    ({"trained_on": [0, 0]}, "trained_on: counts must be finite, not negative and not all 0"),
    ({"trained_on": [np.nan, 1]}, "trained_on: counts must be finite"),
    ({"method": "saerens"}, "method: must be one of em, sharpened, confusion, none; got 'saerens'"),
    ({"calibration": "platt"}, "calibration: must be one of auto, none, temperature, vector; got"),
    ({"method": "confusion"}, "held_out: method 'confusion' needs labeled rows"),
    ({"calibration": "vector"}, "held_out: calibration 'vector' needs labeled rows"),
    ({"held_out": [[0.9, 0.1]]}, "held_out_classes: is missing; held-out rows need"),
    ({"held_out_classes": [0]}, "held_out: is missing; held-out rows need"),
    ({**HELD, "held_out": [[1.0], [1.0]]}, "held_out: must have the 2 classes of probs; got 1"),
    ({**HELD, "method": "confusion"}, "held_out_classes: 'confusion' needs rows of every class; c"),
    ({"probs": [[0.9, 0.3]]}, "probs: row 0 sums to 1.2, rows must sum to 1"),
    ({"probs": [[np.nan, 1]]}, "probs: row 0 holds nan"),
    ({"rows": [5]}, r"candidates: rows must lie in 0\.\.1; got 5"),
    ({"smoothing": -0.1}, r"smoothing: must be finite and at least 0; got -0\.1; 1 is a start"),
    ({"smoothing": np.inf}, "smoothing: must be finite and at least 0; got inf; 1 is a start"),
    ({"smoothing": np.nan}, "smoothing: must be finite and at least 0; got nan"),
    ({"smoothing": True}, "smoothing: must be one number; got True"),
    ({"smoothing": 1, "method": "none"}, "smoothing: must be 0 with method 'none', which estim"),
    ({"replicates": 0}, "replicates: must be a whole number, at least 1; got 0"),
    ({"level": 1.5}, "level: must lie between 0 and 1; got 1.5"),
    ({"rows": []}, "rows: must name at least one row of the pool; got none"),
    ({"seed": -1}, "seed: must be a whole number, at least 0; got -1"),
    ({"seed": 0.5}, "seed: must be a whole number, at least 0; got 0.5"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=range(len(BAD)))
def test_bad_input_is_one_clear_error(change, message):
    """A mistake would end in a traceback, or in a wrong prior."""
    with pytest.raises(InvalidInput, match=message) as caught:
        correct_priors(**{**FINE, **change})
    assert "\n" not in str(caught.value)


def test_the_record_is_json():
    """A solution that records the correction could not be saved."""
    import json

    probs, _ = pool([0.9, 0.1], np.full(2, 0.5), rows=100)
    record = correct_priors(probs, [1, 1]).record()
    assert json.loads(json.dumps(record))["method"] == "em"
    assert "probs" not in record


def test_it_is_a_public_name():
    """The documented import would fail."""
    assert "correct_priors" in labelcut.__all__
