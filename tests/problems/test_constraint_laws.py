"""Constraints in random mixtures: whoever asks is told the same, and it is what the words say."""

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import BudgetedSelection, ExpectedCount, GroupLimit, InfeasibleSelection, Spacing
from labelcut.problems.constraints import Growth

SEEDS = st.integers(0, 10**6)


def accepts(rule, rows, dataset):
    """Whether a constraint's checker accepts a set of rows."""
    try:
        rule.check(np.array(sorted(rows), dtype=np.int64), dataset)
    except InfeasibleSelection:
        return False
    return True


@settings(max_examples=60)
@given(seed=SEEDS)
def test_check_and_linear_rows_are_what_the_words_say(mixture, seed):
    """An exact solver would optimize over other selections than the checker accepts."""
    drawn = mixture(seed, size=7)
    dataset = drawn.problem.dataset
    for rule, law in zip(drawn.problem.constraints, drawn.laws, strict=True):
        linear = rule.linear(dataset)
        assert linear.matrix.shape == (len(linear.limits), dataset.size)
        for rows in drawn.subsets():
            z = np.isin(np.arange(dataset.size), rows).astype(float)
            fits = bool((linear.matrix @ z <= linear.limits).all())
            assert fits == accepts(rule, rows, dataset) == law(set(rows)), (rule.title, rows)


@settings(max_examples=60)
@given(seed=SEEDS)
def test_the_whole_problem_accepts_what_each_constraint_does(mixture, seed):
    """A solver's answer would be refused, or a wrong one returned."""
    drawn = mixture(seed, size=7)
    feasible = set(drawn.feasible())
    for rows in drawn.subsets():
        try:
            drawn.problem.check(list(rows))
        except InfeasibleSelection:
            assert rows not in feasible
        else:
            assert rows in feasible


def can_grow(rule, rows, dataset):
    """Whether a set of rows or some set that holds it may satisfy a constraint, by check alone."""
    rest = np.setdiff1d(dataset.candidates, rows).tolist()
    more = chain.from_iterable(combinations(rest, size) for size in range(len(rest) + 1))
    return any(accepts(rule, [*rows, *extra], dataset) for extra in more)


@settings(max_examples=60)
@given(seed=SEEDS)
def test_a_guard_closes_exactly_what_breaks_a_limit(mixture, seed):
    """Greedy methods would build what is refused, or leave out what may be taken."""
    drawn = mixture(seed, size=7)
    dataset = drawn.problem.dataset
    order = np.random.default_rng(seed).permutation(dataset.candidates)
    for rule in drawn.problem.constraints:
        guard, closed = rule.guard(dataset), None
        closed = guard.closed.copy()
        taken = []
        assert rule.guard(dataset).closed is not guard.closed
        while True:
            left = [int(row) for row in order if row not in taken]
            for row in left:
                try:
                    rule.check_growing(np.array(sorted([*taken, row])), dataset)
                    breaks = False
                except InfeasibleSelection:
                    breaks = True
                assert closed[row] == breaks, (rule.title, taken, row)
            still = [row for row in left if not closed[row]]
            if not still:
                break
            closed[guard.add(still[0])] = True
            taken.append(still[0])


@settings(max_examples=60)
@given(seed=SEEDS)
def test_growing_rows_are_refused_exactly_where_nothing_can_save_them(mixture, seed):
    """Included rows would be called a contradiction that are none, or none that are one."""
    drawn = mixture(seed, size=6)
    dataset = drawn.problem.dataset
    for rule in drawn.problem.constraints:
        possible = can_grow(rule, [], dataset)
        for rows in drawn.subsets():
            try:
                rule.check_growing(np.array(rows, dtype=np.int64), dataset)
            except InfeasibleSelection:
                assert not can_grow(rule, list(rows), dataset), (rule.title, rows)
            else:
                # What a constraint lacks, such as members of a group, is not the rows' fault.
                lower_only = not possible or isinstance(rule, GroupLimit | ExpectedCount)
                assert lower_only or can_grow(rule, list(rows), dataset), (rule.title, rows)


@settings(max_examples=60)
@given(seed=SEEDS)
def test_a_guard_never_asks_for_more_rows_than_it_takes(mixture, seed):
    """Greedy methods would close rows that could still be taken."""
    drawn = mixture(seed, size=7)
    dataset = drawn.problem.dataset
    order = np.random.default_rng(seed).permutation(dataset.candidates).tolist()
    for rule in drawn.problem.constraints:
        if not isinstance(rule, GroupLimit | ExpectedCount):
            assert rule.guard(dataset).needs() == 0
            continue
        guard, taken = rule.guard(dataset), []
        for row in [None, *order[:3]]:
            if row is not None:
                guard.add(row)
                taken.append(row)
            rest = [row for row in order if row not in taken]
            enough = [
                size
                for size in range(len(rest) + 1)
                for extra in combinations(rest, size)
                if satisfied(rule, [*taken, *extra], dataset)
            ]
            if enough:
                assert guard.needs() <= min(enough)
                assert (guard.needs() == 0) == (min(enough) == 0)
                if isinstance(rule, GroupLimit):
                    assert guard.needs() == min(enough)


