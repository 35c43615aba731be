"""k-center coresets: farthest-first beside other ways to do it.

python benchmarks/k_center.py [--only INSTANCE | --only constraints]
"""

import argparse
import json
import math
import os
import statistics
import sys
import time
import tracemalloc
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from _results import REPEATS, SHORT, in_child, repeated, write_section

import labelcut

if TYPE_CHECKING:
    from collections.abc import Callable

TITLE, SCRIPT = "k-center: greedy", "benchmarks/k_center.py"
FEW = 40
"""Picks of the slow way that stand for all of them."""

INTRO = """\
Each row is measured in a fresh process, the median of {repeats} runs, or one run where it takes
more than {short:.0f} s. *seconds* are those of the whole call, with reading and validating the
points and importing libraries left out; for `greedy` they include the radius in float64, the bound
and the curve. *times ours* is their ratio. *same picks* counts the picks that equal ours in place.
*extra MB* is the largest memory that NumPy held beyond the points during the call.

- `greedy`: `solve(problem, "greedy")`.
- one product a pick: plain farthest-first, one float32 matrix-vector product with cached norms for
  each pick, in place; it says nothing of its radius beyond float32, and has no bound.
- pairwise distances: scikit-learn's `pairwise_distances` of all rows to each new center, as in
  google/active-learning; the median of the first {few} picks, taken b times.
- lightly-mundig and scikit-activeml: their diversity and `CoreSet` selections. mundig looks for
  other rows; scikit-activeml breaks ties at random, and keeps b × N utilities.

*noise* is isotropic Gaussian; *mixture* 200 Gaussians of unlike sizes, widths and a falling
spectrum; *features* the mixture through a random layer of rectified units."""

WITHIN = "k-center: with constraints"
WITHIN_INTRO = """\
{size:,} × {dimension} float32 in {clips} clips of {length} frames: each walks from one of 60 places
to another, with noise of its own. b = {budget}. *clips*: no two frames within 3 of each other and
at most 12 of a clip (`Spacing`, `GroupLimit`). *costs*: beside that, the half of the frames that is
farther from the mean costs 3 a frame and the other half 1, and 1.2 b may be spent (`Cost`). Each
row is measured in a fresh process, `greedy` and `random` as the median of {repeats} runs; `exact`
has {limit} s. *gap* is that to its own bound. The load average of the machine was {load:.1f} at the
end: where that exceeds its cores, other programs took their share of the seconds."""
CLIPS, LENGTH, DIMENSION, BUDGET, LIMIT = 400, 50, 256, 200, 60


@dataclass(frozen=True)
class Instance:
    """Points to choose from: rows, columns, budget, labeled rows."""

    name: str
    kind: str
    size: int
    dimension: int
    budget: int
    labeled: int = 0
    runners: tuple[str, ...] = ("greedy", "products", "pairwise")


PEERS = ("greedy", "products", "pairwise", "mundig", "activeml")
INSTANCES = (
    Instance("mixture", "mixture", 100_000, 512, 1_000),
    Instance("features", "features", 100_000, 512, 1_000, runners=("greedy", "products")),
    Instance("noise", "noise", 100_000, 512, 1_000, runners=("greedy", "products")),
    Instance("wide", "mixture", 50_000, 2_048, 500),
    Instance("wide-features", "features", 50_000, 2_048, 1_000, runners=("greedy", "products")),
    Instance("labeled", "mixture", 50_000, 512, 1_000, labeled=5_000),
    Instance("peers", "mixture", 20_000, 256, 500, runners=PEERS),
)
NAMES = {
    "greedy": "`greedy`",
    "products": "one product a pick",
    "pairwise": "pairwise distances",
    "mundig": "lightly-mundig",
    "activeml": "scikit-activeml",
}


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [instance.name for instance in INSTANCES]
    parser.add_argument("--only", choices=[*names, "constraints"])
    only = parser.parse_args().only
    if only in (None, "constraints"):
        _write_within()
    if only == "constraints":
        return
    lines = [
        "| points | N × d | b | labeled | method | seconds | times ours | same picks | radius "
        "| bound | extra MB |",
        "|---|---|---:|---:|---|" + "---:|" * 6,
    ]
    for instance in INSTANCES:
        if only in (None, instance.name):
            lines += _rows(instance)
    text = "\n".join(lines)
    if only:
        print(text)
        return
    intro = INTRO.format(repeats=REPEATS, short=SHORT, few=FEW)
    write_section(TITLE, SCRIPT, f"{intro}\n\n{text}")


def _rows(instance: Instance) -> list[str]:
    lines: list[str] = []
    with TemporaryDirectory() as folder:
        np.save(Path(folder) / "points.npy", _points(instance))
        ours: dict[str, Any] = {}
        for runner in instance.runners:
            request = {**asdict(instance), "runner": runner, "folder": folder}
            # Of the slow way only some picks are measured, which never takes long.
            short = math.inf if runner == "pairwise" else SHORT
            results = repeated(lambda request=request: in_child(__file__, request), short)
            seconds = statistics.median(result["seconds"] for result in results)
            found = results[0]
            if runner == "greedy":
                found |= in_child(__file__, {**request, "runner": "traced"})
                ours = {**found, "seconds": seconds}
            lines.append(_line(instance, runner, seconds, found, ours))
            print(lines[-1], file=sys.stderr)
    return lines


