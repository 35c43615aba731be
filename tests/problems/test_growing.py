"""Selections that grow: always feasible, in the order that was asked for, or fairly drawn."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import BudgetedSelection, Cost, Forbid, GroupLimit, Include, Spacing
from labelcut.problems.errors import Stuck
from labelcut.problems.growing import grow_at_random, grow_by, most_useful

SEEDS = st.integers(0, 10**6)


@settings(max_examples=200)
@given(seed=SEEDS)
def test_what_has_grown_is_feasible_or_says_that_it_is_stuck(mixture, seed):
    """Top and random would break a constraint, or end in another error."""
    drawn = mixture(seed)
    problem = drawn.problem
    rng = np.random.default_rng(seed)
    for grow in (
        lambda: problem.top_rows(),
        lambda: problem.random_rows(rng),
        lambda: grow_by(problem, rng.permutation(problem.dataset.size).tolist()),
    ):
        if problem.why_infeasible():
            continue
        try:
            rows = grow()
        except Stuck:
            continue
        problem.check(rows)
        assert drawn.fits(tuple(rows.tolist()))


def test_the_most_useful_come_first_and_ties_by_the_lowest_row():
    """A result would depend on how the sort broke a tie."""
    problem = BudgetedSelection([1, 3, 3, 2, 3], 3, constraints=[GroupLimit([0, 0, 1, 1, 1], 2)])
    np.testing.assert_array_equal(most_useful(problem, problem.utility), [1, 2, 4])
    ranks = np.array([0, 4, 3, 2, 1])
    np.testing.assert_array_equal(most_useful(problem, problem.utility, ranks), [4, 2, 1])


def test_random_ties_come_from_the_seed():
    """Rows with equal counts would always be the lowest ones, or differ from run to run."""
    problem = BudgetedSelection(np.ones(40), 5, ties="random")
    drawn = [problem.top_rows(np.random.default_rng(seed)).tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    plain = BudgetedSelection(np.ones(40), 5)
    assert plain.top_rows(np.random.default_rng(1)).tolist() == [0, 1, 2, 3, 4]


def test_without_a_budget_only_what_is_worth_it_is_taken():
    """Money would be spent on rows that make the objective worse, or quotas left unmet."""
    cost = Cost([1, 1, 1, 1], 4)
    problem = BudgetedSelection([2, -1, 0, -3], constraints=[cost])
    np.testing.assert_array_equal(problem.top_rows(), [0])
    quota = GroupLimit(["a", "a", "b", "b"], at_least={"b": 2})
    problem = BudgetedSelection([2, -1, 0, -3], constraints=[cost, quota])
    np.testing.assert_array_equal(problem.top_rows(), [0, 2, 3])


def frequencies(problem, draws):
    """Count which rows are drawn, in order."""
    rng = np.random.default_rng(0)
    return Counter(tuple(grow_at_random(problem, rng).tolist()) for _ in range(draws))


def assert_distributed(counts, probabilities):
    """Compare counts with probabilities: no outcome may be five standard deviations off."""
    draws = sum(counts.values())
    assert set(counts) <= set(probabilities)
    assert sum(probabilities.values()) == pytest.approx(1)
    for outcome, p in probabilities.items():
        assert abs(counts[outcome] - draws * p) <= 5 * np.sqrt(draws * p * (1 - p)), outcome


def random_r(sequence, position, within, budget, closed=()):
    """Return the distribution of Random+R from its words (thesis 2.5.2), by recursion."""
    total = Counter()

    def draw(chosen, p):
        if len(chosen) == budget:
            total[chosen] += p
            return
        open_rows = [
            row
            for row in range(len(sequence))
            if row not in chosen
            and row not in closed
            and all(
                sequence[row] != sequence[other] or abs(position[row] - position[other]) > within
                for other in chosen
            )
        ]
        sequences = {sequence[row] for row in open_rows}
        for name in sequences:
            rows = [row for row in open_rows if sequence[row] == name]
            for row in rows:
                draw((*chosen, row), p / len(sequences) / len(rows))

    draw((), 1.0)
    return total


def test_random_under_spacing_draws_sequences_first():
    """Long videos would be drawn more often than short ones, other than in the paper."""
    sequence, position = list("aaaaab"), [0, 1, 2, 3, 4, 0]
    problem = BudgetedSelection(
        np.zeros(6), 2, constraints=[Spacing(sequence, position, exclude_within=1)]
    )
    wanted = random_r(sequence, position, 1, 2)
    assert sum(p for rows, p in wanted.items() if rows[0] == 5) == pytest.approx(0.5)
    assert_distributed(frequencies(problem, 6000), wanted)


def test_random_under_spacing_heeds_labeled_rows():
    """A frame beside a labeled one would be drawn, or its video be left out for it."""
    sequence, position = list("aaaabbb"), [0, 1, 2, 3, 0, 1, 2]
    problem = BudgetedSelection(
        np.zeros(7), 3, labeled=[0], constraints=[Spacing(sequence, position, 1), Forbid([6])]
    )
    wanted = random_r(sequence, position, 1, 2, closed={0, 1, 6})
    # Of a only rows 2 and 3 are left, one of which may be drawn; of b only rows 4 and 5.
    assert {frozenset(rows) for rows in wanted} <= {
        frozenset(pair) for pair in ([2, 4], [2, 5], [3, 4], [3, 5])
    }
    problem = BudgetedSelection(
        np.zeros(7), 2, labeled=[0], constraints=[Spacing(sequence, position, 1), Forbid([6])]
    )
    assert_distributed(frequencies(problem, 4000), wanted)


def test_random_without_spacing_draws_all_rows_alike():
    """Some rows would be more likely than others under a cap."""
    problem = BudgetedSelection(
        np.zeros(5), 2, constraints=[GroupLimit([0, 0, 0, 1, 1], at_most=1)]
    )
    pairs = [pair for pair in permutations(range(5), 2) if (pair[0] < 3) != (pair[1] < 3)]
    # The first row is any of five; the second any of the other group.
    wanted = {pair: 1 / 5 / (2 if pair[0] < 3 else 3) for pair in pairs}
    assert_distributed(frequencies(problem, 6000), wanted)


def test_included_rows_come_first_and_close_their_neighbours():
    """A draw would break the spacing around what must be in."""
    spacing = Spacing(None, np.arange(9), 2)
    problem = BudgetedSelection(np.zeros(9), 3, constraints=[spacing, Include([4])])
    seen = set(frequencies(problem, 200))
    assert {frozenset(rows[1:]) for rows in seen} == {
        frozenset((low, high)) for low in (0, 1) for high in (7, 8)
    }
    assert {rows[0] for rows in seen} == {4}


def test_stuck_carries_what_was_taken():
    """A method that completes selections would have to begin anew."""
    # Row 1 excludes both others, and two are asked for.
    problem = BudgetedSelection([1, 2, 1], 2, constraints=[Spacing(None, [0, 1, 2], 1)])
    with pytest.raises(Stuck) as stuck:
        problem.top_rows()
    np.testing.assert_array_equal(stuck.value.rows, [1])
