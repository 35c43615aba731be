"""How many rows are labeled when, and what is drawn by chance."""

import numpy as np
import pytest

from labelcut.problems.errors import InvalidInput
from labelcut.studies.campaign.drawing import draw_audit, draw_initial
from labelcut.studies.campaign.plans import make_plan
from labelcut.studies.campaign.pool import Pool


def plan(size=100, **stated):
    """Make a plan of 10 rows and three times 5, unless said otherwise."""
    return make_plan({"budget": [10, 5], "cycles": 3, **stated}, size)


@pytest.mark.parametrize(
    ("notation", "size", "rows"),
    [("10-10", 5000, (500, 500)), ("0.2-0.1", 50000, (100, 50)), ([7, 3], 20, (7, 3))],
)
def test_budgets_are_percent_of_the_pool_or_rows(notation, size, rows):
    """A campaign '10-5' of a paper would label other amounts than the paper's."""
    made = make_plan({"budget": notation, "cycles": 2}, size)
    assert (made.initial, made.step) == rows


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"budget": "10"}, "budget: must be 'I-S'"),
        ({"budget": [0, 5]}, "at least one row each"),
        ({"budget": [10, True]}, "at least one row each"),
        ({"budget": "0.1-5", "cycles": 1}, "at least one row each"),
        ({"budget": [50, 20]}, "110, the pool has 100"),
        ({"cycles": 0}, "cycles: must be at least 1"),
        ({"seeds": []}, "seeds: must be how many"),
        ({"seeds": [1, 1]}, "seeds: must be how many"),
        ({"seeds": -1}, "seeds: must be at least 1"),
        ({"seeds": [2**63]}, r"to below 2\*\*63; got \[9223372036854775808\]"),
        ({"audit": 1.0}, "audit: must be a share"),
        ({"audit": 0.05}, "0.05 of 5 rows are 0"),
        ({"draw": "uniform"}, "draw: must be one of random, class-uniform"),
        ({"init": "previos"}, "init: must be one of"),
    ],
)
def test_plans_that_cannot_be(stated, words):
    """A campaign would stop in its last cycle instead of before its first."""
    with pytest.raises(InvalidInput, match=words):
        plan(**stated)


def test_class_uniform_draws_equal_numbers_and_fills_up_what_small_classes_lack():
    """Chapter 4's balanced start would be a random one, or fail on a long-tailed pool."""
    truth = np.repeat([0, 1, 2], [50, 40, 2])
    pool = Pool(np.zeros((92, 1)), truth, classes=3)
    drawn = draw_initial(pool, plan(92, draw="class-uniform"), seed=1)
    assert np.bincount(truth[drawn]).tolist() == [4, 4, 2]
    other = draw_initial(pool, plan(92, draw="class-uniform"), seed=2)
    assert len(np.setdiff1d(drawn, other))


def test_random_starts_are_uniform():
    """Some rows would have a better chance of being labeled than others."""
    pool = Pool(np.zeros((20, 1)), classes=2)
    counts = sum(
        np.bincount(draw_initial(pool, plan(20, budget=[5, 1]), seed), minlength=20)
        for seed in range(400)
    )
    # Expected 100 each, standard deviation 8.7.
    assert 65 < counts.min() <= counts.max() < 135


def test_audit_slices_are_disjoint_and_leave_the_initial_set_alone():
    """A row would be audited after it was trained on."""
    initial = np.setdiff1d(np.arange(100), np.arange(0, 100, 10))
    slices = draw_audit(100, plan(audit=0.4), 3, initial)
    assert slices.shape == (3, 2)
    assert len(np.unique(slices)) == 6
    assert not np.isin(slices, initial).any()