def _line(
    instance: Instance, runner: str, seconds: float, found: dict[str, Any], ours: dict[str, Any]
) -> str:
    same = sum(a == b for a, b in zip(found["order"], ours["order"], strict=False))
    cells = (
        instance.kind,
        f"{instance.size:,} × {instance.dimension:,}",
        f"{instance.budget:,}",
        f"{instance.labeled:,}",
        NAMES[runner],
        f"{seconds:.2f}",
        f"{seconds / ours['seconds']:.1f}",
        f"{same} of {len(found['order'])}",
        *(f"{found[key]:.4f}" if key in found else "" for key in ("radius", "bound")),
        f"{found['extra']:.0f} ({found['share']:.0%})" if "extra" in found else "",
    )
    return f"| {' | '.join(cells)} |"


def _write_within() -> None:
    """Measure methods with and without constraints, and write the section."""
    lines = [
        "| constraints | method | seconds | radius | bound | gap | proof |",
        "|---|---|" + "---:|" * 4 + "---|",
    ]
    for rules in ("none", "clips", "costs"):
        for method in ("greedy", "exact", "random"):
            request = {"rules": rules, "method": method}
            results = repeated(lambda request=request: in_child(__file__, request))
            seconds = statistics.median(result["seconds"] for result in results)
            found = results[0]
            proven = found["bound"] is not None
            cells = (
                rules,
                f"`{method}`",
                f"{seconds:.2f}",
                f"{found['radius']:.4f}",
                f"{found['bound']:.4f}" if proven else "",
                f"{found['gap']:.2%}" if proven else "",
                found["proof"],
            )
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], file=sys.stderr)
    intro = WITHIN_INTRO.format(
        size=CLIPS * LENGTH,
        dimension=DIMENSION,
        clips=CLIPS,
        length=LENGTH,
        budget=BUDGET,
        repeats=REPEATS,
        limit=LIMIT,
        load=os.getloadavg()[0],
    )
    write_section(WITHIN, SCRIPT, intro + "\n\n" + "\n".join(lines))


def _child_within(request: dict[str, Any]) -> dict[str, Any]:
    """Run one method within constraints in this process and return its figures."""
    points = _clips()
    clip, frame = np.repeat(np.arange(CLIPS), LENGTH), np.tile(np.arange(LENGTH), CLIPS)
    rules: list[Any] = []
    if request["rules"] != "none":
        rules = [labelcut.Spacing(clip, frame, 3), labelcut.GroupLimit(clip, at_most=12)]
    if request["rules"] == "costs":
        away = np.linalg.norm(points - points.mean(axis=0), axis=1)
        costs = np.where(away > np.median(away), 3.0, 1.0)
        rules.append(labelcut.Cost(costs, 1.2 * BUDGET))
    problem = labelcut.KCenter(points, BUDGET, constraints=rules)
    assert problem.fingerprint
    few = [rule for rule in rules if isinstance(rule, labelcut.Cost)]
    few = [labelcut.Cost(rule.costs[:200], 30.0) for rule in few]
    small = labelcut.KCenter(
        points[:200],
        10,
        constraints=[*few, labelcut.GroupLimit(clip[:200], at_most=5)] if rules else [],
    )
    labelcut.solve(small, request["method"], time_limit=30)  # imports and compiles
    start = time.perf_counter()
    solution = labelcut.solve(problem, request["method"], time_limit=LIMIT)
    seconds = time.perf_counter() - start
    problem.check(solution)
    proof = solution.certificate
    priced = proof is not None and "cover_prices" in proof.values
    return {
        "seconds": seconds,
        "radius": solution.objective,
        "bound": solution.bound,
        "gap": solution.gap,
        "proof": "" if proof is None else f"{proof.kind}{', with prices' if priced else ''}",
    }


def _clips() -> Any:
    """Return points ``(N, d)`` in float32 along clips."""
    rng = np.random.default_rng(0)
    spectrum = (1.0 + np.arange(DIMENSION)) ** -0.5
    middles = 3.0 * rng.standard_normal((60, DIMENSION))
    share = np.linspace(0.0, 1.0, LENGTH)[:, None]
    points = np.empty((CLIPS * LENGTH, DIMENSION), dtype=np.float32)
    for clip in range(CLIPS):
        first, last = middles[rng.integers(60, size=2)]
        steps = rng.standard_normal((LENGTH, DIMENSION)) * 0.15 * rng.uniform(0.3, 2.0)
        noise = 0.3 * rng.standard_normal((LENGTH, DIMENSION))
        walk = (1.0 - share) * first + share * last + np.cumsum(steps, axis=0) + noise
        points[clip * LENGTH : (clip + 1) * LENGTH] = walk * spectrum
    return points


