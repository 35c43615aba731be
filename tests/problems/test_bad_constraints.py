"""Bad constraints: each mistake is one error that names argument, rule, what came and a way out."""

import numpy as np
import pytest

from labelcut import (
    BudgetedSelection,
    Cost,
    ExpectedCount,
    Forbid,
    GroupLimit,
    Include,
    InvalidInput,
    Spacing,
)

NAN, INF = np.nan, np.inf
PROBS = np.full((4, 2), 0.5)
NIGHT = ["night", "day", "day", "day"]
UNSIGNED = np.array([0, 1, 2, 2**64 - 1], dtype=np.uint64)
LIMIT = "Cost limit: must be a finite number ≥ 0; got "
WITHIN = "Spacing exclude_within: must be a finite number ≥ 0; got "
FINITE = "Spacing position: must be finite on candidates and labeled rows; row "
CLASSES = r"ExpectedCount classes: must be distinct and lie in 0\.\.1; got "

BAD = {
    "negative cost": (
        Cost([1, -1, 1, 1], 2),
        r"not negative on candidates; row 1 costs -1\.0; men",
    ),
    "cost not a number": (Cost([1, 1, NAN, 1], 2), "Cost costs: must be finite .* row 2 costs nan"),
    "infinite cost": (Cost([1, 1, INF, 1], 2), "row 2 costs inf; mend it or leave the row out of"),
    "costs beyond all sums": (
        Cost([1e308, 1e308, 1, 1], 2),
        r"Cost costs: absolute values must sum to at most 1e\+290; got inf; scale down",
    ),
    "few costs": (Cost([1, 1], 2), "Cost costs: must have 4 values; got 2; pass one value for e"),
    "costs in words": (Cost(list("abcd"), 2), "Cost costs: must be real numbers; got <U1; conver"),
    "no costs": (Cost(None, 2), "Cost costs: must be real numbers; got object"),
    "a limit beyond floats": (Cost([1] * 4, 10**400), f"{LIMIT}1000"),
    "a limit next to nothing": (
        Cost([1e-320] * 4, 2e-320),
        "Cost limit: must be 0 or at least 1e-290, .*; got 2e-320; scale costs and limit up",
    ),
    "negative limit": (Cost([1] * 4, -2), f"{LIMIT}-2; say what may be spent"),
    "limit not a number": (Cost([1] * 4, NAN), f"{LIMIT}nan"),
    "infinite limit": (Cost([1] * 4, INF), f"{LIMIT}inf"),
    "limit in words": (Cost([1] * 4, "6"), "Cost limit: must be one number; got '6'"),
    "limit a bool": (Cost([1] * 4, True), "Cost limit: must be one number; got True"),
    "a group smaller than its at_least": (
        GroupLimit(NIGHT, at_least={"night": 2}, name="dark"),
        r"GroupLimit 'dark' at_least: 2 rows of group night are asked for, it has 1; lower it, or "
        r"name only the groups that are meant \(1 groups are too small\)",
    ),
    "groups smaller than their at_least": (
        GroupLimit([1, 1, 2, 3], at_least=2),
        r"GroupLimit at_least: 2 rows of group 2 are asked for, it has 1; .*\(2 groups are too sma",
    ),
    "at_least above at_most": (
        GroupLimit(NIGHT, at_least=1, at_most={"day": 0}),
        "GroupLimit: at_least must not exceed at_most; group day has 1 and 0; mend one of them",
    ),
    "no limit": (GroupLimit(NIGHT), "GroupLimit: needs at_most or at_least; got neither; say how"),
    "negative count": (
        GroupLimit(NIGHT, at_most=-1),
        "at_most: must be a whole number ≥ 0; got -1",
    ),
    "half a row": (GroupLimit(NIGHT, at_most=1.5), "at_most: must be a whole number ≥ 0; got 1.5"),
    "more rows than there are": (
        GroupLimit(NIGHT, at_least=10**30),
        "GroupLimit at_least: 4611686018427387904 rows of group night are asked for, it has 1",
    ),
    "count beyond floats": (
        GroupLimit(NIGHT, at_most=10**400),
        "GroupLimit at_most: must be a whole number ≥ 0; got 10000",
    ),
    "count in words": (GroupLimit(NIGHT, at_most="x"), "at_most: must be one number; got 'x'"),
    "count a bool": (GroupLimit(NIGHT, at_most=True), "at_most: must be one number; got True"),
    "count of one group": (
        GroupLimit(NIGHT, at_most={"day": -3}),
        "GroupLimit at_most of day: must be a whole number ≥ 0; got -3",
    ),
    "a list of counts": (GroupLimit(NIGHT, at_most=[1, 2]), r"must be one number; got \[1, 2\]"),
    "unknown label": (
        GroupLimit(NIGHT, at_least={"nigth": 1}),
        "GroupLimit at_least: no row has the label 'nigth'; did you mean 'night'?",
    ),
    "unknown number": (
        GroupLimit([1, 2, 3, 4], at_least={7: 1}),
        "no row has the label 7; there are 1, 2, 3, 4",
    ),
    "a label twice": (
        GroupLimit([1, 1, 2, 2], at_most={2: 1, "2": 2}),
        "GroupLimit at_most: group 2 comes twice; keep one of the two",
    ),
    "few labels": (GroupLimit([1, 1], 1), r"must label each of 4 rows; got shape \(2,\); pass one"),
    "tables of labels": (GroupLimit([[1, 1]] * 4, 1), r"must label each of 4 rows; got shape \(4"),
    "labels missing": (GroupLimit(["a", None, "b", "b"], 1), "labels must be str or int; got obj"),
    "labels not numbers": (GroupLimit([1, NAN, 2, 2], 1), "must be str or int; got float64; conve"),
    "labels with halves": (GroupLimit([1.5, 1, 2, 2], 1), "must be str or int; got float64; conve"),
    "negative spacing": (Spacing(None, range(4), -1), f"{WITHIN}-1; give it in the unit of positi"),
    "spacing not a number": (Spacing(None, range(4), NAN), f"{WITHIN}nan"),
    "infinite spacing": (Spacing(None, range(4), INF), f"{WITHIN}inf"),
    "spacing in words": (
        Spacing(None, range(4), "3"),
        "exclude_within: must be one number; got '3'",
    ),
    "positions in words": (Spacing(None, list("abcd"), 1), "position: must be numbers; got <U1; p"),
    "dates": (
        Spacing(None, np.array(["2021-01-01"] * 4, dtype="datetime64[s]"), 1),
        r"Spacing position: must be numbers; got datetime64\[s\]; pass frame numbers or seconds",
    ),
    "no positions": (Spacing(NIGHT, None, 1), "Spacing position: must be numbers; got object"),
    "few positions": (
        Spacing(None, range(3), 1),
        r"must have 4 values; got shape \(3,\); pass one",
    ),
    "position not a number": (Spacing(None, [0, 1, NAN, 3], 1), f"{FINITE}2 holds nan; mend it"),
    "infinite position": (Spacing(None, [0, INF, 2, 3], 1), f"{FINITE}1 holds inf"),
    "position too large": (Spacing(None, [0, 1, 2, 2**62], 1), f"{FINITE}3 holds 46116860184273"),
    "position too large to sign": (Spacing(None, UNSIGNED, 1), f"{FINITE}3 holds 18446744073709"),
    "few sequences": (Spacing(["a"], range(4), 1), "Spacing sequence: must label each of 4 rows"),
    "no expectation": (
        ExpectedCount(PROBS, 0),
        "ExpectedCount: needs at_most or at_least; got nei",
    ),
    "class too high": (ExpectedCount(PROBS, 2, at_least=1), rf"{CLASSES}\[2\]; name columns of pr"),
    "class below zero": (ExpectedCount(PROBS, -1, at_least=1), rf"{CLASSES}\[-1\]"),
    "class twice": (ExpectedCount(PROBS, [0, 0], at_least=1), rf"{CLASSES}\[0, 0\]"),
    "no class": (ExpectedCount(PROBS, [], at_least=1), rf"{CLASSES}\[\]"),
    "class by name": (ExpectedCount(PROBS, "bike", at_least=1), "classes: must be whole numbers"),
    "negative expectation": (
        ExpectedCount(PROBS, 0, at_least=-1),
        "ExpectedCount at_least: must be finite and ≥ 0; got -1; say how many labels",
    ),
    "expectation not a number": (
        ExpectedCount(PROBS, 0, at_most=NAN),
        "ExpectedCount at_most: must be finite and ≥ 0; got nan",
    ),
    "expectations crossed": (
        ExpectedCount(PROBS, [0, 1], at_least=[1, 2], at_most=[1, 1], name="bikes"),
        "ExpectedCount 'bikes': at_least must not exceed at_most; class 1 has 2 and 1; mend one",
    ),
    "a limit too many": (ExpectedCount(PROBS, 0, at_least=[1, 1]), "at_least: must have 1 values;"),
    "probabilities of other rows": (
        ExpectedCount(PROBS[:3], 0, at_least=1),
        "ExpectedCount probs: must have 4 rows; got 3; pass one row of probabilities for each row",
    ),
    "logits": (
        ExpectedCount(PROBS * 2, 0, at_least=1),
        "ExpectedCount probs: row 0 sums to 2, row",
    ),
    "a column of probabilities": (
        ExpectedCount(PROBS[:, 0], 0, at_least=1),
        r"ExpectedCount probs: must be two-dimensional \(rows, columns\); got shape \(4,\)",
    ),
    "a name that is no text": (Cost([1] * 4, 2, name=3), "constraints: a name must be text; got 3"),
    "rows to include that are labeled": (
        Include([3]),
        "Include: rows must be candidates; row 3 is",
    ),
    "a dict": (
        {"kind": "cost"},
        r"constraints: must be labelcut constraints; got dict; pass a list",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_by_itself_is_an_error(what):
    """A constraint that means nothing would be kept, or dropped, without a word."""
    rule, message = BAD[what]
    labeled = [3] if "labeled" in what else None
    with pytest.raises(InvalidInput, match=message) as error:
        BudgetedSelection(np.zeros(4), 2, labeled=labeled, constraints=[rule])
    assert "\n" not in str(error.value)


def test_one_constraint_is_no_list():
    """The error would be about something else."""
    with pytest.raises(InvalidInput, match="must be a list; got one Cost; put it into brackets"):
        BudgetedSelection(np.zeros(4), 2, constraints=Cost([1] * 4, 2))


@pytest.mark.parametrize(
    "rules", [[], [GroupLimit(NIGHT, at_most=1)], [Spacing(None, range(4), 1)]]
)
def test_a_budget_may_only_be_left_to_money(rules):
    """Every row would be chosen for want of a limit."""
    with pytest.raises(
        InvalidInput, match="budget: None leaves it to a Cost constraint, and there"
    ):
        BudgetedSelection(np.zeros(4), constraints=rules)


@pytest.mark.parametrize(
    ("utility", "arguments", "message"),
    [
        ([], {}, "utility: must have rows; got none"),
        ([1, NAN], {}, "utility: row 1 holds nan; candidates need finite numbers"),
        ([1, 2], {"ties": "first"}, "ties: must be one of lowest, random; got 'first'"),
        ([1, 2], {"budget": 3}, "budget: 3 rows asked for, 2 can be chosen"),
        ([1, 2], {"budget": 0}, "budget: must be a whole number, at least 1; got 0"),
        (
            [1, 2],
            {"budget": 2, "constraints": [Forbid([1])]},
            r"budget: 2 rows asked for, 1 can be chosen \(1 of 2 candidates are forbidden\)",
        ),
    ],
)
def test_a_bad_problem_is_an_error(utility, arguments, message):
    """Bad numbers would end in a wrong choice."""
    with pytest.raises(InvalidInput, match=message):
        BudgetedSelection(utility, **{"budget": 1, **arguments})


@pytest.mark.parametrize(
    "rules",
    [
        [Include([0]), Forbid([0])],
        [Include([0, 1]), Spacing(None, range(4), 1)],
        [Include([0]), Cost([9, 1, 1, 1], 3)],
        [Include([0, 1, 2])],
        [GroupLimit(NIGHT, at_least={"night": 1}), Forbid([0])],
        [GroupLimit(NIGHT, at_least={"day": 3})],
        [GroupLimit(NIGHT, at_most={"day": 0})],
        [Spacing(None, range(4), 5)],
        [ExpectedCount(PROBS, 0, at_least=1.5)],
        [Cost([1, 1, 1, 1], 1)],
    ],
)
def test_a_contradiction_is_no_error(rules):
    """What only goes wrong together would be an exception in one place and a status in another."""
    problem = BudgetedSelection(np.zeros(4), 2, constraints=rules)
    assert problem.budget == 2


def test_what_is_unused_need_not_be_right():
    """A score that is missing on a labeled frame would stop the run."""
    rules = [
        Cost([1, NAN, 1, -1], 5),
        Spacing(None, [0, 1, 2, NAN], 0.5),
        ExpectedCount([[1, 0], [NAN, NAN], [1, 0], [7, 7]], 0, at_most=2),
    ]
    problem = BudgetedSelection(
        [1, NAN, 1, NAN], 1, labeled=[1], candidates=[0, 2], constraints=rules
    )
    problem.check([2])
    assert problem.selectable.tolist() == [0, 2]


@pytest.mark.parametrize(
    "labels",
    [["3", "7", "7", "3"], [3, 7, 7, 3], [3.0, 7.0, 7.0, 3.0], np.array([3, 7, 7, 3], "u1")],
)
@pytest.mark.parametrize("stated", [{7: 1}, {"7": 1}])
def test_labels_are_text_or_numbers(labels, stated):
    """A mapping from a file, whose keys are text, would not fit labels that are numbers."""
    problem = BudgetedSelection(np.zeros(4), 2, constraints=[GroupLimit(labels, at_most=stated)])
    (rule,) = problem.constraints
    assert rule.upper.tolist() == [2, 1]
    assert rule.describe() == "at most 1 of 7"


def test_many_named_groups_take_no_time():
    """A cap for each of many clusters would take minutes, as each label was looked up in a list."""
    size = 30_000
    caps = {group: 1 for group in range(size)}
    problem = BudgetedSelection(
        np.zeros(size), 1, constraints=[GroupLimit(np.arange(size), at_most=caps)]
    )
    assert problem.constraints[0].upper.sum() == size
