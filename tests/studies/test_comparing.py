"""Comparisons: what the numbers mean, and that each run has a process of its own."""

import json
import os
import textwrap
from dataclasses import replace

import numpy as np
import pytest

import labelcut
from labelcut import ClassBalanced, Forbid, Include, InvalidInput, compare, l1_score, solve
from labelcut.problems import Certificate, Status, StoppedBy
from labelcut.studies import Comparison, Run, _measure, comparing


def row_of(comparison, method):
    """Return the one row of a method."""
    (row,) = [row for row in comparison.rows() if row["method"] == method]
    return row


def runs_of(problem, *methods):
    """Solve in this process."""
    return tuple(Run(name, 0, solve(problem, name), 10.0) for name in methods)


def with_bound(solution, bound):
    """Return a solution with another bound."""
    return replace(solution, bound=bound, certificate=Certificate("multipliers", True, bound, {}))


@pytest.fixture
def canned(monkeypatch):
    """Answer runs in this process and record them."""
    asked = []

    def measure(path, method, seed, limits):
        asked.append((method, seed, dict(limits)))
        problem = labelcut.load(path)
        return Run(method, seed, solve(problem, method, seed=seed, **limits), 10.0)

    monkeypatch.setattr(comparing, "_measure", measure)
    return asked


def test_gaps_are_those_worked_out_by_hand(two_classes):
    """A method would look better or worse than it is."""
    comparison = Comparison(two_classes, None, runs_of(two_classes, "top", "greedy", "relaxed"))
    assert comparison.bound == pytest.approx(-1.2)
    assert comparison.bound_from == "relaxed"
    top = row_of(comparison, "top")
    assert top["objective"] == pytest.approx(0.3)
    assert top["to_bound"] == pytest.approx((0.3 + 1.2) / 0.3)
    assert top["of_baseline"] == pytest.approx(1)
    assert top["bound"] is None
    assert (top["utility"], top["imbalance"]) == pytest.approx((1.7, 2))
    greedy = row_of(comparison, "greedy")
    assert greedy["objective"] == pytest.approx(-1.2)
    assert greedy["to_bound"] == pytest.approx(0, abs=1e-9)
    assert greedy["of_baseline"] == pytest.approx(0, abs=1e-9)
    assert greedy["megabytes"] == 10


def test_the_best_bound_counts_whoever_proved_it(two_classes):
    """Gaps would be measured against each method's own bound, or against the weakest."""
    top, greedy = runs_of(two_classes, "top", "greedy")
    runs = (
        replace(top, method="weak", solution=with_bound(top.solution, -2.0)),
        replace(greedy, method="strong", solution=with_bound(greedy.solution, -1.5)),
        greedy,
    )
    comparison = Comparison(two_classes, None, runs)
    assert (comparison.bound, comparison.bound_from) == (-1.5, "strong")
    assert row_of(comparison, "weak")["to_bound"] == pytest.approx((0.3 + 1.5) / 0.3)
    assert row_of(comparison, "weak")["bound"] == -2.0
    assert row_of(comparison, "greedy")["to_bound"] == pytest.approx(0.3 / 1.2)
    assert row_of(comparison, "greedy")["of_baseline"] == pytest.approx(0.3 / 1.8)


def test_a_bound_without_an_answer_counts(two_classes):
    """A bound that was proven would be lost because its method ran out of time for rows."""
    (top,) = runs_of(two_classes, "top")
    stopped = replace(
        with_bound(top.solution, -1.4),
        indices=np.empty(0, dtype=np.int64),
        objective=None,
        terms={},
        status=Status.UNKNOWN,
        stopped_by=StoppedBy.TIME,
        runtime=3.0,
    )
    comparison = Comparison(two_classes, None, (top, Run("relaxed", 0, stopped, 90.0)))
    assert (comparison.bound, comparison.bound_from) == (-1.4, "relaxed")
    row = row_of(comparison, "relaxed")
    assert (row["status"], row["objective"], row["to_bound"]) == ("unknown", None, None)
    assert (row["bound"], row["seconds"], row["megabytes"]) == (-1.4, 3.0, 90.0)
    assert comparison.best("relaxed") is None
    assert row_of(comparison, "top")["to_bound"] == pytest.approx(1.7 / 0.3)


