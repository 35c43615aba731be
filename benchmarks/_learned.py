"""The section of RESULTS.md that the benchmarks of learned policies share."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from _results import write_tables

TITLE, SCRIPT = "Learned acquisition", "benchmarks/misical.py, benchmarks/ralis.py"

INTRO = """\
Each table names its script. Seconds are of processor time, because other work shares the machine.
There was no GPU. ± is the standard deviation over seeds."""

ORDER = (
    "MiSiCAL on planted tasks",
    "MiSiCAL on CamVid",
    "RALIS on planted tasks",
    "RALIS where rewards come late",
    "RALIS on CamVid",
    "RALIS ablations",
    "Exact batches",
)


def write(tables: Mapping[str, str]) -> None:
    """Write some of the section's tables; the others stay."""
    write_tables(TITLE, SCRIPT, INTRO, ORDER, tables)


def kept(file: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what a file holds, or make it and keep it: a stopped benchmark goes on."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(make()))
        temporary.replace(file)
    found: dict[str, Any] = json.loads(file.read_text())
    return found
