"""Top utility, chance and pseudo labels: what the other methods are measured against."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import ClassBalanced, Forbid, Include, solve
from labelcut.problems.base import Status, StoppedBy
from labelcut.solvers.class_balanced.baselines import whole_quotas


def one_hot(classes):
    """Return probabilities that are sure of these classes."""
    return np.eye(max(classes) + 1)[classes]


def test_top_takes_the_most_useful_and_the_lowest_row_on_ties():
    """A result must not depend on how the sort broke a tie."""
    utility = [0.5, 0.9, 0.5, 0.5, 0.1, 0.9]
    problem = ClassBalanced(np.full((6, 2), 0.5), utility, 4)
    solution = solve(problem, "top")
    assert solution.order.tolist() == [1, 5, 0, 2]
    assert solution.indices.tolist() == [0, 1, 2, 5]


def test_top_keeps_included_rows_and_leaves_forbidden_ones():
    """The baseline would answer another question than the methods it is compared with."""
    rules = [Include([4]), Forbid([1])]
    problem = ClassBalanced(np.full((6, 2), 0.5), [0.5, 0.9, 0.6, 0.5, 0.1, 0.9], 3)
    ruled = ClassBalanced(
        np.full((6, 2), 0.5), [0.5, 0.9, 0.6, 0.5, 0.1, 0.9], 3, constraints=rules
    )
    assert solve(problem, "top").indices.tolist() == [1, 2, 5]
    assert solve(ruled, "top").order.tolist() == [4, 5, 2]


def test_random_rows_are_uniform():
    """A biased draw would flatter or hurt whatever is measured against chance.

    Each of 12 rows is in a draw of 3 with probability 1/4; each pair with 1/22.
    """
    problem = ClassBalanced(np.full((13, 2), 0.5), np.arange(13.0), 3, labeled=[6], target=[2, 2])
    draws, rows, pairs, first = 3000, np.zeros(13), np.zeros((13, 13)), np.zeros(13)
    for seed in range(draws):
        solution = solve(problem, "random", seed=seed)
        rows[solution.indices] += 1
        first[solution.order[0]] += 1
        pairs[np.ix_(solution.indices, solution.indices)] += 1
    free = np.delete(np.arange(13), 6)
    assert rows[6] == 0
    for counts, p in ((rows[free], 1 / 4), (first[free], 1 / 12)):
        spread = np.sqrt(draws * p * (1 - p))
        assert np.abs(counts - draws * p).max() < 4.5 * spread
        assert np.abs(counts - draws * p).max() > 0.3 * spread  # too even is not random
    together = pairs[np.ix_(free, free)][np.triu_indices(12, 1)]
    assert np.abs(together - draws / 22).max() < 5 * np.sqrt(draws / 22)


def test_random_is_fixed_by_its_seed():
    """A study could not be repeated, or would repeat one draw for all its seeds."""
    problem = ClassBalanced(np.full((50, 2), 0.5), np.zeros(50), 10)
    one, again = (solve(problem, "random", seed=4) for _ in range(2))
    np.testing.assert_array_equal(one.order, again.order)
    others = {tuple(solve(problem, "random", seed=seed).indices) for seed in range(20)}
    assert len(others) == 20
    assert one.seed == 4


def test_random_holds_included_rows_and_no_forbidden_ones():
    """A draw would break the user's rules."""
    problem = ClassBalanced(
        np.full((10, 2), 0.5), np.zeros(10), 4, constraints=[Include([3, 8]), Forbid([0, 1, 2])]
    )
    for seed in range(50):
        order = solve(problem, "random", seed=seed).order
        assert order[:2].tolist() == [3, 8]
        assert set(order[2:]) <= {4, 5, 6, 7, 9}


def test_pseudo_label_fills_quotas_by_hand():
    """The paper's rival would be another one: Ω = (2, 1, 1), most useful first in each class."""
    classes = [0, 0, 0, 1, 1, 2, 2]
    utility = [0.9, 0.8, 0.7, 0.1, 0.2, 0.3, 0.3]
    problem = ClassBalanced(one_hot(classes), utility, 4, target=[2, 1, 1])
    solution = solve(problem, "pseudo-label")
    assert solution.order.tolist() == [0, 1, 5, 4]
    assert solution.info["filled"] == 0


