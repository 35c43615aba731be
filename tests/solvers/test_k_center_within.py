"""k-center within constraints: brute force over mixtures of all of them, and what proofs say."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import (
    Cost,
    ExpectedCount,
    Forbid,
    GroupLimit,
    Include,
    KCenter,
    Spacing,
    check,
    load,
    methods,
    solve,
)
from labelcut.problems.base import Status
from labelcut.solvers.k_center import bisection

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


@pytest.mark.parametrize("added", [bisection.ADDED, 1])
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_exact_is_the_optimum_over_all_that_fit(added, answer_file, seed):
    """Constraints would be broken, or selections be lost that keep them, or a bound be false."""
    problem, fitting = drawn(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bisection, "ADDED", added)
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


@settings(max_examples=60)
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


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_balanced_coresets_are_optimal_within_constraints(seed):
    """Radius and balance would be traded off over selections that do not fit, or not all that do."""
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
