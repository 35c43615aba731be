"""The most useful rows at the limits of time and of numbers."""

import time

import numpy as np

from labelcut import (
    BudgetedSelection,
    Cost,
    GroupLimit,
    Spacing,
)
from labelcut.problems.pricing import utility_bound
from labelcut.solvers._clock import Clock
from labelcut.solvers.budgeted import structure
from labelcut.solvers.budgeted.maximizing import maximize


def test_a_long_sequence_with_prices_far_below_all_utilities():
    """A table over all counts would take hours, and large prices would cost digits."""
    rng = np.random.default_rng(0)
    size = 20_000
    spacing = Spacing(None, np.cumsum(rng.integers(1, 4, size)), 7)
    utility = rng.random(size)
    most = int(structure.structure_of(_spaced(utility, 1, spacing), Clock()).starts[-1])
    most = _largest_count(spacing, most)
    for budget in (most // 2, most - 1, most):
        problem = _spaced(utility, budget, spacing)
        found = maximize(problem, utility, Clock())
        problem.check(found.rows)
        assert found.bound - utility[found.rows].sum() < 1e-6
    assert maximize(_spaced(utility, most + 1, spacing), utility, Clock()).infeasible


def _spaced(utility, budget, spacing):
    return BudgetedSelection(utility, budget, constraints=[spacing])


def _largest_count(spacing, size):
    """Take the earliest row that fits, again and again."""
    count, last = 0, -np.inf
    for at in np.asarray(spacing.position)[:size]:
        if at - last > spacing.exclude_within:
            count, last = count + 1, at
    return count


def hard(size):
    """Return a problem with so many crossing limits that no bound closes the gap."""
    rng = np.random.default_rng(0)
    rules = [Cost(rng.random(size) + 0.5, size / 20) for _ in range(6)]
    rules += [GroupLimit(rng.integers(0, 40, size), at_most=size // 300) for _ in range(4)]
    return BudgetedSelection(rng.random(size), None, constraints=rules)


def test_the_time_limit_holds_where_branching_would_go_on():
    """A run would keep its caller waiting, or come back with empty hands."""
    problem = hard(3_000)
    began = time.perf_counter()
    found = maximize(problem, problem.utility, Clock(3.0))
    assert time.perf_counter() - began < 4.0
    problem.check(found.rows)
    value = problem.evaluate(found.rows).objective
    assert value <= found.bound <= 1.01 * value
    assert not found.complete
    assert utility_bound(problem, problem.utility, found.prices) >= found.bound - 1e-9


def test_a_limit_that_is_over_at_once_brings_back_the_start():
    """What was known before would be lost."""
    problem = hard(300)
    start = np.array([0, 1])
    found = maximize(problem, problem.utility, Clock(1e-9), start=start)
    assert found.rows is None or np.isin(start, found.rows).all()
    assert not found.complete
    assert not found.infeasible
