"""A campaign as tables in the terminal: while it runs, and how it stands."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from .records import Results

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
    metric = leading_metric(results)
    last = max(results.cycles, default=0)
    table.add_column("strategy")
    table.add_column("cycles", justify="right")
    table.add_column("labeled", justify="right")
    table.add_column(metric or "metric", justify="right")
    table.add_column(f"after cycle {last}", justify="right")
    table.add_column("now")
    total = len(campaign.plan.seeds) * (campaign.plan.cycles + 1)
    for entrant in campaign.strategies:
        mine = [record for record in results.records if record.strategy == entrant.name]
        busy = ", ".join(
            f"seed {worker.job[1]} cycle {worker.cycle} {worker.stage}"
            for worker in workers
            if worker.job is not None and worker.job[0] == entrant.name
        )
        table.add_row(
            entrant.name,
            f"{len(mine)}/{total}",
            *_latest(mine, metric, last),
            "failed" if entrant.name in (failures or {}) else busy,
        )
    return table


def leading_metric(results: Results) -> str | None:
    """Return the first metric of the records that is no clock."""
    names = [name for name in results.metrics if not name.startswith("seconds_")]
    return next(iter(names), None)


def seconds_table(results: Results) -> str:
    """Return in a line where the time went; the loop is all but training and scoring."""
    spent = {
        name: float(np.nansum(results.table(f"seconds_{name}")))
        for name in ("cycle", "train", "score", "choose")
    }
    whole = max(spent["cycle"], 1e-9)
    parts = ", ".join(f"{name} {spent[name]:.1f} s" for name in ("train", "score", "choose"))
    rest = spent["cycle"] - spent["train"] - spent["score"]
    return (
        f"{spent['cycle']:.1f} s of all processes: {parts}; "
        f"all but training and scoring {rest:.1f} s ({rest / whole:.1%})"
    )


@contextmanager
def watched(console: Console) -> Iterator[Callable[[Standing], None]]:
    """Show how a campaign goes: a live table in a terminal, else a line for each finished cycle."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    from rich.live import Live

    with Live(console=console, refresh_per_second=4) as live:
        shown = 0.0

        def show(standing: Standing) -> None:
            nonlocal shown
            if time.monotonic() - shown < 0.25:
                return
            shown = time.monotonic()
            results = Results(tuple(standing.records))
            live.update(
                campaign_table(standing.campaign, results, standing.workers, standing.failures)
            )

        yield show


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
            metric = leading_metric(Results((record,)))
            value = "" if metric is None else f"   {metric} {record.metrics[metric]:.4f}"
            self.console.print(
                f"{record.strategy}   seed {record.seed}   cycle {record.cycle}   "
                f"{record.labeled:,} labeled{value}"
            )
        self.told = len(records)


def _latest(mine: Sequence[Record], metric: str | None, last: int) -> tuple[str, str, str]:
    """Return a strategy's labeled rows and metric at its latest cycle, again if it is the last."""
    if not mine or metric is None:
        return "", "", ""
    cycle = max(record.cycle for record in mine)
    at = [record for record in mine if record.cycle == cycle]
    values = [record.metrics.get(metric, np.nan) for record in at]
    spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    shown = f"{np.mean(values):.4f}{spread}"
    return f"{at[0].labeled:,}", shown, shown if cycle == last else ""
