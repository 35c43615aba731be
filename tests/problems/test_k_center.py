"""KCenter: the optimum of brute force and of CVXPY, and what it refuses."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from labelcut import Factored, Forbid, Include, InvalidInput, KCenter, NotEnoughMemory
from labelcut.problems import Certificate

POINTS = np.array([[0.0, 0.0], [1.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0], [0.0, 3.0]])
TABLE = cdist(POINTS, POINTS)


def value_of(table, rows, labeled=(), outliers=0, probs=None, target=None, balance=0.0):
    """Return the objective of a selection from its formula."""
    radius = np.sort(table[:, [*rows, *labeled]].min(axis=1))[-1 - outliers]
    if probs is None:
        return radius
    return radius + balance * np.abs(target - probs[list(rows)].sum(axis=0)).sum()


def best_of(table, budget, labeled=(), allowed=None, included=(), **more):
    """Return the smallest objective over all subsets."""
    allowed = (
        [row for row in range(len(table)) if row not in labeled] if allowed is None else allowed
    )
    rest = [row for row in allowed if row not in included]
    return min(
        value_of(table, [*included, *rows], labeled, **more)
        for rows in combinations(rest, budget - len(included))
    )


def test_radius_is_the_one_worked_out_by_hand():
    """The objective would be another one than the farthest row's distance."""
    problem = KCenter(POINTS, 2)
    assert problem.evaluate([0, 2]).objective == 3.0
    # Row 3 is the farthest of rows 0 and 4, at 4; left out, row 2 follows at 4 as well, then 1.
    assert problem.evaluate([0, 4]).terms == {"radius": 4.0}
    assert KCenter(POINTS, 2, outliers=1).evaluate([0, 4]).objective == 4.0
    assert KCenter(POINTS, 2, outliers=2).evaluate([0, 4]).objective == 1.0
    assert KCenter(POINTS, 1, labeled=[2]).evaluate([4]).objective == 3.0


@given(st.integers(0, 10**6), st.integers(0, 3))
def test_every_subset_is_worth_what_the_formula_says(seed, outliers):
    """Some selections would be priced by another formula."""
    rng = np.random.default_rng(seed)
    points, probs = rng.normal(size=(7, 3)), rng.dirichlet([0.5] * 3, size=7)
    labeled = np.sort(rng.choice(7, size=rng.integers(0, 3), replace=False))
    target, balance = np.array([1.0, 0.5, 0.5]), float(rng.integers(0, 3))
    problem = KCenter(
        points, 2, outliers=outliers, labeled=labeled, probs=probs, balance=balance, target=target
    )
    table = cdist(points, points)
    for rows in combinations(np.setdiff1d(np.arange(7), labeled), 2):
        expected = value_of(table, rows, labeled, outliers, probs, target, balance)
        found = problem.evaluate(rows)
        assert found.objective == pytest.approx(expected, abs=1e-12)
        assert set(found.terms) == {"radius", "imbalance", "unreachable"}
        nearest, distances = problem.assignment(rows)
        centers = np.union1d(rows, labeled)
        np.testing.assert_array_equal(nearest, centers[table[:, centers].argmin(axis=1)])
        np.testing.assert_allclose(distances, table[:, centers].min(axis=1), atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "included"),
    [
        ({}, []),
        ({"labeled": [2], "outliers": 1}, []),
        ({"outliers": 2, "constraints": [Include([6]), Forbid([0])]}, [6]),
        ({"balance": 0.7, "labeled": [1]}, []),
        ({"balance": 2.0, "distance": "wasserstein"}, []),
        ({"metric": "squared-euclidean", "candidates": [0, 2, 4, 6]}, []),
        ({"metric": "cosine"}, []),
    ],
    ids=["plain", "labeled", "constrained", "balance", "wasserstein", "candidates", "cosine"],
)
def test_the_cvxpy_model_has_the_optimum_of_brute_force(arguments, included):
    """Users would extend, and tests would trust, a model of another problem."""
    rng = np.random.default_rng(3)
    points = rng.normal(size=(7, 2))
    points[5] = points[1]
    if "balance" in arguments:
        cost = 1.0 - np.eye(3) if "distance" in arguments else None
        probs = rng.dirichlet([0.5] * 3, size=7)
        arguments = {**arguments, "probs": probs, "target": [1, 1, 1], "ground_cost": cost}
    problem = KCenter(points, 3, **arguments)
    chosen = [
        [*included, *rows]
        for rows in combinations(np.setdiff1d(problem.selectable, included), 3 - len(included))
    ]
    expected = min(problem.evaluate(rows).objective for rows in chosen)
    model = problem.to_cvxpy()
    assert model.solve(solver="HIGHS") == pytest.approx(expected, abs=1e-6)
    (selected,) = [variable for variable in model.variables() if variable.name() == "z"]
    rows = np.flatnonzero(selected.value > 0.5)
    problem.check(rows)
    assert problem.evaluate(rows).objective == pytest.approx(expected, abs=1e-6)


