"""Why nothing satisfies all constraints: really a conflict, really a smallest one, in words."""

import math
import re

import numpy as np
import pytest

from labelcut import BudgetedSelection, Cost, ExpectedCount, Forbid, GroupLimit, Include, Spacing
from labelcut.problems.contradictions import is_contradictory
from labelcut.solvers import conflicts
from labelcut.solvers._clock import Clock
from labelcut.solvers._mip import MipStatus
from labelcut.solvers.conflicts import find_conflict, is_satisfiable
from labelcut.solvers.explaining import explain


def draws(mixture, count, *, feasible):
    """Return small problems that brute force finds satisfiable, or not."""
    some = (mixture(seed) for seed in range(10_000))
    found = (drawn for drawn in some if bool(drawn.feasible()) is feasible)
    return [next(found) for _ in range(count)]


def members(drawn, part):
    """Return which of a problem's constraints a part holds, by their places."""
    rules = drawn.problem.constraints
    return [next(at for at, own in enumerate(rules) if own is rule) for rule in part.rules]


def is_conflict(drawn, kept, budget):
    """Whether brute force finds nothing that satisfies some of the constraints."""
    out = set(range(len(drawn.laws))) - set(kept)
    return not drawn.feasible(leave_out=out, budget=budget)


def test_what_is_named_is_a_conflict_and_any_less_is_none(mixture):
    """A user would loosen constraints that have nothing to do with it."""
    sizes = []
    for drawn in draws(mixture, 60, feasible=False):
        found = find_conflict(drawn.problem, Clock(60.0))
        kept, budget = members(drawn, found.part), found.part.budget is not None
        assert found.smallest
        assert is_conflict(drawn, kept, budget)
        for at in kept:
            assert not is_conflict(drawn, [other for other in kept if other != at], budget)
        if budget:
            assert not is_conflict(drawn, kept, budget=False)
        sizes.append(len(kept) + budget)
    assert {1, 2, 3} <= set(sizes)


def test_the_search_alone_finds_smallest_conflicts_too(mixture, monkeypatch):
    """What counting does not see would rest on code that no test reaches."""
    monkeypatch.setattr(conflicts, "is_contradictory", lambda *_: False)
    monkeypatch.setattr(conflicts, "grown", lambda *_: np.empty(0, dtype=np.int64))
    for drawn in draws(mixture, 4, feasible=False):
        found = find_conflict(drawn.problem, Clock(60.0))
        kept, budget = members(drawn, found.part), found.part.budget is not None
        assert found.smallest
        assert is_conflict(drawn, kept, budget)
        assert not any(is_conflict(drawn, [o for o in kept if o != at], budget) for at in kept)


def test_counting_never_calls_a_contradiction_what_is_none(mixture):
    """A feasible problem would be refused, and a false claim of infeasibility confirmed."""
    seen = {True: 0, False: 0}
    for seed in range(400):
        drawn = mixture(seed)
        problem = drawn.problem
        feasible = bool(drawn.feasible())
        shown = is_contradictory(problem.constraints, problem.budget, problem.dataset)
        assert not (feasible and shown), seed
        assert not (feasible and problem.why_infeasible()), seed
        seen[feasible] += 1
    assert min(seen.values()) > 100


def test_the_budget_that_is_recommended_is_the_largest_below(mixture):
    """A user would choose fewer rows than the constraints allow, or more."""
    told = 0
    for drawn in draws(mixture, 40, feasible=False):
        text = explain(drawn.problem, Clock(60.0))
        found = re.search(r"(lower|raise) the budget to (\d+)", text)
        if not found or "Include asks" in text:
            continue
        told += 1
        sizes = {len(rows) for rows in drawn.feasible(budget=False)} - {0}
        below = [size for size in sizes if size < drawn.problem.budget]
        assert int(found[2]) == (max(below) if below else min(sizes))
        assert found[1] == ("lower" if below else "raise")
    assert told > 10


