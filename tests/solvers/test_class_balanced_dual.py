"""The dual, the fixing by reduced costs and the annealing, against SciPy's LP and brute force."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

from labelcut import ClassBalanced, Include, check, solve
from labelcut.problems.distances import NAMES
from labelcut.problems.synthetic import long_tailed_pool
from labelcut.solvers._clock import Clock
from labelcut.solvers.class_balanced import dual as dual_module
from labelcut.solvers.class_balanced.branching import undecided
from labelcut.solvers.class_balanced.dual import solve_dual
from labelcut.solvers.class_balanced.improvement import Annealing
from labelcut.solvers.class_balanced.relaxation import relax
from labelcut.solvers.search import Search


def lp_value(problem):
    """Return the value of the LP relaxation of eq. 4.8."""
    rows, classes = problem.dataset.size, problem.n_classes
    probs = problem.probs.take(np.arange(rows))
    matrix = np.hstack([probs.T, np.eye(classes), -np.eye(classes)])
    matrix = np.vstack([matrix, np.r_[np.ones(rows), np.zeros(2 * classes)]])
    costs = np.r_[-problem.utility, np.full(2 * classes, problem.balance)]
    low = np.zeros(rows)
    low[problem.included] = 1
    bounds = [*zip(low, np.ones(rows), strict=True), *[(0, None)] * (2 * classes)]
    return linprog(
        costs, A_eq=matrix, b_eq=np.r_[problem.target, problem.budget], bounds=bounds
    ).fun


@settings(max_examples=150)
@given(st.integers(0, 10**6))
def test_the_dual_reaches_the_value_of_the_lp(seed):
    """Gaps would stay open that the relaxation closes."""
    rng = np.random.default_rng(seed)
    rows, classes = int(rng.integers(5, 150)), int(rng.integers(2, 8))
    budget = int(rng.integers(1, rows))
    probs = rng.dirichlet(np.full(classes, 0.3), size=rows)
    if seed % 5 == 0:
        probs = np.eye(classes)[rng.integers(classes, size=rows)]
    utility = rng.random(rows) * 10 ** rng.uniform(-2, 2) * (seed % 7 > 0)
    target = rng.random(classes) * budget if seed % 2 else "paper"
    include = [Include(rng.choice(rows, size=1))] if seed % 3 == 0 else []
    balance = 10 ** rng.uniform(-3, 3)
    problem = ClassBalanced(
        probs, utility, budget, balance=balance, target=target, constraints=include
    )
    value = lp_value(problem)
    bound = problem.lower_bound(solve_dual(problem, Clock()).multipliers)
    scale = abs(value) + 1e-3 * balance * budget
    assert value - 3e-6 * scale <= bound <= value + 1e-7 * scale


@pytest.mark.parametrize("name", NAMES)
def test_a_start_from_a_neighbour_ends_at_the_same_bound(name):
    """Along a frontier, errors of one λ would travel to the next."""
    pool = long_tailed_pool(2_000, 6, seed=3)
    cost = {}
    if name == "wasserstein":
        points = np.random.default_rng(0).random((6, 2))
        cost = {"ground_cost": cdist(points, points)}
    near, far = (
        ClassBalanced(pool.probs, pool.utility, 100, balance=balance, distance=name, **cost)
        for balance in (0.3, 1.0)
    )
    cold, warm = solve_dual(far, Clock()), solve_dual(far, Clock(), start=solve_dual(near, Clock()))
    assert far.lower_bound(warm.multipliers) == pytest.approx(
        far.lower_bound(cold.multipliers), rel=1e-6
    )


def test_sampling_changes_nothing_in_the_end(monkeypatch):
    """On large pools the first steps are taken on a sample; the last must be on all rows."""
    pool = long_tailed_pool(6_000, 5, seed=1)
    problem = ClassBalanced(pool.probs, pool.utility, 300)
    whole = problem.lower_bound(solve_dual(problem, Clock()).multipliers)
    monkeypatch.setattr(dual_module, "SAMPLE", 1_000)
    monkeypatch.setattr(dual_module, "SMALL", 0)
    sampled = problem.lower_bound(solve_dual(problem, Clock()).multipliers)
    assert sampled == pytest.approx(whole, rel=1e-6)


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_reduced_costs_decide_no_row_wrongly(seed):
    """A row of every better selection would be lost before branch and bound begins."""
    rng = np.random.default_rng(seed)
    probs, utility = rng.dirichlet(np.full(3, 0.5), size=10), rng.random(10)
    problem = ClassBalanced(probs, utility, 4, balance=0.5, target=rng.random(3) * 4)
    search = Search(problem=problem, clock=Clock())
    dual, ranking = relax(search)
    bound = problem.lower_bound(dual.multipliers)
    room = search.best.objective - bound
    inner, taken = undecided(ranking, room)
    sure, open_rows = set(ranking.rows[taken].tolist()), set(ranking.rows[inner].tolist())
    for subset in combinations(range(10), 4):
        if problem.evaluate(subset).objective < search.best.objective - 1e-9:
            assert sure <= set(subset) <= sure | open_rows


@pytest.mark.parametrize("name", NAMES)
def test_annealing_improves_and_repeats(name):
    """A worse answer would replace a better one, or the same seed give another answer."""
    pool = long_tailed_pool(1_500, 5, seed=2)
    cost = {"ground_cost": 1 - np.eye(5)} if name == "wasserstein" else {}
    problem = ClassBalanced(pool.probs, pool.utility, 80, distance=name, **cost)
    found = []
    for seed in (0, 0):
        search = Search(problem=problem, clock=Clock(), seed=seed, gap_tol=0, abs_gap_tol=0)
        _, ranking = relax(search)
        before = search.best.objective
        Annealing(search, ranking).run(12)
        assert search.best.objective < before
        found.append(search.rows)
    assert np.array_equal(*found)


@pytest.mark.slow
def test_thousands_of_selections_do_not_beat_the_bound():
    """The bound would be hoped for, not proven."""
    pool = long_tailed_pool(400, 8, seed=5)
    for name in NAMES:
        cost = {"ground_cost": 1 - np.eye(8)} if name == "wasserstein" else {}
        problem = ClassBalanced(pool.probs, pool.utility, 40, distance=name, **cost)
        solution = solve(problem, "exact", time_limit=2)
        rng = np.random.default_rng(0)
        rows = solution.indices.copy()
        for _ in range(300):
            swapped = rows.copy()
            outside = np.setdiff1d(np.arange(400), rows)
            swapped[rng.integers(40)] = rng.choice(outside)
            assert problem.evaluate(swapped).objective >= solution.bound
            drawn = rng.choice(400, 40, replace=False)
            assert problem.evaluate(drawn).objective >= solution.bound


@pytest.mark.slow
def test_half_a_second_brings_an_answer_and_a_bound():
    """The limit would be broken on a pool of the size that people have."""
    pool = long_tailed_pool(45_000, 100)
    problem = ClassBalanced(pool.probs, pool.utility, 2_500)
    solution = solve(problem, time_limit=0.5)
    assert solution.runtime < 1.5
    assert solution.bound is not None
    check(problem, solution)


@pytest.mark.parametrize("seed", range(12))
def test_a_better_bound_from_elsewhere_decides_no_row(seed, monkeypatch):
    """Reduced costs and bound must be of the same multipliers: else rows are fixed wrongly."""
    rng = np.random.default_rng(seed)
    probs, utility = rng.dirichlet(np.full(3, 0.5), size=10), rng.random(10)
    problem = ClassBalanced(probs, utility, 4, balance=0.5, target=rng.random(3) * 4)
    # A dual that went wrong: zeros prove more, but the rows are ranked by these.
    poor = dual_module.Dual(0.5 * rng.choice([-1.0, 1.0], 3), 0.0, np.zeros(3), 0)
    monkeypatch.setattr("labelcut.solvers.class_balanced.relaxation.solve_dual", lambda *_: poor)
    monkeypatch.setattr("labelcut.solvers.class_balanced.branching.polish", lambda *_: None)
    monkeypatch.setattr("labelcut.solvers.class_balanced.branching.Annealing.run", lambda *_: None)
    options = {"node_limit": 0}
    solution = solve(problem, "exact", gap_tol=0, abs_gap_tol=0, options=options)
    best = min(problem.evaluate(rows).objective for rows in combinations(range(10), 4))
    assert solution.bound <= best + 1e-9
    assert solution.objective == pytest.approx(best, abs=1e-9)