def test_a_model_that_does_not_fit_is_refused(monkeypatch):
    """The machine would swap to a halt over N² variables."""
    monkeypatch.setattr("labelcut.problems.memory.free_bytes", lambda: 1000)
    with pytest.raises(NotEnoughMemory, match=r"to_cvxpy: needs about .* labelcut\.solve"):
        KCenter(POINTS, 2).to_cvxpy()


@pytest.mark.parametrize(
    "values",
    [
        POINTS.astype(np.float32),
        POINTS.astype(np.int64),
        torch.from_numpy(POINTS),
        [POINTS[:2], POINTS[2:]],
        POINTS.tolist(),
        np.asfortranarray(POINTS),
    ],
    ids=["float32", "integers", "torch", "shards", "lists", "fortran"],
)
def test_the_same_values_are_the_same_problem(values):
    """A solution would not fit its own problem once that was read from another array."""
    plain, other = KCenter(POINTS, 2), KCenter(values, 2)
    assert other.fingerprint == plain.fingerprint
    assert other.evaluate([1, 3]).objective == plain.evaluate([1, 3]).objective


def test_what_makes_another_problem_shows_in_the_fingerprint():
    """A solution would pass for the answer to another question."""
    probs = np.full((6, 2), 0.5)
    variants = [
        KCenter(POINTS, 2),
        KCenter(POINTS, 2, metric="squared-euclidean"),
        KCenter(POINTS, 2, outliers=1),
        KCenter(POINTS, 2, labeled=[0]),
        KCenter(POINTS * 2, 2),
        KCenter(POINTS, 2, probs=probs),
        KCenter(POINTS, 2, probs=probs, balance=1.0),
        KCenter(Factored(POINTS, POINTS), 2),
        KCenter(Factored(POINTS, POINTS + 1), 2),
        KCenter.from_distances(TABLE, 2),
        KCenter.from_distances(TABLE * 2, 2),
        KCenter.from_distances(lambda rows: TABLE[rows], 2, size=6),
    ]
    names = [problem.fingerprint for problem in variants]
    # Of a function the sampled rows are hashed: with six rows they are the whole matrix.
    assert names[-1] == names[-3]
    assert len(set(names)) == len(names) - 1


def test_given_distances_are_the_objective():
    """Given distances would be measured again as if they were points."""
    rng = np.random.default_rng(0)
    table = np.triu(rng.uniform(size=(8, 8)), 1)
    table += table.T
    problem = KCenter.from_distances(table, 2, labeled=[5])
    function = KCenter.from_distances(lambda rows: table[rows], 2, size=8, labeled=[5])
    for rows in combinations([0, 1, 2, 3, 4, 6, 7], 2):
        expected = value_of(table, rows, [5])
        assert problem.evaluate(rows).objective == expected
        assert function.evaluate(rows).objective == expected


