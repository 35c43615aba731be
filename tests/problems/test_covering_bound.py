"""The bound of weighted rows: it proves true radii, and no attack makes it prove a false one."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from labelcut import Forbid, Include, InvalidInput, KCenter
from labelcut.problems import Certificate


def smallest_radius(table, budget, labeled, allowed, included, outliers):
    """Return the smallest radius over all selections."""
    rest = [row for row in allowed if row not in included]
    return min(
        np.sort(table[:, [*labeled, *included, *more]].min(axis=1))[-1 - outliers]
        for more in combinations(rest, budget - len(included))
    )


def witnesses(rows, radius, **values):
    """Return a certificate of weighted rows."""
    return Certificate("witnesses", True, radius, {"rows": rows, "radius": radius, **values})


@st.composite
def attacks(draw):
    """Draw a small problem and a proof that may be anything."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    size = draw(st.integers(4, 9))
    points = (
        rng.integers(0, 4, size=(size, 2)) if draw(st.booleans()) else rng.normal(size=(size, 2))
    )
    order = rng.permutation(size)
    labeled = np.sort(order[: draw(st.integers(0, 2))])
    forbidden = order[2 : 2 + draw(st.integers(0, 1))]
    included = order[3 : 3 + draw(st.integers(0, 1))]
    outliers = draw(st.integers(0, min(3, size - 1)))
    budget = draw(st.integers(max(1, len(included)), 3 if size > 6 else 1))
    rows = rng.permutation(size)[: draw(st.integers(1, size))]
    weight = st.one_of(
        st.just(1.0), st.floats(0, 3), st.sampled_from([0.1, 0.2, 0.3, 1e-300, 1e16, -1.0])
    )
    weights = draw(st.lists(weight, min_size=len(rows), max_size=len(rows)))
    groups = rng.integers(0, draw(st.integers(1, len(rows))), size=len(rows))
    return points, budget, outliers, labeled, forbidden, included, rows, weights, groups


@settings(max_examples=300)
@given(attacks())
def test_no_weights_prove_more_than_the_optimum(case):
    """A certificate could claim a radius that some selection beats."""
    points, budget, outliers, labeled, forbidden, included, rows, weights, groups = case
    constraints = [Include(included), Forbid(forbidden)]
    problem = KCenter(points, budget, outliers=outliers, labeled=labeled, constraints=constraints)
    table = cdist(points, points)
    allowed = np.setdiff1d(problem.candidates, forbidden)
    best = smallest_radius(table, budget, labeled, allowed, included, outliers)
    values = {"weights": weights, "groups": groups}
    for radius in (*np.unique(table), best, np.nextafter(best, np.inf), 1e9, np.inf):
        assert problem.prove(witnesses(rows, radius, **values)) <= best + 1e-12
        assert problem.prove(witnesses(rows, radius)) <= best + 1e-12


LINE = np.array([[0.0], [1.0], [5.0], [6.0], [10.0]])


@pytest.mark.parametrize(
    ("arguments", "rows", "radius", "values"),
    [
        # 0, 5 and 10 are pairwise 5 apart; two centers leave one of them 1 away at least,
        # since no row lies within 1 (strictly) of two of them.
        ({"budget": 2}, [0, 2, 4], 1.0, {}),
        # With a labeled row at 5 that row is covered, and one center cannot serve both ends.
        ({"budget": 1, "labeled": [2]}, [0, 2, 4], 5.0, {}),
        # One outlier takes one witness more: all five rows are at least 1 apart.
        ({"budget": 2, "outliers": 1}, [0, 1, 2, 4], 1.0, {}),
        # Weight that does not count adds nothing and harms nothing.
        ({"budget": 2}, [0, 1, 2, 4], 1.0, {"weights": [1.0, 0.0, 1.0, 1.0]}),
        # Groups {0, 1} and {5, 6} have no candidate in common within 2, and 10 is alone.
        (
            {"budget": 2},
            [0, 1, 2, 3, 4],
            1.5,
            {"weights": [2, 1, 1, 1, 1], "groups": [0, 0, 1, 1, 2]},
        ),
        # Nobody may be chosen within 4 of row 4, so that no budget brings the radius below 4.
        ({"budget": 3, "candidates": [0, 1, 2, 3]}, [4], 4.0, {}),
    ],
)
def test_true_bounds_worked_out_by_hand_are_proven(arguments, rows, radius, values):
    """A proof that anyone can follow on paper would be turned down."""
    problem = KCenter(LINE, **arguments)
    assert problem.prove(witnesses(rows, radius, **values)) == radius


