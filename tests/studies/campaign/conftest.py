"""A small pool, quick learners, and campaign files over them."""

import os
import signal
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import nn

from labelcut.studies.campaign import Learner, Pool, Round
from labelcut.studies.campaign.files import read_campaign
from labelcut.studies.campaign.loop import Run, truth_of
from labelcut.studies.campaign.store import Store
from labelcut.studies.campaign.strategies import STRATEGIES

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


def make_model(seed):
    """Return a small network with dropout, for digits as images."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 10)
    )


def train(model, inputs, labels, *, seed, weights=None, progress=None):
    """Train for a few epochs, all rows in every step."""
    torch.manual_seed(seed)
    x, y = torch.tensor(inputs), torch.tensor(labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    model.train()
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        if progress is not None:
            progress(model)
    return model.eval()


@cache
def digits():
    """Return a long video of 600 digits, ten a video, as a pool with a test set."""
    images, truth = load_digits(return_X_y=True)
    images = (images / 16).reshape(-1, 1, 8, 8).astype(np.float32)
    return Pool(
        images[:600],
        truth[:600],
        images[600:800],
        truth[600:800],
        classes=10,
        table={"video": np.repeat(np.arange(60), 10), "frame": np.tile(np.arange(10), 60)},
    )


@cache
def trained():
    """Return the first cycle's model and the dispersion of its training."""
    pool, changes = digits(), []
    model = train(
        make_model(0),
        pool.inputs[:60],
        pool.truth[:60],
        seed=0,
        progress=lambda now: changes.append(now(torch.as_tensor(pool.inputs)).argmax(1).numpy()),
    )
    votes = np.stack([(np.stack(changes) == label).sum(axis=0) for label in range(10)])
    return model, 1 - votes.max(axis=0) / len(changes)


@pytest.fixture
def make_round():
    """Return a function that makes a round of the digits, 60 of them labeled."""

    def make(options=None, seed=1, **changes):
        pool = changes.pop("pool", digits())
        model, dispersion = trained()
        stated = {
            "pool": pool,
            "labeled": np.arange(60),
            "labels": pool.truth[:60],
            "budget": 40,
            "cycle": 0,
            "seed": seed,
            "model": model,
            "learner": Learner(make_model, train),
            "options": options or {},
            "barred": np.arange(590, 600),
            "tracked": dispersion,
        }
        return Round(**{**stated, **changes})

    return make


@pytest.fixture(scope="session")
def chosen():
    """Return a function: the rows a strategy chooses, after what it prepares."""

    def choose(name, round):
        strategy = STRATEGIES[name]
        if strategy.prepare is not None:
            strategy.prepare(round)
        return strategy.choose(round).indices

    return choose
