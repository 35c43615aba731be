"""Greedy k-center against farthest-first written out plainly, and its bound against brute force."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from labelcut import Forbid, Include, KCenter, check, load, solve
from labelcut.problems.base import Status, StoppedBy
from labelcut.problems.factored import Factored
from labelcut.solvers import dispatch
from labelcut.solvers._clock import Clock, OutOfTime
from labelcut.solvers.k_center import suppliers

METRICS = ("euclidean", "squared-euclidean", "cosine")


def table(points, metric="euclidean"):
    """Return all distances in float64, straight from the formula."""
    points = np.asarray(points, dtype=np.float64)
    if metric == "cosine":
        points = points / np.sqrt((points**2).sum(axis=1))[:, None]
    squared = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    return {"euclidean": np.sqrt(squared), "squared-euclidean": squared, "cosine": squared / 2}[
        metric
    ]


def farthest_first(apart, first, budget, fixed=()):
    """Return farthest-first's rows, ties to the lowest, and the radius after each of them."""
    chosen = [] if len(fixed) else [first]
    radii = []
    while True:
        near = apart[:, [*fixed, *chosen]].min(axis=1)
        if chosen:
            radii.append(near.max())
        if len(chosen) == budget:
            return chosen, radii
        near[[*fixed, *chosen]] = -1.0
        chosen.append(int(near.argmax()))


def least_radius(apart, budget, allowed, fixed, outliers):
    """Return the optimum over all subsets of the allowed rows."""
    rest = [row for row in allowed if row not in fixed]
    return min(
        np.sort(apart[:, [*fixed, *rows]].min(axis=1))[len(apart) - 1 - outliers]
        for rows in combinations(rest, budget)
        if len(fixed) + budget
    )


