"""Corrected problems: one problem in memory, in files and in solutions."""

import json
from dataclasses import replace

import numpy as np
import pytest

from labelcut import (
    BudgetedSelection,
    ClassBalanced,
    ExpectedCount,
    check,
    correct_priors,
    load,
    solve,
)
from labelcut.problems import (
    CheckFailed,
    Correction,
    InvalidInput,
    corrected,
    read_problem,
    uncorrected,
)

HEAD = """
labelcut = 1
[problem]
kind = "class-balanced"
budget = 10
target = [5, 5]
[data]
probs = "probs.npy"
utility = "utility.npy"
labeled = [0, 1, 2, 3]
"""


@pytest.fixture
def folder(tmp_path):
    """Write a pool in which class 1 is rare, and predictions learned on equal shares."""
    rng = np.random.default_rng(0)
    truth = (rng.random(300) < 0.1).astype(int)
    score = 1 / (1 + np.exp(-2 * rng.normal(2 * truth - 1)))
    probs = np.stack([1 - score, score], axis=1).astype(np.float32)
    probs[:4] = np.nan  # nobody scored the labeled rows
    np.save(tmp_path / "probs.npy", probs)
    np.save(tmp_path / "utility.npy", rng.random(300))
    held_out = np.stack([1 - score, score], axis=1)[:40]
    np.save(tmp_path / "held_out.npy", held_out.astype(np.float32))
    np.save(tmp_path / "classes.npy", truth[:40])
    return tmp_path


def write(folder, correct, name="p.toml"):
    """Write the problem with a ``[correct]`` table."""
    path = folder / name
    path.write_text(f"{HEAD}\n[correct]\n{correct}\n")
    return path


FULL = 'trained_on = [5, 5]\nheld_out = "held_out.npy"\nheld_out_classes = "classes.npy"'


@pytest.mark.parametrize(
    "table",
    [
        "trained_on = [5, 5]",
        FULL,
        f'{FULL}\nmethod = "confusion"\ncalibration = "vector"',
        'trained_on = [5, 5]\nmethod = "none"',
        f"{FULL}\nsmoothing = 2",
    ],
)
def test_the_file_states_what_correct_priors_does(folder, table):
    """The file would be corrected otherwise than the array."""
    problem = read_problem(write(folder, table)).problem
    arguments = {}
    if "held_out" in table:
        arguments["held_out"] = np.load(folder / "held_out.npy")
        arguments["held_out_classes"] = np.load(folder / "classes.npy")
    for name in ("method", "calibration"):
        if name in table:
            arguments[name] = table.split(f'{name} = "')[1].split('"')[0]
    if "smoothing" in table:
        arguments["smoothing"] = 2
    plain = read_problem(_plain(folder)).problem
    found = correct_priors(plain.probs, [5, 5], **arguments)
    rows = problem.candidates
    np.testing.assert_allclose(problem.probs.take(rows), found.probs[rows], atol=1e-6)
    assert problem.notes()["correct"]["prior"] == found.prior.tolist()
    np.testing.assert_array_equal(problem.utility, plain.utility)


def _plain(folder):
    path = folder / "plain.toml"
    path.write_text(HEAD)
    return path


@pytest.mark.parametrize(
    "table", ["trained_on = [5, 5]", FULL, "trained_on = [5, 5]\nsmoothing = 0.1"]
)
def test_a_saved_problem_is_the_same_problem(folder, table):
    """Somebody who solves what was sent would solve another problem."""
    problem = read_problem(write(folder, table)).problem
    problem.save(folder / "again.toml")
    again = load(folder / "again.toml")
    assert again.fingerprint == problem.fingerprint
    rows = problem.candidates
    np.testing.assert_array_equal(again.probs.take(rows), problem.probs.take(rows))
    again.save(folder / "third.toml")
    assert load(folder / "third.toml").fingerprint == problem.fingerprint


