"""Whether strategies differ more on one pool than on another."""

import numpy as np
import pytest

from labelcut.problems import InvalidInput
from labelcut.studies.campaign.interaction import interaction_test


def test_the_statistic_is_that_of_the_table_of_squares():
    """F would not be a split-plot analysis of variance; its sums are written out here in loops."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(3, 4, 5)) + 0.5 * rng.normal(size=(3, 1, 5))
    explained = left = 0.0
    for p in range(3):
        for s in range(5):
            effect = y[p, :, s].mean() - y[p].mean() - y[:, :, s].mean() + y.mean()
            explained += 4 * effect**2
            for r in range(4):
                fit = y[p, r].mean() + y[p, :, s].mean() - y[p].mean()
                left += (y[p, r, s] - fit) ** 2
    found = interaction_test(y)
    assert found.degrees == (8, 36)
    assert found.f == pytest.approx((explained / 8) / (left / 36))
    assert found.share == pytest.approx(explained / (explained + left))


def test_two_by_two_is_the_two_sample_t_test_of_the_differences():
    """The test would not be the one that everybody knows where there is one."""
    from scipy.stats import ttest_ind

    y = np.random.default_rng(1).normal(size=(2, 6, 2))
    gains = y[:, :, 1] - y[:, :, 0]
    known = ttest_ind(gains[0], gains[1])
    found = interaction_test(y)
    assert found.f == pytest.approx(known.statistic**2)
    assert found.p == pytest.approx(known.pvalue)


def test_pools_seeds_and_strategies_by_themselves_are_no_interaction():
    """A hard pool, a lucky seed or a good strategy would pass for an interaction."""
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(4, 5, 3))
    shifted = noise + 9 * rng.normal(size=(4, 1, 1)) + 9 * rng.normal(size=(4, 5, 1))
    shifted = shifted + 9 * rng.normal(size=(1, 1, 3))
    assert interaction_test(shifted).f == pytest.approx(interaction_test(noise).f)


def test_false_alarms_come_as_often_as_stated():
    """The test would call interactions that are none more often than its level."""
    rng = np.random.default_rng(3)
    p = [interaction_test(rng.normal(size=(3, 4, 3))).p for _ in range(1000)]
    assert 30 <= sum(value < 0.05 for value in p) <= 72


def test_numbers_that_are_missing_are_refused():
    """Unfinished runs would be tested as if they were there."""
    with pytest.raises(InvalidInput, match="1 missing"):
        interaction_test(np.where(np.arange(8).reshape(2, 2, 2) == 3, np.nan, 1.0))
    with pytest.raises(InvalidInput, match="shape"):
        interaction_test(np.ones((2, 1, 2)))
