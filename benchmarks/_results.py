"""Where benchmarks write: one section each of RESULTS.md, with the machine named."""

import os
import platform
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = "# Results\n\nWritten by the scripts in this folder; each section names its script.\n"


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