VIDEOS = np.repeat(["clip1", "clip2", "clip3"], 6)
FRAMES = np.tile(np.arange(6), 3)
CAPS = GroupLimit(VIDEOS, at_most=3, name="video caps")
APART = Spacing(VIDEOS, FRAMES, 2)
NIGHT = np.array(["night"] * 6 + ["day"] * 12)
PROBS = np.tile([[0.9, 0.1], [0.5, 0.5]], (9, 1))
TEXTS = {
    "caps": (
        {"budget": 10, "constraints": [CAPS, APART, Forbid([0])]},
        "budget 10 cannot be met: GroupLimit 'video caps' (at most 3 of each of 3) allows 9 rows; "
        "lower the budget to 6, which all constraints allow",
    ),
    "caps and spacing": (
        {
            "budget": 7,
            "constraints": [
                GroupLimit(VIDEOS, at_most={"clip1": 1}),
                APART,
                Cost(np.ones(18), 9),
            ],
        },
        "budget 7 cannot be met: Spacing (spacing 2) allows 6 rows; lower the budget to 5, which "
        "all constraints allow",
    ),
    "a group that a spacing thins out": (
        {"budget": 6, "constraints": [GroupLimit(VIDEOS, at_most={"clip3": 1}), APART]},
        "budget 6 cannot be met: GroupLimit (at most 1 of clip3) and Spacing (spacing 2) allow "
        "5 rows (spacing 2 leaves 2 in clip1); lower the budget to 5",
    ),
    "a quota that neighbours of labeled rows leave short": (
        {
            "budget": 4,
            "labeled": [2],
            "constraints": [APART, GroupLimit(NIGHT, at_least={"night": 2}, name="night")],
        },
        "Spacing (spacing 2) and GroupLimit 'night' (at least 2 of night) contradict each other: "
        "2 rows of group night are asked for, 1 of its 6 can be chosen (1 labeled already, "
        "Spacing closes 4)",
    ),
    "a quota beyond a spacing": (
        {"budget": 4, "constraints": [APART, GroupLimit(NIGHT, at_least={"night": 3})]},
        "Spacing (spacing 2) and GroupLimit (at least 3 of night) contradict each other: 3 rows of "
        "group night are asked for, 2 of its 6 can be chosen (few of them lie far enough apart)",
    ),
    "a quota by itself": (
        {
            "budget": 1,
            "labeled": [0, 1],
            "candidates": [3, 4, 9],
            "constraints": [CAPS, GroupLimit(NIGHT, at_least={"night": 3})],
        },
        "GroupLimit (at least 3 of night) cannot be met: 3 rows of group night are asked for, "
        "2 of its 6 can be chosen (2 labeled already, 2 no candidates)",
    ),
    "quotas above the budget": (
        {"budget": 5, "constraints": [GroupLimit(VIDEOS, at_least=2), CAPS]},
        "budget 5 cannot be met: GroupLimit (at least 2 of each of 3) asks for 6 rows; raise the "
        "budget to 6",
    ),
    "money": (
        {"budget": 5, "constraints": [Cost(np.arange(18), 9, name="boxes")]},
        "budget 5 cannot be met: Cost 'boxes' (costs at most 9) allows 4 rows; lower the budget "
        "to 4",
    ),
    "money for a quota": (
        {
            "budget": None,
            "constraints": [
                Cost(np.arange(18), 30),
                GroupLimit(VIDEOS, at_least={"clip3": 3}),
                Forbid([0]),
            ],
        },
        "Cost (costs at most 30) and GroupLimit (at least 3 of clip3) contradict each other: what "
        "the others ask for costs 39 at least",
    ),
    "cyclists": (
        {
            "budget": 6,
            "constraints": [
                ExpectedCount(PROBS, 1, at_least=3.5, name="cyclists"),
                APART,
            ],
        },
        "ExpectedCount 'cyclists' (at least 3.5 expected of class 1) and Spacing (spacing 2) "
        "contradict each other: at least 3.5 labels of class 1 are to be expected, the others "
        "allow at most 3",
    ),
    "an expected class by itself": (
        {"budget": 9, "constraints": [ExpectedCount(PROBS, 1, at_least=6), CAPS]},
        "ExpectedCount (at least 6 expected of class 1) cannot be met: at least 6 labels of class "
        "1 are to be expected, the others allow at most 5.4",
    ),
    "included rows too close": (
        {"budget": 4, "constraints": [APART, Include([7, 9])]},
        "Include and Spacing contradict each other: with the included rows alone, row 7 and row 9 "
        "of sequence clip2 lie 2 apart, more than 2 is asked for; 1 such pairs",
    ),
    "an included row near a labeled one": (
        {"budget": 4, "labeled": [8], "constraints": [APART, Include([7])]},
        "Include and Spacing contradict each other: with the included rows alone, row 7 and row 8 "
        "of sequence clip2 lie 1 apart, more than 2 is asked for, of which row 8 is labeled "
        "already; 1 such pairs",
    ),
    "included rows too dear": (
        {"budget": 4, "constraints": [Cost(np.arange(18), 9), Include([7, 9])]},
        "Include and Cost contradict each other: with the included rows alone, the chosen rows "
        "cost 16, 7 more than the limit 9",
    ),
    "included rows above a cap": (
        {"budget": 6, "constraints": [CAPS, Include([0, 1, 2, 3])]},
        "Include and GroupLimit 'video caps' contradict each other: with the included rows alone, "
        "4 rows of group clip1 are chosen, at most 3 are asked for; 1 groups are outside their "
        "limits",
    ),
    "nothing at all": (
        {"budget": 2, "constraints": [Cost(np.ones(18), 0.5)]},
        "budget 2 cannot be met: Cost (costs at most 0.5) allows 0 rows; no row can be chosen",
    ),
}


