"""The target Ω: thesis eq. 4.3 to 4.5, and the variant that spends exactly the budget."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelcut import ClassBalanced, InvalidInput
from labelcut.problems import fill_target, paper_target

counts = st.lists(st.integers(0, 50), min_size=1, max_size=8).map(lambda n: np.array(n, float))
budgets = st.integers(1, 100)


def problem(target, n_labeled=0, budget=3, classes=3, **arguments):
    """Return a problem with the first rows labeled; its probabilities do not matter."""
    probs = np.full((20, classes), 1 / classes)
    labeled = range(n_labeled)
    return ClassBalanced(probs, np.zeros(20), budget, target=target, labeled=labeled, **arguments)


@pytest.mark.parametrize(
    ("labels", "budget", "omega"),
    [
        ([0, 0, 0], 6, [2, 2, 2]),
        ([1, 2, 3], 6, [3, 2, 1]),
        ([4, 4, 4], 1, [1 / 3, 1 / 3, 1 / 3]),
        ([0, 2, 10], 6, [6, 4, 0]),  # level (12 + 6) / 3 = 6: class 2 has more and is clipped
        ([10, 0], 2, [0, 6]),
        ([5], 4, [4]),
    ],
)
def test_paper_target_is_equation_4_4(labels, budget, omega):
    """The paper's method would chase another balance than the paper states."""
    np.testing.assert_allclose(paper_target(np.array(labels, float), budget), omega, atol=1e-12)


@pytest.mark.parametrize(
    ("labels", "budget", "omega"),
    [
        ([0, 0, 0], 6, [2, 2, 2]),
        ([1, 2, 3], 6, [3, 2, 1]),
        ([0, 2, 10], 6, [4, 2, 0]),  # both low classes rise to 4
        ([0, 2, 10], 1, [1, 0, 0]),
        ([10, 0], 2, [0, 2]),
        ([7, 0, 7, 3], 100, [22.25, 29.25, 22.25, 26.25]),
    ],
)
def test_fill_target_raises_the_lowest_classes(labels, budget, omega):
    """Labels would be asked for where there are enough, or more than the budget brings."""
    np.testing.assert_allclose(fill_target(np.array(labels, float), budget), omega, atol=1e-12)


@given(counts, budgets)
def test_fill_target_spends_the_budget_and_levels(labels, budget):
    """'fill' would ask for more or less than b, or leave a class below one that was raised."""
    omega = fill_target(labels, budget)
    assert (omega >= 0).all()
    assert omega.sum() == pytest.approx(budget, rel=1e-12)
    after = labels + omega
    raised = omega > 1e-9
    assert np.ptp(after[raised]) <= 1e-9 * after.max()
    assert (after >= after[raised].max() - 1e-9 * after.max()).all()


@given(counts, budgets)
def test_paper_target_asks_for_at_least_the_budget(labels, budget):
    """Clipping would lose labels instead of asking for more than the budget."""
    omega = paper_target(labels, budget)
    level = (labels.sum() + budget) / len(labels)
    assert omega.sum() >= budget - 1e-9 * (labels.sum() + budget)
    np.testing.assert_allclose(omega, [max(level - n, 0) for n in labels])


@given(counts, budgets)
def test_rules_agree_where_no_class_is_above_the_level(labels, budget):
    """'fill' would be another rule altogether, not the paper's without its clipping."""
    level = (labels.sum() + budget) / len(labels)
    if (labels <= level).all():
        np.testing.assert_allclose(
            fill_target(labels, budget), paper_target(labels, budget), atol=1e-9
        )


@pytest.mark.parametrize("rule", ["paper", "fill"])
def test_nothing_labeled_means_equal_shares(rule):
    """A cold start would prefer some class for no reason."""
    np.testing.assert_allclose(problem(rule, budget=4).target, [4 / 3] * 3)


