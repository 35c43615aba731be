"""Class balance under every mixture of constraints: brute force, CVXPY, attacks on the bound."""

import tracemalloc
from dataclasses import replace
from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import (
    ClassBalanced,
    Cost,
    ExpectedCount,
    Forbid,
    GroupLimit,
    Include,
    InfeasibleSelection,
    Spacing,
    check,
    solve,
)
from labelcut.problems.base import Status
from labelcut.solvers._clock import Clock
from labelcut.solvers.class_balanced.conic import PricedLimits
from labelcut.solvers.class_balanced.limited import relax_limited
from labelcut.solvers.class_balanced.model import Part, constraint_rows
from labelcut.solvers.class_balanced.sifting import turn
from labelcut.solvers.search import Search

STRICT = {"gap_tol": 0, "abs_gap_tol": 0}
DISTANCES = ("l1", "l2", "squared-l2", "wasserstein")
OTHERS = ("relaxed", "greedy", "pseudo-label", "top", "random")


@st.composite
def mixtures(draw):
    """Return plain arrays, and constraints with what each means for a selection as a function."""
    size, classes = draw(st.integers(5, 11)), draw(st.integers(2, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    budget = draw(st.integers(2, min(5, size - 1)))
    labeled = rng.choice(size, draw(st.integers(0, 1)), replace=False)
    is_candidate = ~np.isin(np.arange(size), labeled)
    arrays = {
        "probs": rng.dirichlet(np.full(classes, draw(st.sampled_from([0.2, 1.0]))), size),
        "utility": draw(st.sampled_from([rng.normal(size=size), rng.integers(0, 3, size) / 2])),
        "budget": budget,
        "balance": draw(st.sampled_from([0.0, 0.1, 1.0, 5.0])),
        "target": rng.random(classes) * budget,
        "distance": draw(st.sampled_from(DISTANCES)),
        "labeled": labeled,
    }
    kinds = draw(
        st.lists(
            st.sampled_from(["cost", "group", "group", "spacing", "expected", "include", "forbid"]),
            min_size=1,
            max_size=4,
        )
    )
    kinds = [kind for at, kind in enumerate(kinds) if kind != "forbid" or kind not in kinds[:at]]
    rules = [RULES[kind](rng, size, is_candidate, budget) for kind in kinds]
    return arrays, [rule for rule, _ in rules], [holds for _, holds in rules]


def cost(rng, size, is_candidate, budget):
    """Return a Cost, in whole numbers or not, and what it means."""
    costs = rng.integers(0, 5, size).astype(float) + rng.integers(0, 2) * rng.random(size)
    limit = float(np.sort(costs)[:budget].sum() + rng.integers(0, 5))
    return Cost(costs, limit), lambda rows: costs[rows].sum() <= limit * (1 + 1e-9)


def group(rng, size, is_candidate, budget):
    """Return a GroupLimit with both sides, and what it means."""
    codes = rng.integers(0, 3, size)
    most, least = int(rng.integers(1, 4)), int(rng.integers(0, 3))
    sizes = np.bincount(codes, minlength=3)
    at = int(codes[rng.integers(size)])
    least = min(least, most, int(sizes[at]))

    def holds(rows):
        counts = np.bincount(codes[rows], minlength=3)
        return (counts <= most).all() and counts[at] >= least

    return GroupLimit(codes, at_most=most, at_least={at: least}), holds


def spacing(rng, size, is_candidate, budget):
    """Return a Spacing, with equal positions and labeled rows, and what it means."""
    sequence, within = rng.integers(0, 2, size), float(rng.choice([0, 1, 1.5]))
    position = rng.permutation(size) // rng.integers(1, 3) + rng.choice([0.0, 0.25])

    def holds(rows):
        every = [*rows, *np.flatnonzero(~is_candidate)]
        return not any(
            sequence[i] == sequence[j]
            and abs(position[i] - position[j]) <= within
            and (is_candidate[i] or is_candidate[j])
            for i, j in combinations(every, 2)
        )

    return Spacing(sequence, position, within), holds


def expected(rng, size, is_candidate, budget):
    """Return a tight ExpectedCount, and what it means."""
    probs = rng.dirichlet(np.ones(3), size)
    some = rng.choice(np.flatnonzero(is_candidate), budget, replace=False)
    middle = probs[some].sum(axis=0)[1]
    least, most = 0.9 * middle, 1.1 * middle

    def holds(rows):
        count = probs[rows].sum(axis=0)[1]
        return least * (1 - 1e-9) <= count <= most * (1 + 1e-9)

    return ExpectedCount(probs, 1, at_most=most, at_least=least), holds


def include(rng, size, is_candidate, budget):
    """Return an Include, and what it means."""
    rows = rng.choice(np.flatnonzero(is_candidate), int(rng.integers(0, 3)), replace=False)
    return Include(rows), lambda chosen: set(rows) <= set(chosen)


def forbid(rng, size, is_candidate, budget):
    """Return a Forbid, and what it means."""
    spare = int(is_candidate.sum()) - budget
    rows = rng.choice(np.flatnonzero(is_candidate), min(spare // 2, 2), replace=False)
    return Forbid(rows), lambda chosen: not set(rows) & set(chosen)


RULES = {
    "cost": cost,
    "group": group,
    "spacing": spacing,
    "expected": expected,
    "include": include,
    "forbid": forbid,
}


def state(arrays, rules):
    """Return the problem, with a ground cost where one is needed."""
    classes = arrays["probs"].shape[1]
    ground_cost = np.abs(np.subtract.outer(np.arange(classes), np.arange(classes))).astype(float)
    more = {"ground_cost": ground_cost} if arrays["distance"] == "wasserstein" else {}
    return ClassBalanced(**arrays, **more, constraints=rules)


def values_of(problem, arrays, tests):
    """Return the objective of every selection that satisfies all constraints."""
    allowed = np.setdiff1d(np.arange(len(arrays["utility"])), arrays["labeled"])
    chosen = [
        rows
        for rows in map(list, combinations(allowed.tolist(), arrays["budget"]))
        if all(holds(np.array(rows)) for holds in tests)
    ]
    return {tuple(rows): value(problem, arrays, rows) for rows in chosen}


def value(problem, arrays, rows):
    """Return eq. 4.8 from its formula; Wasserstein on a line of classes has a closed form."""
    shortfall = problem.target - arrays["probs"][rows].sum(axis=0)
    distance = {
        "l1": lambda: np.abs(shortfall).sum(),
        "l2": lambda: np.sqrt((shortfall**2).sum()),
        "squared-l2": lambda: (shortfall**2).sum(),
        "wasserstein": lambda: np.abs(np.cumsum(shortfall)[:-1]).sum(),
    }[arrays["distance"]]()
    return -arrays["utility"][rows].sum() + arrays["balance"] * distance


@settings(max_examples=20)
@given(mixtures())
def test_exact_is_the_optimum_over_all_selections_that_satisfy_everything(mixture):
    """A worse selection would be called optimal, a bound exceed it, or a constraint be broken."""
    arrays, rules, tests = mixture
    problem = state(arrays, rules)
    values = values_of(problem, arrays, tests)
    solution = solve(problem, "exact", **STRICT)
    if not values:
        assert solution.status is Status.INFEASIBLE
        return
    optimum = min(values.values())
    scale = max(1.0, abs(optimum))
    assert solution.status is Status.OPTIMAL
    assert tuple(solution.indices.tolist()) in values
    assert solution.objective == pytest.approx(optimum, abs=1e-6 * scale)
    assert solution.bound <= optimum + 1e-9 * scale
    assert solution.bound == pytest.approx(optimum, abs=3e-6 * scale)
    check(problem, solution)


@settings(max_examples=20)
@given(mixtures())
@pytest.mark.slow
def test_every_other_method_satisfies_everything_and_its_bound_holds(mixture):
    """A baseline would break a constraint, give up where rows exist, or prove too much."""
    arrays, rules, tests = mixture
    problem = state(arrays, rules)
    values = values_of(problem, arrays, tests)
    for method in OTHERS:
        if method == "greedy" and arrays["distance"] == "wasserstein":
            continue
        solution = solve(problem, method, **STRICT)
        if not values:
            assert solution.status is Status.INFEASIBLE, method
            continue
        assert tuple(solution.indices.tolist()) in values, method
        if solution.bound is not None:
            optimum = min(values.values())
            assert solution.bound <= optimum + 1e-9 * max(1.0, abs(optimum))
        check(problem, solution)


@pytest.mark.parametrize("seed", range(8))
def test_turning_a_row_around_costs_what_is_said(seed):
    """A row would be called decided that a better selection turns around."""
    rng = np.random.default_rng(seed)
    clip, frame = np.arange(11) // 7, rng.permutation(11)
    rules = [Spacing(clip, frame, 2), GroupLimit(rng.integers(0, 2, 11), at_most=2)]
    problem = ClassBalanced(rng.dirichlet(np.ones(3), 11), rng.random(11), 3, constraints=rules)
    search = Search(problem=problem, clock=Clock(), gap_tol=0)
    turning = relax_limited(search, PricedLimits(problem))
    relaxed = turning.relaxed
    worth = problem.utility + problem.probs.dot(relaxed.multipliers)
    # Other prices than the best ones, where more rows would be taken, and no ties.
    prices = replace(relaxed.prices, budget=relaxed.prices.budget - 0.2 * rng.random())
    turning = turn(search, turning.limits, replace(relaxed, prices=prices), 0.0)
    weights = turning.limits.residual(worth, prices)
    sets = [
        rows
        for rows in chain.from_iterable(combinations(range(11), size) for size in range(7))
        if accepts(problem.constraints[0], rows, problem)
    ]
    totals = np.array([weights[list(rows)].sum() for rows in sets])
    for row, is_taken, cost in zip(turning.rows, turning.is_taken, turning.costs, strict=True):
        turned = [
            total for total, rows in zip(totals, sets, strict=True) if (row in rows) != is_taken
        ]
        assert cost == pytest.approx(totals.max() - max(turned), abs=1e-12)
    assert tuple(np.sort(turning.rows[turning.is_taken]).tolist()) == tuple(
        sorted(sets[totals.argmax()])
    )


def accepts(rule, rows, problem):
    """Return whether a constraint accepts some rows."""
    try:
        rule.check(np.array(rows, dtype=np.int64), problem.dataset)
    except InfeasibleSelection:
        return False
    return True


def test_a_problem_with_a_single_selection_is_solved():
    """Where nothing is left to choose there is no relaxation to solve."""
    probs, utility = np.eye(3)[[0, 1, 2, 0]], np.arange(4.0)
    one_each = GroupLimit([0, 0, 1, 1], at_most=1, at_least=1)
    for rules in ([one_each, Include([1, 2])], [one_each, Forbid([0, 3])]):
        problem = ClassBalanced(probs, utility, 2, constraints=rules)
        solution = solve(problem, "exact", gap_tol=0)
        np.testing.assert_array_equal(solution.indices, [1, 2])
        assert solution.status is Status.OPTIMAL


def test_branch_and_bound_on_few_rows_does_not_list_the_windows_of_all():
    """Wide windows of all rows are quadratic in them: 20,000 took 2 GB that no forecast had."""
    size = 3000
    spacing = Spacing(None, np.arange(size), 1000)
    problem = ClassBalanced(np.ones((size, 1)), np.zeros(size), 3, constraints=[spacing])
    part = Part(np.array([0, 900, 1800, 2500]), np.array([1000]))
    tracemalloc.start()
    limits = constraint_rows(problem, part)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1000 * size
    # Row 1000 is taken: it excludes all others but the last.
    fits = [
        rows
        for count in range(5)
        for rows in combinations(range(4), count)
        if (limits.matrix[:, list(rows)].sum(axis=1) <= limits.limits).all()
    ]
    assert fits == [(), (3,)]