def test_a_solution_is_checked_against_the_file_it_came_from(folder):
    """`labelcut check` would refuse honest answers, or take those of the uncorrected problem."""
    path = write(folder, FULL)
    problem = load(path)
    solution = solve(problem, "exact", time_limit=5)
    solution.save(folder / "s.json")
    assert check(load(path), load(folder / "s.json")).rows == 10
    record = json.loads((folder / "s.json").read_text())["info"]["correct"]
    assert record["method"] == "em"
    assert record["identified"] is True
    assert sum(record["prior"]) == pytest.approx(1)
    plain = solve(uncorrected(problem), "exact", time_limit=5)
    with pytest.raises(Exception, match="fingerprint: the solution answers problem"):
        check(problem, plain)


def test_every_statement_has_a_fingerprint_of_its_own(folder):
    """Two corrections would pass for one problem."""
    tables = [
        "trained_on = [5, 5]",
        "trained_on = [5, 6]",
        FULL,
        f'{FULL}\nmethod = "confusion"',
        f'{FULL}\ncalibration = "vector"',
        f"{FULL}\nsmoothing = 1",
        f"{FULL}\nsmoothing = 0.5",
    ]
    seen = {load(write(folder, table)).fingerprint for table in tables}
    assert len(seen | {load(_plain(folder)).fingerprint}) == len(tables) + 1


def test_the_uncorrected_problem_is_the_one_that_was_given(folder):
    """The paper's program would be compared over other probabilities than it trusts."""
    problem, plain = load(write(folder, FULL)), load(_plain(folder))
    assert uncorrected(problem).fingerprint == plain.fingerprint
    assert uncorrected(plain) is plain
    assert problem.evaluate(plain.candidates[:10]).terms["imbalance"] > 0
    # λ can change, as a frontier does, and the correction stays.
    assert replace(problem, balance=2.0).probs is problem.probs


def test_correction_makes_the_choice_balanced_in_truth(folder):
    """The whole point would be missed."""
    rng = np.random.default_rng(1)
    truth = (rng.random(3000) < 0.1).astype(int)
    score = 1 / (1 + np.exp(-2 * rng.normal(2 * truth - 1)))
    probs = np.stack([1 - score, score], axis=1)
    problem = ClassBalanced(probs, probs.min(axis=1), 100, target=[50, 50], balance=10.0)
    fixed = corrected(problem, Correction(trained_on=[1, 1]))
    rare = [truth[solve(p, "relaxed").indices].sum() for p in (problem, fixed)]
    assert rare[0] < 25
    assert 38 <= rare[1] <= 62


def test_the_pool_is_the_candidates_whatever_was_validated_before(folder):
    """A problem and the file that it saves would be corrected for two pools."""
    rng = np.random.default_rng(2)
    probs = rng.dirichlet([0.3, 0.6], 200)
    whole = ClassBalanced(probs, probs.min(axis=1), 10, target=[5, 5])
    half = corrected(replace(whole, candidates=np.arange(100)), Correction([5, 5]))
    found = correct_priors(probs[:100], [5, 5])
    assert half.notes()["correct"]["prior"] == found.prior.tolist()
    half.save(folder / "half.toml")
    rows = half.candidates
    again = load(folder / "half.toml")
    np.testing.assert_array_equal(again.probs.take(rows), half.probs.take(rows))
    for other in (np.arange(50), np.arange(200)):
        with pytest.raises(InvalidInput, match="candidates: the probabilities were corrected for"):
            replace(half, candidates=other)


def test_a_changed_record_of_the_correction_is_found_out(folder):
    """A solution could claim a prior, or certainty, that the file does not give."""
    problem = load(write(folder, FULL))
    solution = solve(problem, "top")
    record = solution.info["correct"]
    for name, wrong in (("prior", [0.5, 0.5]), ("identified", False), ("method", "confusion")):
        forged = replace(solution, info={**solution.info, "correct": {**record, name: wrong}})
        with pytest.raises(CheckFailed, match="info: 'correct' is not what the problem gives"):
            check(problem, forged)
    assert check(problem, solution).rows == 10


