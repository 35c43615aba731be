"""What frames are worth, and the detector's real mistakes."""

import os
from pathlib import Path

import numpy as np
import pytest

from labelcut.problems.detection_files import read_mot
from labelcut.problems.detections import Video, make_detections
from labelcut.problems.error_estimate import ErrorEstimate
from labelcut.problems.errors import InvalidInput
from labelcut.problems.frame_utilities import (
    count_utility,
    entropy_utility,
    least_confidence_utility,
    margin_utility,
    soft_utility,
    summed_utility,
)
from labelcut.problems.temporal_coherence import TemporalCoherence
from labelcut.problems.true_errors import find_errors
from labelcut.solvers import solve

BOX = [0.0, 0.0, 10.0, 10.0]
VIDEOS = [Video("a", 2), Video("b", 2)]


def test_baselines_from_hand():
    """Frames would be ranked by something else than the paper's baselines."""
    probs = [[0.7, 0.2, 0.1], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]
    table = make_detections(
        [BOX] * 3, [0.7, 0.5, 1.0], [1, 1, 0], video=["a", "a", "b"], videos=VIDEOS, probs=probs
    )
    entropy = [-(0.7 * np.log(0.7) + 0.2 * np.log(0.2) + 0.1 * np.log(0.1)), np.log(2)]
    np.testing.assert_allclose(least_confidence_utility(table), [-2, -0.6, -1, -2])
    np.testing.assert_allclose(entropy_utility(table), [-1, np.mean(entropy), 0, -1])
    np.testing.assert_allclose(margin_utility(table), [-1, 0.5**2 + 1, 0, -1])


def test_without_probabilities_the_score_stands_for_them():
    """A detector with scores only would have no baselines."""
    table = make_detections([BOX], [0.8], [0])
    np.testing.assert_allclose(least_confidence_utility(table), [-0.8])
    np.testing.assert_allclose(margin_utility(table), [(1 - 0.6) ** 2])


def test_frames_without_detections_rank_last():
    """Empty frames would be annotated first, since nothing in them is uncertain."""
    table = make_detections([BOX] * 2, [0.99, 0.5], [0, 2], videos=[Video("video", 4)])
    for utility in (least_confidence_utility, entropy_utility, margin_utility):
        found = utility(table)
        assert found[[1, 3]].max() < found[[0, 2]].min()


def test_counts_are_those_of_the_estimate():
    """The thesis's utility would count something else."""
    table = make_detections([BOX, [90, 0, 5, 5]], [0.9, 0.9], [0, 2], videos=[Video("video", 4)])
    tracked = np.repeat(table.boxes[:, None], 2, axis=1)
    estimate = solve(TemporalCoherence(table, tracked, (-1, 1)))
    assert count_utility(estimate, "fp").tolist() == estimate.table["fp"].tolist()
    both = estimate.table["fp"] + estimate.table["fn"]
    assert count_utility(estimate, "both").tolist() == both.tolist()
    with pytest.raises(InvalidInput, match="what: must be one of fp, fn, both"):
        count_utility(estimate, "tp")
    empty = ErrorEstimate(
        sense="min", objective=None, bound=None, status="unknown", stopped_by="time",
        method="exact", fingerprint="", types=np.empty(0), candidate_types=np.empty(0),
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="holds no answer"):
        count_utility(empty)


def test_soft_counts_from_hand():
    """A missed object would count whoever it came from, or as often as it has origins."""
    table = make_detections([BOX, BOX], [0.9, 0.5], [0, 2])
    problem = TemporalCoherence(table, np.repeat(table.boxes[:, None], 2, axis=1), (-1, 1))
    found = soft_utility(problem, [0.25, 1.0], [0.5], missed=2.0)
    np.testing.assert_allclose(found, [0.25, 2 * 0.5 * 0.7, 1.0])


def test_ignored_detections_count_for_nothing():
    """What cannot be used would make its frame worth annotating."""
    table = make_detections([BOX, [0, 0, 0, 1]], [0.5, 0.5], [0, 0], invalid="ignore")
    assert summed_utility(table, [1.0, 1.0]).tolist() == [1.0]


def test_duplicates_are_false_and_the_best_score_has_the_object():
    """Two detections of one object would both be right."""
    boxes = [BOX, [1, 0, 10, 10], [50, 0, 10, 10], [5, 0, 10, 10]]
    table = make_detections(boxes, [0.8, 0.9, 0.7, 0.6], [0] * 4, videos=[Video("video", 2)])
    truth = make_detections([BOX, [80, 0, 5, 5]], [1, 1], [0, 1])
    errors = find_errors(table, truth)
    assert errors.false_positive.tolist() == [True, False, True, True]
    assert errors.missed.tolist() == [False, True]
    assert (errors.fp.tolist(), errors.fn.tolist()) == ([3, 0], [0, 1])


def test_classes_agree_by_name_and_an_overlap_of_one_half_counts():
    """Tables that number classes differently would not match."""
    table = make_detections([BOX, BOX], [0.9, 0.8], [0, 0], label=["car", "bus"])
    truth = make_detections([[0, 0, 10, 5]], [1], [0], label=["bus"])
    assert find_errors(table, truth).false_positive.tolist() == [True, False]


def test_candidates_on_missed_objects_are_false_negatives():
    """A candidate would be judged by objects that the detector has."""
    table = make_detections([BOX, BOX, [60, 0, 10, 10]], [0.9] * 3, [0, 2, 0])
    problem = TemporalCoherence(table, np.repeat(table.boxes[:, None], 2, axis=1), (-1, 1))
    truth = make_detections([BOX] * 3, [1] * 3, [0, 1, 2])
    errors = find_errors(table, truth, problem.graph)
    left = problem.graph.boxes[:, 0]
    assert dict(zip(left, errors.false_negative, strict=True)) == {0.0: True, 60.0: False}


def test_truth_must_be_about_the_same_videos():
    """Frames of another film would be compared."""
    table = make_detections([BOX], [0.9], [0])
    with pytest.raises(InvalidInput, match="truth: must be about the same videos"):
        find_errors(table, make_detections([BOX], [1], [1]))


@pytest.mark.skipif("LABELCUT_DATA" not in os.environ, reason="needs LABELCUT_DATA")
@pytest.mark.parametrize("name", ["TUD-Campus", "PETS09-S3MF1"])
def test_real_mistakes_are_those_of_the_published_table(name):
    """Our truth would differ from the counts that came with the data."""
    folder = Path(os.environ["LABELCUT_DATA"]) / "mot" / name
    errors = find_errors(read_mot(folder), read_mot(folder, truth=True))
    table = np.genfromtxt(folder / "fpfn_det.csv", delimiter=",", names=True)
    np.testing.assert_array_equal(errors.fp, table["fp"])
    np.testing.assert_array_equal(errors.fn, table["fn"])


def test_truth_that_cannot_be_used_is_not_missed():
    """Boxes of zero area among the truth would be objects that no detector can find."""
    table = make_detections([BOX], [0.9], [0])
    truth = make_detections([BOX, [0, 0, 0, 9]], [1, 1], [0, 0], invalid="ignore")
    errors = find_errors(table, truth)
    assert errors.missed.tolist() == [False, False]
    with pytest.raises(InvalidInput, match="min_iou: must lie in"):
        find_errors(table, truth, min_iou=0)
