"""What the command line says when it has no answer: exit codes, and one line of reason."""

import json
import os

import numpy as np
import pytest

from labelcut.solvers._clock import OutOfTime

CLASH = """
[[constraint]]
kind = "include"
rows = [0]
[[constraint]]
kind = "forbid"
rows = [0]
"""


def test_contradiction_is_infeasible_with_its_reason(labelcut, two_classes, with_lines):
    """A script could not tell a contradiction in the file from a success."""
    with_lines(two_classes, CLASH)
    saved = two_classes.with_suffix(".selection.json")
    result = labelcut("solve", two_classes)
    assert (result.code, result.out) == (1, "")
    assert "Include and Forbid contradict each other: row 0" in " ".join(result.err.split())
    assert json.loads(saved.read_text())["status"] == "infeasible"
    printed = labelcut("solve", two_classes, "--json")
    assert printed.code == 1
    assert printed.json["solution"]["reason"].startswith("Include and Forbid")
    checked = labelcut("check", two_classes, saved)
    assert checked.code == 0
    assert checked.err == "infeasible, as claimed\n"


def test_compare_says_once_why_all_methods_fail(labelcut, two_classes, with_lines, tmp_path):
    """A contradiction would be a success, an error about the picture, or the same line twice."""
    with_lines(two_classes, CLASH)
    arguments = ["compare", two_classes, "--method", "top", "--method", "greedy"]
    result = labelcut(*arguments, "--plot", tmp_path / "c.png")
    assert (result.code, result.out) == (1, "")
    assert result.err.count("Include and Forbid") == 1
    assert "top, greedy: Include" in result.err
    assert "no picture" in result.err
    assert not (tmp_path / "c.png").exists()


def test_show_tells_of_a_contradiction(labelcut, two_classes, with_lines):
    """A user who looks before solving would not learn that there is no solution."""
    with_lines(two_classes, CLASH)
    assert "contradict each other" in " ".join(labelcut("show", two_classes).err.split())


PROOF = {
    "kind": "multipliers",
    "recheckable": True,
    "bound": 0.2,
    "values": {"multipliers": [0.0, 0.0]},
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objective": 0.29}, "objective: 0.29 is claimed, the rows give"),
        ({"terms": {"utility": 9, "imbalance": 2, "unreachable": 0}}, "utility: 9"),
        ({"indices": [0], "order": None}, "budget: 1 rows are chosen, exactly 2"),
        ({"indices": [0, 0], "order": None}, "row 0 comes twice"),
        ({"indices": [0, 6], "order": None}, "rows must lie in 0..5; got 6"),
        ({"status": "infeasible"}, "status: infeasible is claimed with an objective"),
        ({"bound": 0.4}, "bound: 0.4 is claimed, the rows do better"),
        ({"bound": 0.2}, "bound: 0.2 is claimed without a certificate"),
        # Multipliers of 0 prove what top utility alone would reach: -0.9 - 0.8.
        (
            {"bound": 0.2, "certificate": PROOF},
            "0.2 is claimed, the certificate proves -1.7",
        ),
        ({"fingerprint": "0" * 32}, "fingerprint"),
    ],
)
def test_check_fails_on_a_changed_solution(labelcut, two_classes, changes, words):
    """Somebody's changed answer would pass as proven."""
    saved = two_classes.with_suffix(".selection.json")
    labelcut("solve", two_classes, "--method", "top")
    assert labelcut("check", two_classes, saved).code == 0
    saved.write_text(json.dumps({**json.loads(saved.read_text()), **changes}))
    result = labelcut("check", two_classes, saved)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("check failed: ")
    assert len(result.err.splitlines()) == 1
    assert words in result.err


def test_check_fails_on_another_problems_solution(labelcut, two_classes):
    """Rows of one problem would pass as the answer to another."""
    labelcut("solve", two_classes, "--method", "top")
    np.save(two_classes.with_name("utility.npy"), np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.11]))
    result = labelcut("check", two_classes, two_classes.with_suffix(".selection.json"))
    assert (result.code, result.out) == (1, "")
    assert "another" in result.err or "solved for" in result.err


def stop_without_answer(search):
    """Be a method whose time is over before it has an answer."""
    search.prove(-1.5, None)
    raise OutOfTime


