"""One hypothesis profile for all tests, small videos, and small problems under random constraints.

The profile runs the same examples every time, and has no clock.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import settings

from labelcut import BudgetedSelection, Cost, ExpectedCount, Forbid, GroupLimit, Include, Spacing

# Tests run side by side: threads of one that wait for a core cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Hundreds of tests start Python anew: without bytecode each start compiles the package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

settings.register_profile("labelcut", deadline=None, derandomize=True, database=None)
settings.load_profile("labelcut")

# A shell that runs the tests in the background has them ignore Ctrl-C, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_video():
    """Return problems over one random video with at most 12 nodes, and some overlap."""
    from labelcut.problems.detections import Video, make_detections
    from labelcut.problems.temporal_coherence import TemporalCoherence

    def make(seed, **parameters):
        rng = np.random.default_rng(seed)
        while True:
            count = int(rng.integers(2, 7))
            corner = rng.uniform(0, 12, (count, 2))
            boxes = np.concatenate([corner, rng.uniform(8, 12, (count, 2))], axis=1)
            moves = np.concatenate([rng.normal(0, 2, (count, 4, 2)), np.zeros((count, 4, 2))], 2)
            table = make_detections(
                boxes,
                rng.random(count).round(1),
                rng.integers(0, 4, count),
                videos=[Video("video", 4)],
            )
            problem = TemporalCoherence(table, boxes[:, None] + moves, (-2, -1, 1, 2), **parameters)
            if problem.n_nodes <= 12 and len(problem.edges):
                return problem

    return make


@dataclass(frozen=True)
class Mixture:
    """A small problem under random constraints, and each constraint as a plain function.

    The functions are written from the definitions and share nothing with the library: they take a
    set of chosen rows and say whether the constraint holds.
    """

    problem: BudgetedSelection
    laws: tuple[Callable[[set[int]], bool], ...]

    def fits(self, rows, *, leave_out=(), budget=True):
        """Whether a set of rows satisfies everything but what is left out."""
        b = self.problem.budget
        if budget and b is not None and len(rows) != b:
            return False
        laws = [law for at, law in enumerate(self.laws) if at not in leave_out]
        return all(law(set(rows)) for law in laws)

    def subsets(self):
        """All sets of candidates."""
        rows = self.problem.candidates.tolist()
        return chain.from_iterable(combinations(rows, size) for size in range(len(rows) + 1))

    def feasible(self, **what):
        """All sets of candidates that satisfy everything but what is left out."""
        return [rows for rows in self.subsets() if self.fits(rows, **what)]


def _spacing(rng, size, labeled):
    sequence = rng.integers(0, 3, size)
    position = rng.integers(0, 7, size) * (1 if rng.random() < 0.5 else 0.1)
    within = float(rng.integers(0, 4)) * (1 if position.dtype.kind == "i" else 0.1)
    fixed = set(labeled)

    def law(chosen):
        for one, other in combinations(sorted(chosen | fixed), 2):
            if sequence[one] == sequence[other] and not {one, other} <= fixed:
                early, late = sorted((position[one], position[other]))
                if late - early <= within:
                    return False
        return True

    names = np.array(["c", "a", "b"])[sequence] if rng.random() < 0.5 else sequence
    return Spacing(names, position, within), law


def _group_limit(rng, size, labeled):
    del labeled
    groups = rng.integers(0, 4, size)
    present = np.unique(groups)
    counts = np.bincount(groups, minlength=4)
    low = {int(g): int(rng.integers(0, min(counts[g], 2) + 1)) for g in present[:2]}
    high = {int(g): low.get(int(g), 0) + int(rng.integers(0, 3)) for g in present}
    kind = rng.integers(3)
    most = int(rng.integers(1, 4))
    if kind == 0:
        rule, lower, upper = GroupLimit(groups, at_most=most), {}, dict.fromkeys(high, most)
    elif kind == 1:
        rule, lower, upper = GroupLimit(groups, at_least=low), low, {}
    else:
        rule, lower, upper = GroupLimit(groups, at_most=high, at_least=low), low, high

    def law(chosen):
        found = Counter(int(groups[row]) for row in chosen)
        return all(found[g] >= n for g, n in lower.items()) and all(
            found[g] <= n for g, n in upper.items()
        )

    return rule, law


def _cost(rng, size, labeled):
    del labeled
    tenths = rng.integers(0, 10, size)
    limit = int(rng.integers(0, 30))
    # As decimals, which float64 does not hold exactly: 0.1 + 0.2 has to fit into 0.3.
    return Cost(tenths / 10, limit / 10), lambda chosen: sum(tenths[list(chosen)]) <= limit


def _expected_count(rng, size, labeled):
    del labeled
    tenths = rng.multinomial(10, [0.4, 0.4, 0.2], size)
    low, high = sorted(rng.integers(0, 30, 2))
    k = int(rng.integers(3))
    kind = rng.integers(3)
    limits = {"at_least": low / 10} if kind < 2 else {}
    limits |= {"at_most": high / 10} if kind > 0 else {}

    def law(chosen):
        total = sum(tenths[list(chosen), k])
        return ("at_least" not in limits or total >= low) and (
            "at_most" not in limits or total <= high
        )

    return ExpectedCount(tenths / 10, k, **limits), law


def _include(rng, size, labeled):
    rows = rng.choice(np.setdiff1d(np.arange(size), labeled), int(rng.integers(1, 3)), False)
    return Include(rows), lambda chosen: set(rows.tolist()) <= chosen


def _forbid(rng, size, labeled):
    del labeled
    rows = rng.choice(size, int(rng.integers(1, 4)), False)
    return Forbid(rows), lambda chosen: not set(rows.tolist()) & chosen


RULES = (_spacing, _group_limit, _cost, _expected_count, _include, _forbid)


@pytest.fixture(scope="session")
def mixture():
    """Draw a small problem under a random mixture of constraints, by seed."""

    def draw(seed, size=8):
        rng = np.random.default_rng(seed)
        labeled = rng.choice(size, int(rng.integers(0, 3)), False)
        drawn = rng.choice(len(RULES), int(rng.integers(1, 5)))
        rules, laws = zip(*(RULES[at](rng, size, labeled.tolist()) for at in drawn), strict=True)
        forbidden = {row for rule in rules if isinstance(rule, Forbid) for row in rule.rows}
        free = size - len({*labeled.tolist(), *forbidden})
        has_cost = any(isinstance(rule, Cost) for rule in rules)
        open_ended = has_cost and rng.random() < 0.4
        budget = None if open_ended else int(rng.integers(1, free + 1))
        utility = np.round(rng.normal(size=size), 1) + 0.5
        problem = BudgetedSelection(utility, budget, labeled=labeled, constraints=rules)
        return Mixture(problem, laws)

    return draw
