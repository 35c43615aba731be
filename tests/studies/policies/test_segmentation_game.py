"""The game with a network that learns: splits, truth, scores, and what is learned at the end."""

import numpy as np
import pytest
import torch

from labelcut.models.policies.ralis import RalisSettings
from labelcut.models.policies.ralis_features import RalisFeatures
from labelcut.problems.errors import InvalidInput
from labelcut.studies.policies.acquiring import acquire, frozen
from labelcut.studies.policies.ralis import RalisTraining, Schedule
from labelcut.studies.policies.region_game import Batches
from labelcut.studies.policies.scenes import VOID, street_scenes
from labelcut.studies.policies.segmentation_game import (
    Convergence,
    SegmentationGame,
    Sizes,
    class_shares,
    draw_splits,
    learned_from,
    regions_of,
)
from labelcut.studies.policies.segmentation_worlds import NetworkPlan, SegmentationWorld

SIZES = Sizes(state=2, initial=3, train=8, reward=4)
PLAN = NetworkPlan((18, 16), cells=2, width=4, epochs=3)


@pytest.fixture(scope="module")
def world():
    """Return a few streets, dealt out."""
    scenes = street_scenes(30, seed=0)
    return SegmentationWorld(scenes, draw_splits(scenes, SIZES, np.arange(5), 1), PLAN)


def test_splits_hold_every_image_once(world):
    """A policy would be judged on images that it, or the network, learned from."""
    splits = world.splits
    parts = [splits.state, splits.initial, splits.train, splits.reward, splits.valid, splits.test]
    assert [len(part) for part in parts] == [2, 3, 8, 4, 8, 5]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(30))
    np.testing.assert_array_equal(splits.test, np.arange(5))


def test_state_images_have_the_class_mix_of_the_training_images():
    """A state would not show the classes that matter (the paper's footnote 2)."""
    scenes = street_scenes(60, seed=2)
    away = []
    for seed in range(5):
        splits = draw_splits(scenes, Sizes(4, 4, 20, 4), [], seed)
        mix = class_shares(scenes, splits.train)
        away.append(np.abs(class_shares(scenes, splits.state) - mix).sum())
    rng = np.random.default_rng(0)
    random = [
        np.abs(class_shares(scenes, rng.choice(60, 4, replace=False)) - mix).sum()
        for _ in range(50)
    ]
    assert max(away) < np.median(random)


def test_too_few_images_are_told():
    """Splits would be smaller than asked for."""
    with pytest.raises(InvalidInput, match="17 are needed"):
        draw_splits(street_scenes(20, seed=0), SIZES, np.arange(5))


@pytest.mark.parametrize("shrink", [3, 5])
def test_squares_that_images_do_not_consist_of_are_refused(world, shrink):
    """The error would be one of torch's own, in the middle of the first training."""
    plan = NetworkPlan((18, 16), cells=2, width=4, shrink=shrink)
    other = SegmentationWorld(world.scenes, world.splits, plan)
    with pytest.raises(InvalidInput, match=rf"shrink: must be 1, 2 or 4, .*got {shrink}"):
        other.training_game()


def test_truth_is_what_the_labels_hold(world):
    """The divergences to labeled regions would be those to others."""
    game = world.training_game()
    rows = game.regions[[0, 30, 100]]
    table = game.learner.grid.table(30)
    for row, found in zip(rows, game.truth(rows), strict=True):
        top, left = table["top"][row], table["left"][row]
        own = world.scenes.labels[table["image"][row], top : top + 18, left : left + 16]
        np.testing.assert_allclose(found, np.bincount(own.ravel(), minlength=6) / 288, atol=1e-6)
    np.testing.assert_array_equal(game.regions, regions_of(world.splits.train, 24))


