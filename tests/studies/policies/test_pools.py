"""One region from each pool, none twice: against brute force."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import solve
from labelcut.problems.errors import InvalidInput
from labelcut.studies.policies.pools import choose_from_pools, draw_pools, pool_problem
from labelcut.studies.policies.region_game import Batches


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 3))
@settings(deadline=None, max_examples=15)
def test_no_choice_is_better(seed, pools, size):
    """The batch would be worth less than it could, or hold a region twice."""
    rng = np.random.default_rng(seed)
    # Most choices exist: why none does takes far longer to say than to find one.
    count = rng.integers(max(size, pools), pools * size + 1)
    regions = np.stack([rng.choice(count, size, replace=False) for _ in range(pools)])
    by_region = rng.integers(-3, 4, count).astype(float)
    # Values may differ from pool to pool; ties are frequent.
    values = by_region[regions] + rng.integers(0, 2) * rng.integers(0, 2, regions.shape)
    at = np.arange(pools)
    totals = [
        values[at, list(places)].sum()
        for places in product(range(size), repeat=pools)
        if len(set(regions[at, list(places)])) == pools
    ]
    if not totals:
        with pytest.raises(InvalidInput, match="draw larger pools"):
            choose_from_pools(values, regions)
        return
    found = choose_from_pools(values, regions)
    assert found.utility == pytest.approx(max(totals))
    assert len(set(found.regions)) == pools
    np.testing.assert_array_equal(regions[at, found.places], found.regions)
    assert values[at, found.places].sum() == pytest.approx(max(totals))
    picks = regions[at, values.argmax(axis=1)]
    assert found.repeats == pools - len(set(picks))
    if found.repaired_utility is not None:
        assert found.repaired_utility <= found.utility + 1e-9


def test_what_exactness_gains_by_hand():
    """The benchmark would count repeats or their worth wrongly."""
    values = np.array([[9.0, 1.0], [9.0, 8.0], [9.0, 4.0]])
    regions = np.array([[5, 0], [5, 1], [5, 2]])
    found = choose_from_pools(values, regions)
    # Arg max takes region 5 three times. Exact: 5 where the substitute is worst.
    np.testing.assert_array_equal(found.regions, [5, 1, 2])
    assert (found.repeats, found.distinct_utility) == (2, 9.0)
    assert (found.utility, found.repaired_utility) == (21.0, 21.0)
    found = choose_from_pools(values[::-1], regions[::-1])
    assert (found.utility, found.repaired_utility) == (21.0, 9.0 + 8.0 + 1.0)


def test_problem_names_pool_and_region_of_each_row():
    """A reader of the answer could not tell what to label."""
    problem = pool_problem([[1.0, 2.0]], [[3, 1]], {"image": np.array([9, 8, 7, 6])})
    assert list(problem.table["pool"]) == [0, 0]
    assert list(problem.table["region"]) == [3, 1]
    assert list(problem.table["image"]) == [6, 8]
    assert list(solve(problem).indices) == [1]


def test_pools_are_even_and_seeded():
    """Some regions would never be offered, or another run would be offered others."""
    regions = np.arange(100, 160)
    one, same = (draw_pools(regions, 6, 10, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    rng = np.random.default_rng(0)
    drawn = np.concatenate([draw_pools(regions, 6, 10, rng) for _ in range(500)])
    assert all(len(set(pool)) == 10 for pool in drawn)
    counts = np.bincount(drawn.ravel() - 100, minlength=60)
    # Each of 3,000 pools holds a region with probability 1/6: 500 ± 20.
    assert np.abs(counts - 500).max() < 100


@pytest.mark.parametrize(("pools", "size", "regions"), [(8, 1, 8), (8, 1, 20), (5, 2, 10)])
def test_one_can_always_be_taken_from_each(pools, size, regions):
    """Training would stop in its middle, or a problem file be written that has no solution."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        drawn = draw_pools(np.arange(regions), pools, size, rng)
        assert all(len(set(pool)) == size for pool in drawn)
        choose_from_pools(rng.random(drawn.shape), drawn)


@pytest.mark.parametrize(
    ("regions", "pools", "size"), [(239, 24, 10), (9, 1, 10), (5, 0, 1), (5, 1, 0)]
)
def test_too_few_regions_are_told(regions, pools, size):
    """Pools would be smaller than asked for, or repeat regions."""
    with pytest.raises(InvalidInput, match=r"regions|pools, size"):
        draw_pools(np.arange(regions), pools, size, np.random.default_rng(0))


def test_a_budget_that_leaves_no_pools_is_told_before_a_game():
    """Training would stop at its last step, or tell of a negative number of regions."""
    batches = Batches(pools=6, size=4, budget=30)
    batches.require(48)  # four steps label 24, the fifth draws from 24
    with pytest.raises(InvalidInput, match=r"5 steps of 6 pools of 4 need 48, as 24 .*are 47"):
        batches.require(47)
