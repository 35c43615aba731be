"""Balanced coresets by swaps: local optima against brute force, and every part of the search."""

from itertools import combinations

import numpy as np
import pytest
from scipy.special import huber

from labelcut import (
    GroupLimit,
    Include,
    InfeasibleSelection,
    KCenter,
    Spacing,
    UnsupportedProblem,
    check,
    solve,
)
from labelcut.solvers._clock import Clock, OutOfTime
from labelcut.solvers.k_center import aiming, exact, exchanging, improving, swapping, trading
from labelcut.solvers.k_center.aiming import Aim, Table
from labelcut.solvers.k_center.exchanging import Exchange, Measured
from labelcut.solvers.k_center.trading import Balance
from labelcut.solvers.search import Search

DISTANCES = ("l1", "l2", "squared-l2", "chances")


def drawn(seed, distance="l1", size=16, budget=4, **changes):
    """Return a small problem with labeled, outlying, restricted and included rows, or without."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(size)
    labeled, rest = rows[: seed % 3], rows[seed % 3 :]
    candidates = np.sort(rest[: size - 4] if seed % 2 else rest)
    stated = {
        "outliers": int(seed % 4 == 3),
        "probs": rng.dirichlet(np.full(3, 0.4), size),
        "balance": float(rng.choice([0.05, 0.3, 1.0])),
        "distance": "l1" if distance == "chances" else distance,
        "labels": "chances" if distance == "chances" else "shares",
        "labeled": labeled,
        "labeled_counts": np.zeros(3),
        "candidates": candidates,
        "constraints": [Include(candidates[:1])] if seed % 5 == 0 else [],
    }
    return KCenter(rng.normal(size=(size, 3)), budget, **(stated | changes))


def best_neighbor(problem, chosen):
    """Return the least objective of what one swap makes of a selection, by trying all."""
    centers = np.setdiff1d(chosen, problem.included)
    found = [np.inf]
    for out in centers:
        for row in np.setdiff1d(problem.free, chosen):
            rows = np.append(np.setdiff1d(chosen, [out]), row)
            try:
                problem.check(rows)
            except InfeasibleSelection:
                continue
            found.append(problem.evaluate(rows).objective)
    return min(found)


def optimum(problem):
    """Return the least objective over all selections."""
    rest = combinations(problem.free, problem.to_choose)
    return min(problem.evaluate([*problem.included, *rows]).objective for rows in rest)


@pytest.mark.parametrize("distance", DISTANCES)
def test_no_swap_makes_the_answer_better(distance):
    """A swap would be judged by the wrong radius or balance, or never be looked at."""
    for seed in range(8):
        problem = drawn(seed, distance)
        solution = solve(problem, "improve", gap_tol=0)
        assert solution.objective <= best_neighbor(problem, solution.indices) + 1e-5
        assert solution.objective <= solve(problem, "greedy").objective
        check(problem, solution)


@pytest.mark.parametrize("distance", DISTANCES)
def test_most_answers_are_the_optimum(distance):
    """Radii that nothing is aimed at would leave small problems at poor local optima."""
    hits = 0
    for seed in range(8):
        problem = drawn(seed, distance, size=12, budget=3)
        best, found = optimum(problem), solve(problem, "improve", gap_tol=0).objective
        assert found >= best - 1e-9
        hits += found <= best + 1e-6
    assert hits >= 6


@pytest.mark.parametrize(("seed", "places"), [(1, 1), (8, 5), (23, 5)])
def test_answers_of_radius_zero_are_swapped_too(seed, places):
    """Swaps would end with the best balance at any radius, and leave greedy's answer as it was."""
    rng = np.random.default_rng(seed)
    points = 100.0 * rng.normal(size=(places, 2))[np.arange(12) % places]
    probs = rng.dirichlet(np.full(4, 0.4), 12)
    problem = KCenter(points, 5, probs=probs, balance=100.0, labels="chances")
    solution = solve(problem, "improve", gap_tol=0)
    assert solution.terms["radius"] == 0.0
    assert solution.objective <= best_neighbor(problem, solution.indices) + 1e-5


