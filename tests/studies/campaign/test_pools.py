"""Pools made of a dataset: who is rare, who repeats whom."""

import numpy as np
import pytest
import torch

from labelcut.problems import InvalidInput
from labelcut.studies.campaign import Pool
from labelcut.studies.campaign.pools import Colors, augmented, frame_runs, long_tailed, take
from labelcut.studies.campaign.videos import Drift, drifting, video_pool


def labeled_pool(each=100, classes=6):
    """Return rows that know their own number."""
    truth = np.tile(np.arange(classes), each)
    return Pool(np.arange(len(truth), dtype=np.float32)[:, None], truth, classes=classes)


def test_half_of_the_classes_keep_a_tenth_of_what_is_not_reserved():
    """The imbalance factor would mean another thing than the thesis's."""
    pool = long_tailed(labeled_pool(), 0.1, reserve=0.1, seed=3)
    counts = np.bincount(pool.truth, minlength=6)
    # 10 rows are reserved; of the other 90 a tenth stays.
    assert sorted(counts) == [19, 19, 19, 100, 100, 100]
    reserved = np.bincount(pool.truth[pool.table["reserved"]], minlength=6)
    np.testing.assert_array_equal(reserved, np.full(6, 10))
    np.testing.assert_array_equal(pool.truth, pool.inputs[:, 0].astype(int) % 6)


