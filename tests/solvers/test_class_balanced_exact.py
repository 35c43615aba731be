"""The exact method against brute force, CVXPY, and attacks on its bound."""

from itertools import combinations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from labelcut import ClassBalanced, Forbid, Include, InvalidInput, check, solve
from labelcut.problems.base import Status, StoppedBy
from labelcut.solvers._clock import Clock
from labelcut.solvers._mip import MipResult, MipStatus
from labelcut.solvers.class_balanced import branching, tree
from labelcut.solvers.class_balanced.enumeration import enumerate_cheapest
from labelcut.solvers.class_balanced.relaxation import relax
from labelcut.solvers.search import Search

STRICT = {"gap_tol": 0, "abs_gap_tol": 0}
HEURISTICS = ("relaxed", "greedy", "pseudo-label", "top", "random")


@st.composite
def instances(draw):
    """Return a problem's plain arrays and rows, rich in ties, zeros and corner cases."""
    size, classes = draw(st.integers(2, 12)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    probs = {
        "soft": rng.dirichlet(np.ones(classes), size),
        "saturated": rng.dirichlet(np.full(classes, 0.02), size),
        "one-hot": np.eye(classes)[rng.integers(classes, size=size)],
        "duplicates": rng.dirichlet(np.ones(classes), 3)[rng.integers(3, size=size)],
        "one class empty": np.hstack([rng.dirichlet(np.ones(classes), size), np.zeros((size, 1))]),
    }[draw(st.sampled_from(["soft", "saturated", "one-hot", "duplicates", "one class empty"]))]
    probs /= probs.sum(axis=1, keepdims=True)
    utility = {
        "free": rng.normal(size=size),
        "ties": rng.integers(-1, 2, size).astype(float),
        "equal": np.full(size, 0.5),
    }[draw(st.sampled_from(["free", "ties", "equal"]))]
    rows = rng.permutation(size)
    labeled = rows[: draw(st.integers(0, size - 1))][:3]
    open_rows = rows[len(labeled) :]
    forbidden = open_rows[: draw(st.integers(0, len(open_rows) - 1))][:2]
    allowed = open_rows[len(forbidden) :]
    budget = draw(st.one_of(st.integers(1, len(allowed)), st.just(len(allowed))))
    included = allowed[: draw(st.one_of(st.just(0), st.integers(0, budget), st.just(budget)))]
    wide = probs.shape[1]
    target = {
        "even": np.full(wide, budget / wide),
        "zeros": rng.integers(0, 2, wide) * rng.random(wide) * budget,
        "too much": rng.random(wide) * 3 * budget,
        "met": probs[rng.choice(allowed, budget, replace=False)].sum(axis=0),
    }[draw(st.sampled_from(["even", "zeros", "too much", "met"]))]
    balance = draw(st.sampled_from([0.0, 0.01, 0.3, 1.0, 10.0, 1e6]))
    return probs, utility, target, balance, budget, labeled, forbidden, included, allowed


def state(instance):
    """Return the problem of an instance, its labeled rows full of NaN."""
    probs, utility, target, balance, budget, labeled, forbidden, included, _ = instance
    probs, utility = probs.copy(), utility.copy()
    probs[labeled], utility[labeled] = np.nan, np.nan
    return ClassBalanced(
        probs,
        utility,
        budget,
        balance=balance,
        target=target,
        labeled=labeled,
        constraints=[Include(included), Forbid(forbidden)],
    )


def require_right(solution, problem, instance, optimum, price):
    """Hold an answer against the optimum and against its own rows, by plain arithmetic."""
    probs, utility, target, balance, budget, _, forbidden, included, allowed = instance
    # λ magnifies the rounding of the class counts, here as in the code that is tested.
    rounding = 1e-9 * max(1.0, abs(optimum)) + 1e-14 * balance * budget
    rows = solution.indices
    assert len(set(rows.tolist())) == budget
    assert set(included) <= set(rows) <= set(allowed)
    assert not set(forbidden) & set(rows)
    problem.check(rows)
    check(problem, solution)
    value = float(price(probs, utility, target, balance, rows))
    assert solution.objective == pytest.approx(value, abs=rounding)
    assert solution.terms["utility"] == pytest.approx(utility[rows].sum(), abs=1e-12)
    imbalance = np.abs(target - probs[rows].sum(axis=0)).sum()
    assert solution.terms["imbalance"] == pytest.approx(imbalance, rel=1e-12, abs=1e-12)
    assert solution.terms["unreachable"] == pytest.approx(abs(target.sum() - budget), abs=1e-8)
    assert solution.objective >= optimum - rounding
    if solution.bound is not None:
        assert solution.bound <= optimum + rounding
    return solution.objective - optimum, rounding


@settings(max_examples=30)
@given(instances())
def test_exact_is_the_optimum_over_all_subsets(cheapest, price, instance):
    """A worse selection would be called optimal, or a bound exceed what can be had."""
    probs, utility, target, balance, budget, *_, included, allowed = instance
    problem = state(instance)
    optimum = cheapest(probs, utility, target, balance, budget, allowed, tuple(included))
    solution = solve(problem, "exact", **STRICT)
    behind, rounding = require_right(solution, problem, instance, optimum, price)
    assert behind <= rounding
    assert solution.status is Status.OPTIMAL
    assert solution.bound == pytest.approx(optimum, abs=rounding)
    for method in HEURISTICS:
        other = solve(problem, method, **STRICT)
        behind, rounding = require_right(other, problem, instance, optimum, price)
        if other.status is Status.OPTIMAL:
            assert behind <= rounding


@settings(max_examples=25)
@given(instances())
def test_branch_and_bound_is_the_optimum_over_all_subsets(hurried, cheapest, price, instance):
    """HiGHS' tolerances would leak into answers and bounds where the enumeration gives up."""
    probs, utility, target, balance, budget, *_, included, allowed = instance
    problem = state(instance)
    optimum = cheapest(probs, utility, target, balance, budget, allowed, tuple(included))
    with hurried():
        solution = solve(problem, "exact", options={"node_limit": 0}, **STRICT)
    behind, _ = require_right(solution, problem, instance, optimum, price)
    assert behind <= 1e-6 * max(1.0, abs(optimum))
    # Where λ is huge, what HiGHS drops may leave a gap; then optimal is not claimed.
    assert solution.status is Status.OPTIMAL or balance == 1e6


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**-20, 2.0**20, 2.0**40])
@pytest.mark.parametrize("options", [{}, {"node_limit": 0}])
def test_the_unit_of_the_objective_does_not_matter(hurried, cheapest, scale, options):
    """HiGHS' tolerances are absolute: small costs would be optimized away, and false bounds proven.

    Powers of two scale floating-point numbers without rounding.
    """
    for seed in range(4):
        rng = np.random.default_rng(seed)
        probs = rng.dirichlet(np.full(3, 0.3), size=12)
        utility, target = rng.random(12), rng.random(3) * 4
        optimum = cheapest(probs, utility, target, 2.0, 4, range(12))
        problem = ClassBalanced(probs, utility * scale, 4, balance=2.0 * scale, target=target)
        with hurried():
            solution = solve(problem, "exact", options=options, gap_tol=0, abs_gap_tol=0)
        assert solution.objective / scale == pytest.approx(optimum, rel=1e-9, abs=1e-9)
        assert solution.bound / scale <= optimum + 1e-9
        assert solution.bound / scale == pytest.approx(optimum, abs=1e-5)