def test_no_bound_means_no_gap(two_classes):
    """A gap would be claimed that nobody has proven."""
    comparison = Comparison(two_classes, None, runs_of(two_classes, "top", "greedy"))
    assert (comparison.bound, comparison.bound_from) == (None, None)
    assert row_of(comparison, "top")["to_bound"] is None
    assert row_of(comparison, "top")["of_baseline"] is None


def test_where_top_is_optimal_no_share_is_claimed():
    """A share of nothing would be a division by 0."""
    problem = ClassBalanced(np.eye(2), [1.0, 1.0], budget=2)
    top, relaxed = runs_of(problem, "top", "relaxed")
    runs = (top, replace(relaxed, solution=with_bound(relaxed.solution, -2.0)))
    assert row_of(Comparison(problem, None, runs), "top")["of_baseline"] is None


def test_random_methods_are_averaged_over_seeds(two_classes, canned):
    """A mean would be of one seed, or methods without chance would run for nothing."""
    seeds = (3, 4, 5, 6)
    comparison = compare(two_classes, ["top", "random", "relaxed"], seeds)
    assert [(method, seed) for method, seed, _ in canned] == [
        *(("top", 3), ("random", 3), ("random", 4), ("random", 5), ("random", 6)),
        ("relaxed", 3),
    ]
    drawn = [solve(two_classes, "random", seed=seed) for seed in seeds]
    row = row_of(comparison, "random")
    assert row["seeds"] == 4
    assert row["objective"] == pytest.approx(np.mean([one.objective for one in drawn]))
    assert row["utility"] == pytest.approx(np.mean([one.terms["utility"] for one in drawn]))
    gaps = [(one.objective + 1.2) / abs(one.objective) for one in drawn]
    assert row["to_bound"] == pytest.approx(np.mean(gaps))
    assert row_of(comparison, "top")["seeds"] == 1


def test_all_that_apply_run_once_and_in_order(two_classes, canned):
    """A method would be left out, or run twice because it was named twice."""
    compare(two_classes)
    names = [info.name for info in labelcut.methods(two_classes)]
    assert [method for method, _, _ in canned] == names
    canned.clear()
    compare(two_classes, ["top", "greedy", "top"])
    assert [method for method, _, _ in canned] == ["top", "greedy"]


def test_limits_reach_every_run(two_classes, canned):
    """Methods would run under other limits than were asked for."""
    compare(two_classes, ["top"], time_limit=7, gap_tol=0.5, abs_gap_tol=0.25)
    assert canned[0][2] == {"time_limit": 7, "gap_tol": 0.5, "abs_gap_tol": 0.25}


def test_progress_names_each_run(two_classes, canned):
    """A user would not know what an hour of waiting is for."""
    lines = []
    compare(two_classes, ["top", "random"], (0, 1), progress=lines.append)
    assert lines == ["top (run 1 of 3)", "random (run 2 of 3)", "random (run 3 of 3)"]


