"""The robust program against the worst case itself."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from labelcut import ClassBalanced, solve
from labelcut.problems import (
    InvalidInput,
    confusion_radius,
    robust_balance,
)


def instance(seed, rows=7, classes=3, budget=3, balance=0.8):
    """Draw a small problem, a confusion matrix in counts and radii."""
    rng = np.random.default_rng(seed)
    problem = ClassBalanced(
        rng.dirichlet(np.ones(classes), rows),
        rng.random(rows),
        budget,
        balance=balance,
        target=rng.dirichlet(np.ones(classes)) * budget,
    )
    return problem, rng.integers(1, 9, (classes, classes)), rng.uniform(0, 0.6, classes)


def worst_case(problem, counts, radii, rows):
    """Return the worst objective over all extreme Δ: one entry a row, plus or minus its radius."""
    matrix = counts / counts.sum(axis=1, keepdims=True)
    weights = problem.probs.total(np.array(rows))
    classes = len(radii)
    entries = [(at, sign) for at in range(classes) for sign in (1, -1)]
    worst = 0.0
    for chosen in product(entries, repeat=classes):
        shifted = matrix.copy()
        for k, (at, sign) in enumerate(chosen):
            shifted[k, at] += sign * radii[k]
        worst = max(worst, np.abs(problem.target - shifted.T @ weights).sum())
    return -problem.utility[list(rows)].sum() + problem.balance * worst


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10)
def test_the_linear_program_is_the_worst_case_of_every_choice(seed):
    """The price of doubt would be too small to be a bound, or larger than need be."""
    problem, counts, radii = instance(seed, rows=5)
    robust = robust_balance(problem, counts, radii)
    for rows in combinations(range(5), 3):
        found = robust.evaluate(rows).objective
        assert found == pytest.approx(worst_case(problem, counts, radii, rows), abs=1e-9)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10)
def test_it_bounds_the_worst_case_among_confusion_matrices(seed):
    """Of matrices whose rows are distributions one could be worse than the program says."""
    problem, counts, radii = instance(seed)
    robust = robust_balance(problem, counts, radii)
    rows = np.random.default_rng(seed).choice(7, 3, replace=False)
    matrix = counts / counts.sum(axis=1, keepdims=True)
    weights = problem.probs.total(rows)
    worst = max(
        sum(weights[k] * _farthest(matrix[k], radii[k], np.array(signs)) for k in range(3))
        + np.array(signs) @ (problem.target - matrix.T @ weights)
        for signs in product((1, -1), repeat=3)
    )
    exact = -problem.utility[rows].sum() + problem.balance * worst
    assert robust.evaluate(rows).objective >= exact - 1e-9


def _farthest(row, radius, signs):
    """Return max -signs'd over d with row + d a distribution and ‖d‖₁ ≤ radius."""
    size = len(row)
    # d = up - down
    found = linprog(
        np.concatenate([signs, -signs]),
        A_ub=[np.ones(2 * size)],
        b_ub=[radius],
        A_eq=[np.concatenate([np.ones(size), -np.ones(size)])],
        b_eq=[0.0],
        bounds=[(0, 1 - p) for p in row] + [(0, p) for p in row],
    )
    return -found.fun


def test_the_exact_solver_finds_the_best_worst_case():
    """The promise to solve the robust program exactly would not hold."""
    problem, counts, radii = instance(3)
    best = min(worst_case(problem, counts, radii, rows) for rows in combinations(range(7), 3))
    found = solve(robust_balance(problem, counts, radii), "exact")
    assert found.objective == pytest.approx(best, abs=1e-6)


def test_radii_hold_the_truth_as_often_as_they_say():
    """Radii would be drawn too small, and the bound would be none."""
    rng = np.random.default_rng(0)
    truth = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    outside = 0
    for _ in range(400):
        counts = np.stack([rng.multinomial(n, row) for n, row in zip((9, 40, 200), truth)])
        errors = np.abs(counts / counts.sum(axis=1, keepdims=True) - truth).sum(axis=1)
        outside += (errors > confusion_radius(counts, doubt=0.2)).any()
    assert outside <= 0.2 * 400


def test_radii_shrink_with_the_root_of_the_counts_and_end_at_two():
    """Few labels would promise as much as many."""
    few, many = confusion_radius([[50, 0], [0, 5000]])
    assert few == pytest.approx(10 * many)
    assert many == pytest.approx(np.sqrt(2 * np.log(2 * 2 / 0.1) / 5000))
    assert confusion_radius([[0, 0], [0, 5000]])[0] == 2
    assert np.isfinite(confusion_radius(np.eye(1100) * 1e6)).all()


def test_a_class_never_predicted_is_taken_at_its_word():
    """A row without counts would divide by zero."""
    problem = ClassBalanced([[0.9, 0.1], [0.2, 0.8]], [0, 0], 1, target=[0.5, 0.5])
    robust = robust_balance(problem, [[3, 1], [0, 0]], [0, 0])
    np.testing.assert_allclose(robust.probs.take(np.array([0])), [[0.675, 0.325]])


PROBLEM = ClassBalanced([[0.9, 0.1], [0.2, 0.8]], [0, 0], 1, target=[0.5, 0.5])
SQUARED = ClassBalanced([[0.9, 0.1]], [0], 1, target=[0.5, 0.5], distance="squared-l2")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: robust_balance(PROBLEM, np.eye(3)), r"counts: must be \(2, 2\), predicted by tr"),
        (lambda: robust_balance(PROBLEM, -np.eye(2)), "counts: must be finite and not negative"),
        (lambda: robust_balance(PROBLEM, np.eye(2), [1, -1]), "radius: must be finite and not neg"),
        (lambda: robust_balance(PROBLEM, np.eye(2), [1]), "radius: must have 2 values; got 1"),
        (lambda: robust_balance(SQUARED, np.eye(2)), "distance: the robust program is for 'l1'"),
        (lambda: confusion_radius(np.eye(2), 1.0), "doubt: must lie between 0 and 1; got 1"),
        (lambda: confusion_radius([[1, 2]]), r"counts: must be \(1, 1\)"),
    ],
    ids=range(7),
)
def test_bad_input_is_one_clear_error(call, message):
    """A mistake would end in a traceback, or in a bound that is none."""
    with pytest.raises(InvalidInput, match=message):
        call()
