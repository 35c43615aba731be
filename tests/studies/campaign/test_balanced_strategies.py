"""Class-balanced strategies: the predictions as they are, and corrected for the pool."""

import numpy as np
import pytest

from labelcut.problems import InvalidInput


def test_class_balance_is_balance_of_what_it_was_given(make_round, chosen):
    """The balance term would not be at work, or not on the corrected probabilities."""
    from labelcut import predicted_l1

    for name in ("entropy-cb", "bald-cb", "k-center-cb", "pseudo-label-cb"):
        round = make_round({"target": "fill"})
        plain = name.removesuffix("-cb").replace("pseudo-label", "entropy")
        labels = np.bincount(round.labels, minlength=10)
        scores = []
        for choice in (chosen(name, round), chosen(plain, make_round())):
            counts = labels + round.probs[choice].sum(axis=0)
            scores.append(np.abs(counts - counts.mean()).sum())
        assert scores[0] < scores[1], name
        assert 0 <= predicted_l1(round.probs, choice) <= 1


def test_the_knee_is_found_once_and_kept(make_round, chosen):
    """λ would change between cycles, which the thesis keeps fixed (003:975)."""
    for name in ("entropy-cb", "k-center-cb"):
        first = make_round()
        chosen(name, first)
        kept = first.memory["balance"]
        assert kept > 0
        later = make_round(memory={"balance": kept}, labeled=np.arange(120), cycle=3)
        later.labels = later.pool.truth[:120]
        chosen(name, later)
        assert later.memory["balance"] == kept
        given = make_round({"balance": 0.25})
        chosen(name, given)
        assert "balance" not in given.memory


def test_correction_serves_the_pool_and_not_the_labeled_mix(make_round, monkeypatch, chosen):
    """The corrected strategies would correct for another mix, or trust rows they learned from."""
    from labelcut.studies.campaign import by_balance

    seen = {}
    real = by_balance.correct_priors

    def spy(probs, trained_on, **arguments):
        seen.update(arguments, trained_on=trained_on)
        return real(probs, trained_on, **arguments)

    monkeypatch.setattr(by_balance, "correct_priors", spy)
    round = make_round(audit=np.arange(50, 60))
    chosen("entropy-cb-corrected", round)
    np.testing.assert_array_equal(seen["trained_on"], np.bincount(round.labels[:50], minlength=10))
    np.testing.assert_array_equal(seen["rows"], round.candidates)
    assert len(seen["held_out"]) == len(seen["held_out_classes"]) == 60


def drawn_imbalance(probs, rows, labels):
    """Return the mean ℓ1 distance of drawn labels, and those there are, from equal counts."""
    shares = probs[rows].astype(np.float64)
    edges = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
    draws = np.random.default_rng(0).random((4000, len(rows), 1))
    classes = (draws > edges).sum(axis=2).clip(max=9)
    counts = np.stack([(classes == k).sum(axis=1) for k in range(10)], axis=1) + labels
    return np.abs(counts - counts.sum(axis=1, keepdims=True) / 10).sum(axis=1).mean()


@pytest.mark.parametrize("name", ["entropy-cb", "bald-cb", "pseudo-label-cb", "k-center-cb"])
def test_corrected_strategies_balance_the_labels_that_will_come(
    name, make_round, monkeypatch, chosen
):
    """Predictions would be balanced, of which labels are only drawn."""
    from labelcut.studies.campaign import by_balance

    found = []
    real = by_balance.correct_priors

    def spy(*positional, **named):
        found.append(real(*positional, **named))
        return found[-1]

    monkeypatch.setattr(by_balance, "correct_priors", spy)
    rounds = [make_round(options) for options in ({}, {"chances": False})]
    choices = [chosen(f"{name}-corrected", round) for round in rounds]
    probs, labels = found[0].probs, np.bincount(rounds[0].labels, minlength=10)
    np.testing.assert_array_equal(probs, found[1].probs)
    doubt = [(probs[rows] * (1 - probs[rows])).sum() for rows in choices]
    assert doubt[0] < 0.99 * doubt[1]
    if name != "pseudo-label-cb":  # its quotas are of predicted classes, be they sure or not
        imbalance = [drawn_imbalance(probs, rows, labels) for rows in choices]
        assert imbalance[0] < 0.99 * imbalance[1]


@pytest.mark.parametrize(
    ("name", "knees"), [("entropy-cb-corrected", 2), ("k-center-cb-corrected", 3)]
)
def test_chances_are_balanced_at_several_knees_unless_told(make_round, name, knees, chosen):
    """λ would be another than documented, or a number of the user's be multiplied."""
    found = []
    for chances in (False, True):
        round = make_round({"chances": chances})
        chosen(name, round)
        found.append(round.memory["balance"])
    assert found[1] == pytest.approx(knees * found[0])
    given = make_round({"balance": found[1]})
    rows = chosen(name, given)
    assert "balance" not in given.memory
    np.testing.assert_array_equal(rows, chosen(name, make_round()))


@pytest.mark.parametrize(("name", "usual"), [("entropy-cb", 0.0), ("k-center-cb", 2.0)])
def test_mixes_are_smoothed_for_coresets_or_as_told(name, usual, make_round, monkeypatch, chosen):
    """Rare classes would be lost to coresets, or the option do nothing."""
    from labelcut.studies.campaign import by_balance

    smoothed = []
    real = by_balance.correct_priors

    def spy(*positional, **named):
        smoothed.append(named["smoothing"])
        return real(*positional, **named)

    monkeypatch.setattr(by_balance, "correct_priors", spy)
    for options in ({}, {"smoothing": 5.0}):
        chosen(f"{name}-corrected", make_round(options))
    assert smoothed == [usual, 5.0]
    with pytest.raises(InvalidInput, match="smoothing"):
        chosen(f"{name}-corrected", make_round({"smoothing": -1}))
