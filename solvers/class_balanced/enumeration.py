"""Looking at every selection that could still be better, cheapest reduced costs first."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ...problems.arrays import Floats
    from ...problems.class_balanced import ClassBalanced
    from ..search import Search

EPS = float(np.finfo(np.float64).eps)


def enumerate_cheapest(
    search: Search[ClassBalanced], multipliers: Floats, node_limit: float
) -> float | None:
    r"""Look at every selection whose Lagrangian value is below the best answer.

    A selection z costs at least :math:`\mu^\top\Omega + \sum_i r_i z_i` with the reduced costs
    :math:`r_i = -u_i - \mu^\top p_i` (see `lagrangian_bound`). Depth first over the rows by
    ascending r, taking or leaving each, a branch is cut where even its cheapest completion is not
    below the best answer. If the tree ends within the limit, the best answer is optimal up to
    rounding.

    Parameters
    ----------
    search
        The run, with a first answer; better ones are offered to it.
    multipliers
        μ ``(C,)`` within λ.
    node_limit
        Nodes after which to give up.

    Returns
    -------
    float or None
        How far rounding may have hidden something better; None if the limit was met.
    """
    problem = search.problem
    assert search.best is not None
    rest = problem.free
    need = problem.to_choose
    probs = problem.probs
    reduced = -problem.worth - probs.dot(multipliers)
    order = rest[np.argsort(reduced[rest], kind="stable")]
    sums = [0.0, *accumulate(reduced[order].tolist())]
    lost = problem.metric.conjugate(multipliers, problem.balance)
    base = float(multipliers @ problem.target) - lost + float(reduced[problem.included].sum())
    scale = float(np.abs(reduced[problem.selectable]).max(initial=0.0)) + problem.balance
    reach = min(len(order), need + node_limit)  # sums beyond are never looked at
    steepest = max(problem.balance, float(np.abs(multipliers).max()))
    size = (problem.budget + reach) * scale + steepest * float(problem.target.sum()) + lost
    slack = 8 * EPS * (problem.n_classes + problem.budget + reach) * size
    upper, nodes = search.best.objective, 0
    stack: list[tuple[int, int, float, tuple[object, ...]]] = [(0, need, base, ())]
    while stack:
        at, more, value, taken = stack.pop()
        nodes += 1
        if nodes > node_limit:
            search.info["nodes"] = nodes
            return None
        if nodes % 256 == 0:
            search.clock.check()
        if more == 0:
            chosen = np.concatenate([problem.included, order[_unlink(taken)]])
            search.offer(chosen)
            upper = search.best.objective
            continue
        if at + more < len(order):
            left = value + sums[at + 1 + more] - sums[at + 1]
            if left < upper - slack:
                stack.append((at + 1, more, value, taken))
        if value + sums[at + more] - sums[at] < upper - slack:
            cost = sums[at + 1] - sums[at]
            stack.append((at + 1, more - 1, value + cost, (at, taken)))
    search.info["nodes"] = nodes
    return 2 * slack


def _unlink(taken: tuple[object, ...]) -> list[int]:
    positions = []
    while taken:
        position, taken = taken  # type: ignore[assignment]
        positions.append(position)
    return positions  # type: ignore[return-value]
