"""Proofs of trees: what the solver states is believed, and no change proves a false radius."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut import CheckFailed, InvalidInput, KCenter, check, load, solve
from labelcut.problems import Certificate
from labelcut.solvers._clock import Clock
from labelcut.solvers.k_center import certifying, refuting
from labelcut.solvers.k_center.branching import Tree
from labelcut.solvers.k_center.certifying import Branchings
from labelcut.solvers.k_center.covering import narrowed
from labelcut.solvers.k_center.refuting import narrow
from labelcut.solvers.k_center.sample import Sample

STRICT = {"gap_tol": 0, "abs_gap_tol": 0}


@pytest.fixture(autouse=True, scope="module")
def left_out_one_by_one():
    """Leave columns out as long as there are any, which makes more stages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refuting, "FEW", 1.0)
        yield


@st.composite
def problems(draw, most=12):
    """Return small problems with labeled, outlying, restricted and doubled rows."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.integers(4, most))
    kind = draw(st.sampled_from(["grid", "noise", "strays", "given"]))
    rows = rng.permutation(size)
    labeled = rows[: draw(st.integers(0, 2))]
    allowed = np.sort(rows[len(labeled) :])
    candidates = allowed[: draw(st.integers(1, len(allowed)))]
    given = {
        "budget": draw(st.integers(1, min(len(candidates), 4))),
        "outliers": draw(st.integers(0, 2)),
        "labeled": labeled,
        "candidates": candidates,
    }
    if kind == "given":
        apart = np.triu(rng.integers(1, 5, (size, size)).astype(np.float64), 1)
        return KCenter.from_distances(apart + apart.T, **given), rng
    points = {
        "grid": rng.integers(0, 4, (size, 2)).astype(np.float64),
        "noise": rng.normal(size=(size, 2)),
        "strays": rng.normal(size=(size, 2)) + rng.choice([0.0, 0.0, 50.0], size)[:, None],
    }[kind]
    return KCenter(points, **given), rng


def sampled(problem, rows):
    """Return a sample of some rows."""
    sample = Sample(problem)
    sample.add(rows, np.inf)
    return sample


def refutation(sample, radius, budget, outliers, forget=None):
    """Return what a tree that refutes a radius states, or None; `forget` drops columns before."""
    proof, cover = Branchings(sample), sample.cover(radius)
    if forget is not None and len(cover.columns):
        cover = narrowed(cover, forget.random(len(cover.columns)) < 0.8, outliers=outliers > 0)
    cover, _ = narrow(cover, budget, outliers, Clock(), proof)
    tree = Tree(cover, budget, outliers, proof.begin(cover))
    refuted, _ = tree.search(1e12, 60.0, Clock())
    return proof.values() if refuted else None


def prove(problem, radius, values):
    """Return what the values prove, 0 where they are refused."""
    certificate = Certificate("branched-rows", True, None, {**values, "radius": radius})
    try:
        return problem.prove(certificate)
    except InvalidInput:
        return 0.0


@settings(max_examples=60, deadline=None)
@given(problems())
def test_trees_prove_every_radius_below_the_optimum(least_radius, case):
    """A refutation would be found and its certificate turned down, or prove too much."""
    problem, rng = case
    optimum, size = least_radius(problem), problem.space.size
    sample = sampled(problem, np.arange(size))
    for radius in sample.radii(0.0, np.inf):
        values = refutation(sample, radius, problem.to_choose, problem.outliers)
        assert (values is not None) == (radius < optimum)
        if values is not None:
            above = sample.next_radius(radius, np.inf)
            assert prove(problem, above, values) == above <= optimum
    part = sampled(problem, rng.permutation(size)[: size // 2])
    for radius in part.radii(0.0, optimum):
        values = refutation(part, radius, problem.to_choose, problem.outliers)
        if values is not None:
            assert prove(problem, part.next_radius(radius, optimum), values) <= optimum


@pytest.mark.slow
@settings(max_examples=250, deadline=None)
@given(problems(most=9), st.sampled_from(["columns", "budget", "outliers", "labeled"]))
def test_trees_on_false_premises_prove_nothing_false(least_radius, case, premise):
    """A tree that is right by itself would be believed of another cover, or of fewer centers."""
    problem, rng = case
    optimum = least_radius(problem)
    other, budget, outliers = problem, problem.to_choose, problem.outliers
    if premise == "labeled":
        other = replaced(problem, labeled=[])
    sample = sampled(other, np.arange(problem.space.size))
    for radius in sample.radii(0.0, np.inf):
        values = refutation(
            sample,
            radius,
            budget - (premise == "budget"),
            max(outliers - (premise == "outliers"), 0),
            rng if premise == "columns" else None,
        )
        if values is not None:
            for claimed in (radius, sample.next_radius(radius, np.inf)):
                assert prove(problem, claimed, values) <= optimum


def replaced(problem, **changed):
    """Return the problem over its own distances with something else."""
    every = np.arange(problem.space.size)
    given = {
        "budget": problem.budget,
        "outliers": problem.outliers,
        "labeled": problem.labeled,
        "candidates": problem.candidates,
    }
    return KCenter.from_distances(problem.space.between(every, every), **given | changed)


def altered(values, rng):
    """Return a proof with a few numbers, lists or stages changed at random."""
    values = deepcopy(values)
    for _ in range(rng.integers(1, 4)):
        stages = values["stages"]
        part = values if rng.random() < 0.2 or not stages else stages[rng.integers(len(stages))]
        names = [name for name in part if isinstance(part[name], list) and name != "stages"]
        numbers = part[names[rng.integers(len(names))]]
        kind = rng.integers(5)
        if kind == 0 and numbers:
            numbers[rng.integers(len(numbers))] = int(rng.integers(-1, 30_000))
        elif kind == 1 and numbers:
            numbers[rng.integers(len(numbers))] = int(rng.integers(0, 6))
        elif kind == 2 and numbers:
            numbers.pop(rng.integers(len(numbers)))
        elif kind == 3 and len(stages) > 1:
            stages.pop(rng.integers(len(stages)))
        else:
            values["unit"] = int(rng.integers(1, 50_000))
    return values


@settings(max_examples=150, deadline=None)
@given(problems(most=9))
def test_no_change_proves_more_than_the_optimum(least_radius, case):
    """A certificate could claim a radius that some selection beats."""
    problem, rng = case
    optimum = least_radius(problem)
    sample = sampled(problem, np.arange(problem.space.size))
    radii = sample.radii(0.0, np.inf)
    for radius in radii[radii < optimum][-2:]:
        values = refutation(sample, radius, problem.to_choose, problem.outliers)
        for _ in range(10):
            forged = altered(values, rng)
            for claimed in (optimum, *radii[radii > optimum][:2], np.inf):
                assert prove(problem, claimed, forged) <= optimum


@pytest.fixture(scope="module", params=[(0, 0), (1, 3)])
def proven(request):
    """Return a problem and an answer to it whose bound a tree proves, in stages."""
    seed, outliers = request.param
    problem = KCenter(np.random.default_rng(seed).random((150, 2)), 12, outliers=outliers)
    solution = solve(problem, "exact", time_limit=60, **STRICT)
    assert solution.certificate.kind == "branched-rows"
    assert len(solution.certificate.values["stages"]) > 1
    return problem, solution


def test_a_tree_proves_the_optimum_from_its_file(tmp_path, proven):
    """An optimum that nobody else can check would be a claim."""
    problem, solution = proven
    assert solution.certificate.recheckable
    assert solution.info["proof"] == "tree"
    solution.save(tmp_path / "s.json")
    report = check(problem, load(tmp_path / "s.json"))
    assert report.bound_rechecked
    assert report.status_rechecked
    assert report.proven == solution.bound == solution.objective


def test_a_radius_or_a_tree_that_was_changed_is_refused(proven):
    """A bound would be believed because its certificate looks like one."""
    problem, solution = proven
    values = dict(solution.certificate.values)
    stages = deepcopy(values["stages"])
    ends = [stage["weights"] for stage in stages if len(stage["branched"]) > 1]
    ends[-1][:] = [weight // 2 for weight in ends[-1]]
    for changed in (
        {"radius": values["radius"] * 0.999},
        {"radius": values["radius"] * 1.001},
        {"columns": values["columns"][::-1]},
        {"rows": values["rows"][::-1]},
        {"stages": values["stages"][:-1]},
        {"stages": stages},
    ):
        certificate = replace(solution.certificate, values={**values, **changed})
        with pytest.raises(CheckFailed, match="bound"):
            check(problem, replace(solution, certificate=certificate))


def test_a_tree_too_large_for_a_file_is_not_called_checkable(monkeypatch, proven):
    """Certificates would be larger than the data that they are about."""
    monkeypatch.setattr(certifying, "LARGEST", 100)
    problem, known = proven
    solution = solve(problem, "exact", time_limit=60, **STRICT)
    assert solution.objective == solution.bound == known.objective
    assert solution.certificate.kind == "branch-and-bound"
    assert solution.info["proof"] == "mip"
    assert not check(problem, solution).bound_rechecked