def saturated(seed):
    """Return arrays of a problem whose λ is a million times its utilities, and its optimum's Ω."""
    rng = np.random.default_rng(seed)
    probs, utility = rng.dirichlet(np.full(4, 0.02), size=10), rng.random(10) / 4
    return probs, utility, probs[rng.choice(10, 3, replace=False)].sum(axis=0)


@pytest.mark.parametrize("seed", [1, 35, 87, 137])
def test_costs_a_million_times_the_utility_do_not_hide_the_utility(hurried, cheapest, seed):
    """λ multiplies what HiGHS may miss a row by: on these a worse selection was called optimal."""
    probs, utility, target = saturated(seed)
    optimum = cheapest(probs, utility, target, 1e6, 3, range(10))
    problem = ClassBalanced(probs, utility, 3, balance=1e6, target=target)
    with hurried():
        solution = solve(problem, "exact", options={"node_limit": 0}, **STRICT)
    assert solution.objective == pytest.approx(optimum, abs=1e-6)
    assert solution.bound <= optimum + 1e-8


def claiming(status, bound):
    """Return a stand-in for HiGHS that claims a status and a bound, and has no answer."""

    def claims(model, **arguments):
        return MipResult(status, None, None, bound, None, 0, 0.0, None)

    return claims


def test_optimal_is_not_claimed_on_the_word_of_highs(monkeypatch, long_tail):
    """HiGHS would call optimal, within its tolerances, what is far from the bound it proves."""
    monkeypatch.setattr(tree, "solve_model", claiming(MipStatus.OPTIMAL, -1e6))
    problem = long_tail(300, 10, 40)
    solution = solve(problem, "exact", options={"node_limit": 0}, time_limit=2, gap_tol=0)
    assert solution.gap > 1e-6
    assert solution.status is Status.FEASIBLE


