"""Exact class-balanced coresets against brute force, and their intervals of the radius alone."""

from contextlib import suppress
from itertools import combinations

import numpy as np
import pytest

from labelcut import Forbid, Include, KCenter, check, load, solve
from labelcut.problems.base import Status
from labelcut.solvers._clock import Clock
from labelcut.solvers.k_center import balanced
from labelcut.solvers.search import Search, Stop


def cheapest(problem):
    """Return the least objective over all selections."""
    rest = combinations(problem.free, problem.to_choose)
    return min(problem.evaluate([*problem.included, *rows]).objective for rows in rest)


def drawn(seed, distance):
    """Return a small problem with labeled, outlying, restricted and included rows, or without."""
    rng = np.random.default_rng(seed)
    size, classes = int(rng.integers(5, 10)), int(rng.integers(2, 4))
    points = rng.normal(size=(size, 2))
    if seed % 2:
        points = rng.integers(0, 4, size=(size, 2)).astype(np.float64)
    rows = rng.permutation(size)
    labeled, open_rows = rows[: seed % 2], rows[seed % 2 :]
    candidates = np.sort(open_rows[: int(rng.integers(3, len(open_rows) + 1))])
    budget = int(rng.integers(1, 3))
    ground_cost = 1.0 - np.eye(classes) if distance == "wasserstein" else None
    constraints = [Include(candidates[:1])] if seed % 3 == 0 and budget > 1 else []
    constraints += [Forbid(candidates[-1:])] if seed % 4 == 0 else []
    return KCenter(
        points,
        budget,
        outliers=int(rng.integers(0, 3)),
        probs=rng.dirichlet(np.full(classes, 0.7), size),
        balance=float(rng.choice([0.1, 0.5, 3.0])),
        distance=distance,
        ground_cost=ground_cost,
        labeled=labeled,
        labeled_counts=np.zeros(classes),
        candidates=candidates,
        constraints=constraints,
    )


DISTANCES = ("l1", "l2", "squared-l2", "wasserstein")


def require_optimal(problem, tmp_path):
    """Hold exact's answer against brute force, before and after a file."""
    optimum = cheapest(problem)
    scale = max(1.0, abs(optimum))
    solution = solve(problem, "exact", gap_tol=0, abs_gap_tol=1e-9, time_limit=60)
    assert solution.objective == pytest.approx(optimum, abs=1e-6 * scale)
    assert solution.bound <= optimum + 1e-7 * scale
    assert solution.status is Status.OPTIMAL
    check(problem, solution)
    solution.save(tmp_path / "s.json")
    assert check(problem, load(tmp_path / "s.json")).objective == solution.objective


@pytest.mark.parametrize("distance", DISTANCES)
def test_exact_is_the_optimum_over_all_subsets(distance, tmp_path):
    """Radius and balance would be traded off wrongly, or a bound exceed what can be had."""
    require_optimal(drawn(0, distance), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 9))
@pytest.mark.parametrize("distance", DISTANCES)
def test_exact_is_the_optimum_on_many_more(distance, seed, tmp_path):
    """Constraints, labeled rows or outliers would be lost between radius and balance."""
    require_optimal(drawn(seed, distance), tmp_path)


def least_imbalance(self, radius, cutoff):
    """Return what branch and bound should, by trying all selections."""
    problem, best, behind = self.problem, np.inf, None
    apart = problem.space.between(self.sample.rows, np.arange(problem.space.size))
    for chosen in combinations(problem.free, problem.to_choose):
        rows = np.array([*problem.included, *chosen], dtype=np.int64)
        near = apart[:, np.union1d(rows, problem.labeled)].min(axis=1)
        if (near > radius).sum() > problem.outliers:
            continue
        evaluation = problem.evaluate(rows)
        value = evaluation.objective - evaluation.terms["radius"]
        if value < best:
            best, behind = value, np.array(chosen)
    return best, behind


def test_a_bound_holds_up_to_the_next_distance_of_the_sample_as_it_is_now(monkeypatch):
    """Rows that join the sample at one radius would count at larger ones, where they cost less.

    The sample grows by one row at a time, from two, so that this happens all the time.
    """
    monkeypatch.setattr(balanced, "ADDED", 1)
    monkeypatch.setattr(balanced._Intervals, "_branch", least_imbalance)
    for seed in range(120):
        rng = np.random.default_rng(seed)
        size = int(rng.integers(6, 11))
        problem = KCenter(
            rng.normal(size=(size, int(rng.integers(1, 4)))),
            int(rng.integers(1, 3)),
            probs=rng.dirichlet(np.full(3, 0.5), size),
            balance=float(rng.choice([0.1, 0.3, 1.0, 3.0])),
            outliers=int(rng.integers(0, 2)),
        )
        optimum = cheapest(problem)
        search = Search(problem=problem, clock=Clock(), gap_tol=0.0, abs_gap_tol=1e-9)
        search.offer(problem.random_rows(rng))
        with suppress(Stop):
            balanced.solve_balanced(search, lambda _: None, lambda _: None)
        assert search.best.objective == pytest.approx(optimum, abs=1e-9)
        assert search.bound == pytest.approx(optimum, abs=1e-5)


@pytest.mark.parametrize("seed", [6, 10])
def test_branch_and_bound_that_was_cut_short_is_not_asked_again(seed):
    """Cuts at an answer that is no minimum change nothing: the run would last until its limit."""
    rng = np.random.default_rng(seed)
    points, probs = rng.normal(size=(9, 2)), rng.dirichlet(np.full(3, 0.5), 9)
    problem = KCenter(points, 3, probs=probs, balance=1.0, distance="l2")
    solution = solve(problem, "exact", gap_tol=0, abs_gap_tol=1e-9, time_limit=30)
    assert solution.status is Status.OPTIMAL
    assert solution.objective == pytest.approx(cheapest(problem), abs=1e-6)
