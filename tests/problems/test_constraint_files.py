"""Constraints in problem files: what is written comes back, and what is asked makes the problem."""

import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import (
    BudgetedSelection,
    ClassBalanced,
    Cost,
    ExpectedCount,
    GroupLimit,
    Include,
    InvalidInput,
    KCenter,
    Spacing,
    load,
)

VIDEO = np.array(["é 1", "é 1", "b,c", "b,c", "b,c", '"d"'])
FRAME = np.array([0.5, 1.5, 0, 1, 2, 7])
PROBS = np.random.default_rng(0).dirichlet([1] * 3, 6)
RULES = {
    "cost": lambda: Cost(np.arange(6) / 10, 0.7, name="boxes"),
    "one cap": lambda: GroupLimit(VIDEO, at_most=2),
    "named caps": lambda: GroupLimit(VIDEO, at_most={"b,c": 1}, at_least={"é 1": 1, "b,c": 0}),
    "numbers as labels": lambda: GroupLimit([3, 3, -1, -1, 7, 7], at_least={-1: 1, 7: 1}),
    "bools as labels": lambda: GroupLimit(np.arange(6) < 2, at_least={True: 1}, name="night"),
    "labels in objects": lambda: GroupLimit(VIDEO.astype(object), 2),
    "spacing": lambda: Spacing(VIDEO, FRAME, 0.75, name="apart"),
    "whole spacing": lambda: Spacing([1, 1, 2, 2, 2, 3], np.arange(6), 3),
    "one sequence": lambda: Spacing(None, FRAME, 1),
    "expected": lambda: ExpectedCount(PROBS, 1, at_least=0.25),
    "expected of some": lambda: ExpectedCount(
        PROBS.astype(np.float32), [2, 0], at_least=0.1, at_most=[1.5, 2], name="bikes"
    ),
}


def kept(problem):
    """Return what defines each constraint."""
    return [
        (
            rule.title,
            rule.describe(),
            rule.parameters(),
            {
                name: (rule.columns if name == "probs" else np.asarray(values)).tolist()
                for name, values in rule.arrays().items()
            },
        )
        for rule in problem.constraints
    ]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("kind", ["budgeted", "class-balanced", "k-center"])
def test_a_saved_constraint_comes_back(tmp_path, name, kind):
    """A problem sent to a colleague would be another one, or lose the names of its limits."""
    rules = [RULES[name](), Include([1])]
    problem = {
        "budgeted": lambda: BudgetedSelection(np.arange(6), 3, constraints=rules),
        "class-balanced": lambda: ClassBalanced(PROBS, np.arange(6), 3, constraints=rules),
        "k-center": lambda: KCenter(PROBS, 3, constraints=rules),
    }[kind]()
    problem.save(tmp_path / "p.toml")
    found = load(tmp_path / "p.toml")
    assert found.fingerprint == problem.fingerprint
    assert kept(found) == kept(problem)
    found.save(tmp_path / "again.toml")
    assert load(tmp_path / "again.toml").fingerprint == problem.fingerprint


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_any_mixture_comes_back(mixture, tmp_path_factory, seed):
    """Some combination could not be saved, or would change on the way."""
    drawn = mixture(seed)
    path = tmp_path_factory.mktemp("mixture") / "p.toml"
    drawn.problem.save(path)
    found = load(path)
    assert found.fingerprint == drawn.problem.fingerprint
    assert (found.budget, found.ties) == (drawn.problem.budget, drawn.problem.ties)
    assert kept(found) == kept(drawn.problem)


def test_ties_and_an_open_budget_come_back(tmp_path):
    """A file would state another problem than was saved."""
    problem = BudgetedSelection(np.ones(6), constraints=[RULES["cost"]()], ties="random")
    problem.save(tmp_path / "p.toml")
    content = tomllib.loads((tmp_path / "p.toml").read_text())
    assert content["problem"] == {"kind": "budgeted", "ties": "random"}
    found = load(tmp_path / "p.toml")
    assert (found.budget, found.ties) == (None, "random")
    assert found.fingerprint == problem.fingerprint


