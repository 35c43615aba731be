"""What was chosen: classes, near-duplicates, diversity, and what the model knew before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, single
from scipy.spatial.distance import pdist
from scipy.stats import hypergeom

from labelcut import BudgetedSelection, GroupLimit, InvalidInput, l1_score, solve
from labelcut.studies.campaign.choices import (
    DISPERSION_BINS,
    PORTIONS,
    accuracy_by_bin,
    accuracy_by_portion,
    choice_metrics,
    class_entropy,
    class_histogram,
    dispersion_metrics,
    portion_metrics,
)
from labelcut.studies.campaign.variety import (
    log_determinant,
    near_duplicate_groups,
    near_duplicates,
    repeated_sources,
    spread,
)

ANSWERS = st.lists(st.tuples(st.booleans(), st.integers(0, 5).map(float)), min_size=1, max_size=25)


def test_a_record_tells_what_was_chosen():
    """Reports would mix what is labeled already with what is chosen now."""
    told = choice_metrics(
        chosen=[3, 4, 5],
        truth=[0, 1, 1, 0, 0, 1],
        probs=np.array([[0.2, 0.8]] * 4 + [[0.9, 0.1]] * 2),
        embeddings=np.array([[0.0], [5.0], [9.0], [9.01], [3.0], [3.01]]),
        labeled=[0, 1, 2],
        classes=2,
        source=["a", "b", "c", "c", "d", "e"],
    )
    # Labeled: 1 and 2 rows, |1 - 1.5| + |2 - 1.5| = 1 of the worst 3; chosen: 2 and 1.
    assert told["l1_true"] == pytest.approx(1 / 3)
    assert told["l1_batch"] == pytest.approx(1 / 3)
    assert told["entropy_true"] == pytest.approx(0.9183, abs=1e-4)
    # Row 3 is of class 0 and predicted 1, row 5 the other way round.
    assert told["share_misclassified"] == pytest.approx(2 / 3)
    # Row 3 repeats labeled row 2, row 5 repeats row 4; only the first pair is of one original.
    assert told["redundancy"] == pytest.approx(2 / 3)
    assert told["repeated"] == pytest.approx(1 / 3)
    assert set(told) == {
        "l1_true", "entropy_true", "l1_batch", "share_misclassified", "redundancy", "logdet",
        "repeated",
    }  # fmt: skip


def test_what_cannot_be_told_is_left_out():
    """A cycle that chooses nothing, or a person's unknown labels, would stop a campaign."""
    given = {"probs": None, "embeddings": np.eye(3), "classes": 2}
    last = choice_metrics(chosen=[], truth=[0, 1, 1], labeled=[0, 1], **given)
    assert last == {"l1_true": 0.0, "entropy_true": 1.0}
    unknown = choice_metrics(chosen=[2], truth=[0, 1, -1], labeled=[0, 1], **given)
    assert set(unknown) == {"l1_true", "entropy_true", "redundancy", "logdet"}
    assert set(choice_metrics(chosen=[2], truth=None, labeled=[0], **given)) == {
        "redundancy",
        "logdet",
    }


@pytest.mark.parametrize("counts", [(400, 400, 400), (900, 200, 50, 10), (1000, 1)])
def test_random_l1_score_matches_its_expectation(counts):
    """True balance would be computed from other rows than those chosen."""
    truth, size, classes = np.repeat(np.arange(len(counts)), counts), 40, len(counts)
    drawn = np.arange(size + 1)
    off = [
        hypergeom(len(truth), count, size).pmf(drawn) @ np.abs(drawn - size / classes)
        for count in counts
    ]
    expected = sum(off) / (2 * size * (classes - 1) / classes)
    rng = np.random.default_rng(1)
    scores = [
        choice_metrics(
            chosen=rng.choice(len(truth), size, replace=False),
            truth=truth,
            probs=None,
            embeddings=None,
            labeled=[],
            classes=classes,
        )["l1_batch"]
        for _ in range(400)
    ]
    error = np.std(scores) / np.sqrt(len(scores))
    assert abs(np.mean(scores) - expected) <= 4 * error + 1e-12


