"""Constraints: each says the same to a checker, to a linear model and to a growing selection."""

from itertools import chain, combinations

import numpy as np
import pytest

from labelcut import (
    BudgetedSelection,
    ClassBalanced,
    Forbid,
    GroupLimit,
    Include,
    InfeasibleSelection,
    InvalidInput,
    NotEnoughMemory,
    Spacing,
)

SIZE = 7
PROBS = np.full((SIZE, 2), 0.5)
RULES = {
    "include": Include([1, 4]),
    "include, as a mask": Include(np.arange(SIZE) == 2),
    "include nothing": Include([]),
    "forbid": Forbid([0, 6]),
    "forbid a labeled row": Forbid([3]),
    "forbid nothing": Forbid(np.zeros(SIZE, dtype=bool)),
}


def problem(*rules, budget=3, **arguments):
    """Return a problem over seven rows with some constraints."""
    return ClassBalanced(PROBS, np.arange(SIZE), budget, constraints=rules, **arguments)


@pytest.mark.parametrize("rule", RULES)
def test_linear_rows_say_what_check_says(rule):
    """An exact solver would optimize over other selections than the checker accepts."""
    stated = problem(RULES[rule], labeled=[3], target=[1, 1])
    (bound,) = stated.constraints
    linear = bound.linear(stated.dataset)
    assert linear.matrix.shape == (len(linear.limits), SIZE)
    sizes = range(SIZE + 1)
    for rows in chain.from_iterable(combinations(range(SIZE), size) for size in sizes):
        chosen = np.array(rows, dtype=np.int64)
        z = np.isin(np.arange(SIZE), chosen).astype(float)
        fits = bool((linear.matrix @ z <= linear.limits).all())
        try:
            bound.check(chosen, stated.dataset)
            accepted = True
        except InfeasibleSelection:
            accepted = False
        assert fits == accepted, rows


@pytest.mark.parametrize("rule", RULES)
def test_guard_and_fixed_rows_say_what_check_says(rule):
    """A greedy solver would build what the checker refuses, or miss what it accepts."""
    stated = problem(RULES[rule], labeled=[3], target=[1, 1])
    (bound,) = stated.constraints
    closed = bound.guard(stated.dataset).closed
    must = set(bound.included(stated.dataset).tolist())
    free = set(np.flatnonzero(~closed).tolist())
    for rows in combinations(range(SIZE), 3):
        try:
            bound.check(np.array(rows), stated.dataset)
            accepted = True
        except InfeasibleSelection:
            accepted = False
        assert accepted == (must <= set(rows) <= free)


def test_selectable_rows_are_candidates_that_nothing_forbids():
    """A solver would consider rows that no answer may hold."""
    stated = problem(Forbid([0, 3]), Forbid([5]), labeled=[6], target=[1, 1])
    np.testing.assert_array_equal(stated.selectable, [1, 2, 4])
    np.testing.assert_array_equal(np.flatnonzero(stated.is_selectable), [1, 2, 4])


def test_includes_add_up():
    """The second of two lists would replace the first, or count a row twice."""
    np.testing.assert_array_equal(problem(Include([4, 1]), Include([4])).included, [1, 4])


@pytest.mark.parametrize(
    ("rule", "rows", "message"),
    [
        (
            Include([0, 1, 2]),
            [1, 5, 6],
            r"Include: 2 of 3 rows are not chosen: row 0 \(id a\), row",
        ),
        (Forbid([0, 1, 2]), [1, 2, 6], r"Forbid: 2 forbidden rows are chosen: row 1 \(id b\), row"),
    ],
)
def test_check_names_constraint_rows_and_amount(rule, rows, message):
    """A broken constraint would have to be searched for."""
    with pytest.raises(InfeasibleSelection, match=message):
        problem(rule, ids=list("abcdefg")).check(rows)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Include([3]), "Include: rows must be candidates; row 3 is labeled already; take it out"),
        (Include([5]), "Include: rows must be candidates; row 5 is not a candidate; take it out"),
        (Include([7]), r"Include: rows must lie in 0\.\.6; got 7"),
        (Include([1, 1]), "Include: rows must be distinct; row 1 comes twice"),
        (Include([True]), "Include: a mask must have one value for each of 7 rows; got 1"),
        (Forbid([-1]), r"Forbid: rows must lie in 0\.\.6; got -1"),
        (Forbid(["b"]), "Forbid: must be whole numbers; got <U1"),
    ],
)
def test_bad_rows_are_refused_at_construction(rule, message):
    """A constraint over rows that do not exist would hold for free."""
    with pytest.raises(InvalidInput, match=message):
        problem(rule, labeled=[3], candidates=[0, 1, 2, 4, 6], target=[1, 1])


