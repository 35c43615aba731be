"""The four commands on problems that are worked out by hand."""

import json
import re

import numpy as np
import pytest

import labelcut as library


def test_solve_finds_what_was_worked_out_by_hand(labelcut, two_classes):
    """The command line would give another answer than the mathematics."""
    result = labelcut("solve", two_classes, "--method", "exact", "--json")
    assert result.code == 0
    solution = result.json["solution"]
    assert solution["indices"] == [0, 3]
    assert solution["objective"] == pytest.approx(-1.2)
    assert solution["status"] == "optimal"
    assert -1.2 - 1e-3 <= solution["bound"] <= -1.2 + 1e-9


def test_solve_and_check_as_a_user_types_them(command, two_classes, tmp_path):
    """The installed command would fail where a call from Python works."""
    solved = command("solve", "two.toml")
    assert (solved.code, solved.out) == (0, "")
    assert "two.selection.json" in solved.err
    checked = command("check", "two.toml", "two.selection.json")
    assert (checked.code, checked.out) == (0, "")
    assert "2 rows are feasible, objective -1.2 is right" in checked.err
    assert {path.name for path in tmp_path.iterdir()} == {
        "probs.npy",
        "utility.npy",
        "two.toml",
        "two.selection.json",
    }


def test_solve_writes_where_it_is_told(labelcut, two_classes, tmp_path):
    """The solution would land beside the problem, or be another one than was printed."""
    out = tmp_path / "elsewhere.json"
    printed = labelcut("solve", two_classes, "--method", "top", "--out", out, "--json").json
    assert printed["path"] == str(out)
    assert printed["solution"] == json.loads(out.read_text())
    assert not (tmp_path / "two.selection.json").exists()


@pytest.mark.parametrize("command", ["solve", "compare", "check", "show"])
def test_json_is_one_object_on_stdout(labelcut, two_classes, command):
    """A program that reads stdout would meet a table, colour or a second object."""
    labelcut("solve", two_classes, "--method", "top")
    arguments = {
        "solve": ["--method", "top"],
        "compare": ["--method", "top"],
        "check": [two_classes.with_suffix(".selection.json")],
        "show": [],
    }[command]
    result = labelcut(command, two_classes, *arguments, "--json")
    assert result.code == 0
    assert result.out.count("\n") == 1
    assert isinstance(result.json["schema"], int)
    assert result.json["kind"] in result.json
    assert result.err == ""


@pytest.mark.parametrize("command", ["solve", "compare", "check", "show"])
def test_without_json_stdout_is_empty(labelcut, two_classes, command):
    """A pipe would carry tables made for people."""
    labelcut("solve", two_classes, "--method", "top")
    arguments = {
        "solve": ["--method", "top"],
        "compare": ["--method", "top"],
        "check": [two_classes.with_suffix(".selection.json")],
        "show": [two_classes.with_suffix(".selection.json")],
    }[command]
    result = labelcut(command, two_classes, *arguments)
    assert (result.code, result.out) == (0, "")
    assert "Traceback" not in result.err
    assert len(result.err.splitlines()) >= 2


def test_compare_prints_the_gaps_worked_out_by_hand(labelcut, two_classes, with_lines):
    """The table would show other gaps than the answers have, or true labels as predicted ones."""
    np.save(two_classes.with_name("truth.npy"), np.array([0, 1, 0, 1, 1, 1]))
    with_lines(two_classes, 'truth = "truth.npy"\n')
    result = labelcut("compare", two_classes, "--method", "exact", "--method", "top")
    assert result.code == 0
    head, columns, exact, top = result.err.splitlines()
    assert "two.toml" in head
    assert "best bound -1.2 (exact)" in head
    names = "objective|bound|to bound|of top's gap|utility|imbalance|L1 predicted|L1 true"
    assert re.split(r" {2,}", columns.strip()) == ["method", *names.split("|"), "s", "MB", "status"]
    assert exact.split()[:5] == ["exact", "-1.20000", "-1.20000", "0.00%", "0.0%"]
    assert exact.split()[5:8] == ["1.2000", "0.0000", "0.000"]
    # Top is 0.3 + 1.2 = 1.5 from the bound, five times its own objective, and the whole way.
    assert top.split()[:9] == [
        *("top", "0.30000", "-", "500.00%", "100.0%", "1.7000", "2.0000"),
        *("1.000", "0.000"),
    ]


