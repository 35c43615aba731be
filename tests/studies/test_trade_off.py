"""The frontier against brute force, and its knee against LPs on either side."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.image import imread
from scipy.optimize import linprog

from labelcut import ClassBalanced, Forbid, GroupLimit, Include, InvalidInput, frontier
from labelcut.problems.synthetic import long_tailed_pool
from labelcut.studies import plot_frontier
from labelcut.studies.trade_off import knee


@pytest.fixture
def small():
    """Return a problem of 10 rows, all of whose selections can be listed."""
    rng = np.random.default_rng(4)
    probs, utility = rng.dirichlet(np.full(3, 0.5), size=10), rng.random(10)
    return ClassBalanced(probs, utility, 4, target=[2.0, 1.0, 1.0])


def test_no_selection_lies_above_the_frontier(small):
    """The proven curve would be crossed, or a point not be what its rows give."""
    found = frontier(small, [0, 0.05, 0.2, 0.5, 2.0])
    terms = [small.evaluate(rows).terms for rows in combinations(range(10), 4)]
    for point in found.points:
        assert small.evaluate(point.indices).terms["utility"] == pytest.approx(point.utility)
        best = min(point.balance * t["imbalance"] - t["utility"] for t in terms)
        assert point.bound <= best + 1e-9
        assert point.objective == pytest.approx(best, abs=1e-9)
        allowed = [t["utility"] for t in terms if t["imbalance"] <= point.imbalance + 1e-12]
        assert max(allowed) <= point.utility_bound + 1e-9
        assert point.utility <= point.utility_bound + 1e-9


def lp_imbalance(problem, balance):
    """Return the imbalance of the relaxation at one λ."""
    rows, classes = problem.dataset.size, problem.n_classes
    probs = problem.probs.take(np.arange(rows))
    matrix = np.hstack([probs.T, np.eye(classes), -np.eye(classes)])
    matrix = np.vstack([matrix, np.r_[np.ones(rows), np.zeros(2 * classes)]])
    costs = np.r_[-problem.utility, np.full(2 * classes, balance)]
    bounds = [(0, 1)] * rows + [(0, None)] * (2 * classes)
    found = linprog(costs, A_eq=matrix, b_eq=np.r_[problem.target, problem.budget], bounds=bounds)
    return found.x[rows:].sum()


def test_the_knee_is_the_smallest_balance_that_is_worth_it():
    """Users would pay too much utility for balance, or get too little balance."""
    pool = long_tailed_pool(300, 4, seed=7)
    problem = ClassBalanced(pool.probs, pool.utility, 40)
    knee = frontier(problem).knee()
    most, least = lp_imbalance(problem, 0.0), lp_imbalance(problem, 10.0)
    level = least + 0.01 * (most - least)
    assert lp_imbalance(problem, knee * 1.02) <= level + 1e-3 * most
    assert lp_imbalance(problem, knee * 0.98) >= level - 1e-3 * most


@pytest.mark.parametrize("seed", [0, 1])
def test_bisection_finds_the_knee_of_the_frontier(seed):
    """A campaign would freeze another λ than the command `frontier` recommends."""
    pool = long_tailed_pool(80, 3, seed=seed)
    problem = ClassBalanced(pool.probs, pool.utility, 15)
    assert knee(problem) == pytest.approx(frontier(problem).knee(), rel=1e-3)


def test_without_anything_to_balance_the_knee_is_zero():
    """A λ would be recommended that changes nothing."""
    problem = ClassBalanced(np.full((6, 2), 0.5), np.arange(6.0), 2)
    assert frontier(problem).knee() == knee(problem) == 0.0


@pytest.mark.parametrize("lambdas", [[], [-1.0], [np.nan], [np.inf]])
def test_wrong_lambdas_are_one_clear_error(small, lambdas):
    """A negative price would reward imbalance."""
    with pytest.raises(InvalidInput, match=r"lambdas: must be finite numbers ≥ 0"):
        frontier(small, lambdas)


def test_a_contradiction_is_named(small):
    """The user would not learn which constraints contradict each other."""
    problem = ClassBalanced(
        np.eye(2), [1, 1], 1, target=[1, 0], constraints=[Include([0]), Forbid([0])]
    )
    with pytest.raises(InvalidInput, match="frontier: Include and Forbid contradict"):
        frontier(problem)
    with pytest.raises(InvalidInput, match="knee: Include and Forbid contradict"):
        knee(problem)


def test_limits_that_leave_too_few_rows_are_named():
    """A campaign's strategy would stop with an error of the solver's own, which says nothing."""
    video = np.repeat([0, 1], 4)
    limits = [GroupLimit(video, at_most=1, name="video caps")]
    problem = ClassBalanced(np.eye(2)[video], np.arange(8.0), 3, constraints=limits)
    for trace in (frontier, knee):
        words = f"{trace.__name__}: budget 3 cannot be met: GroupLimit .video caps"
        with pytest.raises(InvalidInput, match=words):
            trace(problem)


def test_the_picture_is_drawn(small, tmp_path):
    """The picture would be blank or missing."""
    plot_frontier(frontier(small, [0, 0.2, 1]), tmp_path / "f.png", knee=0.3)
    picture = imread(tmp_path / "f.png")
    assert picture.ndim == 3
    assert picture.min() < 0.5
