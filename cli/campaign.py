"""Commands of labelling campaigns: run, status, next, labels, report."""

from __future__ import annotations

import dataclasses
import shlex
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .app import Json, app
from .printing import fail, open_console, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from ..studies.campaign.files import Campaign
    from ..studies.campaign.human import Batch
    from ..studies.campaign.records import Results
    from ..studies.campaign.report_sections import ReportOptions

campaign = typer.Typer(help="Labelling campaigns: strategies compared, or a person labels.")
app.add_typer(campaign, name="campaign", no_args_is_help=True)

CampaignFile = Annotated[Path, typer.Argument(metavar="FILE", help="Campaign file (TOML).")]


@campaign.command()
def run(
    file: CampaignFile,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes. [as the file says, else 1]")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Stop at 18:30, 2026-05-01T18:30, or after 3h50m."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run what is left of a campaign, and write its report when all is done.

    Stop it in any way: the same command goes on with what is not finished.
    Exit code 0: all is done; 2: a strategy failed; 3: time was up.
    """
    from ..studies.campaign.files import read_campaign
    from ..studies.campaign.runner import parse_until, run_campaign
    from ..studies.campaign.watching import watched

    end = None if until is None else parse_until(until, datetime.now())
    read = read_campaign(file)
    console = open_console()
    with watched(console) as watch:
        outcome = run_campaign(read, workers=workers, until=end, watch=watch, since=0.0)
    report = None if outcome.left else _write(read, outcome.results, None)
    if as_json:
        content = {
            "left": outcome.left,
            "stopped": outcome.stopped,
            "failures": dict(outcome.failures),
            "report": None if report is None else str(report),
            "records": [record.to_dict() for record in outcome.results.records],
        }
        print_json("campaign", str(read.folder), content)
    else:
        _show(console, read, outcome.results, outcome.failures)
        if report is not None:
            console.print(f"report in {report}")
    for name, message in outcome.failures.items():
        typer.echo(f"error: {name} was stopped: {message}", err=True)
    if outcome.stopped == "interrupt":
        fail(f"interrupted; the same command goes on, {outcome.left} cycles are left", 130)
    if outcome.failures:
        raise typer.Exit(2)
    if outcome.stopped == "time":
        fail(f"time is up; the same command goes on, {outcome.left} cycles are left", 3)


@campaign.command()
def status(file: CampaignFile, as_json: Json = False) -> None:
    """Tell how far a campaign is, also while it runs."""
    from ..studies.campaign.files import read_campaign
    from ..studies.campaign.runner import jobs_left

    read = read_campaign(file)
    results = _results(read)
    if as_json:
        content = {
            "left": jobs_left(read, results)[1],
            "records": [record.to_dict() for record in results.records],
        }
        print_json("campaign", str(read.folder), content)
        return
    console = open_console()
    _show(console, read, results, {})
    console.print(f"{jobs_left(read, results)[1]} cycles are left")


@campaign.command(name="next")
def ask(file: CampaignFile, as_json: Json = False) -> None:
    """Write what a person is to label now: a CSV file to fill in, and COCO JSON."""
    from ..studies.campaign.files import read_campaign
    from ..studies.campaign.human import next_batch

    read = read_campaign(file)
    try:
        _tell(read, next_batch(read, _stage), as_json)
    except KeyboardInterrupt:
        fail("interrupted; the same command goes on", 130)


@campaign.command()
def labels(
    file: CampaignFile,
    answers: Annotated[
        Path, typer.Argument(metavar="LABELS", help="The CSV file of next, filled in.")
    ],
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Correct the answers given last; what came after is redone."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Take a person's answers, train with them, and write what to label next."""
    from ..studies.campaign.files import read_campaign
    from ..studies.campaign.human import take_labels

    read = read_campaign(file)
    try:
        _tell(read, take_labels(read, answers, _stage, replace=replace), as_json)
    except KeyboardInterrupt:
        fail("interrupted; 'labelcut campaign next' goes on if the answers are kept", 130)


@campaign.command()
def report(
    file: CampaignFile,
    out: Annotated[
        Path | None, typer.Option(metavar="HTML", help="Where to. [report.html in its folder]")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="What to compare. [accuracy, else the audit's, else another]")
    ] = None,
    lower: Annotated[
        bool | None,
        typer.Option("--lower/--higher", help="Which values are better. [by the metric's name]"),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Strategy to compare the others with. [random]")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Level of the tests.")] = 0.05,
    least_gain: Annotated[
        float, typer.Option(help="Accuracy a cycle has to bring, for the stopping hint.")
    ] = 0.01,
    projection: Annotated[
        str, typer.Option(help="Map of the choices: tsne, pca, or auto.")
    ] = "auto",
) -> None:
    """Write curves, tables, tests and pictures of what is finished, as one HTML file."""
    from ..studies.campaign.files import read_campaign
    from ..studies.campaign.report_sections import ReportOptions

    read = read_campaign(file)
    results = _results(read)
    if not results.records:
        fail(f"error: {read.folder}: nothing is finished yet; run the campaign first", 2)
    if baseline is not None and baseline not in results.strategies:
        known = ", ".join(results.strategies)
        fail(f"error: --baseline: must be one of {known}; got {baseline!r}", 2)
    options = ReportOptions(
        metric=metric,
        lower=lower,
        baseline=baseline or "random",
        alpha=alpha,
        least_gain=least_gain,
        projection=projection,
    )
    open_console().print(f"report in {_write(read, results, out, options)}")