def drawn(rng, size, dimension, kind):
    """Return points: a grid full of ties, clusters with duplicates, or plain noise."""
    if kind == "grid":
        return rng.integers(0, 3, (size, dimension)).astype(np.float64) + 1.0
    if kind == "copies":
        return rng.normal(size=(max(size // 3, 1), dimension))[
            rng.integers(0, max(size // 3, 1), size)
        ]
    return rng.normal(size=(size, dimension)) + rng.choice([0.0, 50.0])


@pytest.mark.usefixtures("small_pools")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["grid", "copies", "noise"])
def test_lazy_is_plain_farthest_first(metric, kind):
    """Old bounds outside the pool, or float32, would choose other rows than the plain method."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        size = int(rng.integers(4, 60))
        # On a grid of few dimensions float64 is exact in both, so that ties are ties.
        dimension = 3 if kind == "grid" else int(rng.choice([2, 24]))
        points = drawn(rng, size, dimension, kind)
        labeled = rng.permutation(size)[: int(rng.integers(0, 4))]
        budget = int(rng.integers(1, size - len(labeled) + 1))
        problem = KCenter(points, budget, metric=metric, labeled=labeled)
        apart = problem.space.between(np.arange(size), np.arange(size))
        np.testing.assert_allclose(apart, table(points, metric), atol=1e-9)
        solution = solve(problem, "greedy", gap_tol=0, abs_gap_tol=0)
        chosen, radii = farthest_first(apart, problem.space.start(), budget, np.sort(labeled))
        assert solution.order.tolist() == chosen
        assert solution.info["curve"] == radii
        assert solution.objective == radii[-1]


FORMS = {
    "float64": lambda points: points,
    "float32": lambda points: points.astype(np.float32),
    "float16": lambda points: points.astype(np.float16),
    "torch": lambda points: torch.from_numpy(points.astype(np.float32)),
    "bfloat16": lambda points: torch.from_numpy(points).to(torch.bfloat16),
    "shards": lambda points: [points[:50], points[50:51], points[51:]],
    "integers": lambda points: np.round(points * 8).astype(np.int64),
}


@pytest.mark.usefixtures("small_pools")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("form", [*FORMS, "memmap"])
def test_every_kind_of_array_is_chosen_from_alike(form, metric, tmp_path):
    """A pool in float32 or on another backend would differ from the points as they are stored."""
    points = np.random.default_rng(4).normal(size=(200, 40)) + 30.0
    if form == "memmap":
        np.save(tmp_path / "x.npy", points.astype(np.float32))
        given = np.load(tmp_path / "x.npy", mmap_mode="r")
    else:
        given = FORMS[form](points)
    problem = KCenter(given, 40, metric=metric, labeled=[3, 9])
    apart = problem.space.between(np.arange(200), np.arange(200))
    chosen, _ = farthest_first(apart, None, 40, [3, 9])
    assert solve(problem, "greedy").order.tolist() == chosen


@pytest.mark.usefixtures("small_pools")
@pytest.mark.parametrize("metric", METRICS)
def test_outer_products_are_chosen_from_unexpanded(metric):
    """The factored engine would choose other rows than farthest-first on the products."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        space = Factored(rng.normal(size=(70, 4)), rng.normal(size=(70, 9)), metric)
        problem = KCenter(space, 25)
        apart = space.between(np.arange(70), np.arange(70))
        solution = solve(problem, "greedy")
        chosen, radii = farthest_first(apart, space.start(), 25)
        assert solution.order.tolist() == chosen
        assert solution.objective == radii[-1]
        assert problem.prove(solution.certificate) == pytest.approx(solution.bound)


@pytest.mark.parametrize("as_function", [False, True])
def test_given_distances_need_no_triangle_inequality(as_function):
    """Half the distance of two rows would be taken for a bound where a third is near both."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        size, budget = 9, int(rng.integers(1, 4))
        apart = np.triu(rng.integers(1, 9, (size, size)).astype(np.float64), 1)
        apart += apart.T
        given = (lambda rows, apart=apart: apart[rows]) if as_function else apart
        problem = KCenter.from_distances(given, budget, size=size if as_function else None)
        solution = solve(problem, "greedy")
        chosen, radii = farthest_first(apart, problem.space.start(), budget)
        assert solution.order.tolist() == chosen
        assert solution.objective == radii[-1]
        assert problem.prove(solution.certificate) == solution.bound
        assert solution.bound <= least_radius(apart, budget, range(size), [], 0)


@pytest.mark.parametrize("threads", [1, 3])
def test_many_rows_in_many_dimensions(threads):
    """The pool's real sizes, float32, growing pools and threads would fail where toys pass."""
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(30, 64)) * 3.0
    points = (middles[rng.integers(0, 30, 6000)] + rng.normal(size=(6000, 64))).astype(np.float32)
    problem = KCenter(points, 300, labeled=np.arange(50))
    with threadpool_limits(threads, user_api="blas"):
        solution = solve(problem, "greedy")
    near = problem.to_fixed[1].copy()
    for row in solution.order:
        assert row == near.argmax()
        near = np.minimum(near, problem.space.between(np.array([row]), np.arange(6000))[0])
    assert solution.objective == near.max()
    assert 1 < solution.info["passes"] < 100


@pytest.mark.usefixtures("small_pools")
def test_rows_measured_to_a_few_labeled_ones_are_never_named_for_it():
    """An old distance to some of the labeled rows would pass for the distance to all of them."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        points = rng.integers(0, 3, (60, int(rng.choice([3, 20])))).astype(np.float32)
        labeled = np.sort(rng.choice(60, int(rng.integers(1, 20)), replace=False))
        problem = KCenter(points, 20, labeled=labeled)
        apart = problem.space.between(np.arange(60), np.arange(60))
        chosen, radii = farthest_first(apart, None, 20, labeled.tolist())
        solution = solve(problem, "greedy")
        assert solution.order.tolist() == chosen
        assert solution.objective == radii[-1]
        assert problem.known_to_fixed is None
        assert problem.prove(solution.certificate) == pytest.approx(solution.bound)


@st.composite
def instances(draw):
    """Return small problems with labeled, outlying, restricted, included and doubled rows."""
    size = draw(st.integers(3, 10))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    points = drawn(rng, size, draw(st.sampled_from([1, 2, 20])), draw(st.sampled_from(KINDS)))
    rows = rng.permutation(size)
    labeled = rows[: draw(st.integers(0, 2))]
    forbidden = rows[len(labeled) : len(labeled) + draw(st.integers(0, size - 1 - len(labeled)))]
    allowed = np.sort(rows[len(labeled) + len(forbidden) :])
    budget = draw(st.integers(1, min(len(allowed), 4)))
    included = np.sort(rng.choice(allowed, draw(st.integers(0, budget)), replace=False))
    outliers = draw(st.sampled_from([0, 0, 1, 2]))
    return points, labeled, forbidden, allowed, budget, included, outliers


KINDS = ("grid", "copies", "noise")


@pytest.mark.usefixtures("small_pools")
@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=120)
@given(instance=instances())
def test_no_selection_beats_the_bound_and_greedy_is_near(metric, instance):
    """A bound above the optimum would be a false proof; greedy's guarantee would not hold."""
    points, labeled, forbidden, allowed, budget, included, outliers = instance
    problem = KCenter(
        points,
        budget,
        metric=metric,
        outliers=outliers,
        labeled=labeled,
        constraints=[Include(included), Forbid(forbidden)],
    )
    solution = solve(problem, "greedy")
    every = np.arange(len(points))
    apart = problem.space.between(every, every)
    fixed = [int(row) for row in problem.fixed]
    best = least_radius(apart, budget - len(included), allowed, fixed, outliers)
    assert solution.bound <= best
    assert problem.prove(solution.certificate) == solution.bound
    if not outliers:
        times = 2 if not len(forbidden) else 3
        share = times if metric == "euclidean" else times**2
        assert best <= solution.objective <= share * best * (1 + 1e-9) + 1e-12


def test_the_certificate_is_checked_from_its_file(tmp_path):
    """A bound that nobody else can check would be a claim."""
    points = np.random.default_rng(1).normal(size=(300, 20)).astype(np.float32)
    for outliers in (0, 5):
        problem = KCenter(points, 20, outliers=outliers, labeled=[7])
        solution = solve(problem, "greedy")
        solution.save(tmp_path / "s.json")
        assert solution.bound >= solution.objective / 2 * (1 - 1e-9) or outliers
        assert solution.bound > 0
        assert check(problem, load(tmp_path / "s.json")).rows == 20


def test_outliers_are_not_taken_for_centers():
    """Farthest-first alone would spend its budget on the very rows that may be left out.

    Hand-worked: clusters at 0 and 10, strays at 100 and -200. Two centers and two outliers leave 1.
    """
    points = np.array([[0.0], [1.0], [10.0], [11.0], [100.0], [-200.0]])
    assert solve(KCenter(points, 2, outliers=2, metric="euclidean"), "greedy").objective <= 2.0


def test_rows_that_may_not_be_chosen_are_covered_by_their_nearest():
    """Farthest-first among candidates alone would leave the far rows of the others uncovered."""
    points = np.array([[0.0], [1.0], [2.0], [20.0], [30.0]])
    problem = KCenter(points, 1, labeled=[0], candidates=[1, 2])
    solution = solve(problem, "greedy")
    assert solution.indices.tolist() == [2]
    # Row 30 lies 28 from every possible center, and that proves the answer.
    assert solution.status is Status.OPTIMAL
    assert solution.bound == 28.0


@pytest.mark.usefixtures("small_pools")
@pytest.mark.parametrize("at_once", [1, 64])
def test_suppliers_found_together_are_those_found_alone(monkeypatch, at_once):
    """Looking ahead for many rows would change which rows are chosen."""
    monkeypatch.setattr(suppliers, "AT_ONCE", at_once)
    rng = np.random.default_rng(2)
    points = rng.normal(size=(300, 20))
    candidates = np.sort(rng.choice(300, 90, replace=False))
    problem = KCenter(points, 30, candidates=candidates)
    apart = problem.space.between(np.arange(300), np.arange(300))
    start = problem.space.start()
    chosen, done = [start if start in candidates else int(candidates[0])], set()
    while len(chosen) < 30:
        near = apart[:, chosen].min(axis=1)
        near[[*chosen, *done]] = -1.0
        row = int(near.argmax())
        supplier = int(candidates[apart[row, candidates].argmin()])
        done.add(row)
        if apart[row, supplier] < near[row]:
            chosen.append(supplier)
    assert solve(problem, "greedy").order.tolist() == chosen


def test_fewer_distinct_rows_than_the_budget():
    """Once every row lies on a center there is no farthest one, and nothing would be chosen."""
    solution = solve(KCenter(np.ones((6, 3)), 4), "greedy")
    assert solution.indices.tolist() == [0, 1, 2, 3]
    assert solution.objective == 0.0
    assert solution.status is Status.OPTIMAL


@pytest.mark.parametrize("method", ["greedy", "k-means++"])
@pytest.mark.parametrize("outliers", [0, 1])
def test_every_candidate_may_be_asked_for(method, outliers):
    """A budget of all candidates would run out of rows to compare."""
    points = np.arange(12.0).reshape(6, 2)
    solution = solve(KCenter(points, 5, labeled=[2], outliers=outliers), method)
    assert solution.indices.tolist() == [0, 1, 3, 4, 5]
    included = KCenter(points, 2, outliers=outliers, constraints=[Include([0, 5])])
    answer = solve(included, method)
    assert answer.indices.tolist() == [0, 5]
    assert method != "greedy" or answer.status is Status.OPTIMAL


@pytest.mark.parametrize("method", ["greedy", "k-means++"])
@pytest.mark.parametrize("looks", [0, 1, 5, 12])
@pytest.mark.parametrize("more", [{}, {"labeled": [0]}, {"candidates": [1, 2, 5, 6, 7, 8, 9]}])
def test_out_of_time_there_is_an_answer(monkeypatch, method, looks, more):
    """A limit that passes half-way would leave nothing to label."""

    class Late(Clock):
        left = looks

        def check(self):
            self.left -= 1
            if self.left < 0:
                raise OutOfTime

    monkeypatch.setattr(dispatch, "Clock", Late)
    points = np.random.default_rng(0).normal(size=(50, 20))
    solution = solve(KCenter(points, 6, **more), method)
    assert len(solution.indices) == 6
    assert looks == 12 or solution.stopped_by is StoppedBy.TIME


def test_k_means_pp_draws_in_proportion_to_squared_distance():
    """Another power of the distance would be another method.

    Hand-worked: from a label at 0, rows at 1 and 2 are drawn 1 : 4.
    """
    problem = KCenter(np.array([[0.0], [1.0], [2.0]]), 1, labeled=[0])
    far = [solve(problem, "k-means++", seed=seed).indices[0] == 2 for seed in range(1500)]
    assert np.mean(far) == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize("metric", METRICS)
def test_k_means_pp_is_the_same_for_the_same_seed(metric):
    """A sampler beside the run's seed could not be repeated."""
    points = np.random.default_rng(0).normal(size=(200, 20))
    problem = KCenter(points, 20, metric=metric, labeled=[1])
    first, again = (solve(problem, "k-means++", seed=3) for _ in range(2))
    assert first.order.tolist() == again.order.tolist()
    assert first.order.tolist() != solve(problem, "k-means++", seed=4).order.tolist()


def test_k_means_pp_draws_no_copy_of_a_center():
    """What float32 leaves between two equal points would be taken for a distance."""
    rng = np.random.default_rng(0)
    points = np.repeat(rng.normal(size=(10, 40)).astype(np.float32), 30, axis=0)
    for seed in range(20):
        chosen = solve(KCenter(points, 10, metric="euclidean"), "k-means++", seed=seed).indices
        assert len(np.unique(chosen // 30)) == 10
