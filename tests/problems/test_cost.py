"""The edge of a cost limit: checking, rows and growing draw it at the same place."""

from math import fsum, nextafter

import numpy as np
import pytest

from labelcut import BudgetedSelection, Cost, InfeasibleSelection, solve
from labelcut.problems.constraints import Growth
from labelcut.problems.constraints.growing import add_exactly


def limit_that_allows(total):
    """Return a limit of which ``limit * (1 + 1e-9)`` is the largest that is at most a total."""
    limit = total / (1.0 + 1e-9)
    while limit * (1.0 + 1e-9) > total:
        limit = nextafter(limit, 0.0)
    while nextafter(limit, np.inf) * (1.0 + 1e-9) <= total:
        limit = nextafter(limit, np.inf)
    return limit


def accepts(problem, rows):
    """Whether checking accepts some rows."""
    try:
        problem.constraints[0].check(np.array(rows), problem.dataset)
    except InfeasibleSelection:
        return False
    return True


def grows(problem, rows):
    """Whether some rows can be taken one after another."""
    growth = Growth(problem.constraints, problem.dataset)
    for row in rows:
        if growth.closed[row]:
            return False
        growth.add(row)
    return True


@pytest.mark.parametrize("steps", [-2, -1, 0, 1, 2])
def test_check_rows_and_growing_draw_one_edge(steps):
    """Greedy methods would leave out what checking accepts, or exact ones offer what it refuses."""
    rng = np.random.default_rng(steps + 2)
    seen = set()
    for _ in range(200):
        size = int(rng.integers(1, 8))
        costs = rng.random(size) * 10.0 ** rng.integers(-3, 4, size)
        total = fsum(costs)
        limit = limit_that_allows(total)
        for _ in range(abs(steps)):
            limit = nextafter(limit, np.inf if steps > 0 else 0.0)
        problem = BudgetedSelection(np.ones(size), constraints=[Cost(costs, limit)])
        expected = total <= limit * (1.0 + 1e-9)
        linear = problem.constraints[0].linear(problem.dataset)
        assert accepts(problem, range(size)) == expected
        assert grows(problem, rng.permutation(size).tolist()) == expected
        assert (fsum(linear.matrix.toarray()[0]) <= linear.limits[0]) == expected
        seen.add(expected)
    assert (steps < 0) == (False in seen)


@pytest.mark.parametrize(
    ("over", "fits"), [(0.0, True), (4e-10, True), (9e-10, True), (2e-9, False)]
)
def test_what_is_dearer_by_rounding_leaves_open_what_is_free(over, fits):
    """A row at the edge would close all others, even those that cost nothing."""
    cost = Cost([0.0, 1.0 + over, 0.0], limit=1.0)
    problem = BudgetedSelection([1.0, 3.0, 2.0], constraints=[cost])
    best = [0, 1, 2] if fits else [0, 2]
    for method in ("greedy", "top", "exact"):
        assert solve(problem, method).indices.tolist() == best
    assert accepts(problem, [0, 1, 2]) == grows(problem, [1, 0, 2]) == fits


def test_a_limit_of_nothing_lets_in_what_is_free():
    """No share of 0 is more than 0."""
    problem = BudgetedSelection([1, 2, 3], constraints=[Cost([0.0, 5e-324, 0.0], limit=0)])
    for method in ("greedy", "top", "random", "exact"):
        assert solve(problem, method).indices.tolist() == [0, 2]


def test_sums_are_kept_exactly():
    """Thousands of small costs would drift away from what checking adds up."""
    rng = np.random.default_rng(0)
    numbers = (rng.random(5_000) * 10.0 ** rng.integers(-12, 12, 5_000)).tolist()
    parts, seen = [], []
    for number in numbers:
        add_exactly(parts, number)
        seen.append(number)
    assert fsum(parts) == fsum(seen)
    assert len(parts) < 10