def test_multipliers_and_witnesses_add_up():
    """A bound on the radius alone would be sold as one on the sum, or the reverse."""
    probs = np.repeat(np.eye(2), 3, axis=0)
    problem = KCenter(POINTS, 2, probs=probs, balance=2.0, target=[4.0, 0.0])
    # Two rows of class 0 leave an imbalance of 2 at least; rows 0, 2, 3 are 3 apart.
    values = {"rows": [0, 2, 3], "radius": 1.0}
    both = problem.prove(Certificate("witnesses", True, None, values))
    best = best_of(TABLE, 2, probs=probs, target=np.array([4.0, 0.0]), balance=2.0)
    assert both == 1.0 + 2.0 * 2.0
    assert both <= best
    multipliers = {"multipliers": [2.0, -2.0]}
    for more in (multipliers, {**values, **multipliers}):
        assert problem.prove(Certificate("multipliers", True, None, more)) <= best
    assert problem.prove(Certificate("branch-and-bound", False, None, {})) is None


def test_all_rows_chosen_or_labeled_leave_nothing_uncovered():
    """The smallest and the largest coresets would fail."""
    assert KCenter(POINTS, 6).evaluate(range(6)).objective == 0.0
    assert KCenter(POINTS, 1, labeled=range(5)).evaluate([5]).objective == 0.0
    assert KCenter([[3.0]], 1).evaluate([0]).objective == 0.0


def test_the_baseline_is_a_random_draw():
    """Shares of the way would be measured from somewhere else than is said."""
    problem = KCenter(POINTS, 2)
    rows = problem.random_rows(np.random.default_rng(0))
    assert problem.baseline() == problem.evaluate(rows).objective
    both = [Include([0]), Forbid([0])]
    assert KCenter(POINTS, 2, constraints=both).baseline() is None


def asymmetric():
    """Return a table with one entry unlike its mirror image."""
    table = TABLE.copy()
    table[1, 4] += 0.5
    return table


def function(change):
    """Return a function of distances that is changed."""
    return lambda rows: change(TABLE[rows])


def spoiled(value, row=2, dtype=float):
    """Return points of which one holds something else."""
    points = POINTS.astype(dtype)
    points[row, 1] = value
    return points


EMBEDDINGS = [
    ({"embeddings": spoiled(np.nan)}, "embeddings: row 2 holds nan; all numbers must be finite"),
    ({"embeddings": spoiled(-np.inf)}, "embeddings: row 2 holds -inf; all numbers must be finite"),
    (
        {"embeddings": spoiled(np.inf, dtype=np.float16)},
        "embeddings: row 2 holds inf; .*; float16 overflowed: embed in float32",
    ),
    ({"embeddings": POINTS * 1e200}, "embeddings: row 1 is too long .*; scale them down"),
    ({"embeddings": POINTS, "metric": "cosine"}, "embeddings: row 0 is all zeros, .*'euclidean'"),
    ({"embeddings": POINTS, "metric": "manhattan"}, "metric: must be one of euclidean, .*'manh"),
    ({"embeddings": np.zeros(6)}, r"embeddings: must be two-dimensional .* got shape \(6,\)"),
    ({"embeddings": np.zeros((0, 2))}, "embeddings: must have rows and columns"),
    ({"embeddings": [["a", "b"]] * 6}, "embeddings: must be real numbers; got str"),
    ({"embeddings": POINTS, "budget": 7}, "budget: 7 rows asked for, 6 can be chosen"),
    ({"embeddings": POINTS, "labeled": range(6)}, "budget: 2 rows asked for, 0 can be chosen"),
    ({"embeddings": POINTS, "candidates": [1]}, "budget: 2 rows asked for, 1 can be chosen"),
    ({"embeddings": POINTS, "outliers": 6}, "outliers: 6 of 6 rows may stay uncovered, so that th"),
    ({"embeddings": POINTS, "outliers": -1}, "outliers: must be a whole number ≥ 0; got -1"),
    ({"embeddings": POINTS, "outliers": 0.5}, r"outliers: must be a whole number ≥ 0; got 0\.5"),
    ({"embeddings": POINTS, "balance": 1.0}, "balance: needs class probabilities; pass probs"),
    ({"embeddings": POINTS, "target": "fill"}, "target: needs class probabilities; pass probs"),
    ({"embeddings": POINTS, "labeled_counts": [1]}, "labeled_counts: needs class probabilities"),
    ({"embeddings": POINTS, "distance": "l2"}, "distance: needs class probabilities; pass probs"),
    ({"embeddings": POINTS, "probs": np.ones((6, 2))}, "probs: row 0 sums to 2, rows must sum"),
    ({"embeddings": POINTS, "probs": [[1.0]] * 5}, "probs: must have one row for each of 6 points"),
    (
        {"embeddings": Factored(POINTS, POINTS), "metric": "cosine"},
        "metric: 'cosine' for a Factored that has its own, 'euclidean'; leave metric out",
    ),
]
DISTANCES = [
    ({"distances": asymmetric()}, r"symmetric; entry \(1, 4\) is 3.66\d*, entry \(4, 1\) is 3.16"),
    ({"distances": -TABLE}, r"distances: entry \(0, 1\) is -1\.0; .* not negative"),
    ({"distances": TABLE + 1}, r"distances: the diagonal must be zero; .*not similarities"),
    ({"distances": TABLE + np.diag([np.nan] * 6)}, r"entry \(0, 0\) is nan; distances must be fin"),
    ({"distances": POINTS}, r"distances: must be square; got shape \(6, 2\)"),
    ({"distances": TABLE, "size": 7}, "size: 7 for a matrix of 6 rows; leave it out"),
    ({"distances": function(lambda t: t)}, "size: a function of rows needs N beside it; pass size"),
    ({"distances": function(lambda t: t), "size": 2.5}, r"size: must be a whole number.*got 2\.5"),
    ({"distances": function(lambda t: t), "size": 0}, "size: must be a whole number.*got 0"),
    ({"distances": function(lambda t: t), "size": np.nan}, "size: must be a whole number"),
    (
        {"distances": function(lambda t: t[:, :5]), "size": 6},
        r"distances: the function must return \(6, 6\) for 6 rows; got shape \(6, 5\)",
    ),
    ({"distances": function(lambda t: t - 1), "size": 6}, r"distances: entry \(0, 0\) is -1\.0"),
    (
        {"distances": lambda rows: asymmetric()[rows], "size": 6},
        r"distances: must be symmetric; entry \(1, 4\)",
    ),
    ({"distances": TABLE, "metric": "cosine"}, "metric: 'cosine' for a GivenDistances that has it"),
]