def test_pseudo_label_counts_a_row_for_its_most_probable_class():
    """Probabilities would count in parts, as they do in eq. 4.8; ties go to the lowest class."""
    probs = [[0.4, 0.3, 0.3], [0.5, 0.5, 0.0], [0.3, 0.4, 0.3], [0.0, 0.5, 0.5], [0.2, 0.2, 0.6]]
    problem = ClassBalanced(probs, [0.1, 0.2, 0.3, 0.4, 0.5], 3, target=[1, 1, 1])
    assert solve(problem, "pseudo-label").indices.tolist() == [1, 3, 4]


def test_pseudo_label_fills_up_where_a_class_is_short():
    """The budget would not be spent: class 2 has one row where two are wanted."""
    classes = [0, 0, 0, 1, 1, 2]
    utility = [0.9, 0.8, 0.1, 0.5, 0.4, 0.0]
    problem = ClassBalanced(one_hot(classes), utility, 4, target=[1, 1, 2])
    solution = solve(problem, "pseudo-label")
    assert solution.order.tolist() == [0, 3, 5, 1]
    assert solution.info["filled"] == 1


def test_pseudo_label_counts_included_rows_against_their_quota():
    """An included row would not count, and its class get one too many."""
    classes = [0, 0, 1, 1, 0]
    problem = ClassBalanced(
        one_hot(classes), [0.9, 0.8, 0.1, 0.2, 0.0], 3, target=[1, 2], constraints=[Include([4])]
    )
    assert solve(problem, "pseudo-label").order.tolist() == [4, 3, 2]
    crowded = ClassBalanced(
        one_hot(classes), [0.9, 0.8, 0.1, 0.2, 0.0], 4, target=[1, 3], constraints=[Include([1, 4])]
    )
    assert solve(crowded, "pseudo-label").order.tolist() == [1, 4, 3, 2]


@settings(max_examples=400)
@given(
    st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1e6)), min_size=1, max_size=12),
    st.integers(1, 10_000),
)
def test_whole_quotas_sum_to_the_budget(target, budget):
    """Quotas that lack a row, or have one too many, would not be Ω's share of the budget."""
    target = np.array(target)
    quotas = whole_quotas(target, budget)
    assert quotas.sum() == budget
    assert quotas.min() >= 0
    if target.sum() > 0:
        shares = target / target.sum() * budget
        assert np.abs(quotas - shares).max() < 1 + 1e-6
        assert quotas[target == 0].sum() == 0


def test_whole_quotas_by_hand():
    """Rows would go to the wrong classes: largest remainders first, the lowest class on ties."""
    assert whole_quotas(np.array([2.6, 1.6, 0.8]), 5).tolist() == [3, 1, 1]
    assert whole_quotas(np.array([0.5, 0.5, 0.5, 0.5]), 2).tolist() == [1, 1, 0, 0]
    assert whole_quotas(np.array([6.0, 4.0, 0.0]), 5).tolist() == [3, 2, 0]
    assert whole_quotas(np.zeros(3), 4).tolist() == [2, 1, 1]


@pytest.mark.parametrize("method", ["top", "random", "pseudo-label"])
def test_baselines_claim_nothing_about_the_optimum(method):
    """A baseline must not look like a proof."""
    problem = ClassBalanced([[0.9, 0.1], [0.2, 0.8]], [0.3, 0.5], 1)
    solution = solve(problem, method)
    assert solution.bound is solution.gap is solution.certificate is None
    assert (solution.status, solution.stopped_by) == (Status.FEASIBLE, StoppedBy.EXHAUSTED)


@pytest.mark.parametrize("method", ["top", "random", "pseudo-label", "greedy"])
def test_included_rows_that_are_the_whole_budget_come_back(method):
    """With nothing left to choose a method would choose nonetheless, or fail."""
    problem = ClassBalanced(
        one_hot([0, 1, 0, 1]), np.zeros(4), 2, target=[2, 0], constraints=[Include([1, 3])]
    )
    assert solve(problem, method).indices.tolist() == [1, 3]
