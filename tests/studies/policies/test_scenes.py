"""Scenes: drawn by seed, and CamVid as it is."""

import numpy as np
import pytest

from labelcut.problems.errors import InvalidInput
from labelcut.studies.policies.scenes import (
    CAMVID_NAMES,
    VOID,
    camvid_file,
    read_camvid,
    street_scenes,
)


def test_scenes_follow_their_seed():
    """A policy could not be trained again."""
    one, same, other = (street_scenes(4, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.images, same.images)
    np.testing.assert_array_equal(one.labels, same.labels)
    assert (one.labels != other.labels).any()


def test_pedestrians_are_rare_and_there():
    """The rare small class that policies look for would be missing, or not be rare."""
    scenes = street_scenes(200, seed=0)
    shares = np.bincount(scenes.labels.ravel(), minlength=len(scenes.names)) / scenes.labels.size
    assert 0.0005 < shares[scenes.names.index("pedestrian")] < 0.01
    assert (shares > 0).all()


def test_taken_scenes_belong_together():
    """Images would come with the labels of others."""
    scenes = street_scenes(5, seed=1)
    some = scenes.take([4, 1])
    np.testing.assert_array_equal(some.labels[0], scenes.labels[4])
    np.testing.assert_array_equal(some.images[1], scenes.images[1])
    assert list(some.ids) == ["scene-4", "scene-1"]
    x, y = some.tensors()
    assert x.shape == (2, 3, 72, 96)
    np.testing.assert_allclose(x[0, 2, 5, 7], some.images[0, 5, 7, 2] / 255 - 0.5, atol=1e-6)
    assert int(y[1, 10, 10]) == scenes.labels[1, 10, 10]


def test_camvid_that_is_not_there_is_told(tmp_path):
    """The reader would end in an error of NumPy's."""
    with pytest.raises(InvalidInput, match="LABELCUT_DATA"):
        read_camvid(tmp_path / "none.npz")


@pytest.mark.skipif(camvid_file() is None, reason="LABELCUT_DATA has no CamVid")
def test_camvid_has_the_shares_that_are_known():
    """Classes would be read under other names, or void would count as one."""
    scenes = read_camvid()
    assert scenes.images.shape == (367, 180, 240, 3)
    assert sum(name.startswith("0001TP") for name in scenes.ids) == 62
    assert list(scenes.ids) == sorted(scenes.ids)
    counted = scenes.labels[scenes.labels != VOID]
    shares = dict(zip(CAMVID_NAMES, np.bincount(counted) / scenes.labels.size, strict=True))
    assert shares["bicyclist"] < 0.01
    assert shares["pedestrian"] < 0.01
    assert shares["road"] > 0.25
