"""The command line on a corrected problem."""

import numpy as np
import pytest

TEXT = """
labelcut = 1
[problem]
kind = "class-balanced"
budget = 20
target = [10, 10]
[data]
probs = "probs.npy"
utility = "utility.npy"
truth = "truth.npy"
[correct]
trained_on = [5, 5]
"""


@pytest.fixture
def rare(tmp_path):
    """Write a pool in which class 1 is rare."""
    rng = np.random.default_rng(0)
    truth = (rng.random(400) < 0.1).astype(int)
    score = 1 / (1 + np.exp(-2 * rng.normal(2 * truth - 1)))
    np.save(tmp_path / "probs.npy", np.stack([1 - score, score], axis=1))
    np.save(tmp_path / "utility.npy", np.minimum(score, 1 - score))
    np.save(tmp_path / "truth.npy", truth)
    path = tmp_path / "rare.toml"
    path.write_text(TEXT)
    return path


def test_compare_tells_both_programs_and_draws_them(rare, labelcut):
    """A reader would believe in the balance that was predicted."""
    picture = rare.with_name("c.png")
    result = labelcut(
        "compare", rare, "--method", "relaxed", "--time-limit", "5", "--plot", picture
    )
    assert result.code == 0
    assert "relaxed, as predicted" in result.err
    assert "relaxed, corrected" in result.err
    assert picture.read_bytes().startswith(b"\x89PNG")
    told = labelcut("compare", rare, "--method", "relaxed", "--json").json
    paper, own = told["comparison"]["programs"]
    assert paper["l1_true"] > own["l1_true"]


def test_solve_and_check_agree_on_a_corrected_file(rare, labelcut):
    """The checker would refuse what the solver has saved."""
    assert labelcut("solve", rare, "--time-limit", "3").code == 0
    solution = rare.with_suffix(".selection.json")
    assert labelcut("check", rare, solution).code == 0
    assert labelcut("show", rare, solution).code == 0


def test_show_tells_correction_and_calibration_and_draws_reliability(rare, labelcut):
    """Nobody would know what was done to the probabilities."""
    picture = rare.with_name("r.png")
    result = labelcut("show", rare, "--plot", picture)
    assert result.code == 0
    assert "em, shares from" in result.err
    assert "pool, corrected" in result.err
    assert picture.read_bytes().startswith(b"\x89PNG")
    told = labelcut("show", rare, "--json").json["problem"]
    assert told["notes"]["correct"]["identified"] is True
    assert 0 <= told["calibration_error"]["pool, as predicted"] <= 1


def test_a_bad_table_is_one_line(rare, labelcut):
    """A mistake would end in a traceback."""
    rare.write_text(TEXT.replace("[5, 5]", "[5]"))
    result = labelcut("show", rare)
    assert result.code == 2
    assert result.err.startswith("error: rare.toml: trained_on: must hold one count for each of 2")
    assert result.err.count("\n") == 1