def test_held_out_shards_are_one_array(folder):
    """A problem with held-out rows in shards could be solved, but not saved and read."""
    plain = load(_plain(folder))
    held_out, classes = np.load(folder / "held_out.npy"), np.load(folder / "classes.npy")
    whole = corrected(plain, Correction([5, 5], held_out=held_out, held_out_classes=classes))
    for at in (20, 15):
        parts = [held_out[:at], held_out[at:]]
        shards = corrected(plain, Correction([5, 5], held_out=parts, held_out_classes=classes))
        shards.save(folder / "shards.toml")
        assert load(folder / "shards.toml").fingerprint == shards.fingerprint == whole.fingerprint


BAD = [
    ("method = 'em'", r"\[correct\] trained_on: is missing; count the rows of each class"),
    ("trained_on = [5, 5, 5]", "trained_on: must hold one count for each of 2 classes; got 3"),
    ("trained = [5, 5]", r"\[correct\]: unknown key 'trained'; did you mean 'trained_on'"),
    ("trained_on = [5, 5]\nmethod = 1", r"\[correct\] method: must be str; got 1"),
    ("trained_on = [5, 5]\nmethod = 'bbse'", "method: must be one of em, sharpened, confusion"),
    ("trained_on = [5, 5]\nmethod = 'confusion'", "held_out: method 'confusion' needs labeled"),
    ("trained_on = 'x.npy'", r"trained_on: .*x\.npy does not exist"),
    ("trained_on = [5, 5]\nheld_out = 'held_out.npy'", "held_out_classes: is missing"),
    ("trained_on = [5, 5]\nsmoothing = -1", "smoothing: must be finite and at least 0; got -1; 1 "),
    ("trained_on = [5, 5]\nsmoothing = 'a'", "smoothing: must be one number; got 'a'"),
]


@pytest.mark.parametrize(("table", "message"), BAD, ids=range(len(BAD)))
def test_bad_tables_are_one_clear_error(folder, table, message):
    """A typing mistake would leave the predictions uncorrected."""
    with pytest.raises(InvalidInput, match=rf"^p\.toml: .*{message}"):
        load(write(folder, table))


def test_the_table_must_be_a_table(folder):
    """A number in its place would end in a traceback."""
    path = folder / "p.toml"
    path.write_text("correct = 3\n" + HEAD)
    with pytest.raises(InvalidInput, match=r"\[correct\]: must be a table; got 3"):
        load(path)


def test_correction_is_made_once(folder):
    """Correcting twice would square the odds."""
    problem = load(write(folder, FULL))
    with pytest.raises(InvalidInput, match=r"\[correct\]: the probabilities are corrected already"):
        corrected(problem, Correction([5, 5]))


COUNTED = """
labelcut = 1
[problem]
kind = "budgeted"
budget = 10
[data]
utility = "utility.npy"
labeled = [0, 1, 2, 3]
[[constraint]]
kind = "expected-count"
probs = "probs.npy"
classes = 1
at_least = 3
"""
SPREAD = """
labelcut = 1
[problem]
kind = "k-center"
budget = 10
balance = 1.0
target = [5, 5]
[data]
embeddings = "probs.npy"
probs = "probs.npy"
"""


OTHERS = pytest.mark.parametrize("text", [COUNTED, SPREAD], ids=["budgeted", "k-center"])


@OTHERS
def test_quotas_and_coresets_are_corrected_as_their_array_would_be(folder, text):
    """A quota or a coreset's term would be left as predicted, under a file that says corrected."""
    path = _other(folder, text)
    plain = load(path)
    path.write_text(f"{text}\n[correct]\n{FULL}\n")
    problem = load(path)
    assert problem.fingerprint != plain.fingerprint
    held_out = {
        "held_out": np.load(folder / "held_out.npy"),
        "held_out_classes": np.load(folder / "classes.npy"),
    }
    found = correct_priors(plain.class_probs, [5, 5], **held_out)
    rows = plain.candidates
    np.testing.assert_allclose(problem.class_probs.take(rows), found.probs[rows], atol=1e-12)
    assert problem.notes()["correct"]["prior"] == found.prior.tolist()
    fixed = np.where(np.isnan(found.probs), 0.5, found.probs)
    np.save(folder / "fixed.npy", fixed)
    path.write_text(text.replace('probs = "probs.npy"', 'probs = "fixed.npy"'))
    stated = load(path)
    for some in (rows[:10], rows[-10:]):
        assert _value(problem, some) == pytest.approx(_value(stated, some), abs=1e-9)
    assert uncorrected(problem).fingerprint == plain.fingerprint
    assert _value(uncorrected(problem), rows[:10]) == _value(plain, rows[:10])


