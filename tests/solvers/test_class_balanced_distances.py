"""All distances against brute force over all subsets."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from labelcut import ClassBalanced, Forbid, Include, UnsupportedProblem, check, solve
from labelcut.problems.distances import NAMES
from labelcut.problems.transport import transport_cost
from labelcut.solvers.class_balanced._kernels import transport


def random_problem(seed, name, sizes=(3, 9)):
    """Return a small problem with ties, duplicates, empty classes and fixed rows."""
    rng = np.random.default_rng(seed)
    rows, classes = int(rng.integers(sizes[0], sizes[1] + 1)), int(rng.integers(1, 5))
    probs = rng.dirichlet(np.full(classes, 0.4), size=rows)
    if rng.random() < 0.3:
        probs = np.eye(classes)[rng.integers(classes, size=rows)]
    if rng.random() < 0.3:
        probs[1:] = probs[0]
    utility = np.round(rng.random(rows) * 2, 1 if rng.random() < 0.5 else 9)
    shuffled = rng.permutation(rows)
    points = rng.random((classes, 2))
    budget = int(rng.integers(1, rows))
    return ClassBalanced(
        probs,
        utility,
        budget,
        balance=float(rng.choice([0, 0.1, 1, 10, 1e6])),
        target=rng.random(classes) * budget + 1e-3,
        distance=name,
        ground_cost=cdist(points, points) if name == "wasserstein" else None,
        constraints=[Include(shuffled[:1]), Forbid(shuffled[budget : budget + 1][:1])]
        if budget < rows - 1
        else [],
    )


def optimum(problem):
    """Return the least objective of all feasible subsets, terms added up anew."""
    best = np.inf
    included = set(problem.included.tolist())
    probs = problem.probs.take(np.arange(problem.dataset.size))
    for subset in combinations(problem.selectable.tolist(), problem.budget):
        if not included <= set(subset):
            continue
        missing = problem.target - probs[list(subset)].sum(axis=0)
        distance = {
            "l1": lambda e: np.abs(e).sum(),
            "l2": lambda e: np.sqrt((e**2).sum()),
            "squared-l2": lambda e: (e**2).sum(),
            "wasserstein": lambda e: transport_cost(e, problem.ground_cost),
        }[problem.distance](missing)
        best = min(best, problem.balance * distance - problem.utility[list(subset)].sum())
    return best


@pytest.mark.parametrize("node_limit", [20_000, 0])
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=12)
@given(st.integers(0, 10**6))
def test_exact_returns_the_optimum(hurried, name, node_limit, seed):
    """An answer that is not optimal would be called optimal, or a bound be false."""
    with hurried():
        require_optimum(random_problem(seed, name), node_limit)


@pytest.mark.parametrize("node_limit", [20_000, 0])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(4))
def test_exact_returns_the_optimum_of_up_to_14_rows(hurried, name, node_limit, seed):
    """What goes wrong where more rows are undecided would stay hidden on fewer rows."""
    with hurried():
        require_optimum(random_problem(seed, name, sizes=(12, 14)), node_limit)


def require_optimum(problem, node_limit):
    """Hold the exact method, and the bounds of others, against brute force."""
    best = optimum(problem)
    options = {"node_limit": node_limit}
    solution = solve(problem, "exact", gap_tol=0, abs_gap_tol=0, options=options, time_limit=60)
    scale = max(1.0, abs(best))
    assert solution.objective == pytest.approx(best, abs=1e-9 * scale)
    assert solution.bound <= best + 1e-9 * scale
    assert solution.status == "optimal"
    check(problem, solution)
    for method in ("relaxed", "top", "random", "pseudo-label"):
        other = solve(problem, method)
        assert other.objective >= best - 1e-9 * scale
        assert other.bound is None or other.bound <= best + 1e-9 * scale


@pytest.mark.parametrize("name", ["l2", "squared-l2"])
@given(st.integers(0, 10**6))
def test_greedy_takes_the_best_next_row(name, seed):
    """The kept products would drift from the distances they stand for."""
    rng = np.random.default_rng(seed)
    probs, utility = rng.dirichlet(np.ones(4), size=30), rng.random(30)
    problem = ClassBalanced(
        probs, utility, 12, balance=0.7, target=rng.random(4) * 6, distance=name
    )
    solution = solve(problem, "greedy")
    missing, left = problem.target.copy(), set(range(30))
    for row in solution.order:
        costs = {i: 0.7 * problem.metric.value(missing - probs[i]) - utility[i] for i in left}
        assert costs[int(row)] <= min(costs.values()) + 1e-9
        missing -= probs[row]
        left.remove(int(row))


def test_greedy_says_from_where_balance_steers():
    """Users would believe that the first picks were balanced."""
    probs = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1.0]])
    problem = ClassBalanced(probs, [5, 4, 3, 2, 1], 4, balance=10)
    assert solve(problem, "greedy").info["steered_from"] == 2
    assert solve(problem, "top").order.tolist() == [0, 1, 2, 3]


def test_greedy_refuses_wasserstein_and_names_who_can():
    """The user would be left without a way out."""
    cost = 1 - np.eye(2)
    problem = ClassBalanced(np.eye(2), [1, 1], 1, distance="wasserstein", ground_cost=cost)
    with pytest.raises(UnsupportedProblem, match=r"'greedy' cannot take distance.*exact, relaxed"):
        solve(problem, "greedy")


@given(st.integers(0, 10**6))
def test_compiled_transport_agrees_and_its_potentials_prove_it(seed):
    """Annealing would walk towards another distance, or turn good proposals away."""
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(1, 9))
    points = rng.integers(0, 3, (classes, 2)) if seed % 2 else rng.random((classes, 2))
    cost = cdist(points, points)
    shortfall = rng.normal(size=classes)
    shortfall -= shortfall.mean()
    potentials = np.zeros(classes)
    value = transport(shortfall, cost, potentials)
    assert value == pytest.approx(transport_cost(shortfall, cost), abs=1e-9)
    assert potentials @ shortfall == pytest.approx(value, abs=1e-9)
    assert (potentials[:, None] - potentials <= cost + 1e-9).all()


def test_a_target_that_was_scaled_is_told():
    """Users would take the imbalance for that of the target they gave."""
    probs = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    cost = {"distance": "wasserstein", "ground_cost": 1 - np.eye(2)}
    told = {
        "scaled": ({"target": [3.0, 1.0], **cost}, "scaled from a sum of 4 to the budget 2"),
        "by rule": ({"target": "fill", "labeled_counts": [1, 2], **cost}, None),
        "as given": ({"target": [1.5, 0.5], **cost}, None),
        "l1": ({"target": [3.0, 1.0]}, None),
    }
    for parameters, note in told.values():
        problem = ClassBalanced(probs, [0.3, 0.2, 0.1], 2, **parameters)
        for method in ("exact", "top"):
            assert solve(problem, method).info.get("target") == note
