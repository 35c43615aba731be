"""Intervals of shares: how often 95 % intervals hold the share of a class, and how wide they are.

python benchmarks/share_intervals.py [--only NAME]
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from _pool_draws import Draw, digits_draws, regression, softmax_draws
from _results import write_tables

from labelcut import correct_priors

TITLE, SCRIPT = "Intervals of shares", "benchmarks/share_intervals.py"
ORDER = ("Synthetic pools", "Published predictions", "Digits, intervals")
TRIALS, SEEDS = 60, 10
APART = 2.0

INTRO = """\
`correct_priors(...).interval` at the level of 95 %: how often it holds the share that a class has
in the pool and, where the pool is drawn from a known mix, the share in that mix. *Rare* are the
classes below half of the median count. The interval is made for the mix; a pool's own counts vary
less, so that they are to be held more often than that. *Identified* are the pools of which
`correct_priors` says so."""


@dataclass(frozen=True)
class Case:
    """A kind of made-up pools of ten classes, half of them rare.

    Parameters
    ----------
    name
        What the table calls it.
    counts
        Rows of a rare class and of another one, exactly; or None: drawn from a mix.
    each
        Held-out rows a class.
    sharp
        Power to which the posteriors are raised: above 1 the model is too sure of itself.
    method, calibration
        As in `correct_priors`.
    """

    name: str
    counts: tuple[int, int] | None = None
    each: int = 0
    sharp: float = 1.0
    method: str = "em"
    calibration: str = "auto"


CASES = (
    Case("500 rows, posteriors"),
    Case("2 rows of a rare class, 100 of others", counts=(2, 100)),
    Case("2 of a rare class, 100 of others, too sure", counts=(2, 100), each=10, sharp=2.0),
    Case("500 rows, too sure", each=4, sharp=2.0),
    Case("500 rows, too sure", each=50, sharp=2.0),
    Case("500 rows, too sure", each=50, sharp=2.0, calibration="vector"),
    Case("500 rows, too sure", each=10, sharp=2.0, method="confusion"),
    Case("500 rows, too sure", each=50, sharp=2.0, method="confusion"),
)


def made_up(case: Case) -> Iterator[tuple[Draw, Any]]:
    """Yield pools of points around one corner a class, each with the mix that it is drawn from."""
    for seed in range(TRIALS):
        rng = np.random.default_rng(seed)
        mix = np.repeat([0.1, 1.0], 5) / 5.5
        truth = rng.choice(10, 500, p=mix)
        if case.counts is not None:
            truth = np.repeat(np.arange(10), np.repeat(case.counts, 5))
            mix = np.bincount(truth) / len(truth)
        probs, held_out = posteriors(truth, case.sharp, rng), None
        labels = np.repeat(np.arange(10), case.each) if case.each else None
        if labels is not None:
            held_out = posteriors(labels, case.sharp, rng)
        yield Draw(probs, truth, held_out, labels, np.ones(10), np.nan), mix


def posteriors(truth: Any, sharp: float, rng: np.random.Generator) -> Any:
    """Return the posteriors under equal shares of points around one corner a class, sharpened."""
    logits = APART * (APART * np.eye(10)[truth] + rng.normal(size=(len(truth), 10)))
    probs = np.exp(sharp * (logits - logits.max(axis=1, keepdims=True)))
    return probs / probs.sum(axis=1, keepdims=True)


def measured(draws: Iterator[tuple[Draw, Any]], **how: Any) -> str:
    """Return the cells of a row: rates, widths, and processor time of a correction."""
    pools, mixes, rare, widths, told = [], [], [], [], []
    busy = 0.0
    for draw, mix in draws:
        start = time.process_time()
        found = correct_priors(
            draw.probs,
            draw.trained_on,
            held_out=draw.held_out,
            held_out_classes=draw.held_out_classes,
            **how,
        )
        busy += time.process_time() - start
        counts = np.bincount(draw.truth, minlength=draw.probs.shape[1])
        pools.append(held(found.interval, counts / counts.sum()))
        if mix is not None:
            mixes.append(held(found.interval, mix))
        rare.append(counts < np.median(counts[counts > 0]) / 2)
        widths.append(found.interval[:, 1] - found.interval[:, 0])
        told.append(found.identified)
    inside, few, wide = (np.concatenate(parts) for parts in (pools, rare, widths))
    by_mix = f"{np.mean(mixes):.1%} | {np.concatenate(mixes)[few].mean():.1%}" if mixes else " | "
    return (
        f"{by_mix} | {inside.mean():.1%} | {inside[few].mean():.1%} | {wide.mean():.3f} | "
        f"{sum(told)} of {len(told)} | {busy / len(told):.2f}"
    )


def held(interval: Any, shares: Any) -> Any:
    """Return which shares lie in their interval; priors are rounded to millionths."""
    return (interval[:, 0] <= shares + 1e-6) & (shares - 1e-6 <= interval[:, 1])


CELLS = (
    "mix held | of rare classes | pool's share held | of rare classes | mean width | identified | "
    "processor seconds |"
)


def synthetic() -> str:
    """Measure made-up pools, whose mix is known and whose model errs in its temperature alone."""
    lines = [
        f"| pool | held-out rows a class | method | calibration | {CELLS}",
        "|---|---:|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for case in CASES:
        how = {"method": case.method, "calibration": case.calibration}
        cells = measured(made_up(case), **how)
        kind = case.calibration if case.calibration != "auto" else "temperature"
        kind = kind if case.each else "none"
        lines.append(f"| {case.name} | {case.each or ''} | `{case.method}` | {kind} | {cells} |")
    note = (
        f"Ten classes, {TRIALS} pools a row, so that a rate of 95 % is known to within about 1 %. "
        "A rare class has a tenth of the rows of another one, where nothing else is said."
    )
    return "\n".join(lines) + "\n\n" + note


def published() -> str:
    """Measure published out-of-sample predictions."""
    return _real(
        {
            "CIFAR-10": lambda: softmax_draws("cifar10", SEEDS),
            "20 Newsgroups": lambda: softmax_draws("20news", SEEDS),
        }
    )


def digits() -> str:
    """Measure predictions of digits by logistic regression."""
    note = (
        "No interval knows that a model calibrated on predictions by cross-validation, from fewer "
        "labels than the model has that scored the pool, is another model: with 40 labels this is "
        "what is missing."
    )
    pools = {
        f"digits, {labels} labels": lambda labels=labels: digits_draws(regression, labels, SEEDS)
        for labels in (40, 100, 400)
    }
    return f"{_real(pools)}\n\n{note}"


def _real(pools: Mapping[str, Callable[[], Iterator[Draw]]]) -> str:
    lines = [
        f"{SEEDS} draws each, as under *True balance*, with temperature scaling.",
        "",
        f"| pool | method | {CELLS}",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for title, draws in pools.items():
        for method in ("em", "confusion"):
            cells = measured(((draw, None) for draw in draws()), method=method)
            lines.append(f"| {title} | `{method}` | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what was asked for and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=ORDER, action="append", help="tables; default: all")
    made = dict(zip(ORDER, (synthetic, published, digits), strict=True))
    for name in parser.parse_args().only or ORDER:
        write_tables(TITLE, SCRIPT, INTRO, ORDER, {name: made[name]()})


if __name__ == "__main__":
    main()
