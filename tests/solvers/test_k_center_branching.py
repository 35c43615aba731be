"""Trees of linear programs on covers: what they refute, find and prove, against brute force."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from labelcut import KCenter, solve
from labelcut.solvers._clock import Clock
from labelcut.solvers.k_center import settling
from labelcut.solvers.k_center.branching import Branch, Tree
from labelcut.solvers.k_center.certifying import Nodes
from labelcut.solvers.k_center.covering import make_cover

PLENTY = 1e12


def cover_of(matrix, outliers):
    """Return a 0-1 matrix as a reduced cover."""
    starts = np.concatenate([[0], np.cumsum(matrix.sum(axis=1))]).astype(np.int64)
    members = np.nonzero(matrix)[1].astype(np.int64)
    return make_cover(starts, members, matrix.shape[1], outliers=outliers > 0)


def tree_of(cover, budget, outliers):
    """Return a tree, with nodes to take its proof in."""
    return Tree(cover, budget, outliers, Nodes(cover))


def covers(cover, outliers, most):
    """Yield all choices of at most `most` columns that leave at most `outliers` rows uncovered."""
    matrix = cover.matrix.toarray() > 0
    for count in range(most + 1):
        for columns in combinations(range(cover.shape[1]), count):
            if cover.copies[~matrix[:, columns].any(axis=1)].sum() <= outliers:
                yield columns


@st.composite
def instances(draw):
    """Return covers of which linear programs alone often say nothing, a budget and Ξ."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.integers(3, 10))
    if draw(st.booleans()):  # Circulant, with a relaxation between two whole numbers.
        row = np.arange(size) < draw(st.integers(1, 3))
        matrix = np.array([np.roll(row, shift) for shift in range(size)])
        matrix &= rng.random(matrix.shape) < draw(st.sampled_from([0.9, 1.0]))
    else:
        matrix = rng.random((draw(st.integers(1, 14)), size)) < draw(st.sampled_from([0.2, 0.4]))
    outliers = draw(st.integers(0, 2))
    return cover_of(matrix, outliers), draw(st.integers(0, 5)), outliers


@settings(max_examples=200, deadline=None)
@given(instances())
def test_trees_settle_what_brute_force_settles(instance):
    """A radius would be refuted that some selection has, or a cover be claimed that is none."""
    cover, budget, outliers = instance
    possible = set(covers(cover, outliers, budget))
    refuted, chosen = tree_of(cover, budget, outliers).search(PLENTY, 60.0, Clock())
    assert refuted == (not possible)
    if possible:
        assert tuple(chosen.tolist()) in possible


@pytest.mark.parametrize(("size", "outliers"), [(120, 0), (70, 3)])
def test_trees_settle_what_takes_many_branches(size, outliers):
    """A mistake deep in a tree would show nowhere else; the truth is another program's."""
    branched = 0
    for seed in range(3):
        random = np.random.default_rng(seed).random((size, 50)) < 0.1
        random[np.arange(size), np.arange(size) % 50] = True
        cover = cover_of(random, outliers)
        (m, n), matrix = cover.shape, cover.matrix.toarray()
        missed = np.concatenate([np.zeros(n), cover.copies])
        needed = milp(
            np.concatenate([np.ones(n), np.zeros(m)]),
            integrality=np.ones(n + m),
            bounds=Bounds(0, 1),
            constraints=[
                LinearConstraint(np.hstack([matrix, np.eye(m)]), 1, np.inf),
                LinearConstraint(missed[None], 0, outliers),
            ],
        )
        least = round(needed.fun)
        tree = tree_of(cover, least - 1, outliers)
        assert tree.search(PLENTY, 60.0, Clock()) == (True, None)
        branched = max(branched, tree.program.steps)
        tree = tree_of(cover, least, outliers)
        refuted, chosen = tree.search(PLENTY, 60.0, Clock())
        assert not refuted
        assert tree.solves(chosen)
    assert branched > 1_000


