"""Covers at one radius: reduced, searched for and refuted, each against brute force."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from labelcut import KCenter
from labelcut.solvers._clock import Clock
from labelcut.solvers.k_center import refuting, sample
from labelcut.solvers.k_center._kernels import search_cover
from labelcut.solvers.k_center.covering import greedy_cover, make_cover
from labelcut.solvers.k_center.refuting import (
    in_units,
    may_hold,
    narrow,
    needed_centers,
    relaxed_cover,
    search_by_mip,
)
from labelcut.solvers.k_center.sample import Sample, center_distances
from labelcut.solvers.search import Search


def compressed(matrix, rng):
    """Return the columns of each row of a 0-1 matrix, compressed and in any order."""
    starts = np.concatenate([[0], np.cumsum(matrix.sum(axis=1))]).astype(np.int64)
    rows = [rng.permutation(np.flatnonzero(row)) for row in matrix]
    return starts, np.concatenate([np.empty(0, np.int64), *rows]).astype(np.int64)


def fewest(matrix, outliers):
    """Return the least number of columns that leave at most so many rows uncovered, or None."""
    for count in range(matrix.shape[1] + 1):
        for columns in combinations(range(matrix.shape[1]), count):
            if (~matrix[:, columns].any(axis=1)).sum() <= outliers:
                return count
    return None


def expanded(cover):
    """Return the 0-1 matrix of a cover with each row as often as it stands for one."""
    return np.repeat(cover.matrix.toarray() > 0, cover.copies, axis=0)


@st.composite
def matrices(draw, most=8):
    """Return small 0-1 matrices with empty, doubled and nested rows and columns, and Ξ."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.integers(1, most)), draw(st.integers(1, most))
    matrix = rng.random(shape) < draw(st.sampled_from([0.1, 0.3, 0.5, 0.8]))
    if draw(st.booleans()):
        matrix = matrix[rng.integers(len(matrix), size=len(matrix))]
    if draw(st.booleans()):
        matrix = np.where(np.eye(*shape) > 0, draw(st.booleans()), matrix).astype(bool)
    return matrix, draw(st.integers(0, 2)), rng


@settings(max_examples=400)
@given(matrices())
def test_reductions_keep_the_least_number_of_columns(instance):
    """A dropped row or column would make covers easier or harder, and bounds false."""
    matrix, outliers, rng = instance
    cover = make_cover(*compressed(matrix, rng), matrix.shape[1], outliers=outliers > 0)
    assert fewest(expanded(cover), outliers) == fewest(matrix, outliers)


@settings(max_examples=300)
@given(matrices(), st.booleans())
def test_a_reduced_cover_says_what_it_stands_for(instance, costly):
    """Columns would be taken for other centers, or weights given to other rows."""
    matrix, outliers, rng = instance
    width = matrix.shape[1]
    starts, members = compressed(matrix, rng)
    cover = make_cover(starts, members, width, outliers=outliers > 0, costly=costly)
    reduced = cover.matrix.toarray() > 0
    assert reduced.shape == cover.shape
    assert (matrix[np.ix_(cover.rows, cover.columns)] == reduced).all()
    by_columns = np.zeros(cover.shape, dtype=bool)
    for column in range(cover.shape[1]):
        by_columns[cover.rows_of[slice(*cover.column_starts[column : column + 2])], column] = True
    assert (by_columns == reduced).all()
    assert (cover.stands[cover.rows] == np.arange(len(cover.rows))).all()
    assert (cover.copies >= 1).all()
    kept = np.flatnonzero(cover.stands >= 0)
    if outliers:
        assert len(kept) == len(matrix) == cover.copies.sum()
        copied = matrix[np.ix_(kept, cover.columns)]
        assert (copied == reduced[cover.stands[kept]]).all()
    if costly:
        assert cover.columns.tolist() == np.flatnonzero(matrix.any(axis=0)).tolist()
    for column in reduced.T:
        assert len(set(cover.groups[column])) <= 1


@settings(max_examples=200)
@given(matrices())
def test_with_every_column_kept_the_same_selections_cover(instance):
    """Under class balance the cheapest cover might be one that the reduction excludes."""
    matrix, outliers, rng = instance
    width = matrix.shape[1]
    cover = make_cover(*compressed(matrix, rng), width, outliers=outliers > 0, costly=True)
    position = {int(column): at for at, column in enumerate(cover.columns)}
    reduced = cover.matrix.toarray() > 0
    for count in range(width + 1):
        for columns in combinations(range(width), count):
            missed = int((~matrix[:, columns].any(axis=1)).sum())
            at = [position[column] for column in columns if column in position]
            left = cover.copies[~reduced[:, at].any(axis=1)].sum()
            assert (missed <= outliers) == (left <= outliers)


def searched(cover, chosen, outliers, steps=2_000, seed=0):
    """Run the local search; return what it claims to miss and what its columns do miss."""
    missed = search_cover(cover.incidence, chosen, outliers, steps, seed)
    covered = cover.matrix[:, chosen].sum(axis=1) > 0
    return missed, int(cover.copies[~covered].sum())


