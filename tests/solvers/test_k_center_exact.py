"""Exact k-center against brute force, attacks on its bound, and the limits it keeps."""

import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import CheckFailed, Factored, Forbid, Include, KCenter, check, load, solve
from labelcut.problems.base import Status, StoppedBy
from labelcut.solvers.k_center import bisection

STRICT = {"gap_tol": 0, "abs_gap_tol": 0}
METRICS = ("euclidean", "squared-euclidean", "cosine")
SPACES = (*METRICS, "given distances", "factored")


@st.composite
def instances(draw):
    """Return small problems with labeled, outlying, restricted, included and doubled rows."""
    size = draw(st.integers(2, 10))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    points = {
        "grid": rng.integers(1, 5, (size, 2)).astype(np.float64),
        "line": rng.integers(1, 9, (size, 1)).astype(np.float64),
        "noise": rng.normal(size=(size, 3)) + 1.0,
        "strays": rng.normal(size=(size, 2)) + rng.choice([1.0, 1.0, 50.0], size)[:, None],
    }[draw(st.sampled_from(["grid", "line", "noise", "strays"]))]
    rows = rng.permutation(size)
    labeled = rows[: draw(st.integers(0, min(size - 1, 2)))]
    open_rows = rows[len(labeled) :]
    forbidden = open_rows[: draw(st.integers(0, min(len(open_rows) - 1, 1)))]
    allowed = np.sort(open_rows[len(forbidden) :])
    candidates = allowed[: draw(st.integers(1, len(allowed)))]
    budget = draw(st.integers(1, min(len(candidates), 4)))
    included = rng.permutation(candidates)[: draw(st.integers(0, budget))]
    given = {
        "budget": budget,
        "outliers": draw(st.integers(0, min(size - 1, 3))),
        "labeled": labeled,
        "candidates": np.union1d(candidates, forbidden),
        "constraints": [Include(included), Forbid(forbidden)],
    }
    kind = draw(st.sampled_from(SPACES))
    if kind == "given distances":
        apart = np.triu(rng.integers(1, 9, (size, size)).astype(np.float64), 1)
        return KCenter.from_distances(apart + apart.T, **given)
    if kind == "factored":
        return KCenter(Factored(points, rng.normal(size=(size, 2)) + 2.0), **given)
    return KCenter(points, metric=kind, **given)


@pytest.fixture(scope="module")
def answer_file(tmp_path_factory):
    """Return the path of a file to write answers to."""
    return tmp_path_factory.mktemp("answers") / "s.json"


@pytest.mark.parametrize("added", [bisection.ADDED, 1])
@settings(max_examples=150)
@given(problem=instances())
def test_exact_is_the_optimum_over_all_subsets(least_radius, added, answer_file, problem):
    """A worse selection would be called optimal, or a bound be false, or not survive its file.

    The sample begins with all rows where it grows by many at a time; by one at a time it grows.
    """
    optimum = least_radius(problem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bisection, "ADDED", added)
        solution = solve(problem, "exact", **STRICT)
        improved = solve(problem, "improve", **STRICT)
    assert solution.objective == optimum
    assert solution.bound == optimum
    assert solution.status is Status.OPTIMAL
    check(problem, solution)
    solution.save(answer_file)
    assert check(problem, load(answer_file)).bound == solution.bound
    assert optimum <= improved.objective <= solve(problem, "greedy", **STRICT).objective
    assert improved.bound is None or improved.bound <= optimum
    check(problem, improved)


def test_nothing_is_refuted_that_local_search_failed_to_find(least_radius, monkeypatch):
    """A false refutation would hide behind local search as long as that finds all covers."""
    monkeypatch.setattr(bisection.Bisection, "_local_search", lambda *_: None)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        problem = KCenter(rng.normal(size=(10, 2)), 3, outliers=seed % 3, labeled=[seed % 10])
        solution = solve(problem, "exact", **STRICT)
        optimum = least_radius(problem)
        assert solution.objective == solution.bound == optimum
        check(problem, solution)


@pytest.mark.parametrize("method", ["exact", "improve"])
@pytest.mark.parametrize("share", [0.0, 2.0])
def test_covers_that_lead_nowhere_end_in_an_error(method, share, monkeypatch):
    """The search would go on for ever.

    Once begun, all rows are taken for covered, or all for uncovered, the sampled ones too.
    """
    measured = bisection.center_distances

    def wrong(problem, chosen, radius):
        distances, nearest = measured(problem, chosen, radius)
        return distances if radius < 0 else np.full_like(distances, share * radius), nearest

    problem = KCenter(clusters(40), 6)
    monkeypatch.setattr(bisection, "center_distances", wrong)
    with pytest.raises(AssertionError, match=r"larger radius|new to the sample"):
        solve(problem, method, time_limit=10, **STRICT)