@pytest.mark.parametrize("seed", [15, 20, 43, 60])
@pytest.mark.parametrize("distance", ["l1", "l2", "squared-l2"])
def test_swaps_end_where_the_objective_is_rounding_alone(seed, distance):
    """Swaps that promise 0, and bring 1e-17 again, would go round and round."""
    rng = np.random.default_rng(seed)
    probs = rng.integers(1, 6, (60, 2)).astype(float)
    probs /= probs.sum(axis=1, keepdims=True)
    stated = {"probs": probs, "target": probs[:6].sum(axis=0), "distance": distance}
    problem = KCenter(np.zeros((60, 2)), 6, balance=1.0, **stated)
    search = Search(problem=problem, clock=Clock())
    swapping.swap_centers(search, problem.random_rows(rng), Looks(300))
    assert search.best.objective < 1e-14


CONSTRAINTS = {
    "groups": lambda: [GroupLimit(np.arange(16) % 4, at_most=1)],
    "asked for": lambda: [GroupLimit(np.arange(16) % 2, at_least={0: 3})],
    "spacing": lambda: [Spacing(None, np.arange(16), exclude_within=1)],
}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_swaps_keep_the_constraints_and_miss_none_that_do(name):
    """Answers would break a limit, or stop where a swap within the limits is better."""
    moved = 0
    for seed in (1, 2, 4, 7, 8):
        rules = CONSTRAINTS[name]()
        problem = drawn(seed, outliers=0, labeled=[seed], candidates=None, constraints=rules)
        solution = solve(problem, "improve", gap_tol=0)
        problem.check(solution.indices)
        assert solution.objective <= best_neighbor(problem, solution.indices) + 1e-5
        moved += solution.objective < solve(problem, "greedy").objective - 1e-9
    assert moved >= 3


def test_the_two_nearest_centers_stay_right_while_rows_trade_places():
    """Distances would be those of centers that have left."""
    rng = np.random.default_rng(0)
    for seed in range(6):
        problem = drawn(seed, "chances", size=30, budget=6)
        chosen = problem.random_rows(rng)
        every = np.arange(30)
        table = Table(problem, every, problem.free)
        for distances in (Measured(problem), table):
            fixed = problem.to_fixed[1]
            state = Exchange(problem, chosen, distances, fixed, problem.free)
            for _ in range(25):
                at = int(rng.integers(len(state.centers)))
                row = int(rng.choice(np.setdiff1d(problem.free, state.centers)))
                costs = state.costs(at)
                rows = np.append(np.delete(state.selection(), len(problem.included) + at), row)
                place = int(np.flatnonzero(state.rows == row)[0])
                told = problem.evaluate(rows)
                assert costs[place] == pytest.approx(told.objective - told.terms["radius"])
                state.swap(at, row)
                assert sorted(state.selection()) == sorted(rows)
                apart = np.column_stack([problem.space.between(every, state.centers), fixed])
                nearest = np.sort(apart, axis=1)
                np.testing.assert_allclose(state.near, nearest[:, 0], atol=1e-6)
                np.testing.assert_allclose(state.second, nearest[:, 1], atol=1e-6)
                np.testing.assert_allclose(apart[every, state.near_at], state.near, atol=1e-6)
                np.testing.assert_allclose(apart[every, state.second_at], state.second, atol=1e-6)


def test_few_distances_are_kept(monkeypatch):
    """Memory would grow with every row that was ever looked at."""
    monkeypatch.setattr(exchanging, "KEPT_BYTES", 0)
    problem = drawn(0)
    measured = Measured(problem)
    for row in (*range(16), 3, 3, 0):
        exact = problem.space.between(np.arange(16), np.array([row]))[:, 0]
        np.testing.assert_allclose(measured.to(row), exact, atol=1e-6)
        assert len(measured._kept) <= exchanging.FEWEST