def test_class_entropy_and_histogram():
    """Unknown labels would count as a class, or entropy depend on the number of rows."""
    assert class_histogram([2, 0, -1, 2], [0, 1, 2, 3], 4).tolist() == [1, 0, 2, 0]
    assert class_entropy([3, 3, 3]) == pytest.approx(1)
    # -(0.5 ln 0.5 + 2 * 0.25 ln 0.25) = 1.0397 of ln 4.
    assert class_entropy([2, 1, 1, 0]) == pytest.approx(1.5 / 2)
    assert class_entropy([9]) == 0
    assert np.isnan(class_entropy([0, 0]))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6))
def test_near_duplicates_are_their_definition(seed):
    """Mode collapse would be seen where there is none, or in chunks only."""
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 12, (24, 2)) + rng.uniform(0, 0.3, (24, 2))
    rows = rng.permutation(24)
    chosen, labeled = np.sort(rows[:9]), rows[9:15]
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    limit = 0.2 * np.median(distances[np.triu_indices(24, k=1)])
    repeated = [
        any(distances[row, other] <= limit for other in [*labeled, *chosen[:at]])
        for at, row in enumerate(chosen)
    ]
    assert near_duplicates(points, chosen, labeled, near=0.2) == pytest.approx(np.mean(repeated))


def test_near_duplicates_do_not_depend_on_chunks(monkeypatch):
    """Large choices would have fewer duplicates than small ones."""
    points = np.random.default_rng(0).integers(0, 5, (60, 2)).astype(float)
    whole = near_duplicates(points, np.arange(40), np.arange(40, 50))
    monkeypatch.setattr("labelcut.studies.campaign.variety.CHUNK", 120)
    assert near_duplicates(points, np.arange(40), np.arange(40, 50)) == whole > 0.3


@pytest.mark.parametrize("chunk", [1 << 20, 100])
def test_near_duplicates_are_in_one_group(monkeypatch, chunk):
    """A batch with one row of each group would hold rows that repeat each other."""
    monkeypatch.setattr("labelcut.studies.campaign.variety.CHUNK", chunk)
    for seed in range(20):
        points = np.random.default_rng(seed).normal(size=(50, 2))
        distances = pdist(points)
        limit = 0.15 * np.median(distances)
        expected = fcluster(single(distances), limit, criterion="distance")
        found = near_duplicate_groups(points, near=0.15)
        assert len(np.unique(np.stack([found, expected]), axis=1).T) == len(np.unique(expected))
        assert len(np.unique(found)) == len(np.unique(expected)) < 50
        firsts = np.unique(found, return_index=True)[1]
        assert (np.diff(firsts) > 0).all()
        problem = BudgetedSelection(
            np.ones(50), len(firsts), constraints=[GroupLimit(found, at_most=1)]
        )
        assert pdist(points[solve(problem).indices]).min() > limit


def test_scale_and_place_of_embeddings_do_not_count():
    """A model with larger features would seem to choose less redundant rows."""
    points = np.random.default_rng(0).normal(size=(80, 3))
    told = near_duplicates(points, np.arange(60), near=0.3)
    assert 0 < told < 1
    assert near_duplicates(1000 * points + 7, np.arange(60), near=0.3) == told
    assert spread(1000 * points, np.arange(9)) == pytest.approx(spread(points, np.arange(9)))


def test_sources_that_repeat():
    """Duplicates of labeled rows would pass for new ones."""
    source = ["a", "a", "b", "b", "b", "c"]
    assert repeated_sources(source, [2, 3, 5]) == pytest.approx(1 / 3)
    assert repeated_sources(source, [2, 3, 5], [4]) == pytest.approx(2 / 3)
    assert repeated_sources(source, [0, 5], [2]) == 0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 8))
