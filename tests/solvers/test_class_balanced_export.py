"""The exported program, solved by HiGHS as somebody else would."""

from itertools import combinations
from types import SimpleNamespace

import highspy
import numpy as np
import pytest

from labelcut import ClassBalanced, Include, InvalidInput, UnsupportedProblem
from labelcut.solvers import export_model


@pytest.mark.parametrize("name", ["l1", "wasserstein"])
def test_the_exported_program_has_the_same_optimum(name, tmp_path):
    """Others would solve another problem than we do."""
    rng = np.random.default_rng(1)
    cost = {"ground_cost": 1 - np.eye(3)} if name == "wasserstein" else {}
    problem = ClassBalanced(
        rng.dirichlet(np.ones(3), 10),
        rng.random(10),
        4,
        labeled=[9],
        labeled_classes=[1],
        distance=name,
        constraints=[Include([2])],
        **cost,
    )
    best = min(
        problem.evaluate([2, *rows]).objective
        for rows in combinations([r for r in range(9) if r != 2], 3)
    )
    assert export_model(problem, tmp_path / "m.mps") == (tmp_path / "m.mps").stat().st_size
    highs = highspy.Highs()
    highs.silent()
    highs.readModel(str(tmp_path / "m.mps"))
    highs.run()
    assert highs.getInfo().objective_function_value == pytest.approx(best, abs=1e-6)
    names = [highs.getColName(at)[1] for at in range(highs.getNumCol())]
    values = highs.getSolution().col_value
    rows = [int(n[1:]) for n, v in zip(names, values, strict=True) if n[0] == "z" and v > 0.5]
    assert problem.evaluate([2, *rows]).objective == pytest.approx(best, abs=1e-6)


def test_what_is_not_linear_is_refused(tmp_path):
    """A file would be written that states another problem."""
    for name in ("l2", "squared-l2"):
        problem = ClassBalanced(np.eye(2), [1, 1], 1, distance=name)
        with pytest.raises(UnsupportedProblem, match=rf"MPS states linear programs, '{name}'"):
            export_model(problem, tmp_path / "m.mps")
    assert not list(tmp_path.iterdir())


def test_a_file_larger_than_the_disk_is_refused_before_it_is_begun(tmp_path, monkeypatch):
    """The disk would be filled first."""
    problem = ClassBalanced(np.eye(2), [1, 1], 1)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(InvalidInput, match=r"m\.mps would take about 0\.0 GB, the disk has 0\.0"):
        export_model(problem, tmp_path / "m.mps")
    assert not list(tmp_path.iterdir())


def test_another_suffix_is_refused(tmp_path):
    """HiGHS would write another format under that name."""
    with pytest.raises(InvalidInput, match=r"ends in \.mps; got m\.txt"):
        export_model(ClassBalanced(np.eye(2), [1, 1], 1), tmp_path / "m.txt")
