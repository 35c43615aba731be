"""The loops over rows in order of time: plain and compiled they are the same."""

import subprocess
import sys
from dataclasses import replace
from itertools import product
from threading import Event, Thread

import numpy as np
import pytest

from labelcut import BudgetedSelection, GroupLimit, Spacing
from labelcut.solvers import _compiling
from labelcut.solvers._clock import Clock, OutOfTime
from labelcut.solvers.budgeted import _loops
from labelcut.solvers.budgeted.bracketing import Bracket
from labelcut.solvers.budgeted.merging import _Merging, merge, proven
from labelcut.solvers.budgeted.structure import LOOPS, structure_of


@pytest.fixture
def loops(monkeypatch):
    """Return the loops, with all that was asked of them so far put back at the end."""
    monkeypatch.setattr(LOOPS, "left", LOOPS.left)
    monkeypatch.setattr(LOOPS, "patience", 60.0)
    return LOOPS


def drawn(seed):
    """Return a problem on nested limits and a spacing, and weights that often tie."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 60))
    video, rules = np.sort(rng.integers(0, 5, size)), []
    if rng.random() < 0.8:
        rules.append(Spacing(video, rng.integers(0, 30, size), int(rng.integers(0, 4))))
    least = {int(video[0]): int(rng.random() < 0.5)}
    rules.append(GroupLimit(video, at_most=int(rng.integers(1, 6)), at_least=least))
    kinds = [rng.integers(0, 4, size), rng.integers(-9, 9, size) / 10, rng.normal(size=size)]
    weights = kinds[seed % 3].astype(float)
    return BudgetedSelection(weights, int(rng.integers(1, 1 + size // 2 + 1)), constraints=rules)


def test_plain_and_compiled_loops_give_the_same_bits(loops):
    """An answer must not depend on how much was solved before it in the same process."""
    solved = 0
    for seed in range(60):
        problem = drawn(seed)
        found = []
        for left in (10**9, -1):
            loops.left = left
            at = structure_of(problem, Clock())
            if at.impossible:
                break
            weights = problem.utility[at.rows]
            merged = merge(at, weights, Clock(), np.random.default_rng(0) if seed % 2 else None)
            bound = proven(at, weights, 0.0, merged, Clock())
            found.append((merged.chosen.tobytes(), merged.price.tobytes(), bound))
        solved += len(found) == 2
        assert len(set(found)) <= 1
    assert solved > 30


def test_losses_are_the_same_compiled(loops):
    """What branching leaves out would depend on it."""
    rng = np.random.default_rng(0)
    line = Spacing(None, np.sort(rng.integers(0, 60, 40)), 3)
    at = structure_of(BudgetedSelection(rng.random(40), 5, constraints=[line]), Clock())
    weights, chosen = rng.normal(size=40), rng.random(40) < 0.2
    found = []
    for left in (10**9, -1):
        loops.left, losses = left, np.zeros(40)
        work = np.zeros((2, 42))
        loops.run(Clock(), "losses", weights, at.first, at.last, at.starts, chosen, *work, losses)
        found.append(losses.tobytes())
    assert found[0] == found[1]


def allowed_sets(first):
    """Return the sets of places of which none excludes another, as masks."""
    size = len(first)
    masks = np.array(list(product((False, True), repeat=size))).reshape(-1, size)
    return [
        mask
        for mask in masks
        if all(not mask[first[i] : i].any() for i in np.flatnonzero(mask).tolist())
    ]


def test_fewest_and_most_rows_of_the_best_sets_are_those_of_all_sets():
    """Prices tie with weights, and sums with sums: both ends of what is best are needed."""
    rng, ties = np.random.default_rng(0), 0
    for _ in range(150):
        size = int(rng.integers(1, 9))
        first = np.maximum.accumulate(np.minimum(np.arange(size), rng.integers(0, size, size)))
        weights, price = rng.integers(0, 5, size).astype(float), float(rng.integers(0, 4))
        sets = allowed_sets(first)
        values = [float((weights[mask] - price).sum()) for mask in sets]
        best = [mask for mask, value in zip(sets, values, strict=True) if value == max(values)]
        counts = [int(mask.sum()) for mask in best]
        unit = (weights, first, np.array([0, size]), np.array([price]))
        room, ends = [np.zeros(size + 1) for _ in range(4)], np.zeros((2, 1))
        _loops.count(*unit, *room, *ends)
        assert ends.ravel().tolist() == [min(counts), max(counts)]
        ties += min(counts) < max(counts)
        for many, wanted in ((False, min(counts)), (True, max(counts))):
            chosen, sizes = np.zeros(size, dtype=bool), np.zeros(1)
            work = [np.zeros(size + 1) for _ in range(3)]
            _loops.best_sets(*unit, np.zeros(size), many, *work, chosen, sizes)
            assert sizes[0] == chosen.sum() == wanted
            assert any((chosen == mask).all() for mask in best)
    assert ties > 50


def test_small_problems_do_without_numba():
    """Its import takes half a second, and what it compiles for the first time many."""
    code = (
        "import sys, labelcut as l\n"
        "rules = [l.Spacing(None, range(99), 2), l.GroupLimit([0] * 99, at_most=20)]\n"
        "problem = l.BudgetedSelection(range(99), 9, constraints=rules)\n"
        "print(l.solve(problem, 'exact').objective, 'numba' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [str(float(sum(98 - 3 * k for k in range(9)))), "False"]


def test_what_is_not_compiled_in_time_goes_on_in_plain_python(loops, monkeypatch):
    """The first large problem after an installation must not wait for the compiler."""
    stop = Event()
    thread = Thread(target=stop.wait, daemon=True)
    thread.start()
    monkeypatch.setattr(_compiling, "_compiling", lambda package, arguments: thread)
    loops.left, loops.patience = -1, 0.0
    room = np.zeros(1, dtype=np.int64)
    arguments = (np.array([0]), np.array([4]), np.array([1, 2, 3, 3]), room)
    try:
        loops.run(Clock(), "fit", *arguments)
        assert room.tolist() == [2]
        with pytest.raises(OutOfTime):
            loops.run(Clock(0.0), "fit", *arguments)
    finally:
        stop.set()


def test_every_loop_is_compiled_beforehand():
    """One that `compile_for` forgets would compile when the clock runs."""
    from labelcut.solvers.budgeted import _kernels

    _kernels.compile_for()
    names = [
        name
        for name, at in vars(_loops).items()
        if getattr(at, "__module__", "") == _loops.__name__
    ]
    assert len(names) == 6
    assert all(getattr(_kernels, name).signatures for name in names)


def test_prices_are_looked_for_from_above():
    """At the lowest price every row is worth it: looking there first takes longer than the rest."""
    weights = np.random.default_rng(0).normal(size=50_000)
    target, looks = np.array([100]), []
    bracket = Bracket(weights, target, whole=False)
    while len(bracket.open):
        price = bracket.propose()
        count = np.count_nonzero(weights[:, None] >= price, axis=0)
        looks.append(int(count[0]))
        bracket.learn(count, count)
    assert looks[-1] == 100
    assert max(looks) < 1_000


def test_huge_prices_leave_no_unit_with_fewer_rows_at_most_than_at_least():
    """Counts would be shared out backwards, which crashes: no digits are left beside prices."""
    halves = [9, 8, 12, 8, 4, 5, 12, 4, 3, 11, 4, 10, 7, 3, 11, 6]
    halves += [8, 8, 10, 12, 8, 10, 4, 4, 5, 11, 6, 7, 11, 12, 4, 12]
    last = [5, 6, 6, 6, 6, 6, 10, 11, 11, 11, 11, 14, 16, 16, 17, 18]
    last += [18, 20, 21, 23, 24, 25, 25, 25, 26, 26, 28, 29, 30, 31, 31, 31]
    size = len(last)
    rules = [Spacing(None, np.arange(size), 1)]
    at = structure_of(BudgetedSelection(np.zeros(size), 5, constraints=rules), Clock())
    at = replace(at, last=np.array(last), first=np.searchsorted(last, np.arange(size)))
    weights = -(2.0**51) + 0.5 * np.array(halves)
    merging = _Merging(at, weights, Clock())
    merging.above[:] = merging.below[:] = -(2.0**51) + 5.5
    every = np.ones(1, dtype=bool)
    merging._settle(every, every)
    assert (merging.unit_low <= merging.unit_high).all()
    assert (merging.low <= merging.high).all()
    assert merging.unit_low.any()
