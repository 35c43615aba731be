"""Exact k-center on published instances and on embeddings, beside the naive way to do it.

python benchmarks/k_center_exact.py [--only TABLE] [--limit 300] [--peers]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _instances import CLUSTERS, Instance
from _results import EARLIER, REPEATS, SHORT, in_child, repeated, write_tables, written_tables

import labelcut
from labelcut.problems.errors import CheckFailed, InfeasibleSelection
from labelcut.solvers._mip_worker import peak_bytes

TITLE, SCRIPT = "k-center, exact", "benchmarks/k_center_exact.py"
EMBEDDINGS_LIMIT = 60.0
GRACE = 5.0
"""Seconds over the limit after which the naive way is killed: it starts and reads before it."""
FEW = 200
"""Rows of a solve before the measured one."""
ENOUGH = 30
"""Times the seconds of `exact` after which the naive way is killed: that is answer enough."""
SAME = 1e-6
"""Relative difference of radii that rounding may explain."""

INTRO = """\
Each row is measured in a fresh process: the median seconds of {repeats} runs, or one run where it
takes more than {short:.0f} s. *seconds* are those of `solve(problem, "exact", gap_tol=0,
abs_gap_tol=0, time_limit=...)`; reading and validating the points, importing libraries and what
numba compiles at its first use are left out. *gap* is (radius - bound) / radius, 0 where the
method claims the optimum. *proof* is how the last radius was refuted: `lp` by the duals of a
linear program, `tree` by a small tree of them, `mip` by HiGHS' branch and bound or a tree too large
for a file, empty where the bound is `greedy`'s. *check* is `labelcut.check`: it passed for the
rows, and for the bound too where its certificate can be checked by itself; `mip` leaves none.

*published* radii are those of the OR-Library (pmed), Pullan's (pr, rounded to integers) and the
SmartLab Challenge's list (u1060, pcb3038); where there is none, the list has none. What was
published for pcb3038 is the best known and not said to be optimal.

Other work ran on the second core, so that seconds may be a little long."""


@dataclass(frozen=True)
class Topic:
    """A table: its title, its rows and columns, and what to know about it."""

    title: str
    instances: Sequence[Instance]
    columns: Sequence[str]
    limit: float
    note: str = ""


# Budgets of pmed1 to pmed20 in the OR-Library.
PMED = (5, 10, 10, 20, 33, 5, 10, 20, 40, 67, 5, 10, 30, 60, 100, 5, 10, 40, 80, 133)
PMEDS = [Instance(f"pmed{number}", budget) for number, budget in enumerate(PMED, 1)]
PRS = [Instance(name, b) for name in ("pr226", "pr299", "pr439") for b in (5, 10, 20, 40)]
BASIC = ("instance", "N", "b", "published", "radius", "bound", "gap", "seconds", "proof", "check")
RELATIVE = (*BASIC[:5], "of the published", *BASIC[5:])
POINTS = ("points", "N × d", *BASIC[2:3], *BASIC[4:7], "of greedy's", *BASIC[7:])
NAIVE = ("instance", "N", "b", "radius", "seconds", "naive seconds", "steps", "ratio", "remarks")
WORDS = ("instance", "points", "N × d", "proof", "check", "remarks")
"""Columns to the left; numbers go to the right."""


def topics(limit: float) -> dict[str, Topic]:
    """Return the tables by their names on the command line."""
    few = min(limit, EMBEDDINGS_LIMIT)
    return {
        "pmed": Topic("OR-Library: distances in graphs", PMEDS, BASIC, limit),
        "tsplib": Topic(
            "TSPLIB: points in the plane",
            [*PRS, *(Instance("u1060", b) for b in range(10, 151, 10)), Instance("fl1400", 50)],
            BASIC,
            limit,
        ),
        "large": Topic(
            "TSPLIB: thousands of points",
            [
                *(Instance(name, b) for name in ("rl5915", "usa13509") for b in (5, 10)),
                *(Instance("pcb3038", b) for b in (10, 20, 30, 40, 50)),
            ],
            RELATIVE,
            limit,
        ),
        "embeddings": Topic(
            "Embeddings",
            [
                *(Instance("mixture", b, n, 512) for n in (3_000, 50_000) for b in (20, 100)),
                *(Instance("digits", b, 1_797, 64) for b in (10, 50)),
            ],
            (*POINTS, "peak MB", "HiGHS MB"),
            few,
            f"*mixture* is {CLUSTERS} Gaussians of unlike sizes and spreads, float32; *digits* the "
            "pixels of scikit-learn's. *of greedy's* is the radius by that of `greedy`. *peak MB* "
            "is the peak resident memory of the process, with Python, libraries and the points; "
            "*HiGHS MB* that of the largest process that branched and bounded, if there was one.",
        ),
        "naive": Topic(
            "The naive way",
            [*PRS, *PMEDS[15:], *(Instance("u1060", b) for b in (10, 50, 100, 150))],
            NAIVE,
            limit,
            "The naive way bisects all distinct distances; at each it asks HiGHS, on one thread "
            "and in its own process, for at most b centers that cover all rows within it: all rows "
            "by all columns, none sampled or reduced, ended by the first answer. *ratio* is its "
            f"seconds by those of `exact`; where it was killed, at {ENOUGH} times those or at the "
            "limit, it would have taken longer.",
        ),
        "thousand": Topic(
            "The naive way with a thousand points",
            [Instance("u1060", b) for b in range(10, 151, 10)],
            NAIVE,
            limit,
            f"Both ways use HiGHS on one thread; the naive one is killed at {ENOUGH} times the "
            "seconds of `exact`, or at the limit.",
        ),
    }


def main() -> None:
    """Measure and write the section, or one table of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=topics(0.0), help="measure one table, keep the others")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for each solve")
    parser.add_argument("--peers", action="store_true", help="measure the naive way anew")
    arguments = parser.parse_args()
    every = topics(arguments.limit)
    intro = INTRO.format(repeats=REPEATS, short=SHORT)
    order = [topic.title for topic in every.values()]
    with TemporaryDirectory() as folder:
        for name in [arguments.only] if arguments.only else every:
            text = _table(every[name], Path(folder), arguments.peers)
            # A table at a time, since all of them take hours.
            write_tables(TITLE, SCRIPT, intro, order, {every[name].title: text})


