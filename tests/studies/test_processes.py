"""Comparisons from scripts: unguarded ones, among files with our names, and interrupted."""

import signal
import subprocess
import sys
import time

import pytest

SCRIPT = """
import numpy as np
from labelcut import ClassBalanced, compare

problem = ClassBalanced(np.repeat(np.eye(2), 3, axis=0), [9, 8, 7, 3, 2, 1], 2, balance=10)
for row in compare(problem, ["exact", "top"]).rows():
    print(row["method"], round(row["objective"], 6))
"""

INTERRUPTED = """
import os, signal
import numpy as np
import labelcut
from labelcut.studies import comparing

real = comparing.subprocess.Popen

class Popen(real):
    def __init__(self, command, **arguments):
        super().__init__(command, **arguments)
        if '"method": "greedy"' in command[-1]:
            print(self.pid, flush=True)
            os.kill(os.getpid(), signal.SIGINT)

comparing.subprocess.Popen = Popen
problem = labelcut.ClassBalanced(np.eye(4), [4, 3, 2, 1], 2)
comparison = labelcut.compare(problem, ["top", "greedy", "random"])
print(comparison.interrupted, [run.method for run in comparison.runs])
"""


def run(script, folder, cwd):
    """Run a script from a file in `folder`, with Ctrl-C working as in a terminal."""
    path = folder / "study.py"
    path.write_text(script)
    return subprocess.run(
        [sys.executable, str(path)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_an_unguarded_script_runs_once(tmp_path):
    """A script without a main guard would run again in every child."""
    done = run(SCRIPT, tmp_path, tmp_path)
    assert done.stdout.splitlines() == ["exact -12.0", "top 3.0"], done.stderr
    assert done.stderr == ""


@pytest.fixture
def traps(tmp_path):
    """Fill a folder with files that have the names of modules we import."""
    folder = tmp_path / "traps"
    folder.mkdir()
    for name in ("labelcut", "numpy", "json", "subprocess", "highspy", "cli"):
        (folder / f"{name}.py").write_text(f"raise RuntimeError('trap: {name}')\n")
    for name in ("solvers", "problems", "studies", "scipy"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise RuntimeError('trap: {name}')\n")
    return folder


def test_files_with_our_names_stay_out(tmp_path, traps):
    """A user's own numpy.py or solvers/ in the working folder would be imported by the children."""
    done = run(SCRIPT, tmp_path, traps)
    assert done.stdout.splitlines() == ["exact -12.0", "top 3.0"], done.stderr
    assert done.stderr == ""


def test_ctrl_c_in_a_script_returns_what_had_finished(tmp_path):
    """A script could not use what was finished before Ctrl-C, or its child would go on.

    Here Ctrl-C comes at the worst moment: the child is there, and nobody holds it yet.
    """
    done = run(INTERRUPTED, tmp_path, tmp_path)
    assert done.returncode == 0, done.stderr
    pid, result = done.stdout.splitlines()
    assert result == "True ['top']"
    deadline = time.monotonic() + 5
    while runs_labelcut(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not runs_labelcut(int(pid))


def runs_labelcut(pid):
    """Whether a process is there and runs labelcut."""
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return "labelcut" in file.read()
    except OSError:
        return False
