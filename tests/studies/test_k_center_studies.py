"""Coresets compared, tabulated and drawn: their own columns, and no others."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import labelcut
from labelcut import Factored, InvalidInput, KCenter, UnsupportedProblem, compare, frontier, solve
from labelcut.problems import Certificate, StoppedBy
from labelcut.problems.embeddings import Embeddings
from labelcut.problems.given_distances import GivenDistances
from labelcut.solvers import export_model
from labelcut.studies import Comparison, Run, comparing, plot_choices
from labelcut.studies.coverage_pictures import SHOWN, farthest
from labelcut.studies.projections import project
from labelcut.studies.tables import (
    comparison_notes,
    comparison_table,
    problem_table,
    solution_table,
)

PROBS = np.repeat(np.eye(2), 3, axis=0)


def answer(problem, rows, **changes):
    """Return a solution with rows of our own."""
    found = problem.evaluate(rows)
    changes = {"objective": found.objective, "terms": found.terms, **changes}
    return replace(solve(problem, "random"), indices=np.array(rows), **changes)


def with_classes(**arguments):
    """Return the six points with class probabilities."""
    points = [[0.0], [1.0], [2.0], [10.0], [12.0], [14.0]]
    return KCenter(points, 2, probs=PROBS, target=[1, 1], **arguments)


def test_shares_are_of_the_way_from_a_random_draw(six_points):
    """The share would be measured from another baseline than the column names."""
    best = answer(six_points, [1, 4], bound=1.5, method="best")
    runs = (Run("random", 0, solve(six_points, "random")), Run("best", 0, best, 10.0))
    comparison = Comparison(six_points, None, runs)
    drawn, found = comparison.rows()
    assert drawn["of_baseline"] == 1.0
    assert found["of_baseline"] == pytest.approx((2 - 1.5) / (six_points.baseline() - 1.5))
    assert found["to_bound"] == pytest.approx(0.5 / 2)
    assert list(found) == [
        *("method", "seeds", "objective", "bound", "to_bound", "of_baseline", "radius", "seconds"),
        *("megabytes", "status", "reason"),
    ]
    assert comparison.to_dict()["baseline"] == "random"


def test_columns_are_those_of_the_terms(six_points, rendered):
    """A coreset would be shown a utility, or its imbalance be left out."""

    def columns(problem):
        comparison = Comparison(problem, None, (Run("random", 0, solve(problem, "random")),))
        title, names, _ = rendered(comparison_table(comparison, "x.toml")).splitlines()
        assert title.rstrip().endswith("no proven bound")
        return re.split(r" {2,}", names.strip())

    first = ["method", "objective", "bound", "to bound", "of random's gap", "radius"]
    plain = [*first, "s", "MB", "status"]
    assert columns(six_points) == plain
    assert columns(with_classes()) == [
        *first,
        *("imbalance", "L1 predicted", "L1 true"),
        *plain[6:],
    ]


def test_a_run_in_a_process_of_its_own_is_the_same(six_points):
    """A saved and read problem would be solved to another answer."""
    comparison = compare(six_points, ["random"], (3,))
    (run,) = comparison.runs
    assert not comparison.in_process
    assert comparison_notes(comparison) == []
    assert run.solution.indices.tolist() == solve(six_points, "random", seed=3).indices.tolist()
    assert run.megabytes is None or run.megabytes > 0
    labelcut.check(six_points, run.solution)


def test_truth_needs_classes(six_points):
    """True labels would be scored without knowing how many classes there are."""
    truth = [0, 0, 0, 1, 1, 7]
    assert "l1_true" not in compare(six_points, ["random"], truth=truth).rows()[0]
    with pytest.raises(InvalidInput, match=r"truth: classes must lie in 0\.\.1"):
        compare(with_classes(), ["random"], truth=truth)
    with pytest.raises(InvalidInput, match="truth: classes must be ≥ 0, -1 where not known"):
        compare(six_points, ["random"], truth=[0, 0, 0, 0, 0, -2])
    row = compare(with_classes(), ["random"], truth=[0, 0, 0, 1, 1, 1]).rows()[0]
    assert row["l1_true"] == row["l1_predicted"]


TABLE = cdist(np.arange(8.0)[:, None] ** 2, np.arange(8.0)[:, None] ** 2)


def by_function(change=lambda table: table):
    """Return a problem over a function of distances."""
    return KCenter.from_distances(lambda rows: change(TABLE[rows]), 2, size=8)


def test_functions_are_solved_here_and_that_is_said(monkeypatch):
    """A function cannot go to another process: the comparison would fail or keep silent."""
    monkeypatch.setattr(comparing, "_measure", None)
    comparison = compare(by_function(), ["random"], (0, 1))
    (row,) = comparison.rows()
    assert (row["seeds"], row["megabytes"], row["status"]) == (2, None, "feasible")
    assert row["radius"] > 0
    assert "all ran in this one" in " ".join(comparison_notes(comparison))
    assert json.loads(json.dumps(comparison.to_dict()))["in_process"] is True


def test_functions_that_fail_are_rows(monkeypatch):
    """One failure of the user's function would take the others' results with it."""
    calls = []

    def fail(problem, method, **arguments):
        calls.append(method)
        if len(calls) == 1:
            raise ZeroDivisionError("no distance")
        return solve(problem, method, **arguments)

    monkeypatch.setattr(comparing, "solve", fail)
    comparison = compare(by_function(), ["random"], (0, 1))
    assert comparison.runs[0].failure == "ZeroDivisionError: no distance"
    assert comparison.runs[1].solution is not None


def test_ctrl_c_in_this_process_ends_the_comparison(monkeypatch):
    """The next method would begin although the user asked to stop."""

    def interrupted(problem, method, **arguments):
        found = solve(problem, method, **arguments)
        return replace(found, stopped_by=StoppedBy.INTERRUPT)

    monkeypatch.setattr(comparing, "solve", interrupted)
    comparison = compare(by_function(), ["random"], (0, 1, 2))
    assert comparison.interrupted
    assert len(comparison.runs) == 1


def test_a_problem_is_described(rendered, six_points):
    """A user could not see which metric, which dimension and how many outliers."""
    lines = rendered(problem_table(KCenter(np.ones((9, 1234)), 2, outliers=3))).splitlines()
    told = dict(re.split(r" {2,}", line.strip(), maxsplit=1) for line in lines)
    assert (told["metric"], told["dimension"], told["outliers"]) == ("euclidean", "1,234", "3")
    assert not {"balance λ", "target Ω", "classes"} & set(told)
    factored = rendered(problem_table(KCenter(Factored(np.eye(4), np.ones((4, 5))), 2)))
    assert "4 x 5" in factored
    assert "target Ω" in rendered(problem_table(with_classes()))
    text = rendered(solution_table(six_points, answer(six_points, [1, 4]), None))
    assert "radius" in text
    assert "L1" not in text


def test_frontier_and_export_say_what_they_take(six_points, tmp_path):
    """A traceback would be the answer to a reasonable question."""
    with pytest.raises(UnsupportedProblem, match="frontier: takes class-balanced problems, this"):
        frontier(six_points)
    with pytest.raises(UnsupportedProblem, match="export: takes class-balanced problems, this on"):
        export_model(six_points, tmp_path / "m.mps")


POINTS = np.random.default_rng(0).normal(size=(90, 5)) * [9.0, 4.0, 1.0, 0.5, 0.1]


def test_the_plane_is_the_principal_one():
    """A picture would show the points from a side where they lie on each other."""
    places = project(Embeddings(POINTS), np.arange(90))
    centred = POINTS - POINTS.mean(axis=0)
    wanted = np.linalg.svd(centred)[2][:2] @ centred.T
    np.testing.assert_allclose(np.abs(places.T), np.abs(wanted), atol=1e-9)
    np.testing.assert_allclose(project(Embeddings(POINTS), np.array([7, 3])), places[[7, 3]])


@pytest.mark.parametrize("kind", ["plane", "factored", "cosine", "given", "tiny"])
def test_distances_in_the_plane_are_never_longer(kind):
    """The title says so: a line longer than the radius would contradict the legend."""
    points = POINTS[:2] if kind == "tiny" else POINTS
    space = {
        "plane": Embeddings(points),
        "tiny": Embeddings(points),
        "factored": Factored(points, points[:, :2]),
        "cosine": Embeddings(points, "cosine"),
        "given": GivenDistances(cdist(points, points)),
    }[kind]
    rows = np.arange(len(points))
    places = project(space, rows)
    real = space.between(rows, rows)
    if kind == "cosine":
        real = np.sqrt(2 * real)
    assert (cdist(places, places) <= real + 1e-6).all()
    assert places.std() > 0


def test_one_point_has_a_place():
    """The smallest problem could not be drawn."""
    np.testing.assert_array_equal(project(Embeddings([[3.0]]), np.array([0])), [[0, 0]])


def test_the_farthest_row_makes_the_radius(six_points):
    """The line would join other rows than those that make the radius."""
    assert farthest(six_points, answer(six_points, [1, 3])).tolist() == [5, 3]
    left_out = KCenter(six_points.space, 2, outliers=1)
    assert farthest(left_out, answer(left_out, [1, 3])).tolist() == [4, 3]


def labels_of(figure):
    """Return the entries of a figure's legend."""
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_map_shows_rows_choices_and_radii(drawn):
    """A choice, the labeled rows or the radius would be missing from the picture."""
    problem = KCenter(POINTS, 3, labeled=[4, 5])
    one, other = answer(problem, [1, 2, 3]), answer(problem, [10, 20, 30])
    figure = drawn(problem, {"one": one, "other": other})
    (axis,) = figure.axes
    places = project(problem.space, np.arange(90))
    rows, labeled, *lines = axis.get_lines()
    np.testing.assert_allclose(rows.get_xydata(), places)
    np.testing.assert_allclose(labeled.get_xydata(), places[[4, 5]])
    for choice, (markers, longest) in zip((one, other), (lines[:2], lines[2:]), strict=True):
        np.testing.assert_allclose(markers.get_xydata(), places[choice.indices])
        assert markers.get_fillstyle() == "none"
        np.testing.assert_allclose(longest.get_xydata(), places[farthest(problem, choice)])
        assert longest.get_color() == markers.get_color()
    assert lines[0].get_marker() != lines[2].get_marker()
    radii = [f"one, radius {one.objective:.4g}", f"other, radius {other.objective:.4g}"]
    assert labels_of(figure) == ["rows", "labeled", *radii]
    assert "shorter than" in axis.get_title()


