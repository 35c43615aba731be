"""The siamese tracker: objects found again by their looks, where and how large they are."""

import numpy as np
import pytest
import torch

from labelcut.models.siamese import SCALES, load_weights, small_backbone, track_siamese

SIZE = (160, 200)


def noise(seed, shape, grain):
    """Return colored noise that is smooth over a few pixels."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(0, 1, (3, shape[0] // grain + 2, shape[1] // grain + 2))
    big = torch.nn.functional.interpolate(
        torch.from_numpy(small)[None], size=shape, mode="bicubic", align_corners=True
    )
    return big[0].permute(1, 2, 0).numpy().clip(0, 1)


def film(path, side=36, steps=None):
    """Return frames with a textured square whose center follows a path, and its boxes."""
    background, look = noise(1, SIZE, 10) * 0.5, noise(2, (64, 64), 8)
    frames, boxes = [], []
    for at, (x, y) in enumerate(path):
        size = round(side * (steps[at] if steps else 1))
        picture = background.copy()
        scaled = torch.nn.functional.interpolate(
            torch.from_numpy(look).permute(2, 0, 1)[None], size=(size, size), mode="bilinear"
        )[0]
        left, top = round(x - size / 2), round(y - size / 2)
        picture[top : top + size, left : left + size] = scaled.permute(1, 2, 0).numpy()
        frames.append((picture * 255).astype(np.uint8))
        boxes.append([left, top, size, size])
    return frames, np.array(boxes, dtype=float)


def test_an_object_is_followed_both_ways():
    """The box would stay, or go where the background goes."""
    frames, boxes = film([(50 + 6 * at, 60 + 4 * at) for at in range(7)])
    tracked = track_siamese(boxes[[3]], [0], [3], [7], [frames])
    centers = tracked[0, :, :2] + tracked[0, :, 2:] / 2
    wanted = (boxes[:, :2] + boxes[:, 2:] / 2)[[0, 1, 2, 4, 5, 6]]
    assert np.abs(centers - wanted).max() < 4
    assert np.abs(tracked[0, :, 2] - 36).max() < 5


def test_boxes_of_one_frame_are_followed_together():
    """Features of one detection would be sought for another."""
    frames, boxes = film([(60, 60), (68, 60), (76, 60)])
    others = np.array([[130.0, 100, 40, 40], boxes[0], [10, 100, 30, 40]])
    tracked = track_siamese(others, [0] * 3, [0] * 3, [3], [frames], reach=2, batch=2)
    alone = track_siamese(boxes[[0]], [0], [0], [3], [frames], reach=2)
    np.testing.assert_allclose(tracked[1], alone[0], atol=1.5)
    assert np.abs(tracked[[0, 2]][:, 2:, :2] - others[[0, 2], None, :2]).max() < 4  # still
    assert np.isnan(tracked[:, :2]).all()


def test_a_growing_object_grows_its_box():
    """Of three scales, always the middle one would be taken."""
    frames, boxes = film([(100, 80)] * 5, side=40, steps=[1.0, 1.08, 1.17, 1.26, 1.36])
    tracked = track_siamese(boxes[[0]], [0], [0], [5], [frames], reach=3)
    assert tracked[0, 5, 2] > 1.03 * 40
    back = track_siamese(boxes[[4]], [0], [4], [5], [frames], reach=3)
    assert back[0, 0, 2] < 0.97 * boxes[4, 2]
    assert SCALES[0] < 1 < SCALES[2]


def test_missing_images_stand_still():
    """One missing picture would end the run."""
    frames, boxes = film([(60, 60), (64, 60), (68, 60)])
    tracked = track_siamese(boxes[[0]], [0], [0], [3], [[frames[0], None, frames[2]]], reach=2)
    np.testing.assert_array_equal(tracked[0, 2], boxes[0])
    assert abs(tracked[0, 3, 0] - boxes[2, 0]) < 4
    lost = track_siamese(boxes[[0]], [0], [0], [3], [[None, *frames[1:]]], reach=1)
    np.testing.assert_array_equal(lost[0, 1], boxes[0])


def test_same_weights_same_boxes(tmp_path):
    """Loaded weights would not be used, or the built-in ones change from run to run."""
    frames, boxes = film([(60, 60), (66, 62)])
    arguments = (boxes[[0]], [0], [0], [2], [frames])
    default = track_siamese(*arguments, reach=1)
    torch.save(small_backbone().state_dict(), tmp_path / "w.pt")
    loaded = load_weights(small_backbone(seed=7), tmp_path / "w.pt")
    again = track_siamese(*arguments, reach=1, backbone=loaded, normalized=True)
    np.testing.assert_array_equal(default, again)
    (tmp_path / "bad.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"bad\.pt does not fit the network"):
        load_weights(small_backbone(), tmp_path / "bad.pt")
    with pytest.raises(ValueError, match="does not exist"):
        load_weights(small_backbone(), tmp_path / "none.pt")


def test_a_network_of_the_user_is_asked():
    """Only the built-in network could be used."""
    frames, boxes = film([(60, 60), (66, 62)])
    seen = []

    class Pixels(torch.nn.Module):
        def forward(self, x):
            seen.append(tuple(x.shape[1:]))
            return torch.nn.functional.avg_pool2d(x - 0.5, 8)

    tracked = track_siamese(
        boxes[[0]], [0], [0], [2], [frames], reach=1, backbone=Pixels(), normalized=True
    )
    assert set(seen) == {(3, 127, 127), (3, 255, 255)}
    assert np.abs(tracked[0, 1, :2] - boxes[1, :2]).max() < 4


def test_images_must_be_as_many_as_frames():
    """Boxes would be sought in the wrong frames."""
    with pytest.raises(ValueError, match="images: must be one for each frame"):
        track_siamese([[0, 0, 5, 5]], [0], [0], [3], [[None, None]])
