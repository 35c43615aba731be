"""The killable HiGHS worker: right answers, kept limits, and no process left behind."""

import itertools
import math
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from labelcut.problems.errors import InvalidInput
from labelcut.solvers import _mip_child
from labelcut.solvers._mip import LinearModel, MipStatus, SolverError, solve_model

INF = math.inf
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


def build(cost, matrix, row_lower, row_upper, lower, upper, integer, offset=0.0):
    """State a model with a dense matrix."""
    dense = np.asarray(matrix, float).reshape(len(row_lower), len(cost))
    return LinearModel(
        cost, sp.csr_array(dense), row_lower, row_upper, lower, upper, integer, offset
    )


def random_model(seed, *, integer):
    """State a bounded model with rows of every kind; it is feasible because of a planted point."""
    rng = np.random.default_rng(seed)
    m, n = 5, 9
    matrix = rng.integers(-5, 9, (m, n)).astype(float)
    center = matrix @ rng.integers(0, 3, n)
    row_lower = np.where([1, 1, 0, 1, 0], center - np.array([2, 0, 0, 5, 0]), -INF)
    row_upper = np.where([1, 0, 1, 1, 0], center + np.array([2, 0, 0, 1, 0]), INF)
    kinds = np.arange(n) % 3 > 0 if integer else np.zeros(n, bool)
    cost = rng.normal(size=n)
    return build(cost, matrix, row_lower, row_upper, np.zeros(n), np.full(n, 3), kinds, 2.5)


def market_split(m, n, *, planted=False):
    """State a market split: tiny, and out of reach for branch and bound; with a known optimum."""
    rng = np.random.default_rng(0)
    shares = rng.integers(0, 100, (m, n))
    half = np.arange(n) % 2 == 0
    side = shares[:, half].sum(axis=1) if planted else shares.sum(axis=1) // 2
    model = build(
        np.r_[np.zeros(n), np.ones(2 * m)],
        np.hstack([shares, np.eye(m), -np.eye(m)]),
        side,
        side,
        np.zeros(n + 2 * m),
        np.r_[np.ones(n), np.full(2 * m, INF)],
        np.arange(n + 2 * m) < n,
    )
    return model, np.r_[half, np.zeros(2 * m)].astype(float)


def by_scipy(model):
    """Optimum of a model by `scipy.optimize.milp`."""
    answer = milp(
        model.cost,
        integrality=model.integer,
        bounds=Bounds(model.lower, model.upper),
        constraints=LinearConstraint(model.matrix, model.row_lower, model.row_upper),
        options={"mip_rel_gap": 0},
    )
    assert answer.success
    return answer.fun + model.offset


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_mips_reach_the_optimum_that_scipy_finds(seed, form):
    """A model garbled on its way to the child gives another optimum."""
    model = random_model(seed, integer=True)
    model = LinearModel(**{**vars(model), "matrix": model.matrix.asformat(form)})
    result = solve_model(model, time_limit=20)
    assert result.status is MipStatus.OPTIMAL
    assert result.objective == pytest.approx(by_scipy(model), abs=1e-6)
    assert result.bound == pytest.approx(result.objective, abs=1e-6)
    assert model.cost @ result.values + model.offset == pytest.approx(result.objective, abs=1e-6)
    assert result.row_duals is None


