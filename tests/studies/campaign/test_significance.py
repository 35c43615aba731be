"""Tests over seeds: against SciPy, by hand, and on tables with known winners."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from labelcut import InvalidInput
from labelcut.studies.campaign.significance import (
    holm,
    mean_and_std,
    paired_p,
    penalty_matrix,
    welch_p,
)

RUNS = st.tuples(st.integers(0, 10**6), st.integers(2, 7))


@settings(deadline=None, max_examples=40)
@given(RUNS)
def test_p_values_are_scipys(case):
    """Tables would call differences significant that are not."""
    seed, count = case
    one, other = np.random.default_rng(seed).normal([[0], [0.7]], [[1], [3]], (2, count))
    assert paired_p(one, other) == pytest.approx(stats.ttest_rel(one, other).pvalue)
    told = stats.ttest_ind(one, other, equal_var=False).pvalue
    assert welch_p(one, other) == pytest.approx(told)
    assert welch_p(one, other[:-1] if count > 2 else other) == pytest.approx(
        stats.ttest_ind(one, other[:-1] if count > 2 else other, equal_var=False).pvalue
    )


def test_missing_runs_are_left_out():
    """One unfinished seed would make a whole table NaN, or count as a zero."""
    one, other = np.array([1.0, 2.0, np.nan, 4.0]), np.array([0.5, np.nan, 9.0, 1.0])
    assert paired_p(one, other) == pytest.approx(stats.ttest_rel([1, 4], [0.5, 1]).pvalue)
    assert welch_p(one, other) == pytest.approx(
        stats.ttest_ind([1, 2, 4], [0.5, 9, 1], equal_var=False).pvalue
    )
    assert np.isnan(paired_p([1.0, np.nan], [2.0, 3.0]))
    assert np.isnan(welch_p([1.0, np.nan], [2.0, 3.0]))
    mean, spread = mean_and_std([[1.0, np.nan], [np.nan, np.nan]])
    assert mean.tolist() == pytest.approx([1.0, np.nan], nan_ok=True)
    assert np.isnan(spread).all()


def test_runs_that_never_vary():
    """A strategy without chance would be a division by zero."""
    assert paired_p([2.0, 3.0], [1.0, 2.0]) == 0
    assert paired_p([2.0, 3.0], [2.0, 3.0]) == 1
    assert welch_p([2.0, 2.0], [1.0, 1.0]) == 0
    assert welch_p([2.0, 2.0], [2.0, 2.0]) == 1


def test_mean_and_std_over_several_axes():
    """Seeds and cycles would not be taken together."""
    values = np.arange(12.0).reshape(2, 3, 2)
    mean, spread = mean_and_std(values, axis=(1, 2))
    assert mean.tolist() == [2.5, 8.5]
    assert spread == pytest.approx([np.std(np.arange(6), ddof=1)] * 2)


def test_holm_worked_by_hand():
    """Many comparisons would find something by chance alone."""
    # 4 * 0.005 = 0.02; 3 * 0.01 = 0.03; 2 * 0.03 = 0.06; 0.04 may not be less than 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]).tolist() == [1.0, 1.0]
    told = holm([0.04, np.nan, 0.03])
    assert told == pytest.approx([0.06, np.nan, 0.06], nan_ok=True)
    assert holm([]).tolist() == []


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0.01, 0.2))
def test_holm_rejects_what_stepping_down_rejects(p_values, alpha):
    """The corrected values would not mean what they say at any level."""
    rejected, left = set(), sorted(range(len(p_values)), key=lambda at: p_values[at])
    for step, at in enumerate(left):
        if p_values[at] * (len(p_values) - step) > alpha:
            break
        rejected.add(at)
    assert {at for at, p in enumerate(holm(p_values)) if p <= alpha} == rejected


def known_winners():
    """Return 3 strategies x 4 seeds x 2 cycles: a beats b and c in both cycles, b beats c in one.

    Seeds differ by far more than strategies do, so that only pairs show it.
    """
    seeds = np.array([0.0, 0.2, 0.4, 0.6])
    noise = np.array([0.0, 0.001, -0.001, 0.0])
    a = np.stack([seeds + 0.10, seeds + 0.10], axis=1)
    b = np.stack([seeds + noise, seeds + 0.05 + noise], axis=1)
    c = np.stack([seeds - noise, seeds + noise[::-1]], axis=1)
    return np.array([a, b, c])


def test_penalty_matrix_of_known_winners():
    """A strategy would be ranked by what it beats, not by what beats it, or by chance."""
    told = penalty_matrix([known_winners()])
    assert told.wins.tolist() == [[0, 1, 1], [0, 0, 0.5], [0, 0, 0]]
    assert told.phi == pytest.approx([0, 1 / 3, 1.5 / 3])


def test_pairs_find_what_unpaired_tests_do_not():
    """Runs that share a seed would be compared as if they did not."""
    assert not penalty_matrix([known_winners()], paired=False).wins.any()
    apart = np.array([[[0.90], [0.91], [0.92]], [[0.5], [0.52], [0.51]]])
    assert penalty_matrix([apart], paired=False).wins.tolist() == [[0, 1], [0, 0]]


def test_settings_add_up_whatever_their_cycles():
    """A setting with many cycles would count for more than one with few."""
    short = known_winners()[:, :, :1]
    told = penalty_matrix([known_winners(), short])
    assert told.wins.tolist() == [[0, 2, 2], [0, 0, 0.5], [0, 0, 0]]


def slow_wins(table, alpha):
    """Return the share of cycles in which i beats j, one SciPy test after another."""
    strategies, _, cycles = table.shape
    wins = np.zeros((strategies, strategies))
    for i, j in np.ndindex(strategies, strategies):
        for t in range(cycles):
            if i != j:
                test = stats.ttest_rel(table[i, :, t], table[j, :, t])
                wins[i, j] += (test.statistic > 0 and test.pvalue < alpha) / cycles
    return wins


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from([0.01, 0.05, 0.3]))
def test_penalty_matrix_is_test_by_test(seed, alpha):
    """Wins would be told of other strategies or cycles."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(4, 1, 3)) + 0.5 * rng.normal(size=(4, 5, 3))
    assert penalty_matrix([table], alpha=alpha).wins == pytest.approx(slow_wins(table, alpha))


def test_cycles_that_cannot_be_tested_do_not_count():
    """An unfinished campaign would look like one without winners."""
    table = known_winners()
    table[:, 1:, 1] = np.nan
    assert penalty_matrix([table]).wins.tolist() == [[0, 1, 1], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("settings", "alpha", "message"),
    [
        ([], 0.05, "settings: must be tables"),
        ([np.zeros((2, 3))], 0.05, "settings: must be tables"),
        ([np.zeros((2, 3, 1)), np.zeros((3, 3, 1))], 0.05, "the same strategies"),
        ([np.zeros((2, 3, 1))], 5, "alpha: must lie between 0 and 1; got 5"),
    ],
)
def test_bad_tables_are_refused(settings, alpha, message):
    """Strategies of two campaigns would be compared by their place in a table."""
    with pytest.raises(InvalidInput, match=message):
        penalty_matrix(settings, alpha=alpha)
