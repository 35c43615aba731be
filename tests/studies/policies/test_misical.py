"""MiSiCAL learns what is planted, goes on after a kill, and says when nothing can be learned."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from labelcut.models.policies import load_checkpoint, load_policy
from labelcut.models.policies.misical_agent import Agent, Settings
from labelcut.problems.errors import InvalidInput
from labelcut.studies.policies.mining import Limit, PoolTask, mine
from labelcut.studies.policies.misical import (
    Learning,
    Patches,
    early_share,
    explore_pool,
    pretrain,
    train_misical,
)
from labelcut.studies.policies.planted import Delayed, Doors, rare_patches
from labelcut.studies.policies.strategies import Fixed, random_scores

SMALL = Settings(hidden=(16,), batch=64, updates=2, seed=1)


@pytest.fixture(scope="module")
def rare():
    """Draw a small planted pool."""
    return rare_patches(6000, 1000, seed=0, share=0.05)


def pool_of(patches):
    """Return rows that are not labeled."""
    return np.setdiff1d(np.arange(len(patches.features)), patches.labeled)


def frozen_hits(agent, patches, budget=100, size=20):
    """Return what the policy finds when it neither learns nor explores."""
    strategy = Learning(agent, patches.features, learns=False)
    task = PoolTask(patches.holds, pool_of(patches))
    return mine(task, strategy, budget=budget, size=size).rewards


def test_what_is_planted_is_found(rare):
    """The policy would not have learned what the class goes along with."""
    agent = pretrain(rare, SMALL)
    task = PoolTask(rare.holds, pool_of(rare))
    oracle = mine(task, Fixed(rare.holds), budget=100, size=20).rewards.sum()
    task = PoolTask(rare.holds, pool_of(rare))
    chance = mine(task, random_scores(6000, 3), budget=100, size=20).rewards.sum()
    assert chance < 0.2 * oracle
    assert frozen_hits(agent, rare).sum() >= 0.9 * oracle


def test_learning_goes_on_in_the_pool(rare):
    """Labels that were paid would not be remembered."""
    agent = pretrain(rare, SMALL, passes=1)
    before = len(agent.memory)
    found = explore_pool(agent, rare, budget=200, size=20)
    assert len(agent.memory) == before + 200
    assert not np.isin(found.rows, rare.labeled).any()
    assert found.rewards.mean() > 0.5


def test_later_passes_find_the_class_earlier(rare):
    """Weights would not be kept from pass to pass."""
    lines = []
    pretrain(rare, SMALL, tell=lines.append)
    shares = [int(line.split(": ")[1].split("%")[0]) for line in lines]
    assert len(shares) == 4
    assert shares[-1] > 80
    assert shares[-1] > shares[0]


def test_limits_hold_in_every_event(rare):
    """A batch would hold near-duplicates."""
    groups = np.arange(6000) // 3
    agent = pretrain(rare, SMALL, passes=1)
    limit = Limit(groups, 1)
    found = explore_pool(agent, rare, budget=100, size=25, limits=[limit])
    for start in range(0, 100, 25):
        assert len(set(groups[found.rows[start : start + 25]].tolist())) == 25


def delayed_difference(steps, discount, seed=0, events=300):
    """Train on even picks whose rewards come two events late.

    Return by how much patches that hold the class are valued above the others.
    """
    patches = rare_patches(3000, 1500, seed=seed, share=0.2)
    settings = Settings(
        (32,),
        discount=discount,
        steps=steps,
        explore=1.0,
        follow=0.02,
        batch=64,
        updates=2,
        seed=seed,
    )
    agent = Agent(patches.features, settings)
    task = Delayed(patches.holds, patches.labeled, 40)
    mine(task, Learning(agent, patches.features), budget=events, size=1, seed=seed)
    values, holds = agent.values(patches.features), patches.holds > 0
    return values[holds].mean() - values[~holds].mean()


def doors_reward(discount, seed=0):
    """Train where the pick that pays nothing opens what pays; return the reward an event."""
    settings = Settings(
        (16,), discount=discount, steps=1, explore=0.3, updates=3, follow=0.03, batch=64, seed=seed
    )
    features = Doors(0).features
    agent = Agent(features, settings)
    mine(Doors(350), Learning(agent, features), budget=350, size=1)
    strategy = Learning(agent, features, learns=False)
    return mine(Doors(60), strategy, budget=60, size=1, seed=9).rewards.mean()


@pytest.mark.slow
def test_n_steps_reach_rewards_that_come_late():
    """n-step returns would not carry a reward back to the pick that earned it."""
    # Two events later, at γ = 0.9, a pick that surely holds the class is worth 0.81 more.
    assert delayed_difference(3, 0.9) > 0.4
    assert abs(delayed_difference(1, 0.9)) < 0.2


@pytest.mark.slow
def test_discount_looks_beyond_the_next_reward():
    """γ > 0 would not value what a pick makes possible."""
    assert doors_reward(0.0) == pytest.approx(0.2)
    assert doors_reward(0.8) == pytest.approx(Doors.BEST, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_late_rewards_are_learned_whatever_the_seed(seed):
    """One lucky seed would pass for learning."""
    assert 0.4 < delayed_difference(3, 0.9, seed, events=800) < 0.9
    for steps, discount in ((1, 0.9), (3, 0.0)):
        assert abs(delayed_difference(steps, discount, seed, events=800)) < 0.2
    assert doors_reward(0.8, seed) > 0.45


def test_same_seed_same_policy(rare, tmp_path):
    """Nobody could repeat a training."""
    one = train_misical(rare, SMALL, tmp_path / "a", passes=1)
    other = train_misical(rare, SMALL, tmp_path / "b", passes=1)
    assert one.fingerprint == other.fingerprint
    assert load_policy(tmp_path / "a").fingerprint == one.fingerprint


KILLED = """
import os, signal, sys
from pathlib import Path
from labelcut.models.policies.misical_agent import Agent, Settings
from labelcut.studies.policies.misical import train_misical
from labelcut.studies.policies.planted import rare_patches

