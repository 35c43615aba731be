"""Tables for people: right numbers, also at the edges, and no crash."""

import re
from dataclasses import replace

import numpy as np
import pytest

from labelcut import BudgetedSelection, ClassBalanced, Forbid, GroupLimit, Include, entropy, solve
from labelcut.problems import Certificate, Status, StoppedBy
from labelcut.studies import Comparison, Run
from labelcut.studies.tables import (
    classes_table,
    comparison_notes,
    comparison_table,
    methods_table,
    problem_table,
    solution_table,
)

NO_ROWS = {"indices": np.empty(0, dtype=np.int64), "objective": None, "bound": None, "terms": {}}


def pairs(text):
    """Read a table of names and values."""
    cells = [re.split(r" {2,}", line.strip(), maxsplit=1) for line in text.splitlines()]
    return dict(cells)


def lines_of(text, name):
    """Return the cells of the line that starts with a name."""
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return line.split()


def test_a_problem_is_described(rendered, two_classes):
    """A user would be told of another problem."""
    told = pairs(rendered(problem_table(two_classes)))
    assert told["rows"] == "6 (0 labeled, 6 candidates)"
    assert told["budget"] == "2"
    assert told["target Ω"] == "sums to 2"
    assert told["fingerprint"] == two_classes.fingerprint


@pytest.mark.parametrize(("target", "least"), [([30, 0], 28), ([0.5, 0.5], 1)])
def test_an_unreachable_target_is_said(rendered, target, least):
    """A user would look for a balance that no choice has."""
    problem = ClassBalanced(np.eye(2), [1.0, 1.0], budget=2, target=target)
    told = pairs(rendered(problem_table(problem)))["target Ω"]
    assert told == f"sums to {sum(target):g}, so every choice has an imbalance of {least} at least"


def test_constraints_say_what_they_leave(rendered):
    """A user could not see which constraint takes the rows away."""
    constraints = [Include([0, 1]), Forbid([2, 3, 4])]
    problem = ClassBalanced(
        np.repeat(np.eye(2), 3, axis=0), np.ones(6), 2, labeled=[5], constraints=constraints,
        target=[1, 1],
    )  # fmt: skip
    text = rendered(problem_table(problem))
    assert "2 rows must be chosen; leaves 5 selectable, 2 needed" in text
    assert "3 rows must not be chosen; leaves 2 selectable" in text
    assert "infeasible" not in text


def test_a_contradiction_that_counting_shows_is_shown(rendered):
    """`show` would print limits that cannot be met as if they could."""
    problem = BudgetedSelection(
        np.zeros(4), 3, labeled=[3], constraints=[GroupLimit([1, 1, 2, 2], at_most=1, name="caps")]
    )
    text = rendered(problem_table(problem))
    assert "at most 1 of each of 2; leaves 3 selectable, 2 of them together at most" in text
    assert "the constraints contradict each other; solve tells which" in text


def test_methods_say_what_they_prove(rendered, two_classes):
    """A heuristic would pass for a proof."""
    text = rendered(methods_table(two_classes))
    assert "proves one" in " ".join(lines_of(text, "exact"))
    assert "proves one" not in " ".join(lines_of(text, "greedy"))
    assert "MB" in lines_of(text, "exact")


def test_a_solution_is_described(rendered, two_classes):
    """Printed numbers would not be the solution's."""
    solution = solve(two_classes, "relaxed")
    told = pairs(rendered(solution_table(two_classes, solution, np.array([0, 0, 0, 0, 1, 1]))))
    assert told["rows"] == "2 (0, 3)"
    assert told["objective"] == "-1.2 (min)"
    assert told["bound"].startswith("-1.2, gap 0.000%")
    assert told["utility"] == "1.2"
    assert told["L1 predicted"] == "0.0000"
    assert told["L1 true"] == "1.0000"


def test_unknown_labels_are_not_reported(rendered, two_classes):
    """A balance of true labels would be claimed where they are not known."""
    solution = solve(two_classes, "top")
    for truth in (None, np.array([0, -1, 0, 0, 1, 1])):
        assert "true" not in rendered(solution_table(two_classes, solution, truth))
        assert "true" not in rendered(classes_table(two_classes, solution, truth))


@pytest.mark.parametrize(
    ("status", "stopped_by", "words"),
    [
        (Status.UNKNOWN, StoppedBy.TIME, "unknown (time limit)"),
        (Status.INFEASIBLE, StoppedBy.EXHAUSTED, "infeasible (nothing left to do)"),
        (Status.UNKNOWN, StoppedBy.INTERRUPT, "unknown (Ctrl-C)"),
    ],
)
def test_a_solution_without_rows_is_described(rendered, two_classes, status, stopped_by, words):
    """A run without an answer would crash the report of it."""
    solution = replace(
        solve(two_classes, "top"), status=status, stopped_by=stopped_by, reason="why", **NO_ROWS
    )
    told = pairs(rendered(solution_table(two_classes, solution, np.zeros(6, dtype=np.int64))))
    assert told["status"] == words
    assert told["reason"] == "why"
    assert told["bound"] == "none proven"
    assert "objective" not in told
    comparison = Comparison(two_classes, None, (Run("top", 0, solution, 10.0),))
    cells = lines_of(rendered(comparison_table(comparison, "x.toml")), "top")
    assert cells[1:8] == ["-"] * 7
    assert comparison_notes(comparison) == ["top: why"]


