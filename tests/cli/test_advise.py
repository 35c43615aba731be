"""The command that recommends a strategy."""

import json

import numpy as np
import pytest

from labelcut.problems import read_problem


@pytest.fixture
def scores(tmp_path, monkeypatch):
    """Write scores of a video that repeats itself, and go there."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    points = np.repeat(rng.normal(size=(40, 5)), 10, axis=0) + 1e-3 * rng.normal(size=(400, 5))
    np.save(tmp_path / "embeddings.npy", points.astype(np.float32))
    np.save(tmp_path / "probs.npy", rng.dirichlet(np.ones(3), 400).astype(np.float32))
    lines = [f"{row:03},v{row // 100},{row % 100}" for row in range(400)]
    (tmp_path / "frames.csv").write_text("\n".join(["id,video,frame", *lines]))
    (tmp_path / "labeled.txt").write_text("0\n7\n")
    return tmp_path


def test_advice_is_text_and_a_problem_that_solves(scores, labelcut):
    """The advice would not lead to a choice."""
    frames = [
        "--video",
        "frames.csv#video",
        "--frame",
        "frames.csv#frame",
        "--ids",
        "frames.csv#id",
    ]
    rows = ["--labeled", "labeled.txt", "--budget", "30"]
    done = labelcut("advise", ".", *rows, *frames, "--out", "choice.toml")
    assert done.code == 0, done.err
    assert "k-center" in done.err
    assert "002 Table 4" in done.err
    assert labelcut("solve", "choice.toml").code == 0
    chosen = json.loads((scores / "choice.selection.json").read_text())
    assert len(chosen["indices"]) == 30
    assert len({row // 10 for row in chosen["indices"]}) == 30


def test_json_tells_measures_and_evidence(scores, labelcut):
    """A program could not read the advice."""
    done = labelcut("advise", ".", "--budget", "30", "--json")
    content = done.json
    assert content["kind"] == "advice"
    told = content["advice"]
    assert told["advice"]["strategy"] == "k-center"
    assert told["measures"]["redundancy"]["distinct"] == pytest.approx(0.1)
    assert {"source", "setting", "finding"} == told["advice"]["evidence"][0].keys()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere", "--budget", "3"], "has no embeddings.npy"),
        ([".", "--budget", "999"], "budget: must lie in 1..400"),
        ([".", "--budget", "3", "--domain", "sea"], "domain: must be one of"),
        ([".", "--budget", "3", "--labeled", "none.npy"], "none.npy"),
    ],
)
def test_bad_input_is_one_line(scores, labelcut, arguments, told):
    """A user would see a traceback."""
    done = labelcut("advise", *arguments)
    assert done.code == 2
    assert told in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_the_written_file_can_be_read_again(scores, labelcut):
    """The problem would hold other rows than the pool."""
    labelcut("advise", ".", "--budget", "30", "--out", "choice.toml")
    problem = read_problem(scores / "choice.toml").problem
    assert problem.dataset.size == 400
