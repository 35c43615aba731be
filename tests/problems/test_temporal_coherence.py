"""The energy over video detections: the thesis's four labels, one variable, and its bounds."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelcut.problems.base import Certificate
from labelcut.problems.coherence_weights import PRESETS, CoherenceWeights
from labelcut.problems.detections import Video, make_detections
from labelcut.problems.errors import InfeasibleSelection, InvalidInput
from labelcut.problems.temporal_coherence import TemporalCoherence

LABELS = ("TP", "FP", "TN", "FN")
INFINITE = 10**9
DETECTION = dict(zip(LABELS, (0, 1, INFINITE, INFINITE), strict=True))  # eq. 2.2
CANDIDATE = dict(zip(LABELS, (INFINITE, INFINITE, 0, 1), strict=True))  # eq. 2.3
PAIR = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [0, 1, 1, 0]])  # eq. 2.4


def thesis_energy(problem, labels):
    """Return eq. 2.1 of one label for each node, from its tables."""
    count = len(problem.detections)
    unary = sum((DETECTION if v < count else CANDIDATE)[label] for v, label in enumerate(labels))
    return unary + sum(
        int(PAIR[LABELS.index(labels[one]), LABELS.index(labels[other])])
        for one, other in problem.edges.tolist()
    )


@pytest.fixture(scope="module")
def small(tiny_video):
    """Return a few small random problems of unit costs."""
    return [tiny_video(seed) for seed in range(12)]


def test_four_labels_and_one_variable_have_the_same_energy(small):
    """The cut would solve another problem than the thesis states."""
    for problem in small:
        count = len(problem.detections)
        for bits in product([False, True], repeat=problem.n_nodes):
            present = np.array(bits)
            labels = [
                ("TP" if x else "FP") if v < count else ("FN" if x else "TN")
                for v, x in enumerate(bits)
            ]
            assert problem.evaluate(present).objective == thesis_energy(problem, labels)


def test_correctness_is_not_submodular_where_presence_is():
    """A cut over "the output is correct", which the thesis names, would not be optimal."""
    here = {"d": ("FP", "TP"), "c": ("TN", "FN")}
    right = {"d": ("FP", "TP"), "c": ("FN", "TN")}
    for variable, submodular in ((here, True), (right, False)):
        cost = [
            [PAIR[LABELS.index(a), LABELS.index(b)] for b in variable["c"]] for a in variable["d"]
        ]
        assert (cost[0][0] + cost[1][1] <= cost[0][1] + cost[1][0]) is np.bool_(submodular)


def test_terms_add_up_to_the_energy(small):
    """A report would show parts of another sum."""
    rng = np.random.default_rng(0)
    for problem in small:
        found = problem.evaluate(rng.random(problem.n_nodes) < 0.5)
        assert sum(found.terms.values()) == found.objective


def test_trusting_the_detector_costs_its_open_ends():
    """The baseline would not be the labeling without any correction."""
    box = [0, 0, 10, 10]
    table = make_detections([box, box], [0.9, 0.9], [0, 2])
    problem = TemporalCoherence(table, np.repeat(table.boxes[:, None], 2, axis=1), (-1, 1))
    # One candidate in frame 1, tied to both; nothing lies 2 frames away.
    assert problem.baseline() == 2.0
    assert problem.evaluate(np.array([True, True, True])).objective == 1.0


@given(st.integers(0, 2**32 - 1), st.floats(0, 3))
def test_any_flow_proves_at_most_the_optimum(tiny_video, seed, size):
    """A forged certificate would prove a bound that some labeling beats."""
    problem = tiny_video(seed % 50, weights="weighted")
    rng = np.random.default_rng(seed)
    flow = np.rint(rng.normal(0, size, len(problem.edge_cost)) * problem.scale)
    bound = problem.prove(Certificate("flow", True, None, {"flow": flow}))
    best = min(
        problem.evaluate(np.array(bits)).objective
        for bits in product([False, True], repeat=problem.n_nodes)
    )
    assert bound <= best


@pytest.mark.parametrize("sign", [-1, 1])
def test_flow_beyond_a_weight_counts_as_the_weight(sign):
    """A forged flow through a weak edge would prove more than the optimum."""
    table = make_detections([[0, 0, 5, 5]], [0.5], [0], videos=[Video("video", 2)])
    weights = CoherenceWeights(origin=0.125)
    problem = TemporalCoherence(table, np.full((1, 1, 4), 5.0), (1,), weights=weights)
    flow = [sign * problem.scale]
    bound = problem.prove(Certificate("flow", True, 1.0, {"flow": flow}))
    assert problem.evaluate(np.array([True, False])).objective == 0.125
    assert bound <= 0.125


@pytest.mark.parametrize(
    "certificate",
    [
        Certificate("minimum-cut", False, None, {}),
        Certificate("flow", True, 1.0, {}),
        Certificate("flow", True, 1.0, {"flow": [1] * 99}),
        Certificate("flow", True, 1.0, {"flow": ["much"]}),
    ],
)
def test_what_is_no_flow_proves_nothing(small, certificate):
    """A damaged file would end in a traceback."""
    assert small[0].prove(certificate) is None


def test_weights_follow_their_formula(tiny_video):
    """A preset would weigh something else than its documentation says."""
    weights = CoherenceWeights(0.5, 2.0, 0.75, 0.25, 0.5, 0.125, 1.0, 0.5)
    problem = tiny_video(3, weights=weights)
    table, graph = problem.detections, problem.graph
    rank = np.array([(table.score < s).sum() + 0.5 * (table.score == s).sum() for s in table.score])
    rank = rank / len(table)
    unit = 1.0 / problem.scale
    np.testing.assert_allclose(problem.absent_cost[: len(table)] * unit, 0.5 + 2 * rank, atol=unit)
    np.testing.assert_allclose(problem.present_cost[len(table) :] * unit, 0.75)
    tied = (0.125 + rank[graph.origins[:, 1]]) * 0.5 ** (graph.steps - 1)
    np.testing.assert_allclose(
        problem.edge_cost * unit, np.concatenate([0.25 + 0.5 * graph.overlap, tied]), atol=unit
    )


def test_unit_costs_are_the_preset_of_the_thesis(small):
    """The default would not be the paper's."""
    assert PRESETS["paper"] == CoherenceWeights()
    for problem in small:
        assert problem.scale == 1
        count = len(problem.detections)
        assert problem.absent_cost.tolist() == [1] * count + [0] * problem.graph.n_candidates
        assert problem.present_cost.tolist() == [0] * count + [1] * problem.graph.n_candidates
        assert set(problem.edge_cost.tolist()) <= {1}


