"""Oracles, instances and helpers that tests of several solvers share."""

from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from labelcut import ClassBalanced
from labelcut.problems import embeddings
from labelcut.solvers.class_balanced import branching
from labelcut.solvers.k_center import bisection, exact, farthest


@pytest.fixture(scope="session")
def price():
    """Return thesis eq. 4.8 as a function of plain arrays, for one selection or a stack of them."""

    def value(probs, utility, target, balance, chosen):
        counts = probs[chosen].sum(axis=-2)
        return -utility[chosen].sum(axis=-1) + balance * np.abs(target - counts).sum(axis=-1)

    return value


@pytest.fixture(scope="session")
def cheapest(price):
    """Return the optimum over all subsets of the allowed rows that hold the included ones."""

    def smallest(probs, utility, target, balance, budget, allowed, included=()):
        rest = [row for row in allowed if row not in included]
        more = combinations(rest, budget - len(included))
        chosen = np.array([[*included, *rows] for rows in more], dtype=np.int64)
        return float(price(probs, utility, target, balance, chosen).min())

    return smallest


@pytest.fixture(scope="session")
def least_radius():
    """Return the radius of the best k-center selection of all."""

    def smallest(problem):
        every = np.arange(problem.space.size)
        apart = problem.space.between(every, every)
        place = problem.space.size - 1 - problem.outliers
        return min(
            np.partition(apart[:, [*problem.fixed, *rows]].min(axis=1), place)[place]
            for rows in combinations(problem.free, problem.to_choose)
        )

    return smallest


@pytest.fixture(scope="session")
def long_tail():
    """Return softmax-like problems with rare classes, their utility the entropy."""

    def make(size, classes, budget, seed=0, **parameters):
        rng = np.random.default_rng(seed)
        weights = rng.dirichlet(0.3 * np.geomspace(2.0, 0.2, classes), size=size) + 1e-9
        probs = weights / weights.sum(axis=1, keepdims=True)
        utility = -(probs * np.log(probs)).sum(axis=1)
        return ClassBalanced(probs, utility, budget, **parameters)

    return make


@pytest.fixture
def small_pools(monkeypatch):
    """Make pools so small that they are renewed all the time."""
    monkeypatch.setattr(farthest, "SMALL", 3)
    monkeypatch.setattr(farthest, "FIRST", 2)
    monkeypatch.setattr(farthest, "SHARE", 1 / 4)
    monkeypatch.setattr(farthest, "SETTLED_AT_ONCE", 2)
    monkeypatch.setattr(farthest, "PASS_VALUES", 64)
    monkeypatch.setattr(farthest, "CENTER_VALUES", 64)
    monkeypatch.setattr(farthest, "WORTH_A_GUESS", 2)
    monkeypatch.setattr(embeddings, "LEADING", 4)


@pytest.fixture
def quick(monkeypatch):
    """Let local search end after a second instead of a minute."""
    for name in ("LIGHT", "MEDIUM", "STRONG"):
        monkeypatch.setattr(exact, name, bisection.Effort(1, 2_000_000))


@pytest.fixture(scope="session")
def hurried():
    """Return a context in which branch and bound begins after one annealing of 24.

    On a dozen rows the others find nothing more, take most of the time, and leave less to HiGHS.
    """

    @contextmanager
    def hurry():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(branching, "FIRST_ROUNDS", 1)
            yield

    return hurry


@pytest.fixture(scope="session")
def children_of():
    """Return a function that lists the child processes of a process."""

    def listed(parent):
        """List the child processes of a parent, dead ones not yet reaped included."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.append(int(folder.name))
        return found

    return listed
