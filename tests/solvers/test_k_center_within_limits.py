"""Coresets within limits, by hand: what local search and greedy find there."""

import numpy as np
import pytest

from labelcut import (
    Cost,
    GroupLimit,
    Include,
    KCenter,
    Spacing,
    solve,
)


@pytest.mark.usefixtures("quick")
def test_local_search_finds_a_cover_that_is_hidden_in_limits():
    """Covers would be left to branch and bound, which large problems are too large for."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(400, 2))
    groups, costs = rng.integers(0, 8, 400), rng.integers(1, 6, 400)
    rules = [
        GroupLimit(groups, at_most=2, at_least={0: 1, 5: 2}),
        Cost(costs, 24.0),
        Spacing(None, rng.permutation(400), 2),
    ]
    problem = KCenter(points, 12, constraints=rules)
    better = solve(problem, "improve", time_limit=20)
    greedy = solve(problem, "greedy")
    assert better.objective < 0.85 * greedy.objective
    problem.check(better)


def test_greedy_covers_what_is_closed_from_where_it_may():
    """The farthest row's whole neighbourhood would be left uncovered with it."""
    points = np.array([[0.0], [9.0], [20.0], [12.0], [18.0]])
    groups = ["a", "b", "b", "c", "d"]
    problem = KCenter(points, 2, constraints=[GroupLimit(groups, at_most=1)])
    solution = solve(problem, "greedy")
    # It starts at 12, the mean being 11.8; row 0 is next, row 2 after it, whose group is open.
    assert solution.order.tolist() == [3, 0]
    problem = KCenter(points, 2, constraints=[GroupLimit(groups, at_most=1), Include([1])])
    assert solve(problem, "greedy").order.tolist() == [1, 4]


def test_greedy_leaves_room_for_what_must_be_had():
    """Greedy would spend its picks elsewhere and end without an answer."""
    points = np.array([[0.0], [5.0], [5.5], [11.0]])
    rules = [GroupLimit(["x", "y", "z", "x"], at_least={"y": 1})]
    # It starts at 5.5, the mean being 5.4; of the others row 1 is the nearest, but is needed.
    assert solve(KCenter(points, 2, constraints=rules), "greedy").order.tolist() == [2, 1]
    assert solve(KCenter(points, 3, constraints=rules), "greedy").order.tolist() == [2, 0, 1]


@pytest.mark.parametrize("outliers", [0, 3])
def test_limits_that_never_bind_change_no_pick(outliers):
    """Constraints would cost quality where they ask for nothing."""
    rng = np.random.default_rng(3)
    points = rng.normal(size=(3_000, 8)).astype(np.float32)
    rules = [Cost(np.ones(3_000), 1e6), GroupLimit(np.arange(3_000) // 10, at_most=10)]
    plain = solve(KCenter(points, 40, outliers=outliers), "greedy")
    limited = solve(KCenter(points, 40, outliers=outliers, constraints=rules), "greedy")
    assert limited.order.tolist() == plain.order.tolist()
    assert limited.bound == plain.bound