learn, events = Agent.learn, []

def learn_or_die(agent):
    events.append(learn(agent))
    if len(events) == 26:
        os.kill(os.getpid(), signal.SIGKILL)

Agent.learn = learn_or_die
patches = rare_patches(3000, 1000, seed=0, share=0.1)
settings = Settings(hidden=(16,), batch=64, updates=2, discount=0.5, seed=1)
train_misical(patches, settings, Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_as_an_unbroken_one(tmp_path):
    """A kill would cost the training, or end in another policy."""
    # Ten events a pass: it dies within the third.
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "broken"])
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "broken" / "policy.json").exists()
    patches = rare_patches(3000, 1000, seed=0, share=0.1)
    settings = Settings(hidden=(16,), batch=64, updates=2, discount=0.5, seed=1)
    told = {"broken": [], "whole": []}
    for name, lines in told.items():
        train_misical(patches, settings, tmp_path / name, tell=lines.append)
    assert [line[:6] for line in told["broken"]] == ["pass 3", "pass 4"]
    assert told["broken"] == told["whole"][2:]
    for name in ("policy.json", "weights.safetensors", "training.checkpoint"):
        one, other = (tmp_path / folder / name for folder in ("broken", "whole"))
        assert one.read_bytes() == other.read_bytes()


def test_a_folder_of_another_training_is_refused(rare, tmp_path):
    """Two trainings would mix."""
    pretrain(rare, SMALL, passes=1, folder=tmp_path)
    other = Settings(hidden=(16,), batch=64, updates=2, seed=2)
    with pytest.raises(ValueError, match="begun with another settings"):
        pretrain(rare, other, passes=1, folder=tmp_path)
    changed = rare_patches(6000, 1000, seed=5, share=0.05)
    with pytest.raises(ValueError, match="begun with another data"):
        pretrain(changed, SMALL, passes=1, folder=tmp_path)


