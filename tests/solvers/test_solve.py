"""`solve` and `methods`: one contract for every method."""

import json

import numpy as np
import pytest
import torch

from labelcut import (
    ClassBalanced,
    Forbid,
    Include,
    InvalidInput,
    UnsupportedProblem,
    check,
    load,
    methods,
    solve,
)
from labelcut.problems.base import Sense, Status, StoppedBy
from labelcut.problems.constraints import CONSTRAINTS, Constraint, LinearRows
from labelcut.problems.errors import NotEnoughMemory
from labelcut.solvers import class_balanced
from labelcut.solvers.class_balanced import baselines
from labelcut.solvers.registry import table

ALL = ("exact", "relaxed", "greedy", "pseudo-label", "top", "random")


@pytest.fixture
def problem(long_tail):
    """Return a problem on which the relaxation is not tight."""
    return long_tail(60, 4, 10, balance=0.7)


@pytest.fixture
def never(monkeypatch):
    """Let every method fail the test that starts it."""

    def run(search):
        raise AssertionError("the method was started")

    for method in ALL:
        module, function = class_balanced.METHODS[method].run.split(":")
        monkeypatch.setattr(f"labelcut.solvers.{module}.{function}", run)


@pytest.mark.parametrize("method", [*ALL, "auto"])
def test_every_method_keeps_the_contract(problem, method):
    """A method's answer would be infeasible, misvalued, or not say how it came about."""
    solution = solve(problem, method, seed=3)
    problem.check(solution)
    check(problem, solution)
    assert solution.objective == problem.evaluate(solution.indices).objective
    assert solution.sense is Sense.MIN
    assert np.all(np.diff(solution.indices) > 0)
    assert solution.method == ("exact" if method == "auto" else method)
    assert (solution.seed, solution.fingerprint) == (3, problem.fingerprint)
    assert 0 < solution.runtime < 60
    assert solution.status in (Status.OPTIMAL, Status.FEASIBLE)
    if solution.order is not None:
        assert sorted(solution.order.tolist()) == solution.indices.tolist()
    assert json.loads(json.dumps(dict(solution.info))) == solution.info
    assert ("auto" in solution.info) == (method == "auto")


def test_methods_lists_what_each_can():
    """Users would pick by a table that is not true."""
    problem = ClassBalanced(np.full((1000, 8), 0.125), np.zeros(1000), 5)
    listed = {method.name: method for method in methods(problem)}
    assert tuple(listed) == ALL
    assert {name for name, method in listed.items() if method.proves_bound} == {"exact", "relaxed"}
    for name, method in listed.items():
        assert method.refusal is None
        assert method.memory > 8 * 1000
        assert method.about
        assert (solve(problem, name).bound is not None) == method.proves_bound
    assert listed["exact"].memory > 1000 * 8 * 8 > 0


def test_memory_forecasts_grow_with_the_input_and_not_faster():
    """A forecast that does not grow would let a run be killed half-way."""
    small, large = (
        {
            method.name: method.memory
            for method in methods(ClassBalanced(np.full((n, 4), 0.25), np.zeros(n), 5))
        }
        for n in (10_000, 1_000_000)
    )
    for name in ALL:
        assert 5e6 < large[name] - small[name] < 5e9
        assert large[name] <= 100 * small[name]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"method": "exat"}, "method: 'exat' is unknown for class-balanced .*mean 'exact'"),
        ({"method": "zzz"}, "there are exact, relaxed, greedy, pseudo-label, top, random and auto"),
        ({"options": {"nodelimit": 3}}, "options: 'nodelimit' is unknown.*mean 'node_limit'"),
        ({"options": {"colour": 3}}, "options: 'colour' is unknown; 'exact' has: node_limit"),
        ({"method": "top", "options": {"node_limit": 3}}, "'top' has: none"),
        ({"time_limit": 0}, "time_limit: must be seconds above 0; got 0"),
        ({"time_limit": -1.5}, "time_limit: must be seconds above 0; got -1.5"),
        ({"time_limit": float("nan")}, "time_limit: must be seconds above 0; got nan"),
        ({"time_limit": "soon"}, "time_limit: must be one number; got 'soon'"),
        ({"time_limit": None}, "time_limit: must be one number; got None"),
        ({"gap_tol": -1e-9}, "gap_tol: must be a finite number ≥ 0; got -1e-09"),
        ({"gap_tol": "small"}, "gap_tol: must be one number; got 'small'"),
        ({"gap_tol": float("inf")}, "gap_tol: must be a finite number"),
        ({"abs_gap_tol": -1}, "abs_gap_tol: must be a finite number ≥ 0; got -1"),
        ({"abs_gap_tol": float("nan")}, "abs_gap_tol: must be a finite number"),
        ({"seed": -1}, "seed: must be a whole number ≥ 0; got -1"),
        ({"seed": 0.5}, "seed: must be a whole number ≥ 0; got 0.5"),
        ({"seed": float("nan")}, "seed: must be a whole number ≥ 0; got nan"),
        ({"seed": True}, "seed: must be one number; got True"),
        ({"seed": "lucky"}, "seed: must be one number; got 'lucky'"),
        ({"seed": None}, "seed: must be one number; got None"),
    ],
)
def test_arguments_that_break_a_rule_are_refused(problem, never, arguments, text):
    """A typo would be ignored, or end in an error that does not name it."""
    with pytest.raises(InvalidInput, match=text):
        solve(problem, **{"method": "exact", **arguments})


