"""The command line on problems under hard constraints that are worked out by hand."""

import json
import re

import numpy as np
import pytest

TEXT = """
labelcut = 1
[problem]
kind = "budgeted"
budget = 3
[data]
utility = "frames.csv#utility"
labeled = [7]
ids = "frames.csv#id"
"""
FRAMES = """id,video,frame,light,cost,utility
a0,a,0,day,1,5
a1,a,1,day,1,9
a2,a,2,night,1,5
b0,b,0,night,2,4
b3,b,3,night,2,3
c0,c,0,day,3,8
c9,c,9,day,1,1
c1,c,1,day,1,9
"""
RULES = """
[[constraint]]
kind = "spacing"
sequence = "frames.csv#video"
position = "frames.csv#frame"
exclude_within = 1
[[constraint]]
kind = "group-limit"
name = "caps"
groups = "frames.csv#video"
at_most = 2
[[constraint]]
kind = "group-limit"
name = "night"
groups = "frames.csv#light"
at_least = { night = 2 }
[[constraint]]
kind = "cost"
name = "money"
costs = "frames.csv#cost"
limit = 5
"""


@pytest.fixture
def frames(tmp_path):
    """Write eight frames of three videos, of which the last is labeled.

    c0 is beside the labeled c1. a0 and a2 together are worth more than a1. Two must be at night:
    a0, a2 and b0 make 14 for 4 units; a1, b0 and b3 make 16 for 5, which is best.
    """
    (tmp_path / "frames.csv").write_text(FRAMES)
    path = tmp_path / "frames.toml"
    path.write_text(TEXT + RULES)
    return path


@pytest.fixture
def contradictory(frames):
    """Ask for more than the constraints allow.

    Of six selectable rows five lie far enough apart, and a0, a2, b0 and c9 cost all of 5.
    """
    frames.write_text((TEXT + RULES).replace("budget = 3", "budget = 6"))
    return frames


def test_solve_check_and_show_go_together(labelcut, frames, tmp_path):
    """A problem under constraints could be solved from Python only."""
    solved = labelcut("solve", frames, "--json")
    assert solved.code == 0
    solution = solved.json["solution"]
    assert solution["ids"] == ["a1", "b0", "b3"]
    assert (solution["objective"], solution["sense"], solution["status"]) == (16, "max", "optimal")
    saved = frames.with_suffix(".selection.json")
    checked = labelcut("check", frames, saved)
    assert checked.code == 0
    assert "3 rows are feasible, objective 16 is right" in checked.err
    shown = labelcut("show", frames, saved, "--plot", tmp_path / "s.png")
    assert shown.code == 0
    assert "3 (a1, b0, b3)" in shown.err
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_show_tells_what_each_constraint_asks_for_and_leaves(labelcut, frames):
    """A user could not see which constraint leaves too little."""
    text = labelcut("show", frames).err
    lines = [re.split(r" {2,}", line.strip()) for line in text.splitlines()]
    said = {line[0]: line[1] for line in lines if len(line) > 1}
    assert said["Spacing"] == "spacing 1; leaves 6 selectable, 5 of them together at most"
    assert said["GroupLimit 'caps'"] == (
        "at most 2 of each of 3; leaves 7 selectable, 6 of them together at most"
    )
    assert said["GroupLimit 'night'"] == "at least 2 of night; leaves 7 selectable, 2 needed"
    # The four frames that cost 1 are too many with one that costs 2: 1 + 1 + 1 + 1 is 4 of 5.
    assert said["Cost 'money'"] == (
        "costs at most 5; leaves 7 selectable, 4 of them together at most"
    )
    assert said["selectable"] == "6"
    for method in ("exact", "greedy", "top", "random"):
        assert said[method]
    told = labelcut("show", frames, "--json").json["problem"]["constraints"]
    assert told[0] == {
        "kind": "spacing",
        "name": None,
        "title": "Spacing",
        "asks": "spacing 1",
        "selectable": 6,
        "at_most": 5,
        "at_least": 0,
        "forced": 0,
    }


def test_compare_sets_all_methods_beside_the_bound(labelcut, frames, tmp_path):
    """The table would not tell what exactness is worth, or mix up more and less."""
    picture = tmp_path / "c.png"
    result = labelcut("compare", frames, "--plot", picture)
    assert result.code == 0
    head, columns, *rows, told = result.err.splitlines()
    assert head.startswith("frames.toml   budgeted (max)   7 candidates   budget 3   best bound 16")
    assert "of random's gap" in columns
    assert [row.split()[0] for row in rows] == ["exact", "greedy", "top", "random"]
    assert rows[0].split()[1] == "16.0000"
    assert rows[0].split()[3] == "0.00%"
    assert told == f"picture in {picture}"
    assert picture.read_bytes().startswith(b"\x89PNG")
    # Of 16, a0, a2 and b0 lack 2, and so do all other choices at least.
    assert all(row.split()[3] == "0.00%" or float(row.split()[3][:-1]) >= 200 / 14 for row in rows)