def _results(read: Campaign) -> Results:
    """Return the records so far, none if the campaign has not begun."""
    from ..studies.campaign.records import DATABASE, Results, load_results

    if not (read.folder / DATABASE).exists():
        return Results(())
    return load_results(read.folder)


def _write(
    read: Campaign, results: Results, out: Path | None, options: ReportOptions | None = None
) -> Path:
    from ..studies.campaign.report import write_report
    from ..studies.campaign.report_sections import ReportOptions
    from ..studies.campaign.runner import jobs_left
    from ..studies.campaign.summary import curves_of

    options = options or ReportOptions()
    metric = curves_of(results, options.metric).metric
    values = [record.metrics[metric] for record in results.full if metric in record.metrics]
    full = {"all labels": sum(values) / len(values)} if values else {}
    return write_report(
        results,
        out or read.folder / "report.html",
        title=read.title,
        pool=read.pool,
        options=dataclasses.replace(options, full=full, left=jobs_left(read, results)[1]),
    )


def _show(console: Console, read: Campaign, results: Results, failures: Mapping[str, str]) -> None:
    from ..studies.campaign.watching import campaign_table, seconds_table

    console.print(campaign_table(read, results, failures=failures))
    if results.records:
        console.print(seconds_table(results))


def _stage(cycle: int, stage: str) -> None:
    typer.echo(f"{'initial set' if cycle < 0 else f'cycle {cycle}'}: {stage}", err=True)


def _tell(read: Campaign, batch: Batch | None, as_json: bool) -> None:
    if as_json:
        content = (
            {"over": True}
            if batch is None
            else {
                "over": False,
                "cycle": batch.cycle,
                "rows": batch.rows.tolist(),
                "csv": str(batch.csv),
                "coco": str(batch.coco),
            }
        )
        print_json("batch", str(read.folder), content)
        return
    from ..studies.campaign.answers import SHOWN_NAMES

    console = open_console()
    if batch is None:
        console.print(
            "all cycles are over; see labelcut campaign report, or raise cycles to go on",
            soft_wrap=True,
        )
        return
    console.print(f"{len(batch.rows)} rows to label: {batch.csv} (and {batch.coco.name})")
    names = read.pool.class_names or ()
    more = ", ..." if len(names) > SHOWN_NAMES else ""
    how = f" (a number or {', '.join(names[:SHOWN_NAMES])}{more})" if names else ""
    console.print(f"fill in the column label{how}, then:")
    paths = shlex.join([str(read.path), str(batch.csv)])
    console.print(f"labelcut campaign labels {paths}", soft_wrap=True)
