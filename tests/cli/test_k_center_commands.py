"""The command line on coresets that are worked out by hand."""

import re

import numpy as np
import pytest

import labelcut as library

TEXT = """
labelcut = 1
[problem]
kind = "k-center"
budget = 2
outliers = 0
[data]
embeddings = "x.npy"
"""


@pytest.fixture
def line(tmp_path):
    """Write six points on a line: rows 1 and 4, at 1 and 12, leave the others 2 away at most."""
    np.save(tmp_path / "x.npy", np.array([[0.0], [1.0], [2.0], [10.0], [12.0], [14.0]]))
    path = tmp_path / "line.toml"
    path.write_text(TEXT)
    return path


def test_solve_check_and_show_go_together(labelcut, line, tmp_path):
    """A coreset could be made from Python only, or not be checked by anybody else."""
    solved = labelcut("solve", line, "--method", "random", "--json").json["solution"]
    drawn = library.solve(library.load(line), "random")
    assert solved["indices"] == drawn.indices.tolist()
    assert solved["terms"] == {"radius": drawn.objective}
    saved = line.with_suffix(".selection.json")
    checked = labelcut("check", line, saved)
    assert checked.code == 0
    assert f"objective {drawn.objective:.6g} is right" in checked.err
    shown = labelcut("show", line, saved, "--plot", tmp_path / "s.png")
    assert shown.code == 0
    assert "radius" in shown.err
    assert "target Ω" not in shown.err
    assert "\n\n\n" not in shown.err
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_show_describes_the_space(labelcut, line):
    """A user could not see what is measured, or a script would meet keys without meaning."""
    text = labelcut("show", line).err
    for name, value in (("metric", "euclidean"), ("dimension", "1"), ("outliers", "0")):
        assert re.search(rf"^{name} +{value} *$", text, re.MULTILINE)
    told = labelcut("show", line, "--json").json["problem"]
    assert (told["kind"], told["metric"], told["dimension"]) == ("k-center", "euclidean", 1)
    assert told["outliers"] == 0
    assert "target" not in told


def test_show_describes_the_target_where_there_are_classes(labelcut, line):
    """The class-balance term of a coreset would be hidden."""
    np.save(line.with_name("p.npy"), np.repeat(np.eye(2), 3, axis=0))
    line.write_text(line.read_text() + 'probs = "p.npy"\n')
    assert labelcut("show", line, "--json").json["problem"]["target"] == [1, 1]
    labelcut("solve", line, "--method", "random")
    shown = labelcut("show", line, line.with_suffix(".selection.json"))
    assert "L1 predicted" in shown.err
    assert "predicted" in shown.err.splitlines()[-3]


def test_compare_measures_against_a_random_draw(labelcut, line, tmp_path):
    """The table would speak of top utility, or leave out the radius."""
    picture = tmp_path / "c.png"
    result = labelcut("compare", line, "--method", "random", "--seeds", 2, "--plot", picture)
    assert result.code == 0
    head, columns, row, told = result.err.splitlines()
    assert head.startswith("line.toml   k-center (min)   6 candidates   budget 2   ")
    assert "of random's gap" in columns
    assert row.startswith("random x2")
    assert told == f"picture in {picture}"
    assert picture.read_bytes().startswith(b"\x89PNG")
    content = labelcut("compare", line, "--method", "random", "--json").json["comparison"]
    assert content["baseline"] == "random"
    assert content["methods"][0]["radius"] == content["methods"][0]["objective"]


@pytest.mark.parametrize("arguments", [("frontier", "{file}"), ("export", "{file}", "m.mps")])
def test_what_needs_utility_is_refused(labelcut, line, arguments):
    """A traceback would be the answer to a reasonable question."""
    result = labelcut(*(str(line) if part == "{file}" else part for part in arguments))
    assert (result.code, result.out) == (2, "")
    assert "takes class-balanced problems, this one is k-center" in result.err
    assert len(result.err.strip().splitlines()) == 1
