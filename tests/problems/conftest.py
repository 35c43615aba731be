"""Oracles: thesis eq. 4.8 from its formula, over all subsets."""

from itertools import combinations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def objective():
    """Return eq. 4.8 as a function of plain arrays and rows."""

    def value(probs, utility, target, balance, rows):
        rows = list(rows)
        probs = np.asarray(probs, dtype=float)[rows]
        counts = (probs / probs.sum(axis=1, keepdims=True)).sum(axis=0)
        return -np.asarray(utility)[rows].sum() + balance * np.abs(target - counts).sum()

    return value


@pytest.fixture(scope="session")
def best(objective):
    """Return the smallest objective over all subsets of the allowed rows that hold the included."""

    def smallest(probs, utility, target, balance, budget, allowed, included=()):
        rest = [row for row in allowed if row not in included]
        return min(
            objective(probs, utility, target, balance, [*included, *more])
            for more in combinations(rest, budget - len(included))
        )

    return smallest
