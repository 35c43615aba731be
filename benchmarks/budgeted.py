"""Budgeted selection under spacing, limits and costs: exact beside HiGHS and greedy.

python benchmarks/budgeted.py [--only INSTANCE] [--ours]

With ``--ours`` the rows of HiGHS stay as they stand, with a remark.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _results import EARLIER, REPEATS, RESULTS, SHORT, in_child, repeated, write_section

import labelcut
from labelcut.solvers._mip import MipStatus, solve_model
from labelcut.solvers._mip_model import LinearModel

TITLE, SCRIPT = "Budgeted selection", "benchmarks/budgeted.py"
LIMIT = 120.0
"""Seconds that HiGHS gets."""

INTRO = """\
Each row is measured in a fresh process, the median of {repeats} runs, or one run where it takes
more than {short:.0f} s. *problem* is the time to construct and validate the problem, *seconds* that
of the first solve in the process, with the imports of its libraries, the loading of compiled loops
where it needs them (compiled before anything is measured) and the proof; *cpu* the processor
seconds in it, those of HiGHS too; *again* and *cpu again* those of a second solve of the same
problem. *loss* is what the
objective lacks to the best bound proven in the same table, as a share of that bound; *gap* that to
its own bound. *peak MB* is the peak resident memory of the process, and of the HiGHS process that
it starts.

- windows: HiGHS on the linear rows of the constraints, one row for each largest window of rows that
  exclude each other; one thread, killed after {limit:.0f} s.
- pairwise: the same with z_i + z_j ≤ 1 for each two rows that exclude each other.

