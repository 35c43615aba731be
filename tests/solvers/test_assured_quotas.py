"""Quotas that hold with a stated probability: the solvers' answers against all selections."""

from itertools import combinations
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from labelcut import (
    BudgetedSelection,
    ClassBalanced,
    Cost,
    ExpectedCount,
    UnsupportedProblem,
    check,
    solve,
)
from labelcut.problems.base import Status
from labelcut.solvers._curved import Bend, _first_ends, _lifted, _refine, _with_lines
from labelcut.solvers._mip_model import LinearModel
from labelcut.solvers.exporting import export_model


@pytest.mark.slow
@settings(max_examples=12)
@given(seed=st.integers(0, 10**6))
def test_the_best_quota_is_the_best_of_all_selections(seed):
    """An answer would be called optimal that is not, or a quota impossible that is not."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(3, 11))
    budget = int(rng.integers(1, size))
    probs = rng.dirichlet([0.5] * 3, size)
    utility = rng.normal(size=size).round(2)
    confidence = float(rng.choice([0.6, 0.9, 0.95]))
    low = rng.uniform(0, 0.4 * budget, 2).round(3)
    high = low + rng.uniform(0.5, 2.5, 2).round(3)
    limits = [{"at_least": low}, {"at_most": high}, {"at_least": low, "at_most": high}]
    stated = limits[int(rng.integers(3))]
    quota = ExpectedCount(probs, [0, 2], confidence=confidence, **stated)
    problem = BudgetedSelection(utility, budget, constraints=[quota])

    def keeps(rows):
        for at, k in enumerate((0, 2)):
            some = probs[list(rows), k]
            margin = norm.ppf(confidence) * sqrt((some * (1 - some)).sum())
            if "at_least" in stated and low[at] > 0 and some.sum() - margin < low[at]:
                return False
            if "at_most" in stated and some.sum() + margin > high[at]:
                return False
        return True

    values = [
        utility[list(rows)].sum() for rows in combinations(range(size), budget) if keeps(rows)
    ]
    found = solve(problem, "exact")
    if not values:
        assert found.status is Status.INFEASIBLE
        assert "with probability" in found.reason
        return
    assert found.status is Status.OPTIMAL
    assert found.objective == pytest.approx(max(values), abs=1e-9)
    assert found.bound >= max(values) - 1e-9
    assert keeps(found.indices)
    check(problem, found)


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6))
def test_lines_keep_what_keeps_the_curve_and_lose_what_was_refined(seed):
    """A model's bound would not hold, or the same point would come back for ever."""
    rng = np.random.default_rng(seed)
    size = 6
    values = rng.choice([-1.0, 1.0]) * rng.random(size)
    bend = Bend(
        values=values,
        variances=np.abs(values) * (1 - np.abs(values)),
        value=float(rng.normal()) * 0.3,
        variance=float(rng.choice([0.0, rng.random()])),
        factor=1.2816,
        limit=float(rng.normal()),
        most=10.0,
    )
    model = LinearModel(
        cost=np.zeros(size),
        matrix=_nothing(size),
        row_lower=np.empty(0),
        row_upper=np.empty(0),
        lower=np.zeros(size),
        upper=np.ones(size),
        integer=np.ones(size, dtype=bool),
    )
    ends = _first_ends(bend)
    points = [np.array(bits, dtype=float) for bits in np.ndindex(*[2] * size)]

    def is_kept(point):
        lines = _with_lines(model, [bend], [ends], [])
        lifted = _lifted(point, [bend], [ends])
        return bool((lines.matrix @ lifted <= lines.row_upper + 1e-9).all())

    assert all(is_kept(point) for point in points if bend.at(point > 0.5)[1] <= 0)
    broken = [point for point in points if bend.at(point > 0.5)[1] > 1e-6]
    for point in broken[:3]:
        _refine(ends, bend, point > 0.5)
        assert not is_kept(point)
    assert all(is_kept(point) for point in points if bend.at(point > 0.5)[1] <= 0)