@pytest.mark.parametrize(("claimed", "proven"), [(0.0, -1e-6), (-0.5, -0.500001), (-50, -50.00005)])
def test_the_bound_of_highs_is_lowered_by_its_tolerances(monkeypatch, claimed, proven):
    """A bound of 0 would be lowered by nothing, if only by a share of itself."""
    proofs = []
    monkeypatch.setattr(tree, "solve_model", claiming(MipStatus.TIME, claimed))
    monkeypatch.setattr(tree, "prove_by_search", lambda _, bound, *__: proofs.append(bound))
    rng = np.random.default_rng(0)
    problem = ClassBalanced(rng.dirichlet(np.ones(3), 40), 1 + rng.random(40), 10, target=[20] * 3)
    search = Search(problem=problem, clock=Clock(), gap_tol=0, abs_gap_tol=0)
    dual, ranking = relax(search)
    part = branching._part(search, ranking)
    assert not tree.Branching(search, part, dual.multipliers).run()
    assert proofs == [pytest.approx(proven, rel=1e-12)]


def test_coefficients_that_highs_drops_do_not_lift_the_bound():
    """HiGHS takes 1e-9 for 0: what such probabilities save would be missing from the bound."""
    classes = 60
    tiny = np.full(classes, 9e-10)
    tiny[0] = 1.0
    probs = np.array([tiny, tiny, np.eye(classes)[0]])
    probs /= probs.sum(axis=1, keepdims=True)
    target = probs[:2].sum(axis=0)
    utility = np.array([0.0, 0.0, 1e-3])
    problem = ClassBalanced(probs, utility, 2, balance=1e6, target=target)
    solution = solve(problem, "exact", options={"node_limit": 0}, **STRICT)
    assert problem.evaluate([0, 1]).objective == pytest.approx(0.0, abs=1e-6)
    assert solution.bound <= 1e-9


def test_a_target_far_out_of_reach_still_gives_a_valid_bound(cheapest):
    """Rounding grows with Ω: the bound would exceed the optimum by the rounding of large terms."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        probs, utility = rng.dirichlet(np.ones(3), size=9), rng.random(9)
        target = rng.random(3) * 1e9
        optimum = cheapest(probs, utility, target, 0.7, 4, range(9))
        problem = ClassBalanced(probs, utility, 4, balance=0.7, target=target)
        solution = solve(problem, "exact", **STRICT)
        assert solution.status is Status.OPTIMAL
        assert solution.objective == pytest.approx(optimum, rel=1e-14)
        assert solution.bound < solution.objective


def test_enumeration_alone_proves_the_optimum_from_any_multipliers(cheapest):
    """A cut that cuts too much would stay hidden where the relaxation is tight already."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        classes = int(rng.integers(1, 5))
        probs = rng.dirichlet(np.full(classes, rng.choice([0.1, 1.0])), size=11)
        utility, target = rng.integers(0, 4, 11) / 4, rng.random(classes) * 3
        include = rng.choice(11, int(rng.integers(0, 3)), replace=False)
        problem = ClassBalanced(
            probs, utility, 4, balance=0.8, target=target, constraints=[Include(include)]
        )
        search = Search(problem=problem, clock=Clock())
        search.offer(problem.top_rows())
        multipliers = rng.uniform(-0.8, 0.8, classes) * rng.integers(0, 2)
        slack = enumerate_cheapest(search, multipliers, 10**6)
        optimum = cheapest(probs, utility, target, 0.8, 4, range(11), tuple(include))
        assert search.best.objective == pytest.approx(optimum, abs=1e-12)
        assert 0 < slack < 1e-10


@pytest.mark.parametrize("budget", [1, 4, 10])
def test_enumeration_finds_what_is_only_just_better(price, budget):
    """A cut that cuts a little too much would call the second best selection optimal."""
    chosen = np.array(list(combinations(range(11), budget)))
    for seed in range(40):
        rng = np.random.default_rng(seed)
        probs, utility = rng.dirichlet(np.full(3, 0.5), size=11), rng.random(11)
        target = rng.random(3) * budget
        values = price(probs, utility, target, 0.8, chosen)
        best, second = np.argsort(values)[:2]
        problem = ClassBalanced(probs, utility, budget, balance=0.8, target=target)
        search = Search(problem=problem, clock=Clock())
        search.offer(chosen[second])
        enumerate_cheapest(search, lp_multipliers(probs, utility, target, 0.8, budget), 10**6)
        np.testing.assert_array_equal(search.rows, chosen[best])


def lp_multipliers(probs, utility, target, balance, budget):
    """Return the duals of the class rows of the LP relaxation, by SciPy."""
    size, classes = probs.shape
    eye = np.eye(classes)
    result = linprog(
        np.concatenate([-utility, np.full(2 * classes, balance)]),
        A_eq=np.vstack(
            [np.hstack([probs.T, eye, -eye]), np.r_[np.ones(size), np.zeros(2 * classes)]]
        ),
        b_eq=np.r_[target, budget],
        bounds=[(0, 1)] * size + [(0, None)] * 2 * classes,
    )
    return np.clip(result.eqlin.marginals[:classes], -balance, balance)


