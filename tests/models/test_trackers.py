"""Trackers: boxes carried by optical flow that is known, and flow of pictures that moved."""

import numpy as np
import pytest

from labelcut.models import compute_flow, offsets_within, track_flow, track_static
from labelcut.models.optical_flow import VideoFlow


def texture(seed=0, height=120, width=160):
    """Return a picture with something to see everywhere."""
    cv2 = pytest.importorskip("cv2")
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width))
    return cv2.GaussianBlur(noise, (0, 0), 2.5)


def moving(steps, shift):
    """Return frames in which everything moves by a shift, across and down."""
    base = texture()
    low, high = base.min(), base.max()
    scaled = ((base - low) / (high - low) * 255).astype(np.uint8)
    return [np.roll(scaled, (shift[1] * at, shift[0] * at), axis=(0, 1)) for at in range(steps)]


def constant(steps, ahead, back, size=(100, 50)):
    """Return flow that is the same in every pixel of every frame."""
    flow = np.zeros((steps, 2, 50, 100, 2), dtype=np.float16)
    flow[:, 0], flow[:, 1] = ahead, back
    return VideoFlow(flow, size, np.zeros(steps, dtype=bool))


def test_nothing_is_tracked_beyond_the_video():
    """Boxes would lie in frames that are not there."""
    tracked = track_static([[0, 0, 5, 5]] * 2, [0, 1], [1, 0], [3, 1], reach=2)
    there = ~np.isnan(tracked[:, :, 0])
    assert there.tolist() == [[False, True, True, False], [False] * 4]


@pytest.mark.parametrize("at", ["center", "middle"])
def test_boxes_add_up_the_flow_of_each_step(at):
    """A box would move by one step's flow however far ahead it is sought."""
    tracked = track_flow(
        [[10, 10, 20, 10]], [0], [2], [5], [constant(4, (2, 1), (-3, 0))], reach=3, at=at
    )
    assert offsets_within(3) == (-3, -2, -1, 1, 2, 3)
    ahead, back = [[12, 11], [14, 12]], [[4, 10], [7, 10]]
    np.testing.assert_allclose(tracked[0, 1:5, :2], [*back, *ahead])
    assert np.isnan(tracked[0, [0, 5]]).all()
    np.testing.assert_allclose(tracked[0, 1:5, 2:], [[20, 10]] * 4)


def test_each_step_has_its_own_flow():
    """A box would go back by the flow of another pair of frames."""
    flow = constant(4, (0, 0), (0, 0))
    for step in range(4):
        flow.flow[step, 0], flow.flow[step, 1] = (step + 1, 0), (0, 10 * (step + 1))
    tracked = track_flow([[30, 10, 4, 4]], [0], [2], [5], [flow], reach=2)
    # Back over steps 1 and 0 by 20 and 10 down, ahead over steps 2 and 3 by 3 and 4 across.
    np.testing.assert_allclose(
        tracked[0, :, :2], [[30, 10 + 20 + 10], [30, 30], [33, 10], [37, 10]]
    )


def test_flow_is_scaled_to_the_pixels_of_the_boxes():
    """Flow computed at 300 rows would move boxes of 1080 rows too little."""
    tracked = track_flow(
        [[0, 0, 20, 10]], [0], [0], [2], [constant(1, (2, 1), (0, 0), (400, 100))], reach=1
    )
    np.testing.assert_allclose(tracked[0, 1, :2], [8, 2])


def test_the_center_and_the_middle_half_see_what_they_should():
    """One odd pixel at the center would carry a box away that was to move with its middle."""
    flow = constant(1, (1, 0), (0, 0))
    flow.flow[0, 0, 10, 20] = (9, 9)
    box = [[10, 5, 20, 10]]
    center = track_flow(box, [0], [0], [2], [flow], reach=1)
    middle = track_flow(box, [0], [0], [2], [flow], reach=1, at="middle")
    np.testing.assert_allclose(center[0, 1, :2], [19, 14])
    np.testing.assert_allclose(middle[0, 1, :2], [11, 5])


def test_videos_have_their_own_flow_and_rows_keep_their_places():
    """Boxes of one film would move as another does."""
    flows = [constant(1, (1, 0), (0, 0)), None, constant(1, (0, 5), (0, 0))]
    boxes = [[0, 0, 4, 4], [10, 0, 4, 4], [20, 0, 4, 4]]
    tracked = track_flow(boxes, [2, 1, 0], [0, 0, 0], [2, 2, 2], flows, reach=1)
    np.testing.assert_allclose(tracked[:, 1, :2], [[0, 5], [10, 0], [21, 0]])


def test_flow_of_a_moved_picture_is_the_movement():
    """Directions, axes or signs would be confused."""
    flow = compute_flow(moving(3, (3, -2)), height=120)
    inner = flow.flow[:, :, 30:90, 40:120].astype(float)
    np.testing.assert_allclose(np.median(inner[:, 0], axis=(1, 2)), [[3, -2]] * 2, atol=0.2)
    np.testing.assert_allclose(np.median(inner[:, 1], axis=(1, 2)), [[-3, 2]] * 2, atol=0.2)
    assert flow.size == (160, 120)
    assert compute_flow(moving(2, (0, 0)), height=60).flow.shape == (1, 2, 60, 80, 2)
    assert compute_flow(moving(2, (0, 0)), height=999).flow.shape == (1, 2, 120, 160, 2)