def test_given_distances_are_not_said_to_look_shorter(drawn):
    """The title would promise of any table what holds for points only."""
    problem = KCenter.from_distances(TABLE, 2)
    (axis,) = drawn(problem, {"random": solve(problem, "random")}).axes
    assert "only roughly to scale" in axis.get_title()


def test_the_curve_is_drawn_where_an_answer_tells_it(drawn, six_points):
    """A panel would be empty, or the bound be drawn where it bounds something else."""
    certificate = Certificate("witnesses", True, 1.0, {})
    told = answer(
        six_points, [1, 4], bound=1.0, certificate=certificate, info={"curve": [13.0, 2.0]}
    )
    silent = answer(six_points, [0, 5])
    _, axis = drawn(six_points, {"silent": silent, "told": told}).axes
    curve, bound = axis.get_lines()
    np.testing.assert_array_equal(curve.get_xydata(), [[1, 13.0], [2, 2.0]])
    assert curve.get_color() == "C1"
    assert set(bound.get_ydata()) == {1.0}
    assert len(drawn(six_points, {"silent": silent}).axes) == 1
    problem = with_classes(balance=1.0)
    told = answer(problem, [1, 4], bound=1.0, info={"curve": [13.0, 2.0]})
    figure = drawn(problem, {"told": told})
    assert len(figure.axes) == 3
    assert "proven bound" not in labels_of(figure)


def test_large_pools_are_drawn_as_a_sample(drawn):
    """A million rows would take a minute and gigabytes to draw."""
    points = np.random.default_rng(0).normal(size=(SHOWN + 500, 2))
    problem = KCenter(points, 3)
    choice = solve(problem)
    figure = drawn(problem, {"random": choice})
    rows, markers, _ = figure.axes[0].get_lines()
    assert len(rows.get_xydata()) == SHOWN
    assert len(markers.get_xydata()) == 3
    assert labels_of(figure)[0] == "5,000 of 5,500 rows"


def test_a_picture_is_written(tmp_path, six_points):
    """The file would be missing or blank."""
    plot_choices(six_points, {"random": solve(six_points)}, tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
