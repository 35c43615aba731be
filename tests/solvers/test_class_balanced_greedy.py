"""The greedy method against algorithm 2 of the thesis, written out plainly."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import ClassBalanced, Forbid, Include, solve
from labelcut.problems.base import Status, StoppedBy
from labelcut.solvers import dispatch
from labelcut.solvers._clock import Clock, OutOfTime
from labelcut.solvers.class_balanced import greedily


def next_costs(probs, utility, target, balance, chosen):
    """Return line 3 of algorithm 2 for every row: -u_i + λ‖Ω - Pᵀz - p_i‖₁."""
    counts = probs[chosen].sum(axis=0)
    return -utility + balance * np.abs(target - counts - probs).sum(axis=1)


def algorithm_2(probs, utility, target, balance, budget, allowed, included):
    """Return the rows of algorithm 2 in their order, in exact arithmetic, ties to the lowest."""
    exact = np.vectorize(Fraction, otypes=[object])
    probs, utility, target = exact(probs), exact(utility), exact(target)
    chosen = list(included)
    while len(chosen) < budget:
        costs = next_costs(probs, utility, target, Fraction(balance), chosen)
        chosen.append(min((row for row in allowed if row not in chosen), key=lambda i: costs[i]))
    return chosen


@st.composite
def dyadic(draw):
    """Return instances full of ties whose arithmetic is exact in binary floating point."""
    size, classes = draw(st.integers(2, 25)), draw(st.integers(1, 10))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    probs = rng.multinomial(8, rng.dirichlet(np.ones(classes)), size=size) / 8
    if draw(st.booleans()):
        probs = probs[rng.integers(0, max(size // 4, 1), size)]
    utility = rng.integers(0, draw(st.sampled_from([1, 2, 8])), size) / 8
    rows = rng.permutation(size)
    forbidden = rows[: draw(st.integers(0, size // 2))]
    allowed = np.sort(rows[len(forbidden) :])
    budget = draw(st.integers(1, len(allowed)))
    included = np.sort(rng.choice(allowed, draw(st.integers(0, budget)), replace=False))
    target = rng.integers(0, 8 * budget, classes) / 8 / draw(st.sampled_from([1, 4]))
    balance = draw(st.sampled_from([0.0, 0.25, 1.0, 2.0**20]))
    return probs, utility, target, balance, budget, forbidden, included, allowed


@pytest.mark.parametrize("pool", [1, 4, 2048])
@settings(max_examples=120)
@given(instance=dyadic())
def test_greedy_is_algorithm_2(pool, instance):
    """Lazy evaluation would choose other rows than the paper, or break ties another way."""
    probs, utility, target, balance, budget, forbidden, included, allowed = instance
    problem = ClassBalanced(
        probs,
        utility,
        budget,
        balance=balance,
        target=target,
        constraints=[Include(included), Forbid(forbidden)],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(greedily, "POOL", pool)
        solution = solve(problem, "greedy")
    expected = algorithm_2(probs, utility, target, balance, budget, allowed, included)
    assert solution.order.tolist() == expected
    assert solution.indices.tolist() == sorted(expected)


@pytest.mark.parametrize("pool", [1, 7, 2048])
def test_every_pick_is_the_cheapest_next_row(monkeypatch, pool):
    """On real numbers too each row chosen must be the best next one, up to rounding."""
    monkeypatch.setattr(greedily, "POOL", pool)
    for seed in range(25):
        rng = np.random.default_rng(seed)
        size, classes, budget = 300, int(rng.integers(1, 20)), 40
        probs = rng.dirichlet(np.full(classes, rng.choice([0.05, 1.0])), size=size)
        utility, balance = rng.normal(size=size), float(rng.choice([0.01, 1.0, 50.0]))
        target = rng.dirichlet(np.ones(classes)) * budget * rng.choice([0.2, 1.0, 3.0])
        problem = ClassBalanced(probs, utility, budget, balance=balance, target=target)
        order = solve(problem, "greedy").order
        for at, row in enumerate(order):
            costs = next_costs(probs, utility, target, balance, order[:at])
            costs[order[:at]] = np.inf
            assert costs[row] <= costs.min() + 1e-11 * max(1.0, balance)


def test_more_rows_than_the_pool_and_a_class_that_fills_up():
    """Old costs of rows outside the pool would pass for present ones.

    Hand-worked: 3,000 rows of class 0 with utility 1, then 3,000 of class 1 with 0.9, room for 2 of
    class 0. The third row of class 0 would cost -1 + 2λ = 0, so class 1 is next.
    """
    probs = np.repeat(np.eye(2), 3000, axis=0)
    utility = np.repeat([1.0, 0.9], 3000)
    problem = ClassBalanced(probs, utility, 4, balance=0.5, target=[2.0, 2.0])
    assert greedily.POOL < 3000
    assert solve(problem, "greedy").order.tolist() == [0, 1, 3000, 3001]


def test_included_rows_fill_their_classes_first():
    """Room that the included rows take would be given away twice."""
    probs = np.repeat(np.eye(2), 3, axis=0)
    utility = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    problem = ClassBalanced(
        probs, utility, 3, balance=1.0, target=[1.0, 2.0], constraints=[Include([2])]
    )
    assert solve(problem, "greedy").order.tolist() == [2, 3, 4]


def test_labeled_rows_full_of_nan_are_never_looked_at():
    """NaN in a row that is labeled already would win, or poison, every comparison."""
    probs, utility = np.full((5, 2), 0.5), np.ones(5)
    probs[[0, 3]], utility[[0, 3]] = np.nan, np.nan
    problem = ClassBalanced(probs, utility, 3, labeled=[0, 3], target=[1.0, 1.0])
    assert solve(problem, "greedy").order.tolist() == [1, 2, 4]


def test_greedy_claims_nothing_about_the_optimum():
    """A heuristic must not look like a proof."""
    problem = ClassBalanced([[0.9, 0.1], [0.2, 0.8]], [0.3, 0.5], 1)
    solution = solve(problem, "greedy")
    assert solution.bound is solution.gap is solution.certificate is None
    assert solution.status is Status.FEASIBLE
    assert solution.stopped_by is StoppedBy.EXHAUSTED


def test_out_of_time_it_falls_back_on_top_utility(monkeypatch):
    """A limit that passes half-way would leave nothing to label."""

    class Late(Clock):
        def check(self):
            raise OutOfTime

    monkeypatch.setattr(dispatch, "Clock", Late)
    problem = ClassBalanced(np.full((6, 2), 0.5), [1.0, 3.0, 2.0, 0.0, 5.0, 4.0], 3)
    solution = solve(problem, "greedy")
    assert solution.indices.tolist() == [1, 4, 5]
    assert solution.stopped_by is StoppedBy.TIME