@settings(max_examples=300)
@given(matrices(), st.integers(1, 8), st.sampled_from([0, 1, 300]))
def test_local_search_counts_what_it_leaves_uncovered(instance, count, steps):
    """A cover would be claimed that is none, or columns be chosen twice."""
    matrix, outliers, rng = instance
    cover = make_cover(*compressed(matrix, rng), matrix.shape[1], outliers=outliers > 0)
    count = min(count, len(cover.columns))
    chosen = rng.permutation(len(cover.columns))[:count]
    if count:
        begun = cover.copies[~(cover.matrix[:, chosen].sum(axis=1) > 0)].sum()
        missed, left = searched(cover, chosen, outliers, steps)
        assert missed == left <= begun
        assert len(set(chosen.tolist())) == count
    greedy = greedy_cover(cover, count)
    assert len(set(greedy.tolist())) == count


@pytest.mark.parametrize("outliers", [0, 5])
def test_local_search_finds_planted_covers(outliers):
    """A search that does not work would leave everything to branch and bound, and still be right.

    Each row is covered by one of 12 planted columns and by others at random.
    """
    for seed in range(10):
        rng = np.random.default_rng(seed)
        matrix = rng.random((200, 150)) < 0.05
        matrix[np.arange(200), rng.integers(12, size=200)] = True
        matrix[: outliers and 5] = False
        cover = make_cover(*compressed(matrix, rng), 150, outliers=outliers > 0)
        chosen = rng.permutation(len(cover.columns))[:12]
        assert searched(cover, chosen, outliers, steps=20_000, seed=seed) == (outliers, outliers)


@settings(max_examples=300)
@given(matrices(most=7))
def test_no_weights_prove_more_centers_than_it_takes(instance):
    """Radii would be refuted that some selection has."""
    matrix, outliers, rng = instance
    cover = make_cover(*compressed(matrix, rng), matrix.shape[1], outliers=outliers > 0)
    least = fewest(matrix, outliers)
    least = np.inf if least is None else least
    m = len(cover.rows)
    for weights in (
        rng.random(m),
        rng.integers(0, 3, m).astype(np.float64),
        10.0 ** rng.integers(-12, 12, m),
        cover.copies.astype(np.float64),
        np.zeros(m),
    ):
        assert needed_centers(cover, weights, outliers) <= least + 1e-9


@settings(max_examples=200)
@given(matrices(most=7), st.sampled_from([0, refuting.LARGE]))
def test_the_relaxation_is_the_linear_programs_optimum(instance, large):
    """Its bound would be false, or its duals prove less than they should.

    Small ones go through the simplex method, and here through interior points as well.
    """
    matrix, outliers, rng = instance
    cover = make_cover(*compressed(matrix, rng), matrix.shape[1], outliers=outliers > 0)
    m, n = cover.shape
    least = fewest(matrix, outliers)
    if not m or not n or least is None:
        return
    rows = -np.hstack([cover.matrix.toarray(), np.eye(m)])
    limit = np.concatenate([np.zeros(n), cover.copies])
    solved = linprog(
        np.concatenate([np.ones(n), np.zeros(m)]),
        A_ub=np.vstack([rows, limit]),
        b_ub=np.append(-np.ones(m), outliers),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refuting, "LARGE", large)
        relaxed = relaxed_cover(cover, outliers, 10.0)
    assert relaxed.needed <= least + 1e-9
    assert relaxed.needed >= solved.fun - 1e-6
    assert (relaxed.weights >= 0).all()
    assert relaxed.values.sum() == pytest.approx(solved.fun, abs=1e-6)


@settings(max_examples=200)
@given(matrices(most=7))
def test_only_columns_that_no_small_cover_holds_are_left_out(instance):
    """A radius would be refuted because the columns of its covers were taken away."""
    matrix, outliers, rng = instance
    cover = make_cover(*compressed(matrix, rng), matrix.shape[1], outliers=outliers > 0)
    m, n = cover.shape
    full = expanded(cover)
    for budget in range(1, 5):
        for weights in (rng.random(m), 10.0 ** rng.integers(-3, 3, m), np.ones(m), np.zeros(m)):
            kept = may_hold(cover, in_units(cover, weights), budget, outliers)
            for columns in combinations(range(n), min(budget, n)):
                if (~full[:, columns].any(axis=1)).sum() <= outliers:
                    assert kept[list(columns)].all()


@settings(max_examples=200)
@given(matrices(most=8))
def test_narrowed_covers_are_as_easy_as_they_were(instance):
    """A radius would be refuted that some selection has, or covers be found that are none."""
    matrix, outliers, rng = instance
    whole = make_cover(*compressed(matrix, rng), matrix.shape[1], outliers=outliers > 0)
    least = fewest(matrix, outliers)
    for budget in range(1, 5):
        cover, refuted = narrow(whole, budget, outliers, Clock())
        if refuted:
            assert least is None or least > budget
            continue
        reduced = expanded(cover)
        left = fewest(reduced, outliers)
        possible = least is not None and least <= budget
        assert possible == (left is not None and left <= budget)
        assert (cover.needed == whole.needed).all()
        assert (matrix[np.ix_(cover.rows, cover.columns)] == (cover.matrix.toarray() > 0)).all()
        for columns in combinations(range(len(cover.columns)), min(budget, len(cover.columns))):
            if (~reduced[:, columns].any(axis=1)).sum() <= outliers:
                missed = (~matrix[:, cover.columns[list(columns)]].any(axis=1)).sum()
                assert missed <= outliers


