"""From estimates to frames: which ones are chosen, and what they are worth beside the truth."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labelcut.problems import check, read_mot
from labelcut.problems.errors import InvalidInput, NotEnoughMemory
from labelcut.problems.frame_utilities import count_utility, entropy_utility, soft_utility
from labelcut.problems.road_world import road_world
from labelcut.problems.temporal_coherence import TemporalCoherence
from labelcut.problems.true_errors import find_errors
from labelcut.problems.video_files import Framing, Tracking
from labelcut.solvers import solve, sweep_trust
from labelcut.studies.video import (
    choose_frames,
    compare_estimates,
    frame_problem,
    frame_utility,
    track,
)


@pytest.fixture(scope="module")
def world():
    """Return a small road world."""
    return road_world(0.01, seconds=(3, 4), seed=2)


@pytest.fixture(scope="module")
def problem(world):
    """Return its problem."""
    return TemporalCoherence(world.detections, world.tracked, world.offsets)


def test_frames_keep_their_distance_and_their_share_of_a_video(problem):
    """Neighbors would be annotated twice over, or one video take all."""
    estimate = solve(problem)
    framing = Framing(budget=12, spacing=5, at_most=3)
    chosen = choose_frames(problem, count_utility(estimate), framing, time_limit=10)
    table = problem.detections.frame_table
    np.testing.assert_array_equal(chosen.table["video"], table["video"][chosen.indices])
    for video in set(chosen.table["video"]):
        frames = np.sort(chosen.table["frame"][chosen.table["video"] == video])
        assert len(frames) <= 3
        assert (np.diff(frames) > 5).all()
    check(frame_problem(problem, count_utility(estimate), framing), chosen)


def test_ties_are_broken_by_the_seed(problem):
    """Of frames with equal counts always the first would be annotated."""
    none = np.zeros(problem.detections.n_frames)
    framing = Framing(budget=5, spacing=0)
    picks = [
        choose_frames(problem, none, framing, seed=seed).indices.tolist() for seed in (0, 0, 1)
    ]
    assert picks[0] == picks[1] != picks[2]


def test_utilities_are_what_they_say(problem):
    """A file's `utility` would choose by another number."""
    estimate = solve(problem)
    np.testing.assert_array_equal(frame_utility(problem, estimate, "fp"), estimate.table["fp"])
    weighted = problem.reweighted("weighted")
    sweep = sweep_trust(weighted)
    soft = soft_utility(weighted, sweep.false_positive(), sweep.false_negative())
    np.testing.assert_array_equal(frame_utility(weighted, solve(weighted), "soft"), soft)
    for own in (problem, weighted):
        mixed = frame_utility(own, solve(own), "mixed")
        np.testing.assert_array_equal(mixed, estimate.table["fp"] + soft)


def test_compare_counts_by_hand(problem, world):
    """Precision, recall, correlation or share would be of something else."""
    framing = Framing(budget=10, spacing=2)
    rows = {row.method: row for row in compare_estimates(problem, world.truth, framing)}
    errors = find_errors(world.detections, world.truth, problem.graph)
    estimate = solve(problem)
    false, missed = estimate.types == "FP", estimate.candidate_types == "FN"
    both = (false & errors.false_positive).sum()
    assert rows["exact"].fp_precision == pytest.approx(both / false.sum())
    assert rows["exact"].fp_recall == pytest.approx(both / errors.false_positive.sum())
    both = (missed & errors.false_negative).sum()
    assert rows["exact"].fn_precision == pytest.approx(both / missed.sum())
    assert rows["exact"].fn_recall == pytest.approx(both / errors.false_negative.sum())
    from scipy.stats import spearmanr

    counted = estimate.table["fp"] + estimate.table["fn"]
    wanted = spearmanr(counted, errors.fp + errors.fn).statistic
    assert rows["exact"].correlation == pytest.approx(wanted)
    assert rows["exact"].share > rows["random"].share
    assert rows["threshold"].fn_precision is None


def test_a_reach_beyond_the_memory_is_refused_before_anything_is_tracked(world):
    """The process would be killed without a word."""
    with pytest.raises(NotEnoughMemory, match="reach 1000000000: needs about"):
        track(world.detections, Tracking(kind="static", reach=1_000_000_000))


