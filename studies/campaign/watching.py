"""A campaign as tables in the terminal: while it runs, and how it stands."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from .records import Results
from .summary import leading_metric
from .timing import PROCESSOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

    from .crew import Worker
    from .files import Campaign
    from .records import Record
    from .runner import Standing


def campaign_table(
    campaign: Campaign,
    results: Results,
    workers: Sequence[Worker] = (),
    failures: Mapping[str, str] | None = None,
) -> Table:
    """Return a row for each strategy: cycles, the leading metric, what goes on."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    metric = leading_metric(results.metrics)
    table.add_column("strategy")
    table.add_column("cycles", justify="right")
    table.add_column("labeled", justify="right")
    table.add_column(metric or "metric", justify="right")
    table.add_column("now")
    cycles = campaign.plan.cycles
    total = len(campaign.plan.seeds) * (cycles + 1)
    for entrant in campaign.strategies:
        mine = [record for record in results.records if record.strategy == entrant.name]
        busy = ", ".join(
            f"seed {worker.job[1]} cycle {worker.cycle} {worker.stage}"
            for worker in workers
            if worker.job is not None and worker.job[0] == entrant.name
        )
        table.add_row(
            entrant.name,
            f"{sum(not record.lacks_choice(cycles) for record in mine)}/{total}",
            *_latest(mine, metric),
            "failed" if entrant.name in (failures or {}) else busy,
        )
    return table


PARTS = ("parent", "start", "train", "score", "choose")


def seconds_by_part(results: Results) -> dict[str, float]:
    """Return the processor seconds of each of `PARTS`, and of the loop itself as ``rest``.

    ``parent`` is the process that was called, from its own start to the last cycle (the report is
    not part of it); ``start`` is that of the others, until they have imported everything, torch
    included, and have read the pool, or with a person what it takes to import torch; the loop
    itself is what remains of the cycles.
    """
    spent = {name: _total(results, name) for name in PARTS}
    inside = sum(spent[name] for name in ("train", "score", "choose"))
    return {**spent, "rest": _total(results, "cycle") - inside}


def seconds_table(results: Results) -> str:
    """Return in a line where the processor's time went, and what of it is the campaign's own."""
    spent = seconds_by_part(results)
    whole = max(sum(spent.values()), 1e-9)
    named = {"the loop itself" if name == "rest" else name: spent[name] for name in spent}
    told = ", ".join(f"{name} {value:.1f} s ({value / whole:.1%})" for name, value in named.items())
    own = whole - spent["train"] - spent["score"]
    return (
        f"{whole:.1f} s of processor time: {told}; all but training and scoring: "
        f"{own:.1f} s ({own / whole:.1%})"
    )


def _total(results: Results, purpose: str) -> float:
    records = (*results.records, *results.full)
    return sum(record.metrics.get(f"{PROCESSOR}{purpose}", 0.0) for record in records)


_FRAME = 0.25
"""Seconds between two pictures of the live table."""


@contextmanager
def watched(console: Console) -> Iterator[Callable[[Standing], None]]:
    """Show how a campaign goes: a live table in a terminal, else a line for each finished cycle."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    from rich.console import Group
    from rich.live import Live

    with Live(console=console, refresh_per_second=4, transient=True) as live:
        pace = _Pace()
        shown = 0.0

        def show(standing: Standing) -> None:
            nonlocal shown
            if time.monotonic() - shown < _FRAME:
                return
            shown = time.monotonic()
            results = Results(tuple(standing.records))
            table = campaign_table(standing.campaign, results, standing.workers, standing.failures)
            live.update(Group(table, pace.tell(standing)))

        yield show


class _Pace:
    """How long what is left will take, by what has been finished since the start."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.before: int | None = None

    def tell(self, standing: Standing) -> str:
        """Return a line of cycles done and time left."""
        done = len(standing.records)
        if self.before is None:
            self.before = sum(record.order > 0 for record in standing.records)
        plan = standing.campaign.plan
        total = len(standing.campaign.strategies) * len(plan.seeds) * (plan.cycles + 1)
        total += len(plan.seeds) * standing.campaign.full
        told = f"{done} of {total} cycles"
        if done > self.before:
            each = (time.monotonic() - self.begun) / (done - self.before)
            told += f", about {timedelta(seconds=round(each * (total - done)))} left"
        return told


class _Lines:
    def __init__(self, console: Console) -> None:
        self.console = console
        self.told: int | None = None

    def __call__(self, standing: Standing) -> None:
        """Print what has been finished since the last call."""
        records = standing.records
        if self.told is None:
            self.told = sum(record.order > 0 for record in records)
        for record in records[self.told :]:
            metric = leading_metric(tuple(record.metrics))
            value = "" if metric is None else f"   {metric} {record.metrics[metric]:.4f}"
            self.console.print(
                f"{record.strategy}   seed {record.seed}   cycle {record.cycle}   "
                f"{record.labeled:,} labeled{value}"
            )
        self.told = len(records)


def _latest(mine: Sequence[Record], metric: str | None) -> tuple[str, str]:
    """Return a strategy's labeled rows and metric at its latest cycle, over seeds."""
    if not mine or metric is None:
        return "", ""
    cycle = max(record.cycle for record in mine)
    at = [record for record in mine if record.cycle == cycle]
    values = [record.metrics.get(metric, np.nan) for record in at]
    spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{at[0].labeled:,}", f"{np.mean(values):.4f}{spread}"
