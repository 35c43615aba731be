"""Class quotas that hold with a stated probability, on constraints alone."""

from itertools import chain, combinations
from math import comb, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from labelcut import BudgetedSelection, ExpectedCount, InfeasibleSelection, InvalidInput, load

SIZE = 7
SEEDS = st.integers(0, 10**6)


def drawn(seed):
    """Return a bound quota on class 0, its dataset, and what it says of a set of rows."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([0.5, 0.8], SIZE)
    probs[rng.random(SIZE) < 0.2] = [1.0, 0.0]
    confidence = float(rng.choice([0.6, 0.8, 0.9, 0.99]))
    low = float(rng.uniform(0, 2.5))
    high = low + float(rng.uniform(0, 3))
    limits = [{"at_least": low}, {"at_most": high}, {"at_least": low, "at_most": high}]
    stated = limits[int(rng.integers(3))]
    rule = ExpectedCount(probs, 0, confidence=confidence, **stated)
    problem = BudgetedSelection(np.zeros(SIZE), 3, constraints=[rule])

    def law(rows):
        mean = sum(probs[row, 0] for row in rows)
        spread = sqrt(sum(probs[row, 0] * probs[row, 1] for row in rows))
        margin = norm.ppf(confidence) * spread
        return ("at_least" not in stated or mean - margin >= low - 1e-12) and (
            "at_most" not in stated or mean + margin <= high + 1e-12
        )

    return problem, law


def every_set():
    """All sets of rows."""
    return chain.from_iterable(combinations(range(SIZE), size) for size in range(SIZE + 1))


def accepts(check, rows, dataset):
    """Whether a checker accepts some rows."""
    try:
        check(np.array(rows, dtype=np.int64), dataset)
    except InfeasibleSelection:
        return False
    return True


@settings(max_examples=60)
@given(seed=SEEDS)
def test_the_checker_says_what_the_words_say(seed):
    """A quota would be called met that is not."""
    problem, law = drawn(seed)
    (rule,) = problem.constraints
    for rows in every_set():
        assert accepts(rule.check, rows, problem.dataset) == law(rows)
        curves = rule.curves(problem.dataset)
        kept = all(curve.excess(np.array(rows, dtype=np.int64)) <= 0 for curve in curves)
        assert kept == law(rows)


@settings(max_examples=100)
@given(seed=SEEDS)
def test_linear_rows_never_cut_off_what_keeps_the_quota(seed):
    """A bound would be called proven that some selection beats."""
    problem, law = drawn(seed)
    (rule,) = problem.constraints
    linear = rule.linear(problem.dataset)
    again = rule.linear(problem.dataset)
    assert (linear.matrix != again.matrix).nnz == 0
    for rows in every_set():
        if law(rows):
            z = np.isin(np.arange(SIZE), rows).astype(float)
            assert (linear.matrix @ z <= linear.limits + 1e-12).all(), rows


def test_linear_rows_say_more_than_the_expectation():
    """The relaxation would ignore the confidence, and bounds would be those without it."""
    rows = np.full((60, 2), 0.5)
    quota = ExpectedCount(rows, 0, at_least=20, confidence=0.9)
    problem = BudgetedSelection(np.zeros(60), 44, constraints=[quota])
    (rule,) = problem.constraints
    linear = rule.linear(problem.dataset)
    # 42 rows expect 21 labels: enough in expectation, and not with 90 %.
    z = np.arange(60) < 42
    assert not (linear.matrix @ z <= linear.limits).all()


@settings(max_examples=60)
@given(seed=SEEDS)
def test_guards_close_what_breaks_a_limit_and_never_ask_for_too_much(seed):
    """Greedy methods would build what is refused, or leave out what may be taken."""
    problem, law = drawn(seed)
    (rule,) = problem.constraints
    dataset = problem.dataset
    upper_only = rule.check_growing
    guard = rule.guard(dataset)
    closed, taken = guard.closed.copy(), []
    for row in np.random.default_rng(seed).permutation(SIZE).tolist():
        for other in set(range(SIZE)) - set(taken):
            assert closed[other] == (not accepts(upper_only, sorted([*taken, other]), dataset))
        rest = [other for other in range(SIZE) if other not in taken]
        enough = [
            size
            for size in range(len(rest) + 1)
            for extra in combinations(rest, size)
            if law([*taken, *extra])
        ]
        if enough:
            assert guard.needs() <= min(enough)
        if not closed[row]:
            closed[guard.add(row)] = True
            taken.append(row)


@settings(max_examples=30)
@given(seed=SEEDS)
def test_the_cone_in_cvxpy_says_the_same_of_every_selection(seed):
    """Users would extend another problem."""
    problem, law = drawn(seed)
    model = problem.to_cvxpy()
    (selected,) = model.variables()
    for rows in combinations(range(SIZE), 3):
        selected.value = np.isin(np.arange(SIZE), rows).astype(float)
        assert all(rule.value(1e-8) for rule in model.constraints) == law(rows)


def test_the_normal_margin_is_that_of_the_binomial_distribution():
    """The stated probability would not be the one that labels keep it with."""
    quota = ExpectedCount(np.full((100, 2), 0.5), 0, at_least=25, confidence=0.9)
    problem = BudgetedSelection(np.zeros(100), 60, constraints=[quota])
    for count in range(50, 70):
        sure = sum(comb(count, k) for k in range(25, count + 1)) / 2**count
        (rule,) = problem.constraints
        if accepts(rule.check, range(count), problem.dataset):
            assert sure >= 0.9
            assert count <= 62
            return
    pytest.fail("no number of rows keeps the quota")


@pytest.mark.parametrize("confidence", [0.49, 1.0, -1, 2, float("nan"), float("inf")])
def test_a_confidence_outside_its_range_is_refused(confidence):
    """A quota would be turned around, or ask for infinitely many labels."""
    rule = ExpectedCount([[0.5, 0.5]], 0, at_least=0.1, confidence=confidence)
    with pytest.raises(
        InvalidInput, match=r"ExpectedCount confidence: must lie in \[0\.5, 1\); got"
    ):
        BudgetedSelection([1.0], 1, constraints=[rule])


def test_a_confidence_is_part_of_words_files_and_fingerprint(tmp_path):
    """A saved quota would come back without its probability."""
    probs = np.random.default_rng(0).dirichlet([1] * 4, 90)

    def stated(**how):
        quota = ExpectedCount(probs, 3, at_least=5, **how)
        return BudgetedSelection(np.arange(90), 60, constraints=[quota])

    sure, plain = stated(confidence=0.9), stated()
    assert sure.constraints[0].describe() == "at least 5 of class 3 with probability 0.9"
    assert stated(confidence=0.5).fingerprint == plain.fingerprint != sure.fingerprint
    assert sure.fingerprint != stated(confidence=0.8).fingerprint
    sure.save(tmp_path / "p.toml")
    assert "confidence = 0.9" in (tmp_path / "p.toml").read_text()
    found = load(tmp_path / "p.toml")
    assert found.fingerprint == sure.fingerprint
    assert found.constraints[0].confidence == 0.9
    plain.save(tmp_path / "q.toml")
    assert "confidence" not in (tmp_path / "q.toml").read_text()


def test_a_broken_quota_is_told_with_both_counts():
    """Nobody would see why a count above the limit is refused."""
    quota = ExpectedCount([[0.5, 0.5]] * 4, 0, at_least=1.9, confidence=0.9)
    problem = BudgetedSelection(np.zeros(4), 4, constraints=[quota])
    told = "2 labels of class 0 are expected, 0.7184484345 with probability 0.9, at least 1.9 are"
    with pytest.raises(InfeasibleSelection, match=told):
        problem.check(range(4))