def test_flow_needs_images(world):
    """A tracker that can see nothing would carry boxes nowhere and say nothing of it."""
    with pytest.raises(InvalidInput, match="'flow' needs images, and no video has any"):
        track(world.detections, Tracking())
    still = track(world.detections, Tracking(kind="static", reach=1))
    assert still.shape == (len(world.detections), 2, 4)


@pytest.mark.slow
@pytest.mark.skipif("LABELCUT_DATA" not in os.environ, reason="needs LABELCUT_DATA")
@pytest.mark.parametrize(
    ("name", "precision", "recall", "missed"),
    [("TUD-Campus", 0.79, 0.52, 0.34), ("PETS09-S3MF1", 0.86, 0.70, 0.40)],
)
def test_real_mistakes_are_found(name, precision, recall, missed, tmp_path):
    """The method would be worth less on real video than it was when it was measured."""
    pytest.importorskip("cv2")
    folder = Path(os.environ["LABELCUT_DATA"]) / "mot" / name
    detections, truth = read_mot(folder), read_mot(folder, truth=True)
    tracked = track(detections, Tracking(cache=tmp_path))
    problem = TemporalCoherence(detections, tracked, (-3, -2, -1, 1, 2, 3))
    row = compare_estimates(problem, truth, methods=("exact",))[0]
    assert row.fp_precision >= precision
    assert row.fp_recall >= recall
    assert row.fn_precision >= missed


def test_frame_baselines_and_the_oracle_choose_frames_only(problem, world):
    """Nobody could see whether the graph is worth more than the detector's own uncertainty."""
    framing = Framing(budget=20, spacing=0)
    rows = {row.method: row for row in compare_estimates(problem, world.truth, framing)}
    assert list(rows)[3:] == ["confidence", "entropy", "margin", "oracle"]
    errors = find_errors(world.detections, world.truth, problem.graph)
    real = errors.fp + errors.fn
    assert rows["oracle"].share == pytest.approx(np.sort(real)[-20:].sum() / real.sum())
    assert rows["oracle"].correlation == pytest.approx(1.0)
    from scipy.stats import spearmanr

    utility = frame_utility(problem, solve(problem), "entropy")
    np.testing.assert_array_equal(utility, entropy_utility(problem.detections))
    wanted = spearmanr(utility, real).statistic
    assert rows["entropy"].correlation == pytest.approx(wanted)
    best = np.sort(utility)[-20:]
    chosen = choose_frames(problem, utility, framing).indices
    np.testing.assert_allclose(np.sort(utility[chosen]), best)
    assert rows["entropy"].share == pytest.approx(real[chosen].sum() / real.sum())
    assert rows["margin"].fp is None
    with pytest.raises(InvalidInput, match="method: 'oracle' only ranks frames"):
        compare_estimates(problem, None, framing, methods=("oracle",))


def test_seeds_solve_again_only_what_draws(problem, world, monkeypatch):
    """Ten seeds would take ten times as long for the same cut, or one seed pass for another."""
    framing = Framing(budget=20, spacing=0)
    names = ("exact", "random", "entropy")

    def told(seeds, truth=world.truth):
        rows = compare_estimates(
            problem, truth, framing, methods=names[: 3 if truth else 2], seeds=seeds
        )
        return [replace(row, seconds=None) for row in rows]

    alone = [row for seed in (0, 3) for row in told((seed,))]
    solved = []

    def counting(stated, method="auto", **arguments):
        if stated is problem:
            solved.append((method, arguments["seed"]))
        return solve(stated, method, **arguments)

    monkeypatch.setattr("labelcut.studies.video.solve", counting)
    assert told((0, 3)) == alone
    assert solved == [("exact", 0), ("random", 0), ("random", 3)]
    without = told((0, 3), truth=None)  # nothing is chosen: only chance differs
    assert [row.method for row in without] == ["exact", "random", "random"]
    with pytest.raises(InvalidInput, match="seeds: at least one is needed"):
        told(())