def satisfied(rule, rows, dataset):
    """Whether a set of rows reaches every smallest count of a constraint."""
    counts = (
        np.bincount(rule.labels.codes[rows], minlength=len(rule.lower))
        if isinstance(rule, GroupLimit)
        else rule.columns[rows].sum(axis=0)
    )
    return bool((counts >= rule.lower - 1e-9).all())


@settings(max_examples=80)
@given(seed=SEEDS)
def test_free_rows_are_those_that_the_included_ones_leave_open(mixture, seed):
    """Solvers would decide on rows that no answer can hold, or miss some that one can."""
    drawn = mixture(seed)
    feasible = drawn.feasible()
    problem = drawn.problem
    if not feasible:
        return
    included = set(problem.included.tolist())
    used = set().union(*map(set, feasible))
    assert included <= set.intersection(*map(set, feasible))
    assert used - included <= set(problem.free.tolist()) <= set(problem.selectable.tolist())
    assert not included & set(problem.free.tolist())
    assert problem.budget is None or problem.to_choose == problem.budget - len(included)


@settings(max_examples=80)
@given(seed=SEEDS)
def test_allowed_rows_under_quotas_alone_never_run_into_a_dead_end(mixture, seed):
    """A selection would grow until a quota could no longer be met."""
    del mixture
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 4, 9)
    counts = np.bincount(groups, minlength=4)
    lower = {int(g): int(rng.integers(0, counts[g] + 1)) for g in np.unique(groups)}
    least = sum(lower.values())
    budget = int(rng.integers(max(least, 1), 10))
    problem = BudgetedSelection(
        np.zeros(9), budget, constraints=[GroupLimit(groups, at_least=lower)]
    )
    growth, taken = problem.grow(), 0
    for row in rng.permutation(9):
        if taken < budget and growth.allows(int(row), budget - taken):
            growth.add(int(row))
            taken += 1
    assert (taken, growth.needs()) == (budget, 0)
    growth = Growth(problem.constraints, problem.dataset)
    many = growth.allows(np.arange(9), budget)
    assert many.tolist() == [bool(growth.allows(row, budget)) for row in range(9)]


@settings(max_examples=12)
@given(seed=SEEDS)
def test_the_cvxpy_model_has_the_best_selection_as_its_optimum(mixture, seed):
    """Users would extend, and tests trust, another problem."""
    drawn = mixture(seed)
    problem = drawn.problem
    values = [float(sum(problem.utility[list(rows)])) for rows in drawn.feasible()]
    model = problem.to_cvxpy()
    model.solve(solver="HIGHS")
    if values:
        assert model.value == pytest.approx(max(values), abs=1e-6)
    else:
        assert model.status in ("infeasible", "infeasible_or_unbounded")


def test_float_positions_are_compared_as_computed():
    """Seconds such as 0.3 - 0.2 <= 0.1 would be told apart by one and not by another."""
    seconds = np.arange(8) * 0.1
    spacing = Spacing(None, seconds, 0.1)
    problem = BudgetedSelection(np.zeros(8), 2, constraints=[spacing])
    (rule,) = problem.constraints
    matrix, limits = rule.linear(problem.dataset).matrix, rule.linear(problem.dataset).limits
    kept = []
    for one, other in combinations(range(8), 2):
        fits = not seconds[other] - seconds[one] <= 0.1
        z = np.isin(np.arange(8), (one, other)).astype(float)
        guard = rule.guard(problem.dataset)
        closed = guard.add(one)
        assert accepts(rule, (one, other), problem.dataset) is fits
        assert bool((matrix @ z <= limits).all()) is fits
        assert (other not in closed) is fits
        kept.append(fits and other == one + 1)
    assert any(kept)  # 0.3 and 0.4 are, in float64, more than 0.1 apart
    assert not all(kept)


@pytest.mark.parametrize("kind", ["i", "f"])
def test_unsorted_and_duplicate_positions_are_sorted_and_exclude_each_other(kind):
    """The order of rows in the file would decide who is near whom."""
    position = np.array([30, 10, 20, 10, 31], dtype=kind + "8")
    problem = BudgetedSelection(
        np.zeros(5), 3, constraints=[Spacing(["v"] * 5, position, exclude_within=0)]
    )
    (rule,) = problem.constraints
    assert not accepts(rule, [1, 3], problem.dataset)
    assert accepts(rule, [0, 2, 3, 4], problem.dataset)
    closed = rule.guard(problem.dataset).add(3).tolist()
    assert set(closed) - {3} == {1}
    linear = rule.linear(problem.dataset)
    np.testing.assert_array_equal(linear.matrix.toarray(), [[0, 1, 0, 1, 0]])


def test_labeled_rows_do_not_exclude_each_other():
    """A dataset that was labeled without any spacing could not be used with one."""
    problem = BudgetedSelection(
        np.zeros(6), 1, labeled=[0, 1], constraints=[Spacing(None, np.arange(6), 2)]
    )
    np.testing.assert_array_equal(problem.selectable, [4, 5])
    problem.check([4])
    with pytest.raises(InfeasibleSelection, match="row 1 and row 3 of sequence 0 lie 2 apart"):
        problem.check([3])