@pytest.mark.parametrize("held", [True, False])
def test_rounded_balance_is_hubers(held, monkeypatch):
    """Rounding would change the term beyond δ, or jump at it."""
    monkeypatch.setattr(trading, "HELD_VALUES", 1 << 22 if held else 5)
    problem = drawn(1, "chances")
    balancing, chosen = problem.balancing, problem.random_rows(np.random.default_rng(1))
    balance = Balance(balancing, problem.free, chosen)
    for rounding in (0.0, 0.3, 1.0):
        balance.rounding = rounding
        out = int(np.setdiff1d(chosen, problem.fixed)[0])
        for place, row in enumerate(problem.free):
            rows = np.append(chosen[chosen != out], row)
            missing = balancing.target - balancing.probs.total(rows)
            size = np.abs(missing) if not rounding else huber(rounding, missing) / rounding
            expected = balancing.balance * (size.sum() + balancing.doubt[rows].sum())
            if row not in chosen:
                assert balance.without(out)[place] == pytest.approx(expected)


@pytest.mark.parametrize("outliers", [0, 2])
def test_aims_end_where_no_swap_pays_less(outliers, monkeypatch):
    """What lies beyond the radius would be paid wrongly, outliers too."""
    monkeypatch.setattr(aiming, "ROUNDINGS", (0.0,))
    monkeypatch.setattr(aiming, "SWEEPS", 100)
    moved = 0
    for seed in range(8):
        problem = drawn(seed, outliers=outliers, constraints=[])
        chosen = problem.random_rows(np.random.default_rng(seed))
        every = np.arange(problem.space.size)

        def paid(rows, radius, problem=problem, every=every):
            centers = np.union1d(rows, problem.labeled)
            near = problem.space.between(every, centers).min(axis=1)
            beyond = np.sort(np.maximum(near - radius, 0.0))[: len(near) - problem.outliers]
            found = problem.evaluate(rows)
            most = 0.0 if radius == np.inf else aiming.PRICE * beyond.sum()
            return found.objective - found.terms["radius"] + most

        for radius in (0.0, 0.8, 1.5, np.inf):
            rows = Aim(problem, chosen, Clock()).at(radius, chosen)
            least = min(
                paid(np.append(rows[rows != out], row), radius)
                for out in rows
                for row in np.setdiff1d(problem.free, rows)
            )
            assert paid(rows, radius) <= least + 1e-5
            moved += paid(rows, radius) < paid(chosen, radius) - 1e-6
    assert moved >= 24


def test_rounding_lets_surer_rows_in():
    """Single swaps keep what is balanced by ℓ1, however unsure: the reason for the rounding.

    Two classes; surer rows are 0.9 of their class, the others 0.6: swapping one of them shifts 0.3
    of a label from class to class, which costs more than its doubt; two swaps cost nothing.
    """
    sure, unsure = [0.9, 0.1], [0.6, 0.4]
    probs = np.array([unsure, unsure[::-1], sure, sure[::-1]] * 3)
    problem = KCenter(
        np.zeros((12, 2)),
        4,
        probs=probs,
        balance=1.0,
        labels="chances",
        target=[2.0, 2.0],
    )
    chosen = np.array([0, 1, 4, 5])
    aim = Aim(problem, chosen, Clock())
    assert set(aim.at(np.inf, chosen) % 4) == {2, 3}


def test_without_rounding_unsure_rows_would_stay(monkeypatch):
    """The test above would pass without what it is about."""
    monkeypatch.setattr(aiming, "ROUNDINGS", (0.0,))
    probs = np.array([[0.6, 0.4], [0.4, 0.6], [0.9, 0.1], [0.1, 0.9]] * 3)
    problem = KCenter(
        np.zeros((12, 2)), 4, probs=probs, balance=1.0, labels="chances", target=[2.0, 2.0]
    )
    chosen = np.array([0, 1, 4, 5])
    assert set(Aim(problem, chosen, Clock()).at(np.inf, chosen) % 4) == {0, 1}


@pytest.mark.parametrize("scale", [2.0**-100, 2.0**120, 2.0**200])
def test_distances_need_not_fit_float32(scale):
    """They would be infinite, with a warning, or all the same."""
    rng = np.random.default_rng(0)
    points, probs = rng.normal(size=(40, 3)), rng.dirichlet(np.ones(3), 40)
    plain, scaled = (
        solve(KCenter(points * by, 5, probs=probs, balance=by), "improve", gap_tol=0)
        for by in (1.0, scale)
    )
    assert scaled.objective == pytest.approx(plain.objective * scale, rel=1e-6)


