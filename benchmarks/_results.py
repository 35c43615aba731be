"""What benchmarks share: fresh processes, and a section each of RESULTS.md on a named machine."""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = "# Results\n\nWritten by the scripts in this folder; each section names its script.\n"
REPEATS, SHORT = 3, 20.0
"""Runs up to this many seconds are repeated."""
EARLIER = "from an earlier run"
"""Remark at rows that were not measured with the others."""


def in_child(
    script: str,
    request: Mapping[str, Any],
    *,
    kill_after: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run ``script child REQUEST`` in a fresh process and return the JSON it prints last.

    Raises
    ------
    subprocess.TimeoutExpired
        The process was killed after so many seconds.
    subprocess.CalledProcessError
        It failed.
    """
    done = subprocess.run(
        [sys.executable, script, "child", json.dumps(request)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=kill_after,
        env={**os.environ, **(environment or {})},
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def asked(about: str | None, tables: Sequence[str]) -> argparse.ArgumentParser:
    """Return a parser of which tables to measure, all by default, for how many seeds."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--only", choices=tables, action="append", help="tables; default: all")
    parser.add_argument("--seeds", type=int, default=10)
    return parser


def repeated(measure: Callable[[], dict[str, Any]], short: float = SHORT) -> list[dict[str, Any]]:
    """Measure several times, or once if it takes long."""
    results = [measure()]
    while len(results) < REPEATS and results[0]["seconds"] <= short:
        results.append(measure())
    return results


def machine() -> str:
    """Return the processor, the cores this process may use, and the Python version."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":")[1].strip() if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, Python {platform.python_version()}"


def write_section(title: str, script: str, body: str) -> None:
    """Put a section into RESULTS.md, in the place of the one with the same title."""
    text = RESULTS.read_text() if RESULTS.exists() else HEAD
    section = f"## {title}\n\n`{script}` on {machine()}.\n\n{body.strip()}\n"
    before, found, rest = text.partition(f"## {title}\n")
    after = "\n## " + rest.split("\n## ", 1)[1] if found and "\n## " in rest else ""
    RESULTS.write_text(f"{before.rstrip()}\n\n{section}{after}")
    print(section)


def written_tables(title: str) -> dict[str, str]:
    """Return the tables that stand in a section already, by their titles."""
    text = RESULTS.read_text() if RESULTS.exists() else ""
    section = text.partition(f"## {title}\n")[2].split("\n## ", 1)[0]
    parts = [part.partition("\n") for part in section.split("\n### ")[1:]]
    return {name: body.strip() for name, _, body in parts}


def write_tables(
    title: str, script: str, intro: str, order: Sequence[str], tables: Mapping[str, str]
) -> None:
    """Write a section of tables under their titles; those not given stay as they stand."""
    every = {**written_tables(title), **tables}
    body = [intro, *(f"### {name}\n\n{every[name]}" for name in order if name in every)]
    write_section(title, script, "\n\n".join(body))
