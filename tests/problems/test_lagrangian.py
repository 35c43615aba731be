"""The Lagrangian bound: no multipliers prove more than the truth, LP duals prove the LP."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from labelcut import ClassBalanced, Forbid, Include


def random_problem(seed):
    """Return a small problem with labeled rows, fixed rows and empty classes, and its arrays."""
    rng = np.random.default_rng(seed)
    rows, classes = int(rng.integers(4, 10)), int(rng.integers(2, 5))
    probs = rng.dirichlet([rng.choice([0.1, 1.0, 10.0])] * classes, size=rows)
    if rng.random() < 0.3:
        probs[:, 0] = 0
        probs[:, -1] += 1 - probs.sum(axis=1)
        probs = np.abs(probs)  # -2e-16 where the rest summed to 1
    utility = rng.normal(size=rows) * rng.choice([1e-3, 1.0, 1e3])
    balance = float(rng.choice([0.0, 1e-3, 1.0, 30.0, 1e6]))
    shuffled = rng.permutation(rows)
    labeled, include, forbid = np.split(shuffled[:-2], np.sort(rng.integers(0, rows - 1, size=2)))
    include, forbid = include[:2], forbid[:1]
    allowed = np.setdiff1d(np.arange(rows), [*labeled, *forbid])
    budget = int(rng.integers(max(len(include), 1), len(allowed) + 1))
    probs[labeled] = np.nan
    target = rng.uniform(0, budget, size=classes)
    problem = ClassBalanced(
        probs,
        utility,
        budget,
        balance=balance,
        target=target,
        labeled=labeled,
        constraints=[Include(include), Forbid(forbid)],
    )
    return problem, (probs, utility, target, balance, budget, allowed, include)


def lp(problem, probs, allowed, include):
    """Return value and duals of the LP relaxation of eq. 4.8, stated anew and solved by HiGHS."""
    classes, count = problem.n_classes, len(allowed)
    eye = np.eye(classes)
    cost = np.concatenate([-problem.utility[allowed], np.full(2 * classes, problem.balance)])
    # P'z + lacking - excess = Ω, and the budget
    balance_rows = np.hstack([probs[allowed].T, eye, -eye])
    budget_row = np.concatenate([np.ones(count), np.zeros(2 * classes)])
    lower = np.concatenate([np.isin(allowed, include).astype(float), np.zeros(2 * classes)])
    upper = np.concatenate([np.ones(count), np.full(2 * classes, np.inf)])
    result = linprog(
        cost,
        A_eq=np.vstack([balance_rows, budget_row]),
        b_eq=np.append(problem.target, problem.budget),
        bounds=np.column_stack([lower, upper]),
    )
    assert result.status == 0
    return result.fun, result.eqlin.marginals[:classes]


@settings(max_examples=300)
@given(st.integers(0, 10**6))
def test_no_multipliers_prove_more_than_the_optimum(best, seed):
    """A bound above the optimum would certify answers that are not optimal."""
    problem, arrays = random_problem(seed)
    optimum = best(*arrays)
    rng = np.random.default_rng(seed)
    corners = rng.choice([-1.0, 1.0], size=(4, problem.n_classes))
    inside = rng.uniform(-1, 1, size=(4, problem.n_classes))
    outside = rng.uniform(-3, 3, size=(4, problem.n_classes))
    for multipliers in problem.balance * np.vstack([corners, inside, outside]):
        # 1e-12: the oracle's own rounding, on numbers of the size of λ |Ω|
        scale = 1 + problem.balance * problem.target.sum() + abs(optimum)
        assert problem.lower_bound(multipliers) <= optimum + 1e-12 * scale


@settings(max_examples=300)
@given(st.integers(0, 10**6))
def test_duals_of_the_lp_prove_its_value(seed):
    """The bound would be weaker than theory says, and gaps would stay open for no reason."""
    problem, (probs, *_, allowed, include) = random_problem(seed)
    value, duals = lp(problem, probs, allowed, include)
    # HiGHS holds duals within 1e-7, so they may leave the ball by that much
    multipliers = np.clip(duals, -problem.balance, problem.balance)
    bound = problem.lower_bound(multipliers)
    scale = max(1.0, abs(value), problem.balance * problem.target.sum())
    assert bound == pytest.approx(value, abs=1e-6 * scale)


def test_bound_by_hand():
    """The formula would be another one than L(μ)."""
    probs = [[1, 0], [0.5, 0.5], [0, 1]]
    problem = ClassBalanced(probs, [1.0, 2.0, 3.0], 2, balance=2.0, target=[2.0, 0.0])
    # reduced costs -u - μ'p for μ = (1, -2): -2, -1.5, -1; μ'Ω = 2; the two cheapest -3.5
    assert problem.lower_bound(np.array([1.0, -2.0])) == pytest.approx(-1.5, abs=1e-12)
    # with row 2 forced: 2 - 1 - 2
    problem = ClassBalanced(
        probs, [1.0, 2.0, 3.0], 2, balance=2.0, target=[2.0, 0.0], constraints=[Include([2])]
    )
    assert problem.lower_bound(np.array([1.0, -2.0])) == pytest.approx(-1.0, abs=1e-12)


def test_multipliers_outside_the_ball_lose_what_they_are_too_steep():
    """Hölder's inequality holds less the excess times the mass, here 1 * (1 + 1)."""
    problem = ClassBalanced([[1, 0], [0, 1]], [1, 1], 1, balance=1.0)
    # μ'Ω = -1, the cheapest reduced cost -1; less 2
    assert problem.lower_bound(np.array([0.0, -2.0])) == pytest.approx(-4.0)


@pytest.mark.parametrize("multipliers", [[np.nan, 0], [np.inf, 0]])
def test_multipliers_that_are_no_numbers_prove_nothing(multipliers):
    """A bound of NaN would pass every comparison or none."""
    problem = ClassBalanced([[1, 0], [0, 1]], [1, 1], 1, balance=1.0)
    assert problem.lower_bound(np.array(multipliers)) == -np.inf


def exact_objective(problem, rows):
    """Return eq. 4.8 in rational numbers, on the very floats the problem holds."""
    exact = np.vectorize(Fraction, otypes=[object])
    scaled = exact(problem.probs.matrix.take(rows)) * exact(problem.probs.scale[rows])[:, None]
    imbalance = np.abs(exact(problem.target) - scaled.sum(axis=0)).sum()
    return Fraction(problem.balance) * imbalance - exact(problem.utility[rows]).sum()


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
def test_bound_is_lowered_for_rounding(size):
    """Rounding in reduced costs would lift a bound above an optimum that it equals in theory."""
    rng = np.random.default_rng(7)
    for _ in range(50):
        probs = rng.dirichlet([1.0] * 3, size=6) * rng.uniform(0.9991, 1.0009, size=(6, 1))
        utility = rng.normal(size=6) * size
        problem = ClassBalanced(probs, utility, 6, balance=size, target=[6.0, 7.0, 8.0])
        # every row is chosen and every class lacks labels, so μ = λ proves the optimum itself
        bound = problem.lower_bound(np.full(3, size))
        optimum = exact_objective(problem, np.arange(6))
        assert optimum * (1 - Fraction(1, 10**13)) <= Fraction(bound) <= optimum