def test_named_classes_are_the_rare_ones_and_seeds_draw_others():
    """Two pools of one seed would differ, or the named classes stay."""
    counts = np.bincount(long_tailed(labeled_pool(), 0.3, reserve=0, rare=[5]).truth)
    np.testing.assert_array_equal(counts, [100, 100, 100, 100, 100, 30])
    drawn = [tuple(long_tailed(labeled_pool(), seed=seed).inputs[:, 0]) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def videos(count=30, frames=20):
    """Return a pool of frames that know their video and number, in shuffled order."""
    order = np.random.default_rng(0).permutation(count * frames)
    video, frame = order // frames, 3 * (order % frames)
    inputs = np.stack([video, frame], axis=1).astype(np.float32)
    return Pool(inputs, video % 4, classes=4, table={"video": video, "frame": frame})


@pytest.mark.parametrize("following", [0, 5, 11])
def test_runs_are_consecutive_frames_and_pools_have_one_size(following):
    """Redundancy would differ from Pool-Xf's, or sizes from each other."""
    pool = frame_runs(videos(), 120, following, seed=1)
    assert pool.size == 120
    assert len(np.unique(pool.inputs, axis=0)) == 120
    heads, lengths = np.unique(pool.table["source"], return_counts=True)
    assert len(heads) == 120 // (following + 1)
    assert (lengths == following + 1).all()
    for head in heads:
        run = pool.inputs[pool.table["source"] == head]
        assert len(np.unique(run[:, 0])) == 1
        assert sorted(run[:, 1] - pool.inputs[head, 1]) == list(range(0, 3 * following + 1, 3))


def test_starts_of_runs_are_drawn_uniformly():
    """Pool-0f would not be a random sample of the frames."""
    counts = np.zeros(20)
    for seed in range(300):
        frames = frame_runs(videos(5), 10, 0, seed=seed).table["frame"] // 3
        counts += np.bincount(frames, minlength=20)
    assert abs(counts - 150).max() < 5 * np.sqrt(150)


def test_the_last_run_is_cut_to_the_size():
    """Pools of one size would have to divide by all run lengths."""
    pool = frame_runs(videos(), 100, 11)
    lengths = np.unique(pool.table["source"], return_counts=True)[1]
    assert sorted(lengths) == [4, *[12] * 8]


def test_duplicates_are_crops_of_their_source():
    """Pool-Aug would hold other images than it says."""
    rng = np.random.default_rng(0)
    images = np.repeat(rng.random((20, 1, 8, 8)), 4, axis=2).repeat(4, axis=3)
    pool = Pool(images.astype(np.float32), np.arange(20) % 3, classes=3, ids=np.arange(100, 120))
    still = Colors(0, 0, 0)
    made = augmented(pool, 30, 5, colors=still, seed=2)
    source = made.table["source"]
    assert made.size == 30
    assert len(np.unique(made.ids)) == 30
    np.testing.assert_array_equal(np.bincount(source)[np.unique(source)], np.full(5, 6))
    np.testing.assert_array_equal(made.truth, made.truth[source])
    for row, head in enumerate(source):
        original = made.inputs[head]
        assert (original == images.astype(np.float32)).all(axis=(1, 2, 3)).any()
        if row != head:
            others = np.setdiff1d(np.unique(source), head)
            away = [np.abs(made.inputs[row] - made.inputs[k]).mean() for k in (head, *others)]
            assert np.argmin(away) == 0
            assert away[0] > 0


def test_a_crop_holds_the_share_of_the_area_that_is_asked_for():
    """Duplicates would be more or less alike than the paper's."""
    ramp = np.broadcast_to(np.linspace(0, 1, 200), (1, 1, 200, 200)).astype(np.float32)
    pool = Pool(ramp.copy(), [0], classes=2)
    crop = augmented(pool, 2, 1, area=0.49, colors=Colors(0, 0, 0)).inputs[1]
    assert crop.max() - crop.min() == pytest.approx(0.7, abs=0.01)


def test_maps_are_cropped_with_their_image_and_keep_their_values():
    """Classes would be blurred, recolored, or lie beside their pixels."""
    image = np.zeros((1, 4, 40, 40), np.float32)
    image[0, :, 10:30, 10:30] = 1
    image[0, 3] *= 7
    made = augmented(Pool(image, classes=2), 4, 3, maps=1, colors=Colors(0.3, 0, 0), seed=1)
    maps, bright = made.inputs[1:, 3], made.inputs[1:, 0]
    assert set(np.unique(maps)) == {0, 7}
    assert ((bright > 0.4) == (maps == 7)).mean() > 0.97


def test_tensors_stay_tensors():
    """A pool of tensors would turn into another type."""
    made = augmented(Pool(torch.rand(4, 3, 6, 6), classes=2), 6, 1)
    assert isinstance(made.inputs, torch.Tensor)
    assert made.inputs.shape == (6, 3, 6, 6)
    assert float(made.inputs.min()) >= 0
    assert float(made.inputs.max()) <= 1


def test_frames_of_videos_keep_name_and_time():
    """Strategies in time would see frames in another order."""
    frames = {"b": np.zeros((2, 3)), "a": np.ones((3, 3))}
    pool = video_pool(frames, {"b": [0, 1], "a": [1, 1, -1]}, classes=2)
    assert list(pool.ids) == ["b/0", "b/1", "a/0", "a/1", "a/2"]
    np.testing.assert_array_equal(pool.table["frame"], [0, 1, 0, 1, 2])
    np.testing.assert_array_equal(pool.truth, [0, 1, 1, 1, -1])


def test_neighboring_frames_are_nearer_than_other_videos():
    """Made-up video would not be redundant, and nothing could be learned from it."""
    images = np.random.default_rng(0).random((12, 8, 8))
    made = drifting(images, 6, seed=1)
    assert made.shape == (12, 6, 1, 8, 8)
    flat = made.reshape(12, 6, -1)
    step = np.linalg.norm(flat[:, 1:] - flat[:, :-1], axis=2).max()
    other = min(np.linalg.norm(flat[i, 0] - flat[j, 0]) for i in range(12) for j in range(i))
    assert step < other
    np.testing.assert_array_equal(made, drifting(images, 6, seed=1))
    still = drifting(images, 2, drift=Drift(0, 0, 0, 0, 0, 0, 0))
    np.testing.assert_allclose(still[:, 1, 0], images, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: long_tailed(labeled_pool(), 1.5), "factor: must lie in"),
        (lambda: long_tailed(labeled_pool(), rare=[6]), "rare: classes must lie in"),
        (lambda: long_tailed(Pool(np.eye(3), [0, 1, -1])), "pool: a long tail"),
        (lambda: frame_runs(labeled_pool(), 5, 1), "lacks 'video'"),
        (lambda: frame_runs(videos(2), 40, 11), "size: 40 rows in runs of 12"),
        (lambda: frame_runs(videos(), 0, 1), "size, following"),
        (lambda: augmented(labeled_pool(), 5), "pool: duplicates are made of images"),
        (lambda: augmented(Pool(np.zeros((2, 1, 4, 4))), 50), "size: 50 rows with 5 duplicates"),
        (lambda: augmented(Pool(np.zeros((2, 1, 4, 4))), 2, area=0), "area: must lie in"),
        (lambda: take(labeled_pool(), np.array([600])), "rows: must lie in"),
        (lambda: video_pool({}, classes=2), "videos: must hold"),
        (lambda: video_pool({"a": [0]}, {"b": [0]}, classes=2), "truth: must hold one value"),
    ],
)
def test_bad_arguments_are_named(make, told):
    """A wrong pool would be made without a word."""
    with pytest.raises(InvalidInput, match=told):
        make()
