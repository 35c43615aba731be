"""Class-balanced selection: time, gap and memory, beside other solvers.

python benchmarks/class_balanced.py [--peer-limit 300] [--skip-peers | --keep-peers] [--only NAME]
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from _balanced_pools import Instance, pool_folder, read_problem
from _balanced_runners import RUNNERS
from _results import (
    EARLIER,
    REPEATS,
    RESULTS,
    SHORT,
    in_child,
    repeated,
    write_tables,
    written_tables,
)

from labelcut.solvers._mip_worker import peak_bytes

TITLE, SCRIPT = "Class-balanced selection", "benchmarks/class_balanced.py"
GRACE = 60.0
"""Seconds over its limit after which a peer is killed."""
HEURISTICS = ("relaxed", "greedy", "pseudo-label", "top", "random")
STRENGTHS = (1, 5, 20, 100)

INTRO = """\
Each row is measured in a fresh process: the median of {repeats} runs in each column, or one run
where it takes more than {short:.0f} s. *seconds* are those of the solve, imports of its libraries
included, reading and validating the arrays not. *gap* is (objective - bound) / |objective|; *of
top's way* is (objective - bound) / (objective of the `top` method - bound). A \\* marks gaps of
methods that prove no bound, to the best bound proven in the same table. *peak MB* is the peak
resident memory of the process, with Python, libraries and the pages of mapped files, and of the
HiGHS process that it starts.

The annealing loop is compiled by numba at its first use and then kept on disk: a tiny solve with a
limit of {limit} s took {first:.1f} s the first time ever and {later:.1f} s after that. It was
compiled before anything below was measured."""
TINY_LIMIT = 2.0


@dataclass(frozen=True)
class Run:
    """One row of a table: a runner with its settings on an instance.

    A peer's process is killed at `kill_after`.
    """

    instance: Instance
    label: str
    runner: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    kill_after: float | None = None


@dataclass(frozen=True)
class Topic:
    """A table: its title, its rows, and what to know about them."""

    title: str
    runs: Sequence[Run]
    note: str = ""


TEN = Instance("C=10, λ=1", (45_000, 10), 2_500)
HUNDRED = Instance("C=100, λ=1", (45_000, 100), 2_500)
CHEAP = Instance("C=100, λ=0.05", (45_000, 100), 2_500, balance=0.05)
UNREACHABLE = Instance("C=100, λ=1, Ω unreachable", (45_000, 100), 2_500, labeled_share=0.5)
SPACED = Instance("C=10, spacing, caps", (45_000, 10), 2_500, limits="video")
MIXED = Instance("C=10, all kinds", (45_000, 10), 2_500, limits="all")
SPACED_HUNDRED = Instance("C=100, spacing, caps", (45_000, 100), 2_500, limits="video")
MILLION = Instance("N=1,000,000, C=100, λ=1", (1_000_000, 100), 50_000)
CIFAR = Instance("CIFAR-10", "cifar10", 500)
NEWS = Instance("20 Newsgroups", "20news", 500)


def topics(peer_limit: float) -> dict[str, Topic]:
    """Return the tables by their names on the command line."""
    return {
        "sizes": Topic(
            "45,000 candidates, budget 2,500",
            [
                _exact(TEN, 1, 5e-5),
                *_peers(TEN, peer_limit),
                _exact(HUNDRED, 5, 2e-4),
                _exact(HUNDRED, 10, 2e-4),
                *_peers(HUNDRED, peer_limit),
            ],
            "`exact` gets `gap_tol=0`, so that it uses its time. CVXPY is "
            '`problem.to_cvxpy().solve(solver="HIGHS", time_limit=...)`, its process killed a '
            "minute after the limit. HiGHS alone solves the same binary program on one thread, "
            "without a start, and is killed at the limit.",
        ),
        "limits": Topic(
            "Multipliers at their limits, 45,000 candidates, budget 2,500",
            [_exact(CHEAP, 5), _exact(UNREACHABLE, 5)],
            "The unreachable Ω is the paper's (eq. 4.4) after half of the pool's classes were "
            "labeled: it asks for the rare classes only, and for more than the budget. At its "
            "optimum every multiplier is at its limit, so that the objective is linear.",
        ),
        "constraints": Topic(
            "With constraints: 45,000 candidates in 800 videos, budget 2,500",
            [
                _exact(SPACED, 10, 1e-3),
                *(Run(SPACED, f"`{name}`", "solve", {"method": name}) for name in HEURISTICS),
                Run(SPACED, "HiGHS alone, 60 s", "highs", {"time_limit": 60.0}, 60.0 + GRACE),
                _exact(MIXED, 10, 1e-3),
                Run(MIXED, "`relaxed`", "solve", {"method": "relaxed"}),
                Run(MIXED, "HiGHS alone, 60 s", "highs", {"time_limit": 60.0}, 60.0 + GRACE),
                _exact(SPACED_HUNDRED, 10, 1e-3),
            ],
            "Videos have 1 to some 200 frames, those of a video are of like utility. *Spacing* "
            "keeps chosen frames of a video 4 apart, *caps* allow 6 frames of each. *All kinds* "
            "adds a cost limit of 4,200 at costs of 1 to 4 each, 300 rows at least of the 3 % at "
            "night, 200 to 420 rows of each of 7 cities, 260 and 250 labels expected of two "
            "classes, and 10 included and 100 forbidden rows.",
        ),
        "million": Topic(
            "A million candidates, budget 50,000, memory-mapped float32",
            [_exact(MILLION, 60, 2e-5, gap_tol=2e-5)],
        ),
        "real": Topic(
            "Real softmax outputs, budget 500, entropy, λ=1",
            [_exact(CIFAR, 2, 1e-3), _exact(NEWS, 2, 1e-3)],
            "Out-of-sample outputs on CIFAR-10's test set (10,000 × 10) and on 20 Newsgroups "
            "(7,532 × 20), both from cleanlab.",
        ),
        "mundig": Topic(
            "lightly-mundig, 45,000 candidates, budget 2,500",
            [
                _exact(TEN, 60, gap_tol=1e-4),
                Run(TEN, "`greedy`", "solve", {"method": "greedy"}),
                *(
                    Run(
                        TEN,
                        f"lightly-mundig, strength {strength}",
                        "mundig",
                        {"strength": strength},
                    )
                    for strength in STRENGTHS
                ),
            ],
            "lightly-mundig was given the entropy as weights (strength 1) and a balancing strategy "
            "of the strength in the table: the whole probabilities as class distributions and 1/C "
            "each as target, all float32. It takes no λ; its rows are evaluated by "
            "`problem.evaluate`. One-hot classes, or counts as target, made it worse.",
        ),
    }


def _exact(
    instance: Instance, limit: float, target_gap: float | None = None, gap_tol: float = 0.0
) -> Run:
    label = f"`exact`, to a gap of {gap_tol:.0e}" if gap_tol else f"`exact`, {limit:.0f} s"
    settings = {"time_limit": limit, "gap_tol": gap_tol, "target_gap": target_gap}
    return Run(instance, label, "solve", {"method": "exact", **settings})


def _peers(instance: Instance, limit: float) -> list[Run]:
    names = {"cvxpy": "CVXPY with HiGHS", "highs": "HiGHS alone"}
    return [
        Run(instance, f"{name}, {limit:.0f} s", runner, {"time_limit": limit}, limit + GRACE)
        for runner, name in names.items()
    ]


def main() -> None:
    """Measure and write the section, or one table of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-limit", type=float, default=300.0, help="seconds for each peer")
    parser.add_argument("--skip-peers", action="store_true", help="without CVXPY and HiGHS alone")
    parser.add_argument("--keep-peers", action="store_true", help="their rows as they stand")
    parser.add_argument("--only", choices=topics(0.0), help="measure one table, keep the others")
    arguments = parser.parse_args()
    every = topics(arguments.peer_limit)
    written, tables = written_tables(TITLE), {}
    with TemporaryDirectory() as folder:
        first, later = _first_solve(Path(folder))
        for name in [arguments.only] if arguments.only else every:
            runs = every[name].runs
            if arguments.skip_peers:
                runs = [run for run in runs if run.kill_after is None]
            kept = _peer_rows(runs, written, every[name].title) if arguments.keep_peers else {}
            tables[every[name].title] = _table(runs, every[name].note, Path(folder), kept)
    intro = INTRO.format(repeats=REPEATS, short=SHORT, limit=TINY_LIMIT, first=first, later=later)
    write_tables(TITLE, SCRIPT, intro, [topic.title for topic in every.values()], tables)