def test_linear_programs_leave_out_what_is_too_much():
    """Branch and bound would be given columns that a linear program excludes, which is slow."""
    # A column for each three rows, and one for each two rows that do not share it.
    pairs = [pair for pair in combinations(range(12), 2) if pair[0] // 3 != pair[1] // 3]
    matrix = np.zeros((12, 4 + len(pairs)), dtype=bool)
    matrix[np.arange(12), np.arange(12) // 3] = True
    for at, pair in enumerate(pairs, 4):
        matrix[list(pair), at] = True
    rng = np.random.default_rng(0)
    cover = make_cover(*compressed(matrix, rng), matrix.shape[1], outliers=False)
    assert cover.shape == matrix.shape
    assert narrow(cover, 3, 0, Clock())[1]
    left, refuted = narrow(cover, 4, 0, Clock())
    assert not refuted
    assert len(left.columns) < len(cover.columns)


@pytest.mark.parametrize("outliers", [0, 2])
def test_branch_and_bound_refutes_what_brute_force_refutes(outliers):
    """An optimum would be lost, or a radius be called possible without a cover."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        matrix = rng.random((12, 9)) < 0.3
        cover = make_cover(*compressed(matrix, rng), 9, outliers=outliers > 0)
        least = fewest(matrix, outliers)
        for budget in range(2, 6):
            search = Search(problem=None, clock=Clock(), seed=seed)
            refuted, chosen = search_by_mip(cover, budget, outliers, 30.0, search)
            assert refuted == (least is None or budget < least)
            if chosen is not None:
                assert len(chosen) <= budget
                covered = cover.matrix[:, chosen].sum(axis=1) > 0
                assert cover.copies[~covered].sum() <= outliers


def test_a_relaxation_without_time_is_none():
    """A half-solved linear program would be taken for a proof."""
    rng = np.random.default_rng(0)
    matrix = rng.random((400, 400)) < 0.05
    cover = make_cover(*compressed(matrix, rng), 400, outliers=False)
    assert relaxed_cover(cover, 0, 1e-9) is None


@pytest.mark.parametrize("at_once", [sample.AT_ONCE, 1])
def test_a_sample_knows_its_distances_and_covers(at_once, monkeypatch):
    """Radii between two sampled distances would be tested, or covers be other than at a radius."""
    monkeypatch.setattr(sample, "AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    points = rng.integers(0, 6, size=(30, 2)).astype(np.float64)
    problem = KCenter(points, 3, labeled=[2], candidates=np.arange(5, 28))
    apart = problem.space.between(np.arange(30), np.arange(30))
    kept = Sample(problem)
    kept.add(np.array([7, 1, 29]), np.inf)
    kept.add(np.array([1, 12]), np.inf)
    assert sorted(kept.rows.tolist()) == [1, 7, 12, 29]
    columns = np.append(problem.free, 2)
    radii = np.unique(apart[np.ix_(kept.rows, columns)])
    assert kept.radii(0.0, np.inf).tolist() == radii.tolist()
    assert kept.radii(1.0, 3.0).tolist() == radii[(radii >= 1) & (radii < 3)].tolist()
    assert kept.next_radius(radii[2], np.inf) == radii[3]
    assert kept.next_radius(radii[2], radii[2]) == radii[2]
    for radius in radii:
        cover = kept.cover(radius, costly=True)
        rows = kept.rows[cover.rows]
        assert (apart[rows, 2] > radius).all()
        near = apart[np.ix_(rows, problem.free[cover.columns])] <= radius
        assert (near == (cover.matrix.toarray() > 0)).all()


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_rough_distances_are_exact_about_the_radius(shift):
    """Rows would count as covered that float32 puts on the wrong side of the radius."""
    rng = np.random.default_rng(0)
    points = rng.integers(0, 9, size=(200, 3)).astype(np.float64) / 7.0 + shift
    problem = KCenter(points, 5, labeled=[0])
    chosen = np.array([3, 50, 120])
    exact = problem.space.between(np.arange(200), np.array([0, 3, 50, 120]))
    for radius in np.unique(exact)[::7]:
        distances, nearest = center_distances(problem, chosen, float(radius))
        assert ((distances <= radius) == (exact.min(axis=1) <= radius)).all()
        assert set(nearest) <= {0, 3, 50, 120}


def test_local_search_ends_where_rows_have_no_column():
    """It would open columns that do not exist."""
    rng = np.random.default_rng(0)
    matrix = rng.random((50, 20)) < 0.1
    matrix[:3] = False
    cover = make_cover(*compressed(matrix, rng), 20, outliers=True)
    missed, left = searched(cover, np.arange(4), 0)
    assert missed == left >= 3