def mark(*rules):
    """Return the fingerprint of a problem with some constraints."""
    return BudgetedSelection(np.arange(6), 3, constraints=rules).fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (GroupLimit(VIDEO, 2), GroupLimit(VIDEO, 2, name="caps")),
        (GroupLimit(VIDEO, 2), GroupLimit([5, 5, 3, 3, 3, 1], 2)),
        (GroupLimit(VIDEO, 2), GroupLimit(VIDEO, {"é 1": 2, "b,c": 2})),  # the third has one row
        (GroupLimit(VIDEO, {"b,c": 1}), GroupLimit([1, 1, 0, 0, 0, 2], {0: 1})),
        (Spacing(VIDEO, FRAME, 1), Spacing([0, 0, 4, 4, 4, 2], FRAME, 1.0, name="s")),
        (Cost(range(6), 3), Cost(np.arange(6.0), 3.0, name="hours")),
        (
            ExpectedCount(PROBS, 1, at_least=1, name="bikes"),
            ExpectedCount(PROBS, [1], at_least=[1.0]),
        ),
    ],
)
def test_what_says_the_same_has_the_same_fingerprint(one, other):
    """An answer would be refused for another name of a video or of a limit."""
    assert mark(one) == mark(other)


DIFFERENT = [
    [],
    [GroupLimit(VIDEO, 1)],
    [GroupLimit(VIDEO, 2)],
    [GroupLimit(VIDEO, 2, 1)],
    [GroupLimit(VIDEO, at_least=1)],
    [GroupLimit([0, 0, 0, 1, 1, 1], 2)],
    [GroupLimit(VIDEO, {"b,c": 1})],
    [Spacing(VIDEO, FRAME, 1)],
    [Spacing(VIDEO, FRAME, 2)],
    [Spacing(VIDEO, FRAME + 1, 1)],
    [Spacing(None, FRAME, 1)],
    [Cost(range(6), 3)],
    [Cost(range(6), 4)],
    [Cost(range(1, 7), 3)],
    [Cost(range(6), 3), Cost(range(6), 3)],
    [ExpectedCount(PROBS, 1, at_least=1)],
    [ExpectedCount(PROBS, 1, at_most=1)],
    [ExpectedCount(PROBS, 2, at_least=1)],
    [ExpectedCount(PROBS, [1, 2], at_least=1)],
    [ExpectedCount(PROBS[::-1], 1, at_least=1)],
]


def test_what_says_something_else_has_another_fingerprint():
    """An answer to one problem would pass for an answer to another."""
    marks = [mark(*rules) for rules in DIFFERENT]
    assert len(set(marks)) == len(marks)