def test_log_determinants_are_those_of_the_gram_matrix(seed, count, dimension):
    """Diversity would not be the paper's where that is defined."""
    points = np.random.default_rng(seed).normal(size=(12, dimension))
    own = points[:count]
    gram = own @ own.T
    usual = (points**2).sum(axis=1).mean()
    whole = np.linalg.slogdet(np.eye(count) + gram / usual)[1]
    assert spread(points, range(count)) == pytest.approx(whole, abs=1e-9)
    if count <= dimension:
        assert log_determinant(points, range(count)) == pytest.approx(
            np.log(np.linalg.det(gram)), rel=1e-6, abs=1e-6
        )
    else:
        assert log_determinant(points, range(count)) == -np.inf


def test_rows_that_depend_on_each_other_span_nothing():
    """Rounding would turn a determinant of 0 into a number."""
    assert log_determinant([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]], [0, 1]) == -np.inf
    assert log_determinant(np.zeros((2, 3)), [0]) == -np.inf


@settings(deadline=None)
@given(ANSWERS)
def test_portions_are_their_definition(answers):
    """The accuracy told would be of other rows than a strategy asks for (thesis fig. 3.5)."""
    right, scores = zip(*answers, strict=True)
    ranked = sorted(range(len(right)), key=lambda at: (-scores[at], at))
    for portion, told in zip(PORTIONS, accuracy_by_portion(right, scores), strict=True):
        first = ranked[: max(round(portion * len(right)), 1)]
        assert told == pytest.approx(np.mean([right[at] for at in first]))


@settings(deadline=None)
@given(ANSWERS)
def test_bins_are_their_definition(answers):
    """Bars and curve of thesis fig. 3.3 would disagree."""
    right, scores = (np.array(side) for side in zip(*answers, strict=True))
    counts, told = accuracy_by_bin(right, scores, [0, 2, 4, 5])
    for at, (low, high) in enumerate([(0, 1), (2, 3), (4, 5)]):
        inside = right[(scores >= low) & (scores <= high)]
        assert counts[at] == len(inside)
        assert told[at] == pytest.approx(np.mean(inside) if len(inside) else np.nan, nan_ok=True)


def test_scores_go_into_records():
    """A report would draw portions under another name than strategies write."""
    right, scores = [False, True, True, True], [0.95, 0.5, 0.05, 0.0]
    portions = portion_metrics(right, scores)
    assert portions["accuracy_top_5"] == 0
    assert portions["accuracy_top_100"] == 0.75
    assert len(portions) == len(PORTIONS)
    told = dispersion_metrics(right, scores)
    assert [told[f"dispersion_rows_{at}"] for at in range(len(DISPERSION_BINS) - 1)] == [
        2, 0, 0, 0, 0, 1, 0, 0, 0, 1,
    ]  # fmt: skip
    assert {name: told[name] for name in told if "accuracy" in name} == {
        "dispersion_accuracy_0": 1.0,
        "dispersion_accuracy_5": 1.0,
        "dispersion_accuracy_9": 0.0,
    }


def test_dispersions_of_ten_epochs_fill_one_bin_each():
    """Rounding would leave bins empty and others twice as full."""
    told = dispersion_metrics([True] * 10, [1 - epochs / 10 for epochs in range(1, 11)])
    assert [told[f"dispersion_rows_{at}"] for at in range(10)] == [1] * 10


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: near_duplicate_groups(np.eye(3), near=0), "near: must be above 0"),
        (lambda: near_duplicates(np.eye(3), []), "chosen: must hold a row"),
        (lambda: near_duplicates(np.eye(3), [3]), "rows must lie in 0..2"),
        (lambda: spread([1.0, 2.0], [0]), "embeddings: must be two-dimensional"),
        (lambda: accuracy_by_portion([True], [0.1, 0.2]), "one value for each answer"),
        (lambda: accuracy_by_portion([True], [0.1], [0.0]), "portions: must lie in 0..1"),
        (lambda: l1_score([3], 2), "classes must lie"),
    ],
)
def test_bad_input_is_refused(call, message):
    """A slip would become a number in a table."""
    with pytest.raises(InvalidInput, match=message):
        call()
