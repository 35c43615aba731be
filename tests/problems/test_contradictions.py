"""Contradictions by counting: exactly at a limit there is none, one beyond there is."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import BudgetedSelection, Cost, ExpectedCount, Forbid, GroupLimit, Include, Spacing
from labelcut.problems.constraints.timeline import make_timeline
from labelcut.problems.contradictions import (
    fewest_rows,
    is_contradictory,
    left_in_groups,
    most_apart,
    most_rows,
)

VIDEO = ["a", "a", "a", "a", "b", "b", "c"]
FRAME = [0, 1, 2, 3, 0, 9, 0]
COSTS = [1, 2, 3, 4, 5, 6, 7]
PROBS = np.array([[0.5, 0.5]] * 4 + [[0.25, 0.75]] * 3)
APART = Spacing(VIDEO, FRAME, 1)  # lets in two of a, two of b and one of c

EDGES = {
    "rows that are left": (
        lambda n: {"budget": n, "constraints": [Spacing(VIDEO, FRAME, 0)], "labeled": [6]},
        6,
        None,
    ),
    "rows far enough apart": (lambda n: {"budget": n, "constraints": [APART]}, 5, 6),
    "rows under a cap": (
        lambda n: {"budget": n, "constraints": [GroupLimit(VIDEO, at_most=1)]},
        3,
        4,
    ),
    "rows under a cap, far enough apart": (
        lambda n: {"budget": n, "constraints": [APART, GroupLimit(VIDEO, {"b": 1})]},
        4,
        5,
    ),
    "rows of a quota": (
        lambda n: {"budget": n, "constraints": [GroupLimit(VIDEO, at_least={"a": 2, "b": 1})]},
        3,
        2,
    ),
    "members that are left": (
        lambda n: {
            "budget": 5,
            "constraints": [GroupLimit(VIDEO, at_least={"a": n}), Forbid([1])],
        },
        3,
        4,
    ),
    "members far enough apart": (
        lambda n: {"budget": 4, "constraints": [GroupLimit(VIDEO, at_least={"a": n}), APART]},
        2,
        3,
    ),
    "money for the cheapest": (
        lambda n: {"budget": 3, "constraints": [Cost(COSTS, n)]},
        6,
        5,
    ),
    "money for the cheapest and an included one": (
        lambda n: {"budget": 3, "constraints": [Cost(COSTS, n), Include([6])]},
        10,
        9,
    ),
    "money for a quota": (
        lambda n: {
            "budget": None,
            "constraints": [Cost(COSTS, n), GroupLimit(VIDEO, at_least={"a": 2, "b": 1})],
        },
        8,
        7,
    ),
    "labels that can be expected": (
        lambda n: {"budget": 4, "constraints": [ExpectedCount(PROBS, 0, at_least=n / 4)]},
        8,
        9,
    ),
    "labels that must be expected": (
        lambda n: {"budget": 5, "constraints": [ExpectedCount(PROBS, 0, at_most=n / 4)]},
        7,
        6,
    ),
    "included rows in a group": (
        lambda n: {
            "budget": 4,
            "constraints": [Include([0, 1, 2]), GroupLimit(VIDEO, at_most=n)],
        },
        3,
        2,
    ),
    "included rows and the budget": (
        lambda n: {"budget": n, "constraints": [Include([0, 1, 2])]},
        3,
        2,
    ),
}


@pytest.mark.parametrize("what", EDGES)
def test_the_last_number_that_fits_and_the_first_that_does_not(what):
    """A problem that can just be met would be refused, or one that cannot be searched in vain."""
    state, fits, breaks = EDGES[what]
    for number, wanted in ((fits, False), (breaks, True)):
        if number is None:
            continue
        problem = BudgetedSelection(np.zeros(7), **state(number))
        shown = is_contradictory(problem.constraints, problem.budget, problem.dataset)
        assert shown is wanted, number
        sets = combinations(problem.candidates, problem.budget or 3)
        assert any(holds(problem, rows) for rows in sets) is not wanted


def holds(problem, rows):
    """Whether the problem accepts some rows."""
    try:
        problem.check(list(rows))
    except ValueError:
        return False
    return True


@settings(max_examples=100)
@given(st.integers(0, 10**6))
def test_most_apart_is_what_trying_all_sets_finds(seed):
    """Counting would call spaced selections impossible that are not."""
    rng = np.random.default_rng(seed)
    position = np.round(rng.uniform(0, 3, 8), 1)
    line = make_timeline(np.arange(8), np.zeros(8, dtype=np.int64), position, 0.5)
    best = max(
        size
        for size in range(9)
        for rows in combinations(np.sort(position), size)
        if all(later - early > 0.5 for early, later in pairwise(rows))
    )
    assert most_apart(line).tolist() == [best]


@settings(max_examples=100)
@given(st.integers(0, 10**6))
def test_counts_bound_what_can_be_chosen(mixture, seed):
    """`show` would print a limit that a selection exceeds, and `explain` an unneeded one."""
    drawn = mixture(seed, size=7)
    problem = drawn.problem
    sizes = [len(rows) for rows in drawn.feasible(budget=False)]
    if sizes:
        assert fewest_rows(problem.constraints) <= min(sizes)
        assert most_rows(problem.constraints, problem.dataset) >= max(sizes)


def test_what_is_left_in_groups_is_counted_by_sequence():
    """Frames of one group in several videos would close each other."""
    problem = BudgetedSelection(
        np.zeros(7), 1, constraints=[GroupLimit([0, 0, 1, 1, 1, 1, 0], at_most=7), APART]
    )
    limit, spacing = problem.constraints
    everything = np.ones(7, dtype=bool)
    # Group 0 has rows 0 or 1 of a, and row 6 of c; group 1 rows 2 or 3 of a, and 4 and 5 of b.
    assert left_in_groups(limit, spacing, everything).tolist() == [2, 3]
    assert left_in_groups(limit, None, everything).tolist() == [3, 4]
    assert left_in_groups(None, spacing, everything).tolist() == [5]
    assert left_in_groups(limit, spacing, np.zeros(7, dtype=bool)).tolist() == [0, 0]
