"""k-center within constraints: brute force over mixtures of all of them, and what proofs say."""

import time
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import (
    CheckFailed,
    Cost,
    ExpectedCount,
    Forbid,
    GroupLimit,
    Include,
    InvalidInput,
    KCenter,
    Spacing,
    check,
    load,
    methods,
    solve,
)
from labelcut.problems.base import Status
from labelcut.solvers.k_center import bisection, exact, within
from labelcut.studies.coreset_frontier import coreset_frontier

STRICT = {"gap_tol": 0, "abs_gap_tol": 0}
RANDOM = ("k-means++", "random")


def make_cost(rng, size, _):
    """Return a limit on costs that are whole, or not, and what it means."""
    costs = rng.integers(0, 5, size) if rng.random() < 0.5 else rng.random(size)
    limit = float(rng.choice([0.3, 0.6, 1.0]) * costs.sum() / 2)
    return Cost(costs, limit), lambda rows: sum(costs[rows]) <= limit * (1 + 1e-9)


def make_groups(rng, size, _):
    """Return limits of groups from above, from below or both, for all or some, and their check."""
    groups = rng.integers(0, 3, size)
    groups[:3] = range(3)
    most = int(rng.integers(1, 3)) if rng.random() < 0.7 else None
    least = {int(rng.integers(3)): 1} if most is None or rng.random() < 0.4 else None

    def holds(rows):
        counts = np.bincount(groups[rows], minlength=3)
        enough = all(counts[group] >= number for group, number in (least or {}).items())
        return enough and (most is None or counts.max() <= most)

    return GroupLimit(groups, at_most=most, at_least=least), holds


def make_spacing(rng, size, labeled):
    """Return a spacing, positions doubled or not, and its check."""
    sequence, position = rng.integers(0, 2, size), rng.integers(0, size, size)
    gap = int(rng.integers(0, 3))

    def holds(rows):
        pairs = [*combinations(rows, 2), *((row, other) for row in rows for other in labeled)]
        return all(
            sequence[i] != sequence[j] or abs(int(position[i]) - int(position[j])) > gap
            for i, j in pairs
        )

    return Spacing(sequence, position, gap), holds


def make_expected(rng, size, _):
    """Return limits on the expected count of a class from below or above, and their check."""
    probs = rng.dirichlet([1.0, 1.0], size)
    least, most = (float(rng.random()), None) if rng.random() < 0.6 else (None, 2 * rng.random())

    def holds(rows):
        count = probs[rows, 1].sum()
        return (least is None or count >= least * (1 - 1e-9)) and (
            most is None or count <= most * (1 + 1e-9)
        )

    return ExpectedCount(probs, 1, at_least=least, at_most=most), holds


MAKERS = (make_cost, make_groups, make_spacing, make_expected)


def drawn(seed, *, balanced=False):
    """Return a small problem with some constraints, and all selections that satisfy them."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(4, 8 if balanced else 11))
    points = rng.integers(0, 6, (size, 2)).astype(float)
    if rng.random() < 0.5:
        points = rng.normal(size=(size, 2))
    rows = rng.permutation(size)
    labeled = rows[: int(rng.integers(0, 2))]
    candidates = np.sort(rows[len(labeled) :][: max(int(rng.integers(2, size + 1)), 2)])
    budget = int(rng.integers(1, min(len(candidates), 4) + 1))
    makers = [MAKERS[at] for at in rng.permutation(4)[: int(rng.integers(1, 4))]]
    made = [make(rng, size, labeled) for make in makers]
    rules, checks = [rule for rule, _ in made], [holds for _, holds in made]
    included, forbidden = candidates[:0], candidates[:0]
    if rng.random() < 0.3:
        included = candidates[:1]
        rules.append(Include(included))
    if rng.random() < 0.3 and len(candidates) > budget:
        forbidden = candidates[-1:]
        rules.append(Forbid(forbidden))
    more = {}
    if balanced:
        more = {
            "probs": rng.dirichlet([0.7, 0.7], size),
            "balance": float(rng.choice([0.1, 1.0])),
            "distance": str(rng.choice(["l1", "l2"])),
            "labeled_counts": np.zeros(2),
        }
    problem = KCenter(
        points,
        budget,
        outliers=int(rng.integers(0, min(size - 1, 3))),
        labeled=labeled,
        candidates=candidates,
        constraints=rules,
        **more,
    )
    every = (list(chosen) for chosen in combinations(candidates.tolist(), budget))
    fitting = [
        chosen
        for chosen in every
        if set(included.tolist()) <= set(chosen)
        and not set(forbidden.tolist()) & set(chosen)
        and all(holds(chosen) for holds in checks)
    ]
    return problem, fitting


def best_of(problem, fitting):
    """Return the least objective of some selections."""
    if problem.balance:
        return min(problem.evaluate(rows).objective for rows in fitting)
    every = np.arange(problem.space.size)
    apart = problem.space.between(every, every)
    place = problem.space.size - 1 - problem.outliers
    centers = [np.concatenate([problem.labeled, rows]).astype(int) for rows in fitting]
    return min(np.partition(apart[:, rows].min(axis=1), place)[place] for rows in centers)


@pytest.fixture(scope="module")
def answer_file(tmp_path_factory):
    """Return the path of a file to write answers to."""
    return tmp_path_factory.mktemp("answers") / "s.json"


def require_optimal(seed, answer_file):
    """Hold exact's answer against brute force, before and after a file."""
    problem, fitting = drawn(seed)
    solution = solve(problem, "exact", **STRICT)
    if not fitting:
        assert solution.status is Status.INFEASIBLE
        return
    optimum = best_of(problem, fitting)
    assert solution.objective == optimum
    assert solution.bound == optimum
    assert solution.status is Status.OPTIMAL
    assert solution.indices.tolist() in fitting
    solution.save(answer_file)
    assert check(problem, load(answer_file)).bound == solution.bound


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_exact_is_the_optimum_over_all_that_fit(answer_file, seed):
    """Constraints would be broken, or selections be lost that keep them, or a bound be false."""
    require_optimal(seed, answer_file)