def test_fingerprints_tell_problems_apart(tiny_video):
    """An answer would be taken for that of another problem."""
    one = tiny_video(1)
    assert one.fingerprint == tiny_video(1).fingerprint
    others = [
        tiny_video(2),
        tiny_video(1, weights="weighted"),
        tiny_video(1, link_iou=0.4),
        tiny_video(1, cluster_iou=0.4),
        tiny_video(1, min_score=0.3),
    ]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 6


def test_other_weights_share_the_graph_and_nothing_else(tiny_video):
    """Costs would be mixed up, or the answer be checked against the other problem."""
    problem = tiny_video(1)
    unit = problem.fingerprint
    other = problem.reweighted("weighted")
    assert other.graph is problem.graph
    assert other.fingerprint == tiny_video(1, weights="weighted").fingerprint != unit
    np.testing.assert_array_equal(other.edge_cost, tiny_video(1, weights="weighted").edge_cost)
    assert problem.scale == 1
    assert problem.fingerprint == unit


def test_low_scores_take_no_part_and_are_told(tiny_video):
    """The parameter would change answers without anybody reading of it."""
    problem = tiny_video(1, min_score=0.5)
    low = problem.detections.score < 0.5
    assert low.any()
    assert (problem.absent_cost[: len(low)][low] == 0).all()
    assert not np.isin(problem.edges, np.flatnonzero(low)).any()
    assert problem.notes()["ignored_detections"] == low.sum()
    estimate = problem.solution(problem.trusting(), **NOTHING)
    assert (estimate.types[low] == "-").all()
    assert problem.evaluate(estimate).objective == problem.evaluate(problem.trusting()).objective


