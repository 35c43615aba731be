"""RALIS in games: training, resuming, applying, and what it says when it cannot go on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labelcut.models.policies import load_checkpoint, load_policy, save_policy
from labelcut.models.policies.ralis import RalisAgent, RalisSettings, UnstableValues
from labelcut.models.policies.ralis_features import RalisFeatures
from labelcut.problems.errors import InvalidInput
from labelcut.studies.policies.acquiring import BASELINES, acquire, class_entropy, frozen, untrained
from labelcut.studies.policies.planted_regions import PlantedGame, PlantedWorld
from labelcut.studies.policies.pools import choose_from_pools
from labelcut.studies.policies.ralis import RalisTraining, Schedule, explored
from labelcut.studies.policies.region_game import Batches

SMALL = Batches(pools=4, size=6, budget=24)
FEATURES = RalisFeatures(classes=5, cells=1)


def training(episodes=3, folder=None, seed=0, **settings):
    """Return a short training in a small planted world."""
    game = PlantedGame(PlantedWorld(regions=200, rare=0.2))
    own = RalisSettings(**{"batch": 4, "replay": 50, **settings})
    return RalisTraining(game, FEATURES, SMALL, own, Schedule(episodes), seed, folder)


def test_same_seed_same_policy():
    """A result could not be had again."""
    one, same, other = (training(seed=seed).run().fingerprint for seed in (0, 0, 1))
    assert one == same
    assert one != other


def test_a_reward_is_what_the_score_gained(monkeypatch):
    """The last steps of a game would seem to pay for all that came before."""
    remember, told = RalisAgent.remember, []

    def note(self, state, actions, reward, following, *, done):
        told.append((len(actions), reward, done))
        remember(self, state, actions, reward, following, done=done)

    monkeypatch.setattr(RalisAgent, "remember", note)
    one = training(1)
    one.run()
    paid = one.game._paid
    assert len(paid) == 6
    assert told == [(4, count, at == 5) for at, count in enumerate(paid)]
    assert one.episodes[0].gain == sum(paid) > 0


def test_a_pool_that_explores_takes_no_region_from_another():
    """A pool that draws at random would cost another one the region it knows to be best."""
    drew = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        pools = np.stack([rng.choice(9, 5, replace=False) for _ in range(4)])
        values = rng.permutation(100)[:20].reshape(4, 5).astype(float)
        some = explored(values, 0.5, rng)
        knows = (some == values).all(axis=1)
        places = choose_from_pools(some, pools).places
        best = choose_from_pools(np.where(knows[:, None], values, 0.0), pools)
        assert values[knows, places[knows]].sum() == pytest.approx(best.utility)
        drew += int((places[~knows] != values[~knows].argmax(axis=1)).sum())
    assert drew > 30


def test_resumed_training_equals_an_unbroken_one(tmp_path, monkeypatch):
    """A killed training would end elsewhere than one that was left alone."""
    unbroken = training(5)
    expected = unbroken.run()
    broken, played = training(5, tmp_path / "p"), []
    play = RalisTraining._episode

    def killed(self, agent):
        if len(played) == 2:
            # In the middle of an episode: the agent has learned what must be forgotten.
            play(self, agent)
            raise KeyboardInterrupt
        played.append(1)
        return play(self, agent)

    monkeypatch.setattr(RalisTraining, "_episode", killed)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    monkeypatch.undo()
    again = training(5, tmp_path / "p")
    assert again.run().fingerprint == expected.fingerprint
    assert again.episodes == unbroken.episodes


def test_another_training_does_not_go_on_with_this_one(tmp_path):
    """A policy would be trained by two kinds of settings, and say one."""
    training(1, tmp_path).run()
    with pytest.raises(ValueError, match="discount"):
        training(1, tmp_path, discount=0.25).run()


def test_nan_stops_and_keeps_the_memory(tmp_path, monkeypatch):
    """What was played would be lost, or regions be chosen by NaN."""
    learn = RalisAgent.learn

    def broken(self):
        found = learn(self)
        if len(self.memory) > 30:
            with torch.no_grad():
                self.query.score.weight.fill_(float("nan"))
        return found

    monkeypatch.setattr(RalisAgent, "learn", broken)
    with pytest.raises(UnstableValues, match="lower the learning rate"):
        training(5, tmp_path).run()
    kept = load_checkpoint(tmp_path / "stopped.pt", {})
    assert kept["agent"]["memory"]["size"] > 30
    assert np.isfinite(kept["agent"]["memory"]["rows"]["reward"]).all()


def test_a_class_that_never_occurs_is_told():
    """A policy would be trained on nothing and look like any other."""
    stuck = training(5)
    stuck.game.pays[:] = False
    with pytest.raises(InvalidInput, match="the score did not change in 3 episodes"):
        stuck.run()


@pytest.mark.parametrize("batches", [Batches(4, 60, 4), Batches(4, 6, 200)], ids=repr)
def test_too_few_regions_are_told_before_anything_is_played(batches):
    """A training would fail in its last step."""
    with pytest.raises(InvalidInput, match="lower the budget, the pools, or their size"):
        replace(training(), batches=batches).run()


@pytest.mark.parametrize("wrong", [{"pools": 0}, {"size": 0}, {"budget": 0}])
def test_batches_that_cannot_be_are_refused(wrong):
    """An episode would end in a division by zero, or before it began."""
    with pytest.raises(InvalidInput, match="pools, size, budget"):
        Batches(**wrong)


def test_epsilon_falls_as_stated():
    """Nothing would be tried out, or nothing learned be used."""
    schedule = Schedule(episodes=10, epsilon=(1.0, 0.2), exploring=0.5)
    found = [schedule.epsilon_at(step, 4) for step in (0, 10, 20, 39)]
    np.testing.assert_allclose(found, [1.0, 0.6, 0.2, 0.2])


def test_exploring_pools_choose_evenly_and_leave_the_others_alone():
    """Exploration would favour regions, or take them from pools that know what they want."""
    from labelcut.studies.policies.pools import choose_from_pools
    from labelcut.studies.policies.ralis import explored

    rng = np.random.default_rng(0)
    values = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    picked = np.zeros(3)
    for _ in range(300):
        drawn = explored(values, 1.0, rng)
        picked[drawn[0].argmax()] += 1
    assert picked.min() > 70
    np.testing.assert_array_equal(explored(values, 0.0, rng), values)
    # Both pools hold the best region: the one that does not explore has it.
    regions = np.array([[1, 2, 9], [3, 4, 9]])
    greedy = []
    for _ in range(40):
        drawn = explored(values, 0.5, rng)
        known = [k for k in range(2) if (drawn[k] == values[k]).all()]
        if len(known) == 1:
            greedy.append(choose_from_pools(drawn, regions).regions[known[0]])
    assert len(greedy) > 5
    assert set(greedy) == {9}


def test_baselines_are_what_they_are_called():
    """Tables would compare with something else than entropy and BALD."""
    game = PlantedGame(PlantedWorld(regions=200, rare=0.2))
    uniform, entropy, bald = BASELINES
    found = acquire(game, entropy, replace(SMALL, budget=4), seed=3)
    again = acquire(game, bald, replace(SMALL, budget=4), seed=3)
    # In this world BALD is the entropy, and the pools are those of the seed.
    np.testing.assert_array_equal(found.regions, again.regions)
    sums = game.look(game.regions).entropy
    assert sums[found.regions].mean() > np.quantile(sums, 0.7)
    drawn = acquire(game, replace(uniform, size=6), SMALL, seed=3)
    assert len(set(drawn.regions)) == 24
    assert drawn.strategy == "U"


def test_acquisition_is_frozen_and_seeded():
    """Evaluating a policy would change it, or never be the same twice."""
    policy = training().run()
    before = policy.fingerprint
    game = PlantedGame(PlantedWorld(regions=300, rare=0.2), seed=9)
    one, same = (acquire(game, frozen(policy), SMALL, seed=1).regions for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert policy.fingerprint == before
    assert untrained(policy, 3).fingerprint != before
    assert untrained(policy, 3).features == policy.features


def test_policies_carry_over_to_other_data_of_as_many_classes(tmp_path):
    """A saved policy would be of use for the data it was trained on alone, or be misapplied."""
    policy = load_policy(save_policy(training().run(), tmp_path / "p"))
    other = PlantedGame(PlantedWorld(regions=300, rare=0.1, noise=0.5), seed=4)
    assert len(acquire(other, frozen(policy), SMALL).regions) == 24
    for world, complaint in (
        (PlantedWorld(regions=300, classes=4), "trained for 5 classes"),
        (PlantedWorld(regions=300, cells=2), "cells=1"),
    ):
        with pytest.raises(ValueError, match=complaint):
            acquire(PlantedGame(world), frozen(policy), SMALL)


def test_values_that_are_not_finite_are_told():
    """A strategy's NaN would be reported as the solver's failure."""
    game = PlantedGame(PlantedWorld(regions=200))
    nothing = replace(
        BASELINES[1], values=lambda game, view, rng: np.full(len(view.candidates), np.nan)
    )
    with pytest.raises(InvalidInput, match="strategy H: values must be finite"):
        acquire(game, nothing, SMALL)


def test_entropy_of_classes_by_hand():
    """The paper's figure 3 would be another number."""
    shares = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert class_entropy(shares) == pytest.approx(np.log(2))
    assert class_entropy(shares[:1]) == 0


