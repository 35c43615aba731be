"""What every command does with what it got and found: read, print, end with a code."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from ..problems import ProblemFile, SelectionProblem

SCHEMA = 1
WIDTH = 120
"""Columns that tables may take at least; narrower terminals wrap lines, but no number is cut."""


def is_video(file: Path) -> bool:
    """Whether a problem file is about videos."""
    from ..problems.video_files import is_video_file

    return is_video_file(file)


def read(file: Path) -> tuple[SelectionProblem, ProblemFile]:
    """Read a selection problem and what its file says beside it."""
    from ..problems import read_problem
    from ..studies.metrics import as_truth

    if is_video(file):
        fail(f"error: {file.name}: a video problem; solve, compare, check and show take it", 2)
    content = read_problem(file)
    as_truth(content.truth, content.problem)
    return content.problem, content


def parsed(pairs: list[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` options; values are JSON where they can be, else strings."""
    parsed: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            fail(f"error: --option: must be NAME=VALUE; got {pair!r}", 2)
        try:
            parsed[name] = json.loads(value)
        except ValueError:
            parsed[name] = value
    return parsed


def print_json(what: str, path: str | None, content: Any) -> None:
    """Print one JSON object on stdout."""
    head = {"schema": SCHEMA, "kind": what} | ({} if path is None else {"path": path})
    typer.echo(json.dumps({**head, what: content}, allow_nan=False))


def open_console() -> Console:
    """Return where tables go: stderr, wide enough for every number."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, markup=False)
    console.width = max(console.width, WIDTH) if console.is_terminal else 160
    return console


def fail(message: str, code: int) -> NoReturn:
    """End with one line on stderr and an exit code."""
    typer.echo(" ".join(message.split()), err=True)
    sys.exit(code)
