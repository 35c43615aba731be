"""Rough distances against exact ones: each way to ask for them keeps to its error."""

import numpy as np
import pytest
import torch

from labelcut.problems.arrays import to_numpy
from labelcut.problems.coverage import coverage_radius, nearest_centers
from labelcut.problems.embeddings import Embeddings
from labelcut.problems.factored import Factored
from labelcut.problems.given_distances import GivenDistances

METRICS = ("euclidean", "squared-euclidean", "cosine")


def spaces():
    """Return spaces of all kinds, among them points far from the origin, and near each other."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(150, 48))
    given = np.abs(np.triu(points @ points.T, 1))
    yield "given", GivenDistances(given + given.T)
    for metric in METRICS:
        yield f"factored {metric}", Factored(points[:, :5], points[:, 5:], metric)
        for away in (0.0, 1.0, 1e4):
            moved = points + away
            yield f"float64 {metric} {away}", Embeddings(moved, metric)
            yield f"float32 {metric} {away}", Embeddings(moved.astype(np.float32), metric)
            yield f"torch {metric} {away}", Embeddings(torch.from_numpy(moved), metric)
            whole = np.round(moved * 2000).astype(np.int64)
            yield f"int64 {metric} {away}", Embeddings(whole, metric)
        yield f"cone {metric}", Embeddings((1.0 + 1e-4 * points).astype(np.float32), metric)
        yield f"few {metric}", Embeddings(points[:, :3], metric)


SPACES = dict(spaces())


@pytest.mark.parametrize("name", SPACES)
def test_rough_distances_are_within_their_error(name):
    """A row beyond the stated error would be left out of the exact comparison that decides."""
    space = SPACES[name]
    rows = np.array([149, 3, 77, 20])
    every = np.arange(space.size)
    exact = space.to_rough(space.between(every, rows))
    sites = space.sites(rows)
    allowed = space.rough_error(slice(10, 90), sites) + 4e-16 * exact[10:90].max(axis=1)
    assert (
        np.abs(to_numpy(space.rough(slice(10, 90), sites)) - exact[10:90]).max(axis=1) <= allowed
    ).all()
    at, least = space.closest(slice(10, 90), sites)
    assert (np.abs(least - exact[10:90].min(axis=1)) <= allowed).all()
    assert (exact[np.arange(10, 90), at] <= exact[10:90].min(axis=1) + 2 * allowed).all()
    which = every[10:90] % 4
    paired = space.rough_pairs(slice(10, 90), sites, which)
    assert (np.abs(paired - exact[np.arange(10, 90), which]) <= allowed).all()
    points = space.gather(every[::2])
    apart = space.apart(points, sites)
    limit = space.apart_error(points, sites)[:, None] + 4e-16 * exact[::2]
    assert (np.abs(apart - exact[::2]) <= limit).all()
    alone = space.apart(points, space.sites(rows[:1]))
    assert (np.abs(alone - exact[::2, :1]) <= limit[:, :1]).all()


@pytest.mark.parametrize("name", ["given", *(name for name in SPACES if "1.0" in name)])
def test_the_radius_is_true_whatever_hints_say(name):
    """A hint that is no center, or a far one, would make the radius another one."""
    space = SPACES[name]
    centers = np.array([4, 50, 51, 120])
    nearest, distances = nearest_centers(space, centers)
    for outliers in (0, 7):
        radius = np.sort(distances)[-1 - outliers]
        for hint in (nearest, np.full(150, 50), np.arange(150), None):
            assert coverage_radius(space, centers, outliers, hint) == radius


@pytest.mark.parametrize("metric", METRICS)
def test_no_point_is_near_two_witnesses(metric):
    """Rounding would let a point halfway between two rows cover both."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        ends = rng.normal(size=(2, 30))
        halfway = ends.mean(axis=0)
        if metric == "cosine":
            ends /= np.sqrt((ends**2).sum(axis=1))[:, None]
            halfway = ends.mean(axis=0)
        space = Embeddings(np.stack([*ends, halfway]), metric)
        apart = float(space.pairs(np.array([0]), np.array([1]))[0])
        radius = space.witness_radius(apart)
        assert space.between(np.array([2]), np.array([0, 1])).max() >= radius
        assert radius >= space.witness_share * apart * (1 - 1e-9)
