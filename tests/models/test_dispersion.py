"""Label dispersion against counting by hand, from counts and from histories."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labelcut.models import LabelDispersion, dispersion


def slow(history):
    """Compute thesis eq. 3.1 row by row from predictions ``(T, N)``."""
    tops = [Counter(row).most_common() for row in history.T]
    values = [1 - top[0][1] / len(history) for top in tops]
    modal = [min(c for c, n in top if n == top[0][1]) for top in tops]
    return np.array(values), np.array(modal)


@given(
    arrays(int, st.tuples(st.integers(1, 9), st.integers(1, 6)), elements=st.integers(0, 4)),
    st.sampled_from([None, 9, 20]),
    st.sampled_from([5, 12]),
)
def test_dispersion_is_the_share_outside_the_modal_class(history, epochs, classes):
    """Counts and histories would disagree, or the modal class be another one."""
    tracker = LabelDispersion(history.shape[1], classes, epochs)
    for predictions in history:
        tracker.add(predictions)
    values, modal = slow(history)
    np.testing.assert_allclose(tracker.values(), values, atol=1e-15)
    np.testing.assert_array_equal(tracker.modal_classes(), modal)


@pytest.mark.parametrize("epochs", [None, 4, 8])
def test_an_alternating_label_has_dispersion_one_half(epochs):
    """The definition's simplest case would come out otherwise."""
    tracker = LabelDispersion(1, 6, epochs)
    for label in (0, 5, 0, 5):
        tracker.add([label])
    assert tracker.values() == 0.5
    assert tracker.modal_classes() == 0


@pytest.mark.parametrize("epochs", [None, 3])
def test_batches_in_any_order_are_one_epoch(epochs, monkeypatch):
    """A shuffling loader would assign predictions to other rows."""
    monkeypatch.setattr(dispersion, "_CHUNK", 7)
    rng = np.random.default_rng(0)
    history = rng.integers(0, 9, (3, 40))
    tracker = LabelDispersion(40, 9, epochs)
    for predictions in history:
        for rows in np.array_split(rng.permutation(40), 6):
            tracker.add(torch.from_numpy(predictions[rows]), torch.from_numpy(rows))
    np.testing.assert_allclose(tracker.values(), slow(history)[0], atol=1e-15)


def test_rows_may_be_seen_unequally_often():
    """Labeled rows, which nobody predicts, would count as certain."""
    tracker = LabelDispersion(3, 4, 3)
    tracker.add([1, 2], [0, 2])
    tracker.add([3], [0])
    np.testing.assert_array_equal(tracker.values(), [0.5, np.nan, 0.0])
    np.testing.assert_array_equal(tracker.modal_classes(), [1, -1, 2])


@pytest.mark.parametrize("convert", [np.asarray, torch.tensor])
def test_probabilities_are_taken_by_their_largest(convert):
    """The user would have to take the argmax, or a float would be taken for a class."""
    tracker = LabelDispersion(2, 3)
    tracker.add(convert([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]]))
    np.testing.assert_array_equal(tracker.modal_classes(), [1, 0])
    tracker.add(convert([2, 2]))
    np.testing.assert_array_equal(tracker.values(), [0.5, 0.5])


def test_counts_do_not_wrap_around():
    """After 256 epochs a count in one byte would start again at 0."""
    tracker = LabelDispersion(2, 2)
    for epoch in range(300):
        tracker.add([0, epoch % 3 == 0])
    np.testing.assert_allclose(tracker.values(), [0, 1 / 3], atol=1e-15)


def test_memory_is_the_smaller_of_counts_and_history():
    """A million rows of a thousand classes would take gigabytes for ten epochs."""
    seen = 4 * 1000
    assert LabelDispersion(1000, 100).nbytes == 1000 * 100 + seen
    assert LabelDispersion(1000, 100, 200).nbytes == 1000 * 100 + seen
    assert LabelDispersion(1000, 100, 10).nbytes == 1000 * 10 + seen
    assert LabelDispersion(1000, 1000, 10).nbytes == 1000 * 10 * 2 + seen


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1],), r"predictions: must be one for each of 3 rows; 2 came"),
        (([0, 1, 4],), r"predictions: classes run from 0 to 3; 4 came at position 2"),
        (([0, -1, 2],), r"predictions: classes run from 0 to 3; -1 came"),
        (([0.0, 1.0, 2.0],), r"predictions: must be classes \(n,\).*of float64 came"),
        ((np.ones((3, 5)),), r"predictions: must be classes \(n,\).*shape \(3, 5\)"),
        (([0, 1], [1, 1]), r"rows: each may come once in a call"),
        (([0, 1], [1, 3]), r"rows: run from 0 to 2; 3 came"),
        (([0, 1], [0.5, 1]), r"rows: must be row numbers"),
        (([0, 1], [1]), r"predictions: must be one for each of 1 rows; 2 came"),
    ],
)
@pytest.mark.parametrize("epochs", [None, 2])
def test_wrong_predictions_are_refused(arguments, message, epochs):
    """Predictions would be counted for other rows or classes."""
    tracker = LabelDispersion(3, 4, epochs)
    with pytest.raises(ValueError, match=message):
        tracker.add(*arguments)
    assert np.isnan(tracker.values()).all()


def test_more_epochs_than_said_are_refused():
    """History would be overwritten, or a byte run over."""
    tracker = LabelDispersion(2, 4, 2)
    for _ in range(2):
        tracker.add([0, 1])
    with pytest.raises(ValueError, match=r"row 0 has been predicted 2 times already"):
        tracker.add([0, 1])
    with pytest.raises(ValueError, match=r"classes: must be at least 1; 0 came"):
        LabelDispersion(2, 0)