def test_compare_runs_random_methods_once_for_each_seed(labelcut, two_classes):
    """A mean over seeds would be of one draw, or of the wrong seeds."""
    result = labelcut("compare", two_classes, "--method", "random", "--seeds", 3, "--json")
    runs = result.json["comparison"]["runs"]
    problem = library.load(two_classes)
    wanted = [library.solve(problem, "random", seed=seed).indices.tolist() for seed in range(3)]
    assert [run["solution"]["indices"] for run in runs] == wanted


def test_compare_draws_its_picture(labelcut, two_classes, tmp_path):
    """--plot would be accepted and nothing drawn."""
    result = labelcut("compare", two_classes, "--method", "top", "--plot", tmp_path / "c.png")
    assert result.code == 0
    assert f"picture in {tmp_path / 'c.png'}" in result.err
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_show_describes_the_problem(labelcut, two_classes, with_lines):
    """A user could not see what the constraints leave and which methods there are."""
    with_lines(two_classes, 'labeled = [5]\n[[constraint]]\nkind = "forbid"\nrows = [0, 1]\n')
    text = labelcut("show", two_classes).err
    assert "6 (1 labeled, 5 candidates)" in text
    assert "leaves 3 selectable" in text
    for method in library.methods(library.load(two_classes)):
        assert method.name in text
    told = labelcut("show", two_classes, "--json").json["problem"]
    assert (told["rows"], told["labeled"], told["candidates"], told["selectable"]) == (6, 1, 5, 3)
    assert told["target"] == [1, 1]
    assert told["fingerprint"] == library.load(two_classes).fingerprint


def test_show_draws_a_solution(labelcut, two_classes, tmp_path):
    """A solution's classes would not be shown, or its picture not drawn."""
    labelcut("solve", two_classes, "--method", "top")
    saved = two_classes.with_suffix(".selection.json")
    result = labelcut("show", two_classes, saved, "--plot", tmp_path / "s.svg")
    assert result.code == 0
    assert "<svg" in (tmp_path / "s.svg").read_text()
    classes = [line.split() for line in result.err.splitlines() if line.split()[:1] == ["0"]]
    assert classes == [["0", "1.00", "2.00"]]
    assert "picture in" in result.err


def test_show_does_not_show_another_problems_solution(labelcut, two_classes, with_lines):
    """Rows of one problem would be shown as an answer to another."""
    labelcut("solve", two_classes, "--method", "top")
    with_lines(two_classes, '[[constraint]]\nkind = "forbid"\nrows = [5]\n')
    result = labelcut("show", two_classes, two_classes.with_suffix(".selection.json"))
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("check failed: fingerprint")


def test_check_tells_what_a_certificate_proves(labelcut, two_classes):
    """A bound that anyone can re-check would be reported like one that is taken on trust."""
    saved = two_classes.with_suffix(".selection.json")
    labelcut("solve", two_classes, "--method", "relaxed")
    assert "is proven by the certificate" in labelcut("check", two_classes, saved).err
    told = labelcut("check", two_classes, saved, "--json").json["check"]
    assert told["rows"] == 2
    assert told["bound_rechecked"] is True
    labelcut("solve", two_classes, "--method", "top")
    assert "no bound was claimed" in labelcut("check", two_classes, saved).err


def test_ids_come_back(labelcut, two_classes, with_lines):
    """The chosen rows could not be found by the names the user gave them."""
    two_classes.with_name("ids.txt").write_text("a\nb\nc\nd\ne\nf\n")
    with_lines(two_classes, 'ids = "ids.txt"\n')
    assert labelcut("solve", two_classes, "--method", "greedy", "--json").json["solution"][
        "ids"
    ] == ["a", "d"]
    assert "2 (a, d)" in labelcut("solve", two_classes, "--method", "greedy").err


