"""A small pool, quick learners, and campaign files over them."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from labelcut.studies.campaign.files import read_campaign
from labelcut.studies.campaign.loop import Run, truth_of
from labelcut.studies.campaign.store import Store

FILE = """
labelcut = 1
[campaign]
budget = [9, 6]
cycles = 2
seeds = 2
{campaign}
[data]
inputs = "x.npy"
truth = "y.npy"
test_inputs = "test_x.npy"
test_truth = "test_y.npy"
{data}
[learner]
epochs = 6
batch = 4
learning_rate = 0.02
hidden = 8
{learner}
[[strategy]]
name = "lowest"
choose = "own.py:lowest"
[[strategy]]
name = "unsure"
choose = "unsure.py:unsure"
{strategy}
"""
LOWEST = '''
"""Strategies of a test's own."""
def lowest(round):
    return round.candidates[: round.budget]
'''
UNSURE = '''
"""Another one, which needs the model and its own memory."""
import numpy as np
def unsure(round):
    round.memory["calls"] = round.memory.get("calls", 0) + 1
    order = np.lexsort((round.candidates, round.probs[round.candidates].max(axis=1)))
    return round.candidates[order[: round.budget]]
'''


def write(folder, campaign="", data="", learner="", strategy=""):
    """Write a campaign over 60 points in three blobs, and a test set of 30."""
    rng = np.random.default_rng(5)
    for name, size in (("", 60), ("test_", 30)):
        y = np.arange(size) % 3
        x = rng.normal(size=(size, 4)) + 1.5 * np.eye(3, 4)[y]
        np.save(folder / f"{name}x.npy", x.astype(np.float32))
        np.save(folder / f"{name}y.npy", y)
    (folder / "own.py").write_text(LOWEST)
    (folder / "unsure.py").write_text(UNSURE)
    path = folder / "blobs.toml"
    text = FILE.format(campaign=campaign, data=data, learner=learner, strategy=strategy)
    path.write_text(text)
    return path


@pytest.fixture
def undrawn(monkeypatch):
    """Leave a report's pictures empty: drawing is most of its time."""
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: None)


@pytest.fixture
def blobs(tmp_path):
    """Write a campaign file with further lines in its tables."""

    def make(**lines):
        folder = tmp_path / "blobs"
        folder.mkdir(exist_ok=True)
        return write(folder, **lines)

    return make


@pytest.fixture
def read(blobs):
    """Read a campaign with further lines in its tables."""

    def make(**lines):
        return read_campaign(blobs(**lines))

    return make


@pytest.fixture
def finish():
    """Run runs of a campaign in this process, each for so many cycles; return their records."""

    def run(campaign, name="unsure", seed=0, cycles=99):
        store = Store(campaign.folder)
        with store.opened(campaign):
            one = Run(campaign, store, campaign.entrant(name), seed, truth_of(campaign))
            for _ in range(cycles):
                if one.is_over:
                    break
                store.add(one.next(), campaign.pool.ids)
        return store.results().run(name, seed)

    return run


@pytest.fixture
def started(tmp_path):
    """Start commands that are still running when the test goes on; end them with it."""
    running = []

    def run(*arguments, environment=None, **options):
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "labelcut", "campaign", *map(str, arguments)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            **options,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()
