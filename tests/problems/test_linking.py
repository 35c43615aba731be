"""The graph over detections: overlaps, links and candidates, against drawn cases and all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelcut.problems.box_clusters import cluster_boxes
from labelcut.problems.boxes import iou, overlapping_pairs
from labelcut.problems.detections import Video, make_detections
from labelcut.problems.linking import link

OFFSETS = (-3, -2, -1, 1, 2, 3)


def still(boxes, frame, offsets=OFFSETS, **parameters):
    """Return detections, and the tracked boxes of objects that do not move."""
    table = make_detections(boxes, [0.9] * len(boxes), frame, **parameters)
    return table, np.repeat(table.boxes[:, None], len(offsets), axis=1)


def test_iou_of_drawn_boxes():
    """A quarter of a box would count as a half."""
    one = np.array([[0.0, 0, 4, 4]] * 5)
    other = np.array([[0.0, 0, 4, 4], [2, 0, 4, 4], [2, 2, 4, 4], [4, 0, 4, 4], [np.nan] * 4])
    np.testing.assert_allclose(iou(one, other), [1, 8 / 24, 4 / 28, 0, 0])


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.05, 0.3, 0.5, 0.9]),
    st.sampled_from([1.0, 30.0, 1e6]),
)
def test_the_join_finds_exactly_the_pairs_that_overlap(seed, above, spread):
    """A pair would be missed since its left edges are far apart, or be found in two groups."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 40))

    def draw(count):
        corner = rng.uniform(-spread, spread, (count, 2)).round(1)
        return np.concatenate([corner, rng.uniform(0.5, 2 * spread, (count, 2))], axis=1)

    queries, boxes = draw(size), draw(25)
    boxes[:5] = queries[rng.integers(0, size, 5)]
    queries[rng.random(size) < 0.1] = np.nan
    asked, group = rng.integers(-1, 3, size), rng.integers(0, 3, 25)
    found = set()
    for one, other, share in overlapping_pairs(queries, asked, boxes, group, above):
        np.testing.assert_allclose(share, iou(queries[one], boxes[other]))
        found |= set(zip(one.tolist(), other.tolist(), strict=True))
    wanted = {
        (one, other)
        for one in range(size)
        for other in range(25)
        if asked[one] == group[other] and iou(queries[one], boxes[other]) > above
    }
    assert found == wanted


def test_many_pairs_come_in_chunks(monkeypatch):
    """A crowd in one frame would take memory by the square of its size."""
    monkeypatch.setattr("labelcut.problems.boxes.CHUNK_PAIRS", 100)
    boxes = np.tile([0.0, 0.0, 5.0, 5.0], (40, 1))
    none = np.zeros(40, dtype=np.int64)
    parts = [len(one) for one, _, _ in overlapping_pairs(boxes, none, boxes, none, 0.5)]
    assert sum(parts) == 1600
    assert max(parts) <= 120


def test_neighbors_in_time_are_linked_and_a_gap_becomes_one_candidate():
    """A blink in frame 2 would leave no trace, or several."""
    box = [10, 10, 20, 40]
    table, tracked = still([box] * 4, [0, 1, 3, 4])
    graph = link(table, table.used, tracked, OFFSETS)
    # Frames 0 and 4 are four apart, beyond K = 3.
    assert graph.links.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
    assert graph.overlap.tolist() == [1.0] * 5
    assert graph.frame_row.tolist() == [2]
    np.testing.assert_array_equal(graph.boxes, [box])
    assert graph.origins.tolist() == [[0, 0], [0, 1], [0, 2], [0, 3]]
    assert graph.steps.tolist() == [2, 1, 1, 2]


def test_one_direction_of_tracking_is_enough_for_a_link():
    """The "or" of the thesis would have become an "and"."""
    table, tracked = still([[0, 0, 10, 10], [30, 0, 10, 10]], [0, 1], (-1, 1))
    tracked[1, 0] = [1, 0, 10, 10]  # the second is tracked back onto the first
    graph = link(table, table.used, tracked, (-1, 1))
    assert graph.links.tolist() == [[0, 1]]
    np.testing.assert_allclose(graph.overlap, [9 / 11])
    assert graph.n_candidates == 0  # both have a link in the other's frame


def test_the_larger_overlap_of_both_directions_counts():
    """A link's weight would depend on the order of the rows."""
    table, tracked = still([[0, 0, 10, 10], [2, 0, 10, 10]], [0, 1], (-1, 1))
    tracked[1, 0] = [1, 0, 10, 10]
    graph = link(table, table.used, tracked, (-1, 1))
    np.testing.assert_allclose(graph.overlap, [9 / 11])


def test_overlap_of_exactly_the_threshold_is_no_link():
    """The thesis asks for more than θ."""
    table, tracked = still([[0, 0, 10, 10], [0, 5, 10, 5]], [0, 1], (-1, 1))
    assert iou(table.boxes[0], table.boxes[1]) == 0.5
    assert not len(link(table, table.used, tracked, (-1, 1)).links)
    assert len(link(table, table.used, tracked, (-1, 1), link_iou=0.49).links)


@pytest.mark.parametrize("what", ["class", "video"])
def test_links_stay_within_class_and_video(what):
    """A car would support a pedestrian, or another film's car."""
    box = [0, 0, 10, 10]
    column = {"class": "label", "video": "video"}[what]
    table, tracked = still([box, box], [0, 1], **{column: ["a", "b"]})
    graph = link(table, table.used, tracked, OFFSETS)
    assert not len(graph.links)