def _table(topic: Topic, folder: Path, peers: bool) -> str:
    """Measure the rows of a table and return it as Markdown."""
    dashes = ("---" if name in WORDS else "---:" for name in topic.columns)
    lines = [f"| {' | '.join(topic.columns)} |", f"|{'|'.join(dashes)}|"]
    standing = written_tables(TITLE).get(topic.title, "").splitlines()
    ratios = []
    for instance in topic.instances:
        if not (folder / instance.file).exists():
            np.save(folder / instance.file, instance.array())
        found = _exact_runs(instance, topic.limit, folder)
        if topic.columns is NAIVE:
            kept = None if peers else _kept(instance, found["size"], standing)
            most = min(topic.limit, ENOUGH * found["seconds"])
            found |= kept or _naive_runs(instance, most, folder, found)
            ratios.append(found["naive"] / found["seconds"] if found["optimal"] else 0.0)
        cells = (COLUMNS[name](instance, found) for name in topic.columns)
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], file=sys.stderr)
    notes = [f"Limit: {topic.limit:.0f} s.", topic.note]
    if ratios:
        notes.append(f"Median ratio over the {len(ratios)} rows: at least")
        notes.append(f"{statistics.median(ratios):.1f}; a row that `exact` did not prove counts 0.")
    return "\n".join(lines) + "\n\n" + " ".join(note for note in notes if note)


def _exact_runs(instance: Instance, limit: float, folder: Path) -> dict[str, Any]:
    request = _request(instance, "exact", limit, folder)
    results = repeated(lambda: in_child(__file__, request))
    return {**results[0], "seconds": statistics.median(run["seconds"] for run in results)}


def _request(instance: Instance, runner: str, limit: float, folder: Path) -> dict[str, Any]:
    given = {"instance": asdict(instance), "runner": runner}
    return {**given, "limit": limit, "folder": str(folder)}


def _naive_runs(
    instance: Instance, limit: float, folder: Path, ours: Mapping[str, Any]
) -> dict[str, Any]:
    request = _request(instance, "naive", limit, folder)
    try:
        results = repeated(lambda: in_child(__file__, request, kill_after=limit + GRACE))
    except subprocess.TimeoutExpired:
        return {"naive": limit, "steps": "", "remarks": f"killed at {limit:.1f} s"}
    radius = results[0]["radius"]
    wrong = not ours["bound"] * (1 - SAME) <= radius <= ours["radius"] * (1 + SAME)
    return {
        "naive": statistics.median(run["seconds"] for run in results),
        "steps": str(results[0]["steps"]),
        "remarks": f"the naive radius is {radius:.4f}" if wrong else "",
    }


def _kept(instance: Instance, size: int, standing: Sequence[str]) -> dict[str, Any] | None:
    """Return the naive way's figures as they stand in the section already, if they do."""
    start = f"| {instance.name} | {size:,} | {instance.budget} |"
    for line in standing:
        if line.startswith(start):
            row = dict(zip(NAIVE, (cell.strip() for cell in line.split("|")[1:-1]), strict=True))
            remarks = [row["remarks"].removesuffix(EARLIER).removesuffix("; "), EARLIER]
            return {
                "naive": float(row["naive seconds"]),
                "steps": row["steps"],
                "remarks": "; ".join(remark for remark in remarks if remark),
            }
    return None


def _relative(instance: Instance, found: Mapping[str, Any]) -> str:
    published = instance.published
    return "" if published is None else f"{found['radius'] / published:.4f}"


def _ratio(found: Mapping[str, Any]) -> str:
    if not found["optimal"]:
        return "not proven"
    more = "> " if found["remarks"].startswith("killed") else ""
    return f"{more}{found['naive'] / found['seconds']:.1f}"


