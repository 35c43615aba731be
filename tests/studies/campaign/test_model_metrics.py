"""Accuracy, mean IoU and average precision."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import InvalidInput
from labelcut.problems.detections import make_detections
from labelcut.studies.campaign.metrics import (
    accuracy,
    average_precision,
    confusion_matrix,
    mean_class_accuracy,
    mean_iou,
)

CLASSES = st.integers(1, 4).flatmap(
    lambda c: st.tuples(
        st.just(c),
        st.lists(st.tuples(st.integers(-1, c - 1), st.integers(0, c - 1)), min_size=1, max_size=30),
    )
)


def test_accuracy_counts_rows_and_macro_accuracy_classes():
    """A model that knows one large class only would look as good by both."""
    truth, predicted = [0, 0, 0, 1, 3, -1], [0, 0, 0, 0, 3, 2]
    assert accuracy(truth, predicted) == pytest.approx(4 / 5)
    # Classes 0, 1 and 3 have 3 of 3, 0 of 1 and 1 of 1; class 2 has no row.
    assert mean_class_accuracy(truth, predicted) == pytest.approx(2 / 3)


@settings(deadline=None)
@given(CLASSES)
def test_confusion_and_iou_are_their_definitions(case):
    """Overlap would be of other pixels than those of the class."""
    classes, pairs = case
    truth, predicted = (np.array(side) for side in zip(*pairs, strict=True))
    confusion = confusion_matrix(truth, predicted, classes)
    shares = []
    for k in range(classes):
        true = {at for at, (t, _) in enumerate(pairs) if t == k}
        guess = {at for at, (t, p) in enumerate(pairs) if p == k and t >= 0}
        if true | guess:
            shares.append(len(true & guess) / len(true | guess))
        for other in range(classes):
            assert confusion[k, other] == sum(pair == (k, other) for pair in pairs)
    if shares:
        assert mean_iou(confusion) == pytest.approx(np.mean(shares))
    else:
        with pytest.raises(InvalidInput, match="not all 0"):
            mean_iou(confusion)


def test_confusion_of_images_adds_up():
    """A mean over images would stand for a mean over classes of the dataset."""
    truth, predicted = np.array([[0, 1], [1, 255]]), np.array([[0, 0], [1, 1]])
    parts = [confusion_matrix(t, p, 2, ignore=255) for t, p in zip(truth, predicted, strict=True)]
    assert (sum(parts) == confusion_matrix(truth, predicted, 2, ignore=255)).all()


def boxes(*lefts):
    """Return boxes of 10 x 10 pixels at these left edges."""
    return [[left, 0.0, 10.0, 10.0] for left in lefts]


def test_average_precision_worked_by_hand():
    """A found object would count twice, or precision would not be made to fall."""
    truth = make_detections(boxes(0, 100, 0), [1.0] * 3, [0, 0, 0], label=["car", "car", "dog"])
    # By score: right, a second time on the same car, right, and the dog is missed by its class.
    found = make_detections(
        boxes(0, 1, 101, 50),
        [0.9, 0.8, 0.7, 0.95],
        [0, 0, 0, 0],
        label=["car", "car", "car", "dog"],
    )
    told = average_precision(found, truth)
    # Precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
    assert told == pytest.approx({"car": (1 + 2 / 3) / 2, "dog": 0.0})


def slow_average_precision(scores, lefts, objects, min_iou):
    """Return AP of one class in one image by its definition: every threshold, best precision."""
    order = sorted(range(len(scores)), key=lambda at: -scores[at])
    taken, hits = set(), []
    for at in order:
        shared = {k: max(10 - abs(lefts[at] - left), 0) for k, left in enumerate(objects)}
        overlaps = {k: s / (20 - s) for k, s in shared.items() if k not in taken}
        best = max(overlaps, key=lambda k: (overlaps[k], -k), default=None)
        right = best is not None and overlaps[best] >= min_iou
        taken |= {best} if right else set()
        hits.append(right)
    area = 0.0
    for recall in range(1, len(objects) + 1):
        reached = [
            sum(hits[: k + 1]) / (k + 1) for k in range(len(hits)) if sum(hits[: k + 1]) >= recall
        ]
        area += max(reached, default=0.0) / len(objects)
    return area


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=8),
    st.lists(st.integers(0, 60), min_size=1, max_size=5),
    st.sampled_from([0.3, 0.5, 0.75]),
    st.randoms(use_true_random=False),
)
def test_average_precision_is_its_definition(lefts, objects, min_iou, rng):
    """Papers' AP@0.5 and ours would be two numbers."""
    scores = [(at + 1) / 10 for at in range(len(lefts))]
    rng.shuffle(scores)
    found = make_detections(boxes(*lefts), scores, [0] * len(lefts))
    truth = make_detections(boxes(*objects), [1.0] * len(objects), [0] * len(objects))
    told = average_precision(found, truth, min_iou=min_iou)
    expected = slow_average_precision(scores, lefts, objects, min_iou)
    assert list(told.values()) == [pytest.approx(expected)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: accuracy([0, 1], [0]), "predicted: must have the shape of truth"),
        (lambda: accuracy([-1], [0]), "truth: a class must be known"),
        (lambda: mean_class_accuracy([], []), "truth: a class must be known"),
        (lambda: confusion_matrix([0, 255], [0, 0], 2), "say which number to ignore"),
        (lambda: confusion_matrix([0, 1], [0, 2], 2), "predicted: classes must lie in 0..1; got 2"),
        (lambda: mean_iou([[1, 2]]), "square matrix"),
    ],
)
def test_bad_input_is_refused(call, message):
    """A typing error would become a number in a table."""
    with pytest.raises(InvalidInput, match=message):
        call()


def test_no_true_object_is_refused():
    """AP would be a division by zero."""
    found = make_detections(boxes(0), [0.5], [0])
    none = make_detections(np.zeros((0, 4)), [], [], videos=found.videos)
    with pytest.raises(InvalidInput, match="truth: there must be a true object"):
        average_precision(found, none)
