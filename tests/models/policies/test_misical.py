"""MiSiCAL's features against slow NumPy, and what its agent remembers and learns."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from labelcut.models import score_regions
from labelcut.models.policies import n_step_returns
from labelcut.models.policies.misical import (
    ValueNetwork,
    feature_names,
    patch_features,
    policy_values,
)
from labelcut.models.policies.misical_agent import Agent, Settings

QUICK = {"hidden": (8,), "batch": 16, "updates": 2}


def features(count, seed=0):
    """Draw features of two classes."""
    return np.random.default_rng(seed).random((count, 5)).astype(np.float32)


def trained(events=6, seed=0, picks=3, **options):
    """Return an agent that has seen some events."""
    agent = Agent(features(50), Settings(**{**QUICK, "seed": seed, **options}))
    rng = np.random.default_rng(seed)
    for event in range(events):
        offered = features(20, seed=event)
        agent.offered(offered)
        agent.picked(offered[:picks], rng.random(picks))
        agent.learn()
    agent.ended()
    agent.learn()
    return agent


def weights(agent):
    """Return all weights of the local network."""
    return torch.cat([value.flatten() for value in agent.local.state_dict().values()])


def test_features_are_bald_and_presence_of_each_patch():
    """Inputs would be of other patches, or of other maps (000 eq. 15 to 17)."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.Dropout2d(0.5))
    images = torch.rand(2, 3, 6, 8)
    loader = DataLoader(TensorDataset(images), batch_size=2)
    regions = score_regions(model, loader, (3, 4), maps=["bald"], passes=5, seed=3)
    found = patch_features(regions)
    assert found.shape == (8, 7)
    assert found.dtype == np.float32
    with torch.inference_mode():
        classes = model.eval()(images).argmax(1).numpy()
    row = 0
    for image in classes:
        for top in (0, 3):
            for left in (0, 4):
                seen = set(image[top : top + 3, left : left + 4].ravel().tolist())
                assert set(np.flatnonzero(found[row, 3:]).tolist()) == seen
                row += 1
    np.testing.assert_array_equal(found[:, 0], regions.bald.max)
    np.testing.assert_array_equal(found[:, 1], regions.bald.min)
    np.testing.assert_array_equal(found[:, 2], regions.bald.mean)
    assert (found[:, 1] <= found[:, 2]).all()
    assert (found[:, 2] <= found[:, 0]).all()
    assert len(feature_names(4)) == 7


def test_a_class_that_is_hardly_ever_predicted_does_not_decide_alone():
    """Patches with it would all come first, by weights that nothing has trained."""
    rare = torch.zeros(6000, 2)
    rare[0, 1] = 1.0  # 77 standard deviations from the mean
    rare[:, 0] = torch.linspace(-1, 1, 6000)
    network = ValueNetwork(2, (4,))
    network.fit_scale(rare)
    mean, deviation = 1 / 6000, float(rare[:, 1].std(correction=0))
    ten = torch.tensor([[0.5, mean + 10 * deviation], [0.5, 1.0]])
    assert network(ten)[0].item() == pytest.approx(network(ten)[1].item(), abs=1e-5)
    nine = torch.tensor([[0.5, mean + 9 * deviation], [0.5, 1.0]])
    assert network(nine)[0].item() != pytest.approx(network(nine)[1].item(), abs=1e-5)


def test_features_need_bald():
    """Entropy would be taken for BALD."""
    loader = DataLoader(TensorDataset(torch.rand(1, 3, 4, 4)))
    regions = score_regions(torch.nn.Conv2d(3, 2, 1), loader, (2, 2))
    with pytest.raises(ValueError, match="must have BALD"):
        patch_features(regions)


def test_the_memory_holds_n_step_returns_of_events():
    """Later rewards would be credited to the wrong pick."""
    agent = Agent(features(9), Settings(**QUICK, discount=0.5, steps=3))
    rewards = np.array([[1.0, 3.0], [0.0, 4.0], [2.0, 2.0], [8.0, 0.0]], np.float32)
    for event in range(4):
        agent.offered(features(4, event))
        agent.picked(features(4, event)[:2], rewards[event])
    assert len(agent.memory) == 2  # the event before last waits for what it brings
    agent.ended()
    state = agent.memory.state_dict()["rows"]
    means = rewards.mean(axis=1)
    for event in range(4):
        later = [0.5**k * means[event + k] for k in (1, 2) if event + k < 4]
        expected = rewards[event] + sum(later)
        np.testing.assert_allclose(state["returns"][2 * event : 2 * event + 2], expected)
        assert state["done"][2 * event] == (event > 0)
    np.testing.assert_allclose(state["discount"][:2], 0.125)


def test_one_pick_an_event_is_the_papers_return():
    """The mean over an event's picks would depart from eq. 22 where the paper is plain."""
    agent = Agent(features(9), Settings(**QUICK, discount=0.9, steps=3))
    rewards = np.array([1.0, 0.0, 2.0, 5.0, 1.0], np.float32)
    for event, reward in enumerate(rewards):
        agent.offered(features(4, event))
        agent.picked(features(1, event), np.array([reward]))
    agent.ended()
    expected, *_ = n_step_returns(torch.from_numpy(rewards), 0.9, 3)
    np.testing.assert_allclose(agent.memory.state_dict()["rows"]["returns"], expected, rtol=1e-6)


