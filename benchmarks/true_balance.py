"""True balance: what labels come back when the program balances predictions, corrected or not.

python benchmarks/true_balance.py [--only NAME] [--seeds 10]
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _pool_draws import Draw, digits_draws, network, regression, softmax_draws
from _results import asked, in_child, repeated, write_tables

from labelcut import (
    BudgetedSelection,
    ClassBalanced,
    ExpectedCount,
    correct_priors,
    entropy,
    l1_score,
    predicted_l1,
    solve,
)
from labelcut.problems.synthetic import long_tailed_pool
from labelcut.solvers._mip_worker import peak_bytes

TITLE, SCRIPT = "True balance", "benchmarks/true_balance.py"
PICTURE = Path(__file__).with_name("true_balance.png")
DIGITS, MANY = (40, 100), 400
FEW = 20
"""Labels for which only the regression is tried: its accuracy falls below 80 %."""
DIGITS_BUDGET = 50
LAMBDAS = (0.0, 0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.8, 1.0, 2.0, 4.0, 8.0)

INTRO = """\
Real predictions, pools thinned to 10 % in a random half of their classes, entropy of the
predictions as utility, λ = 1 where nothing else is said, Ω = b/C for each class. *L1 true* is the
score of the labels that come back (0 balanced, 1 all in one class), *L1 predicted* the same of
the probabilities that the program was given; *utility* is the entropy of the choice as predicted,
whatever the program was given, also as a share of the paper's program's. Mean ± standard deviation
of {seeds} seeds, each with labeled rows and a pool of its own. All programs are solved by `exact`
({limit:g} s each).

- the paper's program: P as predicted.
- corrected: the recipe that labelcut recommends. `correct_priors(P, trained_on,
  method="sharpened", held_out=..., held_out_classes=...)`: temperature scaling on the labeled rows'
  held-out predictions, then EM at the power that finds known mixes of these; and
  `ClassBalanced(..., balance=2, labels="chances")`.
- EM, shares: the default `method="em"`, with labels as shares, as the paper has them, at λ = 1.
- EM alone: the same without held-out rows, so without calibration.
- confusion matrix: as EM, shares, with `method="confusion"`; vector scaling: with
  `calibration="vector"`.

The recipe was chosen among about ten on these draws, and among four again on ten other draws of the
digits (the network: with 40 labels); CIFAR-10's draws are the very ones below."""
ORDER = (
    "CIFAR-10",
    "Frontier",
    "Digits, logistic regression",
    "Digits, convolutional network",
    "Digits, convolutional network, many labels",
    "20 Newsgroups",
    "Quotas with a stated probability",
    "Time of a correction",
)
LIMIT = 1.0
PAPER = "the paper's program"
RECIPE: Mapping[str, Any] = {"balance": 2.0, "labels": "chances"}
GOALS = {200: 0.14, 500: 0.11}
"""True L1 at which the programs of a frontier are compared, by budget."""
QUOTAS = ((200, 14), (500, 40))
"""Budgets, and how many labels of every class are asked for."""
QUOTA_LIMIT, QUOTA_GAP, SIMULATED = 60.0, 0.01, 2000


@dataclass(frozen=True)
class Outcome:
    """One choice on one draw."""

    predicted: float
    true: float
    utility: float


def outcomes(draw: Draw, budget: int, seed: int) -> dict[str, Outcome]:
    """Return what each program chooses on a draw."""
    classes = draw.probs.shape[1]
    utility = entropy(np.asarray(draw.probs, dtype=np.float64))
    held_out = {"held_out": draw.held_out, "held_out_classes": draw.held_out_classes}

    def problem(probs: Any, **how: Any) -> ClassBalanced:
        return ClassBalanced(
            probs, utility, budget, target=np.full(classes, budget / classes), **how
        )

    def outcome(stated: ClassBalanced, rows: Any = None) -> Outcome:
        chosen = solve(stated, "exact", time_limit=LIMIT).indices if rows is None else rows
        return Outcome(
            predicted_l1(stated.probs, chosen),
            l1_score(draw.truth[chosen], classes),
            float(utility[chosen].sum()),
        )

    def corrected(**how: Any) -> Any:
        return correct_priors(draw.probs, draw.trained_on, replicates=20, **how).probs

    paper = problem(draw.probs)
    rng = np.random.default_rng(seed)
    sharp = corrected(**held_out, method="sharpened")
    return {
        "random": outcome(paper, rng.choice(len(utility), budget, replace=False)),
        "top entropy": outcome(paper, np.argsort(-utility, kind="stable")[:budget]),
        PAPER: outcome(paper),
        "corrected": outcome(problem(sharp, **RECIPE)),
        "EM, shares": outcome(problem(corrected(**held_out))),
        "EM alone": outcome(problem(corrected())),
        "vector scaling": outcome(problem(corrected(**held_out, calibration="vector"))),
        "confusion matrix": outcome(problem(corrected(**held_out, method="confusion"))),
    }