@pytest.mark.slow
def test_learns_what_pays():
    """RALIS would not find a rare class that its features show, though with noise."""
    game, batches = PlantedGame(PlantedWorld()), Batches(12, 8, 240)
    settings = RalisSettings(batch=64, replay=2400, discount=0.2)
    policy = RalisTraining(game, RalisFeatures(5, cells=1), batches, settings, Schedule(15)).run()
    taken = acquire(game, frozen(policy), batches).regions
    assert game.pays[taken].sum() >= 0.8 * game.oracle(batches, seed=0)
    blind = acquire(game, BASELINES[0], batches).regions
    assert game.pays[blind].sum() < 0.5 * game.oracle(batches, seed=0)


@pytest.mark.slow
def test_late_rewards_count_as_far_as_gamma_looks():
    """A policy would ask for nothing that pays a step later, or would ask for it without γ too."""
    game, batches = PlantedGame(PlantedWorld(noise=0.03, delay=1)), Batches(6, 8, 180)
    share = {}
    for discount in (0.0, 0.5):
        settings = RalisSettings(batch=64, replay=2400, discount=discount)
        features = RalisFeatures(5, cells=1)
        policy = RalisTraining(game, features, batches, settings, Schedule(15)).run()
        taken = acquire(game, frozen(policy), batches).regions
        share[discount] = game.pays[taken].sum() / game.oracle(batches, seed=0)
    assert share[0.5] > 0.7
    assert share[0.0] < 0.4
