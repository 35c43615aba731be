"""The bound of prices: no prices whatsoever beat the optimum, and good ones reach it."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import BudgetedSelection, Cost, Forbid, GroupLimit, Include, InvalidInput, Spacing
from labelcut.problems import Certificate
from labelcut.problems.pricing import Prices, read_prices, utility_bound

SEEDS = st.integers(0, 10**6)


def exact(values, rows):
    """Return an exact sum."""
    return sum((Fraction(float(values[row])) for row in rows), Fraction(0))


def random_prices(problem, rng):
    """Draw prices of any size, some of the wrong sign, some left out."""
    scale = 10.0 ** rng.integers(-12, 4)
    limits = []
    for rule in problem.constraints:
        rows = len(rule.linear(problem.dataset).limits)
        drawn = rng.normal(size=rows) * scale if rng.random() < 0.3 else rng.exponential(1, rows)
        limits.append(np.empty(0) if rng.random() < 0.3 else drawn)
    budget = 0.0 if problem.budget is None else float(rng.normal() * 10.0 ** rng.integers(-9, 9))
    return Prices(budget, tuple(limits))


@settings(max_examples=150)
@given(seed=SEEDS)
def test_no_prices_prove_more_than_is_true(mixture, seed):
    """A bound would be called proven that a selection beats."""
    drawn = mixture(seed, size=7)
    problem, rng = drawn.problem, np.random.default_rng(seed)
    utility = problem.utility * 10.0 ** rng.integers(-8, 8)
    best = max((exact(utility, rows) for rows in drawn.feasible()), default=None)
    for _ in range(4):
        bound = utility_bound(problem, utility, random_prices(problem, rng))
        assert not np.isnan(bound)
        if best is not None:
            assert bound == np.inf or Fraction(bound) >= best


@settings(max_examples=60)
@given(seed=SEEDS)
def test_prices_prove_infeasible_only_what_is(mixture, seed):
    """A utility of zero bounded below zero would be a proof of nothing."""
    drawn = mixture(seed, size=7)
    problem, rng = drawn.problem, np.random.default_rng(seed)
    feasible = bool(drawn.feasible())
    for _ in range(20):
        bound = utility_bound(problem, np.zeros(7), random_prices(problem, rng))
        assert bound >= 0 or not feasible


def test_rounding_is_on_the_safe_side():
    """Thousands of roundings would add up to a bound below the optimum."""
    rng = np.random.default_rng(0)
    utility = rng.uniform(1, 2, 3000) * 1e8
    cost = Cost(rng.uniform(0, 1, 3000), 1e9)
    problem = BudgetedSelection(utility, 2000, constraints=[cost])
    cut = np.sort(utility)[::-1][1999]
    best = exact(utility, np.argsort(-utility)[:2000])
    bound = utility_bound(problem, utility, Prices(float(cut), (np.array([1e-20]),)))
    assert Fraction(bound) >= best
    assert bound == pytest.approx(float(best), rel=1e-9)


def test_the_price_of_the_last_row_proves_the_top_optimal():
    """The bound would be loose where it need not be."""
    utility = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    problem = BudgetedSelection(utility, 2, constraints=[Include([4]), Forbid([0])])
    # Row 4 is in and row 0 is out, so rows 1 and 4 are best.
    bound = problem.upper_bound(Prices(3.5, (np.empty(0), np.empty(0))))
    assert bound == pytest.approx(5.0, abs=1e-12)


def test_spacing_is_kept_without_prices():
    """The bound would be that of a problem without its spacing."""
    utility = np.array([2.0, 3.0, 2.0, 1.0, 1.0])
    spacing = Spacing(["a", "a", "a", "b", "b"], [0, 1, 2, 0, 5], 1)
    problem = BudgetedSelection(utility, 4, constraints=[spacing])
    # Rows 0 and 2 are worth more than row 1; with rows 3 and 4 that is 6, at a price of 0 each.
    assert problem.upper_bound(Prices(0.0, (np.empty(0),))) == pytest.approx(6.0, abs=1e-12)


def test_a_limit_has_its_price():
    """A cap would cost nothing in the bound."""
    cap = GroupLimit([0, 0, 0, 1], at_most={0: 1})
    problem = BudgetedSelection([5.0, 4.0, 3.0, 1.0], 2, constraints=[cap])
    priced = problem.upper_bound(Prices(1.0, (np.array([4.0]),)))
    assert priced == pytest.approx(6.0, abs=1e-12)
    certificate = Certificate("prices", True, priced, Prices(1.0, (np.array([4.0]),)).values())
    assert problem.prove(certificate) == priced
    assert problem.prove(Certificate("branch-and-bound", False, None, {})) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prices": []}, "certificate prices: must be 1 lists, one for each constraint"),
        ({"prices": [[1.0, 2.0]]}, "certificate prices 0: must have 1 values; got 2"),
        ({"prices": [[float("nan")]]}, "certificate prices 0: must be finite"),
        ({"prices": [["x"]]}, "certificate prices 0: must be real numbers"),
        ({"prices": "free"}, "certificate prices: must be 1 lists"),
        ({"prices": [[1.0]], "budget_price": "x"}, "certificate budget_price"),
        ({"prices": [[1.0]], "budget_price": float("nan")}, "certificate budget_price"),
        ({"prices": [1.0]}, "certificate prices 0"),
    ],
)
def test_prices_that_are_none_are_refused(values, message):
    """A file that was changed would end in a traceback, or prove something."""
    problem = BudgetedSelection([1.0, 2.0], 1, constraints=[Cost([1, 1], 1)])
    with pytest.raises(InvalidInput, match=message):
        read_prices(values, problem)


@pytest.mark.parametrize("price", [1e300, 6e307, 1e308])
@pytest.mark.parametrize("budget_price", [0.0, 1e308, -1e308])
def test_prices_too_large_to_add_up_prove_nothing(price, budget_price):
    """A certificate with such numbers would end `check` with an OverflowError."""
    groups = np.arange(12) % 3
    problem = BudgetedSelection(
        np.ones(12), 3, constraints=[GroupLimit(groups, at_most=1, at_least=1)]
    )
    count = len(problem.constraints[0].linear(problem.dataset).limits)
    prices = Prices(budget_price, (np.full(count, price),))
    assert utility_bound(problem, problem.utility, prices) >= 3
