"""The application that commands register with, and the options that several of them have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="What to label next, with a proof.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="Problem file (TOML).")]
SolutionFile = Annotated[
    Path, typer.Argument(metavar="SOLUTION", help="Solution that solve wrote.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
TimeLimit = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Wall-clock seconds for a run. [60]")
]
GapTol = Annotated[float | None, typer.Option(help="Relative gap that counts as optimal. [1e-4]")]
Plot = Annotated[
    Path | None, typer.Option(metavar="PICTURE", help="Draw a picture here (.png, .svg, .pdf).")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"labelcut {version('labelcut')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    del version  # its callback has printed it