NOTHING = {
    "sense": "min",
    "objective": None,
    "bound": None,
    "status": "unknown",
    "stopped_by": "exhausted",
    "method": "none",
    "fingerprint": "",
}


@pytest.mark.parametrize(
    ("types", "candidates", "message"),
    [
        (["TP", "TN"], ["TN"], "types: detection 1 is TN, it must be TP or FP"),
        (["TP", "-"], ["TN"], "detection 1 is -"),
        (["TP", "FP"], ["TP"], "types: candidate 0 is TP, it must be TN or FN"),
        (["TP"], ["TN"], "came for 2 detections and 1 candidates"),
    ],
)
def test_types_that_a_node_cannot_have_are_refused(types, candidates, message):
    """The infinite costs of eq. 2.2 and 2.3 would be finite."""
    box = [0, 0, 10, 10]
    table = make_detections([box, box], [0.9, 0.9], [0, 2])
    problem = TemporalCoherence(table, np.repeat(table.boxes[:, None], 2, axis=1), (-1, 1))
    with pytest.raises(InfeasibleSelection, match=message):
        problem.as_present(types, candidates)
    with pytest.raises(InfeasibleSelection, match="must be a mask of 3 nodes"):
        problem.check(np.zeros(2, dtype=bool))


BOXES = np.tile([0.0, 0.0, 5.0, 5.0], (1, 2, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tracked": BOXES[:, :1]}, r"tracked: must be floats of shape \(1, 2, 4\)"),
        ({"tracked": BOXES.astype(int)}, "tracked: must be floats"),
        ({"tracked": BOXES * [1, 1, 0, 1]}, "detection 0 at offset number 0"),
        ({"tracked": np.where(BOXES == 5, np.inf, BOXES)}, "must be finite with an area, or NaN"),
        ({"offsets": (0, 1)}, "offsets: must be whole numbers other than 0"),
        ({"offsets": (1, 1)}, "offsets: must be distinct"),
        ({"min_score": np.nan}, "min_score: must be a number; got nan"),
        ({"link_iou": 0.0}, "link_iou: must lie between 0 and 1"),
        ({"cluster_iou": 1.0}, "cluster_iou: must lie between 0 and 1"),
        ({"weights": "heavy"}, "weights: must be one of paper, weighted"),
        ({"weights": CoherenceWeights(detection=1e15 + 0.5)}, "weights: capacities sum to"),
    ],
)
def test_bad_arguments_are_named(change, message):
    """A mistake would surface as a wrong answer."""
    table = make_detections([[0, 0, 5, 5]], [0.5], [0])
    arguments = {"tracked": BOXES, "offsets": (-1, 1), **change}
    with pytest.raises(InvalidInput, match=message):
        TemporalCoherence(table, **arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"link": -1.0}, "link must be a number ≥ 0"), ({"decay": 2.0}, "decay must lie in 0..1")],
)
def test_bad_weights_are_named(change, message):
    """A negative capacity would make the cut wrong."""
    with pytest.raises(InvalidInput, match=message):
        CoherenceWeights(**change)


def test_boxes_that_are_ignored_may_be_tracked_anyhow():
    """A box of zero area, ignored as was asked for, would be refused once a tracker had run."""
    boxes = [[0, 0, 5, 5], [0, 0, 0, 5]]
    table = make_detections(boxes, [0.5, 0.5], [0, 1], invalid="ignore")
    problem = TemporalCoherence(table, np.repeat(table.boxes[:, None], 2, axis=1), (-1, 1))
    assert problem.used.tolist() == [True, False]
    assert problem.graph.origins[:, 1].tolist() == [0]
