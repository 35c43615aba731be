"""Swaps near the threshold against brute force, and the loop that anneals them."""

from itertools import combinations, product

import numpy as np
import pytest

from labelcut import ClassBalanced, Forbid, Include
from labelcut.problems.distances import L2, NAMES, SquaredL2
from labelcut.problems.synthetic import long_tailed_pool
from labelcut.solvers._clock import Clock, OutOfTime
from labelcut.solvers.class_balanced import _kernels, improvement
from labelcut.solvers.class_balanced.dual import solve_dual
from labelcut.solvers.class_balanced.improvement import SCHEDULES, Annealing, polish, rank
from labelcut.solvers.class_balanced.relaxation import relax
from labelcut.solvers.search import Search

NORMS = [name for name in NAMES if name != "wasserstein"]


def small(seed, name, size=14):
    """Return a search on a small problem with fixed rows, with the top rows as its answer."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(3, 0.5), size=size)
    if seed % 3 == 0:
        probs[1::2] = probs[0]
    problem = ClassBalanced(
        probs,
        np.round(rng.random(size), 1 if seed % 2 else 9),
        5,
        balance=0.7,
        target=rng.random(3) * 4,
        distance=name,
        ground_cost=1 - np.eye(3) if name == "wasserstein" else None,
        labeled=[2],
        constraints=[Include([4]), Forbid([7, 8])],
    )
    search = Search(problem=problem, clock=Clock(), gap_tol=0, abs_gap_tol=0)
    search.offer(problem.top_rows())
    return search


def ranked(search):
    """Return the ranking of a search's problem by its best multipliers."""
    dual = solve_dual(search.problem, search.clock)
    return rank(search.problem, dual, search.problem.lower_bound(dual.multipliers))


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("seed", range(6))
def test_no_single_swap_betters_what_is_polished(name, seed):
    """The table of distances would belong to other swaps than those that are made."""
    search = small(seed, name)
    polish(search, ranked(search))
    problem, rows = search.problem, search.rows
    free = np.setdiff1d(rows, problem.included)
    for out, into in product(free, np.setdiff1d(problem.selectable, rows)):
        swapped = np.append(np.setdiff1d(rows, [out]), into)
        assert problem.evaluate(swapped).objective >= search.best.objective - 1e-9


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(4))
def test_annealing_finds_the_optimum_of_a_small_problem(name, seed):
    """Swaps would be lost between the loop and the answer, or rows that are fixed be swapped."""
    search = small(seed, name)
    problem = search.problem
    open_rows = np.setdiff1d(problem.selectable, problem.included)
    more = combinations(open_rows, problem.budget - len(problem.included))
    best = min(problem.evaluate([*problem.included, *rows]).objective for rows in more)
    Annealing(search, ranked(search)).run(16)
    assert search.best.objective == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("kind", [_kernels.L1, _kernels.L2, _kernels.SQUARED])
@pytest.mark.parametrize("cold", [0.5, 0.005])
def test_the_loop_returns_the_change_of_the_selection_it_leaves(kind, cold):
    """Annealings would be compared by numbers that are not theirs."""
    rng = np.random.default_rng(kind)
    probs, costs = rng.dirichlet(np.ones(5), size=40), rng.random(40) / 10
    target = rng.random(5) * 8
    metric = {_kernels.L1: lambda e: np.abs(e).sum(), _kernels.L2: L2().value}
    value = metric.get(kind, SquaredL2().value)

    def objective(rows):
        return costs[rows].sum() + 1.5 * value(target - probs[rows].sum(axis=0))

    chosen, others = np.arange(15), np.arange(15, 40)
    before, shortfall = objective(chosen), target - probs[:15].sum(axis=0)
    change, taken = _kernels.anneal(
        probs, costs, shortfall, chosen, others, 1.5, kind, 0.5, cold, 20_000, 3
    )
    np.testing.assert_array_equal(np.sort(np.concatenate([chosen, others])), np.arange(40))
    assert change < 0
    assert objective(chosen) - before == pytest.approx(change, abs=1e-9)
    assert 0 < taken < 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_row_astray_keeps_the_gap_open(seed):
    """Greedy picks far from the threshold would stay, as they are in no band around it."""
    pool = long_tailed_pool(20_000, 10, seed=seed)
    problem = ClassBalanced(pool.probs, pool.utility, 1_000)
    search = Search(problem=problem, clock=Clock(), gap_tol=0, abs_gap_tol=0)
    _, ranking = relax(search)
    far = np.append(ranking.rows[: ranking.more - 1], ranking.rows[ranking.more + 5_000])
    rows, chosen, others = improvement._near(far, ranking, 30)
    assert len(rows) == 61
    assert ranking.rows[ranking.more + 5_000] in rows[chosen]
    assert ranking.rows[ranking.more - 1] in rows[others]
    search.best, search.rows = problem.evaluate(far), np.sort(far)
    polish(search, ranking)
    assert ranking.rows[ranking.more + 5_000] not in search.rows


def test_the_better_half_of_the_schedules_goes_on(monkeypatch):
    """Time would go to schedules that do not suit the pool."""
    search = small(1, "l1")
    annealing = Annealing(search, ranked(search))
    starts = []

    def claims(_, start, band, hot, cold, length):
        starts.append((band, hot, cold) if (band, hot, cold) in SCHEDULES else None)
        return -SCHEDULES.index(starts[-1]) if starts[-1] else 0.0

    monkeypatch.setattr(annealing, "_anneal", claims)
    annealing.run(200)
    made = [schedule for schedule in starts if schedule]
    assert made[:8] == list(SCHEDULES)
    assert made[8:12] == list(SCHEDULES[:3:-1])
    assert set(made[12:]) == set(SCHEDULES[-2:])
    assert len(starts) > 2 * len(made)


def test_annealing_stops_with_its_best_at_the_limit():
    """What was found since the last offer would be lost when the clock runs out."""
    search = small(1, "l1")
    ranking = ranked(search)
    Annealing(search, ranking).run(1)
    before, search.clock = search.best.objective, Clock(0.0)
    with pytest.raises(OutOfTime):
        Annealing(search, ranking).run(1)
    assert search.best.objective <= before


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_long_tailed_pool_comes_within_5e_5_of_its_bound(seed):
    """Answers on the benchmark's pool of ten classes would be as far off as they once were."""
    pool = long_tailed_pool(45_000, 10, seed=seed)
    problem = ClassBalanced(pool.probs, pool.utility, 2_500)
    search = Search(problem=problem, clock=Clock(), gap_tol=0, abs_gap_tol=0)
    _, ranking = relax(search)
    Annealing(search, ranking).run(24)
    assert search.best.objective - search.bound <= 5e-5 * abs(search.best.objective)
