"""How long the examples take that lead from a model to chosen rows.

python benchmarks/examples.py
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from _results import write_section

from models import _row

TITLE, SCRIPT = "Examples", "benchmarks/examples.py"
EXAMPLES = Path(__file__).parents[1] / "examples"
LIMIT, CAMVID = 120, "CamVid"

HEAD = f"""\
Each script whole, as its first lines say to run it, in a fresh process on all cores: training,
scores, problem, solution, pictures. Digits is then solved by `labelcut solve` (60 s at most); the
others choose by themselves. The target is {LIMIT} s of the clock on two cores.

| example | data | CPU s | wall s |
|---|---|---:|---:|
"""
RUNS = (
    ("digits", "scans that scikit-learn ships", ["digits.toml"]),
    ("segmentation", "drawn", []),
    ("segmentation", CAMVID, []),
    ("detection", "drawn", []),
)


def measured(example: str, data: str, solved: list[str]) -> str:
    """Run an example and return its line of the table."""
    without = {"OMP_NUM_THREADS", *(() if data == CAMVID else ("LABELCUT_DATA",))}
    environment = {name: value for name, value in os.environ.items() if name not in without}
    with TemporaryDirectory() as folder:
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        commands = [[EXAMPLES / example / "make.py", "--out", folder + "/made"]]
        commands += [["-m", "labelcut", "solve", f"{folder}/made/{name}"] for name in solved]
        for command in commands:
            subprocess.run(
                [sys.executable, *command], check=True, env=environment, stdout=subprocess.DEVNULL
            )
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return _row(example, data, f"{cpu:.1f}", f"{wall:.1f}")


def main() -> None:
    """Measure and write the section."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    there = [run for run in RUNS if run[1] != CAMVID or "LABELCUT_DATA" in os.environ]
    write_section(TITLE, SCRIPT, HEAD + "\n".join(measured(*run) for run in there))


if __name__ == "__main__":
    main()
