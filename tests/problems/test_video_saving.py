"""Video problems that are saved and solved again."""

import numpy as np
import pytest

from labelcut.problems import check, load
from labelcut.problems.coherence_weights import CoherenceWeights
from labelcut.problems.detections import Video, make_detections
from labelcut.problems.errors import InvalidInput
from labelcut.problems.temporal_coherence import TemporalCoherence
from labelcut.solvers import solve

OFFSETS = (-2, -1, 1, 2)


def two_videos(seed, *, offsets=OFFSETS, **parameters):
    """Return a problem of two videos, two classes and a box that is ignored."""
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([rng.uniform(0, 20, (20, 2)), rng.uniform(5, 9, (20, 2))], axis=1)
    boxes[7, 2] = 0
    table = make_detections(
        boxes,
        rng.random(20),
        rng.integers(1, 6, 20),
        video=rng.choice(["b", "a"], 20),
        label=rng.choice(["car", "bus"], 20),
        videos=[Video("b", 6, 1, (40, 30), ("x.png", None, *["y.png"] * 4)), Video("a", 9)],
        invalid="ignore",
    )
    tracked = np.repeat(boxes[:, None], len(offsets), axis=1) + rng.normal(0, 1, (20, 1, 1))
    tracked[3, 0] = np.nan
    return TemporalCoherence(table, np.abs(tracked).astype(np.float32), offsets, **parameters)


@pytest.mark.parametrize("weights", ["paper", CoherenceWeights(0.1, 0.7, link=1 / 3)])
def test_a_saved_problem_is_the_same_problem(tmp_path, weights):
    """Somebody else would solve another problem, or could not check an answer to this one."""
    problem = two_videos(3, weights=weights, min_score=0.1, link_iou=0.3)
    problem.save(tmp_path / "drive.toml", solve={"seed": 4})
    again = load(tmp_path / "drive.toml")
    assert again.fingerprint == problem.fingerprint
    found = solve(problem)
    answer = solve(again)
    np.testing.assert_array_equal(found.types, answer.types)
    assert check(again, found).bound_rechecked
    for name in ("video", "frame"):  # the user's own names and numbers
        np.testing.assert_array_equal(found.table[name], answer.table[name])
    assert again.detections.classes == problem.detections.classes


def test_the_command_line_takes_a_saved_problem(tmp_path):
    """The file would be one that only the library can read."""
    from labelcut.problems.video_files import read_video_file
    from labelcut.studies import video_problem

    problem = two_videos(5)
    problem.save(tmp_path / "drive.toml", solve={"seed": 4})
    content = read_video_file(tmp_path / "drive.toml")
    assert content.solve == {"seed": 4}
    assert video_problem(content).fingerprint == problem.fingerprint


def test_what_a_file_cannot_tell_is_refused(tmp_path):
    """Another problem would be written than the one at hand."""
    with pytest.raises(InvalidInput, match="offsets: a file tells those from -K to K only"):
        two_videos(1, offsets=(1, 2)).save(tmp_path / "drive.toml")
    with pytest.raises(InvalidInput, match=r"ends in \.toml"):
        two_videos(1).save(tmp_path / "drive.json")
    table = make_detections(np.empty((0, 4)), [], [], video=[], videos=[Video("none", 0)])
    empty = TemporalCoherence(table, np.empty((0, 2, 4)), (-1, 1))
    with pytest.raises(InvalidInput, match="'none' has no frame"):
        empty.save(tmp_path / "drive.toml")
    assert not list(tmp_path.iterdir())
