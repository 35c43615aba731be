"""Start-up, validation and the digits example: the figures of the ground floor.

python benchmarks/house.py
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _results import write_section

ROWS, CLASSES = 1_000_000, 100
VALIDATE = """
import sys, time
import numpy as np
from labelcut.problems import ClassBalanced
from labelcut.solvers._mip_worker import peak_bytes
probs = np.load(sys.argv[1], mmap_mode="r")
utility = np.zeros(len(probs))
before, start = peak_bytes(), time.perf_counter()
problem = ClassBalanced(probs, utility, 1000)
problem.fingerprint
print(time.perf_counter() - start, (peak_bytes() - before) / 1e6)
"""


def main() -> None:
    """Measure and write the section."""
    with TemporaryDirectory() as folder:
        rows = [
            ("`import labelcut`", "0.3 s", _seconds([sys.executable, "-c", "import labelcut"])),
            ("`labelcut --help`", "0.6 s", _seconds([sys.executable, "-m", "labelcut", "--help"])),
            *_validation(Path(folder)),
            ("digits example: train, score, `compare`", "60 s", _digits(Path(folder))),
        ]
    lines = ["| what | target | measured |", "|---|---|---|"]
    lines += [f"| {what} | {target} | {measured} |" for what, target, measured in rows]
    write_section("The house", "benchmarks/house.py", "\n".join(lines))


def _seconds(command: Sequence[str], repeats: int = 7) -> str:
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - start)
    return f"{statistics.median(taken):.2f} s (median of {repeats})"


def _validation(folder: Path) -> list[tuple[str, str, str]]:
    path = folder / "probs.npy"
    rng = np.random.default_rng(0)
    array = np.lib.format.open_memmap(path, "w+", dtype=np.float32, shape=(ROWS, CLASSES))
    for start in range(0, ROWS, 50_000):
        values = rng.exponential(size=(50_000, CLASSES)).astype(np.float32)
        array[start : start + 50_000] = values / values.sum(axis=1, keepdims=True)
    array.flush()
    runs = [
        subprocess.run(
            [sys.executable, "-c", VALIDATE, str(path)], check=True, capture_output=True, text=True
        ).stdout.split()
        for _ in range(3)
    ]
    seconds = statistics.median(float(run[0]) for run in runs)
    megabytes = statistics.median(float(run[1]) for run in runs)
    what = f"validate and hash {ROWS:,} x {CLASSES} float32, memory-mapped"
    return [
        (what, "10 s", f"{seconds:.1f} s (median of 3)"),
        (f"{what}: peak resident memory added", "200 MB", f"{megabytes:.0f} MB"),
    ]


def _digits(folder: Path) -> str:
    example = Path(__file__).parents[1] / "examples/digits/make.py"
    problem = folder / "digits" / "digits.toml"
    commands = [
        [sys.executable, example, "--out", problem.parent],
        [sys.executable, "-m", "labelcut", "compare", problem],
    ]
    start = time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, capture_output=True)
    return f"{time.perf_counter() - start:.0f} s"


if __name__ == "__main__":
    main()