def test_games_begin_alike_and_learn(world):
    """Episodes would go on from each other, or labels teach nothing."""
    game = world.training_game()
    game.restart()
    first = game.score()
    torch.manual_seed(0)
    for _ in range(4):
        game.label(game.regions[::2])
    assert game.score() > first + 1
    game.restart()
    assert game.score() == first
    again = world.training_game()
    again.restart()
    assert again.score() == first


def test_nothing_that_can_be_scored_is_told(world):
    """An agent would be trained on rewards of 0."""
    game = world.training_game()
    learner, splits = game.learner, world.splits
    learner.labels = learner.labels.clone()
    learner.labels[torch.from_numpy(splits.reward)] = VOID
    with pytest.raises(InvalidInput, match="no class occurs both"):
        SegmentationGame(learner, game.names, splits.train, splits, game.weights, 2)


def test_learning_stops_when_it_gets_no_better(world, monkeypatch):
    """The network would be measured after it has overfitted, or before it has learned."""
    game = world.applying_game()
    scores, epochs = iter([10.0, 30.0, 20.0, 25.0, 28.0, 99.0]), []
    monkeypatch.setattr(game, "score", lambda: next(scores))
    train = game.learner.train
    monkeypatch.setattr(game.learner, "train", lambda *a: (epochs.append(1), train(*a))[1])
    kept = []
    begin = game.learner.begin
    monkeypatch.setattr(game.learner, "begin", lambda w: (kept.append(w), begin(w))[1])
    mean, each, at = learned_from(game, game.regions[:24], Convergence(epochs=9, patience=3))
    # Best after the first epoch; three more without a better score.
    assert (at, len(epochs)) == (1, 4)
    assert 0 < mean < 1
    assert each.shape == (6,)
    torch.manual_seed(0)
    assert not torch.equal(kept[-1]["classify.weight"], game.weights["classify.weight"])


def test_a_resumed_game_equals_an_unbroken_one(world, tmp_path):
    """Crops and flips of the episodes to come would be others, and the policy with them."""

    def training(episodes, folder):
        features = RalisFeatures(6, cells=2, bins=4)
        settings = RalisSettings(batch=4, replay=40, updates=1)
        batches, schedule = Batches(3, 4, 6), Schedule(episodes, epsilon=(0.5, 0.5))
        game = world.training_game()
        return RalisTraining(game, features, batches, settings, schedule, folder=folder)

    torch.manual_seed(1)
    whole = training(2, None)
    expected = whole.run()
    halted = training(2, tmp_path)
    halted._require_pay = stop_after_one(halted)
    with pytest.raises(KeyboardInterrupt):
        halted.run()
    torch.manual_seed(2)
    again = training(2, tmp_path)
    assert again.run().fingerprint == expected.fingerprint
    assert again.episodes == whole.episodes


def stop_after_one(training):
    """Return a check that interrupts a training in its second episode."""

    def check():
        if len(training.episodes) == 2:
            raise KeyboardInterrupt

    return check


@pytest.mark.slow
def test_regions_and_whole_images_go_through_the_same_loop(world):
    """Training and applying would differ in what they ask for, or images not be an option."""
    features = RalisFeatures(6, cells=2, bins=4)
    settings = RalisSettings(batch=4, replay=40)
    policy = RalisTraining(
        world.training_game(), features, Batches(3, 4, 9), settings, Schedule(2)
    ).run()
    found = acquire(world.applying_game(), frozen(policy), Batches(3, 4, 9))
    assert set(found.regions) <= set(regions_of(world.splits.valid, 24))
    whole = SegmentationWorld(
        world.scenes, world.splits, NetworkPlan((72, 96), 2, 4, epochs=8, batch=1)
    )
    batches = Batches(pools=1, size=3, budget=3)
    policy = RalisTraining(whole.training_game(), features, batches, settings, Schedule(2)).run()
    images = acquire(whole.applying_game(), frozen(policy), batches).regions
    assert len(set(images)) == 3
    assert set(images) <= set(world.splits.valid)
