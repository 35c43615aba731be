"""The audit slice: intervals that hold what they promise, and a rule that seldom errs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, multinomial

from labelcut import InvalidInput
from labelcut.studies.campaign.audit import (
    accuracy_interval,
    audit_hint,
    audit_metrics,
    gain_interval,
    stopping_hint,
)

COUNTS = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(deadline=None)
@given(COUNTS)
def test_wilson_limits_solve_their_equation(counts):
    """Accuracy would be stated with limits of another interval."""
    right, seen = counts
    told = accuracy_interval(right, seen)
    for limit, end in ((told.low, right == 0), (told.high, right == seen)):
        if not end:
            far = abs(right / seen - limit)
            assert far == pytest.approx(1.959964 * np.sqrt(limit * (1 - limit) / seen), rel=1e-5)
    assert 0 <= told.low <= told.estimate <= told.high <= 1


@settings(deadline=None)
@given(COUNTS)
def test_exact_limits_leave_half_of_the_error_on_each_side(counts):
    """The exact interval would be none."""
    right, seen = counts
    told = accuracy_interval(right, seen, confidence=0.9, method="exact")
    if right:
        assert binom.sf(right - 1, seen, told.low) == pytest.approx(0.05)
    if right < seen:
        assert binom.cdf(right, seen, told.high) == pytest.approx(0.05)
    assert told.low == 0 or right
    assert told.high == 1 or right < seen


@pytest.mark.parametrize("share", [0.5, 0.8, 0.93])
@pytest.mark.parametrize(("method", "least"), [("wilson", 0.935), ("exact", 0.95)])
def test_intervals_hold_the_truth_as_often_as_they_say(share, method, least):
    """A stated 95 % would be less: Wilson's is 95 % on average, the exact one always."""
    seen = 60
    covered = [
        interval.low <= share <= interval.high
        for interval in (accuracy_interval(k, seen, method=method) for k in range(seen + 1))
    ]
    assert binom.pmf(np.arange(seen + 1), seen, share) @ covered >= least


@pytest.mark.parametrize(
    ("gained", "lost"), [(0.02, 0.01), (0.03, 0.0), (0.06, 0.05), (0.1, 0.05), (0.05, 0.05)]
)
@pytest.mark.parametrize("seen", [40, 120])
def test_gain_limits_err_in_one_of_forty_at_most(gained, lost, seen):
    """The rule would stop campaigns that still gain: every outcome counted, none drawn."""
    top = 30
    above = below = 0.0
    for g in range(top):
        for k in range(min(top, seen - g)):
            chance = multinomial.pmf([g, k, seen - g - k], seen, [gained, lost, 1 - gained - lost])
            if chance < 1e-9:
                continue
            told = gain_interval(g, k, seen)
            above += chance * (told.low > gained - lost)
            below += chance * (told.high < gained - lost)
    assert above <= 0.025
    assert below <= 0.025


def test_the_rule_stops_below_the_least_gain_only():
    """Another cycle would be called worthless because little is known of it."""
    assert stopping_hint(3, 3, 1000).verdict == "stop"
    assert stopping_hint(3, 3, 100).verdict == "not known"
    assert stopping_hint(12, 2, 200).verdict == "go on"
    assert stopping_hint(12, 2, 200, least_gain=0.2).verdict == "stop"
    for gained, lost, seen in ((3, 3, 1000), (0, 0, 500), (7, 1, 300), (0, 9, 200)):
        told = stopping_hint(gained, lost, seen)
        assert (told.verdict == "stop") == (gain_interval(gained, lost, seen).high < 0.01)
        assert told.gain.estimate == pytest.approx((gained - lost) / seen)


def test_the_rule_says_how_many_rows_would_tell():
    """An engineer would not know whether a larger audit slice helps."""
    reason = stopping_hint(3, 3, 100).reason
    assert "on 100 audit rows the last cycle brought +0.0 points" in reason
    needed = int(reason.partition("about ")[2].partition(" audit")[0].replace(",", ""))
    changed = round(0.03 * needed)
    assert stopping_hint(changed, changed, needed).verdict == "stop"
    assert stopping_hint(changed // 2, changed // 2, needed // 2).verdict == "not known"


def test_pooling_asks_the_last_model_about_all_rows():
    """Answers of earlier models would count for the last one."""
    right, before = np.array([True, True, False, True]), np.array([False, True, True, False])
    told = audit_metrics(right, before)
    assert told == {
        "audit_seen": 4, "audit_accuracy": 0.75, "audit_gained": 2, "audit_lost": 1,
    }  # fmt: skip
    assert audit_metrics(right) == {"audit_seen": 4, "audit_accuracy": 0.75}
    assert audit_metrics(np.zeros(0, bool)) == {}
    assert audit_hint(told) == stopping_hint(2, 1, 4)
    assert audit_hint(audit_metrics(right)) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: accuracy_interval(3, 2), "seen: must be at least 1"),
        (lambda: accuracy_interval(0, 0), "label an audit slice first"),
        (lambda: accuracy_interval(1, 2, confidence=95), "confidence: must lie between 0 and 1"),
        (lambda: accuracy_interval(1, 2, method="wald"), "method: must be 'wilson' or 'exact'"),
        (lambda: gain_interval(2, 2, 3), "got 4 of 3"),
        (lambda: stopping_hint(1, 1, 9, least_gain=1.0), "least_gain: must lie between 0 and 1"),
        (lambda: audit_metrics([0.5]), "right: must be one bool for each audit row"),
        (lambda: audit_metrics([True], [True, False]), "the same 1 rows"),
    ],
)
def test_bad_input_is_refused(call, message):
    """An impossible count would become an interval."""
    with pytest.raises(InvalidInput, match=message):
        call()
