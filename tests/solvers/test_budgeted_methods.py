"""Budgeted selection through `solve`: every method ends feasible, or says that nothing is."""

import threading
import time
from _thread import interrupt_main

import numpy as np
import pytest

from labelcut import (
    BudgetedSelection,
    CheckFailed,
    Cost,
    ExpectedCount,
    Forbid,
    GroupLimit,
    Include,
    Spacing,
    check,
    load,
    methods,
    solve,
)
from labelcut.problems.base import Status, StoppedBy
from labelcut.problems.errors import Stuck
from labelcut.solvers._clock import Clock, OutOfTime
from labelcut.solvers.completing import complete
from labelcut.solvers.search import Infeasible, Search

ALL = ("exact", "greedy", "top", "random")
SIZE = 60


def dash_cam(**arguments):
    """Return a small problem with every kind of constraint."""
    rng = np.random.default_rng(0)
    video = np.arange(SIZE) // 10
    classes = rng.dirichlet(np.ones(3), SIZE)
    rules = [
        Spacing(video, np.arange(SIZE), 1),
        GroupLimit(video, at_most=3, at_least=1),
        GroupLimit(
            ["night" if row % 7 == 0 else "day" for row in range(SIZE)], at_least={"night": 3}
        ),
        Cost(rng.integers(1, 4, SIZE), 24),
        ExpectedCount(classes, 0, at_least=4),
        Include([30]),
        Forbid([0]),
    ]
    return BudgetedSelection(rng.random(SIZE), constraints=rules, **{"budget": 12, **arguments})


@pytest.fixture
def trap():
    """Return a problem in which the most useful row leaves no room for the second one."""
    spacing = Spacing(None, [0, 1, 2], 1)
    return BudgetedSelection([1.0, 5.0, 1.0], 2, constraints=[spacing])


@pytest.mark.parametrize("budget", [12, None])
@pytest.mark.parametrize("method", [*ALL, "auto"])
def test_every_method_keeps_the_contract(method, budget):
    """A method's answer would break a constraint, or not say how it came about."""
    problem = dash_cam(budget=budget)
    solution = solve(problem, method, seed=3)
    problem.check(solution)
    check(problem, solution)
    best = solve(problem, "exact", gap_tol=0)
    assert best.status is Status.OPTIMAL
    assert solution.objective <= best.bound
    assert solution.method == ("exact" if method == "auto" else method)
    again = solve(problem, method, seed=3)
    np.testing.assert_array_equal(again.indices, solution.indices)


@pytest.mark.parametrize("method", ALL)
def test_a_trap_is_left(trap, method):
    """Growth that is stuck would be called infeasible, or raise."""
    with pytest.raises(Stuck):
        trap.top_rows()
    solution = solve(trap, method)
    np.testing.assert_array_equal(solution.indices, [0, 2])


@pytest.mark.parametrize("method", ALL)
def test_what_nothing_satisfies_is_infeasible_by_every_method(method):
    """One method would find out, and another end in an error or search for ever."""
    rules = [Spacing(None, np.arange(6), 2), GroupLimit([0, 0, 0, 1, 1, 1], at_least=1)]
    problem = BudgetedSelection(np.arange(6.0), 3, constraints=rules)
    solution = solve(problem, method)
    assert solution.status is Status.INFEASIBLE
    assert solution.reason
    assert not len(solution.indices)
    check(problem, solution)


def test_a_false_claim_of_infeasibility_is_refuted(tmp_path):
    """Any problem could be called infeasible."""
    groups = GroupLimit([0, 0, 0, 1, 1, 1], at_most=1)
    impossible = BudgetedSelection(np.arange(6.0), 3, constraints=[groups])
    solve(impossible).save(tmp_path / "claim.json")
    claim = load(tmp_path / "claim.json")
    possible = BudgetedSelection(np.arange(6.0), 2, constraints=[groups])
    object.__setattr__(claim, "fingerprint", possible.fingerprint)
    with pytest.raises(CheckFailed, match="do not contradict each other"):
        check(possible, claim)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("limit", [1e-9, 1e-3])