def test_no_answer_in_time_is_its_own_exit_code(labelcut, two_classes, monkeypatch):
    """A script would take a run without an answer for a success or for bad input."""
    monkeypatch.setattr("labelcut.solvers.class_balanced.baselines.solve_top", stop_without_answer)
    result = labelcut("solve", two_classes, "--method", "top")
    assert (result.code, result.out) == (3, "")
    assert "unknown (time limit)" in result.err
    printed = labelcut("solve", two_classes, "--method", "top", "--json")
    assert printed.code == 3
    assert printed.json["solution"]["indices"] == []


def test_a_limit_too_short_for_anything_is_no_bad_input(labelcut, two_classes):
    """A user would be told of a mistake in the time limit where there only was too little time."""
    result = labelcut("solve", two_classes, "--method", "relaxed", "--time-limit", "1e-9")
    assert result.code in (0, 3), result.err
    assert "(time limit)" in result.err


def bad_input():
    """Commands with a mistake in them, and the words that must tell of it."""
    problem = {"[solve]\nmethd = 'top'\n": "unknown key 'methd'; did you mean 'method'?"}
    problem |= {"lable = 3\n": "unknown key 'lable'"}
    problem |= {"truth = [0, 0, 0, 1, 1, 2]\n": "truth: classes must lie in 0..1"}
    problem |= {"truth = [0, 0]\n": "truth: must hold one class for each of 6 rows"}
    problem |= {"ids = 'nope.txt'\n": "nope.txt does not exist"}
    for lines, words in problem.items():
        yield pytest.param(lines, ["solve", "two.toml"], words, id=lines.split()[0])
    for arguments, words in {
        "solve nope.toml": "nope.toml does not exist",
        "solve tow.toml": "did you mean two.toml?",
        "solve .": "is a folder",
        "solve probs.npy": "is no TOML",
        "solve two.toml --method exakt": "did you mean 'exact'?",
        "solve two.toml --method exact --option nodelimit=3": "did you mean 'node_limit'?",
        "solve two.toml --method top --option node_limit=3": "'top' has: none",
        "solve two.toml --method exact --option node_limit=abc": "node_limit: must be",
        "solve two.toml --option node_limit": "--option: must be NAME=VALUE; got 'node_limit'",
        "solve two.toml --seed -1": "seed: must be a whole number",
        "solve two.toml --time-limit 0": "time_limit: must be seconds above 0; got 0",
        "solve two.toml --time-limit nan": "time_limit: must be seconds above 0; got nan",
        "solve two.toml --gap-tol -1": "gap_tol: must be a finite number",
        "solve two.toml --out .": "is a folder",
        "solve two.toml --out nope/x.json": "nope: no such folder",
        "solve two.toml --out two.toml": "two.toml is the problem file",
        "compare two.toml --method nope": "'nope' is unknown",
        "compare two.toml --time-limit -1": "error: time_limit: must be seconds above 0",
        "compare two.toml --plot c.bmp2": "use .png, .svg or .pdf",
        "compare two.toml --plot c": "no suffix",
        "compare two.toml --plot nope/c.png": "nope: no such folder",
        "check two.toml nope.json": "nope.json does not exist",
        "check two.toml two.toml": "is no JSON",
        "check two.toml .": "is a folder",
        "show two.toml --plot c.png": "--plot: needs a solution",
    }.items():
        yield pytest.param("", arguments.split(), words, id=arguments.replace(" ", "_"))


@pytest.mark.parametrize(("lines", "arguments", "words"), list(bad_input()))
def test_bad_input_is_one_line(
    labelcut, two_classes, with_lines, monkeypatch, lines, arguments, words
):
    """A user's mistake would end in a traceback, in silence, or in a file half written."""
    with_lines(two_classes, lines)
    monkeypatch.chdir(two_classes.parent)
    before = {path.name: path.read_bytes() for path in two_classes.parent.iterdir()}
    result = labelcut(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert words in result.err
    assert len(result.err.splitlines()) == 1
    assert before == {path.name: path.read_bytes() for path in two_classes.parent.iterdir()}


def spoil_version(folder):
    """Write another format version."""
    path = folder / "two.toml"
    path.write_text(path.read_text().replace("labelcut = 1", "labelcut = 2"))


def spoil_probs(folder):
    """Pass logits."""
    np.save(folder / "probs.npy", np.full((6, 2), 3.0))


def spoil_pickle(folder):
    """Pass objects."""
    np.save(folder / "utility.npy", np.array([{}] * 6), allow_pickle=True)


def spoil_text(folder):
    """Cut an array off."""
    path = folder / "utility.npy"
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_version, "labelcut: this version reads format 1; got 2"),
        (spoil_probs, "pass softmax outputs, not logits"),
        (spoil_pickle, "pickle"),
        (spoil_text, "utility.npy cannot be read"),
    ],
)
def test_bad_files_are_one_line_from_the_real_command(command, two_classes, spoil, words):
    """A file that is wrong inside would end in a traceback."""
    spoil(two_classes.parent)
    result = command("solve", "two.toml")
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 1
    assert words in result.err
    assert not two_classes.with_suffix(".selection.json").exists()


