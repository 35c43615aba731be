"""Targets of Q-learning against hand-worked examples of both papers."""

import numpy as np
import pytest
import torch
from torch import nn

from labelcut.models.policies import double_dqn_targets, n_step_returns, soft_update

# Three transitions, two actions next; the last one ends its episode.
REWARDS = torch.tensor([1.0, 0.0, 2.0])
DONE = torch.tensor([False, False, True])
LOCAL = torch.tensor([[0.2, 0.6], [5.0, 1.0], [9.0, 9.0]])
TARGET = torch.tensor([[0.8, 0.4], [2.0, 3.0], [7.0, 8.0]])


def test_misical_selects_with_the_local_network():
    """Overestimates of the target network would choose the action (000 eq. 20)."""
    # 1 + 0.5 * 0.4 (local prefers action 1), 0 + 0.5 * 2 (action 0), 2 (the end).
    found = double_dqn_targets(REWARDS, 0.5, DONE, LOCAL, TARGET)
    assert found.tolist() == pytest.approx([1.2, 1.0, 2.0])


def test_ralis_selects_with_the_target_network():
    """The two papers' targets would be the same, though they swap the networks (001 eq. 3)."""
    # 1 + 0.5 * 0.2 (target prefers action 0), 0 + 0.5 * 1 (action 1), 2 (the end).
    found = double_dqn_targets(REWARDS, 0.5, DONE, TARGET, LOCAL)
    assert found.tolist() == pytest.approx([1.1, 0.5, 2.0])


def test_actions_that_cannot_be_taken_are_not_selected():
    """Padding would be taken for the best action."""
    select = torch.tensor([[0.5, -torch.inf], [-torch.inf, -3.0]])
    evaluate = torch.tensor([[1.0, 100.0], [100.0, 2.0]])
    none = torch.zeros(2, dtype=torch.bool)
    found = double_dqn_targets(torch.zeros(2), torch.tensor([1.0, 0.5]), none, select, evaluate)
    assert found.tolist() == [1.0, 1.0]


def test_what_follows_the_end_is_not_looked_at():
    """An episode's last target would be NaN where nothing stands behind it."""
    nothing = torch.full((3, 2), torch.nan)
    ended = torch.ones(3, dtype=torch.bool)
    found = double_dqn_targets(REWARDS, 0.9, ended, nothing, nothing)
    assert found.tolist() == REWARDS.tolist()


def test_targets_carry_no_gradient():
    """The network would chase its own target."""
    values = LOCAL.clone().requires_grad_()
    assert not double_dqn_targets(REWARDS, 0.5, DONE, values, values).requires_grad


@pytest.mark.parametrize("which", ["next_select", "next_evaluate"])
def test_nan_in_values_is_an_error(which):
    """NaN would spread through the weights and nobody would know when."""
    broken = LOCAL.clone()
    broken[0, 1] = torch.nan
    pair = (broken, TARGET) if which == "next_select" else (LOCAL, broken)
    with pytest.raises(ValueError, match=f"{which}.*must be finite"):
        double_dqn_targets(REWARDS, 0.5, DONE, *pair)


@pytest.mark.parametrize("steps", [1, 2, 3, 10])
@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9])
def test_n_step_returns_are_the_sums_of_their_definition(steps, discount):
    """Rewards would be credited to the wrong step, or discounted once too often (000 eq. 22)."""
    rewards = np.random.default_rng(steps).normal(size=6)
    returns, discounts, following = n_step_returns(torch.from_numpy(rewards), discount, steps)
    for t in range(6):
        m = min(steps, 6 - t)
        expected = sum(discount**k * rewards[t + k] for k in range(m))
        assert returns[t].item() == pytest.approx(expected)
        assert discounts[t].item() == pytest.approx(discount**m)
        assert following[t].item() == t + m


def test_n_step_returns_by_hand():
    """The test above would share a mistake with the code."""
    returns, *_ = n_step_returns(torch.tensor([1.0, 2.0, 4.0, 8.0]), 0.5, 3)
    assert returns.tolist() == [1 + 1 + 1, 2 + 2 + 2, 4 + 4, 8]


def test_n_of_nothing_is_refused():
    """An n of 0 would ask for a return without rewards."""
    with pytest.raises(ValueError, match="steps: must be 1 or more; 0 came"):
        n_step_returns(REWARDS, 0.9, 0)


def test_soft_update_moves_every_weight_by_its_share():
    """The target network would stand still, or jump (000 eq. 18)."""
    torch.manual_seed(0)
    target, local = nn.Linear(3, 2), nn.Linear(3, 2)
    expected = 0.998 * target.weight.detach().numpy() + 0.002 * local.weight.detach().numpy()
    kept = local.weight.detach().clone()
    soft_update(target, local, 0.002)
    np.testing.assert_allclose(target.weight.detach().numpy(), expected, rtol=1e-6)
    assert torch.equal(local.weight, kept)


def test_soft_update_takes_running_means_along():
    """A target with batch norm would normalize by means it never saw."""
    target, local = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    local(torch.tensor([[10.0], [20.0]]))
    soft_update(target, local, 1.0)
    assert torch.equal(target.running_mean, local.running_mean)
    assert target.num_batches_tracked.item() == 1


def test_soft_update_refuses_a_rate_beyond_one():
    """A typing error would make the target diverge."""
    with pytest.raises(ValueError, match="rate: must lie between 0 and 1; 2"):
        soft_update(nn.Linear(1, 1), nn.Linear(1, 1), 2.0)
