"""Predicted beside true balance, in rows, tables and pictures."""

import numpy as np
import pytest

from labelcut import (
    BudgetedSelection,
    ClassBalanced,
    ExpectedCount,
    compare,
    l1_score,
    predicted_l1,
)
from labelcut.problems import Correction, corrected, reliability, uncorrected
from labelcut.studies.tables import programs_table, reliability_table
from labelcut.studies.true_balance import reliabilities
from labelcut.studies.true_balance_pictures import (
    can_plot_programs,
    plot_programs,
    plot_reliability,
)


@pytest.fixture(scope="module")
def pool():
    """Return a problem in which class 1 is rare, with its truth."""
    rng = np.random.default_rng(0)
    truth = (rng.random(400) < 0.1).astype(int)
    score = 1 / (1 + np.exp(-2 * rng.normal(2 * truth - 1)))
    probs = np.stack([1 - score, score], axis=1)
    problem = ClassBalanced(probs, probs.min(axis=1), 20, target=[10, 10])
    held_out = {"held_out": probs[:50], "held_out_classes": truth[:50]}
    return corrected(problem, Correction([5, 5], **held_out)), truth


@pytest.fixture(scope="module")
def comparison(pool):
    """Compare two methods on it."""
    problem, truth = pool
    return compare(problem, ["relaxed", "top"], truth=truth, time_limit=5)


def test_each_program_is_measured_by_its_own_predictions_and_by_labels(pool, comparison):
    """The paper's program would be shown with balance that it never predicted."""
    problem, truth = pool
    paper, own = comparison.programs()
    assert (paper["program"], own["program"]) == ("as predicted", "corrected")
    rows = comparison.paper.solution.indices
    plain = uncorrected(problem)
    assert paper["l1_predicted"] == pytest.approx(predicted_l1(plain.probs, rows))
    assert paper["l1_true"] == l1_score(truth[rows], 2)
    assert paper["l1_true"] > own["l1_true"] + 0.1
    assert comparison.paper.solution.fingerprint == plain.fingerprint
    assert own["l1_true"] == comparison.rows()[0]["l1_true"]
    assert comparison.to_dict()["programs"] == [paper, own]


def test_the_programs_are_compared_by_the_best_answer(pool):
    """With a baseline named first, the same choice would stand in both rows."""
    problem, truth = pool
    found = compare(problem, ["top", "relaxed"], truth=truth, time_limit=5)
    paper, own = found.programs()
    assert (paper["method"], own["method"]) == ("relaxed", "relaxed")
    assert paper["l1_true"] > own["l1_true"] + 0.1


def test_without_labels_or_correction_there_is_nothing_to_tell_apart(pool):
    """Every comparison would solve one more problem for nothing."""
    problem, truth = pool
    for stated, labels in ((problem, None), (uncorrected(problem), truth)):
        found = compare(stated, ["top"], truth=labels)
        assert found.paper is None
        assert found.programs() == []
        assert programs_table(found) is None


def test_the_table_says_both(comparison, rendered):
    """A reader would see one program's balance only."""
    text = rendered(programs_table(comparison))
    assert "relaxed, as predicted" in text
    assert "relaxed, corrected" in text
    assert "L1 true" in text


def test_reliability_is_told_of_pool_and_held_out_rows(pool, rendered):
    """The curve would be that of other rows, or of other probabilities."""
    problem, truth = pool
    curves = reliabilities(problem, truth)
    assert list(curves) == [
        "pool, as predicted",
        "pool, corrected",
        "held out, as predicted",
        "held out, calibrated",
    ]
    given = problem.probs.stated.take(np.arange(400))
    assert curves["pool, as predicted"].error == reliability(given, truth).error
    assert curves["pool, corrected"].error < curves["pool, as predicted"].error
    some = np.where(np.arange(400) < 100, truth, -1)
    assert reliabilities(problem, some)["pool, corrected"].counts.sum() == 100
    assert list(reliabilities(uncorrected(problem), truth)) == ["pool, as predicted"]
    assert reliabilities(uncorrected(problem), None) == {}
    assert "held out, calibrated" in rendered(reliability_table(curves))


def test_corrected_quotas_tell_their_reliability_too(pool):
    """Nobody would see whether quotas are over probabilities to be believed."""
    problem, truth = pool
    probs = problem.probs.origin.raw.take(np.arange(400))
    quota = ExpectedCount(probs, classes=1, at_least=3)
    plain = BudgetedSelection(probs.min(axis=1), 20, constraints=[quota])
    found = reliabilities(corrected(plain, problem.probs.origin.correction), truth)
    expected = reliabilities(problem, truth)
    assert list(found) == list(expected)
    assert [one.error for one in found.values()] == [one.error for one in expected.values()]
    assert reliabilities(plain, truth) == {}


def test_pictures_are_drawn(pool, comparison, tmp_path):
    """`--plot` would end in a traceback."""
    problem, truth = pool
    assert can_plot_programs(comparison)
    plot_programs(comparison, tmp_path / "c.png")
    plot_reliability(reliabilities(problem, truth), tmp_path / "r.png")
    for name in ("c.png", "r.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="plot: reliability needs labels"):
        plot_reliability({}, tmp_path / "n.png")
