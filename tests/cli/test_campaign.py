"""The commands of labelling campaigns, as a user runs them."""

import csv
import json
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

FILE = """
labelcut = 1
[campaign]
budget = [6, 4]
cycles = 1
{more}
[data]
inputs = "x.npy"
truth = "y.npy"
test_inputs = "x.npy"
test_truth = "y.npy"
classes = 2
[learner]
epochs = 2
hidden = 4
[[strategy]]
name = "random"
"""


@pytest.fixture
def points(tmp_path):
    """Write a campaign over 30 points."""

    def make(more=""):
        rng = np.random.default_rng(1)
        np.save(tmp_path / "x.npy", rng.normal(size=(30, 3)).astype(np.float32))
        np.save(tmp_path / "y.npy", np.arange(30) % 2)
        path = tmp_path / "points.toml"
        path.write_text(FILE.format(more=more))
        return path

    return make


@pytest.mark.slow
def test_what_could_not_be_measured_is_left_out(points, labelcut):
    """A class without objects, whose precision is NaN, would end --json in a traceback."""
    path = points()
    text = path.read_text().replace("[learner]", '[learner]\nmeasure = "own.py:measure"')
    path.write_text(text)
    own = path.with_name("own.py")
    own.write_text("def measure(model, pool):\n    return {'ap': float('nan'), 'seen': 3}\n")
    result = labelcut("campaign", "run", path, "--json")
    assert result.code == 0, result.err
    for record in result.json["campaign"]["records"]:
        assert record["metrics"]["seen"] == 3
        assert "ap" not in record["metrics"]
    path.write_text(text.replace("[campaign]", '[campaign]\nfolder = "again"'))
    own.write_text("def measure(model, pool):\n    return 0.5\n")
    result = labelcut("campaign", "run", path)
    assert result.code == 2
    assert "[learner] measure: must give numbers by name; got 0.5" in result.err


def test_run_ends_with_a_report_and_runs_nothing_twice(points, labelcut, monkeypatch):
    """The one command of the README would leave its user without results."""
    path = points()
    before = labelcut("campaign", "status", path)
    assert before.code == 0
    assert "2 cycles are left" in before.err
    result = labelcut("campaign", "run", path)
    assert result.code == 0, result.err
    assert "random   seed 0   cycle 1   10 labeled   accuracy 0." in result.err
    assert "the loop itself" in result.err
    report = path.parent / "points.campaign" / "report.html"
    assert report.stat().st_size > 1000
    # Drawn once is enough: what follows is read, and drawing takes most of the time.
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: None)
    again = labelcut("campaign", "run", path, "--json")
    assert again.code == 0
    assert "cycle 1" not in again.err
    told = again.json["campaign"]
    assert (told["left"], told["stopped"], told["failures"]) == (0, None, {})
    assert [record["cycle"] for record in told["records"]] == [0, 1]
    status = labelcut("campaign", "status", path, "--json").json["campaign"]
    assert status == {"left": 0, "records": told["records"]}
    other = path.parent / "other.html"
    wishes = ("--metric", "l1_true", "--baseline", "random", "--alpha", "0.1")
    assert labelcut("campaign", "report", path, "--out", other, *wishes).code == 0
    assert "Learning curves: l1 true over" in other.read_text("utf-8")
    for option, value, words in (
        ("--baseline", "entropy", "--baseline: must be one of random; got 'entropy'"),
        ("--metric", "f1", "metric: the records hold accuracy"),
        ("--alpha", "5", "alpha: must lie between 0 and 1; got 5"),
    ):
        refused = labelcut("campaign", "report", path, option, value)
        assert (refused.code, words in refused.err) == (2, True), refused.err


def test_a_person_labels_by_command(points, labelcut):
    """The engineer with images and no labels could not begin."""
    path = points('answers = "person"')
    path.write_text(path.read_text().replace('truth = "y.npy"\ntest', "test"))
    folder = path.parent
    asked = labelcut("campaign", "next", path, "--json").json["batch"]
    assert (asked["over"], asked["cycle"], len(asked["rows"])) == (False, -1, 6)
    truth = np.load(folder / "y.npy")
    for _ in range(2):
        with open(asked["csv"], newline="") as file:
            rows = [int(line["row"]) for line in csv.DictReader(file)]
        answers = folder / "answers.csv"
        answers.write_text("row,label\n" + "".join(f"{row},{truth[row]}\n" for row in rows))
        result = labelcut("campaign", "labels", path, answers, "--json")
        assert result.code == 0, result.err
        asked = result.json["batch"]
    assert asked == {"over": True}
    assert "all cycles are over" in labelcut("campaign", "next", path).err
    wrong = labelcut("campaign", "labels", path, answers)
    assert wrong.code == 2
    assert "nothing was asked for" in wrong.err
    assert "correct them with --replace" in wrong.err
    same = labelcut("campaign", "labels", path, answers, "--replace")
    assert same.code == 0
    assert "0 of 4 answers are others than before" in same.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["report"], "nothing is finished yet"),
        (["run", "--until", "soon"], "--until: must be a time"),
        (["next"], "the truth answers by itself"),
        (["labels", "none.csv"], "the truth answers by itself"),
    ],
)
def test_what_cannot_be_is_one_line(points, labelcut, arguments, words):
    """A user would see a traceback."""
    command, *rest = arguments
    result = labelcut("campaign", command, points(), *rest)
    assert result.code == 2
    assert words in result.err
    assert len(result.err.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_failing_strategy_is_exit_code_two(points, labelcut):
    """A script would believe that the campaign is complete."""
    path = points()
    (path.parent / "bad.py").write_text("def bad(round):\n    return [0, 0, 0, 0]\n")
    path.write_text(
        path.read_text().replace('name = "random"', 'name = "b"\nchoose = "bad.py:bad"')
    )
    result = labelcut("campaign", "run", path)
    assert result.code == 2
    assert re.search(
        "error: b was stopped: strategy b, seed 0, cycle 0: row 0 comes twice", result.err
    )
    assert json.loads(labelcut("campaign", "run", path, "--json").out)["campaign"]["left"] == 2