def test_nothing_is_tracked_out_of_the_video():
    """The last frame of one video would lead into the first of the next."""
    box = [0, 0, 10, 10]
    videos = [Video("a", 1), Video("b", 2)]
    table, tracked = still([box, box], [0, 0], video=["a", "b"], videos=videos)
    graph = link(table, table.used, tracked, OFFSETS)
    assert not len(graph.links)
    assert (graph.frame_row.tolist(), graph.origins.tolist()) == ([2], [[0, 1]])


def test_chains_of_overlap_are_one_candidate_at_their_mean():
    """Clusters would depend on which box came first."""
    boxes = [[0, 0, 10, 10], [3, 0, 10, 10], [6, 0, 10, 10], [40, 0, 10, 10]]
    table, tracked = still(boxes, [0, 0, 0, 0], (1,), videos=[Video("video", 2)])
    graph = link(table, table.used, tracked, (1,))
    np.testing.assert_allclose(graph.boxes, [[3, 0, 10, 10], [40, 0, 10, 10]])
    assert graph.origins.tolist() == [[0, 0], [0, 1], [0, 2], [1, 3]]
    apart = link(table, table.used, tracked, (1,), cluster_iou=0.6)
    assert apart.n_candidates == 4


def test_a_chain_from_one_object_to_the_next_is_no_candidate_between_them():
    """The candidate would lie where no box was tracked to, and tie objects that are apart."""
    boxes = [[3.0 * step, 0, 10, 10] for step in range(5)]
    table, tracked = still(boxes, [0] * 5, (1,), videos=[Video("video", 2)])
    graph = link(table, table.used, tracked, (1,))
    # The mean lies at 6: boxes at 3 and 9 overlap it by 7 of 13, those at 0 and 12 by 4 of 16.
    np.testing.assert_allclose(graph.boxes[:, 0], [0, 6, 12])
    assert graph.origins.tolist() == [[0, 0], [1, 1], [1, 2], [1, 3], [2, 4]]


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.3, 0.5, 0.7]))
def test_boxes_of_a_cluster_overlap_its_mean_and_one_another_in_chains(seed, above):
    """A candidate would stand for boxes that are somewhere else."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 60))
    boxes = np.concatenate([rng.uniform(0, 30, (size, 2)), rng.uniform(8, 14, (size, 2))], axis=1)
    group = rng.integers(0, 2, size)
    cluster, mean = cluster_boxes(boxes, group, above)
    assert sorted(set(cluster)) == list(range(len(mean)))
    for number in range(len(mean)):
        own = np.flatnonzero(cluster == number)
        assert len(set(group[own])) == 1
        np.testing.assert_allclose(mean[number], boxes[own].mean(axis=0))
        assert (iou(boxes[own], mean[number][None]) > above).all()


def test_boxes_around_an_empty_middle_come_to_an_end():
    """Boxes that all overlap the mean equally little would leave it for ever."""
    angle = np.arange(24) / 24 * 2 * np.pi
    corners = np.stack([np.cos(angle), np.sin(angle)], axis=1).round(9) * 12
    boxes = np.concatenate([corners, np.full((24, 2), 10.0)], axis=1)
    cluster, mean = cluster_boxes(boxes, np.zeros(24, dtype=np.int64), 0.5)
    assert len(mean) == cluster.max() + 1


def test_lost_boxes_and_boxes_out_of_the_picture_are_no_candidates():
    """Objects that left the picture would count as missed."""
    videos = [Video("video", 3, 0, (100, 50))]
    table, tracked = still([[10, 10, 10, 10], [80, 10, 10, 10]], [0, 0], (1, 2), videos=videos)
    tracked[0, :] = np.nan
    tracked[1, 0] = [94, 10, 10, 10]  # center at 99
    tracked[1, 1] = [96, 10, 10, 10]  # center at 101
    graph = link(table, table.used, tracked, (1, 2))
    assert graph.frame_row.tolist() == [1]


def test_detections_that_take_no_part_link_to_nothing():
    """What `min_score` rejects would still support others."""
    table, tracked = still([[0, 0, 10, 10]] * 2, [0, 1], (-1, 1))
    graph = link(table, np.array([True, False]), tracked, (-1, 1))
    assert not len(graph.links)
    assert graph.origins.tolist() == [[0, 0]]


@given(st.integers(0, 2**32 - 1))
def test_shuffled_rows_give_the_same_graph(seed):
    """The answer would depend on the order of lines in a file."""
    rng = np.random.default_rng(seed)
    count = 30
    boxes = np.concatenate([rng.uniform(0, 20, (count, 2)), rng.uniform(8, 12, (count, 2))], 1)
    frame, label = rng.integers(0, 6, count), rng.integers(0, 2, count)
    tracked = boxes[:, None] + np.concatenate(
        [rng.normal(0, 2, (count, 6, 2)), np.zeros((count, 6, 2))], 2
    )
    order = rng.permutation(count)
    graphs = []
    for rows in (np.arange(count), order):
        videos = [Video("video", 6)]
        table = make_detections(
            boxes[rows], np.ones(count), frame[rows], label=label[rows], videos=videos,
            classes=["a", "b"],
        )  # fmt: skip
        graphs.append(link(table, table.used, tracked[rows], OFFSETS))
    one, other = graphs
    np.testing.assert_array_equal(one.boxes, other.boxes)
    np.testing.assert_array_equal(one.frame_row, other.frame_row)
    back = {tuple(sorted(order[pair])) for pair in other.links}
    assert {tuple(pair) for pair in one.links} == back
    tied = {(candidate, order[row]) for candidate, row in other.origins}
    assert {tuple(pair) for pair in one.origins} == tied