def test_an_open_budget_is_shown_as_one(labelcut, frames):
    """A table would fail where money is the only limit."""
    frames.write_text((TEXT + RULES).replace("budget = 3\n", ""))
    assert re.search(r"^budget +open *$", labelcut("show", frames).err, re.MULTILINE)
    assert labelcut("show", frames, "--json").json["problem"]["budget"] is None
    result = labelcut("compare", frames, "--method", "exact")
    assert "budget open   best bound 16" in result.err
    assert labelcut("solve", frames, "--method", "exact").code == 0


@pytest.mark.parametrize("method", ["exact", "greedy", "top", "random"])
def test_a_contradiction_is_told_and_can_be_checked(labelcut, contradictory, method):
    """A contradiction would be an error, a wrong answer or a claim without a reason."""
    result = labelcut("solve", contradictory, "--method", method, "--json")
    assert result.code == 1
    solution = result.json["solution"]
    assert (solution["status"], solution["indices"]) == ("infeasible", [])
    assert solution["reason"] == (
        "budget 6 cannot be met: Spacing (spacing 1) allows 5 rows; lower the budget to 4, which "
        "all constraints allow"
    )
    checked = labelcut("check", contradictory, contradictory.with_suffix(".selection.json"))
    assert (checked.code, "infeasible, as claimed" in checked.err) == (0, True)


def test_compare_on_a_contradiction_is_no_answer(labelcut, contradictory):
    """A script would take it for a success, or for a lack of time."""
    result = labelcut("compare", contradictory, "--method", "exact", "--method", "top")
    assert result.code == 1
    assert "exact, top: budget 6 cannot be met: Spacing (spacing 1) allows 5 rows" in result.err


def test_a_contradiction_that_nobody_sees_at_once_is_not_called_checked(labelcut, tmp_path):
    """A claim that takes a search to verify would look verified."""
    np.save(tmp_path / "u.npy", np.ones(3))
    rules = "".join(
        f'[[constraint]]\nkind = "group-limit"\ngroups = {groups}\nat_most = {{ 1 = 1 }}\n'
        for groups in ([1, 1, 0], [0, 1, 1], [1, 0, 1])
    )
    path = tmp_path / "pairs.toml"
    head = 'labelcut = 1\n[problem]\nkind = "budgeted"\nbudget = 2\n[data]\nutility = "u.npy"\n'
    path.write_text(head + rules)
    solved = labelcut("solve", path)
    assert solved.code == 1
    assert "budget 2 cannot be met: GroupLimit" in " ".join(solved.err.split())
    saved = path.with_suffix(".selection.json")
    content = json.loads(saved.read_text())
    assert labelcut("check", path, saved).err.startswith("infeasible, as claimed")
    saved.write_text(json.dumps({**content, "certificate": None}))  # its prices prove it
    checked = labelcut("check", path, saved)
    assert checked.code == 0
    assert "not re-checkable, and nothing found refutes it" in checked.err


def test_export_writes_the_program(labelcut, frames, tmp_path):
    """Somebody with another solver could not use the file."""
    import highspy

    result = labelcut("export", frames, tmp_path / "m.mps")
    assert result.code == 0
    highs = highspy.Highs()
    highs.silent()
    highs.readModel(str(tmp_path / "m.mps"))
    highs.run()
    assert highs.getInfo().objective_function_value == pytest.approx(-16)


def test_frontier_is_for_class_balance(labelcut, frames):
    """A traceback would be the answer to a reasonable question."""
    result = labelcut("frontier", frames)
    assert (result.code, result.out) == (2, "")
    assert "takes class-balanced problems, this one is budgeted" in result.err


def test_class_balance_takes_the_same_constraints(labelcut, frames):
    """Constraints would work on one kind of problem only."""
    np.save(frames.with_name("p.npy"), np.tile(np.eye(2), (4, 1)))
    text = TEXT.replace('"budgeted"', '"class-balanced"\ntarget = [1, 2]') + 'probs = "p.npy"\n'
    frames.write_text(text + RULES)
    result = labelcut("compare", frames, "--json")
    assert result.code == 0
    rows = {row["method"]: row for row in result.json["comparison"]["methods"]}
    # Of the rows that may be chosen together, a1, b0 and b3 have the classes 1, 1 and 0.
    assert rows["exact"]["objective"] == pytest.approx(-16)
    assert rows["exact"]["status"] == "optimal"
    assert {row["status"] for row in rows.values()} <= {"optimal", "feasible"}