@pytest.mark.parametrize("rule", ["paper", "fill"])
def test_counts_are_the_classes_counted(rule):
    """The same labels would ask for another balance when given as counts."""
    by_class = problem(rule, 6, labeled_classes=[0, 2, 2, 2, 1, 2])
    by_count = problem(rule, 6, labeled_counts=[1, 1, 4])
    np.testing.assert_array_equal(by_class.target, by_count.target)
    assert by_class.fingerprint == by_count.fingerprint


def test_labels_from_outside_the_dataset_count():
    """A pool without its labeled rows could not be balanced against them."""
    np.testing.assert_allclose(problem("fill", labeled_classes=[0, 0, 1]).target, [0, 1, 2])


def test_unreachable_is_imbalance_that_no_selection_avoids():
    """A report would call a part of the imbalance avoidable that is not, or too little of it."""
    rng = np.random.default_rng(3)
    probs = rng.dirichlet([1, 1, 1], size=9)
    stated = ClassBalanced(
        probs, np.zeros(9), 3, labeled_classes=[2] * 10, target="paper", labeled=[]
    )
    # level (10 + 3) / 3 = 13/3, so Ω = (13/3, 13/3, 0) sums to 26/3
    assert stated.target.sum() == pytest.approx(26 / 3)
    imbalances = []
    for rows in combinations(range(9), 3):
        terms = stated.evaluate(rows).terms
        assert terms["unreachable"] == pytest.approx(26 / 3 - 3, rel=1e-12)
        imbalances.append(terms["imbalance"])
    assert min(imbalances) >= 26 / 3 - 3 - 1e-12
    # three rows that never show class 2 come as close as that
    perfect = ClassBalanced(
        [[0.5, 0.5, 0]] * 3, np.zeros(3), 3, labeled_classes=[2] * 10, target="paper"
    )
    terms = perfect.evaluate([0, 1, 2]).terms
    assert terms["imbalance"] == pytest.approx(terms["unreachable"], rel=1e-12)


def test_unreachable_counts_what_a_small_target_leaves_over():
    """A target below the budget is overshot by every selection, which is no one's fault."""
    assert problem([1.0, 0.5, 0.0]).evaluate([0, 1, 2]).terms["unreachable"] == 1.5


def test_a_target_that_sums_to_the_budget_has_nothing_unreachable():
    """Rounding in Ω would be reported as a flaw of the target."""
    assert problem("fill", budget=7, labeled_counts=[0.1, 0.2, 0.3]).unreachable == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "Fill"}, r"target: must be 'paper', 'fill' or an array \(C,\); got 'Fill'"),
        ({"target": [1, 2]}, "target: must have 3 values; got 2"),
        ({"target": [1, 2, -0.5]}, r"target: must be finite and not negative; got -0\.5; pass the"),
        ({"target": [1, np.nan, 0]}, "target: must be finite and not negative; got nan"),
        ({"target": None}, "target: must be real numbers; got object"),
        ({"target": "paper", "n_labeled": 2}, "target: 'paper' needs the classes of the 2 labeled"),
        (
            {"target": "fill", "labeled_classes": [0, 3]},
            r"labeled_classes: classes must lie in 0\.\.2; got 3 at position 1; number classes as",
        ),
        ({"target": "fill", "labeled_classes": [-1]}, r"must lie in 0\.\.2; got -1 at position 0"),
        (
            {"target": "fill", "labeled_classes": [0.5]},
            r"labeled_classes: must be whole .* got 0\.5",
        ),
        (
            {"target": "fill", "n_labeled": 2, "labeled_classes": [0]},
            "labeled_classes: must name the class of each of 2 labeled rows; got 1",
        ),
        (
            {"target": "fill", "labeled_classes": [0], "labeled_counts": [1, 0, 0]},
            "labeled_counts: give either counts or labeled_classes, not both",
        ),
        ({"target": "fill", "labeled_counts": [1, -2, 0]}, "labeled_counts: must not be negative"),
        ({"target": "fill", "labeled_counts": [1, 2]}, "labeled_counts: must have 3 values; got 2"),
    ],
)
def test_bad_targets_are_refused(arguments, message):
    """A selection would be balanced against numbers that mean something else."""
    with pytest.raises(InvalidInput, match=message):
        problem(**arguments)
