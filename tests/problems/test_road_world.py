"""The made-up road world: Table 2.1's counts, truth that can be seen, and flaws as asked for."""

import numpy as np
import pytest

from labelcut.problems.boxes import iou
from labelcut.problems.errors import InvalidInput
from labelcut.problems.road_world import TEST, TRAINING, Flaws, road_world
from labelcut.problems.temporal_coherence import TemporalCoherence
from labelcut.problems.true_errors import find_errors
from labelcut.solvers import solve


@pytest.fixture(scope="module")
def world():
    """Return a twentieth of the training set, in short sequences."""
    return road_world(0.05, seconds=(3, 5), seed=1)


def test_subsets_are_those_of_the_thesis():
    """Shares of areas and classes would be others than in Table 2.1."""
    assert [(s.name, s.sequences) for s in TRAINING] == [
        ("default", 150),
        ("town", 36),
        ("night", 6),
        ("wheelchair", 5),
    ]
    assert sum(s.sequences for s in TRAINING) == 197
    assert sum(s.sequences for s in TEST) == 97


def test_kinds_appear_only_where_they_may(world):
    """Night would have pedestrians, or the wheelchair subset cars."""
    names = [video.name.rpartition("-")[0] for video in world.truth.videos]
    seen = {name: set() for name in names}
    for video, label in zip(world.truth.video, world.truth.label, strict=True):
        seen[names[video]].add(world.truth.classes[label])
    assert seen["night"] == {"car"}
    assert "car" not in seen["wheelchair"]
    assert "wheelchair" in seen["wheelchair"]
    assert "wheelchair" not in seen["default"] | seen["town"]


def test_lengths_and_scale():
    """A scale would not shrink the world, or sequences would not last 10 to 30 s."""
    whole = road_world(0.02, seed=3)
    assert [video.name for video in whole.truth.videos] == [
        "default-0",
        "default-1",
        "default-2",
        "town-0",
        "night-0",
        "wheelchair-0",
    ]
    assert all(250 <= video.length <= 750 for video in whole.truth.videos)


def test_the_same_seed_is_the_same_world(world):
    """A benchmark could not be run again."""
    again = road_world(0.05, seconds=(3, 5), seed=1)
    np.testing.assert_array_equal(again.detections.boxes, world.detections.boxes)
    np.testing.assert_array_equal(again.tracked, world.tracked)
    other = road_world(0.05, seconds=(3, 5), seed=2)
    assert len(other.detections) != len(world.detections)


def test_objects_move_and_nearer_ones_hide_farther_ones(world):
    """Nothing would be hidden, or the wrong one of two."""
    objects = world.objects
    checked = 0
    for video in range(3):
        for frame in range(0, 75, 5):
            here = np.flatnonzero((objects["video"] == video) & (objects["frame"] == frame))
            for at in here:
                nearer = here[objects["depth"][here] < objects["depth"][at]]
                alone = not (iou(objects["box"][at], objects["box"][nearer]) > 0).any()
                assert bool(objects["seen"][at] == 1.0) is alone
                checked += 1
    assert checked > 20
    assert (objects["seen"] < 1).mean() > 0.02


def test_tracked_boxes_lead_where_objects_go():
    """The tracker of the world would belong to other detections."""
    clean = road_world(
        0.01, seconds=(4, 4), flaws=Flaws(miss=0.0, duplicate=0, flash=0, ghost=0, jitter=0)
    )
    table = clean.detections
    errors = find_errors(table, clean.truth)
    assert errors.false_positive.mean() < 0.02  # objects at the border are cut off in the truth
    problem = TemporalCoherence(table, clean.tracked, clean.offsets)
    linked = np.unique(problem.graph.links)
    assert len(linked) > 0.97 * len(table)


def test_flaws_are_as_many_as_asked_for(world):
    """The detector would miss or imagine more or less than its parameters say."""
    errors = find_errors(world.detections, world.truth)
    assert 0.1 < errors.missed.mean() < 0.25
    assert 0.1 < errors.false_positive.mean() < 0.45


def test_the_cut_finds_the_planted_mistakes(world):
    """The method would be worth no more than the base rate."""
    problem = TemporalCoherence(world.detections, world.tracked, world.offsets)
    errors = find_errors(world.detections, world.truth, problem.graph)
    solution = solve(problem)
    false, missed = solution.types == "FP", solution.candidate_types == "FN"
    assert errors.false_positive[false].mean() > 0.9
    assert false[errors.false_positive].mean() > 0.5
    assert errors.false_negative[missed].mean() > 3 * errors.false_negative.mean()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"scale": 0}, "scale, seconds: must be above 0"), ({"seconds": (3, 2)}, "in order")],
)
def test_bad_sizes_are_named(arguments, message):
    """An empty world would surface as an error of NumPy's."""
    with pytest.raises(InvalidInput, match=message):
        road_world(**arguments)