class Arbitrary:
    """A solver of linear programs that is always wrong."""

    def __init__(self, rng):
        self.rng = rng

    def solve(self, lower, upper, basis, seconds, steps):
        """Return values and duals drawn at random, of either sign."""
        del upper, basis, seconds, steps
        return lower, self.rng.normal(size=self.duals) * self.rng.choice([0.1, 0.5, 2.0])


@settings(max_examples=300, deadline=None)
@given(instances(), st.integers(0, 2**32))
def test_whatever_the_duals_no_cover_is_excluded(instance, seed):
    """What HiGHS gets wrong would be believed."""
    cover, budget, outliers = instance
    rng = np.random.default_rng(seed)
    tree = tree_of(cover, budget, outliers)
    tree.program = Arbitrary(rng)
    tree.program.duals = len(tree.model.row_lower)
    n = cover.shape[1]
    lower, upper = tree.model.lower.copy(), tree.model.upper.copy()
    fixed = rng.random(n)
    lower[:n][fixed < 0.2] = 1.0
    upper[:n][fixed > 0.8] = 0.0
    bounded = tree.bound(Branch(lower, upper, None), 1.0)
    for columns in covers(cover, outliers, n):
        taken = np.isin(np.arange(n), columns)
        if (taken < lower[:n]).any() or (taken > upper[:n]).any():
            continue
        assert len(columns) >= bounded.value - 1e-9
        free = lower[:n] < upper[:n]
        assert (len(columns) >= bounded.taken[taken & free] - 1e-9).all()
        assert (len(columns) >= bounded.left[~taken & free] - 1e-9).all()


def five_cycles(count):
    """Return disjoint odd cycles: each takes 3 columns, and 2.5 in the relaxation."""
    cycle = np.eye(5, dtype=bool) | np.roll(np.eye(5, dtype=bool), 1, axis=1)
    return cover_of(np.kron(np.eye(count, dtype=bool), cycle), 0)


def test_a_tree_without_time_or_work_knows_nothing():
    """What it has not come to would be taken for refuted."""
    tree = tree_of(five_cycles(6), 17, 0)
    assert tree.search(1.0, 60.0, Clock()) == (False, None)
    assert tree.search(PLENTY, 0.0, Clock()) == (False, None)
    assert tree.search(PLENTY, 60.0, Clock()) == (True, None)


def test_a_way_that_trials_close_is_no_branch():
    """A tree would hold twice the branches, of which half are known to be empty."""
    tree = tree_of(cover_of(np.eye(3, dtype=bool), 0), 3, 0)
    root = Branch(tree.model.lower, tree.model.upper, None)
    bounded = tree.bound(root, 60.0)
    (below,) = tree.split(root, root, bounded, np.array([1]), 60.0)
    assert below.lower.tolist() == [0.0, 1.0, 0.0]
    assert below.upper.tolist() == [1.0, 1.0, 1.0]


def test_radii_are_settled_by_trees_alone(monkeypatch):
    """A tree that settles nothing would leave it all to HiGHS, and still be right."""
    monkeypatch.setattr(settling, "search_by_mip", None)
    settled = set()
    for seed in range(3):
        points = np.random.default_rng(seed).random((250, 2))
        for outliers in (0, 3):
            problem = KCenter(points, 12, outliers=outliers)
            solution = solve(problem, "exact", gap_tol=0, abs_gap_tol=0, time_limit=60)
            assert solution.objective == solution.bound
            settled.add(solution.info["proof"])
    assert "tree" in settled


def test_fixed_columns_stay_fixed_in_what_follows():
    """Both branches of a column would be searched twice, or neither."""
    tree = tree_of(five_cycles(2), 6, 0)
    root = Branch(tree.model.lower, tree.model.upper, None)
    bounded = tree.bound(root, 60.0)
    below = tree.split(root, tree.narrow(root, bounded), bounded, np.arange(4), 60.0)
    assert len(below) == 2
    for branch, (at, other) in zip(below, pairwise([0.0, 1.0, 0.0]), strict=True):
        fixed = np.flatnonzero(branch.lower == branch.upper)
        assert branch.lower[fixed].tolist() == [at] != [other]
