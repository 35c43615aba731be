"""Detections as one table: what comes in is checked, and rows keep their places."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelcut.problems.detection_columns import score_rank
from labelcut.problems.detections import Video, join_detections, make_detections
from labelcut.problems.errors import InvalidInput

BOX = [10.0, 20.0, 30.0, 40.0]


def test_rows_keep_their_order_and_frames_count_from_zero():
    """Answers would be about other rows than the user's."""
    table = make_detections(
        [BOX] * 4, [0.9, 0.8, 0.7, 0.6], [7, 3, 5, 3], video=["b", "a", "b", "a"], first_frame=1
    )
    assert [video.name for video in table.videos] == ["a", "b"]
    assert table.lengths.tolist() == [3, 7]
    assert table.frame.tolist() == [6, 2, 4, 2]
    assert table.frame_row.tolist() == [3 + 6, 2, 3 + 4, 2]
    assert table.frame_number.tolist() == [7, 3, 5, 3]
    assert table.n_frames == 10
    assert table.frame_table["video"].tolist() == ["a"] * 3 + ["b"] * 7
    assert table.frame_table["frame"].tolist() == [1, 2, 3, 1, 2, 3, 4, 5, 6, 7]


def test_a_video_without_detections_has_frames_all_the_same():
    """Its frames could never be chosen, and rows of later videos would shift."""
    videos = [Video("empty", 4), Video("full", 2)]
    table = make_detections([BOX], [0.5], [1], video=["full"], videos=videos)
    assert table.frame_row.tolist() == [5]
    none = make_detections([], [], [], video=[], videos=videos)
    assert (len(none), none.n_frames) == (0, 6)


def test_logits_are_squashed_and_ranks_share_ties():
    """Scores on another scale would be compared with probabilities."""
    logits = [-1000.0, 0.0, 2.0, 1000.0]
    squashed = make_detections([BOX] * 4, logits, [0] * 4, scores="logit").score
    np.testing.assert_allclose(squashed, [0.0, 0.5, 1 / (1 + np.exp(-2)), 1.0])
    raw = make_detections([BOX] * 4, [35.0, 40.0, 40.0, 31.0], [0] * 4, scores="rank").score
    np.testing.assert_allclose(raw, [0.375, 0.75, 0.75, 0.125])


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=20))
def test_rank_is_the_share_below_and_half_of_the_equal(values):
    """A rank would depend on the order of equal scores."""
    array = np.array(values, dtype=float)
    below = [(array < v).sum() + 0.5 * (array == v).sum() for v in array]
    np.testing.assert_allclose(score_rank(array), np.array(below) / len(array))


def test_classes_may_be_names_or_numbers():
    """Two classes would be linked to one another, or one split in two."""
    named = make_detections([BOX] * 3, [0.5] * 3, [0] * 3, label=["car", "bus", "car"])
    assert (named.classes, named.label.tolist()) == (("bus", "car"), [1, 0, 1])
    listed = make_detections([BOX] * 2, [0.5] * 2, [0] * 2, label=[1, 0], classes=["car", "bus"])
    assert [listed.classes[at] for at in listed.label] == ["bus", "car"]
    numbered = make_detections([BOX] * 2, [0.5] * 2, [0] * 2, label=[7, 3])
    assert (numbered.classes, numbered.label.tolist()) == (("3", "7"), [1, 0])


def test_time_stamps_for_frame_numbers_are_refused():
    """Two detections numbered in nanoseconds would fill the memory with frames between them."""
    wanted = "frame: videos may have 100,000,000 frames together; got 1,700,000,000,000,000,001, of"
    with pytest.raises(InvalidInput, match=wanted):
        make_detections([BOX] * 2, [0.5] * 2, [1_700_000_000_000_000_000, 3])
    late = make_detections([BOX], [0.5], [10**15 + 2], first_frame=10**15)
    assert (late.n_frames, late.frame_number.tolist()) == (3, [10**15 + 2])


