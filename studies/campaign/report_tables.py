"""Tables of a campaign's report: standings, what was chosen, the audit, seconds."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from .audit import accuracy_interval, stopping_hint
from .report_page import Grid
from .significance import mean_and_std

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .records import Record, Results
    from .significance import PenaltyMatrix
    from .summary import Curves, Standing

CHOICES = {
    "l1_true": "L1 score of all labeled",
    "l1_batch": "L1 score of the chosen",
    "share_misclassified": "misclassified among the chosen",
    "redundancy": "near-duplicates among the chosen",
    "logdet": "log-determinant of the chosen",
}
"""Metrics that say what was chosen, and what the report calls them."""
STAGES = ("train", "score", "choose")


def standings_grid(
    curves: Curves, rows: Sequence[Standing], penalties: PenaltyMatrix | None
) -> Grid:
    """Return how each strategy did, best at the end first."""
    order = sorted(range(len(rows)), key=lambda at: -_or_least(rows[at].end))
    middle, end = (f"{curves.shares[at]:.3g}" for at in (len(curves.shares) // 2, -1))
    columns = ["strategy", "seeds", f"end ({end})", f"middle ({middle})", "AUC@B"]
    if curves.baseline is not None:
        name = curves.names[curves.baseline]
        columns += [f"less {name}", "p", "labels to its end", "saved"]
    if penalties is not None:
        columns.append("Φ")
    texts = []
    for at in order:
        row = rows[at]
        scale = curves.scale
        cells = [
            row.name + ("†" if row.beats_all else ""),
            str(row.seeds),
            _spread(scale * row.end, scale * row.end_std),
            _number(scale * row.middle, 2),
            _spread(scale * row.auc, scale * row.auc_std),
        ]
        if curves.baseline is not None:
            cells += [
                _number(scale * row.gain, 2, signed=True),
                _p(row.p),
                _number(row.labels, 0) if isfinite(row.labels) else "not reached",
                "-" if not isfinite(row.saved) else f"{row.saved:.0%}",
            ]
        if penalties is not None:
            cells.append(f"{penalties.phi[at]:.3f}")
        texts.append(cells)
    return Grid(columns, texts, best=[0] if len(rows) > 1 else [])


def choices_grid(results: Results) -> Grid | None:
    """Return what strategies chose, means over seeds and cycles; None where nothing is known."""
    known = [name for name in CHOICES if np.isfinite(results.table(name)).any()]
    if not known:
        return None
    # Of what is labeled the end counts; of what was chosen every cycle does.
    values = {
        name: mean_and_std(results.table(name)[:, :, -1:], axis=(1, 2))[0]
        if name == "l1_true"
        else mean_and_std(results.table(name), axis=(1, 2))[0]
        for name in known
    }
    rows = [
        [name, *(_number(float(values[metric][at]), 3) for metric in known)]
        for at, name in enumerate(results.strategies)
    ]
    heads = [CHOICES[name] + (", at the end" if name == "l1_true" else "") for name in known]
    return Grid(["strategy", *heads], rows)


def audit_grid(results: Results, least_gain: float) -> Grid | None:
    """Return each strategy's accuracy by its audit slices, and whether to go on; None without.

    Runs of several seeds are taken together: right answers and rows add up, so that the estimate
    is the mean over seeds weighted by rows.
    """
    rows = []
    for name in results.strategies:
        ends = [results.run(name, seed)[-1:] for seed in results.seeds]
        last = [run[0] for run in ends if run and run[0].metrics.get("audit_seen")]
        if last:
            rows.append(_audit_row(name, last, least_gain))
    if not rows:
        return None
    return Grid(
        ["strategy", "runs", "audit rows", "accuracy, %", "95 % interval", "another cycle?"],
        rows,
        texts=[5],
    )


def seconds_grid(results: Results) -> Grid | None:
    """Return mean seconds that a cycle spends training, scoring and choosing, or None."""
    known = [stage for stage in STAGES if f"seconds_{stage}" in results.metrics]
    if not known:
        return None
    means = [mean_and_std(results.table(f"seconds_{stage}"), axis=(1, 2))[0] for stage in known]
    rows = [
        [name, *(_number(float(mean[at]), 3) for mean in means)]
        for at, name in enumerate(results.strategies)
    ]
    return Grid(["strategy", *known], rows)


def _audit_row(name: str, last: Sequence[Record], least_gain: float) -> list[str]:
    counts = {
        key: sum(round(record.metrics.get(f"audit_{key}", 0)) for record in last)
        for key in ("seen", "gained", "lost")
    }
    shares = [(r.metrics["audit_accuracy"], r.metrics["audit_seen"]) for r in last]
    right = sum(round(share * seen) for share, seen in shares)
    found = accuracy_interval(right, counts["seen"])
    told = "no cycle before to compare with"
    if all("audit_gained" in record.metrics for record in last):
        told = stopping_hint(
            counts["gained"], counts["lost"], counts["seen"], least_gain=least_gain
        ).reason
    interval = f"{100 * found.low:.1f} to {100 * found.high:.1f}"
    share = f"{100 * found.estimate:.1f}"
    return [name, str(len(last)), f"{counts['seen']:,}", share, interval, told]


def _spread(mean: float, std: float) -> str:
    if not isfinite(mean):
        return "-"
    return f"{mean:.2f} ± {std:.2f}" if isfinite(std) else f"{mean:.2f}"


def _number(value: float, places: int, *, signed: bool = False) -> str:
    if not isfinite(value):
        return "-"
    return f"{value:+,.{places}f}" if signed else f"{value:,.{places}f}"


def _p(value: float) -> str:
    if not isfinite(value):
        return "-"
    star = " *" if value < 0.05 else ""
    return ("<0.001" if value < 0.001 else f"{value:.3f}") + star


def _or_least(value: float) -> float:
    return value if isfinite(value) else float("-inf")