def test_the_order_of_constraints_does_not_matter():
    """The same problem, written in another order, would be another one."""
    rules = [RULES[name]() for name in ("cost", "one cap", "spacing")]
    assert mark(*rules) == mark(*rules[::-1])


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file by hand with some constraints, and reads it."""
    np.save(tmp_path / "u.npy", np.arange(6))
    np.save(tmp_path / "p.npy", PROBS)
    (tmp_path / "ids.txt").write_text("a\nb\nc\nd\ne\nf\n")
    (tmp_path / "frames.csv").write_text(
        "video,frame,boxes,night\nv1,0,1,yes\nv1,1,3,no\n007,0,1,no\n007,4,1,no\n007,8,3,yes\n,2,1,no\n"
    )

    def read(*tables, problem="budget = 2"):
        head = f'labelcut = 1\n[problem]\nkind = "budgeted"\n{problem}\n'
        data = '[data]\nutility = "u.npy"\nids = "ids.txt"\n'
        rules = "".join(f"[[constraint]]\n{table}\n" for table in tables)
        (tmp_path / "p.toml").write_text(head + data + rules)
        return load(tmp_path / "p.toml")

    return read


def test_columns_of_a_table_are_labels_and_numbers(write):
    """Labels that look like numbers would lose their zeros, and a user would have to convert."""
    problem = write(
        'kind = "group-limit"\ngroups = "frames.csv#video"\nat_most = { "007" = 1 }\nname = "caps"',
        'kind = "spacing"\nsequence = "frames.csv#video"\nposition = "frames.csv#frame"\n'
        "exclude_within = 4",
        'kind = "cost"\ncosts = "frames.csv#boxes"\nlimit = 4.5',
        'kind = "group-limit"\ngroups = "frames.csv#night"\nat_least = { yes = 1 }',
        'kind = "expected-count"\nprobs = "p.npy"\nclasses = [0, 2]\nat_least = [0.1, 0]',
        'kind = "include"\nrows = { ids = ["e"] }',
    )
    caps, spacing, cost, night, expected, include = problem.constraints
    assert caps.labels.names.tolist() == ["v1", "007", ""]
    assert (caps.upper.tolist(), caps.title) == ([2, 1, 1], "GroupLimit 'caps'")
    assert (spacing.exclude_within, spacing.position.tolist()) == (4, [0, 1, 0, 4, 8, 2])
    assert (cost.costs.tolist(), cost.limit) == ([1, 3, 1, 1, 3, 1], 4.5)
    assert night.lower.tolist() == [1, 0]
    assert expected.classes.tolist() == [0, 2]
    assert include.rows.tolist() == [4]
    problem.check([0, 4])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('kind = "costs"', r"\[\[constraint\]\] kind: 'costs' is unknown; did you mean 'cost'?"),
        ("limit = 3", r"\[\[constraint\]\] kind: 'None' is unknown; one of cost, expected-count"),
        ('kind = "cost"\nlimit = 3', r"\[\[constraint\]\] cost: costs is missing; add it"),
        ('kind = "cost"\ncosts = "u.npy"', r"\[\[constraint\]\] cost: limit is missing; add it"),
        (
            'kind = "cost"\ncosts = "u.npy"\nlimit = "3"',
            r"\[\[constraint\]\] cost limit: must be float or int; got '3'",
        ),
        (
            'kind = "cost"\ncosts = "u.npy"\nlimt = 3',
            "limt.*did you mean 'limit'",
        ),
        ('kind = "cost"\ncosts = "no.npy"\nlimit = 3', "cost costs: .*no.npy"),
        (
            'kind = "cost"\ncosts = "frames.csv#video"\nlimit = 3',
            "Cost costs: must be real numbers",
        ),
        (
            'kind = "group-limit"\ngroups = "frames.csv#video"',
            "GroupLimit: needs at_most or at_least; got neither",
        ),
        (
            'kind = "group-limit"\ngroups = "frames.csv#video"\nat_most = 1.5',
            r"\[\[constraint\]\] group-limit at_most: must be int or dict; got 1\.5",
        ),
        (
            'kind = "group-limit"\ngroups = "frames.csv#video"\nat_most = { v1 = "x" }',
            "GroupLimit at_most of v1: must be one number; got 'x'",
        ),
        ('kind = "spacing"\nposition = "u.npy"', "spacing: exclude_within is missing; add it"),
        ('kind = "spacing"\nexclude_within = 3', "spacing: position is missing; add it"),
        (
            'kind = "spacing"\nposition = "frames.csv#video"\nexclude_within = 3',
            "Spacing position: must be numbers",
        ),
        ('kind = "expected-count"\nprobs = "p.npy"', "expected-count: classes is missing; add it"),
        (
            'kind = "expected-count"\nprobs = "p.npy"\nclasses = "bike"\nat_least = 1',
            "expected-count classes: must be int or list; got 'bike'",
        ),
        ('kind = "include"', "include: rows is missing; add it"),
        (
            'kind = "cost"\ncosts = "u.npy"\nlimit = 3\nname = 7',
            r"\[\[constraint\]\] cost name: must be str; got 7",
        ),
    ],
)
def test_a_bad_table_is_one_error(write, table, message):
    """A mistake in a file would be a traceback, or be ignored."""
    with pytest.raises(InvalidInput, match=message) as error:
        write(table)
    assert str(error.value).startswith("p.toml: ")
    assert "\n" not in str(error.value)


def test_no_budget_and_no_cost_is_an_error_in_files_too(write):
    """Every row would be chosen."""
    with pytest.raises(InvalidInput, match="budget: None leaves it to a Cost constraint"):
        write(problem="")
    cost = 'kind = "cost"\ncosts = "frames.csv#boxes"\nlimit = 4'
    assert write(cost, problem="").budget is None
