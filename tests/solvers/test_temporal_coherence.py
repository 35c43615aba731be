"""Minimum cuts over video detections: optimal, proven, and with both extremes."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut.problems import check
from labelcut.problems.base import Status, StoppedBy
from labelcut.problems.coherence_weights import CoherenceWeights
from labelcut.problems.detections import Video, make_detections
from labelcut.problems.errors import InvalidInput
from labelcut.problems.temporal_coherence import TemporalCoherence
from labelcut.solvers import solve
from labelcut.solvers.temporal_coherence import cutting, exact
from labelcut.solvers.temporal_coherence.cutting import Cut
from labelcut.solvers.temporal_coherence.sweeping import GRAIN, LEVELS, sweep_trust

WEIGHTS = (
    "paper",
    "weighted",
    CoherenceWeights(0.3, 0.1, 0.2, 0.1, 0.3, 0.1, 0.2, 0.7),
)


def optima(problem):
    """Return the least energy in integers, and all labelings that have it."""
    labelings = np.array(list(product([False, True], repeat=problem.n_nodes)))
    energies = np.array([sum(problem.energy(present)) for present in labelings])
    return int(energies.min()), labelings[energies == energies.min()]


def random_cut(seed, nodes=9, top=4):
    """Return a small graph with many ties."""
    rng = np.random.default_rng(seed)
    edges = np.array([(i, j) for i in range(nodes) for j in range(i) if rng.random() < 0.4])
    return Cut(
        rng.integers(0, top, nodes),
        rng.integers(0, top, nodes),
        edges.reshape(-1, 2),
        rng.integers(0, top, len(edges)),
    )


@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_cut_is_optimal_and_its_flow_proves_it(tiny_video, weights):
    """A labeling would be called optimal that brute force beats."""
    for seed in range(40):
        problem = tiny_video(seed, weights=weights)
        solution = solve(problem)
        least, _ = optima(problem)
        assert solution.status is Status.OPTIMAL
        assert solution.objective == solution.bound == least / problem.scale
        assert problem.prove(solution.certificate) == solution.objective
        report = check(problem, solution)
        assert report.bound_rechecked
        assert report.rows == len(problem.detections)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_extreme_cuts_bracket_every_optimal_labeling(tiny_video, weights):
    """A node would be called certain that another optimal labeling sees otherwise."""
    uncertain = 0
    for seed in range(40):
        problem = tiny_video(seed, weights=weights)
        solution = solve(problem)
        _, best = optima(problem)
        agreed = np.concatenate([solution.certain, solution.candidate_certain])
        np.testing.assert_array_equal(agreed, (best == best[0]).all(axis=0))
        present = problem.present(solution)
        np.testing.assert_array_equal(present, best.any(axis=0))  # the largest optimal set
        uncertain += (~agreed).sum()
    assert uncertain > 0 or weights != "paper"


def test_frames_count_mistakes_as_ranges(tiny_video):
    """A frame's range would not hold the counts of all optimal labelings."""
    for seed in range(30):
        problem = tiny_video(seed)
        solution = solve(problem)
        _, best = optima(problem)
        counts = np.array([problem.count(present) for present in best])
        for at, name in enumerate(("fp", "fn")):
            own = solution.table[name]
            np.testing.assert_array_equal(own, problem.count(problem.present(solution))[at])
            assert (solution.table[f"{name}_least"] == counts[:, at].min(axis=0)).all()
            assert (solution.table[f"{name}_most"] == counts[:, at].max(axis=0)).all()