def test_enumeration_gives_up_at_its_limit_and_says_so():
    """A tree that was not walked to its end would count as a proof."""
    rng = np.random.default_rng(0)
    problem = ClassBalanced(rng.dirichlet(np.ones(3), 30), rng.random(30), 10)
    search = Search(problem=problem, clock=Clock())
    search.offer(problem.top_rows())
    assert enumerate_cheapest(search, np.zeros(3), 50) is None
    assert search.info["nodes"] == 51


@pytest.mark.parametrize(
    ("size", "classes", "budget", "balance"),
    [(60, 5, 12, 1.0), (50, 3, 10, 0.2), (40, 4, 39, 2.0), (60, 2, 5, 20.0), (30, 1, 6, 1.0)],
)
def test_exact_agrees_with_the_cvxpy_model(size, classes, budget, balance):
    """The formulation that users extend and the one that is solved would be two problems."""
    rng = np.random.default_rng(size + classes)
    problem = ClassBalanced(
        rng.dirichlet(np.full(classes, 0.4), size=size),
        rng.random(size),
        budget,
        balance=balance,
        target=np.full(classes, budget / classes),
        labeled=[3],
        constraints=[] if budget == 39 else [Include([7]), Forbid([8, 9])],
    )
    model = problem.to_cvxpy()
    model.solve(solver=cp.HIGHS)
    solution = solve(problem, "exact", time_limit=30, gap_tol=1e-9)
    assert solution.status is Status.OPTIMAL
    assert solution.objective == pytest.approx(model.value, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("options", [{}, {"node_limit": 0}])
def test_no_selection_beats_the_bound(long_tail, price, options):
    """A bound that random or improved selections beat is no bound."""
    problem = long_tail(400, 8, 40, balance=0.5)
    solution = solve(problem, "exact", time_limit=1.5, options=options)
    probs, utility = problem.probs.take(np.arange(400)), np.asarray(problem.utility)
    rng = np.random.default_rng(0)
    best = solution.objective
    chosen = np.array([rng.choice(400, 40, replace=False) for _ in range(3000)])
    chosen[::2] = [rng.permutation(np.argsort(-utility)[:60])[:40] for _ in range(1500)]
    assert price(probs, utility, problem.target, 0.5, chosen).min() >= solution.bound
    for start in [*chosen[:20], solution.indices]:
        here = start.copy()
        value = float(price(probs, utility, problem.target, 0.5, here))
        for _ in range(100):
            out, into = rng.integers(40, size=100), rng.integers(400, size=100)
            fresh = ~np.isin(into, here)
            swapped = np.repeat(here[None], fresh.sum(), axis=0)
            swapped[np.arange(fresh.sum()), out[fresh]] = into[fresh]
            values = price(probs, utility, problem.target, 0.5, swapped)
            if values.min() < value:
                here, value = swapped[values.argmin()], float(values.min())
        best = min(best, value)
    assert solution.bound <= best + 1e-12
    # The attack is worth something: it comes close to what it may not pass.
    assert best - solution.bound <= 0.02 * abs(best)
    if solution.status is Status.OPTIMAL:
        assert best >= solution.objective - 1e-4 * abs(best)


@pytest.mark.parametrize("options", [{}, {"node_limit": 0}])
def test_same_seed_same_rows(long_tail, options):
    """An answer that changes from run to run cannot be reproduced."""
    problem = long_tail(120, 4, 12, balance=0.5, seed=3)
    runs = [solve(problem, "exact", seed=5, options=options) for _ in range(2)]
    assert runs[0].stopped_by is not StoppedBy.TIME
    np.testing.assert_array_equal(runs[0].indices, runs[1].indices)
    assert runs[0].bound == runs[1].bound


@pytest.mark.parametrize("value", ["many", -1, float("nan"), None, True])
def test_a_node_limit_that_is_no_number_is_refused(long_tail, value):
    """A typo would end the run with an error of Python's, after minutes of work."""
    with pytest.raises(ValueError, match="options: node_limit"):
        solve(long_tail(10, 2, 2), "exact", options={"node_limit": value})


@pytest.mark.parametrize("limit", [np.inf, np.nan, -1, 1.5])
def test_a_node_limit_is_a_whole_number(long_tail, limit):
    """Infinity would end in an OverflowError, and one and a half be taken for one."""
    with pytest.raises(InvalidInput, match="node_limit must be a whole number"):
        solve(long_tail(30, 3, 4), "exact", options={"node_limit": limit})
