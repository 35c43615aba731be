"""ClassBalanced: what it takes, what it refuses, and eq. 4.8 by hand."""

from itertools import combinations

import numpy as np
import pytest
import torch

from labelcut import ClassBalanced, Forbid, Include, InfeasibleSelection, InvalidInput

PROBS = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.5, 0.5]])
UTILITY = np.array([0.3, 0.5, 0.2, 0.4])


def with_row(row, values, dtype=float):
    """Return the probabilities with one row replaced."""
    probs = PROBS.astype(dtype)
    probs[row] = values
    return probs


def test_objective_is_equation_4_8_by_hand():
    """The optimum of another problem would be proven."""
    problem = ClassBalanced(PROBS, UTILITY, 2, balance=3.0, target=[1.5, 0.5])
    evaluation = problem.evaluate([0, 1])
    # utility 0.8; expected classes (1.7, 0.3), so the imbalance is 0.2 + 0.2
    assert evaluation.terms["utility"] == pytest.approx(0.8)
    assert evaluation.terms["imbalance"] == pytest.approx(0.4)
    assert evaluation.objective == pytest.approx(-0.8 + 3 * 0.4)


def test_objective_agrees_with_the_formula_on_every_subset(objective):
    """Some selections would be priced by another formula, here with rows that sum to 1 ± 1e-3."""
    rng = np.random.default_rng(1)
    probs = rng.dirichlet([0.4] * 4, size=8) * rng.uniform(0.9991, 1.0009, size=(8, 1))
    utility, target = rng.normal(size=8), rng.uniform(0, 2, size=4)
    problem = ClassBalanced(probs, utility, 3, balance=0.7, target=target)
    for rows in combinations(range(8), 3):
        expected = objective(probs, utility, target, 0.7, rows)
        assert problem.evaluate(rows).objective == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_rows_are_renormalized():
    """A row that sums to 1.0009 would count as more than one label."""
    problem = ClassBalanced(PROBS * 1.0009, UTILITY, 2, target=[1.0, 1.0])
    np.testing.assert_allclose(problem.probs.total(np.array([0, 2])), [1.0, 1.0], rtol=1e-15)
    np.testing.assert_allclose(problem.probs.take(np.arange(4)), PROBS, rtol=1e-15)


@pytest.mark.parametrize("balance", [0, 0.0, np.float32(0), torch.tensor(0)])
def test_without_balance_only_utility_counts(balance):
    """λ = 0 would still pay for imbalance."""
    problem = ClassBalanced(PROBS, UTILITY, 2, balance=balance, target=[5.0, 5.0])
    assert problem.evaluate([1, 3]).objective == pytest.approx(-0.9)


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf, 1e308, 7.0])
def test_labeled_rows_may_hold_anything(hole):
    """A row that nobody can choose would stop, or change, what is chosen."""
    probs, utility = with_row(2, [hole, -hole]), UTILITY.copy()
    utility[2] = np.nan
    problem = ClassBalanced(probs, utility, 2, labeled=[2], target=[1.0, 1.0])
    plain = ClassBalanced(PROBS, UTILITY, 2, labeled=[2], target=[1.0, 1.0])
    assert problem.evaluate([0, 3]) == plain.evaluate([0, 3])
    assert problem.lower_bound(np.array([0.5, -0.5])) == plain.lower_bound(np.array([0.5, -0.5]))
    np.testing.assert_array_equal(problem.top_rows(), [1, 3])


def test_rows_that_are_no_candidates_may_hold_anything():
    """A held-out row would have to be scored although nobody can choose it."""
    probs = with_row(3, [np.nan, np.nan])
    ClassBalanced(probs, UTILITY, 2, candidates=[0, 1, 2], target=[1.0, 1.0])


