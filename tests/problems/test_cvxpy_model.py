"""The plain CVXPY model is the same problem: its optimum is that of brute force."""

import numpy as np
import pytest

from labelcut import ClassBalanced, Forbid, Include, NotEnoughMemory

RULES = [Include([0, 5]), Forbid([2]), Forbid([])]


@pytest.mark.parametrize(
    ("balance", "labeled", "rules"),
    [(1.0, [], []), (0.0, [3], []), (5.0, [3, 4], RULES), (0.3, [], RULES)],
)
def test_optimum_is_that_of_brute_force(best, balance, labeled, rules):
    """Users would extend, and tests would trust, a model of another problem."""
    rng = np.random.default_rng(len(rules))
    probs = rng.dirichlet([0.5] * 3, size=8)
    probs[labeled] = np.nan
    utility, target = rng.normal(size=8), np.array([2.0, 1.5, 0.5])
    utility[labeled] = np.nan
    problem = ClassBalanced(
        probs, utility, 3, balance=balance, target=target, labeled=labeled, constraints=rules
    )
    model = problem.to_cvxpy()
    value = model.solve(solver="HIGHS")
    allowed = np.setdiff1d(np.arange(8), [*labeled, *([2] if rules else [])])
    included = [0, 5] if rules else []
    assert value == pytest.approx(
        best(probs, utility, target, balance, 3, allowed, included), abs=1e-6
    )
    (selected,) = model.variables()
    rows = np.flatnonzero(selected.value > 0.5)
    problem.check(rows)
    assert problem.evaluate(rows).objective == pytest.approx(value, abs=1e-6)


def test_candidates_alone_may_be_chosen():
    """A held-out row would be chosen by the model and refused by the checker."""
    problem = ClassBalanced([[0.5, 0.5]] * 4, [9, -2, -1, 9], 1, candidates=[1, 2])
    model = problem.to_cvxpy()
    model.solve(solver="HIGHS")
    np.testing.assert_allclose(model.variables()[0].value, [0, 0, 1, 0], atol=1e-6)


def test_a_model_that_does_not_fit_is_refused_before_it_is_built(monkeypatch):
    """The machine would swap to a halt instead of naming the figure and the other way."""
    monkeypatch.setattr("labelcut.problems.memory.free_bytes", lambda: 1000)
    problem = ClassBalanced(np.full((100, 2), 0.5), np.zeros(100), 1)
    with pytest.raises(NotEnoughMemory, match=r"to_cvxpy: needs about .* GB are free; solve the"):
        problem.to_cvxpy()