def child(request: dict[str, Any]) -> dict[str, Any]:
    """Run one method in this process and return its figures."""
    if "rules" in request:
        return _child_within(request)
    points = np.load(Path(request["folder"]) / "points.npy")
    problem = labelcut.KCenter(
        points, request["budget"], labeled=np.arange(request["labeled"], dtype=np.int64)
    )
    assert problem.fingerprint
    run: Callable[..., dict[str, Any]] = RUNNERS[request["runner"]]
    # Imports, which take a quarter of a second to several, are not what is compared.
    few = points[:200]
    run(labelcut.KCenter(few, 10), few)
    start = time.perf_counter()
    found = run(problem, points)
    found.setdefault("seconds", time.perf_counter() - start)
    if "rows" in found:
        rows = found.pop("rows")
        found |= {"order": rows, "radius": problem.evaluate(np.array(rows)).terms["radius"]}
    return found


def _greedy(problem: labelcut.KCenter, points: Any) -> dict[str, Any]:
    solution = labelcut.solve(problem, "greedy", time_limit=600)
    assert solution.order is not None
    return {
        "order": solution.order.tolist(),
        "radius": solution.objective,
        "bound": solution.bound,
    }


def _traced(problem: labelcut.KCenter, points: Any) -> dict[str, Any]:
    tracemalloc.start()
    labelcut.solve(problem, "greedy", time_limit=600)
    extra = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"extra": extra / 2**20, "share": extra / points.nbytes}


def _products(problem: labelcut.KCenter, points: Any) -> dict[str, Any]:
    norms = np.einsum("ij,ij->i", points, points)
    rows, away = [], np.full(len(points), np.inf, dtype=np.float32)
    if len(problem.labeled):
        for first in range(0, len(points), 4096):
            block = slice(first, first + 4096)
            products = points[block] @ points[problem.labeled].T
            products *= -2.0
            products += norms[problem.labeled]
            away[block] = products.min(axis=1) + norms[block]
    row = int(away.argmax()) if len(problem.labeled) else problem.space.start()
    products = np.empty(len(points), dtype=np.float32)
    while True:
        rows.append(row)
        if len(rows) == problem.budget:
            return {"rows": rows}
        np.matmul(points, points[row], out=products)
        products *= -2.0
        products += norms
        products += norms[row]
        np.minimum(away, products, out=away)
        row = int(away.argmax())


def _pairwise(problem: labelcut.KCenter, points: Any) -> dict[str, Any]:
    from sklearn.metrics import pairwise_distances

    row = int(problem.labeled[0]) if len(problem.labeled) else problem.space.start()
    away, rows = np.full(len(points), np.inf), []
    laps = []
    for _ in range(FEW):
        start = time.perf_counter()
        rows.append(row)
        away = np.minimum(away, pairwise_distances(points, points[[row]])[:, 0])
        row = int(away.argmax())
        laps.append(time.perf_counter() - start)
    seconds = statistics.median(laps) * problem.budget
    return {"order": [] if len(problem.labeled) else rows, "seconds": seconds}


def _mundig(problem: labelcut.KCenter, points: Any) -> dict[str, Any]:
    import lightly_mundig

    selection = lightly_mundig.Selection()
    selection.add_diversifying_strategy(points, 1.0)
    return {"rows": list(selection.run_selection([], len(points), problem.budget))}


def _activeml(problem: labelcut.KCenter, points: Any) -> dict[str, Any]:
    from skactiveml.pool import CoreSet

    labels = np.full(len(points), np.nan)
    labels[problem.space.start()] = 0
    rows = CoreSet(random_state=0).query(points, labels, batch_size=problem.budget - 1)
    return {"rows": [problem.space.start(), *(int(row) for row in rows)]}


RUNNERS = {
    "greedy": _greedy,
    "traced": _traced,
    "products": _products,
    "pairwise": _pairwise,
    "mundig": _mundig,
    "activeml": _activeml,
}


def _points(instance: Instance) -> Any:
    """Return points ``(N, d)`` in float32."""
    rng = np.random.default_rng(0)
    size, dimension = instance.size, instance.dimension
    if instance.kind == "noise":
        return rng.standard_normal((size, dimension), dtype=np.float32)
    spectrum = (1.0 + np.arange(dimension, dtype=np.float32)) ** -0.5
    middles = 3.0 * rng.standard_normal((200, dimension), dtype=np.float32)
    widths = rng.uniform(0.3, 2.0, 200).astype(np.float32)
    which = rng.choice(200, size, p=rng.dirichlet(np.ones(200)))
    layer = rng.standard_normal((dimension, dimension), dtype=np.float32)
    points = np.empty((size, dimension), dtype=np.float32)
    for first in range(0, size, 10_000):
        here = which[first : first + 10_000]
        noise = rng.standard_normal((len(here), dimension), dtype=np.float32)
        block = (middles[here] + widths[here, None] * noise) * spectrum
        features = instance.kind == "features"
        points[first : first + 10_000] = np.maximum(block @ layer, 0.0) if features else block
    return points


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(json.dumps(child(json.loads(sys.argv[2]))), flush=True)
    else:
        main()
