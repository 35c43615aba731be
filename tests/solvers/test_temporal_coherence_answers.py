"""Estimates of temporal coherence: baselines, files, and what is told of them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from labelcut.problems import check, load
from labelcut.problems.detections import Video, make_detections
from labelcut.problems.errors import CheckFailed, InvalidInput
from labelcut.problems.temporal_coherence import TemporalCoherence
from labelcut.solvers import methods, solve


def test_baselines_label_by_score_and_by_chance(tiny_video):
    """What the cut is measured against would be something else."""
    problem = tiny_video(2)
    table = problem.detections
    solution = solve(problem, "threshold", options={"below": 0.6})
    np.testing.assert_array_equal(solution.types == "FP", table.score < 0.6)
    assert not len(solution.false_negatives)
    assert solution.bound is None
    assert (solve(problem, "random", options={"share": 1}).types == "FP").all()
    same = [solve(problem, "random", seed=3).types.tolist() for _ in range(2)]
    assert same[0] == same[1]
    with pytest.raises(InvalidInput, match=r"share: must lie in 0\.\.1"):
        solve(problem, "random", options={"share": 2})


def test_methods_are_listed_with_their_needs(tiny_video):
    """`show` would not say what can solve the problem."""
    listed = methods(tiny_video(1))
    assert [(info.name, info.proves_bound, info.refusal) for info in listed] == [
        ("exact", True, None),
        ("threshold", False, None),
        ("random", False, None),
    ]
    assert all(info.memory > 0 for info in listed)


def test_estimates_come_back_from_json(tiny_video, tmp_path):
    """A saved answer could not be checked again."""
    for seed in range(5):
        problem = tiny_video(seed, weights="weighted")
        solution = solve(problem)
        path = tmp_path / "estimate.json"
        solution.save(path)
        again = load(path)
        np.testing.assert_array_equal(again.types, solution.types)
        np.testing.assert_array_equal(again.certain, solution.certain)
        for name, column in solution.table.items():
            np.testing.assert_array_equal(again.table[name], column)
        assert check(problem, again).proven == solution.bound
        assert solution.summary().splitlines()[0].endswith("by exact: optimal")


@pytest.mark.parametrize("change", ["types", "table", "flow", "unknown"])
def test_changed_files_are_found_out(tiny_video, tmp_path, change):
    """Somebody else's answer would be believed."""
    problem = tiny_video(4)
    path = tmp_path / "estimate.json"
    solve(problem).save(path)
    fields = json.loads(path.read_text())
    if change == "types":
        fields["types"][0] = "FP" if fields["types"][0] == "TP" else "TP"
    elif change == "table":
        fields["table"]["fp"][0] += 1
    elif change == "flow":
        fields["certificate"]["values"]["flow"] = [0 for _ in problem.edge_cost]
    else:
        fields["extra"] = 1
    path.write_text(json.dumps(fields))
    if change == "unknown":
        with pytest.raises(InvalidInput, match="unknown field 'extra'"):
            load(path)
        return
    with pytest.raises(CheckFailed):
        check(problem, load(path))


def test_of_answers_as_good_as_the_detectors_word_the_largest_is_taken():
    """Where correcting nothing is optimal too, ties would be broken otherwise than elsewhere."""
    table = make_detections([[0, 0, 9, 9]] * 3, [0.9] * 3, [0, 1, 2], videos=[Video("video", 4)])
    tracked = np.repeat(table.boxes[:, None], 2, axis=1)
    problem = TemporalCoherence(table, tracked, (-1, 1))
    solution = solve(problem)
    assert solution.objective == problem.baseline() == 1.0
    assert solution.candidate_types.tolist() == ["FN"]  # an end of the track, at the same energy
    np.testing.assert_array_equal(solution.table["fn"], solution.table["fn_most"])


@pytest.mark.parametrize("change", ["candidates", "fn_least", "certain", "open"])
def test_what_is_told_of_certainty_and_places_is_checked(change):
    """A candidate would be drawn elsewhere, or a mistake be called certain that is not so."""
    table = make_detections([[0, 0, 9, 9]] * 3, [0.9] * 3, [0, 1, 2], videos=[Video("video", 4)])
    problem = TemporalCoherence(table, np.repeat(table.boxes[:, None], 2, axis=1), (-1, 1))
    solution = solve(problem)
    check(problem, solution)
    assert solution.candidate_certain.tolist() == [False]
    changed = {
        "candidates": {"candidates": {**solution.candidates, "left": np.array([5.0])}},
        "fn_least": {"table": {**solution.table, "fn_least": solution.table["fn_most"]}},
        "certain": {"candidate_certain": np.array([True])},
        "open": {"certain": np.array([True, False, True])},
    }
    with pytest.raises(CheckFailed, match=r"candidates: column 'left'|fn_least|certain: "):
        check(problem, replace(solution, **changed[change]))