def test_a_small_knapsack_agrees_with_brute_force():
    """SciPy wraps HiGHS too, so a shared mistake shows only against enumeration."""
    rng = np.random.default_rng(4)
    value, weight = rng.random(12), rng.integers(1, 20, 12)
    model = build(-value, weight, [-INF], [50], np.zeros(12), np.ones(12), np.ones(12, bool))
    choices = np.array(list(itertools.product([0, 1], repeat=12)))
    best = (choices @ value)[choices @ weight <= 50].max()
    result = solve_model(model, time_limit=20)
    assert result.objective == pytest.approx(-best, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_row_duals_follow_the_signs_of_linprog(seed):
    """A dual of the wrong sign turns a re-checked bound into nonsense."""
    rng = np.random.default_rng(seed)
    upper, lower, equal = rng.random((3, 2, 8))
    inside = rng.random(8)
    sides = upper @ inside + 0.01, lower @ inside - 0.01, equal @ inside
    cost = lower[0] - upper[0] + rng.normal(size=8, scale=0.1)
    model = build(
        cost,
        np.vstack([upper, lower, equal]),
        np.r_[-INF, -INF, sides[1], sides[2]],
        np.r_[sides[0], INF, INF, sides[2]],
        np.zeros(8),
        np.ones(8),
        np.zeros(8, bool),
    )
    reference = linprog(
        cost,
        A_ub=np.vstack([upper, -lower]),
        b_ub=np.r_[sides[0], -sides[1]],
        A_eq=equal,
        b_eq=sides[2],
        bounds=(0, 1),
    )
    marginals = np.r_[
        reference.ineqlin.marginals[:2], -reference.ineqlin.marginals[2:], reference.eqlin.marginals
    ]
    result = solve_model(model, time_limit=20)
    np.testing.assert_allclose(result.row_duals, marginals, atol=1e-7)
    duals = result.row_duals
    assert duals[:2].min() < -1e-6
    assert duals[2:4].max() > 1e-6
    sides = np.where(duals > 0, model.row_lower, model.row_upper)[duals != 0] @ duals[duals != 0]
    reduced = cost - model.matrix.T @ duals
    assert sides + np.minimum(reduced, 0).sum() == pytest.approx(result.objective, abs=1e-7)


@pytest.mark.parametrize("seed", range(6))
def test_no_reported_bound_is_beaten_by_the_optimum(seed):
    """A start completed by a restricted solve makes HiGHS report bounds that are too high."""
    model = random_model(seed, integer=True)
    optimum = by_scipy(model)
    worst = LinearModel(**{**vars(model), "cost": -model.cost, "offset": 0.0})
    start = solve_model(worst, time_limit=20).values
    start = np.clip(start + np.where(model.integer, 4e-7, 0), 0, 3)
    updates = []
    result = solve_model(model, time_limit=20, start=start, on_update=updates.append)
    assert result.objective == pytest.approx(optimum, abs=1e-6)
    assert all(update.bound is None or update.bound <= optimum + 1e-6 for update in updates)
    objectives = [update.objective for update in updates]
    assert objectives == sorted(objectives, reverse=True)


def test_a_start_is_the_first_incumbent_and_reaches_highs():
    """HiGHS does not find this optimum in the time; it must take it from the start and prove it."""
    model, optimum = market_split(5, 40, planted=True)
    updates = []
    result = solve_model(model, time_limit=10, start=optimum, on_update=updates.append)
    assert updates[0].objective == 0
    np.testing.assert_array_equal(updates[0].values, optimum)
    assert result.status is MipStatus.OPTIMAL
    assert result.seconds < 5


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x: x[:-1], r"start: shape \(49,\), must be \(50,\)"),
        (lambda x: x + 0.5 * (np.arange(50) == 3), "start: variable 3 is 0.5, must be an integer"),
        (lambda x: x - 1.0 * (np.arange(50) == 3), r"start: variable 3 is -1.0, must lie in"),
        (lambda x: x + 1.0 * (np.arange(50) == 40), "start: row 0 is .*, must lie in"),
        (lambda x: x * np.nan, "start: variable 0 is nan"),
    ],
)
def test_a_start_that_breaks_the_model_is_refused(change, text):
    """An infeasible start would be returned as the answer."""
    model, optimum = market_split(5, 40, planted=True)
    with pytest.raises(InvalidInput, match=text):
        solve_model(model, time_limit=10, start=change(optimum))


def test_the_same_seed_gives_the_same_run_on_any_number_of_threads():
    """Answers that change from run to run cannot be reproduced."""
    model, _ = market_split(3, 16)
    runs = []
    for threads in (1, 1, 2):
        updates = []
        options = {"random_seed": np.int64(7), "threads": threads}
        result = solve_model(model, time_limit=20, options=options, on_update=updates.append)
        assert result.status is MipStatus.OPTIMAL
        runs.append([result.nodes, *(u.values.tolist() for u in updates if u.values is not None)])
    assert runs[0] == runs[1] == runs[2]


