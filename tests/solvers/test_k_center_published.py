"""The optima that the p-center literature publishes, found and proven."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import shortest_path

from labelcut import KCenter, check, solve
from labelcut.problems.base import Status


@pytest.fixture(scope="module")
def folder():
    """Return the folder of the published instances."""
    path = Path(os.environ.get("LABELCUT_DATA") or "missing") / "pcenter"
    if not (path / "optima.csv").exists():
        pytest.skip("LABELCUT_DATA does not hold pcenter/, the published instances")
    return path


def problem_of(folder, name, budget):
    """Return an OR-Library graph with its shortest paths, or cities of TSPLIB."""
    if not name.startswith("pmed"):
        with np.load(folder / f"{name}.npz") as arrays:
            return KCenter(arrays[arrays.files[0]].astype(np.float64), budget)
    size, edges, *rest = (int(word) for word in (folder / f"{name}.txt").read_text().split())
    start, end, cost = np.array(rest[1 : 1 + 3 * edges]).reshape(-1, 3).T
    # Of an edge that is given twice, either way round, the last one counts.
    between = {frozenset(pair): at for at, pair in enumerate(zip(start, end, strict=True))}
    last = list(between.values())
    at = (start[last] - 1, end[last] - 1)
    graph = coo_array((cost[last].astype(np.float64), at), shape=(size, size))
    return KCenter.from_distances(shortest_path(graph.tocsr(), directed=False), budget)


def require_published(folder, name, budget=None):
    """Solve an instance to its proven optimum, and hold that against the published one."""
    with (folder / "optima.csv").open(newline="") as lines:
        published = [row for row in csv.DictReader(lines) if row["instance"] == name]
    (row,) = (row for row in published if budget in (None, int(row["p"])))
    problem = problem_of(folder, name, int(row["p"]))
    solution = solve(problem, "exact", time_limit=300, gap_tol=0, abs_gap_tol=0)
    assert solution.status is Status.OPTIMAL
    assert solution.bound == solution.objective
    digits = len(row["optimum"].partition(".")[2])
    assert abs(solution.objective - float(row["optimum"])) <= 0.51 * 10.0**-digits
    check(problem, solution)


@pytest.mark.parametrize("number", range(1, 11))
def test_optima_of_the_or_library(folder, number):
    """The radius of a graph's centers would be another than the one all papers agree on."""
    require_published(folder, f"pmed{number}")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(11, 21))
def test_optima_of_larger_graphs(folder, number):
    """As for smaller ones."""
    require_published(folder, f"pmed{number}")


@pytest.mark.parametrize("budget", [5, 10, 20, 40])
@pytest.mark.parametrize("name", ["pr226", "pr299", "pr439"])
def test_optima_of_cities(folder, name, budget):
    """The radius in the plane would be another than the published one, which is rounded."""
    require_published(folder, name, budget)


@pytest.mark.slow
@pytest.mark.parametrize("budget", [10, 100, 150])
def test_optima_of_a_thousand_cities(folder, budget):
    """As for fewer; here the sample is far smaller than the dataset."""
    require_published(folder, "u1060", budget)