def test_limits_may_come_as_numpy_numbers_or_be_infinite(problem):
    """A limit from an array, or none at all, would be refused."""
    solution = solve(
        problem, "relaxed", time_limit=np.inf, gap_tol=np.float32(0.5), seed=np.int64(7)
    )
    assert solution.status is Status.OPTIMAL
    assert type(solution.seed) is int


@pytest.mark.parametrize("method", [*ALL, "auto"])
@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ([Include([2, 5]), Forbid([5, 7])], "Include and Forbid contradict each other: row 5"),
        ([Include([0, 1, 2]), Include([4, 6])], "Include asks for 5 rows; raise the budget to 5"),
    ],
)
def test_contradicting_rules_are_infeasible_and_say_why(never, method, rules, text):
    """A contradiction would raise, or come back as an answer."""
    probs = np.full((10, 2), 0.5)
    problem = ClassBalanced(probs, np.zeros(10), 4, constraints=rules, ids=np.arange(10))
    solution = solve(problem, method)
    assert solution.status is Status.INFEASIBLE
    assert text in solution.reason
    assert len(solution.indices) == len(solution.ids) == 0
    assert solution.objective is solution.certificate is solution.bound is solution.gap is None
    assert solution.terms == {}
    check(problem, solution)


def test_auto_explains_its_pick(problem):
    """Users would not know what they got, nor why."""
    assert solve(problem).info["auto"].startswith("exact: its dual bound is linear in the 240")
    assert solve(problem).method == "exact"


class AtMostOne(Constraint):
    """A constraint that no method here takes."""

    kind = "at-most-one"

    def bind(self, dataset):
        """Return it as it is."""
        return self

    def check(self, chosen, dataset):
        """Accept everything."""

    def linear(self, dataset):
        """Return no rows."""
        return LinearRows(np.empty((0, dataset.size)), np.empty(0))

    def describe(self):
        """Say what it asks for."""
        return "anything"

    def arrays(self):
        """Return nothing."""
        return {}


def test_a_constraint_that_a_method_cannot_take_is_named(never, monkeypatch):
    """A rule would be broken in silence, or the user left without a way out."""
    rules = {"constraints": [AtMostOne()]}
    problem = ClassBalanced(np.full((6, 2), 0.5), np.zeros(6), 2, **rules)
    with pytest.raises(UnsupportedProblem, match=r"'greedy' cannot take the .*'at-most-one'; no m"):
        solve(problem, "greedy")
    assert {m.refusal for m in methods(problem)} == {"cannot take the constraint 'at-most-one'"}
    able = dict(class_balanced.METHODS)
    able["exact"] = type(able["exact"])(
        **{**vars(able["exact"]), "constraints": frozenset({*CONSTRAINTS, AtMostOne.kind})}
    )
    monkeypatch.setattr(class_balanced, "METHODS", able)
    with pytest.raises(UnsupportedProblem, match="'at-most-one'; exact can"):
        solve(problem, "greedy")