def _other(folder, text):
    probs = np.load(folder / "probs.npy")
    probs[:4] = 0.5
    np.save(folder / "probs.npy", probs)
    path = folder / "other.toml"
    path.write_text(text)
    return path


def _value(problem, rows):
    """Return what depends on the probabilities: a quota's expected labels, or the objective."""
    if problem.class_balance is None:
        return problem.constraints[0].expected(rows)[0]
    return problem.evaluate(rows).objective


@OTHERS
def test_corrected_quotas_and_coresets_are_saved_solved_and_checked(folder, text):
    """What was sent would be another problem, or its honest answers would be refused."""
    path = _other(folder, f"{text}\n[correct]\n{FULL}\n")
    problem = load(path)
    problem.save(folder / "again.toml")
    again = load(folder / "again.toml")
    assert again.fingerprint == problem.fingerprint
    solution = solve(problem, time_limit=5)
    solution.save(folder / "s.json")
    assert check(again, load(folder / "s.json")).rows == 10
    assert solution.info["correct"]["method"] == "em"
    with pytest.raises(Exception, match="fingerprint: the solution answers problem"):
        check(problem, solve(uncorrected(problem), "random"))
    with pytest.raises(InvalidInput, match=r"\[correct\]: the probabilities are corrected already"):
        corrected(problem, Correction([5, 5]))


@pytest.mark.slow
def test_a_corrected_quota_brings_about_the_labels_that_were_asked_for():
    """Predictions of a pool in which a class is rare promise more labels of it than come."""
    rng = np.random.default_rng(1)
    truth = (rng.random(3000) < 0.1).astype(int)
    score = 1 / (1 + np.exp(-2 * rng.normal(2 * truth - 1)))
    probs = np.stack([1 - score, score], axis=1)
    quota = ExpectedCount(probs, 1, at_least=40, confidence=0.9)
    problem = BudgetedSelection(probs.min(axis=1), 100, constraints=[quota])
    fixed = corrected(problem, Correction(trained_on=[1, 1]))
    came = [truth[solve(p, gap_tol=0.01).indices].sum() for p in (problem, fixed)]
    assert came[0] < 20
    assert came[1] > 30


def test_what_no_correction_can_mean_is_refused(folder):
    """A file would say corrected where nothing was, or only some of it."""
    rng = np.random.default_rng(0)
    one, other = (rng.dirichlet([1, 1], 50) for _ in range(2))
    quotas = [ExpectedCount(probs, 0, at_least=1) for probs in (one, other)]
    with pytest.raises(InvalidInput, match=r"\[correct\]: corrects class probabilities, and this"):
        corrected(BudgetedSelection(np.arange(50), 5), Correction([5, 5]))
    with pytest.raises(InvalidInput, match="the expected-counts are over several"):
        corrected(BudgetedSelection(np.arange(50), 5, constraints=quotas), Correction([5, 5]))
    both = [ExpectedCount(one, k, at_least=1) for k in (0, 1)]
    fixed = corrected(BudgetedSelection(np.arange(50), 5, constraints=both), Correction([5, 5]))
    fixed.save(folder / "both.toml")
    assert load(folder / "both.toml").fingerprint == fixed.fingerprint
    balanced = ClassBalanced(one, np.arange(50), 5, constraints=[fixed.constraints[0]])
    with pytest.raises(InvalidInput, match="were corrected by another problem, which no file can"):
        balanced.save(folder / "balanced.toml")