def test_contradictions_are_infeasible_and_say_why():
    """A contradiction would be an exception in one place and a wrong answer in another."""
    stated = problem(Include([1, 2]), Forbid([2]), ids=list("abcdefg"))
    assert stated.why_infeasible() == (
        "Include and Forbid contradict each other: row 2 (id c) must be chosen and must not"
    )
    stated = problem(Include([0, 1, 2, 3]))
    assert stated.why_infeasible() == (
        "budget 3 cannot be met: Include asks for 4 rows; raise the budget to 4 or shorten the list"
    )


def test_what_can_be_met_is_not_called_infeasible():
    """A problem with exactly one selection left would be given up."""
    stated = problem(Include([0, 1, 2]), Forbid([3, 4, 5, 6]))
    assert stated.why_infeasible() is None
    stated.check([0, 1, 2])


def test_positions_may_be_half_precision():
    """Arrays from torch come as float16, in which the largest position that is allowed is none."""
    seconds = np.array([0.0, 1.0, 2.0], dtype=np.float16)
    problem = BudgetedSelection([3, 2, 1], 2, constraints=[Spacing(None, seconds, 1)])
    problem.check([0, 2])


def test_windows_that_do_not_fit_into_memory_are_refused_with_the_figure(monkeypatch):
    """Wide windows would take rows times their length, until the system kills the process."""
    rule = Spacing(None, np.arange(1_000), 499)
    problem = BudgetedSelection(np.ones(1_000), budget=1, constraints=[rule])
    entries = 501 * 500
    assert problem.window_bytes() == 72 * entries
    assert problem.window_bytes(kept=1) == 0
    monkeypatch.setattr("labelcut.problems.memory.free_bytes", lambda: 72 * entries - 1)
    refused = r"501 windows of 500 rows: needs about 0\.0 GB, .* shorten exclude_within"
    with pytest.raises(NotEnoughMemory, match=refused):
        problem.constraints[0].linear(problem.dataset)
    monkeypatch.setattr("labelcut.problems.memory.free_bytes", lambda: 72 * entries)
    assert problem.constraints[0].linear(problem.dataset).matrix.nnz == entries


@pytest.mark.parametrize("most", [2**63, 10**30, 1e30, 1e300])
def test_a_limit_above_all_counts_is_none(most):
    """Any number beyond 64 bits would end in an error of the language's own."""
    rules = [GroupLimit([0, 0, 1], at_most=most), Spacing(None, [0, 1, 2], 1)]
    problem = BudgetedSelection([1, 2, 3], 2, constraints=rules)
    assert problem.constraints[0].upper.tolist() == [2, 1]
    wide = Spacing(None, [0, 1, 2], most)
    with pytest.raises(InfeasibleSelection):
        BudgetedSelection([1, 2, 3], 2, constraints=[wide]).check([0, 2])


def test_whole_floats_name_whole_labels():
    """Columns of a table with gaps come as floats: their labels, and those of a mapping."""
    for groups in ([1.0, 1.0, 2.0], [1, 1, 2], ["1", "1", "2"]):
        limit = GroupLimit(groups, at_most={1.0: 1, np.float64(2): 0})
        problem = BudgetedSelection([1, 2, 3], 1, constraints=[limit])
        assert problem.constraints[0].upper.tolist() == [1, 0]