def test_every_run_function_exists(problem):
    """A method in the table would fail only when somebody asks for it."""
    for method in table(problem).values():
        assert callable(method.solver())


@pytest.mark.parametrize("method", ["exact", "relaxed", "auto"])
def test_a_run_that_does_not_fit_is_refused_with_the_way_out(monkeypatch, never, problem, method):
    """The system would kill the process, and the user not learn why nor what to do."""
    monkeypatch.setattr("labelcut.problems.memory.free_bytes", lambda: 40 << 20)
    name = "exact" if method == "auto" else method
    text = rf"method '{name}': needs about 0\.\d GB, 0\.0 GB are free; take method '\w+'"
    with pytest.raises(NotEnoughMemory, match=text):
        solve(problem, method)


def test_where_no_method_fits_fewer_candidates_are_the_way_out(monkeypatch, never, problem):
    """The user would be sent from one refusal to the next."""
    monkeypatch.setattr("labelcut.problems.memory.free_bytes", lambda: 1 << 20)
    with pytest.raises(NotEnoughMemory, match=r"'random': needs .*; take fewer candidates"):
        solve(problem, "random")


def test_with_enough_memory_the_run_goes_on(monkeypatch, problem):
    """A forecast that fits, or a system that does not tell, would be refused."""
    for free in (1 << 40, None):
        monkeypatch.setattr("labelcut.problems.memory.free_bytes", lambda free=free: free)
        assert solve(problem, "top").status is Status.FEASIBLE


def test_progress_reports_improvements(problem):
    """A callback would see the answer get worse, or nothing at all."""
    seen = []
    options = {"node_limit": 0}
    solution = solve(problem, "exact", progress=seen.append, options=options, gap_tol=0)
    objectives = [step.objective for step in seen if step.objective is not None]
    bounds = [step.bound for step in seen if step.bound is not None]
    assert objectives == sorted(objectives, reverse=True)
    assert bounds == sorted(bounds)
    assert (objectives[-1], bounds[-1]) == (solution.objective, solution.bound)
    assert len(set(objectives)) > 1
    assert len(set(bounds)) > 1
    assert seen[-1].elapsed <= solution.runtime


def test_progress_true_writes_to_stderr_only(problem, capfd, monkeypatch):
    """What a program prints on stdout would be mixed with a progress line."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    solve(problem, "exact", progress=True)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "objective" in captured.err
    assert "bound" in captured.err


@pytest.mark.parametrize("progress", [None, False])
def test_without_progress_nothing_is_written(problem, capfd, progress):
    """A library would fill its users' logs."""
    solve(problem, "exact", progress=progress)
    assert capfd.readouterr() == ("", "")


def test_ctrl_c_after_an_answer_returns_it(monkeypatch, problem):
    """An interrupted run would lose what it had found."""

    def interrupted(search):
        search.offer(np.arange(10), ordered=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(baselines, "solve_top", interrupted)
    solution = solve(problem, "top")
    assert solution.stopped_by is StoppedBy.INTERRUPT
    assert solution.status is Status.FEASIBLE
    assert solution.indices.tolist() == list(range(10))


def test_ctrl_c_before_an_answer_is_ctrl_c(monkeypatch, problem):
    """With nothing to return the interrupt would be swallowed."""

    def interrupted(search):
        raise KeyboardInterrupt

    monkeypatch.setattr(baselines, "solve_top", interrupted)
    with pytest.raises(KeyboardInterrupt):
        solve(problem, "top")


def test_ctrl_c_from_a_callback_keeps_answer_and_bound(problem):
    """Ctrl-C in the middle of an exact run would lose the bound or leave a child behind."""

    def press(step):
        if step.bound is not None and step.objective is not None:
            raise KeyboardInterrupt

    solution = solve(problem, "exact", progress=press)
    assert solution.stopped_by is StoppedBy.INTERRUPT
    check(problem, solution)
    assert solution.bound is not None


def test_other_errors_are_not_swallowed(monkeypatch, problem):
    """A method's mistake would look like an answer."""

    def broken(search):
        search.offer(np.arange(10))
        raise ZeroDivisionError

    monkeypatch.setattr(baselines, "solve_top", broken)
    with pytest.raises(ZeroDivisionError):
        solve(problem, "top")


def test_status_follows_gap_and_tolerances(problem):
    """Optimal would be claimed at a gap that was not asked for, or not claimed at one that was."""
    loose = solve(problem, "relaxed", gap_tol=0.5)
    tight = solve(problem, "relaxed", gap_tol=loose.gap / 2, abs_gap_tol=0)
    absolute = solve(problem, "relaxed", gap_tol=0, abs_gap_tol=loose.abs_gap)
    assert loose.gap > 1e-3
    assert loose.status is absolute.status is Status.OPTIMAL
    assert tight.status is Status.FEASIBLE
    exact = solve(problem, "exact", gap_tol=0.5)
    assert (exact.status, exact.stopped_by) == (Status.OPTIMAL, StoppedBy.GAP)


@pytest.mark.parametrize("method", ALL)
def test_arrays_of_a_solution_are_read_only(long_tail, method):
    """A caller's change would make the answer disagree with its objective."""
    ids, table = [f"image {row}" for row in range(30)], {"left": np.arange(30.0)}
    solution = solve(long_tail(30, 3, 5, ids=ids, table=table), method)
    arrays = [solution.indices, solution.ids, solution.table["left"]]
    if solution.order is not None:
        arrays.append(solution.order)
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]


