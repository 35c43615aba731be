"""Ranges of variances and swaps, against all selections of small pools."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import BudgetedSelection, Cost, ExpectedCount, GroupLimit, solve
from labelcut.problems.errors import InfeasibleSelection
from labelcut.problems.narrowing import curves_of
from labelcut.solvers._clock import Clock
from labelcut.solvers.budgeted.narrowing import narrow
from labelcut.solvers.budgeted.relaxing import Pursuit, relax
from labelcut.solvers.budgeted.structure import structure_of


def _drawn(seed):
    rng = np.random.default_rng(seed)
    size, budget = 11, 5
    probs = rng.dirichlet([0.4] * 3, size)
    quota = ExpectedCount(probs, [0, 1], at_least=rng.uniform(0.3, 1.2, 2), confidence=0.8)
    groups = GroupLimit(np.arange(size) % 3, at_most=3)
    costs = Cost(rng.random(size), 3.5)
    return BudgetedSelection(rng.random(size), budget, constraints=[quota, groups, costs])


def _kept(problem):
    """Every selection that keeps all constraints."""
    kept = []
    for rows in combinations(range(problem.dataset.size), problem.budget):
        try:
            problem.check(np.array(rows))
        except InfeasibleSelection:
            continue
        kept.append(np.array(rows))
    return kept


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_ranges_hold_whatever_is_better_than_the_answer(seed):
    """A better selection would be cut off, and the bound would not be one."""
    problem = _drawn(seed)
    kept = _kept(problem)
    pursuit = Pursuit(problem, structure_of(problem, Clock()), problem.utility, Clock())
    curves = curves_of(problem.constraints, problem.dataset)
    relax(pursuit, 10.0)
    lined, closer = narrow(pursuit, curves)
    assert (pursuit.rows is None) or any(np.array_equal(pursuit.rows, rows) for rows in kept)
    for rows in kept:
        value = problem.utility[rows].sum()
        assert value <= pursuit.bound + 1e-9
        if value <= pursuit.value + 1e-9:
            continue
        assert value <= lined.bound + 1e-9
        for curve in closer:
            variance = curve.variances[rows].sum()
            assert curve.least - 1e-9 <= variance <= curve.most + 1e-9


def test_a_thousand_rows_with_ten_quotas_are_solved_within_a_percent():
    """Quotas of real pools would take minutes, and their bounds would be worth little."""
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([0.15] * 10, 1000)
    utility = -(probs * np.log(np.maximum(probs, 1e-12))).sum(axis=1)
    quota = ExpectedCount(probs, np.arange(10), at_least=7, confidence=0.9)
    problem = BudgetedSelection(utility, 120, constraints=[quota])
    found = solve(problem, "exact", gap_tol=0.01, time_limit=60)
    problem.check(found)
    assert found.gap <= 0.01
    # Margins only take away: the bound without them holds here too.
    plain = ExpectedCount(probs, np.arange(10), at_least=7)
    wider = solve(BudgetedSelection(utility, 120, constraints=[plain]), "exact", gap_tol=0.01)
    assert found.objective <= wider.bound


def test_swaps_keep_groups_and_what_is_included():
    """An answer would be refused that the search takes for one, and nothing would be found."""
    rng = np.random.default_rng(4)
    probs = rng.dirichlet([0.3] * 4, 300)
    utility = -(probs * np.log(np.maximum(probs, 1e-12))).sum(axis=1)
    quota = ExpectedCount(probs, np.arange(4), at_least=6, confidence=0.9)
    groups = GroupLimit(np.arange(300) % 6, at_most=8)
    problem = BudgetedSelection(utility, 40, constraints=[quota, groups])
    found = solve(problem, "exact", gap_tol=0.01, time_limit=60)
    problem.check(found)
    assert found.gap <= 0.01
    assert found.bound == pytest.approx(found.objective, rel=0.011)
