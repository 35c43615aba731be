"""Coverage: nearest centers and radii are those of the whole table of distances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from labelcut.problems.coverage import coverage_radius, nearest_centers
from labelcut.problems.embeddings import METRICS, Embeddings
from labelcut.problems.given_distances import GivenDistances


def table_of(points, metric="euclidean"):
    """Return all distances by SciPy."""
    names = {"squared-euclidean": "sqeuclidean"}
    return cdist(points, points, names.get(metric, metric))


@given(
    seed=st.integers(0, 10**6),
    metric=st.sampled_from(METRICS),
    dimension=st.sampled_from([2, 30]),
    ties=st.booleans(),
)
def test_nearest_centers_are_those_of_the_table(seed, metric, dimension, ties):
    """A row would be given to a center that is not its nearest, or not the lowest of several."""
    rng = np.random.default_rng(seed)
    draw = rng.integers(1, 4, size=(60, dimension)) if ties else rng.normal(size=(60, dimension))
    space = Embeddings(draw.astype(np.float32), metric)
    centers = np.sort(rng.choice(60, size=rng.integers(1, 12), replace=False))
    nearest, distances = nearest_centers(space, centers)
    exact = space.between(np.arange(60), centers)
    np.testing.assert_array_equal(nearest, centers[exact.argmin(axis=1)])
    np.testing.assert_array_equal(distances, exact.min(axis=1))
    expected = table_of(draw.astype(float), metric)[:, centers].min(axis=1)
    np.testing.assert_allclose(distances, expected, atol=1e-6)


HINTS = ("none", "right", "any center", "itself", "nobody", "anything", "out of range")


@given(st.integers(0, 10**6), st.sampled_from(HINTS), st.integers(0, 5))
def test_hints_never_change_the_radius(seed, hint, outliers):
    """A solver that is wrong about its centers would report a radius that no center gives."""
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 5, size=(80, 2)) if seed % 2 else rng.normal(size=(80, 3))
    space = Embeddings(points)
    centers = np.sort(rng.choice(80, size=rng.integers(1, 9), replace=False))
    exact = table_of(points)[:, centers]
    nearest = {
        "none": None,
        "right": centers[exact.argmin(axis=1)],
        "any center": rng.choice(centers, size=80),
        "itself": np.arange(80),
        "nobody": np.full(80, -1),
        "anything": rng.integers(80, size=80),
        "out of range": rng.integers(-5, 200, size=80),
    }[hint]
    expected = np.sort(exact.min(axis=1))[-1 - outliers]
    found = coverage_radius(space, centers, outliers, nearest)
    assert found == pytest.approx(expected, abs=1e-12)
    assert found == coverage_radius(space, centers, outliers, None)


def test_distances_without_a_triangle_are_taken_as_they_are():
    """Given distances would be treated as if they were those of points."""
    table = np.array([[0, 1, 9], [1, 0, 1], [9, 1, 0]], dtype=float)
    nearest, distances = nearest_centers(GivenDistances(table), np.array([0]))
    np.testing.assert_array_equal(nearest, [0, 0, 0])
    np.testing.assert_array_equal(distances, [0, 1, 9])


def test_without_a_center_everything_is_out_of_reach():
    """A question before the first choice would end in a traceback."""
    space = Embeddings(np.eye(3))
    nearest, distances = nearest_centers(space, np.empty(0, dtype=np.int64))
    np.testing.assert_array_equal(nearest, [-1, -1, -1])
    np.testing.assert_array_equal(distances, [np.inf] * 3)
    assert coverage_radius(space, np.empty(0, dtype=np.int64), 0, np.zeros(3, int)) == np.inf
