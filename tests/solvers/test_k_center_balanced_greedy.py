"""Greedy k-center with balance: the picks of algorithm 2, and bounds."""

from itertools import combinations

import numpy as np
import pytest

from labelcut import KCenter, UnsupportedProblem, solve


def balanced_first(apart, probs, target, weight, order, first, budget, allowed):
    """Return line 3 of algorithm 2 for every row and pick, from plain formulas."""
    chosen = [first]
    while len(chosen) < budget:
        counts = target - probs[chosen].sum(axis=0)
        costs = -apart[:, chosen].min(axis=1) + weight * order(counts - probs)
        costs[[row for row in range(len(apart)) if row in chosen or row not in allowed]] = np.inf
        chosen.append(int(costs.argmin()))
    return chosen


ORDERS = {
    "l1": lambda left: np.abs(left).sum(axis=1),
    "l2": lambda left: np.sqrt((left**2).sum(axis=1)),
    "squared-l2": lambda left: (left**2).sum(axis=1),
}


@pytest.mark.usefixtures("small_pools")
@pytest.mark.parametrize("distance", ORDERS)
def test_balanced_greedy_is_algorithm_2(distance):
    """Costs that changed would be taken for present ones, or the labels' share forgotten."""
    for seed in range(25):
        rng = np.random.default_rng(seed)
        points, probs = rng.normal(size=(60, 20)), rng.dirichlet(np.full(4, 0.2), 60)
        target, balance = rng.uniform(0, 6, 4), float(rng.choice([0.3, 5.0]))
        candidates = np.sort(rng.choice(60, 50, replace=False))
        problem = KCenter(
            points,
            15,
            probs=probs,
            balance=balance,
            target=target,
            distance=distance,
            candidates=candidates,
        )
        apart = problem.space.between(np.arange(60), np.arange(60))
        start = problem.space.start()
        first = start if start in candidates else int(candidates[0])
        expected = balanced_first(
            apart, probs, target, balance, ORDERS[distance], first, 15, candidates
        )
        solution = solve(problem, "greedy")
        assert solution.order.tolist() == expected
        assert problem.prove(solution.certificate) == solution.bound
        assert solution.bound <= solution.objective


def test_steered_by_l2_the_picks_are_those_of_the_l2_problem():
    """`greedy-l2` would steer by the problem's own distance, or measure its answer by another."""
    rng = np.random.default_rng(3)
    points, probs = rng.normal(size=(80, 10)), rng.dirichlet(np.full(4, 0.2), 80)
    stated = {"probs": probs, "balance": 2.0}
    problem = KCenter(points, 12, **stated)
    straight = solve(KCenter(points, 12, distance="l2", **stated), "greedy")
    solution = solve(problem, "greedy-l2")
    assert solution.order.tolist() == straight.order.tolist()
    assert solution.order.tolist() != solve(problem, "greedy").order.tolist()
    assert solution.objective == problem.evaluate(straight).objective
    with pytest.raises(UnsupportedProblem, match="greedy-l2' needs balance > 0"):
        solve(KCenter(points, 12), "greedy-l2")


def test_balanced_bound_against_brute_force():
    """The two terms' bounds would add up to more than any selection has."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        points, probs = rng.normal(size=(8, 2)), rng.dirichlet(np.ones(3), 8)
        problem = KCenter(points, 3, probs=probs, balance=1.0, target=[4.0, 0.0, 1.0])
        best = min(problem.evaluate(list(rows)).objective for rows in combinations(range(8), 3))
        assert solve(problem, "greedy").bound <= best