@given(st.integers(0, 2**32 - 1))
def test_three_solvers_agree_on_the_value(seed):
    """The energy of the cut, OR-tools' flow and networkx' minimum cut would differ."""
    import networkx

    cut = random_cut(seed)
    graph = networkx.DiGraph()
    graph.add_nodes_from(["s", "t"])
    for node, (absent, present) in enumerate(zip(cut.absent, cut.present, strict=True)):
        graph.add_edge("s", node, capacity=int(absent))
        graph.add_edge(node, "t", capacity=int(present))
    for (one, other), weight in zip(cut.edges.tolist(), cut.weight, strict=True):
        graph.add_edge(one, other, capacity=int(weight))
        graph.add_edge(other, one, capacity=int(weight))
    value = networkx.minimum_cut_value(graph, "s", "t")

    def energy(present):
        apart = present[cut.edges[:, 0]] != present[cut.edges[:, 1]]
        return cut.absent[~present].sum() + cut.present[present].sum() + cut.weight[apart].sum()

    assert energy(cut.largest()) == energy(cut.smallest()) == value
    assert (cut.smallest() <= cut.largest()).all()
    out = np.zeros(len(cut.absent), dtype=np.int64)
    flow = cut.flow()
    assert (np.abs(flow) <= cut.weight).all()
    np.add.at(out, cut.edges[:, 0], flow)
    np.subtract.at(out, cut.edges[:, 1], flow)
    assert np.minimum(cut.absent, cut.present + out).sum() == value


def test_fractions_keep_their_ties():
    """0.3 against 0.1 + 0.2 would be decided by the rounding of floats."""
    table = make_detections([[0, 0, 10, 10]], [0.9], [0], videos=[Video("video", 3)])
    weights = CoherenceWeights(detection=0.3, candidate=1.0, origin=0.2, decay=0.5)
    tracked = np.repeat(table.boxes[:, None], 2, axis=1)
    problem = TemporalCoherence(table, tracked, (1, 2), weights=weights)
    assert 0.1 + 0.2 > 0.3
    solution = solve(problem)
    assert len(optima(problem)[1]) == 2
    assert solution.certain.tolist() == [False]
    assert solution.types.tolist() == ["TP"]
    assert abs(solution.objective - 0.3) <= solution.info["rounding"]


def test_batches_of_videos_are_solved_as_one(monkeypatch):
    """Nodes or edges would be lost where one batch of videos ends."""
    rng = np.random.default_rng(5)
    count = 300
    boxes = np.concatenate([rng.uniform(0, 40, (count, 2)), np.full((count, 2), 12.0)], axis=1)
    videos = [Video(f"v{at}", 6) for at in range(20)]
    table = make_detections(
        boxes,
        rng.random(count),
        rng.integers(0, 6, count),
        video=[f"v{at}" for at in rng.integers(0, 19, count)],
        videos=videos,
    )
    tracked = np.repeat(boxes[:, None], 2, axis=1) + rng.normal(0, 1, (count, 2, 1)) * [1, 1, 0, 0]
    problem = TemporalCoherence(table, tracked, (-1, 1), weights="weighted")
    whole, flips = solve(problem), sweep_trust(problem).flips
    monkeypatch.setattr(cutting, "BATCH", 40)
    assert len(list(cutting.batches(problem))) > 5
    parts = solve(problem)
    assert whole.objective == parts.objective == parts.bound
    np.testing.assert_array_equal(whole.types, parts.types)
    np.testing.assert_array_equal(whole.certain, parts.certain)
    np.testing.assert_array_equal(sweep_trust(problem).flips, flips)


def test_out_of_time_the_rest_keeps_the_detectors_word(tiny_video, monkeypatch):
    """A run that is stopped would return nothing, or a bound that it did not prove."""

    def stopped(problem):
        yield from ()
        raise KeyboardInterrupt

    problem = tiny_video(4)
    monkeypatch.setattr(exact, "batches", stopped)
    solution = solve(problem)
    assert solution.stopped_by is StoppedBy.INTERRUPT
    assert solution.objective == problem.baseline()
    assert solution.bound == 0.0
    assert solution.certain is None
    check(problem, solution)


def test_an_empty_film_is_solved(tiny_video):
    """A drive on which nothing was detected would end in an error."""
    table = make_detections(np.empty((0, 4)), [], [], video=[], videos=[Video("video", 3)])
    problem = TemporalCoherence(table, np.empty((0, 2, 4)), (-1, 1))
    solution = solve(problem)
    assert (solution.objective, solution.status) == (0.0, Status.OPTIMAL)
    assert solution.table["fp"].tolist() == [0, 0, 0]
    assert len(sweep_trust(problem).flips) == 0
    check(problem, solution)


