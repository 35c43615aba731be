"""Embeddings and scores of images from their boxes, against loops over boxes."""

import numpy as np
import pytest
import scipy.stats
import torch

from labelcut.models import detection_embeddings, frame_scores

SIZE, CLASSES, WIDTH = 9, 4, 3


def boxes(count=40, seed=0):
    """Draw boxes of images in any order; images 2 and 8 have none."""
    rng = np.random.default_rng(seed)
    images = rng.choice([0, 1, 3, 4, 5, 6, 7], count)
    return rng.dirichlet(np.full(CLASSES, 0.7), count), rng.normal(size=(count, WIDTH)), images


def slow(scores, features, images, u, aggregate):
    """Compute paper eq. 9, or its mean, image by image and class by class."""
    found = np.zeros((SIZE, CLASSES, WIDTH))
    for x in range(SIZE):
        for c in range(CLASSES):
            members = [d for d in range(len(scores)) if images[d] == x and scores[d].argmax() == c]
            if members and aggregate == "max":
                best = max(members, key=lambda d: (u[d], -d))
                found[x, c] = u[best] * features[best]
            elif members:
                found[x, c] = np.mean([u[d] * features[d] for d in members], axis=0)
    return found.reshape(SIZE, -1)


@pytest.mark.parametrize("aggregate", ["max", "mean"])
@pytest.mark.parametrize("convert", [np.asarray, torch.tensor])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_classes_are_those_of_the_most_uncertain_box(aggregate, convert, scale):
    """An embedding would hold a box of another image or class, or of another uncertainty."""
    p, f, images = boxes()
    ranked = np.sort(p, axis=1)
    found = detection_embeddings(
        convert(p * scale), convert(f), convert(images), SIZE, aggregate=aggregate
    )
    expected = slow(p, f, images, ranked[:, -2] / ranked[:, -1], aggregate)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert (found[[2, 8]] == 0).all()


def test_another_uncertainty_and_tau_are_used():
    """The user's own measure would be ignored, or ties be broken by chance."""
    p, f, images = boxes()
    u = np.random.default_rng(1).integers(0, 3, len(p)).astype(float)
    found = detection_embeddings(p, f, images, SIZE, uncertainty=u, tau=2.0)
    squared = slow(p, f, images, u**2, "max")
    np.testing.assert_allclose(found, squared, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_embeddings_keep_the_precision_of_the_features(dtype):
    """The largest array of all would double."""
    p, f, images = boxes()
    found = detection_embeddings(p, f.astype(dtype), images, SIZE, aggregate="mean")
    assert found.dtype == dtype
    assert found.shape == (SIZE, CLASSES * WIDTH)


def test_a_pool_without_boxes_is_all_zeros():
    """A detector that finds nothing would be an error."""
    none = np.empty((0, CLASSES)), np.empty((0, WIDTH)), np.empty(0, dtype=int)
    assert (detection_embeddings(*none, SIZE) == 0).all()
    np.testing.assert_array_equal(frame_scores(none[0], none[2], 3), [-1, -1, -1])


@pytest.mark.parametrize("measure", ["least_confidence", "entropy", "margin"])
def test_frames_are_scored_by_their_detections(measure):
    """Baselines of the thesis would be sums where they are means, or the other way round."""
    p, _, images = boxes()
    found = frame_scores(torch.tensor(p), images, SIZE, measure)
    for x in range(SIZE):
        some = p[images == x]
        ranked = np.sort(some, axis=1)
        expected = {
            "least_confidence": (1 - ranked[:, -1]).mean() if len(some) else -1,
            "entropy": scipy.stats.entropy(some, axis=1).mean() if len(some) else -1,
            "margin": ((1 - (ranked[:, -1] - ranked[:, -2])) ** 2).sum() if len(some) else -1,
        }[measure]
        assert found[x] == pytest.approx(expected, abs=1e-12)
    assert set(np.argsort(found)[:2]) == {2, 8}


P, F, ROWS = boxes(5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": F[:3]}, r"scores, features: must have shapes \(M, C\) and \(M, D\)"),
        ({"images": ROWS[:3]}, r"images: must be 5 row numbers, one for each box; shape \(3,\)"),
        ({"images": ROWS + 0.5}, r"images: must be 5 row numbers.* of float64 came"),
        ({"images": ROWS - 3}, r"images: run from 0 to 8; -"),
        ({"size": 3}, r"images: run from 0 to 2; "),
        ({"scores": P - 0.5}, r"scores: must be finite, at least 0 .*pass probabilities"),
        ({"scores": P * 0}, r"scores: must be .*; box 0 has \[0.0, 0.0, 0.0, 0.0\]"),
        ({"scores": P * np.nan}, r"scores: must be finite"),
        ({"uncertainty": np.ones(3)}, r"uncertainty: must be 5 finite numbers"),
        ({"uncertainty": -np.ones(5)}, r"uncertainty: .* a least of -1.0 came"),
        ({"tau": -1}, r"tau: must be at least 0"),
        ({"aggregate": "sum"}, r'aggregate: must be "max" or "mean"; \'sum\' came'),
    ],
)
def test_boxes_that_do_not_fit_are_refused(change, message):
    """Boxes would go to other images."""
    good = {"scores": P, "features": F, "images": ROWS, "size": SIZE}
    with pytest.raises(ValueError, match=message):
        detection_embeddings(**{**good, **change})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((P, ROWS, SIZE, "ratio"), r"measure: must be least_confidence or entropy or margin"),
        ((P / 2, ROWS, SIZE), r"probs: row 0 sums to 0.5"),
        ((P[:, 0], ROWS, SIZE), r"probs: must have shape \(M, C\)"),
    ],
)
def test_frames_without_probabilities_are_refused(arguments, message):
    """Sigmoid scores would pass for distributions."""
    with pytest.raises(ValueError, match=message):
        frame_scores(*arguments)