def test_file_sets_defaults_and_the_command_line_wins(labelcut, two_classes, with_lines):
    """[solve] would be ignored, or could not be overruled."""
    with_lines(two_classes, '[solve]\nmethod = "random"\nseed = 5\n')
    problem = library.load(two_classes)

    def rows(*arguments):
        solution = labelcut("solve", two_classes, *arguments, "--json").json["solution"]
        return solution["method"], solution["seed"], solution["indices"]

    def drawn(seed):
        return library.solve(problem, "random", seed=seed).indices.tolist()

    assert rows() == ("random", 5, drawn(5))
    assert rows("--seed", 7) == ("random", 7, drawn(7))
    assert rows("--method", "top") == ("top", 5, [0, 1])


@pytest.fixture
def asked(monkeypatch):
    """Record what the command line asks `solve` for, and answer with top utility."""
    calls = []

    def solve(problem, method="auto", **arguments):
        calls.append({"method": method, **arguments})
        return real(problem, "top")

    real = library.solve
    monkeypatch.setattr("labelcut.solvers.solve", solve)
    return calls


def test_every_limit_reaches_the_solver(labelcut, two_classes, with_lines, asked):
    """A limit on the command line or in the file would be read and dropped."""
    with_lines(
        two_classes,
        '[solve]\ntime_limit = 9\ngap_tol = 0.5\nabs_gap_tol = 0.25\nmethod = "exact"\n'
        "options = { node_limit = 3 }\n",
    )
    labelcut("solve", two_classes)
    labelcut("solve", two_classes, "--time-limit", 8, "--gap-tol", 0.1)
    first, second = asked
    assert first == {
        "method": "exact",
        "time_limit": 9,
        "gap_tol": 0.5,
        "abs_gap_tol": 0.25,
        "options": {"node_limit": 3},
        "progress": False,
    }
    assert second == {**first, "time_limit": 8, "gap_tol": 0.1}


def test_options_are_read_as_json_or_text(labelcut, two_classes, with_lines, asked):
    """A method would get '7' for 7, or lose what follows a second equals sign."""
    with_lines(two_classes, "[solve]\noptions = { a = 1, z = 2 }\n")
    given = ["a=7", "b=0.5", "c=true", "d=text", "e=x=y", "f=[1, 2]", "g="]
    labelcut("solve", two_classes, *(word for pair in given for word in ("--option", pair)))
    wanted = {"a": 7, "z": 2, "b": 0.5, "c": True, "d": "text", "e": "x=y", "f": [1, 2], "g": ""}
    assert asked[0]["options"] == wanted


def test_another_method_leaves_the_files_options_behind(labelcut, two_classes, with_lines):
    """--method could not be used on a file that sets options of its own method."""
    with_lines(two_classes, '[solve]\nmethod = "exact"\noptions = { node_limit = 3 }\n')
    assert labelcut("solve", two_classes, "--method", "greedy").code == 0
    kept = labelcut("solve", two_classes, "--method", "exact", "--option", "node_limit=4")
    assert kept.code == 0


def test_compare_takes_the_files_limits(labelcut, two_classes, with_lines, monkeypatch):
    """A comparison would run with other limits than the file or the command line sets."""
    asked = []
    real = library.compare

    def compare(problem, methods, seeds, **arguments):
        asked.append(arguments)
        return real(problem, methods, seeds, **arguments)

    monkeypatch.setattr("labelcut.studies.compare", compare)
    with_lines(two_classes, "[solve]\ntime_limit = 9\nabs_gap_tol = 0.25\n")
    assert labelcut("compare", two_classes, "--method", "top", "--gap-tol", 0.5).code == 0
    limits = {k: v for k, v in asked[0].items() if k not in ("truth", "progress")}
    assert limits == {"time_limit": 9, "abs_gap_tol": 0.25, "gap_tol": 0.5}
