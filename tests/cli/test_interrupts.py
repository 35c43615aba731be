"""Ctrl-C on real processes: what was found is saved, and no process stays behind."""

import json
import os
import signal
import time

import numpy as np
import pytest

import labelcut


@pytest.fixture
def hard(tmp_path):
    """Write a problem that `exact` works on for minutes, with its first answer at once."""
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(20, 0.3), 900)
    labelcut.ClassBalanced(probs, labelcut.entropy(probs), 200).save(tmp_path / "hard.toml")
    return tmp_path / "hard.toml"


def test_ctrl_c_saves_the_best_answer_so_far(started, command, family, hard):
    """Ctrl-C would lose what was found, leave HiGHS running, or leave a file that is no answer."""
    process = started("solve", "hard.toml", "--method", "exact", "--time-limit", 600)
    children = family.wait_for(process, "_mip_worker")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert "feasible (Ctrl-C)" in err
    assert family.survivors(children) == []
    saved = json.loads((hard.with_suffix(".selection.json")).read_text())
    assert saved["stopped_by"] == "interrupt"
    assert command("check", "hard.toml", "hard.selection.json").code == 0
    assert {path.name for path in hard.parent.iterdir()} == {
        *("hard.toml", "hard.data", "hard.selection.json"),
    }


def test_ctrl_c_while_reading_is_quiet(started, two_classes):
    """Ctrl-C before anything was found would print a traceback or save something."""
    text = two_classes.read_text().replace("utility.npy", "utility.txt")
    two_classes.write_text(text)
    pipe = two_classes.with_name("utility.txt")
    os.mkfifo(pipe)
    process = started("solve", "two.toml", "--method", "top")
    deadline = time.monotonic() + 30
    writer = None
    while writer is None and time.monotonic() < deadline:
        try:
            writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.02)
    assert writer is not None, "the command never came to read its utility"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    os.close(writer)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert not two_classes.with_suffix(".selection.json").exists()


def test_ctrl_c_returns_the_methods_that_had_finished(started, family, hard):
    """A long comparison would be lost, or its child go on without it."""
    arguments = ["--method", "top", "--method", "exact", "--method", "greedy", "--json"]
    process = started("compare", "hard.toml", *arguments)
    children = family.wait_for(process, '"method": "exact"')
    children = family.wait_for(process, "_mip_worker") + children
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err
    comparison = json.loads(out)["comparison"]
    assert comparison["interrupted"] is True
    assert [row["method"] for row in comparison["methods"]] == ["top"]
    assert family.survivors(children) == []


def test_no_process_outlives_a_killed_comparison(started, family, hard):
    """A comparison that is killed would leave a solver running for good."""
    process = started("compare", "hard.toml", "--method", "exact", "--time-limit", 600)
    children = family.wait_for(process, "_mip_worker")
    assert len(children) == 2
    process.kill()
    process.communicate()
    assert family.survivors(children) == []
