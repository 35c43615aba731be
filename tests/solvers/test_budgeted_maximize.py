"""The largest utility under constraints: against all subsets, and against a MIP."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from labelcut import (
    BudgetedSelection,
    ClassBalanced,
    Cost,
    ExpectedCount,
    Forbid,
    GroupLimit,
    Include,
    InfeasibleSelection,
    InvalidInput,
    KCenter,
    Spacing,
)
from labelcut.problems.pricing import utility_bound
from labelcut.solvers._clock import Clock
from labelcut.solvers.budgeted import merging, structure
from labelcut.solvers.budgeted.maximizing import maximize

QUARTERS = st.integers(-12, 12).map(lambda value: value / 4)
"""Numbers that float64 adds without rounding."""
TENTHS = st.integers(-12, 12).map(lambda value: value / 10)
"""Numbers that it does not."""


@st.composite
def utilities(draw, size):
    """Return counts with many ties, or numbers that rounding keeps apart from their ties."""
    numbers = draw(st.sampled_from([st.integers(-2, 3), QUARTERS, TENTHS, st.floats(-3, 3)]))
    return np.array(draw(st.lists(numbers, min_size=size, max_size=size)), dtype=float)


@st.composite
def group_limits(draw, groups):
    """Return limits on both sides of some groups."""
    names = sorted(set(groups))
    most = draw(st.one_of(st.none(), st.integers(0, 4)))
    least = {
        name: draw(st.integers(0, min(groups.count(name), 2 if most is None else most)))
        for name in draw(st.lists(st.sampled_from(names), unique=True, min_size=most is None))
    }
    return GroupLimit(groups, at_most=most, at_least=least or None)


@st.composite
def constraints(draw, size):
    """Return a mixture of every kind of constraint."""
    labels = st.lists(st.integers(0, 3), min_size=size, max_size=size)
    positions = st.one_of(
        st.lists(st.integers(0, 15), min_size=size, max_size=size),
        st.lists(st.integers(0, 40).map(lambda at: at / 10), min_size=size, max_size=size),
    )
    costs = st.lists(st.integers(0, 30).map(lambda at: at / 10), min_size=size, max_size=size)
    rows = st.lists(st.integers(0, size - 1), unique=True, max_size=2)
    rules = []
    for _ in range(draw(st.integers(0, 2))):
        rules.append(draw(labels.flatmap(group_limits)))
    for _ in range(draw(st.integers(0, 2))):
        gap = draw(st.sampled_from([0, 1, 2, 0.3, 5]))
        rules.append(Spacing(draw(labels), draw(positions), gap))
    for _ in range(draw(st.integers(0, 2))):
        rules.append(Cost(draw(costs), draw(st.integers(0, 80)) / 10))
    if draw(st.booleans()):
        shares = np.array(draw(st.lists(st.integers(0, 10), min_size=size, max_size=size))) / 10
        probs = np.column_stack([shares, 1 - shares])
        side = draw(st.sampled_from(["at_least", "at_most"]))
        rules.append(ExpectedCount(probs, 0, **{side: draw(st.integers(0, 20)) / 10}))
    if draw(st.booleans()):
        rules += [Include(draw(rows)), Forbid(draw(rows))]
    return rules


@st.composite
def problems(draw):
    """Return problems of at most 12 rows that the constructor accepts, or None."""
    size = draw(st.integers(1, 12))
    budget = draw(st.one_of(st.none(), st.integers(1, max(size // 2, 1))))
    labeled = draw(st.lists(st.integers(0, size - 1), unique=True, max_size=2))
    try:
        return BudgetedSelection(
            draw(utilities(size)), budget, labeled=labeled, constraints=draw(constraints(size))
        )
    except InvalidInput:
        return None


def brute_force(problem):
    """Return the largest utility of all subsets that `check` accepts, None if it accepts none."""
    sizes = range(len(problem.candidates) + 1) if problem.budget is None else [problem.budget]
    best = None
    for rows in (rows for size in sizes for rows in combinations(problem.candidates, size)):
        chosen = np.array(rows, dtype=np.int64)
        try:
            problem.check(chosen)
        except InfeasibleSelection:
            continue
        value = float(problem.utility[chosen].sum())
        best = value if best is None else max(best, value)
    return best


def by_milp(problem):
    """Return the largest utility by SciPy's MIP solver on the constraints' linear rows, or None."""
    size = problem.dataset.size
    rules = [LinearConstraint(np.ones((1, size)), problem.budget, problem.budget)]
    for rule in problem.constraints:
        linear = rule.linear(problem.dataset)
        if len(linear.limits):
            rules.append(LinearConstraint(linear.matrix, -np.inf, linear.limits))
    found = milp(
        -problem.utility,
        constraints=rules,
        bounds=Bounds(0, problem.dataset.is_candidate.astype(float)),
        integrality=np.ones(size),
        options={"mip_rel_gap": 0},
    )
    return None if found.x is None else -found.fun


def assert_best(problem, expected, found):
    """Compare what was found with what is the truth."""
    assert found.complete
    assert found.infeasible == (expected is None)
    if expected is None:
        assert found.rows is None
        return
    problem.check(found.rows)
    tiny = 1e-9 * (1 + np.abs(problem.utility).sum())
    assert problem.evaluate(found.rows).objective == pytest.approx(expected, abs=tiny)
    assert found.bound >= expected - 1e-12
    proven = utility_bound(problem, problem.utility, found.prices)
    assert proven >= expected - 1e-12
    assert found.root == pytest.approx(proven, abs=tiny)


@settings(max_examples=60)
@given(problems())
def test_no_subset_is_better_and_none_fits_where_none_is_found(problem):
    """A selection called optimal would be beaten, or a bound be no bound."""
    if problem is not None:
        assert_best(problem, brute_force(problem), maximize(problem, problem.utility, Clock()))


@pytest.mark.slow
@settings(max_examples=1000)
@given(problems())
def test_no_subset_is_better_on_many_more(problem):
    """Rare mixtures would slip through the test above."""
    if problem is not None:
        assert_best(problem, brute_force(problem), maximize(problem, problem.utility, Clock()))


def nested(rng):
    """Return a problem with videos in cities, or None where it contradicts itself at once."""
    size, videos = int(rng.integers(5, 80)), int(rng.integers(1, 7))
    video = rng.integers(0, videos, size)
    whole = rng.random() < 0.5
    position = rng.integers(0, 30, size) if whole else rng.random(size) * 20
    labeled = rng.choice(size, rng.integers(0, 3), replace=False)
    utility = [
        rng.integers(-2, 5, size).astype(float),
        rng.normal(size=size),
        rng.integers(-20, 20, size) * 0.1,
    ][rng.integers(3)]
    rules = []
    if rng.random() < 0.8:
        rules.append(Spacing(video, position, float(rng.integers(0, 5))))
    for groups in (video, video // 2, video // 4):
        counts = np.bincount(groups)
        if rng.random() < 0.6:
            most = int(rng.integers(2, 8))
            few = {int(g): int(min(counts[g], 1)) for g in np.unique(groups) if rng.random() < 0.3}
            rules.append(GroupLimit(groups, at_most=most, at_least=few or None))
    rows = np.setdiff1d(np.arange(size), labeled)
    if rng.random() < 0.2:
        rules.append(Include(rng.choice(rows, 2, replace=False)))
    budget = int(rng.integers(1, min(len(rows), 25)))
    return BudgetedSelection(utility, budget, labeled=labeled, constraints=rules)


def assert_prices_alone(problem):
    """Compare with the MIP, and see that branch and bound was not needed."""
    expected = by_milp(problem)
    assert not len(structure.structure_of(problem, Clock()).crossing.limits)
    found = maximize(problem, problem.utility, Clock())
    assert_best(problem, expected, found)
    if expected is not None:
        assert found.bound == found.root == pytest.approx(expected, rel=1e-12, abs=1e-11)
    return expected is not None


def test_prices_alone_solve_nested_limits_and_spacing():
    """The tree's answer would differ from the MIP's, or its prices leave a gap."""
    rng = np.random.default_rng(0)
    solved = sum(assert_prices_alone(nested(rng)) for _ in range(150))
    assert solved > 40


@pytest.mark.slow
def test_prices_alone_solve_hundreds_more():
    """Rare trees would slip through the test above."""
    rng = np.random.default_rng(1)
    assert sum(assert_prices_alone(nested(rng)) for _ in range(800)) > 250


def crossed(rng):
    """Return a problem whose limits cross each other, with rows that must be in."""
    size = int(rng.integers(20, 60))
    video = np.arange(size) // 10
    rules = [
        Spacing(video, np.arange(size), int(rng.integers(0, 3))),
        Include(rng.choice(np.arange(5, size, 10), 2, replace=False)),
        Cost(rng.random(size) + 0.2, float(rng.uniform(2.0, 6.0))),
    ]
    if rng.random() < 0.5:
        rules.append(GroupLimit(rng.integers(0, 3, size), at_most=int(rng.integers(2, 5))))
    if rng.random() < 0.5:
        probs = rng.dirichlet(np.ones(3), size)
        rules.append(ExpectedCount(probs, [0, 1], at_least=[1.5, 1.0], at_most=[2.5, 9.0]))
    rules += [Cost(rng.random(size), 3.0)] * (rng.random() < 0.5)
    return BudgetedSelection(rng.random(size), int(rng.integers(3, 9)), constraints=rules)


@pytest.mark.slow
def test_crossing_limits_against_a_mip():
    """Rows would be decided by their reduced costs that a better answer turns around."""
    rng = np.random.default_rng(0)
    answers = 0
    for _ in range(30):
        problem = crossed(rng)
        expected = by_milp(problem)
        assert_best(problem, expected, maximize(problem, problem.utility, Clock()))
        answers += expected is not None
    assert answers > 15


@pytest.mark.parametrize("kind", ["counts", "tenths", "floats"])
def test_every_budget_up_to_all_that_fits(kind):
    """Rows that have to make room for one more would be missed, where prices fall below all."""
    rng = np.random.default_rng(3)
    size = 60
    utility = {
        "counts": rng.integers(0, 4, size).astype(float),
        "tenths": rng.integers(-9, 10, size) * 0.1,
        "floats": rng.normal(size=size) * 10.0 ** rng.integers(-3, 4, size),
    }[kind]
    position = np.sort(rng.random(size) * 30)
    fits = 0
    for budget in range(1, size):
        spacing = Spacing(np.arange(size) // 40, position, 1.0)
        problem = BudgetedSelection(utility, budget, constraints=[spacing])
        if not assert_prices_alone(problem):
            break
        fits = budget
    assert 10 < fits < size - 1


def test_included_rows_that_are_the_whole_budget():
    """Nothing left to choose would be an error instead of an answer."""
    rules = [Include([0, 5]), Spacing(None, np.arange(6), 2), GroupLimit([0, 0, 0, 1, 1, 1], 1)]
    problem = BudgetedSelection(-np.arange(6.0), 2, constraints=rules)
    found = maximize(problem, problem.utility, Clock())
    np.testing.assert_array_equal(found.rows, [0, 5])
    assert found.complete
    assert found.bound == pytest.approx(-5.0)


@pytest.mark.parametrize(
    "rules",
    [
        [Include([2, 3]), Spacing(None, np.arange(6), 1)],
        [Include([2]), Spacing(None, np.arange(6), 1), Forbid([2])],
        [Include([0, 1]), GroupLimit([0, 0, 1, 1, 1, 1], at_most=1)],
        [Include([5]), Cost(np.arange(6), 4)],
        [GroupLimit([0, 0, 1, 1, 1, 1], at_most=1)],
        [Spacing(None, np.arange(6), 2)],
        [Cost(np.ones(6), 2.5)],
        [ExpectedCount(np.full((6, 2), 0.5), 0, at_least=2)],
        [GroupLimit([0, 0, 0, 1, 1, 1], 2), GroupLimit([0, 1, 1, 1, 1, 1], at_most=1)],
    ],
)
def test_contradictions_are_found(rules):
    """A problem without an answer would be searched until the clock runs out."""
    problem = BudgetedSelection(np.arange(6.0), 3, constraints=rules)
    found = maximize(problem, problem.utility, Clock())
    assert found.infeasible
    assert found.complete
    assert found.rows is None


def test_other_problems_and_other_utilities():
    """Methods for other problems would need a second way to satisfy constraints."""
    rng = np.random.default_rng(0)
    rules = [GroupLimit(np.arange(30) // 5, at_most=1), Spacing(None, np.arange(30), 3)]
    probs, points = rng.dirichlet(np.ones(3), 30), rng.normal(size=(30, 2))
    for problem in (
        ClassBalanced(probs, rng.random(30), 4, constraints=rules),
        BudgetedSelection(rng.random(30), 4, constraints=rules),
    ):
        for _ in range(3):
            utility = rng.normal(size=30)
            found = maximize(problem, utility, Clock())
            same = BudgetedSelection(utility, 4, constraints=rules)
            assert utility[found.rows].sum() == pytest.approx(by_milp(same))
    plain = KCenter(points, 4)
    assert maximize(plain, np.arange(30.0), Clock()).rows.tolist() == [26, 27, 28, 29]


def test_the_structure_is_found_once():
    """Hundreds of calls with other utilities would each sort and compare all groups again."""
    problem = nested(np.random.default_rng(5))
    first = structure.structure_of(problem, Clock())
    assert structure.structure_of(problem, Clock()) is first


def test_ties_go_to_the_lowest_row_or_to_chance():
    """A result would depend on the order of units, or chance always take the same rows."""
    problem = BudgetedSelection(np.ones(20), 3)
    found = maximize(problem, problem.utility, Clock())
    np.testing.assert_array_equal(found.rows, [0, 1, 2])
    spacing = Spacing(np.arange(20) // 10, np.arange(20), 1)
    for rules in ([], [spacing], [GroupLimit(np.arange(20) // 10, at_most=2), spacing]):
        problem = BudgetedSelection(np.ones(20), 3, constraints=rules)
        seen = set()
        for seed in range(30):
            rows = maximize(problem, problem.utility, Clock(), seed=seed, shuffle=True).rows
            again = maximize(problem, problem.utility, Clock(), seed=seed, shuffle=True).rows
            np.testing.assert_array_equal(rows, again)
            problem.check(rows)
            seen |= set(rows.tolist())
        assert len(seen) > 15


def test_chance_decides_only_between_equals():
    """Ties broken at random would cost utility."""
    rng = np.random.default_rng(9)
    for seed in range(60):
        problem = nested(rng)
        plain = maximize(problem, problem.utility, Clock())
        shuffled = maximize(problem, problem.utility, Clock(), seed=seed, shuffle=True)
        assert plain.infeasible == shuffled.infeasible
        if not plain.infeasible:
            problem.check(shuffled.rows)
            values = (problem.evaluate(found.rows).objective for found in (plain, shuffled))
            assert next(values) == pytest.approx(next(values), abs=1e-11)


def test_merging_is_cheap_to_repeat(monkeypatch):
    """Pricing through the tree hundreds of times would take longer than all else."""
    rng = np.random.default_rng(0)
    video = np.sort(rng.integers(0, 100, 10_000))
    rules = [Spacing(video, np.arange(10_000), 3), GroupLimit(video, at_most=5)]
    problem = BudgetedSelection(rng.random(10_000), 300, constraints=rules)
    looks = []
    original = merging.LOOPS.run

    def counting(clock, name, *arguments):
        if name == "count":
            looks.append(name)
        original(clock, name, *arguments)

    monkeypatch.setattr(merging.LOOPS, "run", counting)
    for _ in range(3):
        maximize(problem, rng.random(10_000), Clock())
    assert 0 < len(looks) < 3 * 60


def test_utilities_beyond_whole_numbers_end():
    """Floats above 2**53 have no whole number next to them, and the search for a price no end."""
    rng = np.random.default_rng(0)
    rules = [Spacing(None, np.arange(60), 2), GroupLimit(np.zeros(60, dtype=int), at_most=20)]
    utility = rng.random(60) * 1e200
    for budget in (5, 20):
        problem = BudgetedSelection(utility, budget, constraints=rules)
        found = maximize(problem, utility, Clock(20.0))
        assert found.complete
        scaled = BudgetedSelection(utility / 1e200, budget, constraints=rules)
        assert utility[found.rows].sum() / 1e200 == pytest.approx(by_milp(scaled), rel=1e-12)
