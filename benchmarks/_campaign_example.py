"""The campaign example as its README runs it: what it takes, and what of that is the loop's own."""

import compileall
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import labelcut
from labelcut.studies.campaign import load_results
from labelcut.studies.campaign.watching import seconds_by_part

PACKAGE = Path(labelcut.__file__).parent
EXAMPLE = Path(__file__).parents[1] / "examples" / "campaign"
OWN = {
    "parent": "the process that was called",
    "start": "start of the others, until they have torch and the pool",
    "choose": "choosing",
    "rest": "the loop itself",
}


def example_table(folder: Path) -> str:
    """Run the example from its beginning in a folder, and tabulate where the time went."""
    home = folder / "example"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for file in ("digits.toml", "make.py"):
        shutil.copy(EXAMPLE / file, home)
    clock, load = _run(home / "digits.toml")
    parts = seconds_by_part(load_results(home / "digits.campaign"))
    whole = sum(parts.values())
    own = sum(parts[name] for name in OWN)
    stated = tomllib.loads((home / "digits.toml").read_text())
    plan = stated["campaign"]
    head = (
        f"`labelcut campaign run examples/campaign/digits.toml`: {len(stated['strategy'])} "
        f"strategies × {plan['seeds']} seeds × {plan['cycles']} cycles of choosing, and a line of "
        f"models that have learned from every row, in {plan['workers']} processes of one thread: "
        f"{clock:.0f} s of the clock, report included (load average before: {load:.1f}). By "
        "`labelcut campaign status`, without the report:"
    )
    lines = ["| | processor s | share |", "|---|---:|---:|"]
    rows = {"training": parts["train"], "scoring": parts["score"]}
    rows |= {told: parts[name] for name, told in OWN.items()}
    rows |= {"all": whole, "all but training and scoring": own}
    lines += [f"| {told} | {value:.1f} | {value / whole:.1%} |" for told, value in rows.items()]
    return "\n".join([head, "", *lines])


def _run(file: Path) -> tuple[float, float]:
    """Return seconds of the clock, and the load before."""
    # As an installed package is: compiled.
    for room in ("cli", "models", "problems", "solvers", "studies"):
        compileall.compile_dir(PACKAGE / room, quiet=2)
    names = ("PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    load, begun = os.getloadavg()[0], time.perf_counter()
    command = [sys.executable, "-P", "-m", "labelcut", "campaign", "run", str(file)]
    subprocess.run(command, check=True, env=environment)
    return time.perf_counter() - begun, load