def test_a_limit_too_short_for_anything_is_no_error(method, limit):
    """A limit that passes between two steps would end in an error."""
    problem = dash_cam()
    solution = solve(problem, method, time_limit=limit)
    assert solution.status is not Status.INFEASIBLE
    if solution.objective is not None:
        check(problem, solution)


def test_a_spacing_alone_is_proven_by_prices_that_others_can_check(tmp_path):
    """Nobody could re-check the optimum without solving again."""
    rng = np.random.default_rng(0)
    video = np.arange(400) // 50
    rules = [Spacing(video, np.arange(400), 3), GroupLimit(video, at_most=4, at_least=2)]
    problem = BudgetedSelection(rng.random(400), 25, constraints=rules)
    solution = solve(problem, gap_tol=0, abs_gap_tol=1e-11)
    assert (solution.status, solution.stopped_by) == (Status.OPTIMAL, StoppedBy.GAP)
    assert solution.certificate.kind == "multipliers"
    assert solution.certificate.recheckable
    solution.save(tmp_path / "solution.json")
    report = check(problem, load(tmp_path / "solution.json"))
    assert report.proven == pytest.approx(solution.objective, rel=1e-13)
    assert report.bound_rechecked


def test_branch_and_bound_says_that_it_cannot_be_rechecked():
    """A bound would be shown as proven that the prices do not prove."""
    costs, utility = [7.0, 5.0, 4.0, 3.0], [10.0, 7.0, 5.5, 4.0]
    problem = BudgetedSelection(utility, constraints=[Cost(costs, 10)])
    solution = solve(problem, gap_tol=0)
    np.testing.assert_array_equal(solution.indices, [0, 3])
    assert solution.status is Status.OPTIMAL
    assert solution.certificate.kind == "branch-and-bound"
    assert not solution.certificate.recheckable
    assert solution.certificate.bound > solution.bound
    check(problem, solution)


def test_greedy_looks_at_what_rows_cost():
    """One dear row would eat the whole limit."""
    problem = BudgetedSelection([5.0, 4.0, 3.0], constraints=[Cost([4, 2, 2], limit=4)])
    np.testing.assert_array_equal(solve(problem, "greedy").indices, [1, 2])
    np.testing.assert_array_equal(solve(problem, "top").indices, [0])


def test_ties_at_random_go_by_the_seed():
    """Counts as utilities would always bring the first frames of the first video."""
    rng = np.random.default_rng(0)
    video = np.arange(300) // 30
    rules = [Spacing(video, np.arange(300), 2), GroupLimit(video, at_most=3)]
    counts = rng.integers(0, 3, 300).astype(float)
    problem = BudgetedSelection(counts, 15, constraints=rules, ties="random")
    found = [solve(problem, seed=seed) for seed in range(8)]
    assert len({solution.objective for solution in found}) == 1
    assert len({tuple(solution.indices.tolist()) for solution in found}) == 8
    lowest = BudgetedSelection(counts, 15, constraints=rules)
    same = [solve(lowest, seed=seed).indices.tolist() for seed in range(3)]
    assert same[0] == same[1] == same[2]