@pytest.mark.parametrize(
    ("probs", "message"),
    [
        (
            with_row(1, [3.2, -1.4]),
            r"probs: row 1 holds -1\.4, probabilities must not be negative; pass softmax outputs, "
            "not logits",
        ),
        (
            with_row(2, [3.2, 1.4]),
            r"probs: row 2 sums to 4\.6, rows must sum to 1 \(±0\.001\); pass softmax outputs, not "
            "logits",
        ),
        (with_row(3, [0, 0]), r"probs: row 3 sums to 0, rows must sum to 1"),
        (with_row(1, [0.9, 0.1011]), r"probs: row 1 sums to 1\.001, rows must sum to 1"),
        (with_row(0, [0.9, np.nan]), "probs: row 0 holds nan; candidates need finite numbers; sc"),
        (with_row(0, [np.inf, 0]), "probs: row 0 holds inf; candidates need finite numbers"),
        (with_row(0, [np.inf, -np.inf]), "probs: row 0 holds inf; candidates need finite numbers"),
        (with_row(0, [1e308, 1e308]), r"probs: row 0 sums to inf, rows must sum to 1"),
        (
            PROBS.astype(np.float16),
            "probs: float16 is too coarse for probabilities; compute softmax in float32",
        ),
        (PROBS.astype(">f2"), "probs: float16 is too coarse"),
        (torch.from_numpy(PROBS).bfloat16(), "probs: bfloat16 is too coarse for probabilities"),
        (torch.from_numpy(PROBS).half(), "probs: float16 is too coarse for probabilities"),
        ([PROBS[:2], PROBS[2:].astype(np.float16)], "probs: float16 is too coarse"),
    ],
)
def test_bad_probabilities_are_refused(probs, message):
    """Logits or broken rows would be optimized as if they were probabilities."""
    with pytest.raises(InvalidInput, match=message):
        ClassBalanced(probs, UTILITY, 2)


def test_the_first_bad_row_is_named_by_its_id():
    """The row to mend would have to be searched for."""
    with pytest.raises(InvalidInput, match=r"probs: row 2 \(id c\) sums to 2, rows"):
        ClassBalanced(with_row(slice(2, 4), [1, 1]), UTILITY, 2, ids=list("abcd"))


@pytest.mark.parametrize("total", [0.9991, 1.0009])
def test_rounding_in_row_sums_is_forgiven(total):
    """Softmax in float32 would be refused."""
    ClassBalanced(PROBS * total, UTILITY, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"utility": [1, 2, 3]}, "utility: must have 4 values; got 3"),
        ({"utility": [1, 2, np.nan, 3]}, "utility: row 2 holds nan; candidates need finite numbe"),
        ({"utility": [1, 2, 3, np.inf]}, "utility: row 3 holds inf; candidates need finite number"),
        ({"budget": 0}, "budget: must be a whole number, at least 1; got 0"),
        ({"budget": -3}, "budget: must be a whole number, at least 1; got -3"),
        ({"budget": 1.5}, r"budget: must be a whole number, at least 1; got 1\.5"),
        ({"budget": np.nan}, "budget: must be a whole number, at least 1; got nan"),
        ({"budget": None}, "budget: must be one number; got None"),
        ({"budget": True}, "budget: must be one number; got True"),
        ({"budget": [2]}, r"budget: must be one number; got \[2\]"),
        (
            {"budget": 5},
            r"budget: 5 rows asked for, 4 can be chosen \(4 candidates among 4 rows, 0 of them "
            r"labeled\); lower the budget or free some rows",
        ),
        (
            {"budget": 4, "labeled": [1], "target": [1, 1]},
            r"budget: 4 rows asked for, 3 can be chosen \(3 candidates among 4 rows, 1 of them la",
        ),
        ({"budget": 3, "candidates": [0, 2]}, r"3 rows asked for, 2 can be chosen \(2 candidates"),
        (
            {"budget": 4, "constraints": [Forbid([1])]},
            r"budget: 4 rows asked for, 3 can be chosen \(1 of 4 candidates are forbidden\)",
        ),
        ({"candidates": []}, "budget: 2 rows asked for, 0 can be chosen"),
        ({"balance": -1}, r"balance: must be a finite number ≥ 0; got -1\.0; 1\.0 is a start"),
        ({"balance": np.inf}, "balance: must be a finite number ≥ 0; got inf"),
        ({"balance": 1e200}, r"balance: absolute values must sum to at most 1e\+150; got 1e\+200"),
        (
            {"utility": [1e308, 1e308, 0, 0]},
            r"utility: absolute values must sum to at most 1e\+150",
        ),
        ({"balance": np.nan}, "balance: must be a finite number ≥ 0; got nan"),
        ({"balance": "high"}, "balance: must be one number; got 'high'"),
        ({"distance": "l3"}, "distance: must be one of l1.*; got 'l3'"),
        ({"constraints": Include([0])}, "constraints: must be a list; got one Include; put it"),
        ({"constraints": [[0, 1]]}, r"constraints: must be labelcut constraints; got list; pass a"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    """A mistake would surface in a solver, as an error that names nothing."""
    arguments = {"probs": PROBS, "utility": UTILITY, "budget": 2, **arguments}
    with pytest.raises(InvalidInput, match=message):
        ClassBalanced(**arguments)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([0], "budget: 1 rows are chosen, exactly 2 are asked for"),
        ([0, 2, 3], "budget: 3 rows are chosen, exactly 2 are asked for"),
        ([0, 0], "indices: rows must be distinct; row 0 comes twice"),
        ([0, 4], r"indices: rows must lie in 0\.\.3; got 4"),
        ([0, 1], r"candidates: 1 chosen rows may not be chosen; row 1 \(id b\) is labeled already"),
        ([0.5, 1], r"indices: must be whole numbers; got 0\.5"),
    ],
)
def test_check_names_what_a_selection_breaks(rows, message):
    """A wrong selection would pass, or be refused without a word why."""
    problem = ClassBalanced(PROBS, UTILITY, 2, labeled=[1], target=[1, 1], ids=list("abcd"))
    with pytest.raises(InfeasibleSelection, match=message):
        problem.check(rows)


