"""Class balance of labels that are drawn from P, against draws and every choice."""

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest

from labelcut import ClassBalanced, GroupLimit, check, frontier, load, solve
from labelcut.problems import Correction, InvalidInput, corrected, save_problem
from labelcut.problems.pricing import Prices
from labelcut.studies.true_balance import paper_program

GROUPS = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])


def instance(seed, rows=9, budget=4, **how):
    """Draw a small problem of labels as chances."""
    rng = np.random.default_rng(seed)
    return ClassBalanced(
        rng.dirichlet(np.full(3, 0.6), rows),
        rng.random(rows),
        budget,
        **{"balance": 0.7, "target": [2.5, 1.0, 0.5], "labels": "chances", **how},
    )


def worth(problem, rows):
    """Return objective, and imbalance with doubt, written out by hand."""
    probs = problem.probs.take(np.array(rows))
    variances = (probs * (1 - probs)).sum(axis=0)
    spreads = np.sqrt(np.maximum(problem.target, 1) / 2)
    off = np.abs(problem.target - probs.sum(axis=0)).sum() + (variances / (2 * spreads)).sum()
    return -problem.utility[list(rows)].sum() + problem.balance * off, off


def every(problem):
    """Return all choices, of at most two rows a group where groups are limited."""
    chosen = combinations(range(problem.dataset.size), problem.budget)
    most = 2 if problem.constraints else problem.budget
    return [rows for rows in chosen if np.bincount(GROUPS[list(rows)]).max() <= most]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limited", [False, True])
def test_every_method_is_measured_by_the_objective_and_exact_is_optimal(seed, limited):
    """Solvers would maximize another utility than the problem's own, or promise too much."""
    rules = [GroupLimit(GROUPS, at_most=2)] if limited else []
    problem = instance(seed, constraints=rules)
    best = min(worth(problem, rows)[0] for rows in every(problem))
    shares = replace(problem, labels="shares")
    for method in ("exact", "relaxed", "greedy", "pseudo-label", "top", "random"):
        found = solve(problem, method, time_limit=20)
        assert found.objective == pytest.approx(worth(problem, found.indices)[0])
        assert found.terms["doubt"] > 0
        plain = shares.evaluate(found.indices).objective
        assert found.objective == pytest.approx(plain + 0.7 * found.terms["doubt"])
        assert found.bound is None or found.bound <= best + 1e-9
        check(problem, found)
        if method == "exact":
            assert found.objective == pytest.approx(best, abs=1e-6)


def test_any_multipliers_and_prices_bound_every_choice():
    """A certificate would prove more than is true."""
    problem = instance(7)
    best = min(worth(problem, rows)[0] for rows in every(problem))
    rng = np.random.default_rng(0)
    for _ in range(50):
        multipliers = rng.uniform(-0.7, 0.7, 3)
        assert problem.lower_bound(multipliers) <= best
        assert problem.lower_bound(multipliers, Prices(rng.normal(), ())) <= best


def test_expected_imbalance_is_bounded_by_imbalance_and_doubt():
    """Labels that come would be farther from the target than was promised on average."""
    problem = instance(1, rows=60, budget=30, target=[14, 10, 6])
    rng = np.random.default_rng(0)
    for _ in range(5):
        rows = rng.choice(60, 30, replace=False)
        sums = problem.probs.take(rows).cumsum(axis=1)
        drawn = np.stack(
            [((rng.random((4000, 30, 1)) > sums).sum(axis=2) == k).sum(axis=1) for k in range(3)]
        )
        expected = np.abs(problem.target[:, None] - drawn).sum(axis=0).mean()
        terms = problem.evaluate(rows).terms
        constant = np.sqrt(problem.target / 2).sum() / 2
        promised = terms["imbalance"] + terms["doubt"] + constant
        assert terms["imbalance"] + terms["doubt"] == pytest.approx(worth(problem, rows)[1])
        assert expected - 0.05 <= promised


def test_more_weight_buys_surer_labels_where_shares_are_balanced_already():
    """Where expected counts are even, λ would change nothing."""
    sure, torn = np.eye(2)[[0, 1] * 3], np.full((6, 2), 0.5)
    utility = np.repeat([0.2, 0.5], 6)
    for balance, expected in ((0.1, 6), (2.0, 0)):
        problem = ClassBalanced(
            np.vstack([sure, torn]),
            utility,
            6,
            balance=balance,
            target=[3, 3],
            labels="chances",
        )
        assert (solve(problem, "exact").indices >= 6).sum() == expected
        assert (solve(replace(problem, labels="shares"), "exact").indices >= 6).all()


def test_the_cvxpy_model_has_the_same_optimum():
    """Whoever extends the model would extend the paper's."""
    problem = instance(2)
    best = min(worth(problem, rows)[0] for rows in every(problem))
    assert problem.to_cvxpy().solve(solver="HIGHS") == pytest.approx(best, abs=1e-6)


def test_no_choice_crosses_the_frontier():
    """Doubt would be left out of what a choice's utility is bounded by."""
    problem = instance(3)
    trade = frontier(problem, [0.0, 0.1, 0.3, 1.0, 3.0], time_limit=20)
    offs = [point.relaxed_imbalance for point in trade.points]
    assert all(later <= earlier + 1e-4 for earlier, later in pairwise(offs))
    for point in trade.points:
        assert point.imbalance == pytest.approx(worth(problem, point.indices)[1])
        best = max(
            problem.utility[list(rows)].sum()
            for rows in every(problem)
            if worth(problem, rows)[1] <= point.imbalance + 1e-12
        )
        assert point.utility <= best + 1e-9 <= point.utility_bound + 2e-9


def test_files_say_so_and_shares_keep_their_fingerprint(tmp_path):
    """A saved problem would be solved as the paper's, or old files would no longer match."""
    problem = instance(4)
    save_problem(problem, tmp_path / "p.toml")
    again = load(tmp_path / "p.toml")
    assert (again.labels, again.fingerprint) == ("chances", problem.fingerprint)
    shares = replace(problem, labels="shares")
    assert shares.fingerprint != problem.fingerprint
    assert "labels" not in shares.parameters()


def test_doubt_is_that_of_the_corrected_probabilities_and_not_the_papers(tmp_path):
    """Rows would be as doubtful as before the correction, and the paper's program not its own."""
    raw = instance(5, rows=40)
    found = corrected(raw, Correction([10, 5, 1]))
    probs = found.probs.take(np.arange(40))
    expected = (probs * (1 - probs) / (2 * np.sqrt(np.maximum(raw.target, 1) / 2))).sum(axis=1)
    np.testing.assert_allclose(found.doubt, expected)
    assert np.abs(found.doubt - raw.doubt).max() > 0.05
    assert paper_program(found).fingerprint == replace(raw, labels="shares").fingerprint


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"labels": "draws"}, "labels: must be one of shares, chances; got 'draws'"),
        ({"distance": "squared-l2"}, "labels: 'chances' are for the distance 'l1'; got 'squared"),
    ],
)
def test_bad_input_is_one_clear_error(how, message):
    """Somebody would balance something else than was meant."""
    with pytest.raises(InvalidInput, match=message):
        instance(0, **how)