def table(draws: Iterator[Draw], budgets: tuple[int, ...], lead: str = "") -> list[str]:
    """Return rows of a table, one a budget and program."""
    found: dict[tuple[int, str], list[Outcome]] = {}
    accuracies = []
    for seed, draw in enumerate(draws):
        accuracies.append(draw.accuracy)
        for budget in budgets:
            for name, outcome in outcomes(draw, budget, seed).items():
                found.setdefault((budget, name), []).append(outcome)
    lines = []
    accuracy = f"{np.mean(accuracies):.1%} ({min(accuracies):.0%} to {max(accuracies):.0%})"
    for (budget, name), results in found.items():
        paper = [outcome.utility for outcome in found[budget, PAPER]]
        utility = [outcome.utility for outcome in results]
        true = [outcome.true for outcome in results]
        lines.append(
            f"| {lead}{accuracy} | {budget} | {name} | "
            f"{np.mean([outcome.predicted for outcome in results]):.3f} | "
            f"{np.mean(true):.3f} ± {np.std(true):.3f} | {np.mean(utility):.1f} | "
            f"{np.mean(np.divide(utility, paper)):.0%} |"
        )
    return lines


HEAD = (
    "held-out accuracy | b | program | L1 predicted | L1 true | utility | of the paper's |\n"
    "|{0}---|---:|---|---:|---:|---:|---:|"
)


