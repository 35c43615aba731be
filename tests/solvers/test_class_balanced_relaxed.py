"""The LP relaxation against SciPy's, and its certificate against a sceptic."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from labelcut import CheckFailed, ClassBalanced, Forbid, Include, check, load, solve
from labelcut.problems.base import Certificate, Status, StoppedBy


def lp_value(probs, utility, target, balance, budget, lower, upper):
    """Return the optimum of the LP relaxation by SciPy, with the deviation d ≥ |Ω - Pᵀz|."""
    size, classes = probs.shape
    eye = np.eye(classes)
    result = linprog(
        np.concatenate([-utility, np.full(classes, balance)]),
        A_ub=np.block([[-probs.T, -eye], [probs.T, -eye]]),
        b_ub=np.concatenate([-target, target]),
        A_eq=np.concatenate([np.ones(size), np.zeros(classes)])[None],
        b_eq=[budget],
        bounds=[*zip(lower, upper, strict=True), *[(0, None)] * classes],
        method="highs",
    )
    assert result.status == 0
    return result.fun


@pytest.mark.parametrize("seed", range(12))
def test_bound_is_the_value_of_the_relaxation(seed):
    """A bound below the LP's value wastes proof; one above it is none."""
    rng = np.random.default_rng(seed)
    size, classes, budget = 200, int(rng.integers(1, 9)), int(rng.integers(5, 60))
    probs = rng.dirichlet(np.full(classes, rng.choice([0.05, 0.5])), size=size)
    probs /= probs.sum(axis=1, keepdims=True)
    utility, balance = rng.normal(size=size), float(rng.choice([0.0, 0.1, 1.0, 30.0, 1e4]))
    target = rng.random(classes) * 2 * budget / classes
    include, forbid = rng.permutation(size)[:6].reshape(2, 3)
    lower, upper = np.zeros(size), np.ones(size)
    lower[include], upper[forbid] = 1.0, 0.0
    problem = ClassBalanced(
        probs,
        utility,
        budget,
        balance=balance,
        target=target,
        constraints=[Include(include), Forbid(forbid)],
    )
    solution = solve(problem, "relaxed")
    value = lp_value(probs, utility, target, balance, budget, lower, upper)
    assert solution.bound == pytest.approx(value, rel=1e-6, abs=1e-6)
    assert solution.bound <= value + 1e-9 * max(1.0, abs(value))
    assert solution.objective >= value - 1e-9 * max(1.0, abs(value))


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**-20, 2.0**40])
def test_bound_is_as_tight_in_any_unit(scale):
    """Duals within HiGHS' absolute tolerances would prove next to nothing on small utilities."""
    rng = np.random.default_rng(1)
    probs, utility = rng.dirichlet(np.full(4, 0.3), size=100), rng.random(100)
    target = np.full(4, 5.0)
    value = lp_value(probs, utility, target, 2.0, 20, np.zeros(100), np.ones(100))
    problem = ClassBalanced(probs, utility * scale, 20, balance=2.0 * scale, target=target)
    assert solve(problem, "relaxed").bound / scale == pytest.approx(value, rel=1e-6)


def test_certificate_proves_the_bound_after_a_round_trip_through_a_file(tmp_path, long_tail):
    """Nobody but the run itself could re-check the bound."""
    problem = long_tail(300, 6, 30, balance=0.7, constraints=[Include([5]), Forbid([6])])
    solution = solve(problem, "relaxed")
    solution.save(tmp_path / "solution.json")
    loaded = load(tmp_path / "solution.json")
    assert loaded.certificate.kind == "multipliers"
    assert problem.prove(loaded.certificate) == pytest.approx(solution.bound, abs=1e-12)
    report = check(problem, loaded)
    assert report.bound_rechecked
    assert report.proven == pytest.approx(solution.bound, abs=1e-12)


def test_a_bound_beyond_its_certificate_is_found_out(long_tail):
    """The check would believe any number beside any multipliers."""
    problem = long_tail(100, 4, 10, balance=0.7)
    solution = solve(problem, "relaxed")
    gap = solution.objective - solution.bound
    assert gap > 1e-4
    with pytest.raises(CheckFailed, match="bound"):
        check(problem, replace(solution, bound=solution.bound + gap / 2))
    outside = Certificate("multipliers", True, solution.bound, {"multipliers": [0.8, 0, 0, 0]})
    with pytest.raises(CheckFailed, match="bound"):
        check(problem, replace(solution, certificate=outside))


def test_exact_root_multipliers_are_rechecked_and_the_search_is_not(long_tail):
    """A bound of branch and bound would pass for a short proof."""
    problem = long_tail(60, 4, 10, balance=0.7)
    solution = solve(problem, "exact", gap_tol=0, abs_gap_tol=0, time_limit=20)
    assert solution.certificate.kind == "branch-and-bound"
    report = check(problem, solution)
    assert not report.bound_rechecked
    assert report.proven == pytest.approx(solution.certificate.bound, abs=1e-12)
    assert report.proven <= solution.bound


def test_without_balance_the_relaxation_is_whole_and_optimal():
    """With λ = 0 the bound is the sum of the top utilities; anything below were a loose bound."""
    rng = np.random.default_rng(0)
    utility = rng.normal(size=50)
    problem = ClassBalanced(rng.dirichlet(np.ones(3), 50), utility, 10, balance=0)
    solution = solve(problem, "relaxed", gap_tol=0, abs_gap_tol=1e-9)
    assert solution.status is Status.OPTIMAL
    assert solution.bound == pytest.approx(-np.sort(utility)[-10:].sum(), abs=1e-12)


def test_the_unreachable_part_is_in_the_bound():
    """Where Ω asks for more than b, λ(ΣΩ - b) is lost to every selection and must be proven."""
    problem = ClassBalanced(np.eye(3)[[0, 1, 2, 0]], np.zeros(4), 3, balance=2.0, target=[5, 4, 3])
    solution = solve(problem, "relaxed")
    assert solution.bound == pytest.approx(2.0 * 9, abs=1e-9)
    assert solution.objective == pytest.approx(2.0 * 9, abs=1e-9)
    assert solution.terms["unreachable"] == pytest.approx(9.0)
    assert solution.stopped_by is StoppedBy.EXHAUSTED
