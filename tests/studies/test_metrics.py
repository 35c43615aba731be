"""The L1 score of labels and of predictions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelcut import ClassBalanced, InvalidInput, l1_score, predicted_l1
from labelcut.problems.probabilities import Probabilities
from labelcut.studies.metrics import as_truth


@pytest.mark.parametrize(
    ("labels", "n_classes", "score"),
    [
        # |3 - 2| + |1 - 2| = 2 of the worst 2 * 4 * 1/2 = 4.
        ([0, 0, 0, 1], 2, 1 / 2),
        # 2 * |1 - 2/3| + |0 - 2/3| = 4/3 of the worst 2 * 2 * 2/3 = 8/3.
        ([0, 1], 3, 1 / 2),
        # |2 - 1| + 0 + |0 - 1| = 2 of the worst 2 * 3 * 2/3 = 4.
        ([2, 2, 1], 3, 1 / 2),
        ([2, 2, 2], 3, 1),
        ([0, 1, 2], 3, 0),
        ([0, 0, 0], 1, 0),
    ],
)
def test_l1_score_is_equation_4_10(labels, n_classes, score):
    """Reported balance would not be the thesis's."""
    assert l1_score(labels, n_classes) == pytest.approx(score, abs=1e-12)


@given(st.integers(2, 6).flatmap(lambda c: st.tuples(st.just(c), st.lists(st.integers(0, c - 1)))))
def test_l1_score_is_exact_and_between_0_and_1(case):
    """The score would leave its range, depend on the order, or round differently from fractions."""
    n_classes, labels = case
    if not labels:
        return
    size = len(labels)
    fair = Fraction(size, n_classes)
    off = sum(abs(labels.count(k) - fair) for k in range(n_classes))
    score = l1_score(labels, n_classes)
    assert score == pytest.approx(float(off / (2 * fair * (n_classes - 1))), abs=1e-12)
    assert 0 <= score <= 1
    assert l1_score(labels[::-1], n_classes) == score


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 2], "labels: classes must lie in 0..1; got 2; check n_classes"),
        ([-1, 0], "got -1"),
        ([], "labels: there must be at least one"),
        ([0.5], "labels: must be whole numbers"),
        (["a"], "labels: must be whole numbers"),
    ],
)
def test_bad_labels_are_refused(labels, message):
    """An unknown label would count as a class."""
    with pytest.raises(InvalidInput, match=message.replace(".", r"\.")):
        l1_score(labels, 2)


def test_predicted_and_true_balance_are_two_things():
    """A choice the model believes balanced would be reported as balanced."""
    probs = [[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]]
    assert predicted_l1(probs, rows=[0, 1]) == pytest.approx(0)
    assert l1_score([0, 0], n_classes=2) == 1
    # (1.5, 0.5) is 0.5 + 0.5 from (1, 1), of the worst 2.
    assert predicted_l1(probs, rows=[0, 2]) == pytest.approx(0.5)


def test_predicted_l1_is_that_of_labels_where_the_model_is_sure(two_classes):
    """The two scores would be on different scales."""
    for rows, labels in (([0, 1], [0, 0]), ([0, 3], [0, 1])):
        assert predicted_l1(two_classes.probs, rows) == pytest.approx(l1_score(labels, 2))


def test_predicted_l1_takes_a_problems_renormalized_probabilities():
    """Rows that sum to 0.9995 would be read as they came."""
    probs = np.array([[0.9995, 0.0], [0.0, 1.0]])
    problem = ClassBalanced(probs, [1.0, 1.0], budget=2)
    assert isinstance(problem.probs, Probabilities)
    assert predicted_l1(problem.probs, [0, 1]) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ([0, 0, 0, 1, 1], "one class for each of 6 rows"),
        ([0, 0, 0, 1, 1, 2], r"classes must lie in 0\.\.1.*row 5 has 2"),
        ([0, 0, 0, 1, 1, -2], "row 5 has -2"),
        ([0, 0, 0, 1, 1, 0.5], "whole numbers"),
    ],
)
def test_truth_that_does_not_fit_is_refused(two_classes, truth, message):
    """Reports would be of other rows, or fail after an hour of solving."""
    with pytest.raises(InvalidInput, match=message):
        as_truth(truth, two_classes)


def test_truth_may_be_unknown(two_classes):
    """Unknown labels could not be said."""
    assert as_truth(None, two_classes) is None
    assert as_truth([0, -1, 0, 1.0, 1, -1], two_classes).tolist() == [0, -1, 0, 1, 1, -1]
