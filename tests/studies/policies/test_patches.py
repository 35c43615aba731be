"""Patches of scenes hold what their pixels say, and networks learn from no others."""

import numpy as np
import pytest

from labelcut.studies.policies.patches import only_patches, patch_presence, score_patches
from labelcut.studies.policies.scenes import VOID, street_scenes

PATCH = (12, 16)


@pytest.fixture(scope="module")
def scenes():
    """Draw a few small scenes."""
    return street_scenes(6, seed=0)


def test_presence_is_of_each_patch_in_the_order_of_regions(scenes):
    """A pick would be paid for what another patch holds."""
    found = patch_presence(scenes.labels, PATCH, len(scenes.names))
    row = 0
    for labels in scenes.labels:
        for top in range(0, 72, 12):
            for left in range(0, 96, 16):
                held = np.unique(labels[top : top + 12, left : left + 16])
                np.testing.assert_array_equal(np.flatnonzero(found[row]), held[held != VOID])
                row += 1
    assert row == len(found)


def test_void_is_no_class():
    """A pixel without a label would count as a class."""
    labels = np.full((1, 2, 2), VOID, np.uint8)
    assert not patch_presence(labels, (2, 2), 3).any()


def test_patches_must_divide_the_image(scenes):
    """NumPy's own words would not say what is wrong."""
    with pytest.raises(ValueError, match=r"must divide the images' 72 x 96 pixels; 10 x 16 came"):
        patch_presence(scenes.labels, (10, 16), 6)


def test_only_labeled_patches_are_seen(scenes):
    """The network would learn from labels that nobody has paid for."""
    rows = np.array([0, 7, 36 + 35])
    known = only_patches(scenes.labels, PATCH, rows)
    seen = np.argwhere(known != VOID)
    places = {(i, r // 12, c // 16) for i, r, c in seen.tolist()}
    assert places == {(0, 0, 0), (0, 1, 1), (1, 5, 5)}
    np.testing.assert_array_equal(known[known != VOID], scenes.labels[known != VOID])


def test_scores_are_of_every_patch_and_do_not_see_hidden_labels(scenes, tmp_path):
    """Features would leak the truth, or a stopped run would end elsewhere."""
    rows = np.arange(0, 216, 5)
    options = {"steps": 6, "width": 4, "passes": 3, "seed": 1}
    one = score_patches(scenes, PATCH, rows, **options)
    assert one.features.shape == (216, 9)
    np.testing.assert_array_equal(one.features[:, 2], one.bald.astype(np.float32))
    np.testing.assert_array_equal(one.table["image"], np.arange(216) // 36)
    known = only_patches(scenes.labels, PATCH, rows)
    hidden = np.where(known == VOID, np.uint8(0), scenes.labels)
    blind = type(scenes)(scenes.images, hidden, scenes.names, scenes.ids)
    for _ in range(2):  # the second time from what is kept
        other = score_patches(blind, PATCH, rows, folder=tmp_path, **options)
        np.testing.assert_array_equal(one.features, other.features)
        np.testing.assert_array_equal(one.entropy, other.entropy)
    with pytest.raises(ValueError, match="begun with another pixels"):
        score_patches(blind, PATCH, rows[1:], folder=tmp_path, **options)