def test_true_balance_needs_every_label(two_classes, canned):
    """Unknown labels would count as balanced, or as class -1."""
    known = compare(two_classes, ["top", "greedy"], truth=[0, 0, 0, 1, 1, 1])
    assert row_of(known, "top")["l1_true"] == 1
    assert row_of(known, "greedy")["l1_true"] == 0
    wrong = compare(two_classes, ["top", "greedy"], truth=[0, 1, 0, 0, 1, 1])
    assert row_of(wrong, "top")["l1_true"] == l1_score([0, 1], 2)
    assert row_of(wrong, "top")["l1_predicted"] == pytest.approx(1)
    partly = compare(two_classes, ["top", "greedy"], truth=[0, -1, 0, 1, -1, -1])
    assert row_of(partly, "top")["l1_true"] is None
    assert row_of(partly, "greedy")["l1_true"] == 0
    assert row_of(compare(two_classes, ["top"]), "top")["l1_true"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": ()}, "seeds: at least one"),
        ({"methods": "exact"}, r"methods: must be a list; got 'exact'; pass \['exact'\]"),
        ({"methods": ["exakt"]}, "did you mean 'exact'"),
        ({"truth": [0, 1]}, "truth: must hold one class for each of 6 rows"),
        ({"truth": [0, 0, 0, 1, 1, 7]}, "truth: classes must lie in"),
    ],
)
def test_bad_arguments_are_found_before_anything_runs(two_classes, canned, arguments, message):
    """An hour of runs would end in an error."""
    with pytest.raises(InvalidInput, match=message):
        compare(two_classes, **arguments)
    assert canned == []


def test_bad_limits_are_told_as_solve_tells_them(two_classes):
    """A wrong limit would come back as a crashed child."""
    with pytest.raises(InvalidInput, match=r"^time_limit: must be seconds above 0; got -1$"):
        compare(two_classes, ["top"], time_limit=-1)


def test_to_dict_is_json_and_complete(two_classes, canned):
    """A saved comparison would lose runs, or hold what JSON cannot."""
    comparison = compare(two_classes, ["top", "random", "relaxed"], (0, 1), truth=[0] * 6)
    read = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert read["bound"] == comparison.bound
    assert read["bound_from"] == "relaxed"
    assert read["interrupted"] is False
    assert [row["method"] for row in read["methods"]] == ["top", "random", "relaxed"]
    assert [run["solution"]["indices"] for run in read["runs"]] == [
        run.solution.indices.tolist() for run in comparison.runs
    ]


def test_contradictions_are_answers_too():
    """An infeasible problem would crash the comparison."""
    problem = ClassBalanced(
        np.repeat(np.eye(2), 2, axis=0), [1.0] * 4, 2, constraints=[Include([0]), Forbid([0])]
    )
    comparison = compare(problem, ["top", "greedy"])
    assert [row["status"] for row in comparison.rows()] == ["infeasible", "infeasible"]
    assert "contradict" in comparison.rows()[0]["reason"]
    assert comparison.best("top") is None


def test_interrupt_keeps_what_had_finished(two_classes, canned, monkeypatch):
    """Ctrl-C would throw away hours of finished runs, or pass for a finished comparison."""
    measure = comparing._measure

    def interrupt(path, method, seed, limits):
        if method == "greedy":
            raise KeyboardInterrupt
        return measure(path, method, seed, limits)

    monkeypatch.setattr(comparing, "_measure", interrupt)
    comparison = compare(two_classes, ["top", "random", "greedy", "relaxed"])
    assert comparison.interrupted
    assert [run.method for run in comparison.runs] == ["top", "random"]
    with pytest.raises(KeyboardInterrupt):
        compare(two_classes, ["greedy", "top"])


def test_a_child_gives_the_answer_that_solve_gives(two_classes):
    """Comparing would judge other answers than solving gives."""
    comparison = compare(two_classes, ["exact", "random"], (1,), gap_tol=0)
    for run in comparison.runs:
        here = solve(two_classes, run.method, seed=1, gap_tol=0)
        assert run.solution.fingerprint == two_classes.fingerprint
        assert run.solution.objective == here.objective
        assert run.solution.indices.tolist() == here.indices.tolist()
        labelcut.check(two_classes, run.solution)


@pytest.fixture
def in_children(tmp_path, monkeypatch):
    """Run code in every Python process that is started, as it starts."""

    def run(code):
        (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(code))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    return run