*video* has {video:,} frames in 795 videos of 5 to 1,500 frames (the size of ImageNet-VID), more
than 3 frames apart, at most 12 of a video, budget 2,580; the utility is a smoothed random walk.
*counts* is the same with whole numbers from 0 to 9, full of ties. *million* has 5,000 videos,
spacing 10, at most 12 of a video, budget 20,000; *one long video* is a single sequence. *knapsack*
has 100,000 frames in 1,000 videos, spacing 3, at most 12 of a video, at least 800 frames at night
(a tenth of all), budget 5,000, and costs of 1 to 8 for each frame that may sum to 12,000. *first
ever* is `exact` on a hundred frames with nothing compiled yet."""


@dataclass(frozen=True)
class Instance:
    """Frames to choose from."""

    name: str
    size: int
    videos: int
    spacing: int
    budget: int
    most: int | None = 12
    counts: bool = False
    knapsack: bool = False
    runners: tuple[str, ...] = ("exact", "greedy", "random")


INSTANCES = (
    Instance(
        "video",
        129_000,
        795,
        3,
        2_580,
        runners=("exact", "windows", "pairwise", "greedy", "random"),
    ),
    Instance("counts", 129_000, 795, 3, 2_580, counts=True),
    Instance("million", 1_000_000, 5_000, 10, 20_000),
    Instance("one long video", 1_000_000, 1, 10, 20_000, most=None),
    Instance(
        "knapsack",
        100_000,
        1_000,
        3,
        5_000,
        knapsack=True,
        runners=("exact", "windows", "greedy", "random"),
    ),
)
NAMES = {
    "exact": "`exact`",
    "greedy": "`greedy`",
    "random": "`random`",
    "windows": f"HiGHS, windows, {LIMIT:.0f} s",
    "pairwise": f"HiGHS, pairwise, {LIMIT:.0f} s",
}


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[instance.name for instance in INSTANCES])
    parser.add_argument("--ours", action="store_true")
    options = parser.parse_args()
    only = options.only
    lines = [
        "| instance | N | b | method | problem | seconds | cpu | again | cpu again | objective "
        "| bound | gap | loss | peak MB | status |",
        "|---|---:|---:|---|" + "---:|" * 10 + "---|",
    ]
    before = os.getloadavg()[0]
    small = asdict(Instance("small", 100, 1, 1, 10, most=None, runners=()))
    with TemporaryDirectory() as folder:
        environment = {"NUMBA_CACHE_DIR": folder}
        first = in_child(__file__, {**small, "runner": "exact"}, environment=environment)
    in_child(__file__, {**small, "runner": "compile"})
    for instance in INSTANCES:
        if only in (None, instance.name):
            lines += _rows(instance, options.ours)
    load = os.getloadavg()[0]
    ever = (
        f"*first ever*: {first['seconds']:.1f} s, {first['cpu']:.1f} of the processor. The load "
        f"average of the machine was {before:.1f} before and {load:.1f} at the end: *seconds* "
        "contain what other programs took of it, *cpu* does not."
    )
    text = "\n".join(lines)
    if only:
        print(text, ever)
        return
    intro = INTRO.format(repeats=REPEATS, short=SHORT, limit=LIMIT, video=INSTANCES[0].size)
    write_section(TITLE, SCRIPT, f"{intro}\n\n{text}\n\n{ever}")


def _rows(instance: Instance, ours: bool) -> list[str]:
    found, kept = [], {}
    for runner in instance.runners:
        if ours and runner in RUNNERS:
            kept[runner] = _earlier(instance, runner)
            continue
        request = {**asdict(instance), "runner": runner}
        results = repeated(lambda request=request: in_child(__file__, request))
        medians = {
            key: statistics.median(result[key] for result in results)
            for key in ("problem", "seconds", "cpu", "again", "cpu again")
            if results[0][key] is not None
        }
        found.append({**results[0], **medians, "runner": runner})
        print(instance.name, runner, found[-1], file=sys.stderr)
    best = min(result["bound"] for result in found if result["bound"] is not None)
    lines = {result["runner"]: _line(instance, result, best) for result in found}
    return [{**lines, **kept}[runner] for runner in instance.runners]


def _earlier(instance: Instance, runner: str) -> str:
    """Return the row that stands in the results, with a remark."""
    for line in RESULTS.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == instance.name and NAMES[runner] in cells:
            return line if EARLIER in line else f"{line.removesuffix(' |')}; {EARLIER} |"
    raise SystemExit(f"{RESULTS.name}: no row of {instance.name}, {NAMES[runner]}; measure it")


def _line(instance: Instance, result: dict[str, Any], best: float) -> str:
    objective, bound, again = result["objective"], result["bound"], result["again"]
    has = objective is not None
    cells = (
        instance.name,
        f"{instance.size:,}",
        f"{instance.budget:,}",
        NAMES[result["runner"]],
        f"{result['problem']:.2f}",
        f"{result['seconds']:.2f}",
        f"{result['cpu']:.2f}",
        "" if again is None else f"{again:.2f}",
        "" if again is None else f"{result['cpu again']:.2f}",
        f"{objective:.6f}" if has else "no answer",
        "" if bound is None else f"{bound:.6f}",
        f"{max(bound - objective, 0) / abs(objective):.1e}" if has and bound is not None else "",
        f"{max(best - objective, 0) / abs(best):.2%}" if has else "",
        f"{result['peak']:.0f}",
        result["status"],
    )
    return f"| {' | '.join(cells)} |"


def child(request: dict[str, Any]) -> dict[str, Any]:
    """Run one method in this process and return its figures."""
    runner = request.pop("runner")
    if runner == "compile":
        from labelcut.solvers.budgeted import _kernels

        _kernels.compile_for()
        return {}
    instance = Instance(**request)
    utility, rules = _frames(instance)
    start = time.perf_counter()
    problem = labelcut.BudgetedSelection(utility, instance.budget, constraints=rules)
    constructed = time.perf_counter() - start
    run: Callable[[labelcut.BudgetedSelection, str], dict[str, Any]] = RUNNERS.get(runner, _ours)
    found, seconds, cpu = _timed(lambda: run(problem, runner))
    again: tuple[Any, Any] = (None, None)
    if run is _ours:
        again = _timed(lambda: run(problem, runner))[1:]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + (found.pop("child") or 0)
    return {
        "problem": constructed,
        "seconds": seconds,
        "cpu": cpu,
        "again": again[0],
        "cpu again": again[1],
        "peak": peak / 2**20,
        **found,
    }


def _timed(run: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], float, float]:
    """Return what a function returns, and its seconds by the wall and of the processor."""
    start, cpu = time.perf_counter(), _cpu()
    found = run()
    return found, time.perf_counter() - start, _cpu() - cpu


def _cpu() -> float:
    """Return the CPU seconds of this process and of those that it started and that ended."""
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, both))


def _ours(problem: labelcut.BudgetedSelection, method: str) -> dict[str, Any]:
    solution = labelcut.solve(problem, method, time_limit=60)
    return {
        "objective": solution.objective,
        "bound": solution.bound,
        "status": str(solution.status),
        "child": solution.info.get("worker_peak_bytes"),
    }


def _highs(problem: labelcut.BudgetedSelection, formulation: str) -> dict[str, Any]:
    from scipy import sparse

    size = problem.dataset.size
    blocks, limits = [], []
    for rule in problem.constraints:
        linear = rule.linear(problem.dataset)
        if isinstance(rule, labelcut.Spacing) and formulation == "pairwise":
            pairs = _pairs(rule, size)
            blocks.append(pairs)
            limits.append(np.ones(pairs.shape[0]))
        elif len(linear.limits):
            blocks.append(linear.matrix)
            limits.append(linear.limits)
    upper = np.concatenate([*limits, [float(problem.budget or 0)]])
    lower = np.full(len(upper), -np.inf)
    lower[-1] = upper[-1]
    model = LinearModel(
        cost=-problem.utility,
        matrix=sparse.csr_array(sparse.vstack([*blocks, np.ones((1, size))], format="csr")),
        row_lower=lower,
        row_upper=upper,
        lower=np.zeros(size),
        upper=np.ones(size),
        integer=np.ones(size, dtype=bool),
    )
    result = solve_model(model, time_limit=LIMIT, options={"mip_rel_gap": 1e-4})
    objective = None
    if result.values is not None:
        objective = problem.evaluate(np.flatnonzero(result.values > 0.5)).objective
    return {
        "objective": objective,
        "bound": None if result.bound is None else -result.bound,
        "status": "gap 1e-4" if result.status is MipStatus.OPTIMAL else result.status.value,
        "child": result.peak_bytes,
    }


def _pairs(spacing: labelcut.Spacing, size: int) -> Any:
    from scipy import sparse

    line = spacing.timeline
    ahead = line.last - np.arange(len(line.rows))
    one = np.repeat(np.arange(len(ahead)), ahead)
    other = one + 1 + np.arange(len(one)) - np.repeat(np.cumsum(ahead) - ahead, ahead)
    rows = np.repeat(np.arange(len(one)), 2)
    columns = np.column_stack([line.rows[one], line.rows[other]]).ravel()
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(one), size))


RUNNERS: dict[str, Callable[[labelcut.BudgetedSelection, str], dict[str, Any]]] = {
    "windows": _highs,
    "pairwise": _highs,
}


def _frames(instance: Instance) -> tuple[Any, list[Any]]:
    """Return utilities ``(N,)`` and constraints."""
    rng = np.random.default_rng(0)
    size, videos = instance.size, instance.videos
    shares = rng.lognormal(0.0, 1.0, videos)
    lengths = np.clip((shares / shares.sum() * size).astype(int), 5, 1_500 if videos > 1 else size)
    while lengths.sum() < size:
        longer = rng.integers(videos, size=size - lengths.sum())
        np.add.at(lengths, longer[lengths[longer] < 1_400], 1)
    video = np.repeat(np.arange(videos), lengths)[:size]
    frame = np.arange(size) - np.searchsorted(video, video)
    walk = np.convolve(rng.normal(size=size), np.ones(20) / np.sqrt(20), "same")
    utility = np.abs(walk + 0.3 * rng.normal(size=size))
    if instance.counts:
        utility = np.minimum(np.floor(3 * utility), 9.0)
    rules: list[Any] = [labelcut.Spacing(video, frame, instance.spacing)]
    if instance.most is not None:
        rules.append(labelcut.GroupLimit(video, at_most=instance.most))
    if instance.knapsack:
        night = rng.random(size) < 0.1
        rules.append(labelcut.GroupLimit(night.astype(int), at_least={1: 800}))
        rules.append(labelcut.Cost(rng.integers(1, 9, size), 12_000))
    return utility, rules


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(json.dumps(child(json.loads(sys.argv[2]))), flush=True)
    else:
        main()
