"""Two partitions, a limit on every group of each: a transport problem, whose LP is integral."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._lp import solve_lp
from .branching import Core, model_over
from .windows import windows_among

if TYPE_CHECKING:
    from .relaxing import Pursuit

LARGEST = 100_000
"""Rows up to which the LP is solved as a whole."""
ROUNDING = 1e-9
"""Share of the values' size that may lie between answer and bound by rounding alone."""


def is_transport(pursuit: Pursuit) -> bool:
    """Return whether groups of one limit cross the tree, and nothing else does.

    Rows in a tree of groups and in one group of another limit are the arcs of a network, so that
    the constraints are totally unimodular.
    """
    structure, rules = pursuit.structure, pursuit.problem.constraints
    crossing = np.unique(structure.crossing.rule)
    return (
        len(crossing) == 1
        and rules[int(crossing[0])].kind == "group-limit"
        and len(structure.rows) <= LARGEST
        and bool((structure.first == structure.last).all())
        and not any(rule.is_curved for rule in rules)
        and pursuit.rng is None
    )


def transport(pursuit: Pursuit) -> bool:
    """Offer the LP's vertex and prove its bound by its prices; say whether nothing is better.

    The bound is summed up anew from the prices, whatever HiGHS says of its own answer.
    """
    count = len(pursuit.structure.crossing.limits)
    places = np.arange(len(pursuit.structure.rows))
    core = Core(places, places[:0], exact=True)
    model, unit = model_over(pursuit, core, windows_among(pursuit.structure, places))
    found = solve_lp(model, 0.4 * pursuit.clock.remaining(), {"solver": "simplex"})
    if found is None:
        return False
    values, duals = found
    # The crossing limits are the model's last rows; no coefficient of theirs was scaled.
    prices = np.maximum(-unit * duals[len(duals) - count :], 0.0)
    pursuit.offer(pursuit.whole(np.flatnonzero(values > 0.5)))
    pursuit.at(prices)
    if pursuit.rows is None:
        return False
    size = abs(pursuit.value) + float(np.abs(pursuit.weights).max(initial=0.0))
    return pursuit.bound - pursuit.value <= ROUNDING * size