def test_the_time_limit_holds_on_a_hard_model():
    """A limit that is not kept blocks whoever called; an incumbent lost with it wastes the time."""
    model, _ = market_split(5, 40)
    started = time.perf_counter()
    result = solve_model(model, time_limit=2)
    assert time.perf_counter() - started < 3
    assert result.status is MipStatus.TIME
    gaps = model.matrix @ np.round(result.values) - model.row_lower
    assert np.abs(gaps).max() < 1e-3
    assert result.bound <= result.objective


@needs_proc
def test_peak_memory_is_reported_even_when_the_child_is_killed():
    """The forecast of memory is checked against this figure."""
    model, _ = market_split(5, 40)
    result = solve_model(model, time_limit=1)
    assert 10e6 < result.peak_bytes < 1e9


@pytest.mark.parametrize("code", ["import time; time.sleep(60)", "while True: pass"])
def test_the_time_limit_holds_when_the_child_never_reads(monkeypatch, code):
    """A pipe that nobody empties must not hold the parent."""
    monkeypatch.setattr(_mip_child, "_command", lambda: [sys.executable, "-c", code])
    n = 1_000_000
    matrix = sp.csr_array((1, n))
    bits = np.ones(n, bool)
    model = LinearModel(np.ones(n), matrix, [0], [0], np.zeros(n), np.ones(n), bits)
    started = time.perf_counter()
    assert solve_model(model, time_limit=1).status is MipStatus.TIME
    assert time.perf_counter() - started < 2


def test_a_callback_that_returns_true_stops():
    """Callers stop early when the answer is good enough."""
    model, _ = market_split(5, 40)
    seen = []

    def third(update):
        seen.append(update)
        return len(seen) == 3

    result = solve_model(model, time_limit=20, on_update=third)
    assert result.status is MipStatus.STOPPED
    assert len(seen) == 3
    assert result.seconds < 10
    assert result.objective == seen[-1].objective


def test_a_callback_slower_than_the_limit_still_gets_the_best_point_returned():
    """Incumbents that wait behind a slow callback must not be lost."""
    model, _ = market_split(5, 40)
    result = solve_model(model, time_limit=2, on_update=lambda _: time.sleep(2))
    assert result.status is MipStatus.TIME
    assert result.objective < 100


@needs_proc
@pytest.mark.parametrize("how", ["limit", "optimal", "stopped", "error"])
def test_nothing_is_left_behind(how, children_of):
    """Zombies and open pipes add up in a study that solves thousands of models."""
    model, _ = market_split(5, 40) if how != "optimal" else market_split(2, 8)
    before = set(os.listdir("/proc/self/fd"))
    seen = []

    def on_update(_):
        seen.extend(children_of(os.getpid()))
        if how == "error":
            raise ZeroDivisionError
        return how == "stopped"

    if how == "error":
        with pytest.raises(ZeroDivisionError):
            solve_model(model, time_limit=1, on_update=on_update)
    else:
        solve_model(model, time_limit=1, on_update=on_update)
    assert seen
    assert children_of(os.getpid()) == []
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, MipStatus.OPTIMAL),
        ({"row_lower": [3], "row_upper": [3]}, MipStatus.INFEASIBLE),
        ({"row_lower": [1], "row_upper": [0]}, MipStatus.INFEASIBLE),
        ({"lower": [0, 2]}, MipStatus.INFEASIBLE),
        ({"row_upper": [INF], "upper": [INF, 1]}, MipStatus.UNBOUNDED),
        ({"matrix": [[1, -1]], "upper": [INF, INF]}, MipStatus.UNBOUNDED),
    ],
)
def test_contradictions_and_missing_bounds_have_their_own_status(integer, change, status):
    """Presolve answers "unbounded or infeasible", and no caller can act on that."""
    parts = {
        "cost": [-1, -1],
        "matrix": [[1, 1]],
        "row_lower": [0],
        "row_upper": [1],
        "lower": [0, 0],
        "upper": [1, 1],
        "integer": [integer, integer],
    }
    result = solve_model(build(**{**parts, **change}), time_limit=20)
    assert result.status is status
    if status is MipStatus.INFEASIBLE:
        assert result.values is result.objective is result.bound is None
    if status is MipStatus.UNBOUNDED:
        assert result.bound is None


