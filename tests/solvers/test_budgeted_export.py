"""The exported program of budgeted selection, solved by HiGHS as somebody else would."""

import highspy
import pytest

from labelcut import BudgetedSelection, Cost, InvalidInput, KCenter, UnsupportedProblem
from labelcut.solvers import export_model


def solved(path):
    """Return status, optimum and rows of a model file."""
    highs = highspy.Highs()
    highs.silent()
    highs.readModel(str(path))
    highs.run()
    names = [highs.getColName(at)[1] for at in range(highs.getNumCol())]
    values = highs.getSolution().col_value
    rows = [int(n[1:]) for n, v in zip(names, values, strict=True) if v > 0.5] if values else []
    return highs.getModelStatus(), highs.getInfo().objective_function_value, rows


def test_the_exported_program_has_the_same_optimum(mixture, tmp_path):
    """Others would solve another problem than we do."""
    seen = set()
    for seed in range(40):
        drawn = mixture(seed)
        problem = drawn.problem
        size = export_model(problem, tmp_path / "m.mps")
        assert size == (tmp_path / "m.mps").stat().st_size
        status, value, rows = solved(tmp_path / "m.mps")
        best = max((sum(problem.utility[list(r)]) for r in drawn.feasible()), default=None)
        seen.add(best is None)
        if best is None:
            assert status == highspy.HighsModelStatus.kInfeasible
        else:
            assert -value == pytest.approx(best, abs=1e-6)
            problem.check(rows)
    assert seen == {True, False}


def test_no_constraint_and_no_budget_are_fine(tmp_path):
    """A model without rows would be no model."""
    export_model(BudgetedSelection([1, 3, 2], 2), tmp_path / "m.mps")
    assert solved(tmp_path / "m.mps")[1:] == (-5.0, [1, 2])
    cost = Cost([1, 1, 1], 1)
    export_model(BudgetedSelection([1, 3, 2], constraints=[cost]), tmp_path / "m.mps")
    assert solved(tmp_path / "m.mps")[1:] == (-3.0, [1])


def test_what_cannot_be_written_is_refused(tmp_path):
    """Another format would be written under that name, or another problem."""
    with pytest.raises(InvalidInput, match=r"ends in \.mps; got m\.lp"):
        export_model(BudgetedSelection([1, 2], 1), tmp_path / "m.lp")
    with pytest.raises(UnsupportedProblem, match="takes class-balanced problems, this one is k-c"):
        export_model(KCenter([[0.0], [1.0]], 1), tmp_path / "m.mps")
    assert not list(tmp_path.iterdir())
