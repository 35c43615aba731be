"""Regions in windows: what a network says of them is what it says of whole images."""

import numpy as np
import pytest
import torch

from labelcut.models.policies.region_grid import VOID, RegionGrid
from labelcut.models.policies.region_learner import RegionLearner, Training, iou_of_true_classes
from labelcut.models.segmenters import SmallUNet
from labelcut.models.uncertainty import entropy


@pytest.fixture
def learner():
    """Return a network with random weights and normalization, and four images."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 48, 64, 3), dtype=np.uint8)
    labels = rng.integers(0, 4, (4, 48, 64), dtype=np.uint8)
    labels[labels == 3] = VOID
    torch.manual_seed(0)
    model = SmallUNet(3, width=4, dropout=(0.3, 0.3))
    grid = RegionGrid((48, 64), (12, 16), margin=16)
    learner = RegionLearner(model, images, labels, grid, Training(), device="cpu")
    learner.train(np.arange(20), steps=4)
    return learner


def whole(learner):
    """Return probabilities ``(n, H, W, C)`` of whole images."""
    learner.model.eval()
    with torch.inference_mode():
        pixels = learner.images.numpy().astype(np.float64)
        own = (pixels - pixels.mean((1, 2), keepdims=True)) / pixels.std((1, 2), keepdims=True)
        x = torch.from_numpy(own.astype(np.float32)).permute(0, 3, 1, 2)
        return learner.model(x).softmax(1).permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("rows", [[0, 5, 37, 63, 17], range(16, 48)], ids=["some", "whole images"])
def test_maps_are_those_of_whole_images(learner, rows):
    """Cutting regions out would change what the network says of them, or mix them up."""
    rows = np.array(rows)
    probs = whole(learner)
    found = learner.maps(rows, cells=2)
    for at, row in enumerate(rows):
        image, place = divmod(row, 16)
        top, left = place // 4 * 12, place % 4 * 16
        own = probs[image, top : top + 12, left : left + 16]
        shares = np.bincount(own.argmax(-1).ravel(), minlength=3) / own[..., 0].size
        np.testing.assert_allclose(found.histogram[at], shares, atol=1e-6)
        h = entropy(own)
        np.testing.assert_allclose(found.entropy[at], h.sum(), rtol=1e-4)
        cells = h.reshape(2, 6, 2, 8).transpose(0, 2, 1, 3).reshape(4, -1)
        expected = np.concatenate([cells.min(1), cells.mean(1), cells.max(1)])
        np.testing.assert_allclose(found.cells[at], expected, atol=1e-4)


@pytest.mark.parametrize("shrink", [1, 4])
def test_light_does_not_matter(shrink):
    """Pictures taken at dusk would look like nothing that was learned by day."""
    bright = np.random.default_rng(1).integers(0, 64, (1, 48, 64, 3), dtype=np.uint8) * 3
    dusk = (bright // 3 + np.array([20, 10, 40])).astype(np.uint8)
    flat = np.full_like(bright, 90)
    model = SmallUNet(3, width=4, shrink=shrink)
    images = np.concatenate([bright, dusk, flat])
    grid = RegionGrid((48, 64), (12, 16))
    learner = RegionLearner(model, images, images[..., 0] % 3, grid, Training(), device="cpu")
    found = learner.maps(np.arange(48), cells=2)
    np.testing.assert_allclose(found.entropy[:16], found.entropy[16:32], rtol=1e-4)
    assert np.isfinite(found.entropy[32:]).all()


def test_bald_is_there_when_asked_for(learner):
    """Baseline B would be measured on something else than disagreement of passes."""
    assert learner.maps(np.arange(3), cells=2).bald is None
    found = learner.maps(np.arange(16), cells=2, passes=5).bald
    assert (found > 0).all()
    assert (found < np.log(3) * 12 * 16).all()


def test_only_pixels_of_labeled_regions_teach(learner):
    """Labels that nobody has given would be learned from."""
    outcomes, begun = [], learner.weights()
    for margin_label in (0, 1):
        torch.manual_seed(3)
        learner.labels[:] = margin_label
        learner.labels[0, 12:24, 16:32] = 2  # region 5
        learner.begin(begun)
        learner.train(np.array([5]), steps=3)
        outcomes.append(learner.weights())
    for name, value in outcomes[0].items():
        assert torch.equal(value, outcomes[1][name]), name


def test_all_rows_are_seen_before_any_again(learner):
    """One iteration on the new regions would leave some of them out."""
    seen = []
    learner._cut = lambda grid, rows: (
        seen.extend(rows.tolist()),
        RegionLearner._cut(learner, grid, rows),
    )[1]
    learner.train(np.arange(10, 30), steps=3)
    assert sorted(seen) == list(range(10, 30))


def test_regions_without_labels_change_nothing(learner):
    """A batch of void pixels would turn weights into NaN."""
    learner.labels[:] = VOID
    before = learner.weights()
    learner.train(np.arange(8), steps=2)
    for name, value in learner.weights().items():
        assert torch.equal(value, before[name])


def test_iou_by_hand(learner):
    """Classes that do not occur would count as 0, or void pixels as wrong."""
    probs = whole(learner)
    images = np.array([1, 3, 2])
    said, true = probs[images].argmax(-1), learner.labels.numpy()[images]
    each = [
        ((said == c) & (true == c)).sum() / (((said == c) & (true != VOID)) | (true == c)).sum()
        for c in range(3)
    ]
    mean, found = learner.iou_of_true_classes(images, 3)
    np.testing.assert_allclose(found, each)
    assert mean == pytest.approx(np.mean(each))
    learner.labels[learner.labels == 1] = VOID
    mean, found = learner.iou_of_true_classes(images, 3)
    assert np.isnan(found[1])
    assert mean == pytest.approx(np.mean(found[[0, 2]]))


def test_a_class_that_is_only_predicted_is_none_of_the_mean():
    """The first wrong pixel would halve a reward, or RALIS and campaigns report by one rule."""
    from labelcut.studies.campaign import mean_iou

    confusion = np.array([[1, 1], [0, 0]])
    mean, each = iou_of_true_classes(confusion)
    np.testing.assert_array_equal(each, [0.5, np.nan])
    assert (mean, mean_iou(confusion)) == (0.5, 0.25)


def test_nothing_to_measure_is_told():
    """A score of NaN would become a reward."""
    with pytest.raises(ValueError, match="no pixel has a class"):
        iou_of_true_classes(np.zeros((3, 3), dtype=np.int64))


@pytest.mark.parametrize("region", [(13, 16), (12, 15), (0, 16)])
def test_regions_must_fill_images(region):
    """Part of the images would never be asked for."""
    with pytest.raises(ValueError, match="must divide"):
        RegionGrid((48, 64), region)


def test_table_leads_from_rows_to_pixels():
    """Chosen regions would be drawn at another place."""
    table = RegionGrid((48, 64), (24, 16)).table(2)
    assert len(table["image"]) == 16
    row = 8 + 4 + 3
    assert [int(table[name][row]) for name in table] == [1, 24, 48, 24, 16]