@pytest.mark.parametrize("integer", [False, True])
def test_models_without_rows_or_columns_work(integer):
    """Reductions may leave nothing to decide; the constant must survive."""
    no_rows = build([1, -1], [], [], [], [0, 0], [1, 1.5], [integer, integer], 7.0)
    result = solve_model(no_rows, time_limit=20)
    assert result.objective == result.bound == (6.0 if integer else 5.5)
    no_columns = build([], [[], []], [0, -1], [1, 1], [], [], [], 7.0)
    result = solve_model(no_columns, time_limit=20)
    assert (result.status, result.objective, result.bound) == (MipStatus.OPTIMAL, 7.0, 7.0)
    impossible = build([], [[], []], [0, 1], [1, 1], [], [], [], 7.0)
    assert solve_model(impossible, time_limit=20).status is MipStatus.INFEASIBLE


def test_limits_given_as_options_have_their_own_status():
    """A stop after so many nodes is reproducible, and must not pass for an optimum."""
    model, _ = market_split(5, 40)
    result = solve_model(model, time_limit=20, options={"mip_max_nodes": 50})
    assert result.status is MipStatus.LIMIT
    assert result.values is not None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"thread": 1}, "options: HiGHS does not take thread=1"),
        ({"threads": "all"}, "options: HiGHS does not take threads='all'"),
    ],
)
def test_options_that_highs_refuses_are_named(options, text):
    """An option that is dropped in silence lets a user believe in it."""
    with pytest.raises(SolverError, match=text):
        solve_model(random_model(0, integer=True), time_limit=20, options=options)


def test_a_crash_says_how_the_child_ended_and_what_it_wrote(monkeypatch):
    """Without the child's last words nobody can tell a bug from a lack of memory."""
    code = "import sys; sys.exit('no luck today')"
    monkeypatch.setattr(_mip_child, "_command", lambda: [sys.executable, "-c", code])
    with pytest.raises(SolverError, match=r"exit code 1.*no luck today"):
        solve_model(random_model(0, integer=True), time_limit=20)


@needs_proc
def test_a_child_killed_from_outside_is_an_error_not_an_answer(children_of):
    """The system kills when memory runs out; the hint must say so."""

    def kill(_):
        for pid in children_of(os.getpid()):
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(SolverError, match=r"signal 9.*memory"):
        solve_model(market_split(5, 40)[0], time_limit=20, on_update=kill)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"cost": np.ones(8)}, r"cost: shape \(8,\), must be \(9,\)"),
        ({"row_upper": np.ones(4)}, r"row_upper: shape \(4,\), must be \(5,\)"),
        ({"integer": np.ones((9, 1))}, r"integer: shape \(9, 1\), must be \(9,\)"),
        ({"cost": np.full(9, np.nan)}, "cost: holds NaN or infinity"),
        ({"offset": INF}, "offset: holds NaN or infinity"),
        ({"lower": np.full(9, INF)}, "lower: holds NaN or inf, must be finite or -inf"),
        ({"row_upper": np.full(5, -INF)}, "row_upper: holds NaN or -inf, must be finite or inf"),
    ],
)
def test_models_that_break_a_rule_are_refused(change, text):
    """HiGHS reads past the end of a short array."""
    with pytest.raises(InvalidInput, match=text):
        LinearModel(**{**vars(random_model(0, integer=True)), **change})


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"time_limit": 0}, "time_limit: 0, must be more than 0"),
        ({"time_limit": math.nan}, "time_limit: nan"),
        ({"time_limit": 1, "options": {"time_limit": 5}}, "options: holds time_limit"),
    ],
)
def test_arguments_that_break_a_rule_are_refused(kwargs, text):
    """A second time limit among the options would be kept by nobody."""
    with pytest.raises(InvalidInput, match=text):
        solve_model(random_model(0, integer=True), **kwargs)
