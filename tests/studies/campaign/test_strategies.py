"""The strategies that come with labelcut: what each one chooses, by a definition of its own."""

from functools import cache

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from labelcut.studies.campaign import Learner, Pool, Round
from labelcut.studies.campaign.strategies import STRATEGIES

BUDGET = 12
PLAIN = sorted(
    name
    for name, strategy in STRATEGIES.items()
    if not {"coherence", "errors"} & (strategy.options or set())
)


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
            "budget": BUDGET,
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


def chosen(name, round):
    """Return the rows a strategy chooses, after what it prepares."""
    strategy = STRATEGIES[name]
    if strategy.prepare is not None:
        strategy.prepare(round)
    return strategy.choose(round).indices


@pytest.mark.parametrize("name", PLAIN)
def test_every_strategy_chooses_what_a_round_asks_for(name, make_round):
    """A campaign would stop, label a row twice, or take rows that audits need."""
    rows = chosen(name, make_round({"time_limit": 2.0}))
    assert len(np.unique(rows)) == len(rows) == BUDGET
    assert not np.isin(rows, np.r_[:60, 590:600]).any()


@pytest.mark.parametrize("name", sorted({*PLAIN} - {"k-center-exact"}))
def test_the_same_seed_chooses_the_same(name, make_round):
    """A run that was killed would go on with other rows than an unbroken one."""
    first, again = (chosen(name, make_round()) for _ in range(2))
    np.testing.assert_array_equal(first, again)
