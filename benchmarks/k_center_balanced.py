"""Class-balanced coresets: what greedy selection, swaps and branch and bound make of one objective.

python benchmarks/k_center_balanced.py [--limit 30]
"""

import argparse
import json
import statistics
import sys
import time
from typing import Any

import numpy as np
from _results import REPEATS, SHORT, in_child, repeated, write_section

import labelcut

TITLE, SCRIPT = "k-center: class-balanced", "benchmarks/k_center_balanced.py"
METHODS = ("greedy", "greedy-l2", "improve", "exact")
WEIGHTS = (0.1, 0.3, 1.0)
LABELED, BUDGET = 100, 50
SIZE, WIDTH, CLASSES, LARGE_BUDGET = 20_000, 128, 10, 200
INTRO = """\
Radius + λ (imbalance + doubt), with `target` b / C of each class. *digits*: the pixels of
scikit-learn's, {labeled} labeled rows drawn at random, which are centers too, and a logistic
regression's probabilities from these; b = {budget}. *mixture*: {size:,} × {width} float32 of
{classes} Gaussians, probabilities from their first 16 coordinates; b = {large}. *shares* and
*chances* are what `labels` says. `greedy` is the thesis's algorithm 2, `greedy-l2` the same steered
by ℓ2. `improve` and `exact` have {limit:.0f} s, `improve` on the mixture twice that. Each row is
measured in a fresh process, the median seconds of {repeats} runs, or one run where it takes more
than {short:.0f} s. *of greedy's* is the objective by that of `greedy`; *gap* that to the best bound
of any method."""
COLUMNS = (
    *("pool", "λ", "labels", "method", "objective", "of greedy's", "radius", "imbalance"),
    *("doubt", "gap", "seconds"),
)


def pool(name: str) -> tuple[Any, Any, dict[str, Any]]:
    """Return points, probabilities, and the other arguments of the problem."""
    rng = np.random.default_rng(0)
    if name == "digits":
        from sklearn.datasets import load_digits
        from sklearn.linear_model import LogisticRegression

        points, truth = load_digits(return_X_y=True)
        labeled = rng.choice(len(points), LABELED, replace=False)
        model = LogisticRegression(max_iter=1000).fit(points[labeled] / 16, truth[labeled])
        probs = model.predict_proba(points / 16)
        return points / 16, probs, {"budget": BUDGET, "labeled": labeled}
    means = 1.5 * rng.normal(size=(CLASSES, WIDTH))
    of = rng.integers(0, CLASSES, SIZE)
    spread = rng.uniform(0.3, 1.2, size=(SIZE, 1))
    points = (means[of] + spread * rng.normal(size=(SIZE, WIDTH))).astype(np.float32)
    away = ((points[:, None, :16] - means[None, :, :16]) ** 2).sum(axis=-1) / 2
    probs = np.exp(away.min(axis=1, keepdims=True) - away)
    return points, probs / probs.sum(axis=1, keepdims=True), {"budget": LARGE_BUDGET}


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Solve one problem by one method."""
    points, probs, more = pool(request["pool"])
    target = np.full(probs.shape[1], more["budget"] / probs.shape[1])
    stated = {"balance": request["balance"], "labels": request["labels"], "target": target}
    problem = labelcut.KCenter(points, probs=probs, **stated, **more)
    begun = time.perf_counter()
    solution = labelcut.solve(problem, request["method"], time_limit=request["limit"])
    seconds = time.perf_counter() - begun
    labelcut.check(problem, solution)
    found = {"objective": solution.objective, "bound": solution.bound, "seconds": seconds}
    return {**found, **solution.terms}


def rows(name: str, balance: float, labels: str, limit: float) -> list[str]:
    """Return the rows of one problem, one a method."""
    runs: dict[str, dict[str, Any]] = {}
    for method in METHODS[: 4 if name == "digits" else 3]:
        told = {"pool": name, "balance": balance, "labels": labels, "method": method}
        told["limit"] = limit if name == "digits" else 2 * limit
        found = repeated(lambda told=told: in_child(__file__, told))
        seconds = statistics.median(run["seconds"] for run in found)
        runs[method] = {**found[0], "seconds": seconds}
    bound = max(run["bound"] for run in runs.values())
    lines = []
    for method, run in runs.items():
        cells = [name, f"{balance:g}", labels, f"`{method}`", f"{run['objective']:.3f}"]
        cells += [f"{run['objective'] / runs['greedy']['objective']:.2f}", f"{run['radius']:.3f}"]
        cells += [f"{run['imbalance']:.3f}", f"{run['doubt']:.2f}" if "doubt" in run else ""]
        cells += [f"{(run['objective'] - bound) / run['objective']:.1%}", f"{run['seconds']:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], file=sys.stderr)
    return lines


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=30.0, help="seconds for each solve")
    limit = parser.parse_args().limit
    wide = "|".join("---" if name in ("pool", "labels", "method") else "---:" for name in COLUMNS)
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{wide}|"]
    for name, weights in (("digits", WEIGHTS), ("mixture", WEIGHTS[1:2])):
        for balance in weights:
            for labels in ("shares", "chances"):
                lines += rows(name, balance, labels, limit)
    told = {"labeled": LABELED, "budget": BUDGET, "size": SIZE, "width": WIDTH, "limit": limit}
    told |= {"classes": CLASSES, "large": LARGE_BUDGET, "repeats": REPEATS, "short": SHORT}
    write_section(TITLE, SCRIPT, INTRO.format(**told) + "\n\n" + "\n".join(lines))


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(json.dumps(measure(json.loads(sys.argv[2]))))
    else:
        main()
