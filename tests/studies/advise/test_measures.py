"""What is measured of a pool, against pools that were made to be so."""

import numpy as np
import pytest

from labelcut.problems import InvalidInput
from labelcut.studies.advise import Scored, measure


def clusters(groups, copies, seed=0, dimension=16):
    """Return points that come in groups of near-duplicates, shuffled, and their groups."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(groups, dimension))
    group = rng.permutation(np.repeat(np.arange(groups), copies))
    return middles[group] + 1e-3 * rng.normal(size=(groups * copies, dimension)), group


@pytest.mark.parametrize("copies", [1, 2, 6, 12])
def test_distinct_rows_are_counted(copies):
    """A pool of six copies of everything would not be called redundant, or all would be."""
    points, _ = clusters(120, copies)
    found = measure(Scored(points.astype(np.float32)), 10).redundancy
    assert found.distinct == pytest.approx(1 / copies)
    assert found.repeated == (copies > 1)


def test_neighbors_agree_with_a_table_of_distances():
    """Counts would be wrong across the blocks that distances are taken in."""
    points = np.random.default_rng(1).normal(size=(700, 3)).astype(np.float32)
    found = measure(Scored(points), 5, near=0.15).redundancy
    exact = points.astype(np.float64)
    distances = np.linalg.norm(exact[:, None] - exact, axis=2)
    rng = np.random.default_rng(0)
    some = np.sort(rng.choice(700, 512, replace=False))
    usual = np.median(distances[np.ix_(some, some)][np.triu_indices(512, k=1)])
    np.fill_diagonal(distances, np.inf)
    copies = (distances <= 0.15 * usual).sum(axis=1)
    assert found.distinct == pytest.approx((1 / (1 + copies)).mean())
    assert found.nearest == pytest.approx(np.median(distances.min(axis=1)) / usual, rel=1e-4)


def test_videos_are_measured_in_time():
    """Frames that stay the same for eight frames would be thought to change, or the reverse."""
    rng = np.random.default_rng(2)
    # Scenes of 40 frames, which differ; within one only noise.
    scene = np.repeat(rng.normal(size=(30, 8)), 40, axis=0)
    points = scene + 1e-3 * rng.normal(size=scene.shape)
    video, frame = np.repeat(["a", "b"], 600), np.tile(np.arange(600), 2)
    order = rng.permutation(1200)
    pool = Scored(points[order], video=video[order], frame=frame[order])
    found = measure(pool, 10).redundancy
    assert found.in_time == pytest.approx(39 / 40, abs=0.03)
    # Half of the frames 16 apart are of one scene still (24 of 40), 32 apart are not (8 of 40).
    assert found.reach == 16
    still = measure(Scored(rng.normal(size=(600, 8)), video=[0] * 600, frame=range(600)), 5)
    assert still.redundancy.reach == 0


def test_balance_is_of_the_unlabeled_rows():
    """Labeled rows, of a mix of their own, would pass for the pool."""
    probs = np.repeat([[1.0, 0.0], [0.0, 1.0]], [10, 30], axis=0)
    points = np.random.default_rng(0).normal(size=(40, 2))
    found = measure(Scored(points, probs, labeled=np.arange(10)), 5)
    np.testing.assert_allclose(found.balance.prior, [0, 1])
    assert found.balance.l1 == 1
    assert (found.share, found.per_class) == (15 / 40, 2.5)


def test_held_out_rows_correct_the_prior():
    """The class mix would stay the model's own guess although labels tell better."""
    rng = np.random.default_rng(0)
    labels, truth = np.repeat([0, 1], 100), rng.choice(2, 2000, p=[0.9, 0.1])

    def predicted(classes):
        score = 1 / (1 + np.exp(-1.5 * rng.normal(2.0 * classes - 1)))
        return np.stack([1 - score, score], axis=1)

    probs = np.concatenate([predicted(labels), predicted(truth)])
    pool = {"embeddings": rng.normal(size=(2200, 2)), "probs": probs, "labeled": np.arange(200)}
    told = {"labeled_classes": labels, "held_out": predicted(labels)}
    rare = [measure(Scored(**pool, **more), 10).balance.prior[1] for more in ({}, told)]
    assert abs(rare[1] - 0.1) < 0.04 < abs(rare[0] - 0.1)


def test_held_out_rows_that_tell_nothing_leave_the_guess():
    """Advice would rest on a mix that was found in noise, such as all rows in one class."""
    rng = np.random.default_rng(0)
    probs, labels = rng.dirichlet([2, 1, 0.2], 600), rng.integers(0, 3, 20)
    pool = {"embeddings": rng.normal(size=(600, 2)), "probs": probs, "labeled": np.arange(20)}
    told = {"labeled_classes": labels, "held_out": rng.dirichlet([2, 1, 0.2], 20)}
    found = measure(Scored(**pool, **told), 10).balance
    assert not found.corrected
    np.testing.assert_allclose(found.prior, probs[20:].mean(axis=0))
    assert "no better than the classes' mix" in found.untold


@pytest.mark.parametrize(
    ("given", "budget", "told"),
    [
        ({"probs": np.ones((3, 2)) / 2}, 1, "probs: must have 4 values"),
        ({"labeled": [0], "labeled_classes": [0, 1]}, 1, "labeled_classes: must have 1 values"),
        (
            {"probs": np.ones((4, 2)) / 2, "labeled": [1, 3], "labeled_classes": [1, 2]},
            1,
            r"labeled_classes: must lie in 0\.\.1, the columns of probs; got 2 for row 3",
        ),
        ({"video": [0, 0, 0, 0]}, 1, "video, frame"),
        ({"labeled": [0], "held_out": [[1.0, 0.0]]}, 1, "held_out: needs probs"),
        ({"labeled": [0, 1]}, 3, "budget: must lie in 1..2"),
    ],
)
def test_what_does_not_fit_is_named(given, budget, told):
    """A pool would be measured by rows that are not its own."""
    with pytest.raises(InvalidInput, match=told):
        measure(Scored(np.eye(4), **given), budget)


@pytest.mark.parametrize("near", [0.0, -1.0, float("nan")])
def test_no_row_is_nearer_than_nothing(near):
    """A slip in an option would call 40,000 frames of one street diverse."""
    with pytest.raises(InvalidInput, match="near: must be above 0"):
        measure(Scored(np.eye(4)), 1, near=near)
