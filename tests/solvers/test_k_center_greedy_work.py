"""What greedy k-center measures and holds: work and memory, counted."""

import tracemalloc

import numpy as np
import pytest
import torch

from labelcut import KCenter, solve
from labelcut.problems.embeddings import Embeddings


def test_rows_that_are_never_farthest_are_measured_to_few_centers(monkeypatch):
    """Measuring every row to every center would cost several times as much."""
    points = np.random.default_rng(1).normal(size=(20_000, 40)).astype(np.float32)
    products, closest = [], Embeddings.closest
    settled, apart = [], Embeddings.apart

    def counted(space, rows, sites):
        at, rough = closest(space, rows, sites)
        products.append(len(at) * len(sites))
        return at, rough

    def counted_apart(space, gathered, sites):
        settled.append(len(gathered) * len(sites))
        return apart(space, gathered, sites)

    monkeypatch.setattr(Embeddings, "closest", counted)
    monkeypatch.setattr(Embeddings, "apart", counted_apart)
    solve(KCenter(points, 300), "greedy")
    assert sum(products) < 20_000 * 300 / 3
    products.clear()
    settled.clear()
    solve(KCenter(points, 300, labeled=np.arange(3000)), "greedy")
    assert sum(products) < 20_000 * 3300 / 2
    # Bounds from some of the labeled rows alone would have four times as many rows settled.
    assert sum(settled) < 20_000 * 3300 / 20


def test_guesses_spare_most_products(monkeypatch):
    """Rows of clusters would be measured to every center, where one that is near is enough."""
    rng = np.random.default_rng(0)
    middles, widths = 3.0 * rng.normal(size=(60, 128)), rng.uniform(0.5, 1.0, 60)
    which = rng.integers(0, 60, 12_000)
    points = middles[which] + widths[which, None] * rng.normal(size=(12_000, 128))
    problem = KCenter(points.astype(np.float32), 200, labeled=np.arange(1500))
    products, closest = [], Embeddings.closest

    def counted(space, rows, sites):
        at, rough = closest(space, rows, sites)
        products.append(len(at) * len(sites))
        return at, rough

    monkeypatch.setattr(Embeddings, "closest", counted)
    order = solve(problem, "greedy").order.tolist()
    guessed = sum(products)
    products.clear()
    monkeypatch.setattr(Embeddings, "guess", lambda space, sites: None)
    assert solve(problem, "greedy").order.tolist() == order
    assert guessed < sum(products) / 2


@pytest.mark.parametrize("kind", ["float32", "float64", "torch"])
def test_guesses_are_nearest_sites_that_count(kind):
    """A guess among sites that do not count, or a poor one, would be measured for nothing."""
    rng = np.random.default_rng(1)
    middles = 3.0 * rng.normal(size=(50, 200)) + 20.0
    points = np.concatenate([middles, middles + rng.normal(size=(50, 200))])
    points = torch.from_numpy(points) if kind == "torch" else points.astype(kind)
    space = Embeddings(points)
    guess = space.guess(space.sites(np.arange(50)))
    rows = np.arange(50, 100)
    assert (guess(rows, 0) == np.arange(50)).mean() > 0.9
    assert (guess(slice(80, 100), 30) == np.arange(30, 50)).mean() > 0.9
    assert (guess(rows, 30) >= 30).all()


def test_labeled_rows_are_never_held_as_a_second_copy():
    """Half of the rows labeled would take half of the points' memory once more."""
    points = np.random.default_rng(1).normal(size=(20_000, 256)).astype(np.float32)
    problem = KCenter(points, 20, labeled=np.arange(0, 20_000, 2))
    solve(KCenter(points[:100], 20, labeled=[0]), "greedy")  # imports
    tracemalloc.start()
    solve(problem, "greedy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < points.nbytes * 3 / 8
