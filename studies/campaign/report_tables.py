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

    from ...problems.arrays import Floats
    from .audit import Interval
    from .records import Record, Results
    from .significance import PenaltyMatrix
    from .summary import Curves, Standing

CHOICES = {
    "l1_true": "L1 score, all labeled",
    "l1_batch": "L1 score, chosen",
    "share_misclassified": "misclassified, chosen",
    "redundancy": "near-duplicates, chosen",
    "repeated": "from one original, chosen",
    "logdet": "log-determinant, chosen",
}
"""Metrics that say what was chosen, and what the report calls them."""
STAGES = ("train", "score", "choose")
ELSEWHERE = ("seconds_", "audit_", "accuracy_top_", "dispersion_")
"""What metrics begin with that have a place of their own."""


def standings_grid(
    curves: Curves, rows: Sequence[Standing], penalties: PenaltyMatrix | None
) -> Grid:
    """Return how each strategy did, best at the end first; † marks what beats all others."""
    middle, end = (f"{curves.shares[at]:.1%}" for at in (len(curves.shares) // 2, -1))
    columns = ["strategy", "seeds", f"at {end}", f"at {middle}", "AUC@B"]
    texts = []
    for at in best_first(curves, rows):
        row, scale = rows[at], curves.scale
        cells = [
            row.name + ("†" if len(rows) > 1 and row.beats == len(rows) - 1 else ""),
            str(row.seeds),
            _spread(scale * row.end, scale * row.end_std),
            _number(scale * row.middle, 2),
            _spread(scale * row.auc, scale * row.auc_std),
        ]
        texts.append(cells if penalties is None else [*cells, f"{penalties.phi[at]:.3f}"])
    columns += [] if penalties is None else ["Φ"]
    return Grid(columns, texts, best=[0] if len(rows) > 1 else [])


def against_grid(curves: Curves, rows: Sequence[Standing], alpha: float) -> Grid | None:
    """Return what each strategy is worth against the baseline, * below `alpha`; None alone."""
    if curves.baseline is None or len(rows) < 2:
        return None
    name = curves.names[curves.baseline]
    texts = [
        [
            rows[at].name,
            _number(curves.scale * rows[at].gain, 2, signed=True),
            _p(rows[at].p, alpha),
            _number(rows[at].labels, 0) if isfinite(rows[at].labels) else "not reached",
            f"{rows[at].saved:.0%}" if isfinite(rows[at].saved) else "-",
        ]
        for at in best_first(curves, rows)
        if at != curves.baseline
    ]
    return Grid(["strategy", f"less {name}", "p", f"labels to {name}'s end", "saved"], texts)


def choices_grid(results: Results) -> Grid | None:
    """Return what strategies chose, means over seeds and cycles; None where nothing is known.

    Of the balance of all that is labeled only the end counts.
    """
    known = [name for name in CHOICES if np.isfinite(results.table(name)).any()]
    if not known:
        return None
    means = []
    for name in known:
        table = results.table(name)
        table = table[:, :, -1:] if name == "l1_true" else table
        means.append(mean_and_std(table, axis=(1, 2))[0])
    heads = [CHOICES[name] + (", end" if name == "l1_true" else "") for name in known]
    return Grid(["strategy", *heads], _mean_rows(results, means))


def others_grid(results: Results, shown: str) -> Grid | None:
    """Return all other metrics in the last cycle that has them, mean ± std over seeds, or None."""
    names = [
        name
        for name in results.metrics
        if name != shown and name not in CHOICES and not name.startswith(ELSEWHERE)
    ]
    columns = []
    for name in names:
        table = results.table(name)
        last = np.flatnonzero(np.isfinite(table).any(axis=(0, 1)))
        if len(last):
            columns.append((name, *mean_and_std(table[:, :, last[-1]])))
    rows = [
        [strategy, *(_spread(float(mean[at]), float(std[at]), 3) for _, mean, std in columns)]
        for at, strategy in enumerate(results.strategies)
    ]
    heads = [name.replace("_", " ") for name, _, _ in columns]
    return Grid(["strategy", *heads], rows) if columns else None


def audit_grid(results: Results, least_gain: float) -> Grid | None:
    """Return accuracy by the audit slices with 95 % limits, and whether to go on; None without.

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
    columns = ["strategy", "runs", "audit rows", "accuracy, %", "last cycle, points", "another?"]
    return Grid(columns, rows)


def seconds_grid(results: Results) -> Grid | None:
    """Return mean seconds that a cycle spends training, scoring and choosing, or None."""
    known = [stage for stage in STAGES if f"seconds_{stage}" in results.metrics]
    if not known:
        return None
    means = [mean_and_std(results.table(f"seconds_{stage}"), axis=(1, 2))[0] for stage in known]
    return Grid(["strategy", *known], _mean_rows(results, means))


def _mean_rows(results: Results, means: Sequence[Floats]) -> list[list[str]]:
    return [
        [name, *(_number(float(mean[at]), 3) for mean in means)]
        for at, name in enumerate(results.strategies)
    ]


def _audit_row(name: str, last: Sequence[Record], least_gain: float) -> list[str]:
    counts = {
        key: sum(round(record.metrics.get(f"audit_{key}", 0)) for record in last)
        for key in ("seen", "gained", "lost")
    }
    shares = [(r.metrics["audit_accuracy"], r.metrics["audit_seen"]) for r in last]
    right = sum(round(share * seen) for share, seen in shares)
    found = accuracy_interval(right, counts["seen"])
    gain, verdict = "-", "-"
    if all("audit_gained" in record.metrics for record in last):
        hint = stopping_hint(
            counts["gained"], counts["lost"], counts["seen"], least_gain=least_gain
        )
        gain, verdict = _within(hint.gain, signed=True), hint.verdict
    return [name, str(len(last)), f"{counts['seen']:,}", _within(found), gain, verdict]


def _within(interval: Interval, *, signed: bool = False) -> str:
    """Return an estimate of a share with its limits, in percent."""
    middle, low, high = (
        _number(100 * value, 1, signed=signed)
        for value in (interval.estimate, interval.low, interval.high)
    )
    return f"{middle} ({low} to {high})"


def _spread(mean: float, std: float, places: int = 2) -> str:
    if not isfinite(mean):
        return "-"
    return f"{mean:.{places}f}" + (f" ± {std:.{places}f}" if isfinite(std) else "")


def _number(value: float, places: int, *, signed: bool = False) -> str:
    if not isfinite(value):
        return "-"
    return f"{value:+,.{places}f}" if signed else f"{value:,.{places}f}"


def _p(value: float, alpha: float) -> str:
    if not isfinite(value):
        return "-"
    star = " *" if value < alpha else ""
    return ("<0.001" if value < 0.001 else f"{value:.3f}") + star


def best_first(curves: Curves, rows: Sequence[Standing]) -> list[int]:
    """Return the strategies as they end, best first; those that have not ended come last."""
    ends = [-curves.sign * row.end if isfinite(row.end) else float("inf") for row in rows]
    return sorted(range(len(rows)), key=ends.__getitem__)
