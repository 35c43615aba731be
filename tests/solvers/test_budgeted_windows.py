"""Wide windows as sums from the left: the same selections, in far fewer entries."""

from itertools import combinations, product
from types import SimpleNamespace

import numpy as np
import pytest

from labelcut import BudgetedSelection, Cost, GroupLimit, Spacing, solve
from labelcut.solvers.budgeted import branching, windows
from labelcut.solvers.budgeted.windows import windows_among


def line(rng, size):
    """Return how far each place excludes others, in what `windows_among` reads of a structure."""
    last = np.maximum.accumulate(np.arange(size) + rng.integers(0, 4, size))
    return SimpleNamespace(last=np.minimum(last, size - 1))


def keeps(rows, values):
    """Whether the sums that go with some places keep all rows."""
    at = rows.matrix @ rows.with_sums(np.array(values, dtype=float))
    return bool(((rows.lower <= at) & (at <= rows.upper)).all())


@pytest.mark.parametrize("seed", range(12))
def test_sums_say_what_plain_rows_say(seed, monkeypatch):
    """Branch and bound would forbid rows that lie apart, or take two that do not."""
    monkeypatch.setattr(windows, "SPARED", -1)
    rng = np.random.default_rng(seed)
    structure = line(rng, 9)
    places = np.flatnonzero(rng.random(9) < 0.8)
    summed, plain = windows_among(structure, places), windows_among(structure, places, plain=True)
    assert not len(plain.summed)
    for values in product([0, 1], repeat=len(places)):
        taken = places[np.flatnonzero(values)]
        apart = all(structure.last[one] < two for one, two in combinations(taken, 2))
        assert keeps(summed, values) == keeps(plain, values) == apart


def test_wide_windows_take_no_more_than_the_places():
    """A model of 20,000 places in windows of 5,000 would take gigabytes, and no figure tell."""
    size = 20_000
    structure = SimpleNamespace(last=np.minimum(np.arange(size) + 5_000, size - 1))
    rows = windows_among(structure, np.arange(size))
    assert rows.matrix.nnz <= 5 * size
    assert rows.with_sums(np.ones(size))[-1] == size
    narrow = SimpleNamespace(last=np.minimum(np.arange(size) + 3, size - 1))
    assert windows_among(narrow, np.arange(size)).matrix.shape == (size - 3, size)


@pytest.mark.parametrize("seed", range(4))
def test_branching_over_sums_finds_the_best_subset(seed, monkeypatch):
    """Sums behind the places would shift what belongs to a place, or end the search early."""
    monkeypatch.setattr(windows, "SPARED", -1)
    seen = []

    def noted(*arguments, **options):
        seen.append(windows_among(*arguments, **options))
        return seen[-1]

    monkeypatch.setattr(branching, "windows_among", noted)
    rng = np.random.default_rng(seed)
    size, budget = 14, 4
    video, costs = np.sort(rng.integers(0, 3, size)), rng.integers(10, 90, (2, size))
    utility = 1.0 + rng.integers(0, 40, size) / 8
    frame, limits = np.arange(size), [int(0.9 * budget * cost.mean()) for cost in costs]
    rules = [Spacing(video, frame, 2), GroupLimit(rng.integers(0, 3, size), at_most=2)]
    rules += [Cost(cost, limit) for cost, limit in zip(costs, limits, strict=True)]
    problem = BudgetedSelection(utility, budget, constraints=rules)
    groups, best = problem.constraints[1].labels.codes, -np.inf
    for rows in combinations(range(size), budget):
        at = list(rows)
        apart = all(video[i] != video[j] or j - i > 2 for i, j in combinations(at, 2))
        fits = all(cost[at].sum() <= limit for cost, limit in zip(costs, limits, strict=True))
        if apart and fits and np.bincount(groups[at]).max() <= 2:
            best = max(best, utility[at].sum())
    solution = solve(problem, "exact", gap_tol=0, abs_gap_tol=0)
    assert solution.objective == best <= solution.bound
    assert str(solution.status) == "optimal"
    assert any(len(rows.summed) for rows in seen)
