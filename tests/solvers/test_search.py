"""The run in progress: the best answer and the best bound survive, whatever the sense."""

import numpy as np
import pytest

from labelcut.problems.base import Certificate, Evaluation, Sense, StoppedBy
from labelcut.problems.errors import InfeasibleSelection
from labelcut.solvers._clock import Clock, OutOfTime
from labelcut.solvers.search import Search, Stop

PROOF = Certificate("multipliers", True, None, {})


class Sum:
    """A problem over a few rows: the sum of their values, at most three rows."""

    def __init__(self, sense):
        self.sense = sense
        self.values = np.array([5.0, -1.0, 2.0, 0.0])

    def check(self, rows):
        """Refuse more than three rows."""
        if len(rows) > 3:
            raise InfeasibleSelection("budget: too many rows")

    def evaluate(self, rows):
        """Return the sum."""
        return Evaluation(float(self.values[rows].sum()), {})

    def kept(self, rows):
        """Keep rows in ascending order."""
        return np.sort(rows)


def begin(sense, **parameters):
    """Return a search on the small problem."""
    return Search(problem=Sum(sense), clock=Clock(), **parameters)


@pytest.mark.parametrize(
    ("sense", "kept", "refused"), [(Sense.MIN, [3.0, 4.0], 2.0), (Sense.MAX, [4.0, 3.0], 5.0)]
)
def test_the_bound_that_says_more_is_kept(sense, kept, refused):
    """A weaker bound would replace a stronger one: higher is stronger for min, lower for max."""
    search = begin(sense)
    for bound in kept:
        assert search.prove(bound, Certificate("multipliers", True, bound, {}))
    assert not search.prove(refused, PROOF)
    assert not search.prove(kept[-1], PROOF)
    assert search.bound == kept[-1]
    assert search.certificate.bound == kept[-1]


@pytest.mark.parametrize("bound", [np.inf, -np.inf, np.nan])
def test_a_bound_that_is_no_number_is_no_bound(bound):
    """Infinity would close the gap, or make it useless."""
    search = begin(Sense.MIN)
    assert not search.prove(bound, PROOF)
    assert search.bound is None


@pytest.mark.parametrize(
    ("sense", "worse", "better"), [(Sense.MIN, [2], [1]), (Sense.MAX, [2], [0])]
)
def test_the_better_answer_is_kept(sense, worse, better):
    """The worse of two answers would be returned."""
    search = begin(sense)
    assert search.offer(np.array(worse))
    assert search.offer(np.array(better))
    assert not search.offer(np.array(worse))
    assert not search.offer(np.array(better))
    assert search.rows.tolist() == better
    assert search.best.objective == search.problem.values[better[0]]


def test_rows_ascend_and_the_order_of_choice_goes_with_its_answer():
    """An order would be told that belongs to an earlier answer."""
    search = begin(Sense.MAX)
    search.offer(np.array([2, 1]), ordered=True)
    assert search.rows.tolist() == [1, 2]
    assert search.order.tolist() == [2, 1]
    search.offer(np.array([2, 0]))
    assert search.rows.tolist() == [0, 2]
    assert search.order is None


def test_an_infeasible_answer_is_refused_before_it_counts():
    """A method's mistake would reach the user as an answer."""
    search = begin(Sense.MIN)
    with pytest.raises(InfeasibleSelection, match="too many"):
        search.offer(np.arange(4))
    assert search.best is None


@pytest.mark.parametrize(
    ("sense", "bound", "tolerances", "closed"),
    [
        (Sense.MIN, 4.9, (0.03, 0.0), True),
        (Sense.MIN, 4.9, (0.01, 0.0), False),
        (Sense.MIN, 4.9, (0.0, 0.11), True),
        (Sense.MIN, 5.1, (0.0, 0.0), True),
        (Sense.MAX, 5.1, (0.03, 0.0), True),
        (Sense.MAX, 5.1, (0.01, 0.0), False),
        (Sense.MAX, 5.1, (0.0, 0.11), True),
        (Sense.MAX, 4.9, (0.0, 0.0), True),
    ],
)
def test_the_gap_is_measured_from_the_right_side(sense, bound, tolerances, closed):
    """For max the bound lies above; a gap of the wrong sign would count as closed."""
    search = begin(sense, gap_tol=tolerances[0], abs_gap_tol=tolerances[1])
    search.offer(np.array([0]))
    assert not search.closed
    search.prove(bound, PROOF)
    assert search.closed is closed
    if closed:
        with pytest.raises(Stop) as stop:
            search.stop_if_closed()
        assert stop.value.stopped_by is StoppedBy.GAP
    else:
        search.stop_if_closed()


def test_a_relative_gap_at_zero_does_not_divide():
    """An objective of 0 has no relative gap; it must neither fail nor count as closed."""
    search = begin(Sense.MIN, gap_tol=1e-4, abs_gap_tol=0.0)
    search.offer(np.array([3]))
    search.prove(-1e-6, PROOF)
    assert not search.closed
    search.prove(-1e-15, PROOF)
    assert search.closed


def test_improvements_are_reported_and_nothing_else():
    """A progress line would show old news, or miss the news."""
    seen = []
    search = begin(Sense.MIN, on_progress=seen.append)
    search.prove(-3.0, PROOF)
    search.offer(np.array([0]))
    search.offer(np.array([0]))
    search.prove(-4.0, PROOF)
    search.offer(np.array([1]))
    assert [(step.objective, step.bound) for step in seen] == [
        (None, -3.0),
        (5.0, -3.0),
        (-1.0, -3.0),
    ]
    assert seen[0].elapsed <= seen[1].elapsed <= seen[2].elapsed


def test_each_generator_starts_from_the_seed():
    """Two phases of one run, or two runs, could not be repeated."""
    search = begin(Sense.MIN, seed=3)
    assert search.rng().random() == search.rng().random() == np.random.default_rng(3).random()


def test_the_clock_stops_at_its_limit(monkeypatch):
    """A run would go on, or count time below zero."""
    now = [10.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    clock = Clock(5.0)
    now[0] = 14.0
    clock.check()
    assert (clock.elapsed(), clock.remaining()) == (4.0, 1.0)
    now[0] = 15.0
    with pytest.raises(OutOfTime):
        clock.check()
    now[0] = 20.0
    assert clock.remaining() == 0.0
    assert Clock().remaining() == np.inf