def test_joined_tables_are_one_after_the_other():
    """Rows of the second video would point into the first."""
    one = make_detections([BOX], [0.9], [2], video=["a"], label=["car"])
    two = make_detections([BOX] * 2, [0.8, 0.7], [1, 4], video=["b"] * 2, label=["bus", "car"])
    joined = join_detections([one, two])
    assert joined.frame_row.tolist() == [2, 4, 7]
    assert [joined.classes[at] for at in joined.label] == ["car", "bus", "car"]
    with pytest.raises(InvalidInput, match="'a' comes twice"):
        join_detections([one, one])


def test_unusable_boxes_can_be_ignored_and_are_counted(caplog):
    """A million boxes could not be used for one that is empty, or one would vanish unheard."""
    videos = [Video("video", 2, 0, (100, 100))]
    boxes = [BOX, [10, 10, 0, 5], [200, 0, 10, 10], [-5, -5, 10, 10]]
    with caplog.at_level("WARNING", logger="labelcut"):
        table = make_detections(boxes, [0.5] * 4, [0] * 4, videos=videos, invalid="ignore")
    assert table.used.tolist() == [True, False, False, True]
    assert "1 boxes of zero area are ignored, the first in row 1" in caplog.text
    assert "1 boxes outside the image are ignored, the first in row 2" in caplog.text


BAD = [
    ({"boxes": [[0.0, 0.0, 1e200, 1e200]]}, "boxes: must be in pixels, up to 1e\\+09"),
    ({"boxes": [[0, 0, 5]]}, r"boxes: must be numbers of shape \(M, 4\)"),
    ({"boxes": [[0, 0, np.nan, 5]]}, "boxes: must be finite; row 0"),
    ({"boxes": [[0, 0, 5, 0]]}, "row 0 .* is of zero area .*invalid='ignore'"),
    ({"boxes": [[0, 0, -5, 5]]}, "zero area"),
    ({"boxes": [[90, 90, 5, 5]], "videos": [Video("video", 5, 0, (80, 80))]}, "outside the image"),
    ({"score": [np.nan]}, "score: must be finite; row 0 is nan"),
    ({"score": [3.2]}, "score: must lie in 0..1; row 0 has 3.2.*logits.*scores='logit'"),
    ({"score": [-0.1]}, "must lie in 0..1"),
    ({"score": ["high"]}, "score: must be numbers"),
    ({"score": [0.1, 0.2]}, "score: must have one value for each of 1 boxes"),
    ({"frame": [-1]}, "frame: 'video' has .* from 0 on; row 0 is in frame -1"),
    ({"frame": [0], "first_frame": 1}, "check first_frame"),
    ({"frame": [0.5]}, "frame: must be whole numbers"),
    ({"frame": [9], "videos": [Video("video", 5)]}, "has 5 frames from 0 on; row 0 is in frame 9"),
    ({"videos": [Video("other", 5)]}, "row 0 is of 'video'; add it to videos"),
    ({"videos": [Video("video", 5), Video("video", 6)]}, "'video' comes twice; rename one"),
    ({"videos": [Video("video", 2, images=("a.png",))]}, "has 2 frames and 1 images"),
    ({"videos": [Video("video", -1)]}, "has length -1"),
    ({"videos": []}, "at least one"),
    ({"label": ["car"], "classes": ["bus"]}, "label: must be one of bus; got 'car'"),
    ({"label": [2], "classes": ["bus"]}, r"label: must lie in 0..0; row 0 has 2"),
    ({"label": [0.5]}, "label: must be names or whole numbers"),
    ({"probs": [[0.5, 0.2]]}, "probs: row 0 sums to 0.7"),
    ({"probs": [0.5]}, "probs: must be numbers of shape"),
    ({"scores": "percent"}, "scores: must be one of probability, logit, rank"),
    ({"invalid": "drop"}, "invalid: must be one of error, ignore"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_input_is_named(change, message):
    """A mistake would surface as a wrong answer, or as an error that does not say whose it is."""
    arguments = {"boxes": [BOX], "score": [0.5], "frame": [0], **change}
    with pytest.raises(InvalidInput, match=message):
        make_detections(**arguments)


def test_join_needs_a_table():
    """An empty list of files would end in an index error."""
    with pytest.raises(InvalidInput, match="at least one table"):
        join_detections([])