def test_a_limit_that_is_over_at_once_gives_the_detectors_word(tiny_video):
    """A short time limit would return nothing at all."""
    problem = tiny_video(4)
    solution = solve(problem, time_limit=1e-9)
    assert solution.stopped_by is StoppedBy.TIME
    assert solution.objective == problem.baseline()
    check(problem, solution)


def test_without_a_certificate_the_bound_cannot_be_rechecked(tiny_video):
    """A report would say proven of what nobody can prove again."""
    problem = tiny_video(4)
    solution = solve(problem, options={"certificate": False, "extremes": False})
    assert solution.objective == solution.bound == optima(problem)[0]
    assert solution.certain is None
    assert not check(problem, solution).bound_rechecked


def test_a_planted_flash_is_false_and_a_planted_blink_is_missed():
    """The method would not find what it is for."""
    box, flash = [10.0, 10, 20, 40], [200.0, 50, 20, 20]
    frames = [0, 1, 2, 3, 5, 6, 7, 8]
    table = make_detections([box] * 8 + [flash], [0.9] * 9, [*frames, 3])
    tracked = np.repeat(table.boxes[:, None], 6, axis=1)
    problem = TemporalCoherence(table, tracked, (-3, -2, -1, 1, 2, 3))
    solution = solve(problem)
    assert solution.types.tolist() == ["TP"] * 8 + ["FP"]
    missed = solution.false_negatives
    assert solution.candidates["frame"][missed].tolist() == [4]
    assert [
        solution.candidates[side][missed[0]] for side in ("left", "top", "width", "height")
    ] == box
    assert solution.table["fp"].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert solution.table["fn"].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]


@given(st.integers(0, 10**6))
@settings(max_examples=40)
def test_shuffled_rows_get_the_same_types(seed):
    """The answer would depend on the order of lines in a file."""
    rng = np.random.default_rng(seed)
    count = 40
    boxes = np.concatenate([rng.uniform(0, 30, (count, 2)), np.full((count, 2), 10.0)], axis=1)
    frame, score = rng.integers(0, 7, count), rng.random(count)
    tracked = boxes[:, None] + rng.normal(0, 2, (count, 4, 1)) * [1, 1, 0, 0]
    order = rng.permutation(count)
    found = []
    for rows in (np.arange(count), order):
        table = make_detections(boxes[rows], score[rows], frame[rows], videos=[Video("video", 7)])
        for weights in ("paper", "weighted"):
            problem = TemporalCoherence(table, tracked[rows], (-2, -1, 1, 2), weights=weights)
            found.append((solve(problem), sweep_trust(problem).level()))
    for (one, levels), (other, shuffled) in zip(found[:2], found[2:], strict=True):
        assert one.objective == other.objective
        np.testing.assert_array_equal(one.types[order], other.types)
        np.testing.assert_array_equal(one.candidate_types, other.candidate_types)
        np.testing.assert_array_equal(levels[order], shuffled)


@pytest.mark.parametrize("largest", [True, False])
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_sweep_is_nested_and_agrees_with_cuts_at_each_level(tiny_video, largest, seed):
    """Halving the levels would give other sets than solving at each of them."""
    problem = tiny_video(seed % 1000, weights=WEIGHTS[seed % 3])
    sweep = sweep_trust(problem, largest=largest)
    before = np.zeros(problem.n_nodes, dtype=bool)
    for at, level in enumerate(LEVELS):
        cut = Cut(
            np.rint(problem.absent_cost * GRAIN * level).astype(np.int64),
            problem.present_cost * GRAIN,
            problem.edges,
            problem.edge_cost * GRAIN,
        )
        present = cut.largest() if largest else cut.smallest()
        assert (before <= present).all()
        np.testing.assert_array_equal(present, sweep.flips <= at)
        before = present
    np.testing.assert_allclose(
        sweep.false_positive() * len(LEVELS), sweep.flips[: sweep.n_detections]
    )
    np.testing.assert_allclose(
        1 - sweep.false_negative(), sweep.flips[sweep.n_detections :] / len(LEVELS)
    )


