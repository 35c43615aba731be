"""The front of radius and imbalance against all selections."""

from itertools import combinations

import numpy as np
import pytest

from labelcut import (
    ClassBalanced,
    ExpectedCount,
    GroupLimit,
    Include,
    InvalidInput,
    KCenter,
    UnsupportedProblem,
    coreset_frontier,
    frontier,
)
from labelcut.problems.base import StoppedBy
from labelcut.solvers.k_center.balanced import _Intervals
from labelcut.solvers.search import Stop


@pytest.mark.parametrize("seed", range(4))
def test_the_front_lies_between_what_is_found_and_what_is_proven(seed):
    """A point would miss a better balance within its radius, or prove too much."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(3), 9)
    problem = KCenter(rng.normal(size=(9, 2)), 3, probs=probs, balance=0.7, outliers=seed % 2)
    terms = [problem.evaluate(list(rows)).terms for rows in combinations(range(9), 3)]
    for point in coreset_frontier(problem, 4, gap_tol=1e-6):
        within = [t["imbalance"] for t in terms if t["radius"] <= point.limit * (1 + 1e-12)]
        assert point.bound <= min(within) + 1e-6
        assert point.imbalance == pytest.approx(min(within), abs=1e-6)
        assert point.bound == pytest.approx(min(within), abs=1e-4)
        told = problem.evaluate(point.indices).terms
        assert (told["radius"], told["imbalance"]) == (point.radius, point.imbalance)


@pytest.mark.parametrize(
    ("arguments", "points", "message"),
    [
        ({}, 8, "balance > 0"),
        ({"probs": [[1.0], [1.0], [1.0]]}, 8, "balance > 0"),
        ({"probs": [[1.0], [1.0], [1.0]], "balance": 1.0}, 1, "points: must be a whole number"),
    ],
)
def test_what_cannot_be_traced_is_one_clear_error(arguments, points, message):
    """A front without a second term would be one point, or none."""
    problem = KCenter([[0.0], [1.0], [3.0]], 1, **arguments)
    with pytest.raises(InvalidInput, match=message):
        coreset_frontier(problem, points)


GROUPS = np.repeat(np.arange(3), 3)
ONE_EACH = GroupLimit(GROUPS, at_most=1)
PROBS = np.random.default_rng(0).dirichlet(np.ones(3), 9)


def study(budget, constraints=()):
    """Return both frontiers as functions of what `solve` takes as well, of one problem each."""
    points = np.random.default_rng(1).normal(size=(9, 2))
    coreset = KCenter(points, budget, probs=PROBS, balance=0.5, constraints=constraints)
    balanced = ClassBalanced(PROBS, points[:, 0], budget, constraints=constraints)
    return (
        lambda **limits: coreset_frontier(coreset, 3, **limits),
        lambda **limits: frontier(balanced, [0.0, 1.0], **limits).points,
    )


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    "constraints", [[ONE_EACH], [Include([0, 1]), ONE_EACH]], ids=["by search", "at once"]
)
def test_a_front_without_selections_says_why(which, constraints):
    """A contradiction would come out as an exception of the solvers' own."""
    with pytest.raises(InvalidInput, match=r"frontier: .*at most 1") as raised:
        study(4, constraints)[which]()
    assert type(raised.value) is InvalidInput


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"time_limit": -1}, "time_limit: must be"),
        ({"gap_tol": float("nan")}, "gap_tol: must be"),
        ({"seed": -1}, "seed: must be"),
    ],
)
def test_limits_of_a_front_are_those_of_solve(which, limits, message):
    """A limit that means nothing would be obeyed, or fail deep inside."""
    with pytest.raises(InvalidInput, match=message):
        study(3)[which](**limits)


@pytest.mark.parametrize("which", [0, 1])
def test_a_front_refuses_what_no_method_takes(which):
    """A confidence would be taken for an expectation."""
    sure = ExpectedCount(PROBS, classes=0, at_least=0.5, confidence=0.7)
    with pytest.raises(UnsupportedProblem, match="with a confidence"):
        study(3, [sure])[which]()


def test_a_front_is_of_a_coreset():
    """A problem of another kind would fail on what it does not have."""
    with pytest.raises(UnsupportedProblem, match="takes k-center problems"):
        coreset_frontier(ClassBalanced(PROBS, PROBS[:, 0], 2))


def test_no_time_is_an_empty_front():
    """The clock would come out as an exception of the solvers' own."""
    assert study(3)[0](time_limit=1e-6) == ()


def test_a_sample_that_grows_too_large_ends_the_front_where_it_is(monkeypatch):
    """A solver's own exception would come out, and what was found by then would be lost."""

    def full(self, radius):
        raise Stop(StoppedBy.EXHAUSTED)

    known = study(3)[0]()
    monkeypatch.setattr(_Intervals, "bound_imbalance", full)
    points = study(3)[0]()
    assert len(points) == len(known)
    for point, better in zip(points, known, strict=True):
        assert 0 <= point.bound <= better.imbalance <= point.imbalance
