"""Problem files small enough to work out by hand, and ways to run the command line on them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from labelcut.cli import main

TEXT = """
labelcut = 1
[problem]
kind = "class-balanced"
budget = 2
balance = 1.0
target = [1, 1]
[data]
probs = "probs.npy"
utility = "utility.npy"
"""


class Result(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one object on stdout."""
        return json.loads(self.out)


@pytest.fixture
def two_classes(tmp_path):
    """Write three rows of class 0 that are useful and three of class 1 that are less so.

    The best two are rows 0 and 3: -(0.9 + 0.3) + 0 = -1.2. Top utility takes rows 0 and 1:
    -(0.9 + 0.8) + |1 - 2| + |1 - 0| = 0.3.
    """
    np.save(tmp_path / "probs.npy", np.repeat(np.eye(2), 3, axis=0))
    np.save(tmp_path / "utility.npy", np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1]))
    path = tmp_path / "two.toml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def with_lines():
    """Add lines to the end of a problem file."""

    def add(path, lines):
        path.write_text(path.read_text() + lines)
        return path

    return add


@pytest.fixture
def labelcut(monkeypatch, capsys):
    """Run the command line in this process."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["labelcut", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Result(ended.value.code or 0, out, err)

    return run


def start(*arguments, cwd):
    """Start the command line in a process of its own, with Ctrl-C working as in a terminal."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "labelcut", *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has Ctrl-C switched off for all children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.fixture
def command(tmp_path):
    """Run the command line as a user does, in a process of its own."""

    def run(*arguments, cwd=tmp_path):
        process = start(*arguments, cwd=cwd)
        out, err = process.communicate(timeout=60)
        return Result(process.returncode, out, err)

    return run


@pytest.fixture
def started(tmp_path):
    """Start commands that are still running when the test goes on; end them with it."""
    running = []

    def run(*arguments):
        running.append(start(*arguments, cwd=tmp_path))
        return running[-1]

    yield run
    for process in running:
        process.kill()
        process.communicate()


def descendants(pid):
    """Children of a process, their children, and so on."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int(_state(folder.name)[1])
    found = [pid]
    for parent in found:
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found[1:]


def is_running(pid):
    """Whether a process is there and no zombie."""
    try:
        return _state(pid)[0] not in "ZX"
    except OSError:
        return False


def _state(pid):
    """State, parent and more of a process; its name before that may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@pytest.fixture
def family():
    """Find and wait for the processes below another one."""
    if not os.path.exists("/proc/self/stat"):
        pytest.skip("needs /proc to see processes")
    return Family()


class Family:
    """The processes below a process."""

    def wait_for(self, process, word, seconds=30.0):
        """Wait until a descendant has a word on its command line; return all descendants."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            found = descendants(process.pid)
            for pid in found:
                with contextlib.suppress(OSError):
                    if word in Path(f"/proc/{pid}/cmdline").read_text():
                        return found
            time.sleep(0.02)
        raise AssertionError(f"no process with {word!r} on its command line in {seconds} s")

    def survivors(self, pids, seconds=5.0):
        """Wait until processes are gone; return those that are not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(map(is_running, pids)):
            time.sleep(0.02)
        return [pid for pid in pids if is_running(pid)]