def _megabytes(peak: int | None) -> str:
    return "" if peak is None else f"{peak / 1e6:.0f}"


COLUMNS: dict[str, Callable[[Instance, Mapping[str, Any]], str]] = {
    "instance": lambda its, _: its.name,
    "points": lambda its, _: its.name,
    "N": lambda _, found: f"{found['size']:,}",
    "N × d": lambda its, _: f"{its.size:,} × {its.dimension}",
    "b": lambda its, _: str(its.budget),
    "published": lambda its, _: "" if its.published is None else f"{its.published:.10g}",
    "radius": lambda its, found: f"{found['radius']:.{0 if its.given else 4}f}",
    "bound": lambda its, found: f"{found['bound']:.{0 if its.given else 4}f}",
    "gap": lambda _, found: (
        "0" if found["optimal"] else f"{1 - found['bound'] / found['radius']:.2%}"
    ),
    "of the published": _relative,
    "of greedy's": lambda _, found: f"{found['radius'] / found['greedy']:.4f}",
    "seconds": lambda _, found: f"{found['seconds']:.2f}",
    "proof": lambda _, found: found["proof"],
    "check": lambda _, found: found["check"],
    "peak MB": lambda _, found: _megabytes(found["peak"]),
    "HiGHS MB": lambda _, found: _megabytes(found["highs_peak"]),
    "naive seconds": lambda _, found: f"{found['naive']:.2f}",
    "steps": lambda _, found: found["steps"],
    "ratio": lambda _, found: _ratio(found),
    "remarks": lambda _, found: found["remarks"],
}


def child(request: dict[str, Any]) -> dict[str, Any]:
    """Run one method in this process and return its figures."""
    instance = Instance(**request["instance"])
    array = np.load(Path(request["folder"]) / instance.file)
    return RUNNERS[request["runner"]](array, instance, request["limit"])


def _problem(array: Any, instance: Instance, budget: int) -> labelcut.KCenter:
    make = labelcut.KCenter.from_distances if instance.given else labelcut.KCenter
    problem = make(array, budget)
    assert problem.fingerprint
    return problem


def _exact(array: Any, instance: Instance, limit: float) -> dict[str, Any]:
    plane = np.random.default_rng(0).standard_normal((FEW, 2)).astype(array.dtype)
    few = _problem(array[:FEW, :FEW] if instance.given else plane, instance, 10)
    labelcut.solve(few, "exact", gap_tol=0, abs_gap_tol=0)
    problem = _problem(array, instance, instance.budget)
    start = time.perf_counter()
    solution = labelcut.solve(problem, "exact", time_limit=limit, gap_tol=0, abs_gap_tol=0)
    seconds, peak = time.perf_counter() - start, peak_bytes()
    try:
        again = labelcut.check(problem, solution).bound_rechecked
        checked = "rows, bound" if again else "rows"
    except (CheckFailed, InfeasibleSelection) as error:
        checked = f"failed: {error}"
    return {
        "size": len(array),
        "radius": solution.objective,
        "bound": solution.bound,
        "optimal": solution.status == "optimal",
        "seconds": seconds,
        "proof": solution.info.get("proof", ""),
        "check": checked,
        "peak": peak,
        "highs_peak": solution.info.get("worker_peak_bytes"),
        "greedy": labelcut.solve(problem, "greedy").objective,
    }


def _naive(array: Any, instance: Instance, _: float) -> dict[str, Any]:
    import highspy
    from scipy.sparse import csr_array, vstack
    from scipy.spatial.distance import cdist

    ends = highspy.HighsModelStatus
    answers = {ends.kOptimal: True, ends.kObjectiveTarget: True, ends.kInfeasible: False}
    start = time.perf_counter()
    distances = array if instance.given else cdist(array, array)
    radii, size, steps = np.unique(distances), len(distances), 0
    low, high = 0, len(radii) - 1
    while low < high:
        steps, middle = steps + 1, (low + high) // 2
        covers = csr_array((distances <= radii[middle]).astype(np.float64))
        matrix = vstack([covers, np.ones((1, size))], format="csr")
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = size, size + 1
        model.col_cost_ = model.col_upper_ = np.ones(size)
        model.col_lower_ = np.zeros(size)
        model.row_lower_ = np.append(np.ones(size), -np.inf)
        model.row_upper_ = np.append(np.full(size, np.inf), float(instance.budget))
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
        model.a_matrix_.value_ = matrix.data
        model.integrality_ = [highspy.HighsVarType.kInteger] * size
        solver = highspy.Highs()
        solver.silent()
        solver.setOptionValue("threads", 1)
        # The first cover of at most b centers answers the question.
        solver.setOptionValue("objective_target", float(instance.budget))
        solver.passModel(model)
        solver.run()
        covered = answers[solver.getModelStatus()]
        low, high = (low, middle) if covered else (middle + 1, high)
    return {"seconds": time.perf_counter() - start, "radius": float(radii[low]), "steps": steps}


RUNNERS = {"exact": _exact, "naive": _naive}

if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(json.dumps(child(json.loads(sys.argv[2]))), flush=True)
    else:
        main()