def test_missing_and_unreadable_images_stand_still_and_are_told(tmp_path, caplog):
    """One broken file would end the run, or move boxes by flow between wrong frames."""
    cv2 = pytest.importorskip("cv2")
    images = []
    for at, frame in enumerate(moving(5, (3, 0))):
        images.append(str(tmp_path / f"{at}.png"))
        cv2.imwrite(images[-1], frame)
    (tmp_path / "1.png").write_bytes(b"no picture")
    images[4] = None
    with caplog.at_level("WARNING", logger="labelcut"):
        flow = compute_flow(images, height=120)
    assert flow.still.tolist() == [True, True, False, True]
    assert "3 of 4 steps have no flow" in caplog.text
    assert "1.png of frame 1 cannot be read" in caplog.text
    assert not flow.flow[[0, 1, 3]].any()
    assert abs(np.median(flow.flow[2, 0, 30:90, 40:120, 0]) - 3) < 0.2


def test_a_second_run_reads_the_cache_and_a_change_does_not(tmp_path):
    """Flow would be computed in every cycle, or be that of other pictures."""
    cv2 = pytest.importorskip("cv2")
    images = []
    for at, frame in enumerate(moving(3, (2, 0))):
        images.append(str(tmp_path / f"{at}.png"))
        cv2.imwrite(images[-1], frame)
    cache = tmp_path / "cache"
    first = compute_flow(images, height=120, cache=cache)
    again = compute_flow(images, height=120, cache=cache)
    assert (first.from_cache, again.from_cache) == (False, True)
    np.testing.assert_array_equal(first.flow, again.flow)
    assert again.size == (160, 120)
    assert not compute_flow(images, height=60, cache=cache).from_cache
    assert not compute_flow(images, height=120, preset="fast", cache=cache).from_cache
    cv2.imwrite(images[1], texture(9).astype(np.uint8))
    assert not compute_flow(images, height=120, cache=cache).from_cache


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_damaged_cache_is_computed_again(tmp_path, caplog, damage):
    """A file that a full disk cut off would end every later run in a traceback."""
    cv2 = pytest.importorskip("cv2")
    images = [str(tmp_path / f"{at}.png") for at in range(3)]
    for image, frame in zip(images, moving(3, (2, 0)), strict=True):
        cv2.imwrite(image, frame)
    cache = tmp_path / "cache"
    first = compute_flow(images, height=120, cache=cache)
    flow = np.array(first.flow)
    if damage == "gone":
        next(cache.glob("*.npy")).unlink()
    else:
        next(cache.glob("*.npz")).write_bytes(b"PK")
    again = compute_flow(images, height=120, cache=cache)
    assert not again.from_cache
    np.testing.assert_array_equal(again.flow, flow)
    assert "is computed again" in caplog.text
    assert compute_flow(images, height=120, cache=cache).from_cache


def test_no_video_at_all_is_tracked():
    """An empty table would end in a traceback."""
    assert track_flow(np.empty((0, 4)), [], [], [], []).shape == (0, 6, 4)


def test_a_torch_network_is_asked_both_ways_in_batches(monkeypatch):
    """The user's network would get images of another scale, or its flow another meaning."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("cv2")
    monkeypatch.setattr("labelcut.models.optical_flow.BATCH", 2)
    sizes = []

    def network(one, other):
        sizes.append(len(one))
        assert one.shape[1:] == (3, 120, 160)
        assert float(one.max()) <= 1.0
        difference = (other - one).mean(dim=(1, 2, 3))
        return torch.stack([difference, -difference], dim=1)[:, :, None, None].expand(
            -1, -1, 120, 160
        )

    frames = [np.full((120, 160), 51 * at, dtype=np.uint8) for at in range(4)]
    flow = compute_flow(frames, height=120, network=network)
    assert sizes == [2, 2, 1, 1]
    np.testing.assert_allclose(
        flow.flow[:, 0].reshape(3, -1, 2)[:, 0], [[0.2, -0.2]] * 3, atol=1e-3
    )
    np.testing.assert_allclose(
        flow.flow[:, 1].reshape(3, -1, 2)[:, 0], [[-0.2, 0.2]] * 3, atol=1e-3
    )
    with pytest.raises(ValueError, match="network: must return flow of shape"):
        compute_flow(frames, height=120, network=lambda one, other: one)


GRAY = np.zeros((20, 30), dtype=np.uint8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": "slow"}, "preset: must be one of"),
        ({"height": 5}, "height: must be at least 16"),
        ({"images": [GRAY, GRAY.T]}, r"images: must have one size; frame 0 has \(30, 20\)"),
        ({"images": [None, None]}, "images: none of 2 can be read"),
        ({"images": [GRAY.astype(float)]}, "images: must be uint8"),
        ({"network": print, "cache": "somewhere"}, "name: the cache needs one"),
    ],
)
def test_bad_pictures_and_parameters_are_named(change, message):
    """A mistake would end in an error of OpenCV's that names nothing."""
    pytest.importorskip("cv2")
    arguments = {"images": [GRAY, GRAY], **change}
    with pytest.raises(ValueError, match=message):
        compute_flow(**arguments)


def test_bad_tracking_is_named():
    """Flow of another film would be used."""
    flow = constant(3, (0, 0), (0, 0))
    with pytest.raises(ValueError, match="at: must be one of center, middle"):
        track_flow([[0, 0, 5, 5]], [0], [0], [4], [flow], at="corner")
    with pytest.raises(ValueError, match="video 0 has 9 frames, its flow 3 steps"):
        track_flow([[0, 0, 5, 5]], [0], [0], [9], [flow])
    with pytest.raises(ValueError, match="flows: one for each of 1 videos; got 0"):
        track_flow([[0, 0, 5, 5]], [0], [0], [9], [])
    with pytest.raises(ValueError, match="frame: must have one value for each of 1"):
        track_static([[0, 0, 5, 5]], [0], [0, 1], [9])
    with pytest.raises(ValueError, match="reach: must be at least 1"):
        offsets_within(0)
