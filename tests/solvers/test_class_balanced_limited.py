"""Class balance under every mixture of constraints: brute force, CVXPY, attacks on the bound."""

from itertools import combinations

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
    Spacing,
    check,
    solve,
)
from labelcut.problems.base import Status

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
    rules = [RULES[kind](rng, size, is_candidate, budget) for kind in kinds]
    return arrays, [rule for rule, _ in rules], [holds for _, holds in rules]


def cost(rng, size, is_candidate, budget):
    costs = rng.integers(0, 5, size).astype(float) + rng.integers(0, 2) * rng.random(size)
    limit = float(np.sort(costs)[:budget].sum() + rng.integers(0, 5))
    return Cost(costs, limit), lambda rows: costs[rows].sum() <= limit * (1 + 1e-9)


def group(rng, size, is_candidate, budget):
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
    probs = rng.dirichlet(np.ones(3), size)
    some = rng.choice(np.flatnonzero(is_candidate), budget, replace=False)
    middle = probs[some].sum(axis=0)[1]
    least, most = 0.9 * middle, 1.1 * middle

    def holds(rows):
        count = probs[rows].sum(axis=0)[1]
        return least * (1 - 1e-9) <= count <= most * (1 + 1e-9)

    return ExpectedCount(probs, 1, at_most=most, at_least=least), holds


def include(rng, size, is_candidate, budget):
    rows = rng.choice(np.flatnonzero(is_candidate), int(rng.integers(0, 3)), replace=False)
    return Include(rows), lambda chosen: set(rows) <= set(chosen)


def forbid(rng, size, is_candidate, budget):
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


@settings(max_examples=60)
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


@settings(max_examples=60)
@given(mixtures())
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
