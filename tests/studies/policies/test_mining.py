"""Batches against brute force, draws that repeat by seed, strategies that see what they may."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut.problems.errors import InvalidInput
from labelcut.studies.policies.mining import Limit, PoolTask, batch, explored, mine
from labelcut.studies.policies.strategies import Fixed, Logistic, random_scores


def limits_hold(places, rows, limits):
    """Count each group by hand."""
    for limit in limits:
        groups = [limit.groups[rows[place]] for place in places]
        if any(groups.count(group) > limit.at_most for group in groups):
            return False
    return True


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_batches_are_the_best_that_the_limits_allow(seed):
    """The policy's values would be spent on a worse batch, or on one that breaks a limit."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(30, 8, replace=False))
    values = rng.normal(size=8)
    limits = [
        Limit(rng.integers(0, 4, 30), int(rng.integers(1, 3))),
        Limit(rng.integers(0, 5, 30), int(rng.integers(1, 3))),
    ]
    forced = explored(rng, rows, int(rng.integers(0, 2)), limits)
    count = int(rng.integers(1, 5))
    every = [p for p in combinations(range(8), count) if limits_hold(p, rows, limits)]
    if not every:
        with pytest.raises(InvalidInput, match="candidates are asked for"):
            batch(values, rows, count, limits, forced)
        return
    held = [p for p in every if set(forced.tolist()) <= set(p)] or every
    found = batch(values, rows, count, limits, forced)
    assert limits_hold(found.tolist(), rows, limits)
    assert values[found].sum() == pytest.approx(max(values[list(p)].sum() for p in held))


def test_exploration_stays_within_the_limits():
    """Random picks would take near-duplicates."""
    rows, groups = np.arange(40), np.arange(40) // 4
    for seed in range(20):
        found = explored(np.random.default_rng(seed), rows, 10, [Limit(groups, 1)])
        assert np.bincount(groups[found]).max() == 1
        assert len(found) == 10
    assert len(explored(np.random.default_rng(0), rows, 30, [Limit(groups, 1)])) == 10


def test_exploration_draws_evenly():
    """The share ε would go to the same candidates again and again."""
    counts = np.zeros(10)
    for seed in range(2000):
        counts[explored(np.random.default_rng(seed), np.arange(10), 3)] += 1
    assert (np.abs(counts - 600) < 4.5 * np.sqrt(2000 * 0.3 * 0.7)).all()


def test_the_share_of_explored_picks_is_epsilon():
    """The strategy would explore more or less than it says."""
    best = np.arange(2000) < 1000
    task = PoolTask(best, np.arange(2000), 2000)
    found = mine(task, Fixed(best, explore=0.2), budget=500, size=50)
    # Half of the explored picks are among the best anyway, a little less as those are taken.
    assert 1 - found.rewards.mean() == pytest.approx(0.1, abs=0.04)


def test_a_pick_is_never_offered_again():
    """A patch would be paid for twice."""
    task = PoolTask(np.ones(50), np.arange(5, 45), 12)
    found = mine(task, random_scores(50, 0), budget=100, size=7)
    assert sorted(found.rows.tolist()) == list(range(5, 45))
    assert found.events[:-1] == (7,) * (len(found.events) - 1)
    assert found.hits.sum() == 40


def test_same_seed_same_picks():
    """Strategies could not be compared on the same draws."""

    def picks(seed):
        task = PoolTask(np.ones(300), np.arange(300), 40)
        return mine(task, Fixed(np.arange(300), 0.3), budget=60, size=20, seed=seed).rows

    np.testing.assert_array_equal(picks(1), picks(1))
    assert not np.array_equal(picks(1), picks(2))


def test_an_event_that_cannot_be_filled_says_why():
    """The batch would silently be smaller than what was asked for."""
    task = PoolTask(np.ones(20), np.arange(20), 20)
    one_group = [Limit(np.zeros(20), 2)]
    with pytest.raises(InvalidInput, match=r"3 of 20 candidates are asked for.*loosen the limits"):
        mine(task, Fixed(np.ones(20)), budget=3, size=3, limits=one_group)


def test_exploration_gives_way_to_a_full_batch():
    """A batch that exists would be called impossible because of a random pick."""
    # Rows 0 and 1 fill a batch of two; row 2 clashes with both of them.
    limits = [Limit(np.array([0, 1, 0]), 1), Limit(np.array([0, 1, 1]), 1)]
    found = batch(np.array([1.0, 1.0, 5.0]), np.arange(3), 2, limits, np.array([2]))
    assert found.tolist() == [0, 1]


def test_logistic_regression_learns_from_picks():
    """It would stay what it was with the first labels."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 2))
    holds = (features[:, 1] > 0.5).astype(float)
    model = Logistic(features, {0: 1.0, 1: 0.0})
    rows = np.arange(2, 200)
    model.picked(rows, holds[rows])
    rest = np.arange(200, 400)
    top = rest[np.argsort(-model.values(rest))[:30]]
    assert holds[top].all()


def test_logistic_regression_needs_both_kinds():
    """scikit-learn's own words would not say what to do."""
    with pytest.raises(InvalidInput, match="2 of 2 hold the class; label more rows at random"):
        Logistic(np.zeros((3, 2)), {0: 1.0, 1: 1.0})
