"""Limits of time and memory, held by whole runs."""

import time
import tracemalloc

import numpy as np
import pytest

from labelcut import ClassBalanced, GroupLimit, KCenter, NotEnoughMemory, check, methods, solve
from labelcut.problems.base import Status, StoppedBy
from labelcut.solvers._clock import GRACE, Clock, OutOfTime
from labelcut.solvers.baselines import solve_random
from labelcut.solvers.class_balanced import branching, tree
from labelcut.solvers.class_balanced.baselines import solve_pseudo_label, solve_top
from labelcut.solvers.class_balanced.relaxation import relax
from labelcut.solvers.search import Search


def hard(size, classes, budget, seed=0):
    """Return a problem whose relaxation leaves a gap that branch and bound does not close."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(classes, 0.3), size=size).astype(np.float32)
    return ClassBalanced(probs, rng.random(size), budget, balance=5.0)


def test_the_time_limit_holds_and_answer_and_bound_survive():
    """A run would keep its caller waiting, or come back with empty hands."""
    problem = hard(20_000, 50, 200)
    began = time.perf_counter()
    solution = solve(problem, "exact", time_limit=2, gap_tol=0, abs_gap_tol=0)
    assert time.perf_counter() - began < 3
    assert solution.stopped_by is StoppedBy.TIME
    assert solution.status is Status.FEASIBLE
    assert solution.bound <= solution.objective
    check(problem, solution)


def test_the_time_limit_holds_in_branch_and_bound():
    """HiGHS would go on after the limit, or its incumbents be lost with it."""
    problem = hard(2_000, 10, 50)
    began = time.perf_counter()
    options = {"node_limit": 0}
    solution = solve(problem, "exact", time_limit=3, gap_tol=0, abs_gap_tol=0, options=options)
    assert time.perf_counter() - began < 4
    assert solution.stopped_by is StoppedBy.TIME
    assert "nodes" in solution.info
    check(problem, solution)
    assert solution.gap < 0.2


@pytest.mark.parametrize("method", ["exact", "relaxed", "greedy"])
@pytest.mark.parametrize("limit", [1e-9, 1e-3, 0.02])
def test_a_limit_too_short_for_anything_still_brings_an_answer(method, limit):
    """A limit that passes between two steps would end in an error, or in empty hands."""
    problem = hard(5_000, 20, 100)
    began = time.perf_counter()
    solution = solve(problem, method, time_limit=limit)
    assert time.perf_counter() - began < 1
    if limit < 1e-6:
        assert solution.stopped_by is StoppedBy.TIME
    check(problem, solution)
    assert solution.objective <= problem.baseline()
    assert solution.bound is not None or method != "relaxed"


def test_branch_and_bound_without_a_second_left_is_out_of_time():
    """The clock may run out between two steps; that is no mistake of the user's."""
    problem = hard(200, 4, 20)
    search = Search(problem=problem, clock=Clock())
    dual, ranking = relax(search)
    part = branching._part(search, ranking)
    search.clock = Clock(1e-9)
    with pytest.raises(OutOfTime):
        tree.Branching(search, part, dual.multipliers).run()


def test_a_refusal_comes_before_anything_is_allocated(monkeypatch):
    """The run that does not fit would be killed while it finds that out."""
    problem = hard(50_000, 50, 100)
    whole = 8 * 50_000 * 50
    assert problem.fingerprint
    monkeypatch.setattr("labelcut.problems.memory.free_bytes", lambda: whole)
    tracemalloc.start()
    with pytest.raises(NotEnoughMemory, match="take method 'relaxed'"):
        solve(problem, "exact")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < whole / 20


@pytest.mark.parametrize("method", ["greedy", "pseudo-label", "top", "random"])
@pytest.mark.parametrize(("size", "classes"), [(200_000, 50), (1_500_000, 2)])
def test_the_forecast_of_memory_is_kept(method, size, classes):
    """A method for large inputs would need more than it says, such as a copy of the input."""
    rng = np.random.default_rng(0)
    probs = rng.random((size, classes), dtype=np.float32) + 0.01
    probs /= probs.sum(axis=1, keepdims=True)
    problem = ClassBalanced(probs, rng.random(size), 50)
    forecast = {info.name: info.memory for info in methods(problem)}[method]
    tracemalloc.start()
    solve(problem, method)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < forecast


@pytest.mark.slow
def test_a_longer_search_is_never_worse():
    """More time would buy a worse answer or a worse bound."""
    problem = hard(2_000, 10, 50, seed=1)
    short, long = (
        solve(problem, "exact", time_limit=limit, gap_tol=0, abs_gap_tol=0) for limit in (2, 12)
    )
    assert long.objective <= short.objective
    assert long.bound >= short.bound - 1e-9


@pytest.mark.parametrize("run", [solve_top, solve_pseudo_label, solve_random])
def test_baselines_that_grow_under_constraints_look_at_the_clock(run):
    """A million rows that limits turn away one by one would be gone through after the limit."""
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(3), size=400)
    limits = [GroupLimit(rng.integers(0, 50, 400), at_most=1)]
    problem = ClassBalanced(probs, rng.random(400), 20, constraints=limits)
    search = Search(problem=problem, clock=Clock(-GRACE))
    with pytest.raises(OutOfTime):
        run(search)
    assert search.best is None


def test_distances_to_labeled_rows_are_measured_by_the_clock():
    """Thousands of labeled rows would hold a run up beyond its limit before it began."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(3_000, 4))
    problem = KCenter(points, 5, labeled=np.arange(1_000))
    clock = Clock(0.0)
    with pytest.raises(OutOfTime):
        problem.prepare(clock.check)
    problem.prepare(Clock().check)
    every = np.sqrt(np.square(points[:, None] - points[None, :1_000]).sum(axis=2))
    np.testing.assert_allclose(problem.to_fixed[1], every.min(axis=1), atol=1e-12)
