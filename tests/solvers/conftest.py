"""Oracles and instances for the solvers of class-balanced selection, on plain arrays."""

from itertools import combinations

import numpy as np
import pytest

from labelcut import ClassBalanced


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
def long_tail():
    """Return softmax-like problems with rare classes, their utility the entropy."""

    def make(size, classes, budget, seed=0, **parameters):
        rng = np.random.default_rng(seed)
        weights = rng.dirichlet(0.3 * np.geomspace(2.0, 0.2, classes), size=size) + 1e-9
        probs = weights / weights.sum(axis=1, keepdims=True)
        utility = -(probs * np.log(probs)).sum(axis=1)
        return ClassBalanced(probs, utility, budget, **parameters)

    return make
