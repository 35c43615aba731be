"""Limits on the groups of two partitions: by one linear program, against brute force."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import BudgetedSelection, Cost, Forbid, GroupLimit, Include, Spacing, solve
from labelcut.problems.errors import InfeasibleSelection
from labelcut.problems.pricing import utility_bound
from labelcut.solvers._clock import Clock
from labelcut.solvers.budgeted import maximizing
from labelcut.solvers.budgeted.maximizing import maximize


def best_of_all(problem):
    """Return the largest utility of any selection, or None."""
    size = problem.dataset.size
    counts = range(size + 1) if problem.budget is None else [problem.budget]
    found = None
    for count in counts:
        for rows in combinations(range(size), count):
            try:
                problem.check(np.array(rows, dtype=np.int64))
            except InfeasibleSelection:
                continue
            value = problem.utility[list(rows)].sum()
            found = value if found is None else max(found, value)
    return found


def random_problem(seed):
    """Return up to 9 rows under limits of two partitions, with or without all that goes along."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(6, 10))
    utility = rng.integers(-3, 6, size) * float(rng.choice([1.0, 1e-7, 0.3, 1e6]))
    rules = []
    for groups in (3, 4):
        lower = int(rng.random() < 0.15)
        codes = rng.integers(0, groups, size)
        nested = codes
        rules.append(
            GroupLimit(codes, at_least=lower, at_most=max(lower, 1) + int(rng.random() < 0.2))
        )
    if rng.random() < 0.3:
        rules.append(GroupLimit(nested // 2, at_most=int(rng.integers(1, 4))))
    if rng.random() < 0.3:
        rules.append(Include([int(rng.integers(0, size // 2))]))
    if rng.random() < 0.3:
        rules.append(Forbid([int(rng.integers(size // 2, size))]))
    budget = None if rng.random() < 0.4 else int(rng.integers(1, 5))
    return BudgetedSelection(utility, budget, constraints=rules)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=60)
def test_no_selection_is_better(seed):
    """The answer would be less than the best, break a limit, or its bound be below the best."""
    try:
        problem = random_problem(seed)
    except ValueError:
        return
    expected = best_of_all(problem)
    found = maximize(problem, problem.utility, Clock())
    if expected is None:
        assert found.infeasible
        return
    problem.check(found.rows)
    assert found.complete
    size = np.abs(problem.utility).max() or 1.0
    assert problem.utility[found.rows].sum() == pytest.approx(expected, abs=1e-9 * size)
    assert found.bound >= expected - 1e-12 * size
    if found.prices is not None:
        assert utility_bound(problem, problem.utility, found.prices) == pytest.approx(
            found.root, abs=1e-6 * size
        )


def crossed(size=400, seed=0, **changes):
    """Return a problem with limits on images and on groups of near-duplicates."""
    rng = np.random.default_rng(seed)
    rules = [
        GroupLimit(rng.integers(0, size // 10, size), at_most=1, at_least=0),
        GroupLimit(rng.integers(0, size // 8, size), at_most=1),
    ]
    return BudgetedSelection(
        rng.normal(size=size), size // 12, constraints=[*rules, *changes.get("more", ())]
    )


def test_prices_prove_it_without_branching(monkeypatch):
    """HiGHS would branch for what one linear program says, and prove less."""
    monkeypatch.setattr(maximizing, "branch", None)
    monkeypatch.setattr(maximizing, "relax", None)
    problem = crossed()
    answer = solve(problem, "exact", gap_tol=0.0)
    assert answer.status == "optimal"
    assert answer.certificate.kind == "multipliers"
    assert 0 <= answer.bound - answer.objective < 1e-9 * answer.objective


@pytest.mark.parametrize(
    "more",
    [
        [GroupLimit(np.arange(400) % 7, at_most=5)],
        [Cost(np.linspace(1, 2, 400), 60.0)],
        [Spacing(None, np.arange(400), 2)],
    ],
)
def test_what_is_no_network_goes_the_other_way(monkeypatch, more):
    """A fractional vertex would be rounded."""
    seen = []
    monkeypatch.setattr(maximizing, "transport", lambda pursuit: bool(seen.append(1)))
    problem = crossed(more=more)
    maximize(problem, problem.utility, Clock(2.0), gap_tol=0.05)
    assert not seen


def test_a_program_that_is_not_solved_leaves_it_to_branching(monkeypatch):
    """A clock that stops HiGHS would end in empty hands."""
    expected = solve(crossed(80)).objective
    monkeypatch.setattr(
        "scipy.optimize.linprog", lambda *_, **__: type("Stopped", (), {"status": 1, "x": None})()
    )
    assert solve(crossed(80)).objective == pytest.approx(expected)