def test_of_many_rows_some_stand_for_all(monkeypatch):
    """Distances would be held for all pairs, or rows be chosen that are no candidates."""
    problem = drawn(5, size=150, budget=8)
    whole = solve(problem, "improve")
    monkeypatch.setattr(aiming, "MOST", 60)
    start = solve(problem, "greedy").indices
    aim = Aim(problem, start, Clock())
    assert aim.table.held.shape[0] <= 61
    assert aim.table.held.shape[1] <= 61 + 8
    assert problem.is_free[aim.table.rows].all()
    sampled = solve(problem, "improve")
    problem.check(sampled.indices)
    assert sampled.objective <= best_neighbor(problem, sampled.indices) + 1e-5
    assert whole.objective <= sampled.objective <= solve(problem, "greedy").objective


def test_pairs_at_once_and_one_by_one_find_the_same(monkeypatch):
    """Candidates would be passed over where few of them are measured at once."""
    problem = drawn(3, size=60, budget=8)
    start = solve(problem, "greedy").indices
    answers = []
    for pairs in (0, 1 << 20):
        monkeypatch.setattr(swapping, "PAIRS", pairs)
        swaps = swapping._Swaps(problem, start)
        while any([swaps.improve(at) for at in range(len(swaps.centers))]):
            pass
        answers.append(sorted(swaps.selection()))
    assert answers[0] == answers[1]


def test_the_same_problem_gives_the_same_answer():
    """Figures in papers could not be repeated."""
    problem = drawn(2, "chances", size=120, budget=9)
    first, second = (solve(problem, "improve") for _ in range(2))
    np.testing.assert_array_equal(first.indices, second.indices)
    assert first.info["radii"] > improving.RADII + 1  # the infinite one among them


class Looks(Clock):
    """A clock that runs out after so many looks."""

    def __init__(self, most):
        super().__init__()
        self.left = most

    def check(self):
        """Count a look."""
        self.left -= 1
        if self.left < 0:
            raise OutOfTime


def test_time_that_runs_out_brings_the_best_so_far():
    """Nothing would come back from a search that was cut short."""
    problem = drawn(4, size=150, budget=12)
    start = problem.random_rows(np.random.default_rng(0))
    search = Search(problem=problem, clock=Clock())
    with pytest.raises(OutOfTime):
        swapping.swap_centers(search, start, Looks(8))
    problem.check(search.rows)
    assert search.best.objective < problem.evaluate(start).objective


def test_rows_that_the_constraints_bar_are_not_tried_one_by_one(monkeypatch):
    """Each would be checked against all constraints, for every center in every sweep."""
    refused = []
    real = Exchange.allows

    def spy(self, at, row):
        refused.append(not real(self, at, row))
        return not refused[-1]

    monkeypatch.setattr(Exchange, "allows", spy)
    solve(drawn(8, labeled=None, constraints=CONSTRAINTS["groups"]()), "improve")
    assert len(refused) > 3
    assert not any(refused)


def test_exact_begins_with_the_swaps(monkeypatch):
    """Larger problems, which branch and bound leaves alone, would end at greedy's answer."""
    problem = drawn(6, size=120, budget=9)
    monkeypatch.setattr(exact, "solve_balanced", lambda *_: None)
    found, improved = (solve(problem, method).objective for method in ("exact", "improve"))
    assert found == improved < solve(problem, "greedy").objective


def test_nothing_to_choose_and_one_row():
    """Empty searches would fail."""
    probs = np.eye(2)
    bare = KCenter([[0.0], [3.0]], 1, probs=probs, balance=1.0, target=[0.5, 0.5])
    assert solve(bare, "improve").objective == pytest.approx(4.0)
    included = KCenter([[0.0], [3.0]], 1, probs=probs, balance=1.0, constraints=[Include([1])])
    np.testing.assert_array_equal(solve(included, "improve").indices, [1])
    every = KCenter([[0.0], [3.0]], 2, probs=probs, balance=1.0)
    np.testing.assert_array_equal(solve(every, "improve").indices, [0, 1])


def test_ground_costs_are_refused_with_who_can():
    """Swaps would be judged by the wrong distance."""
    problem = drawn(0, "wasserstein", ground_cost=1.0 - np.eye(3))
    with pytest.raises(UnsupportedProblem, match=r"wasserstein.*exact"):
        solve(problem, "improve")