def test_training_begins_with_an_earlier_memory(rare, tmp_path):
    """When labels arrive, what was learned before would be thrown away."""
    first = pretrain(rare, SMALL, passes=1, folder=tmp_path / "a")
    second = pretrain(rare, SMALL, passes=1, begin=tmp_path / "a")
    assert len(second.memory) == len(first.memory) + len(rare.labeled)
    with pytest.raises(InvalidInput, match=r"must hold training\.checkpoint"):
        pretrain(rare, SMALL, begin=tmp_path / "nowhere")
    wide = Settings(hidden=(32,), batch=64)
    with pytest.raises(InvalidInput, match="trained with another network"):
        pretrain(rare, wide, begin=tmp_path / "a")


@pytest.mark.parametrize("at", [13, 3])
def test_nan_in_values_stops_and_keeps_the_memory(rare, tmp_path, monkeypatch, at):
    """The memory, which is what labels were paid for, would be lost: of a first pass too."""
    learn, events = Agent.learn, []

    def learn_or_break(agent):
        events.append(learn(agent))
        if len(events) == at:
            agent.local.layers[0].weight.data.fill_(np.nan)

    monkeypatch.setattr(Agent, "learn", learn_or_break)
    with pytest.raises(ValueError, match=r"finite.* memory is kept in .*stopped\.checkpoint"):
        pretrain(rare, SMALL, passes=2, folder=tmp_path)
    # Ten events a pass, of 100 picks each.
    kept = load_checkpoint(tmp_path / "stopped.checkpoint", {})
    assert kept["agent"]["memory"]["size"] == 100 * at
    whole = load_checkpoint(tmp_path / "training.checkpoint")
    assert (whole is None) == (at < 10)
    assert whole is None or whole["agent"]["memory"]["size"] == 1000


def with_holds(patches, holds):
    """Return patches of which others hold the class."""
    return Patches(patches.features, holds, patches.labeled)


def test_a_class_that_never_occurs_stops_with_the_reason(rare):
    """Training would run on zeros and return a policy that knows nothing."""
    with pytest.raises(InvalidInput, match="none of 1,000 labeled patches holds the class"):
        with_holds(rare, np.zeros(6000))


def test_a_class_that_occurs_only_beyond_the_labels_stops_too(rare):
    """Labels that were not paid for would be looked at."""
    hidden = np.ones(6000)
    hidden[rare.labeled] = 0
    with pytest.raises(InvalidInput, match="nothing can be learned"):
        with_holds(rare, hidden)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"features": np.zeros((5, 4))}, r"must have shape \(N, 3 \+ C\)"),
        ({"features": np.full((6000, 9), np.nan)}, "features: must be finite; row 0 is not"),
        ({"holds": np.zeros(9)}, "one value for each of 6,000 rows; 9 came"),
        ({"holds": np.full(6000, 0.5)}, "must be 0 or 1 at labeled rows"),
        ({"labeled": np.zeros(0, np.int64)}, "must name rows; none came"),
        ({"labeled": np.array([6000])}, "labeled: rows go from 0 to 5,999; 6000 came"),
    ],
)
def test_patches_that_make_no_sense_are_refused(rare, change, words):
    """A traceback would come from deep inside, or a wrong policy."""
    given = {"features": rare.features, "holds": rare.holds, "labeled": rare.labeled}
    with pytest.raises(InvalidInput, match=words):
        Patches(**{**given, **change})


def test_a_pool_smaller_than_the_budget_is_refused(rare):
    """Fewer labels than asked for would come back without a word."""
    agent = Agent(rare.features, SMALL)
    with pytest.raises(InvalidInput, match="6,000 picks are asked for, the pool has 5,000"):
        explore_pool(agent, rare, budget=6000)


def test_early_share_counts_the_first_half():
    """The line that training tells would mislead."""
    task = PoolTask(np.array([1, 1, 0, 1]), np.arange(4))
    found = mine(task, Fixed(np.array([4.0, 3, 2, 1])), budget=4, size=1)
    assert early_share(found) == pytest.approx(2 / 3)