@pytest.mark.parametrize(
    ("arguments", "rows", "radius"),
    [
        ({"budget": 2}, [0, 2, 4], 5.5),  # a center at 5 reaches all three
        ({"budget": 3}, [0, 2, 4], 1.0),  # three centers may stand on the witnesses themselves
        ({"budget": 1, "labeled": [0]}, [0, 4], 5.0),  # the labeled row covers itself
        ({"budget": 2, "outliers": 1}, [0, 2, 4], 1.0),  # one of the three may stay uncovered
    ],
)
def test_almost_true_bounds_are_not(arguments, rows, radius):
    """A bound would be one row or one outlier too strong."""
    problem = KCenter(LINE, **arguments)
    proven = problem.prove(witnesses(rows, radius))
    table = np.abs(LINE - LINE.T)
    best = smallest_radius(
        table, arguments["budget"], arguments.get("labeled", []), problem.candidates, [],
        arguments.get("outliers", 0),
    )  # fmt: skip
    assert proven <= best
    if best < radius:
        assert proven == 0.0


def test_three_rows_of_unequal_weight_prove_what_counting_cannot():
    """Weights would be ignored: here the LP bound is above what rows far apart can show."""
    # A cycle of five rows: each covers itself and both neighbours, so that two are needed, and no
    # two rows are without a common neighbour. All five with weight 1: 5 / 3 > 1.
    ring = np.array([[0, 1, 2, 2, 1], [1, 0, 1, 2, 2], [2, 1, 0, 1, 2], [2, 2, 1, 0, 1],
                     [1, 2, 2, 1, 0]])  # fmt: skip
    problem = KCenter.from_distances(ring, 1)
    assert problem.prove(witnesses([0, 1, 2, 3, 4], 2.0)) == 2.0
    assert problem.prove(witnesses([0, 2], 2.0)) == 0.0


def test_left_out_weight_is_not_a_rounding_error():
    """0.1 + 0.2 + 0.3 less the same in another order would count as weight that nobody covers."""
    # Row 0 may be chosen, rows 1 to 3 may not and lie far off; all three may stay uncovered.
    points = [[0.0], [50.0], [60.0], [70.0], [0.1]]
    problem = KCenter(points, 1, outliers=3, candidates=[0, 4])
    certificate = witnesses([1, 2, 3], 40.0, weights=[0.1, 0.2, 0.3])
    assert problem.prove(certificate) == 0.0
    certificate = witnesses([1, 2, 3, 0], 40.0, weights=[1e15, 2e15, 3e15, 1e-3])
    assert problem.prove(certificate) == 0.0


def test_sums_that_overflow_prove_nothing():
    """Infinite total weight would ask for infinitely many centers."""
    assert KCenter(LINE, 4).prove(witnesses([0, 4], 1.0, weights=[1.5e308, 1.5e308])) == 0.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rows": [0, 0]}, "certificate rows: must be distinct rows of the dataset"),
        ({"rows": [5]}, "certificate rows: must be distinct rows"),
        ({"rows": [-1]}, "certificate rows: must be distinct rows"),
        ({"rows": [[0, 1]]}, "certificate rows: must be distinct rows"),
        ({"rows": 3}, "certificate rows: must be distinct rows"),
        ({"rows": ["a"]}, "certificate rows: must be whole numbers"),
        ({"weights": [1.0]}, "certificate weights: must have 2 values; got 1"),
        ({"groups": [0]}, "certificate groups: must have 2 values"),
        ({"groups": [0.5, 1]}, "certificate groups: must be whole numbers"),
        ({"radius": None}, "certificate radius: must be one number"),
    ],
)
def test_broken_certificates_are_named(values, message):
    """A file that was changed by hand would end in a traceback."""
    problem = KCenter(LINE, 1)
    certificate = Certificate("witnesses", True, 1.0, {"rows": [0, 4], "radius": 1.0, **values})
    with pytest.raises(InvalidInput, match=message):
        problem.prove(certificate)


@pytest.mark.parametrize("weights", [[np.nan, 1.0], [np.inf, 1.0], [0.0, 0.0], [-1.0, -1.0]])
def test_weights_that_are_no_weights_prove_nothing(weights):
    """NaN or infinite weight would prove anything."""
    problem = KCenter(LINE, 1)
    assert problem.prove(witnesses([0, 4], 100.0, weights=weights)) == 0.0
