"""The command that measures a pool and recommends how to choose from it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import Json, app
from .printing import fail, open_console, print_json

if TYPE_CHECKING:
    from ..studies.advise import Advice, Measures


def _array(help: str) -> Any:
    return typer.Option(metavar="ARRAY", help=help)


@app.command()
def advise(
    scores: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Folder with embeddings.npy and, if there is one, probs.npy."
        ),
    ],
    budget: Annotated[int, typer.Option(min=1, help="Rows to choose now.")],
    labeled: Annotated[str | None, _array("Row numbers that are labeled.")] = None,
    labeled_classes: Annotated[str | None, _array("Their classes.")] = None,
    held_out: Annotated[
        str | None, _array("Predictions of labeled rows by models that did not learn from them.")
    ] = None,
    video: Annotated[str | None, _array("The video of each row.")] = None,
    frame: Annotated[str | None, _array("Its frame or second there.")] = None,
    ids: Annotated[str | None, _array("Names of the rows.")] = None,
    classes: Annotated[int | None, typer.Option(help="Classes, without probs.npy.")] = None,
    task: Annotated[
        str, typer.Option(help="classification, segmentation or detection.")
    ] = "classification",
    start: Annotated[
        str, typer.Option(help="What models begin from: scratch or self-supervised.")
    ] = "scratch",
    domain: Annotated[str, typer.Option(help="broad, or narrow such as driving.")] = "broad",
    semi_supervised: Annotated[
        bool, typer.Option("--semi-supervised", help="Models learn from unlabeled rows too.")
    ] = False,
    near: Annotated[
        float | None,
        typer.Option(
            help="Share of the usual distance below which rows repeat each other. [a tenth]"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the choice as a problem file here.")
    ] = None,
    as_json: Json = False,
) -> None:
    r"""Measure a pool and recommend a strategy, with the published rows it rests on.

    Arrays are named as in problem files: labeled.npy, frames.csv#video.
    Example, after labelcut score ... --outputs probs,embeddings --out scores/:

        labelcut advise scores/ --budget 500 --video frames.csv#video \
        --frame frames.csv#frame --out choice.toml

        labelcut solve choice.toml
    """
    from ..problems.array_files import read_array
    from ..problems.problem_files import save_problem
    from ..studies.advise import Scored, Situation, make_problem, measure
    from ..studies.advise import advise as recommend
    from ..studies.campaign.variety import NEAR

    if not (scores / "embeddings.npy").is_file():
        fail(f"error: {scores}: has no embeddings.npy; labelcut score writes it", 2)
    named = {
        "embeddings": str(scores / "embeddings.npy"),
        "probs": str(scores / "probs.npy") if (scores / "probs.npy").is_file() else None,
        "labeled": labeled,
        "labeled_classes": labeled_classes,
        "held_out": held_out,
        "video": video,
        "frame": frame,
        "ids": ids,
    }
    texts = ("video", "ids")
    arrays = {
        name: read_array(source, Path(), name, text=name in texts)
        for name, source in named.items()
        if source is not None
    }
    situation = Situation(task, start, domain, semi_supervised)
    pool = Scored(**arrays)
    measures = measure(pool, budget, classes=classes, near=NEAR if near is None else near)
    advice = recommend(measures, situation, held_out=held_out is not None)
    if out is not None:
        problem, solve = make_problem(advice, pool, budget)
        save_problem(problem, out, solve=solve or None)
    if as_json:
        print_json("advice", None if out is None else str(out), _told(measures, advice))
    else:
        _show(measures, advice, out)


def _told(measures: Measures, advice: Advice) -> dict[str, Any]:
    """Return everything in JSON's own types."""
    balance = measures.balance
    return {
        "measures": {
            "size": measures.size,
            "labeled": measures.labeled,
            "budget": measures.budget,
            "step": measures.step,
            "share": measures.share,
            "classes": measures.classes,
            "per_class": measures.per_class,
            "redundancy": asdict(measures.redundancy),
            "balance": None
            if balance is None
            else {
                "prior": balance.prior.tolist(),
                "l1": balance.l1,
                "corrected": balance.corrected,
            },
        },
        "advice": asdict(advice),
    }


def _show(measures: Measures, advice: Advice, out: Path | None) -> None:
    console = open_console()
    redundancy, balance = measures.redundancy, measures.balance
    rows = f"{measures.size:,} rows, {measures.labeled:,} labeled"
    console.print(f"pool         {rows}, {measures.budget:,} to choose ({measures.step:.2%})")
    told = f"{redundancy.distinct:.0%} distinct, {redundancy.repeated:.0%} repeated"
    if redundancy.in_time is not None:
        told += f", {redundancy.in_time:.0%} of consecutive frames nearly the same"
    console.print(f"redundancy   {told}")
    if balance is not None:
        how = "prior corrected" if balance.corrected else "as predicted"
        span = f"classes from {balance.prior.min():.1%} to {balance.prior.max():.1%}"
        console.print(f"classes      L1 {balance.l1:.2f} {how}, {span}")
    console.print(f"strategy     {advice.strategy}")
    console.print(f"because      {advice.reason}")
    for line in advice.evidence:
        console.print(f"evidence     {line}")
    for name, why in advice.alternatives.items():
        console.print(f"or           {name}: {why}")
    for note in advice.notes:
        console.print(f"note         {note}")
    if out is not None:
        console.print(f"saved in {out}; labelcut solve {out}")