@pytest.mark.slow
@settings(max_examples=300)
@given(seed=st.integers(0, 2**32))
def test_exact_is_the_optimum_on_many_more(answer_file, seed):
    """A rare mixture would be solved wrongly. The sample grows by one row at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bisection, "ADDED", 1)
        require_optimal(seed, answer_file)


WITHOUT = {
    "linear programs": ["refute", "lift_within"],
    "linear programs and local search": ["refute", "lift_within", "_local_search"],
    "the cover's own linear programs": ["refute"],
    "local search": ["_local_search"],
}


@pytest.fixture
def without(monkeypatch):
    """Return a function that lets parts of the search find nothing."""

    def give_up(parts):
        for part in WITHOUT[parts]:
            owner = exact if part == "lift_within" else bisection.Bisection
            found = None if part == "_local_search" else False
            monkeypatch.setattr(owner, part, lambda *_, found=found: found)

    return give_up


@pytest.mark.parametrize("parts", WITHOUT)
def test_each_part_is_right_without_the_others(parts, answer_file, without):
    """A cover missed or a false refutation would hide behind parts that are right."""
    without(parts)
    for seed in range(24):
        require_optimal(seed, answer_file)


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32))
def test_every_method_keeps_the_constraints_and_no_bound_exceeds_the_optimum(seed):
    """A heuristic would break a constraint, find nothing where something fits, or lie."""
    problem, fitting = drawn(seed)
    for method in ("greedy", "improve", *RANDOM):
        solution = solve(problem, method, seed=seed % 7, **STRICT)
        if not fitting:
            assert solution.status is Status.INFEASIBLE
            continue
        assert solution.indices.tolist() in fitting
        assert solution.objective >= best_of(problem, fitting)
        assert solution.bound is None or solution.bound <= best_of(problem, fitting)
        check(problem, solution)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_balanced_coresets_are_optimal_within_constraints(seed):
    """Radius and balance would be traded off over selections that do not fit, or not over all."""
    problem, fitting = drawn(seed, balanced=True)
    solution = solve(problem, "exact", gap_tol=0, abs_gap_tol=1e-9)
    if not fitting:
        assert solution.status is Status.INFEASIBLE
        return
    optimum = best_of(problem, fitting)
    scale = max(1.0, abs(optimum))
    assert solution.objective == pytest.approx(optimum, abs=1e-6 * scale)
    assert solution.bound <= optimum + 1e-7 * scale
    assert solution.status is Status.OPTIMAL
    assert solution.indices.tolist() in fitting
    check(problem, solution)
    for method in ("greedy", "greedy-l2", *RANDOM):
        if method in {entry.name for entry in methods(problem) if entry.refusal is None}:
            answer = solve(problem, method, seed=seed % 7, **STRICT)
            assert answer.indices.tolist() in fitting
            assert answer.bound is None or answer.bound <= optimum + 1e-9 * scale
            check(problem, answer)


def test_a_limit_broken_by_less_than_a_tolerance_is_kept(without, monkeypatch):
    """HiGHS would name a cover again and again that is no answer, or the optimum be missed."""
    points = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    half = 0.5 + 0.65e-9
    costs = [0.2, half, 0.2, 0.2, half, 0.2]
    problem = KCenter(points, 2, constraints=[Cost(costs, 1.0)])
    without("linear programs and local search")
    asked = []
    ask = within.search_within_limits
    monkeypatch.setattr(
        within,
        "search_within_limits",
        lambda *arguments: asked.append(len(arguments[-1])) or ask(*arguments),
    )
    solution = solve(problem, "exact", **STRICT)
    assert max(asked) > 0
    assert solution.objective == solution.bound == 2.0


@pytest.fixture(scope="module")
def costly():
    """Return a problem whose limits cost more than covering does, and its answer."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 2))
    far = 1.0 + 5.0 * np.linalg.norm(points, axis=1)
    rules = [
        GroupLimit(rng.integers(0, 4, 60), at_most=2),
        Cost(far, 20.0),
        Spacing(np.arange(60) // 20, np.arange(60) % 20, 1),
    ]
    problem = KCenter(points, 6, constraints=rules)
    return problem, solve(problem, "exact", time_limit=30, **STRICT)


def test_prices_of_the_limits_prove_more_than_covers_do(costly, answer_file):
    """A budget of money that forbids every good cover would leave a bound that knows none of it."""
    problem, solution = costly
    assert solution.certificate.recheckable
    assert "cover_prices" in solution.certificate.values
    free = solve(KCenter(problem.space, 6), "exact", time_limit=30, **STRICT)
    assert solution.bound > 1.1 * free.objective
    solution.save(answer_file)
    loaded = load(answer_file)
    assert problem.prove(loaded.certificate) == solution.bound
    assert check(problem, loaded).bound_rechecked


FORGERIES = {
    "radius": lambda values: {"radius": values["radius"] * 1.1},
    "no prices": lambda values: {"cover_prices": [[], [], []]},
    "half the prices": lambda values: {
        "cover_prices": [[0.5 * price for price in listed] for listed in values["cover_prices"]]
    },
    "another budget price": lambda values: {"cover_budget_price": 2.0},
    "one weight": lambda values: {"weights": [1.0] + [0.0] * (len(values["rows"]) - 1)},
    "no rows": lambda values: {"rows": [], "weights": []},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_prices_are_refused(forgery, costly):
    """A bound would be believed because its certificate looks like one."""
    problem, solution = costly
    values = dict(solution.certificate.values)
    values |= FORGERIES[forgery](values)
    forged = replace(solution, certificate=replace(solution.certificate, values=values))
    with pytest.raises(CheckFailed):
        check(problem, forged)


@pytest.mark.parametrize("prices", [[[]], "all", [[1.0], [], []], [[], [float("nan")], []]])
def test_prices_that_fit_no_constraint_are_an_error(prices, costly):
    """A broken file would be read as a weaker proof."""
    problem, solution = costly
    values = {**solution.certificate.values, "cover_prices": prices}
    with pytest.raises(InvalidInput, match="certificate prices"):
        problem.prove(replace(solution.certificate, values=values))


def dash_cam(size=3_000, dimension=16):
    """Return points along clips, with a spacing and a cap for each."""
    rng = np.random.default_rng(0)
    clip, frame = np.arange(size) // 30, np.arange(size) % 30
    points = rng.normal(size=(size // 30, dimension))[clip] + 0.3 * rng.normal(
        size=(size, dimension)
    )
    return points, [Spacing(clip, frame, 3), GroupLimit(clip, at_most=2)]


@pytest.mark.parametrize("limit", [1e-9, 1.0])
@pytest.mark.parametrize("method", ["exact", "greedy", "k-means++"])
def test_the_time_limit_holds_within_constraints(method, limit):
    """A run would keep its caller waiting while it repairs its answer."""
    points, rules = dash_cam()
    problem = KCenter(points, 60, constraints=rules)
    began = time.perf_counter()
    solution = solve(problem, method, time_limit=limit, **STRICT)
    assert time.perf_counter() - began < limit + 1
    if solution.status is not Status.UNKNOWN:
        check(problem, solution)


@pytest.mark.usefixtures("quick")
def test_the_same_seed_gives_the_same_answer():
    """Runs could not be repeated."""
    points, rules = dash_cam(600)
    problem = KCenter(points, 20, constraints=rules)
    first, second = (solve(problem, "improve", seed=3, time_limit=60) for _ in range(2))
    assert first.indices.tolist() == second.indices.tolist()


def test_the_frontier_keeps_the_constraints():
    """The curve of radius against balance would promise what may not be chosen."""
    rng = np.random.default_rng(0)
    rules = [GroupLimit(np.arange(12) % 3, at_most=1)]
    problem = KCenter(
        rng.normal(size=(12, 2)),
        3,
        probs=rng.dirichlet([0.5, 0.5], 12),
        balance=1.0,
        labeled_counts=np.zeros(2),
        constraints=rules,
    )
    for point in coreset_frontier(problem, 3):
        problem.check(point.indices)
        assert point.bound <= point.imbalance + 1e-9
