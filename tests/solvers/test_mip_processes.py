"""The HiGHS process and its parents: Ctrl-C, kills, scripts without a guard, bare interpreters."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

import numpy as np
import pytest

from labelcut.solvers import _mip_child

needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


SCRIPT = """
import sys
import numpy as np
import scipy.sparse as sp
from labelcut.solvers._mip import LinearModel, solve_model

rng = np.random.default_rng(0)
m, n = {size}
a = rng.integers(0, 100, (m, n))
half = np.arange(n) % 2 == 0
slack = np.arange(2 * m) == 0
side = a[:, half].sum(axis=1) + slack[:m]
model = LinearModel(
    np.r_[np.zeros(n), np.ones(2 * m)], sp.csr_array(np.hstack([a, np.eye(m), -np.eye(m)])),
    side, side, np.zeros(n + 2 * m), np.r_[np.ones(n), np.full(2 * m, np.inf)],
    np.ones(n + 2 * m, bool),
)
found = []
def on_update(update):
    found.append(update)
    print("update", flush=True)
try:
    start = np.r_[half, slack].astype(float)
    result = solve_model(model, time_limit=60, start=start, on_update=on_update)
    print(result.status.name, result.objective)
except KeyboardInterrupt:
    print("interrupted after", len(found))
"""


def alive(pid):
    """Say whether a process runs; one that waits for its reaper does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pids, seconds=5.0):
    """Wait for processes to end; list those that did not."""
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return [pid for pid in pids if alive(pid)]


@contextlib.contextmanager
def running_script(folder, children_of):
    """Start a script on a hard model and wait until HiGHS is at work.

    The start is so good that the child then has nothing more to report: a child that writes would
    notice the broken pipe by itself.
    """
    script = folder / "study.py"
    script.write_text(SCRIPT.replace("{size}", "5, 40"))
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with process:
        try:
            assert [process.stdout.readline() for _ in range(2)] == ["update\n"] * 2
            children = children_of(process.pid)
            assert len(children) == 1
            assert "_mip_worker" in Path(f"/proc/{children[0]}/cmdline").read_text()
            yield process, children
        finally:
            process.kill()


@needs_proc
def test_ctrl_c_ends_the_child_and_keeps_the_incumbents(tmp_path, children_of):
    """A terminal sends Ctrl-C to the whole group; only the parent may act on it."""
    with running_script(tmp_path, children_of) as (process, children):
        assert os.getpgid(children[0]) != process.pid
        os.killpg(process.pid, signal.SIGINT)
        out = process.communicate(timeout=10)[0]
    assert "interrupted after" in out
    assert process.returncode == 0
    assert wait_until_gone(children, 1) == []


@needs_proc
def test_a_killed_parent_leaves_no_orphan(tmp_path, children_of):
    """An orphan would keep a core and its memory until the machine restarts."""
    with running_script(tmp_path, children_of) as (process, children):
        process.kill()
    assert wait_until_gone(children) == []


def run_script(folder, python=sys.executable, head=""):
    """Run an unguarded script of another folder from the folder given."""
    script = folder.parent / "elsewhere" / "study.py"
    script.parent.mkdir()
    script.write_text(head + SCRIPT.replace("{size}", "2, 10"))
    return subprocess.run(
        [python, script], cwd=folder, capture_output=True, text=True, timeout=30, check=False
    )


def test_an_unguarded_script_works_from_a_folder_full_of_traps(tmp_path):
    """The child must import neither the user's script nor what lies in the working folder."""
    folder = tmp_path / "traps"
    for name in ("labelcut", "solvers", "problems", "highspy"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise SystemExit('trap')")
    for name in ("numpy", "json", "struct", "runpy", "_mip_worker"):
        (folder / f"{name}.py").write_text("raise SystemExit('trap')")
    done = run_script(folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("OPTIMAL") == 1


def test_packages_found_only_through_sys_path_reach_the_child(tmp_path):
    """An interpreter without NumPy works once the user has put the folders on sys.path."""
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    folders = {str(Path(np.__file__).parent.parent), str(Path(_mip_child.__file__).parents[2])}
    head = f"import sys\nsys.path += {sorted(folders)!r}\n"
    done = run_script(tmp_path, python, head)
    assert done.returncode == 0, done.stderr
    assert "OPTIMAL" in done.stdout
