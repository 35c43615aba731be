"""Tables about videos: an estimate of mistakes, and how estimates compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from .tables import WHY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..problems.error_estimate import ErrorEstimate
    from ..problems.selection import Selection
    from ..problems.temporal_coherence import TemporalCoherence
    from ..problems.video_files import VideoFile
    from .video import EstimateQuality

FEW = 8


def estimate_table(problem: TemporalCoherence, estimate: ErrorEstimate) -> Table:
    """Return an estimate in a few lines."""
    table = _pairs()
    graph, notes = problem.graph, problem.notes()
    table.add_row("detections", f"{int(problem.used.sum()):,}")
    if notes["ignored_detections"]:
        left_out = f"{notes['ignored_detections']:,} (min_score {problem.min_score:g})"
        table.add_row("left out", left_out)
    table.add_row("links", f"{len(graph.links):,}")
    table.add_row("candidates", f"{graph.n_candidates:,}")
    table.add_row("method", f"{estimate.method} (seed {estimate.seed})")
    table.add_row("status", f"{estimate.status} ({WHY[estimate.stopped_by]})")
    if estimate.objective is None:
        return table
    table.add_row("energy", f"{estimate.objective:.6g}")
    bound = "none proven" if estimate.bound is None else f"{estimate.bound:.6g}"
    table.add_row("bound", bound)
    for name in ("fp", "fn"):
        span = ""
        if f"{name}_least" in estimate.table:
            low, high = (int(estimate.table[f"{name}_{end}"].sum()) for end in ("least", "most"))
            span = f"   (between {low:,} and {high:,} at the same energy)"
        table.add_row(name.upper(), f"{int(estimate.table[name].sum()):,}{span}")
    table.add_row("seconds", f"{estimate.runtime:.2f}")
    return table


def video_table(content: VideoFile) -> Table:
    """Return what a video problem file states, before any tracker has run."""
    table = _pairs()
    found, tracking, framing = content.detections, content.tracking, content.framing
    table.add_row("videos", f"{len(found.videos):,}")
    table.add_row("frames", f"{found.n_frames:,}")
    table.add_row("detections", f"{len(found):,}")
    if content.truth is not None:
        table.add_row("true objects", f"{len(content.truth):,}")
    table.add_row("tracker", f"{tracking.kind}, {tracking.reach} frames each way")
    for name, value in content.parameters.items():
        table.add_row(name.replace("_", " "), str(value))
    if framing is None:
        return table
    most = "" if framing.at_most is None else f", at most {framing.at_most} of a video"
    spread = f"more than {framing.spacing} frames apart{most}"
    table.add_row("choose", f"{framing.budget:,} frames by {framing.utility}, {spread}")
    return table


def frames_table(chosen: Selection, estimate: ErrorEstimate) -> Table:
    """Return how many frames were chosen, and the first few of them by their rows."""
    table = _pairs()
    table.add_row("frames", f"{len(chosen.indices):,} by {chosen.method}: {chosen.status}")
    if chosen.reason:
        table.add_row("reason", chosen.reason)
    rows = chosen.indices[:FEW]
    names = [
        f"{chosen.table['video'][at]}:{chosen.table['frame'][at]} "
        f"(FP {estimate.table['fp'][row]}, FN {estimate.table['fn'][row]})"
        for at, row in enumerate(rows)
    ]
    more = ", …" if len(chosen.indices) > FEW else ""
    if names:
        table.add_row("first", ", ".join(names) + more)
    return table


def quality_table(rows: Sequence[EstimateQuality], name: str) -> Table:
    """Return one row a method, beside the truth where it is known."""
    table = Table(title=name, title_justify="left", title_style="", box=None, pad_edge=False)
    columns = {
        "energy": "energy",
        "FP": "fp",
        "FN": "fn",
        "FP precision": "fp_precision",
        "FP recall": "fp_recall",
        "FN precision": "fn_precision",
        "FN recall": "fn_recall",
        "correlation": "correlation",
        "share of errors": "share",
        "s": "seconds",
    }
    shown = {
        head: key for head, key in columns.items() if any(getattr(r, key) is not None for r in rows)
    }
    table.add_column("method")
    for head in shown:
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(row.method, *(_cell(getattr(row, key)) for key in shown.values()))
    return table


def _cell(value: float | int | None) -> str:
    if value is None or not np.isfinite(value):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _pairs() -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(overflow="fold")
    return table
