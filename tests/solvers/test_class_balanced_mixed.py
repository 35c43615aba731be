"""Class-balanced selection under constraints of every kind at once, on hundreds of rows."""

from dataclasses import replace

import cvxpy as cp
import highspy
import numpy as np
import pytest

from labelcut import (
    ClassBalanced,
    Cost,
    ExpectedCount,
    Forbid,
    GroupLimit,
    Include,
    InvalidInput,
    Spacing,
    check,
    frontier,
    solve,
)
from labelcut.problems.base import Status
from labelcut.problems.errors import CheckFailed
from labelcut.problems.pricing import Prices
from labelcut.solvers import export_model
from labelcut.solvers._clock import Clock
from labelcut.solvers.class_balanced import sifting
from labelcut.solvers.class_balanced.conic import PricedLimits
from labelcut.solvers.class_balanced.limited import relax_limited
from labelcut.solvers.class_balanced.swapping import Swapping
from labelcut.solvers.search import Search

DISTANCES = ("l1", "l2", "squared-l2", "wasserstein")


def mixed(size=60, classes=3, budget=12, seed=0, **arguments):
    """Return a problem under all kinds of constraints, and its plain arrays."""
    rng = np.random.default_rng(seed)
    probs, utility = rng.dirichlet(np.full(classes, 0.4), size), rng.random(size)
    costs, clip = rng.random(size) + 0.2, np.arange(size) // 10
    labeled = [size // 2]
    rules = [
        Spacing(clip, np.arange(size) % 10, 1),
        GroupLimit(clip, at_most=max(3, budget // 3)),
        GroupLimit(rng.integers(0, 2, size), at_least=budget // 3, name="night"),
        Spacing(None, rng.permutation(size), 1),
        Cost(costs, float(np.sort(costs)[: 2 * budget].sum() / 1.7)),
        ExpectedCount(probs, [0], at_least=0.3 * budget),
        Include([3]),
        Forbid([0, 7]),
    ]
    return ClassBalanced(
        probs,
        utility,
        budget,
        labeled=labeled,
        target=np.full(classes, budget / classes),
        constraints=rules,
        **arguments,
    )


def distance_arguments(distance, classes=3):
    """Return the arguments that state a distance."""
    cost = {"ground_cost": 1.0 - np.eye(classes)} if distance == "wasserstein" else {}
    return {"distance": distance, **cost}


@pytest.mark.parametrize("distance", ["l1", "wasserstein"])
def test_exact_agrees_with_the_cvxpy_model(distance):
    """The formulation that users extend and the one that is solved would be two problems."""
    problem = mixed(**distance_arguments(distance))
    model = problem.to_cvxpy()
    model.solve(solver=cp.HIGHS)
    solution = solve(problem, "exact", time_limit=60, gap_tol=1e-7)
    assert solution.status is Status.OPTIMAL
    assert solution.objective == pytest.approx(model.value, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_bound_is_that_of_the_relaxation_or_better(distance):
    """Prices far from the best ones would still prove a bound, and nobody would notice."""
    problem = mixed(**distance_arguments(distance))
    model = problem.to_cvxpy()
    relaxed = cp.Variable(problem.dataset.size, name="relaxed")
    (selected,) = [v for v in model.variables() if v.name() == "z"]
    tree = model.objective.expr
    leaves = {id(selected): relaxed}
    objective = tree.tree_copy(leaves)
    rules = [rule.tree_copy(leaves) for rule in model.constraints]
    lp = cp.Problem(cp.Minimize(objective), [*rules, relaxed >= 0, relaxed <= 1])
    value = lp.solve(solver=cp.CLARABEL)
    solution = solve(problem, "relaxed", gap_tol=0)
    assert solution.bound >= value - 1e-5 * abs(value)
    assert solution.certificate.recheckable


def test_a_bound_found_on_few_rows_holds_for_all(monkeypatch):
    """Rows that were never looked at would be worth more than the bound says."""
    problem = mixed(600, 4, 40, seed=2)
    whole = solve(problem, "relaxed", gap_tol=0).bound
    monkeypatch.setattr(sifting, "FEWEST", 60)
    few = solve(problem, "relaxed", gap_tol=0)
    assert few.bound == pytest.approx(whole, rel=1e-5)
    check(problem, few)


@pytest.mark.parametrize("distance", DISTANCES)
def test_swaps_keep_every_constraint_and_change_what_they_say(distance):
    """Swaps would wander off into selections that break a limit, or count wrongly."""
    problem = mixed(300, 3, 40, seed=1, **distance_arguments(distance))
    search = Search(problem=problem, clock=Clock(), gap_tol=0)
    turning = relax_limited(search, PricedLimits(problem))
    before = search.best.objective
    Swapping(search, turning).run(4)
    problem.check(search.rows)
    assert search.best.objective <= before


def test_swaps_find_the_optimum_where_rounding_does_not():
    """The loop would reject every swap, and nobody would notice beside the rounding."""
    improved = 0
    for seed in range(4):
        problem = mixed(300, 3, 40, seed=seed)
        search = Search(problem=problem, clock=Clock(), gap_tol=0)
        turning = relax_limited(search, PricedLimits(problem))
        before = search.best.objective
        Swapping(search, turning).run(3)
        improved += search.best.objective < before - 1e-9
    assert improved >= 3


def test_a_certificate_with_prices_is_checked_and_a_changed_one_refused():
    """A bound would be believed that its prices do not prove."""
    problem = mixed()
    solution = solve(problem, "relaxed", gap_tol=0)
    report = check(problem, solution)
    assert report.bound_rechecked
    assert report.proven == pytest.approx(solution.bound)
    values = dict(solution.certificate.values)
    values["prices"] = [[2 * price for price in prices] for prices in values["prices"]]
    forged = replace(solution, certificate=replace(solution.certificate, values=values))
    with pytest.raises(CheckFailed, match="the certificate proves"):
        check(problem, forged)
    values["prices"] = values["prices"][1:]
    forged = replace(solution, certificate=replace(solution.certificate, values=values))
    with pytest.raises(InvalidInput, match="certificate prices: must be 8 lists"):
        check(problem, forged)


def test_prices_of_any_kind_never_prove_too_much():
    """A bound from prices that were not optimized would exceed the optimum."""
    problem = mixed(24, 3, 5, seed=3)
    optimum = solve(problem, "exact", gap_tol=0).objective
    rng = np.random.default_rng(0)
    sizes = [len(rule.linear(problem.dataset).limits) for rule in problem.constraints]
    for scale in (1e-3, 0.1, 1.0, 100.0):
        for _ in range(20):
            prices = Prices(scale * rng.normal(), tuple(scale * rng.random(m) for m in sizes))
            assert problem.lower_bound(scale * rng.normal(size=3), prices) <= optimum + 1e-9


def test_the_exported_program_has_the_same_optimum(tmp_path):
    """Others would solve a problem without the constraints."""
    problem = mixed()
    export_model(problem, tmp_path / "m.mps")
    highs = highspy.Highs()
    highs.silent()
    highs.readModel(str(tmp_path / "m.mps"))
    highs.run()
    optimum = solve(problem, "exact", time_limit=60, gap_tol=1e-7).objective
    assert highs.getInfo().objective_function_value == pytest.approx(optimum, abs=1e-5)


def test_the_frontier_keeps_the_constraints():
    """The trade-off would be drawn over selections that nobody may take."""
    problem = mixed(24, 3, 5, seed=3)
    found = frontier(problem, [0.0, 0.3, 3.0])
    assert len(found.points) == 3
    for point in found.points:
        problem.check(point.indices)
        best = solve(replace(problem, balance=point.balance), "exact", gap_tol=0).objective
        assert point.bound <= best + 1e-9
        assert point.objective == pytest.approx(best, abs=2e-2)
    assert found.knee() >= 0.0


@pytest.mark.parametrize("method", ["exact", "relaxed", "greedy", "random"])
def test_same_seed_same_rows(method):
    """An answer that changes from run to run cannot be reproduced."""
    problem = mixed(200, 3, 30, seed=4)
    runs = [solve(problem, method, seed=5, gap_tol=1e-2) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].indices, runs[1].indices)
    # When HiGHS reports its bounds is a matter of time.
    assert runs[0].bound == runs[1].bound or method == "exact"


@pytest.mark.parametrize("scale", [2.0**-30, 2.0**30])
def test_the_unit_of_the_objective_does_not_matter(scale):
    """Tolerances are absolute: small costs would be optimized away."""
    plain = mixed(24, 3, 5, seed=3)
    other = replace(plain, utility=plain.utility * scale, balance=plain.balance * scale)
    one, two = (solve(problem, "exact", gap_tol=0, abs_gap_tol=0) for problem in (plain, other))
    assert two.objective / scale == pytest.approx(one.objective, rel=1e-6)
    assert two.bound / scale == pytest.approx(one.bound, abs=1e-5)