def test_names_that_look_like_markup_stay_as_they_are(rendered):
    """An id with brackets would vanish or crash the table."""
    ids = ["[red]a", "[/red]", "b[0]"]
    problem = ClassBalanced(np.eye(3), [3.0, 2.0, 1.0], 2, ids=ids)
    text = rendered(solution_table(problem, solve(problem, "top"), None))
    assert "2 ([red]a, [/red])" in text


def test_long_answers_name_their_first_rows(rendered):
    """A table would print ten thousand rows."""
    problem = ClassBalanced(np.repeat(np.eye(2), 50, axis=0), np.ones(100), 60)
    told = pairs(rendered(solution_table(problem, solve(problem, "top"), None)))
    assert told["rows"] == "60 (0, 1, 2, 3, …)"


def test_many_classes_are_cut_to_those_that_miss_most(rendered):
    """A thousand lines would hide the class that went wrong, or hide that others are left out."""
    probs = np.full((300, 50), 1e-4 / 49)
    probs[np.arange(300), np.arange(300) % 10] = 1 - 1e-4
    problem = ClassBalanced(probs, entropy(probs), 20, target=[0] * 40 + [2] * 10)
    text = rendered(classes_table(problem, solve(problem, "top"), None))
    title, _, *lines = text.splitlines()
    assert title.strip() == "worst 20 of 50 classes"
    # Classes 0 to 9 hold the choice and want nothing, 40 to 49 want two rows each and get none.
    assert [int(line.split()[0]) for line in lines] == [*range(10), *range(40, 50)]


def test_few_classes_are_all_there(rendered, two_classes):
    """A class would be missing, or counted wrongly."""
    truth = np.array([0, 1, 0, 1, 1, 1])
    text = rendered(classes_table(two_classes, solve(two_classes, "top"), truth))
    assert [line.split() for line in text.splitlines()[1:]] == [
        ["0", "1.00", "2.00", "1"],
        ["1", "1.00", "0.00", "1"],
    ]


def comparison_of(problem, **changes):
    """Compare `top` with itself, changed."""
    solution = solve(problem, "top")
    changed = replace(solution, method="changed", **changes)
    return Comparison(problem, None, (Run("top", 0, solution), Run("changed", 0, changed)))


def test_no_bound_is_said(rendered, two_classes):
    """The best answer would be read as the best possible."""
    text = rendered(comparison_table(comparison_of(two_classes), "x.toml"))
    assert "no proven bound" in text.splitlines()[0]
    assert lines_of(text, "top")[2:4] == ["-", "-"]


def test_gaps_of_objectives_near_0_stay_short(rendered, two_classes):
    """A gap relative to nothing would push the table off the screen."""
    certificate = Certificate("multipliers", True, -1.2, {})
    comparison = comparison_of(
        two_classes, objective=1e-9, bound=-1.2, certificate=certificate, status=Status.FEASIBLE
    )
    cells = lines_of(rendered(comparison_table(comparison, "x.toml")), "changed")
    assert cells[3] == ">10,000%"
    assert cells[4] == "80.0%"


@pytest.mark.parametrize(
    ("scale", "shown"),
    [(1e-12, "3e-13"), (1e-3, "0.0003"), (1.0, "0.3"), (1e5, "30000"), (1e12, "3e+11")],
)
def test_columns_fit_the_size_of_their_numbers(rendered, two_classes, scale, shown):
    """Small numbers would all read 0.0000, large ones fill the screen."""
    (*_, run) = comparison_of(two_classes, objective=0.3 * scale).runs
    comparison = Comparison(two_classes, None, (run,))
    cell = lines_of(rendered(comparison_table(comparison, "x.toml")), "changed")[1]
    assert float(cell) == pytest.approx(float(shown))
    assert len(cell) <= 12


def test_decimal_points_stand_below_each_other(rendered, two_classes):
    """Numbers of different size could not be compared at a glance."""
    comparison = comparison_of(two_classes, objective=-123.456789)
    lines = rendered(comparison_table(comparison, "x.toml")).splitlines()[2:]
    assert len({line.index(".") for line in lines}) == 1
    assert lines[1].split()[1] == "-123.457"


def test_notes_give_each_reason_once(two_classes):
    """The same sentence would stand there for every method, or an interrupt go unsaid."""
    runs = (
        Run("a", 0, None, refusal="too large"),
        Run("b", 0, None, refusal="too large"),
        Run("c", 0, None, failure="died"),
    )
    comparison = Comparison(two_classes, None, runs, interrupted=True)
    assert comparison_notes(comparison)[:2] == ["a, b: too large", "c: died"]
    assert "Ctrl-C" in comparison_notes(comparison)[2]
    assert [row["status"] for row in comparison.rows()] == ["refused", "refused", "failed"]


def test_an_empty_comparison_is_a_table(rendered, two_classes):
    """A comparison without runs would crash."""
    assert "no proven bound" in rendered(comparison_table(Comparison(two_classes, None, ()), "x"))