@pytest.mark.parametrize("what", TEXTS)
def test_words(what):
    """The reason would have to be guessed."""
    stated, text = TEXTS[what]
    problem = BudgetedSelection(np.zeros(18), **stated)
    assert explain(problem, Clock(60.0)) == text


def test_without_time_it_says_that_more_may_be_known():
    """A set that was not shown to be smallest would pass for one, or the clock be ignored."""
    # Only a search sees this: each pair of groups allows one row.
    pairs = ([1, 1, 0], [0, 1, 1], [1, 0, 1])
    rules = [GroupLimit(pair, at_most={1: 1}) for pair in pairs]
    problem = BudgetedSelection(np.zeros(3), 2, constraints=[Forbid([]), *rules])
    text = explain(problem, Clock(0.0))
    assert text.endswith("fewer of these constraints may contradict each other already)")
    assert "time ran out" in text
    assert explain(problem, Clock(60.0)).startswith("budget 2 cannot be met: GroupLimit")


def test_satisfiable_is_unknown_without_time(mixture):
    """Running out of time would count as a proof."""
    rules = [GroupLimit(pair, at_most={1: 1}) for pair in ([1, 1, 0], [0, 1, 1], [1, 0, 1])]
    problem = BudgetedSelection(np.zeros(3), 2, constraints=rules)
    part = conflicts.Part(problem.dataset, problem.constraints, 2)
    assert is_satisfiable(part, Clock(0.0)) is None
    assert is_satisfiable(part, Clock(60.0)) is False
    for drawn in draws(mixture, 30, feasible=True):
        problem = drawn.problem
        part = conflicts.Part(problem.dataset, problem.constraints, problem.budget)
        assert is_satisfiable(part, Clock(math.inf)) is True


def test_a_point_that_breaks_a_constraint_is_no_proof(monkeypatch):
    """HiGHS' tolerances would decide what can be satisfied."""
    rules = [GroupLimit(pair, at_most={1: 1}) for pair in ([1, 1, 0], [0, 1, 1], [1, 0, 1])]
    problem = BudgetedSelection(np.zeros(3), 2, constraints=rules)
    part = conflicts.Part(problem.dataset, problem.constraints, 2)

    class Claimed:
        status, values = MipStatus.OPTIMAL, np.array([1.0, 1.0, 0.0])

    monkeypatch.setattr(conflicts, "solve_curved", lambda *_, **__: Claimed)
    monkeypatch.setattr(conflicts, "_by_prices", lambda *_: None)
    assert is_satisfiable(part, Clock(60.0)) is None


def test_prices_find_conflicts_of_many_constraints_without_branching(monkeypatch):
    """On a large pool the time would run out in HiGHS, and all constraints be named."""
    size = 3_000
    thirds = [GroupLimit(np.arange(size) // 750 == k, at_most={True: 5}) for k in range(3)]
    loose = [
        Cost(np.ones(size), 1e6),
        Spacing(np.arange(size) % 40, np.arange(size), 20),
        GroupLimit(np.arange(size) % 50, at_most=60),
    ]
    problem = BudgetedSelection(np.zeros(size), 800, constraints=[*loose, *thirds])
    monkeypatch.setattr(conflicts, "search", lambda *_: pytest.fail("HiGHS was asked"))
    found = find_conflict(problem, Clock())
    assert found.part.rules == problem.constraints[3:]
    assert found.part.budget == 800
    assert found.smallest