def test_sweep_at_trust_one_is_the_problem_itself(tiny_video):
    """Levels would be of another scale than the problem's own costs."""
    for seed in range(20):
        problem = tiny_video(seed)
        there = sweep_trust(problem, [1.0]).flips == 0
        np.testing.assert_array_equal(there, problem.present(solve(problem)))


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([], "ascending numbers above 0"),
        ([1.0, 1.0], "ascending numbers above 0"),
        ([0.0, 1.0], "ascending numbers above 0"),
        ([1e300], "beyond the integers of the cut"),
    ],
)
def test_bad_levels_are_named(tiny_video, levels, message):
    """Capacities would overflow silently."""
    with pytest.raises(InvalidInput, match=message):
        sweep_trust(tiny_video(1), levels)


def test_scaling_all_costs_of_nodes_is_not_nested():
    """The sweep's docstring says why candidates keep their costs: else objects come and go."""

    def present(cut, detections, level, candidate_level):
        scale = np.where(np.arange(len(cut.absent)) < detections, level, candidate_level)
        priced = Cut(cut.absent * scale, cut.present * scale, cut.edges, 4 * cut.weight)
        return priced.largest()

    crossing = {True: 0, False: 0}
    for seed in range(250):
        rng = np.random.default_rng(seed)
        base, detections = random_cut(seed, nodes=12), 7
        own = np.arange(12) < detections
        absent, missed = (rng.integers(1, 4, 12) for _ in range(2))
        cut = Cut(np.where(own, absent, 0), np.where(own, 0, missed), base.edges, base.weight)
        for all_scaled in crossing:
            sets = [
                present(cut, detections, level, level if all_scaled else 4)
                for level in range(1, 17)
            ]
            grows = all((one <= other).all() for one, other in pairwise(sets))
            crossing[all_scaled] += not grows
    assert crossing[False] == 0
    assert crossing[True] > 0


def test_a_sweep_out_of_time_says_so(tiny_video, caplog):
    """A ranking that is not finished would look like one that is."""
    problem = tiny_video(4)
    assert sweep_trust(problem, time_limit=60).complete
    stopped = sweep_trust(problem, time_limit=1e-9)
    assert not stopped.complete
    assert (stopped.flips == len(LEVELS) // 2).all()
    assert "ran out of time" in caplog.text
    with pytest.raises(InvalidInput, match="time_limit: must be above 0 seconds; got 0"):
        sweep_trust(problem, time_limit=0)


def test_low_levels_do_not_overflow(tiny_video):
    """Costs that fit the cut would not fit once they are multiplied for the sweep."""
    heavy = tiny_video(1, weights=CoherenceWeights(detection=2.0**53))
    with pytest.raises(InvalidInput, match="beyond the integers of the cut"):
        sweep_trust(heavy, [2.0**-20])


def test_one_long_video_is_cut_in_parts():
    """The clock would not be read during the cut of a video of a whole day."""
    frames = np.repeat(np.arange(0, 400, 10), 2)
    boxes = np.tile([[0.0, 0, 9, 9], [50, 0, 9, 9]], (40, 1))
    table = make_detections(boxes, np.full(80, 0.9), frames)
    problem = TemporalCoherence(table, np.repeat(boxes[:, None], 2, axis=1), (-1, 1))
    whole = solve(problem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "BATCH", 20)
        assert len(list(cutting.batches(problem))) > 5
        parts = solve(problem)
    np.testing.assert_array_equal(parts.types, whole.types)
    np.testing.assert_array_equal(parts.certain, whole.certain)
    assert parts.bound == whole.bound == whole.objective


def test_no_video_at_all_is_solved():
    """An empty table would end in a traceback."""
    table = make_detections(np.empty((0, 4)), [], [])
    problem = TemporalCoherence(table, np.empty((0, 2, 4)), (-1, 1))
    assert solve(problem).objective == 0.0
    assert not len(sweep_trust(problem).flips)