@pytest.mark.parametrize(("arguments", "message"), EMBEDDINGS, ids=range(len(EMBEDDINGS)))
def test_bad_arguments_are_one_clear_error(arguments, message):
    """A mistake would be optimized over, ignored, or end in a traceback."""
    with pytest.raises(InvalidInput, match=message):
        KCenter(**{"budget": 2, **arguments})


@pytest.mark.parametrize(("arguments", "message"), DISTANCES, ids=range(len(DISTANCES)))
def test_bad_distances_are_one_clear_error(arguments, message):
    """A table that is none of distances would be optimized over."""
    with pytest.raises(InvalidInput, match=message):
        KCenter.from_distances(**{"budget": 2, **arguments})


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (POINTS, POINTS[:4], "left, right: must have the same rows; got 6 and 4"),
        (spoiled(np.nan), POINTS, "left: row 2 holds nan"),
        (POINTS, spoiled(np.inf), "right: row 2 holds inf"),
        (POINTS * 1e100, POINTS * 1e100, "left, right: row 1 of their product is too long"),
    ],
)
def test_bad_factors_are_named(left, right, message):
    """The wrong one of two arrays would be looked through."""
    with pytest.raises(InvalidInput, match=message):
        Factored(left, right)


def test_zero_gradients_have_no_direction():
    """Cosine of a zero gradient would be NaN."""
    with pytest.raises(InvalidInput, match="left, right: row 0 of their product is all zeros"):
        Factored(POINTS, np.ones((6, 2)), "cosine")


def test_a_function_is_validated_as_it_is_read():
    """Rows that are not sampled at the start could hold anything."""
    points = np.random.default_rng(0).normal(size=(300, 2))
    table = cdist(points, points)
    table[7, 8] = np.nan
    problem = KCenter.from_distances(lambda rows: table[rows], 2, size=300)
    with pytest.raises(InvalidInput, match=r"distances: entry \(7, 8\) is nan"):
        problem.evaluate([7, 9])
