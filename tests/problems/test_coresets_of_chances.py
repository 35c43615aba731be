"""Coresets that balance labels drawn from P, against every choice and by hand."""

from itertools import combinations

import numpy as np
import pytest

from labelcut import GroupLimit, KCenter, check, coreset_frontier, load, solve
from labelcut.problems import Correction, InvalidInput, corrected, save_problem
from labelcut.studies.true_balance import paper_program

ROWS, TARGET, BALANCE = 11, np.array([2.5, 1.0, 0.5]), 0.4


def instance(seed, **how):
    """Draw a small coreset problem of labels as chances."""
    rng = np.random.default_rng(seed)
    points, probs = rng.normal(size=(ROWS, 2)), rng.dirichlet(np.full(3, 0.6), ROWS)
    told = {"balance": BALANCE, "target": TARGET, "labels": "chances", "labeled": [0], **how}
    return KCenter(points, 4, probs=probs, **told), points, probs


def doubts(probs):
    """Return each row's doubt, written out by hand."""
    return (probs * (1 - probs) / (2 * np.sqrt(np.maximum(TARGET, 1) / 2))).sum(axis=1)


def value(points, probs, rows):
    """Return the objective of a choice, written out by hand."""
    apart = np.linalg.norm(points[:, None] - points[[0, *rows]], axis=2)
    off = np.abs(TARGET - probs[list(rows)].sum(axis=0)).sum() + doubts(probs)[list(rows)].sum()
    return apart.min(axis=1).max() + BALANCE * off


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limited", [False, True])
def test_every_method_is_measured_by_the_objective_and_promises_no_more(seed, limited):
    """Doubt would be paid for by greedy methods only, or a bound would lie above an answer."""
    groups = np.arange(ROWS) % 4
    rules = [GroupLimit(groups, at_most=1)] if limited else []
    problem, points, probs = instance(seed, constraints=rules)
    choices = [
        rows
        for rows in combinations(range(1, ROWS), 4)
        if not limited or len(set(groups[list(rows)])) == 4
    ]
    best = min(value(points, probs, rows) for rows in choices)
    for method in ("exact", "greedy-l2", "greedy", "k-means++", "random"):
        found = solve(problem, method, gap_tol=0, time_limit=30)
        assert found.objective == pytest.approx(value(points, probs, found.indices))
        assert found.terms["doubt"] == pytest.approx(doubts(probs)[found.indices].sum())
        assert found.bound is None or found.bound <= best + 1e-9
        check(problem, found)
        if method == "exact":
            assert found.objective == pytest.approx(best, abs=1e-6)
            assert found.bound == pytest.approx(best, abs=1e-4)
    if not limited:
        assert problem.to_cvxpy().solve(solver="HIGHS") == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("method", ["greedy", "greedy-l2"])
def test_greedy_pays_for_doubt_at_every_pick(method):
    """Doubt would be in the objective only, and nothing would avoid it."""
    differs = 0
    for seed in range(20):
        problem, points, probs = instance(seed)
        doubt, norm = doubts(probs), 1 if method == "greedy" else 2
        for weight in (0.0, 1.0):
            rows, missing = [0], TARGET.copy()
            for _ in range(4):
                near = np.linalg.norm(points[:, None] - points[rows], axis=2).min(axis=1)
                off = np.linalg.norm(missing - probs, ord=norm, axis=1) + weight * doubt
                cost = np.where(np.isin(np.arange(ROWS), rows), np.inf, BALANCE * off - near)
                rows.append(int(cost.argmin()))
                missing -= probs[rows[-1]]
            is_same = sorted(rows[1:]) == solve(problem, method).indices.tolist()
            assert is_same or not weight
            differs += not is_same
    assert differs


def test_no_choice_crosses_the_frontier_of_radius_and_imbalance():
    """Doubt would be left out of what a choice's imbalance is bounded by."""
    problem, points, probs = instance(2)
    front = coreset_frontier(problem, 5, time_limit=60)
    choices = list(combinations(range(1, ROWS), 4))
    free = np.array([value(points, probs, rows) for rows in choices])
    radii = np.array([problem.evaluate(rows).terms["radius"] for rows in choices])
    offs = (free - radii) / BALANCE
    for point in front:
        best = offs[radii <= point.limit * (1 + 1e-12)].min()
        assert point.bound - 1e-9 <= best <= point.imbalance + 1e-9
        assert point.bound == pytest.approx(best, abs=1e-3)
    assert front[0].imbalance > front[-1].imbalance


def test_files_say_so_and_the_papers_program_takes_shares(tmp_path):
    """A saved problem would be another one, or old files would no longer match."""
    problem, _, _ = instance(4)
    save_problem(problem, tmp_path / "p.toml")
    again = load(tmp_path / "p.toml")
    assert (again.balancing.labels, again.fingerprint) == ("chances", problem.fingerprint)
    shares, _, _ = instance(4, labels="shares")
    assert "labels" not in shares.parameters()
    found = corrected(problem, Correction([10, 5, 1]))
    assert found.balancing.labels == "chances"
    assert paper_program(found).fingerprint == shares.fingerprint


def test_chances_need_probabilities():
    """A coreset without classes would seem to balance labels."""
    with pytest.raises(InvalidInput, match="labels: needs class probabilities"):
        KCenter(np.eye(4), 2, labels="chances")