def _peer_rows(runs: Sequence[Run], written: Mapping[str, str], title: str) -> dict[str, str]:
    """Return the peers' rows of a table as they stand in the section already."""
    lines = written.get(title, "").splitlines()
    kept = {}
    for run in runs:
        start = _row_start(run)
        found = [line for line in lines if line.startswith(start)]
        if run.kill_after is not None:
            if not found:
                sys.exit(f"--keep-peers: no row {start!r} stands in {RESULTS.name}; measure it")
            row = found[0].removesuffix(" |").removesuffix(f"; {EARLIER}")
            kept[start] = f"{row}; {EARLIER} |"
    return kept


def _row_start(run: Run) -> str:
    return f"| {run.instance.label} | {run.label} |"


def _first_solve(folder: Path) -> tuple[float, float]:
    """Return the seconds of a tiny solve with nothing compiled yet, and of a later one."""
    instance = Instance("tiny", (2_000, 10), 100)
    settings = {"method": "exact", "time_limit": TINY_LIMIT, "gap_tol": 0.0}
    run = Run(instance, "", "solve", {**settings, "options": {"node_limit": 0}})
    pool = pool_folder(instance, folder)
    first = _in_child(run, pool, {"NUMBA_CACHE_DIR": str(folder / "numba")})["seconds"]
    _in_child(run, pool)
    return first, _in_child(run, pool)["seconds"]


