"""What Q-learning aims at: double DQN targets, n-step returns, and networks that follow slowly."""

import torch
from torch import Tensor, nn


def double_dqn_targets(
    rewards: Tensor,
    discount: Tensor | float,
    done: Tensor,
    next_select: Tensor,
    next_evaluate: Tensor,
) -> Tensor:
    r"""Compute temporal-difference targets of double Q-learning.

    .. math:: y = r + \gamma \, [\text{not done}] \; Q_e(a^*), \qquad a^* = \arg\max_a Q_s(a)

    over the actions that can be taken next. In RALIS the target network selects (s) and the query
    network evaluates (e); in MiSiCAL the local network selects and the target network evaluates.

    Parameters
    ----------
    rewards
        r ``(...)``, or their n-step sums.
    discount
        γ, or :math:`\gamma^n` for each of them ``(...)`` beside n-step sums.
    done
        Whether nothing follows ``(...)``, booleans; values of what would follow are not looked at.
    next_select, next_evaluate
        Values of the next actions under both networks ``(..., A)``. Where fewer than A can be
        taken, the others are ``-inf`` in `next_select`; ties go to the first.

    Returns
    -------
    Tensor
        y ``(...)``, without a gradient.

    Raises
    ------
    ValueError
        If a value that is looked at is NaN or infinite.

    References
    ----------
    Reinforced Active Learning for Image Segmentation, eq. 3; Mining of Single-Class by Active
    Learning, eq. 20.

    Examples
    --------
    >>> select, evaluate = torch.tensor([[1.0, 3.0]]), torch.tensor([[0.5, 0.25]])
    >>> double_dqn_targets(torch.tensor([1.0]), 0.8, torch.tensor([False]), select, evaluate)
    tensor([1.2000])
    """
    going_on = ~done
    if bool((next_select.isnan().any(-1) & going_on).any()):
        raise ValueError(_not_finite("next_select"))
    best = next_select.argmax(-1, keepdim=True)
    following = next_evaluate.gather(-1, best).squeeze(-1)
    following = torch.where(going_on, following, torch.zeros_like(following))
    targets = (rewards + discount * following).detach()
    if not bool(targets.isfinite().all()):
        raise ValueError(_not_finite("next_evaluate or rewards"))
    return targets


def n_step_returns(rewards: Tensor, discount: float, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    r"""Sum the rewards of the next n steps of one episode, discounted.

    .. math:: R_t^{(m)} = \sum_{k=0}^{m-1} \gamma^k r_{t+k}, \qquad m = \min(n, T - t)

    Parameters
    ----------
    rewards
        ``(T, ...)`` in the order they came, of one whole episode.
    discount
        γ.
    steps
        n ≥ 1.

    Returns
    -------
    returns
        :math:`R_t^{(m)}` ``(T, ...)``.
    discounts
        :math:`\gamma^m` ``(T,)``, by which the value of what follows counts.
    following
        t + m ``(T,)``: the step whose value comes on top; T where the episode has ended.

    References
    ----------
    Mining of Single-Class by Active Learning, eq. 22.

    Examples
    --------
    >>> returns, discounts, following = n_step_returns(torch.tensor([1.0, 0.0, 4.0]), 0.5, 2)
    >>> returns.tolist(), discounts.tolist(), following.tolist()
    ([1.0, 2.0, 4.0], [0.25, 0.25, 0.5], [2, 3, 3])
    """
    if steps < 1:
        raise ValueError(f"steps: must be 1 or more; {steps} came; 1 takes one reward alone")
    total = len(rewards)
    returns = torch.zeros_like(rewards)
    for ahead in range(min(steps, total)):
        returns[: total - ahead] += discount**ahead * rewards[ahead:]
    following = (torch.arange(total) + steps).clamp(max=total)
    taken = following - torch.arange(total)
    return returns, torch.tensor(discount, dtype=rewards.dtype) ** taken, following


@torch.no_grad()
def soft_update(target: nn.Module, local: nn.Module, rate: float) -> None:
    r"""Move a target network towards the one that learns.

    .. math:: \theta_{target} \leftarrow (1 - \beta)\, \theta_{target} + \beta\, \theta_{local}

    Buffers that are not trained (running means of batch norm) move likewise; counters are copied.

    Parameters
    ----------
    target, local
        Networks of one structure.
    rate
        β from 0 to 1; 1 copies.

    References
    ----------
    Mining of Single-Class by Active Learning, eq. 18.

    Examples
    --------
    >>> target, local = nn.Linear(1, 1), nn.Linear(1, 1)
    >>> _ = nn.init.constant_(target.weight, 1.0), nn.init.constant_(local.weight, 3.0)
    >>> soft_update(target, local, 0.25)
    >>> target.weight.item()
    1.5
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate: must lie between 0 and 1; {rate} came; the paper's is 0.002")
    news = local.state_dict()
    for name, value in target.state_dict().items():
        if value.is_floating_point():
            value.mul_(1 - rate).add_(news[name], alpha=rate)
        else:
            value.copy_(news[name])


def _not_finite(what: str) -> str:
    return (
        f"{what}: values must be finite; NaN or infinity came; lower the learning rate or the "
        "discount, and look at the rewards"
    )