def test_the_local_network_selects_and_the_target_evaluates():
    """The two networks would be swapped, as RALIS has them (000 eq. 20)."""
    agent = trained(discount=0.5, steps=1, follow=0.3)
    rows = agent.memory.state_dict()["rows"]
    found = agent._targets(rows).numpy()
    for at in range(len(found)):
        following = torch.from_numpy(rows["following"][at])
        best = int(agent.local(following).argmax())
        value = float(agent.target(following)[best])
        expected = rows["returns"][at] + 0.5 * value * (not rows["done"][at])
        assert found[at] == pytest.approx(expected, rel=1e-5)
    assert not rows["done"].all()


@pytest.mark.parametrize("change", [{"steps": 1}, {"follow": 0.5}])
def test_without_discount_steps_and_target_change_nothing(change):
    """The documentation says that they are inert with γ = 0."""
    assert torch.equal(weights(trained()), weights(trained(**change)))


def test_with_discount_they_do():
    """The test above would hold for a network that never learns."""
    usual = trained(discount=0.9)
    assert not torch.equal(weights(usual), weights(trained(discount=0.9, steps=1)))
    assert not torch.equal(weights(usual), weights(trained(discount=0.9, follow=0.5)))


def test_same_seed_same_policy():
    """Nobody could repeat a training."""
    assert torch.equal(weights(trained(seed=4)), weights(trained(seed=4)))
    assert trained(seed=4).policy(2).fingerprint == trained(seed=4).policy(2).fingerprint
    assert not torch.equal(weights(trained(seed=4)), weights(trained(seed=5)))


def test_training_leaves_the_callers_random_numbers_alone():
    """A seed set before would give other numbers after."""
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    trained()
    assert torch.equal(torch.rand(3), expected)


def test_an_update_is_the_papers(monkeypatch):
    """Importance weights, clipping, weight decay or RMSProp would be there in name only."""
    agent = Agent(features(50), Settings(**{**QUICK, "updates": 1}), horizon=2)
    picks = features(40, 1)
    agent.picked(picks, picks[:, 3] > 0.5)
    agent.memory.update(np.arange(40), np.linspace(0.2, 2, 40))
    before = deepcopy(agent.local)
    draw, draws = agent.memory.draw, []

    def drawn(count, correction):
        draws.append((correction, draw(count, correction)))
        return draws[-1][1]

    monkeypatch.setattr(agent.memory, "draw", drawn)
    loss = agent.learn()
    _, first = draws[0]
    rewards, counts = (torch.from_numpy(x) for x in (first.rows["returns"], first.weights))
    assert counts.max() > 1.5 * counts.min()
    expected = (counts * (rewards - before(torch.from_numpy(first.rows["features"]))) ** 2).mean()
    assert loss == pytest.approx(expected.item())
    slopes = torch.autograd.grad(expected, list(before.parameters()))
    norm = torch.cat([slope.flatten() for slope in slopes]).norm()
    assert norm > 0.01
    for old, new, slope in zip(before.parameters(), agent.local.parameters(), slopes, strict=True):
        way = 0.01 * slope / norm + 1e-4 * old
        step = 1e-3 * way / ((0.01 * way**2).sqrt() + 1e-8)  # RMSProp's first, from a mean of 0
        torch.testing.assert_close(new, old - step, rtol=1e-4, atol=1e-6)
    for _ in range(3):
        agent.learn()
    assert [correction for correction, _ in draws] == pytest.approx([0.4, 0.7, 1.0, 1.0])


def test_an_agent_goes_on_where_it_was():
    """A resumed training would end elsewhere."""
    one = trained(discount=0.9)
    other = Agent(features(50), one.settings)
    other.load_state_dict(one.state_dict())
    for agent in (one, other):
        agent.picked(features(3, 9), np.array([1.0, 0.0, 1.0]))
        agent.ended()
        agent.learn()
    assert torch.equal(weights(one), weights(other))


def test_nan_in_values_stops_and_keeps_the_memory():
    """Picks would be made by NaN, and what was remembered be lost."""
    agent = trained()
    before = len(agent.memory)
    with torch.no_grad():
        agent.local.layers[0].weight.fill_(torch.nan)
    with pytest.raises(ValueError, match="candidate 0 has nan; lower the learning rate"):
        agent.values(features(4))
    with pytest.raises(ValueError, match="must be finite"):
        agent.learn()
    assert len(agent.memory) == before
    assert np.isfinite(agent.memory.probabilities()).all()


def test_a_saved_policy_values_as_the_agent_does():
    """The weights, or the scale of features, would be lost on the way."""
    agent = trained()
    x = features(30, 8)
    np.testing.assert_array_equal(policy_values(agent.policy(2), x, 2), agent.values(x))
    with pytest.raises(ValueError, match="trained for 2 classes, the data have 3"):
        policy_values(agent.policy(2), np.zeros((4, 6)), 3)


def test_the_loss_falls():
    """The network would not learn at all."""
    agent = Agent(features(50), Settings(**{**QUICK, "updates": 20}))
    x = features(200, 1)
    agent.picked(x, x[:, 3] > 0.5)
    losses = [agent.learn() for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"discount": 1.5}, "discount: must lie between 0 and 1; 1.5 came"),
        ({"explore": -0.1}, "explore: must lie between 0 and 1"),
        ({"steps": 0}, "steps: must be 1 or more; 0 came"),
        ({"rate": 0.0}, "rate: must be positive"),
        ({"decay": -1.0}, "decay: must be 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(options, words):
    """Training would diverge, or do nothing."""
    with pytest.raises(ValueError, match=words):
        Settings(**options)