@pytest.fixture
def unsolved(monkeypatch):
    """Fail if anything is solved."""

    def solve(*_, **__):
        raise AssertionError("it was solved before the mistake was found")

    monkeypatch.setattr("labelcut.solvers.solve", solve)
    monkeypatch.setattr("labelcut.studies.compare", solve)


@pytest.mark.parametrize(
    "arguments",
    [
        ["solve", "two.toml", "--out", "nope/x.json"],
        ["solve", "two.toml", "--out", "."],
        ["solve", "two.toml", "--out", "two.toml"],
        ["solve", "two.toml", "--option", "x"],
        ["compare", "two.toml", "--plot", "c.bmp2"],
        ["compare", "two.toml", "--plot", "nope/c.png"],
    ],
    ids=" ".join,
)
def test_a_place_that_cannot_be_written_is_found_first(
    labelcut, two_classes, monkeypatch, unsolved, arguments
):
    """An hour of solving would be lost over a folder that is not there."""
    monkeypatch.chdir(two_classes.parent)
    assert labelcut(*arguments).code == 2


@pytest.mark.parametrize("pretend", [False, True])
def test_a_folder_without_permission_is_found_first(
    labelcut, two_classes, tmp_path, monkeypatch, unsolved, pretend
):
    """An hour of solving would be lost over a folder that cannot be written."""
    folder = tmp_path / "shut"
    folder.mkdir(mode=0o500)
    if pretend:
        monkeypatch.setattr(os, "access", lambda _, mode, **__: mode != os.W_OK)
    elif os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    result = labelcut("solve", two_classes, "--out", folder / "x.json")
    assert result.code == 2
    assert "cannot be written" in result.err
    assert list(folder.iterdir()) == []


def test_an_unreadable_solution_is_one_line(labelcut, two_classes, monkeypatch):
    """A file without read permission would end in a traceback."""
    saved = two_classes.with_suffix(".selection.json")
    saved.write_text("{}")

    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.read_text", refuse)
    result = labelcut("check", two_classes, saved)
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 1
    assert "Permission denied" in result.err


def test_saving_that_fails_leaves_nothing_half_written(labelcut, two_classes, monkeypatch):
    """A full disk would leave a file that looks like a solution."""
    saved = two_classes.with_suffix(".selection.json")
    labelcut("solve", two_classes, "--method", "top")
    before = saved.read_bytes()
    names = {path.name for path in two_classes.parent.iterdir()}

    def write(self, text, **_):
        self.write_bytes(text[:20].encode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", write)
    result = labelcut("solve", two_classes, "--method", "greedy")
    assert result.code == 2
    assert "No space left on device" in result.err
    assert len(result.err.splitlines()) == 1
    assert saved.read_bytes() == before
    assert {path.name for path in two_classes.parent.iterdir()} == names


@pytest.mark.parametrize(
    "arguments",
    ["solve", "solve two.toml --bogus", "solve two.toml --seed x", "compare two.toml --seeds 0"],
)
def test_usage_errors_are_bad_input(labelcut, two_classes, monkeypatch, arguments):
    """A mistyped option would count as an answer or as infeasible."""
    monkeypatch.chdir(two_classes.parent)
    result = labelcut(*arguments.split())
    assert (result.code, result.out) == (2, "")
    assert "Traceback" not in result.err


@pytest.mark.parametrize("command", ["solve", "compare"])
def test_ctrl_c_before_any_answer_is_quiet(labelcut, two_classes, monkeypatch, command):
    """Ctrl-C would print a traceback or exit like a failure."""

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("labelcut.solvers.solve", interrupt)
    monkeypatch.setattr("labelcut.studies.compare", interrupt)
    result = labelcut(command, two_classes)
    assert (result.code, result.out) == (130, "")
    assert result.err.startswith("interrupted before")
    assert len(result.err.splitlines()) == 1
    assert not two_classes.with_suffix(".selection.json").exists()