def clusters(size=300, dimension=2, seed=0):
    """Return points in clusters of many sizes."""
    rng = np.random.default_rng(seed)
    middles = 4.0 * rng.normal(size=(size // 10, dimension))
    return middles[rng.integers(len(middles), size=size)] + rng.normal(size=(size, dimension))


@pytest.mark.parametrize(("outliers", "budget"), [(0, 8), (4, 5)])
def test_no_selection_of_many_beats_the_bound(outliers, budget):
    """A false bound would show where brute force does not reach."""
    points = clusters()
    problem = KCenter(points, budget, outliers=outliers, labeled=[3, 50])
    solution = solve(problem, "exact", time_limit=30, **STRICT)
    assert solution.bound > solve(problem, "greedy").bound
    apart = problem.space.between(np.arange(300), np.arange(300))
    rng = np.random.default_rng(1)
    place = 299 - outliers
    for turn in range(5_000):
        rows = rng.choice(problem.free, budget, replace=False)
        if turn % 2:  # near the best selection
            rows = np.unique([*rng.choice(solution.indices, budget - 2, replace=False), *rows[:2]])
        near = apart[:, [3, 50, *rows]].min(axis=1)
        assert np.partition(near, place)[place] >= solution.bound


@pytest.fixture(scope="module")
def proven():
    """Return a problem and an answer to it whose bound linear programs prove."""
    problem = KCenter(clusters(seed=2), 12)
    solution = solve(problem, "exact", time_limit=20, **STRICT)
    assert solution.certificate.kind == "weighted-rows"
    return problem, solution


def test_weighted_rows_prove_the_bound_from_their_file(tmp_path, proven):
    """A bound that nobody else can check would be a claim."""
    problem, solution = proven
    assert solution.certificate.recheckable
    solution.save(tmp_path / "s.json")
    loaded = load(tmp_path / "s.json")
    assert len(set(loaded.certificate.values["weights"])) > 1
    assert problem.prove(loaded.certificate) == solution.bound == loaded.bound
    assert check(problem, loaded).bound == solution.bound


FORGERIES = {
    "radius": lambda values: {"radius": values["radius"] * 1.2},
    "swapped weights": lambda values: {"weights": np.roll(values["weights"], 1).tolist()},
    "other weights": lambda values: {"weights": [2.0**at for at in range(len(values["rows"]))]},
    "other rows": lambda values: {"rows": [(row + 1) % 300 for row in values["rows"]]},
    "no rows": lambda values: {"rows": [], "weights": [], "groups": []},
    "a group each": lambda values: {"groups": list(range(len(values["rows"])))},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_proofs_are_refused(forgery, proven):
    """A bound would be believed because its certificate looks like one."""
    problem, solution = proven
    values = dict(solution.certificate.values)
    values |= FORGERIES[forgery](values)
    forged = replace(solution, certificate=replace(solution.certificate, values=values))
    with pytest.raises(CheckFailed):
        check(problem, forged)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("method", ["exact", "improve"])
def test_the_same_seed_gives_the_same_answer(method):
    """Runs could not be repeated."""
    problem = KCenter(clusters(seed=4), 15)
    first, second = (solve(problem, method, seed=3, time_limit=60) for _ in range(2))
    assert first.indices.tolist() == second.indices.tolist()
    assert first.bound == second.bound


@pytest.mark.parametrize("outliers", [0, 2])
def test_corners(outliers):
    """Nothing to choose from, or nothing to cover, would end in an error or without proof."""
    points = clusters(40)
    every = np.arange(40)
    repeated = points[every % 5]
    problems = (
        KCenter(points, 3, labeled=every[3:], outliers=outliers),
        KCenter(points, 40, outliers=outliers),
        KCenter(points, 6, candidates=every[:6], outliers=outliers),
        KCenter(points, 2, constraints=[Include([4, 9])], outliers=outliers),
        KCenter(repeated, 8, outliers=outliers),
        KCenter(np.ones((40, 2)), 3, outliers=outliers),
    )
    for problem in problems:
        solution = solve(problem, "exact", **STRICT)
        assert solution.status is Status.OPTIMAL
        assert solution.objective == solution.bound
        assert check(problem, solution).rows == problem.budget
    values = [solve(problem, "exact").objective for problem in problems]
    assert [values[at] for at in (0, 1, 4, 5)] == [0.0] * 4
    assert values[2] == problems[2].evaluate(every[:6]).objective
    assert values[3] == problems[3].evaluate([4, 9]).objective


@pytest.mark.parametrize("limit", [1e-9, 0.02, 1.0])
def test_the_time_limit_holds_and_answer_and_bound_survive(limit):
    """A run would keep its caller waiting, or come back with empty hands."""
    points = np.random.default_rng(0).normal(size=(3_000, 64))
    problem = KCenter(points, 30)
    began = time.perf_counter()
    solution = solve(problem, "exact", time_limit=limit, **STRICT)
    assert time.perf_counter() - began < limit + 1
    assert solution.stopped_by is StoppedBy.TIME
    assert solution.status is Status.FEASIBLE
    check(problem, solution)
    if limit == 1.0:
        assert 0 < solution.bound < solution.objective


def test_distances_of_all_pairs_are_never_stored():
    """A table of all distances would not fit where the points do."""
    points = clusters(20_000, 8).astype(np.float32)
    problem = KCenter(points, 5)
    solve(KCenter(points[:50], 2), "exact")  # compiles
    tracemalloc.start()
    solution = solve(problem, "exact", time_limit=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000 * 20_000 * 8 / 10
    assert solution.objective <= solve(problem, "greedy").objective


def test_a_sample_too_large_for_memory_ends_the_search(monkeypatch):
    """The run would be killed for its memory, and its answer lost with it."""
    monkeypatch.setattr("labelcut.solvers.k_center.sample.LARGEST", 500)
    problem = KCenter(np.random.default_rng(0).normal(size=(1_000, 32)), 20)
    solution = solve(problem, "exact", time_limit=20, **STRICT)
    assert solution.stopped_by is StoppedBy.EXHAUSTED
    check(problem, solution)


@pytest.mark.slow
def test_digits_to_a_proven_gap():
    """Image features, for which the method is made, would be left with greedy's factor of two."""
    from sklearn.datasets import load_digits

    problem = KCenter(load_digits().data, 10)
    greedy = solve(problem, "greedy")
    solution = solve(problem, "exact", time_limit=10)
    assert solution.objective < greedy.objective
    assert solution.gap < 0.15
    check(problem, solution)
