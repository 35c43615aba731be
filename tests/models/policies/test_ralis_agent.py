"""RALIS's features, network and agent."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labelcut.models.policies import load_policy, save_policy
from labelcut.models.policies.query_network import QueryNetwork
from labelcut.models.policies.ralis import (
    RalisAgent,
    RalisSettings,
    UnstableValues,
    policy_features,
    query_network,
    query_values,
)
from labelcut.models.policies.ralis_features import RalisFeatures, RegionMaps

FEATURES = RalisFeatures(classes=3, cells=2, bins=4)


def maps(rng, count, classes=3, cells=2):
    """Return made-up maps of regions."""
    low = rng.random((count, cells**2))
    return RegionMaps(
        rng.dirichlet(np.ones(classes), count),
        np.concatenate([low, low + 0.1, low + 0.2], axis=1),
        low.sum(axis=1),
    )


def divergences(p, others, bins, small=1e-3):
    """Return how KL(region ‖ other) is distributed, one number after the other."""
    count = np.zeros(bins)
    c = len(p)
    most = np.log((1 + small) / small) / (1 + c * small)
    q = [(value + small) / (1 + c * small) for value in p]
    for other in others:
        r = [(value + small) / (1 + c * small) for value in other]
        kl = sum(a * np.log(a / b) for a, b in zip(q, r, strict=True))
        count[min(int(kl / most * bins), bins - 1)] += 1
    return count / len(others)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_actions_are_states_and_divergences(seed):
    """The gate would see divergences to the wrong set, or of the wrong regions."""
    rng = np.random.default_rng(seed)
    own = maps(rng, 5)
    labeled, unlabeled = rng.dirichlet([0.3] * 3, 4), rng.dirichlet([0.3] * 3, 6)
    labeled[1] = 0  # nothing but void
    found = FEATURES.actions(own, labeled, unlabeled)
    assert found.shape == (5, len(FEATURES.names))
    np.testing.assert_array_equal(found[:, : FEATURES.width], FEATURES.state(own))
    np.testing.assert_allclose(found[:, :3], own.histogram, atol=1e-6)
    np.testing.assert_allclose(found[:, 3:15], own.cells, atol=1e-6)
    there = labeled[[0, 2, 3]]
    for row, p in enumerate(own.histogram):
        np.testing.assert_allclose(found[row, 15:19], divergences(p, there, 4), atol=1e-6)
        np.testing.assert_allclose(found[row, 19:], divergences(p, unlabeled, 4), atol=1e-6)


def test_nothing_labeled_yet_is_no_divergence():
    """The first step of an episode would fail, or see a number that means something else."""
    rng = np.random.default_rng(0)
    found = FEATURES.actions(maps(rng, 2), np.zeros((0, 3)), rng.dirichlet(np.ones(3), 4))
    assert not found[:, 15:19].any()
    np.testing.assert_allclose(found[:, 19:].sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("pooled", "bins", "kept"), [(("max",), 0, [2]), (("mean", "min"), 0, [0, 1])]
)
def test_ablations_leave_out_what_they_say(pooled, bins, kept):
    """1H would see minima, or 3H divergences."""
    own = maps(np.random.default_rng(1), 3)
    features = RalisFeatures(3, 2, pooled, bins)
    found = features.actions(own, np.zeros((0, 3)), own.histogram)
    expected = [own.histogram, *(own.cells[:, 4 * at : 4 * at + 4] for at in kept)]
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), atol=1e-6)
    assert features.action_width == len(features.names) == found.shape[1]


def test_maps_of_other_data_are_refused():
    """A policy would read cells as classes."""
    with pytest.raises(ValueError, match="cells=2"):
        FEATURES.state(maps(np.random.default_rng(0), 2, cells=1))


def test_network_is_the_formula():
    """Layers would come in another order, or the gate look at something else."""
    torch.manual_seed(0)
    network = QueryNetwork(FEATURES, regions=3, hidden=6)
    network(torch.rand(8, 3, 15), torch.rand(8, 2, 23))  # running means are something
    network.eval()
    weights = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    rng = np.random.default_rng(0)
    state, actions = rng.random((1, 3, 15)), rng.random((1, 4, 23))

    def layer(x, name):
        mean, var = weights[f"{name}.0.running_mean"], weights[f"{name}.0.running_var"]
        x = (x - mean) / np.sqrt(var + 1e-2) * weights[f"{name}.0.weight"]
        x = np.maximum(x + weights[f"{name}.0.bias"], 0)
        return x @ weights[f"{name}.2.weight"].T + weights[f"{name}.2.bias"]

    f = layer(layer(state[0], "region_layers.0"), "region_layers.1").reshape(1, -1)
    f = layer(layer(f, "state_layers.0"), "state_layers.1")
    for at, action in enumerate(actions[0]):
        g = action[None, :15]
        for number in range(3):
            g = layer(g, f"action_layers.{number}")
        score = np.concatenate([f, g], 1) @ weights["score.weight"].T + weights["score.bias"]
        gate = 1 / (1 + np.exp(-(weights["gate.weight"] @ action[15:] + weights["gate.bias"])))
        with torch.no_grad():
            found = network(torch.tensor(state).float(), torch.tensor(actions).float())[0, at]
        np.testing.assert_allclose(found, (score * gate).item(), rtol=1e-4)


def agent_after(seed=0, steps=6, **settings):
    """Return an agent that remembers some steps of two pools of three."""
    sizes = {"batch": 4, "replay": 8, "updates": 1}
    agent = RalisAgent(FEATURES, 3, RalisSettings(**sizes | settings), seed)
    rng = np.random.default_rng(7)
    for step in range(steps):
        draw = [rng.random(shape).astype(np.float32) for shape in ((3, 15), (2, 23), (2, 3, 23))]
        following = (np.full((3, 15), step + 1, np.float32), draw[2])
        state = np.full((3, 15), step, np.float32)
        agent.remember(state, draw[1], float(step), following, done=step % 3 == 2)
    return agent


def test_target_selects_and_query_evaluates():
    """RALIS would have the targets of ordinary double Q-learning (eq. 3 is the other way round)."""
    agent = agent_after(steps=20, batch=32, replay=40, discount=0.5, lr=1e-9)
    with torch.no_grad():
        for value in agent.target.parameters():
            value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(1)))
    drawn = agent.memory.draw
    seen = []
    agent.memory.draw = lambda count: seen.append(drawn(count)) or seen[-1]
    query = copy.deepcopy(agent.query)
    loss = agent.learn()
    rows = seen[0].rows
    query.eval()
    expected, differ = [], 0
    with torch.no_grad():
        for at in range(32):
            step = int(rows["reward"][at])
            value = rows["reward"][at]
            if not rows["done"][at]:
                then = torch.full((1, 3, 15), step + 1.0)
                options = torch.from_numpy(rows["candidates"][at])[None]
                selected = int(agent.target(then, options).argmax())
                evaluated = query(then, options)[0]
                differ += selected != int(evaluated.argmax())
                value = value + 0.5 * float(evaluated[selected])
            expected.append(value)
        query.train()
        now = torch.stack([torch.full((3, 15), float(r)) for r in rows["reward"]])
        values = query(now, torch.from_numpy(rows["action"])[:, None])[:, 0]
    assert differ
    np.testing.assert_allclose(loss, np.mean((values.numpy() - expected) ** 2), rtol=1e-3)


def test_updates_are_those_of_descent_with_momentum():
    """Clipping, weight decay or momentum would be there in name only (appendix B)."""
    agent = agent_after(steps=20, batch=32, replay=40, discount=0.0, clip=0.1, weight_decay=0.1)
    drawn, seen = agent.memory.draw, []
    agent.memory.draw = lambda count: seen.append(drawn(count)) or seen[-1]
    query = copy.deepcopy(agent.query).train()
    speeds = [torch.zeros_like(weight) for weight in query.parameters()]
    for step in range(2):
        agent.learn()
        rows = seen[step].rows
        now = torch.stack([torch.full((3, 15), float(r)) for r in rows["reward"]])
        values = query(now, torch.from_numpy(rows["action"])[:, None])[:, 0]
        loss = ((values - torch.from_numpy(rows["reward"])) ** 2).mean()
        slopes = torch.autograd.grad(loss, list(query.parameters()))
        norm = torch.cat([slope.flatten() for slope in slopes]).norm()
        assert norm > 0.1
        with torch.no_grad():
            for weight, slope, speed in zip(query.parameters(), slopes, speeds, strict=True):
                speed.mul_(0.9).add_(0.1 * slope / norm + 0.1 * weight)
                weight.sub_(1e-3 * speed)
    for mine, own in zip(query.parameters(), agent.query.parameters(), strict=True):
        torch.testing.assert_close(own, mine, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_values_stay_as_large_as_rewards_allow():
    """States that hardly change would make values, and targets made of them, grow without end."""
    settings = RalisSettings(discount=0.5, batch=64, replay=600, updates=20)
    agent = RalisAgent(FEATURES, 4, settings)
    rng = np.random.default_rng(0)
    same = rng.random((4, 15)).astype(np.float32)
    paid = 0.0
    for step in range(100):
        actions, candidates = (
            rng.random(shape).astype(np.float32) for shape in ((6, 23), (6, 8, 23))
        )
        state, following = same.copy(), same.copy()
        state[0, 0], following[0, 0] = paid, 6 * actions[:, 0].mean()
        agent.remember(state, actions, paid, (following, candidates), done=step % 20 == 19)
        paid = float(following[0, 0])
        agent.learn()
    # Rewards are between 0 and 6, so that no return is above 12.
    assert np.abs(agent.values(state, candidates[0])).max() < 12


def test_states_of_transitions_that_are_kept_are_still_there():
    """Old transitions would be seen in states that came much later."""
    agent = agent_after(steps=40, replay=41)
    slots = len(agent._states)
    rows = agent.memory.state_dict()["rows"]
    for at in range(41):
        moment, step = int(rows["moment"][at]), rows["reward"][at]
        assert (agent._states[moment % slots] == step).all()
        if not rows["done"][at]:
            assert (agent._states[(moment + 1) % slots] == step + 1).all()


def test_target_network_follows_when_it_is_time():
    """It would never learn, or be the query network itself."""
    agent = agent_after(target_every=3)
    first = {name: value.clone() for name, value in agent.target.state_dict().items()}
    for _ in range(2):
        agent.learn()
    assert all(torch.equal(v, first[n]) for n, v in agent.target.state_dict().items())
    agent.learn()
    query = agent.query.state_dict()
    assert all(torch.equal(v, query[n]) for n, v in agent.target.state_dict().items())
    assert any(not torch.equal(query[n], v) for n, v in first.items())


def test_agents_go_on_where_they_stopped():
    """A training that was killed would end elsewhere."""
    one, other = agent_after(), agent_after(seed=5)
    one.learn()
    other.load_state_dict(one.state_dict())
    assert [one.learn() for _ in range(3)] == [other.learn() for _ in range(3)]
    for name, value in one.query.state_dict().items():
        assert torch.equal(value, other.query.state_dict()[name])


def test_nan_is_not_a_value():
    """Regions would be chosen by comparing NaN, and the memory be lost."""
    agent = agent_after()
    kept = len(agent.memory)
    with torch.no_grad():
        agent.query.score.bias.fill_(float("nan"))
    with pytest.raises(UnstableValues, match="Q: values must be finite"):
        agent.values(np.zeros((3, 15), np.float32), np.zeros((2, 23), np.float32))
    with pytest.raises(UnstableValues, match="must be finite"):
        agent.learn()
    assert len(agent.memory) == kept


def test_policies_come_back_from_disk(tmp_path):
    """A policy that was saved would choose other regions."""
    agent = agent_after()
    agent.learn()
    policy = load_policy(save_policy(agent.policy(note="x"), tmp_path / "p"))
    assert policy_features(policy) == FEATURES
    assert policy.settings["note"] == "x"
    rng = np.random.default_rng(2)
    state, actions = rng.random((3, 15), np.float32), rng.random((5, 23), np.float32)
    found = query_values(query_network(policy, 3), state, actions)
    np.testing.assert_array_equal(found, agent.values(state, actions))
    with pytest.raises(ValueError, match="states of 3 regions, 4 came"):
        query_network(policy, 4)


@pytest.mark.parametrize(
    "wrong", [{"discount": 1.5}, {"batch": 1}, {"replay": 3}, {"lr": 0}, {"clip": 0}]
)
def test_settings_that_cannot_be_are_refused(wrong):
    """Training would fail deep inside, or not learn."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RalisSettings(**wrong)