def frontier_picture(seeds: int) -> str:
    """Draw true L1 against utility over λ on CIFAR-10, for three programs."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    lines = ["| b | program | " + " | ".join(f"λ = {value:g}" for value in LAMBDAS) + " |"]
    lines.append("|---:|---|" + "---:|" * len(LAMBDAS))
    kept = ["| b | L1 true | " + " | ".join(CURVES) + " |", "|---:|---:|" + "---:|" * len(CURVES)]
    for axis, budget in zip(figure.subplots(1, 2), (200, 500), strict=True):
        runs = [curves(draw, budget) for draw in softmax_draws("cifar10", seeds)]
        found = {name: np.mean([run[name] for run in runs], axis=0) for name in CURVES}
        for marker, (name, mean) in zip("os^", found.items(), strict=True):
            axis.plot(mean[:, 0], mean[:, 1], f"{marker}-", fillstyle="none", label=name)
            cells = [f"{true:.3f}, {utility:.0f}" for true, utility in mean]
            lines.append(f"| {budget} | {name} | " + " | ".join(cells) + " |")
        axis.set(title=f"CIFAR-10, b = {budget}", xlabel="L1 of true labels", ylabel="utility")
        axis.grid(alpha=0.3)
        whole = found[PAPER][LAMBDAS.index(1.0), 1]
        shares = [share_at(found[name], GOALS[budget], whole) for name in CURVES]
        kept.append(f"| {budget} | {GOALS[budget]:g} | " + " | ".join(shares) + " |")
    figure.axes[0].legend(frameon=False)
    figure.savefig(PICTURE, dpi=110)
    return (
        f"![True L1 against utility over λ]({PICTURE.name})\n\nUpper left is better. L1 true and "
        "utility, means over the seeds, solved by `relaxed`:\n\n" + "\n".join(lines) + "\n\n"
        "Utility kept at one true L1, on the straight lines between these points, as a share of "
        "the paper's program's at λ = 1:\n\n" + "\n".join(kept)
    )


CURVES: Mapping[str, Mapping[str, Any]] = {
    PAPER: {},
    "EM, shares": {"method": "em"},
    "corrected": {"method": "sharpened"},
}


def share_at(curve: Any, goal: float, whole: float) -> str:
    """Return the most utility on a curve at a true L1 or below, or that it never comes there."""
    best = None
    for (true, utility), (other, less) in pairwise(curve):
        if min(true, other) <= goal:
            part = 0.0 if true <= goal else (true - goal) / (true - other)
            value = utility + part * (less - utility)
            best = value if best is None else max(best, value)
    return "never" if best is None else f"{best / whole:.0%}"


def curves(draw: Draw, budget: int) -> dict[str, list[tuple[float, float]]]:
    """Return true L1 and utility over λ for each program."""
    classes = draw.probs.shape[1]
    utility = entropy(np.asarray(draw.probs, dtype=np.float64))
    held_out = {"held_out": draw.held_out, "held_out_classes": draw.held_out_classes}

    def curve(name: str, how: Mapping[str, Any]) -> list[tuple[float, float]]:
        probs = draw.probs
        if how:
            probs = correct_priors(probs, draw.trained_on, replicates=20, **held_out, **how).probs
        labels = RECIPE["labels"] if name == "corrected" else "shares"
        target, points = np.full(classes, budget / classes), []
        for balance in LAMBDAS:
            problem = ClassBalanced(
                probs, utility, budget, target=target, balance=balance, labels=labels
            )
            chosen = solve(problem, "relaxed").indices
            points.append((l1_score(draw.truth[chosen], classes), float(utility[chosen].sum())))
        return points

    return {name: curve(name, how) for name, how in CURVES.items()}


def quota_table(seeds: int) -> str:
    """Measure how often quotas on every class are missed, by draws from P and by true labels."""
    found: dict[tuple[int, int, str, float], list[tuple[float, ...]]] = {}
    for seed, draw in enumerate(softmax_draws("cifar10", seeds)):
        utility = entropy(np.asarray(draw.probs, dtype=np.float64))
        classes = draw.probs.shape[1]
        held_out = {"held_out": draw.held_out, "held_out_classes": draw.held_out_classes}
        fixed = correct_priors(draw.probs, draw.trained_on, replicates=20, **held_out).probs
        for budget, least in QUOTAS:
            for name, probs, confidence in (
                ("as predicted", draw.probs, 0.9),
                ("corrected", fixed, 0.5),
                ("corrected", fixed, 0.9),
            ):
                quota = ExpectedCount(
                    probs, np.arange(classes), at_least=least, confidence=confidence
                )
                problem = BudgetedSelection(utility, budget, constraints=[quota])
                before = processor_seconds()
                answer = solve(problem, "exact", time_limit=QUOTA_LIMIT, gap_tol=QUOTA_GAP)
                busy, rows = processor_seconds() - before, answer.indices
                if not len(rows):
                    print(f"seed {seed}, b = {budget}, {name}, {confidence}: {answer.status}")
                    continue
                simulated = missed(problem, rows, least, np.random.default_rng(seed))
                true = np.bincount(draw.truth[rows], minlength=classes) < least
                case = (budget, least, name, confidence)
                result = (
                    simulated,
                    float(true.mean()),
                    float(utility[rows].sum()),
                    float(answer.gap or 0.0),
                    busy,
                )
                found.setdefault(case, []).append(result)
    lines = [
        "| b | at least, of each class | P | confidence | answers | missed in draws from P | "
        "missed by true labels | utility | gap, mean | largest | processor seconds | largest |",
        "|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (budget, least, name, confidence), results in found.items():
        simulated, true, useful, gap, busy = np.mean(results, axis=0)
        widest, longest = np.max(results, axis=0)[3:]
        lines.append(
            f"| {budget} | {least} | {name} | {confidence:g} | {len(results)} of {seeds} | "
            f"{simulated:.1%} | {true:.1%} | {useful:.1f} | {gap:.2%} | {widest:.2%} | "
            f"{busy:.1f} | {longest:.1f} |"
        )
    note = (
        f"CIFAR-10, {seeds} seeds, `ExpectedCount(P, every class, at_least=..., confidence=...)` "
        f"by `exact` with `gap_tol={QUOTA_GAP:g}` (within {QUOTA_LIMIT:g} s); processor seconds of "
        'all processes. *Corrected* is by `method="em"` here. A quota is one class of one seed; '
        f"at confidence 0.9 at most 12 % are to be missed in {SIMULATED:,} draws of labels "
        "from P, the one that the quota was given."
    )
    return note + "\n\n" + "\n".join(lines)


def processor_seconds() -> float:
    """Return what this process has used, and those that it started and that have ended."""
    return sum(os.times()[:4])


def missed(problem: Any, rows: Any, least: int, rng: np.random.Generator) -> float:
    """Return the share of quotas that labels drawn from P miss."""
    (rule,) = problem.constraints
    sums = rule.columns[rows].cumsum(axis=1)
    sums[:, -1] = 1.0
    misses = []
    for _ in range(SIMULATED):
        labels = (rng.random((len(rows), 1)) > sums).sum(axis=1)
        misses.append(np.bincount(labels, minlength=sums.shape[1]) < least)
    return float(np.mean(misses))


def correction_times(folder: Path) -> str:
    """Time corrections of a made-up pool, each in a fresh process."""
    lines = [
        "| N × C | method | held-out rows | seconds | processor seconds | MB above the start |",
        "|---|---|---:|---:|---:|---:|",
    ]
    rows, classes = 1_000_000, 100
    path = folder / "probs.npy"
    long_tailed_pool(rows, classes, path=path)
    for method, held_out in (("em", 0), ("em", 5000), ("confusion", 5000)):
        request = {"path": str(path), "method": method, "held_out": held_out}
        runs = repeated(
            lambda request=request: in_child(
                __file__, request, environment={"OMP_NUM_THREADS": "1"}
            )
        )
        seconds = np.median([run["seconds"] for run in runs])
        busy = np.median([run["processor"] for run in runs])
        peak = np.median([run["megabytes"] for run in runs])
        lines.append(
            f"| {rows:,} × {classes} | `{method}` | {held_out:,} | {seconds:.1f} | {busy:.1f} | "
            f"{peak:,.0f} |"
        )
    load = os.getloadavg()[0]
    note = (
        "float32, memory-mapped, 400 MB on disk; validation, calibration, 200 draws of the "
        "bootstrap and the 400 MB of the corrected array included; target 20 s. One thread, itself "
        f"a load of 1; that of the machine was {load:.1f} at the end."
    )
    return "\n".join(lines) + "\n\n" + note


def child(request: Mapping[str, Any]) -> None:
    """Correct once and print seconds and memory."""
    import json

    probs = np.load(request["path"], mmap_mode="r")
    arguments = {}
    if request["held_out"]:
        made = long_tailed_pool(request["held_out"], probs.shape[1], imbalance=1.0, seed=1)
        arguments = {"held_out": made.probs, "held_out_classes": made.truth}
    before, start, busy = peak_bytes() or 0, time.perf_counter(), time.process_time()
    correct_priors(probs, np.ones(probs.shape[1]), method=request["method"], **arguments)
    took = {"seconds": time.perf_counter() - start, "processor": time.process_time() - busy}
    print(json.dumps({**took, "megabytes": ((peak_bytes() or 0) - before) / 1e6}))


def main() -> None:
    """Measure what was asked for and write it."""
    args = asked(__doc__, ORDER).parse_args()
    seeds = args.seeds

    def digits(predict: Callable[..., Any], every: tuple[int, ...]) -> str:
        lines = []
        for labels in every:
            draws = digits_draws(predict, labels, seeds)
            lines += table(draws, (DIGITS_BUDGET,), f"{labels} | ")
        return "\n".join(["| labels | " + HEAD.format("---:|"), *lines])

    def softmax(name: str) -> str:
        return "\n".join(["| " + HEAD.format(""), *table(softmax_draws(name, seeds), (200, 500))])

    def timed() -> str:
        with TemporaryDirectory() as folder:
            return correction_times(Path(folder))

    made: Mapping[str, Callable[[], str]] = {
        "CIFAR-10": lambda: softmax("cifar10"),
        "Frontier": lambda: frontier_picture(seeds),
        "Digits, logistic regression": lambda: digits(regression, (FEW, *DIGITS, MANY)),
        "Digits, convolutional network": lambda: digits(network, DIGITS),
        "Digits, convolutional network, many labels": lambda: digits(network, (MANY,)),
        "20 Newsgroups": lambda: softmax("20news"),
        "Quotas with a stated probability": lambda: quota_table(seeds),
        "Time of a correction": timed,
    }
    intro = INTRO.format(seeds=seeds, limit=LIMIT)
    for name in args.only or ORDER:
        write_tables(TITLE, SCRIPT, intro, ORDER, {name: made[name]()})


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        import json

        child(json.loads(sys.argv[2]))
    else:
        main()