@pytest.mark.parametrize("method", ALL)
def test_ids_and_table_come_back_for_the_chosen_rows(long_tail, method):
    """The wrong images would be sent to the annotators."""
    ids, tops = [f"image {row}" for row in range(30)], np.arange(30) * 10
    problem = long_tail(30, 3, 5, ids=ids, table={"top": tops}, labeled=[0, 1], target=[1, 2, 2])
    solution = solve(problem, method)
    assert solution.ids.tolist() == [f"image {row}" for row in solution.indices]
    np.testing.assert_array_equal(solution.table["top"], solution.indices * 10)


def test_without_ids_there_are_none(problem):
    """Row numbers would pass for ids."""
    solution = solve(problem, "top")
    assert solution.ids is None
    assert solution.table == {}


@pytest.mark.parametrize("method", ALL)
def test_one_problem_one_answer_whatever_holds_it(tmp_path, method):
    """Where the numbers lie would decide what is labeled."""
    rng = np.random.default_rng(2)
    probs = rng.dirichlet(np.full(5, 0.3), size=40).astype(np.float32)
    utility = rng.random(40).astype(np.float32)
    np.save(tmp_path / "probs.npy", probs)
    mapped = np.load(tmp_path / "probs.npy", mmap_mode="r")
    sources = {
        "numpy": (probs, utility),
        "float64": (probs.astype(float), utility.astype(float)),
        "lists": (probs.tolist(), utility.tolist()),
        "torch": (torch.from_numpy(probs), torch.from_numpy(utility)),
        "memory-mapped": (mapped, utility),
        "columns first": (np.asfortranarray(probs), utility),
        "shards": ([probs[:30], torch.from_numpy(probs[30:31]), mapped[31:]], utility),
    }
    rules = {"balance": 0.8, "constraints": [Include([4])], "target": np.full(5, 1.6)}
    problems = {name: ClassBalanced(*arrays, 8, **rules) for name, arrays in sources.items()}
    problems["numpy"].save(tmp_path / "problem.toml")
    problems["file"] = load(tmp_path / "problem.toml")
    first = solve(problems["numpy"], method, seed=1)
    for name, problem in problems.items():
        solution = solve(problem, method, seed=1)
        np.testing.assert_array_equal(solution.indices, first.indices, err_msg=name)
        assert solution.objective == pytest.approx(first.objective, abs=1e-12), name
        assert solution.fingerprint == first.fingerprint, name
        if first.bound is not None:
            assert solution.bound == pytest.approx(first.bound, abs=1e-9), name


def test_inputs_are_not_changed(long_tail):
    """A solver would change the user's arrays."""
    rng = np.random.default_rng(0)
    probs, utility = rng.dirichlet(np.ones(3), 40), rng.random(40)
    before = probs.copy(), utility.copy()
    for method in ALL:
        solve(ClassBalanced(probs, utility, 6), method)
    np.testing.assert_array_equal(probs, before[0])
    np.testing.assert_array_equal(utility, before[1])
