"""Instances of k-center: published ones, from LABELCUT_DATA, and embeddings made here."""

import csv
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

CLUSTERS = 50
"""Gaussians in a mixture."""


@dataclass(frozen=True)
class Instance:
    """Points or distances to choose from, and the budget; embeddings have their rows and columns.

    Parameters
    ----------
    name
        ``"mixture"``, ``"digits"``, or that of the OR-Library (pmed) or the TSPLIB.
    budget
        b.
    size, dimension
        N and d, for embeddings.
    """

    name: str
    budget: int
    size: int = 0
    dimension: int = 0

    @property
    def file(self) -> str:
        """The file of its array, which is the same for every budget."""
        return f"{self.name}-{self.size}x{self.dimension}.npy"

    @property
    def given(self) -> bool:
        """Whether the array holds distances."""
        return self.name.startswith("pmed")

    @property
    def published(self) -> float | None:
        """The published radius, None where the list has none."""
        return _published().get((self.name, self.budget))

    def array(self) -> Any:
        """Return points ``(N, d)``, or distances ``(N, N)`` where they are given."""
        if self.name == "mixture":
            return mixture(self.size, self.dimension)
        if self.name == "digits":
            from sklearn.datasets import load_digits

            return load_digits().data.astype(np.float32)
        if self.given:
            return graph_distances((_folder() / f"{self.name}.txt").read_text())
        with np.load(_folder() / f"{self.name}.npz") as arrays:
            return arrays["X"].astype(np.float64)


def mixture(size: int, dimension: int) -> Any:
    """Return points around middles, each cluster with a spread and a share of its own."""
    rng = np.random.default_rng(0)
    middles = 2.0 * rng.standard_normal((CLUSTERS, dimension), dtype=np.float32)
    spreads = rng.uniform(0.2, 2.0, CLUSTERS).astype(np.float32)
    which = rng.choice(CLUSTERS, size, p=rng.dirichlet(np.ones(CLUSTERS)))
    points = rng.standard_normal((size, dimension), dtype=np.float32)
    points *= spreads[which, None]
    points += middles[which]
    return points


def graph_distances(text: str) -> Any:
    """Return the lengths of shortest paths in a graph of the OR-Library."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import shortest_path

    header, *edges = (line.split() for line in text.splitlines() if line.strip())
    size = int(header[0])
    lengths = np.zeros((size, size))
    # Of edges that are listed again the last one counts.
    for first, second, length in edges:
        at, to = int(first) - 1, int(second) - 1
        lengths[at, to] = lengths[to, at] = float(length)
    return shortest_path(csr_array(lengths), directed=False)


@cache
def _published() -> dict[tuple[str, int], float]:
    with (_folder() / "optima.csv").open() as file:
        rows = csv.DictReader(file)
        return {(row["instance"], int(row["p"])): float(row["optimum"]) for row in rows}


def _folder() -> Path:
    folder = Path(os.environ.get("LABELCUT_DATA") or "missing") / "pcenter"
    if not folder.exists():
        sys.exit(f"LABELCUT_DATA: holds no instances at {folder}; name a folder that does")
    return folder