def _nothing(size):
    from scipy import sparse

    return sparse.csr_array((0, size))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_quota_is_missed_as_seldom_as_was_asked_for(k):
    """90 % would not be 90 %."""
    rng = np.random.default_rng(k)
    probs = rng.dirichlet([0.4] * 4, 200)

    def missed(confidence):
        quota = ExpectedCount(probs, k, at_least=15, confidence=confidence)
        problem = BudgetedSelection(probs[:, 0], 50, constraints=[quota])
        found = solve(problem, "exact", time_limit=20)
        draws = rng.random((10_000, 50)) < probs[found.indices, k]
        return (draws.sum(axis=1) < 15).mean()

    assert 0.02 <= missed(0.9) <= 0.12
    assert missed(0.5) >= 0.3


def test_what_is_missed_most_lies_near_the_stated_rate():
    """A quota would cost far more utility than its probability asks for."""
    rng = np.random.default_rng(1)
    sure, unsure = [1.0, 0.0], [0.5, 0.5]
    probs = np.array([sure] * 60 + [unsure] * 200)
    utility = np.concatenate([np.zeros(60), np.ones(200)])
    quota = ExpectedCount(probs, 0, at_least=50, confidence=0.9)
    found = solve(BudgetedSelection(utility, 90, constraints=[quota]), "exact", time_limit=20)
    assert found.status is Status.OPTIMAL
    # With n unsure rows 90 - n/2 - 1.2816 √n/2 ≥ 50 must hold: n = 69 does, n = 70 does not.
    assert found.objective == 69
    counts = 21 + rng.binomial(69, 0.5, 100_000)
    assert 0.05 <= (counts < 50).mean() <= 0.12


@pytest.mark.parametrize("method", ["greedy", "top", "random"])
def test_growing_methods_keep_the_quota(method):
    """Baselines would return what the checker refuses."""
    probs = np.random.default_rng(3).dirichlet([0.5] * 3, 60)
    quota = ExpectedCount(probs, [0, 1], at_least=4, at_most=9, confidence=0.9)
    problem = BudgetedSelection(np.arange(60), 18, constraints=[quota])
    found = solve(problem, method, time_limit=20)
    problem.check(found)


def test_an_impossible_quota_says_how_many_are_expected_at_most():
    """Nobody would know what to ask for instead."""
    probs = np.full((10, 2), 0.5)
    quota = ExpectedCount(probs, 0, at_least=4, confidence=0.9, name="cyclists")
    problem = BudgetedSelection(
        np.zeros(10), constraints=[quota, Cost(np.ones(10), 20, name="money")]
    )
    found = solve(problem)
    assert found.status is Status.INFEASIBLE
    assert found.reason == (
        "ExpectedCount 'cyclists' (at least 4 of class 0 with probability 0.9) cannot be met: at "
        "least 4 labels of class 0 are asked for with probability 0.9, the others allow at most 5 "
        "expected"
    )


def test_who_cannot_take_a_confidence_says_so(tmp_path):
    """A solver would return rows that break the quota, or fail on them."""
    probs = np.full((10, 2), 0.5)
    quota = ExpectedCount(probs, 0, at_least=1, confidence=0.9, name="cyclists")
    problem = ClassBalanced(probs, np.arange(10), 5, constraints=[quota])
    told = "cannot take ExpectedCount 'cyclists' with a confidence; no method can; leave the con"
    for method in ("auto", "exact", "top"):
        with pytest.raises(UnsupportedProblem, match=told):
            solve(problem, method)
    budgeted = BudgetedSelection(np.arange(10), 5, constraints=[quota])
    for stated in (problem, budgeted):
        with pytest.raises(
            UnsupportedProblem, match="export: MPS states linear programs, Expected"
        ):
            export_model(stated, tmp_path / "p.mps")