def _table(runs: Sequence[Run], note: str, folder: Path, kept: Mapping[str, str]) -> str:
    """Measure rows, all but those that are kept, and return them as Markdown."""
    measured, missing = [], []
    for run in runs:
        if _row_start(run) in kept:
            continue
        pool = pool_folder(run.instance, folder)
        if pool is None:
            missing.append(run.instance.label)
            continue
        result = _measure(run, pool)
        measured.append((run, result))
        print(f"{run.instance.label}: {run.label}: {result}", file=sys.stderr)
    names = ("instance", "method", "seconds", "objective", "bound", "gap", "of top's way")
    lines = [
        f"| {' | '.join((*names, 'peak MB', 'remarks'))} |",
        "|---|---|" + "---:|" * 6 + "---|",
    ]
    rows = dict(kept)
    for run, result in measured:
        proven = [
            other["bound"]
            for its, other in measured
            if its.instance == run.instance and other.get("bound") is not None
        ]
        cells = _cells(run, result, max(proven, default=None))
        rows[_row_start(run)] = f"| {' | '.join(cells)} |"
    lines += [rows[_row_start(run)] for run in runs if _row_start(run) in rows]
    notes = [note] if note else []
    if missing:
        notes.append(f"Skipped, as LABELCUT_DATA does not hold it: {', '.join(missing)}.")
    return "\n\n".join(["\n".join(lines), *notes])


def _cells(run: Run, result: Mapping[str, Any], best_bound: float | None) -> list[str]:
    objective, own = result.get("objective"), result.get("bound")
    bound, mark = (best_bound, r" \*") if own is None else (own, "")
    gap = share = ""
    if objective is not None and bound is not None:
        gap = f"{max(objective - bound, 0.0) / abs(objective):.1e}{mark}"
        if result["top"] is not None:
            share = f"{(objective - bound) / (result['top'] - bound):.2%}{mark}"
    peak = result.get("peak")
    return [
        run.instance.label,
        run.label,
        f"{result['seconds']:.2f}" if result["seconds"] < 100 else f"{result['seconds']:.0f}",
        "no answer" if objective is None else f"{objective:.4f}",
        "" if own is None else f"{own:.4f}",
        gap,
        share,
        "" if peak is None else f"{peak / 1e6:.0f}",
        "; ".join(_remarks(run, result)),
    ]


def _remarks(run: Run, result: Mapping[str, Any]) -> list[str]:
    remarks = []
    target_gap = run.settings.get("target_gap")
    if target_gap is not None:
        reached = result["reached"]
        when = "not reached" if reached is None else f"after {reached:.2f} s"
        remarks.append(f"gap {target_gap:.0e} {when}")
    if run.instance in (CHEAP, UNREACHABLE):
        remarks.append(f"Ω sums to {result['wanted']:.0f}")
        remarks.append(f"{result['at_limit']:.0f} of {run.instance.pool[1]} multipliers at ±λ")
    if run.instance is MILLION:
        remarks.append(f"peak {result['peak'] / result['array']:.2f} × the array")
        remarks.append(f"validated and hashed in {result['reading']:.1f} s before")
    if "remark" in result:
        remarks.append(result["remark"])
    return remarks


def _measure(run: Run, pool: Path) -> dict[str, Any]:
    """Return the medians of several runs, or one run if it is long."""
    results = repeated(lambda: _in_child(run, pool))
    return {name: _median([result.get(name) for result in results]) for name in results[0]}


def _median(values: Sequence[Any]) -> Any:
    """Return the median; None counts as above all numbers, and what is no number is kept."""
    if any(isinstance(value, str) for value in values):
        return values[0]
    ascending = sorted(values, key=lambda value: math.inf if value is None else value)
    return ascending[len(values) // 2]


def _in_child(
    run: Run, pool: Path | None, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    request = {**asdict(run), "folder": str(pool)}
    start = time.perf_counter()
    try:
        return in_child(__file__, request, kill_after=run.kill_after, environment=environment)
    except subprocess.TimeoutExpired:
        return {"seconds": time.perf_counter() - start, "remark": "killed"}
    except subprocess.CalledProcessError as error:
        if run.runner == "solve":
            raise
        return {"seconds": time.perf_counter() - start, "remark": f"exit code {error.returncode}"}


def child(request: Mapping[str, Any]) -> dict[str, Any]:
    """Run one row's method in this process and return its figures."""
    start = time.perf_counter()
    problem = read_problem(Path(request["folder"]), Instance(**request["instance"]))
    assert problem.fingerprint
    read = time.perf_counter()
    found = RUNNERS[request["runner"]](problem, **request["settings"])
    seconds, peak = time.perf_counter() - read, peak_bytes()
    rows, workers = found.pop("rows"), found.pop("worker_peak", None)
    return {
        "seconds": seconds,
        "reading": read - start,
        "objective": None if rows is None else problem.evaluate(rows).objective,
        "top": problem.baseline(),
        "peak": None if peak is None else peak + (workers or 0),
        "array": (Path(request["folder"]) / "probs.npy").stat().st_size,
        "wanted": float(problem.target.sum()),
        **found,
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(json.dumps(child(json.loads(sys.argv[2]))), flush=True)
    else:
        main()