def test_completing_keeps_as_many_rows_as_it_can():
    """Rows that a method chose would be given up without need."""
    spacing = Spacing(np.arange(12) // 6, np.arange(12), 3)
    problem = BudgetedSelection(np.zeros(12), 4, constraints=[spacing])
    search = Search(problem=problem, clock=Clock())
    rows = complete(search, np.array([6, 2, 10]))
    problem.check(rows)
    np.testing.assert_array_equal(rows[:2], [6, 10])
    worth = np.zeros(12)
    worth[[1, 5]] = 1.0
    rows = complete(search, np.array([6, 2, 10]), worth)
    np.testing.assert_array_equal(np.sort(rows), [1, 5, 6, 10])


def test_completing_what_cannot_be_is_infeasible():
    """A method would offer half an answer."""
    spacing = Spacing(None, np.arange(6), 4)
    search = Search(problem=BudgetedSelection(np.zeros(6), 3, constraints=[spacing]), clock=Clock())
    with pytest.raises(Infeasible):
        complete(search, np.array([1]))


def hard():
    """Return a problem that branch and bound works on for long."""
    rng = np.random.default_rng(0)
    size = 2_000
    rules = [Cost(rng.random(size) + 0.5, 60.0) for _ in range(6)]
    rules += [GroupLimit(rng.integers(0, 40, size), at_most=4) for _ in range(3)]
    return BudgetedSelection(rng.random(size), constraints=rules)


def test_the_time_limit_brings_answer_and_bound():
    """A run that is stopped would come back with empty hands."""
    problem = hard()
    began = time.perf_counter()
    solution = solve(problem, time_limit=3, gap_tol=0, abs_gap_tol=0)
    assert time.perf_counter() - began < 4
    assert (solution.status, solution.stopped_by) == (Status.FEASIBLE, StoppedBy.TIME)
    assert solution.gap < 0.02
    check(problem, solution)


def test_ctrl_c_brings_answer_and_bound():
    """Minutes of work would be lost to a key."""
    problem = hard()
    solve(problem, time_limit=1.0)
    timer = threading.Timer(2.0, interrupt_main)
    timer.start()
    solution = solve(problem, time_limit=30, gap_tol=0, abs_gap_tol=0)
    assert solution.stopped_by is StoppedBy.INTERRUPT
    assert solution.runtime < 10
    assert solution.bound is not None
    check(problem, solution)


def test_forecasts_and_capabilities_are_told():
    """`labelcut.methods` would not say who proves a bound."""
    listed = {method.name: method for method in methods(dash_cam())}
    assert tuple(listed) == ALL
    assert [name for name in ALL if listed[name].proves_bound] == ["exact"]
    assert all(method.refusal is None and method.memory > 0 for method in listed.values())


@pytest.mark.parametrize("budget", [None, 60])
def test_a_best_that_only_rounding_allows_is_not_called_optimal(budget):
    """HiGHS takes costs below 1e-9 of the largest for 0: its best overspends, and is no proof."""
    costs, utility = np.full(101, 5.0), 1.0 + 1e-3 * np.arange(101)
    costs[0], utility[0] = 1e10, 200.0
    problem = BudgetedSelection(utility, budget, constraints=[Cost(costs, limit=1e10)])
    solution = solve(problem, "exact", time_limit=30)
    assert solution.status is not Status.OPTIMAL or solution.gap < 1e-3
    assert solution.bound is not None
    if budget is None:
        # The dear row and the two best of the others, which the slack of 1e-9 lets in.
        assert solution.bound >= 200.0 + utility[-2:].sum()


@pytest.mark.parametrize("method", ["top", "greedy", "random"])
def test_growing_looks_at_the_clock(method, monkeypatch):
    """A pool of millions of rows must not hold up a limit of a second."""
    problem = BudgetedSelection(np.ones(5_000), constraints=[Cost(np.ones(5_000), limit=4_000)])
    turns = []
    assert problem.free.size == 5_000

    def check(clock):
        turns.append(clock)
        if len(turns) > 5:
            raise OutOfTime

    monkeypatch.setattr(Clock, "check", check)
    solution = solve(problem, method)
    assert solution.status is Status.UNKNOWN
    assert solution.stopped_by is StoppedBy.TIME


def test_wide_windows_of_a_second_spacing_are_foreseen():
    """Its rows times the length of its windows are written out: far more than the input."""
    size, width = 40_000, 10_000
    rules = [Spacing(None, np.arange(size), 3), Spacing(None, np.arange(size)[::-1], width)]
    problem = BudgetedSelection(np.ones(size), 2, constraints=rules)
    forecast = {method.name: method.memory for method in methods(problem)}["exact"]
    assert forecast > 24 * (size - width) * width
    line = problem.constraints[0].timeline
    assert line.window_entries() == len(line.windows()[0]) == (size - 3) * 4