def test_a_refusal_is_a_row_with_its_reason(two_classes, in_children):
    """A method that does not fit would end the comparison or vanish from it."""
    forecast = {info.name: info.memory for info in labelcut.methods(two_classes)}
    assert forecast["greedy"] < forecast["exact"]
    in_children(f"""
        import labelcut.problems.memory
        labelcut.problems.memory.free_bytes = lambda: {forecast["exact"] - 1}
    """)
    comparison = compare(two_classes, ["exact", "greedy"])
    exact, greedy = comparison.rows()
    assert exact["status"] == "refused"
    assert "'exact': needs about" in exact["reason"]
    assert exact["objective"] is exact["seconds"] is exact["megabytes"] is None
    assert greedy["status"] == "feasible"
    assert greedy["objective"] == pytest.approx(-1.2)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("os.kill(os.getpid(), 9)", "signal 9 often means that memory ran out"),
        ("raise MemoryError('no more')", "MemoryError: no more"),
        ("sys.stderr.write('x' * 300_000); os._exit(7)", "exit code 7"),
    ],
)
def test_a_crash_is_a_row_with_its_reason(two_classes, in_children, end, reason):
    """One method that dies would take the others' results with it."""
    in_children(f"""
        import os, sys
        import labelcut.solvers.class_balanced.baselines as baselines
        def die(search):
            {end}
        baselines.solve_top = die
    """)
    comparison = compare(two_classes, ["top", "greedy"])
    top, greedy = comparison.rows()
    assert top["status"] == "failed"
    assert reason in top["reason"]
    assert greedy["objective"] == pytest.approx(-1.2)
    assert json.loads(json.dumps(comparison.to_dict()))["runs"][0]["failure"] == top["reason"]


def test_each_run_has_a_process_of_its_own(two_classes, in_children, tmp_path):
    """Seconds and megabytes would be those of several methods together."""
    in_children(f"""
        import os
        import labelcut.solvers.baselines as chance
        import labelcut.solvers.class_balanced.baselines as baselines
        def wrap(solve):
            def run(search):
                with open({str(tmp_path / "pids")!r}, "a") as file:
                    print(os.getpid(), file=file)
                solve(search)
            return run
        baselines.solve_top = wrap(baselines.solve_top)
        chance.solve_random = wrap(chance.solve_random)
    """)
    compare(two_classes, ["top", "random"], (0, 1))
    assert len(set((tmp_path / "pids").read_text().split())) == 3


def test_more_memory_shows_as_more_megabytes():
    """Peak memory would be that of the parent, or of nothing."""
    sizes = {}
    for rows in (1_000, 1_000_000):
        rng = np.random.default_rng(0)
        probs = np.repeat(np.eye(2, dtype=np.float32), rows // 2, axis=0)
        problem = ClassBalanced(probs, rng.random(rows), 100)
        (row,) = compare(problem, ["top"]).rows()
        sizes[rows] = row["megabytes"]
    assert 10 < sizes[1_000] < 200
    # A million rows hold at least their utility and two arrays of row numbers: 24 MB.
    assert sizes[1_000] + 24 < sizes[1_000_000] < 1_000


def test_megabytes_count_the_solvers_own_process(tmp_path, two_classes, monkeypatch):
    """HiGHS would seem to need no memory."""
    path = tmp_path / "problem.toml"
    two_classes.save(path)
    request = {"problem": str(path), "out": str(tmp_path / "a.json"), "method": "top", "seed": 0}
    answer = solve(two_classes, "top")
    told = []
    for worker in (0, 10**9):
        info = {"worker_peak_bytes": worker}
        monkeypatch.setattr(
            _measure, "solve", lambda *_, info=info, **__: replace(answer, info=info)
        )
        told.append(_measure.measured(dict(request))["megabytes"])
    assert told[1] - told[0] == pytest.approx(1000, abs=50)


def test_nothing_stays_behind(two_classes, tmp_path, monkeypatch):
    """Every comparison would leave a copy of the problem on the disk, or a log where it ran."""
    temporary, working = tmp_path / "temporary", tmp_path / "working"
    temporary.mkdir()
    working.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.chdir(working)
    compare(two_classes, ["exact", "top"])
    assert [*temporary.iterdir(), *working.iterdir()] == []
