"""The front of radius and imbalance against all selections."""

from itertools import combinations

import numpy as np
import pytest

from labelcut import InvalidInput, KCenter, coreset_frontier


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