def test_check_tells_held_out_rows_from_labeled_ones():
    """A row that was left out of the candidates would be called labeled."""
    problem = ClassBalanced(PROBS, UTILITY, 2, candidates=[0, 1, 2])
    with pytest.raises(InfeasibleSelection, match="row 3 is not a candidate"):
        problem.check([0, 3])
    problem.check([2, 0])


def test_top_rows_break_ties_by_the_lowest_row():
    """The baseline would depend on how the sort broke a tie, or drop what must be in."""
    many = ClassBalanced(np.full((300, 2), 0.5), np.tile([0, 2, 1], 100), 5)
    np.testing.assert_array_equal(many.top_rows(), [1, 4, 7, 10, 13])
    rules = [Include([0]), Forbid([1])]
    problem = ClassBalanced(PROBS, [1, 2, 2, 2], 2, constraints=rules)
    np.testing.assert_array_equal(np.sort(problem.top_rows()), [0, 2])
    assert problem.baseline() == problem.evaluate([0, 2]).objective


def test_an_infeasible_problem_has_no_baseline():
    """A gap would be read against a selection that breaks the constraints."""
    rules = [Include([0]), Forbid([0])]
    assert ClassBalanced(PROBS, UTILITY, 2, constraints=rules).baseline() is None


def test_a_problem_is_frozen():
    """A problem changed after validation would no longer be the one that was hashed."""
    with pytest.raises(AttributeError):
        ClassBalanced(PROBS, UTILITY, 2).budget = 3


def test_repr_tells_sizes():
    """A log line would print a million probabilities, or nothing."""
    problem = ClassBalanced(PROBS, UTILITY, 2, labeled=[1], candidates=[0, 3], target=[1, 1])
    assert repr(problem) == "ClassBalanced(4 rows, 1 labeled, 2 candidates, budget 2)"


def test_probabilities_of_another_problem_are_taken_as_validated():
    """Stating a second problem over a large P would read it all again, or skip its rows."""
    problem = ClassBalanced(PROBS, UTILITY, 2)
    assert ClassBalanced(problem.probs, UTILITY, 3).probs is problem.probs
    part = ClassBalanced(with_row(3, [7, 7]), UTILITY, 2, candidates=[0, 1])
    with pytest.raises(InvalidInput, match="probs: row 3 sums to 14"):
        ClassBalanced(part.probs, UTILITY, 2)
