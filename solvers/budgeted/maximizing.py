"""The most useful rows under all constraints and the budget of any selection problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...problems.budgeted import BudgetedSelection
from ...problems.narrowing import curves_of
from .._clock import Clock, OutOfTime
from .branching import branch
from .narrowing import narrow
from .relaxing import Pursuit, cannot_meet, prices_of, relax
from .structure import structure_of
from .transporting import is_transport, transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...problems.arrays import Floats, Ints
    from ...problems.narrowing import Narrowing
    from ...problems.pricing import Prices
    from ...problems.selection import SelectionProblem

ROUNDS, SHARE, NEAR = 3, 0.4, 2e-3
"""Rounds of plain limits in place of curves, of what is left of the time each, and their gap."""
WIDER = 1.05
"""Share of the margins, so that an answer whose own are a little larger still holds."""


@dataclass(frozen=True, eq=False)
class Maximum:
    """What is known of the largest utility.

    Parameters
    ----------
    rows
        The best selection found, ascending, or None.
    bound
        A proven upper bound on the utility of any selection; infinite if none is known, minus
        infinity if there is no selection.
    prices
        Prices that prove `root`, for `problems.pricing.utility_bound`; None without any.
    root
        The bound that the prices prove: `bound`, unless branch and bound proved a better one.
    complete
        Whether nothing better than `rows` exists.
    infeasible
        Whether nothing satisfies the constraints.
    peak, nodes
        Peak bytes of the HiGHS process and nodes of its search; None and 0 where it did not run.
    narrowing
        Further prices, for `problems.narrowing.narrowed_bound`, where some limits are curved.
    """

    rows: Ints | None
    bound: float
    prices: Prices | None
    root: float
    complete: bool
    infeasible: bool
    peak: int | None = None
    nodes: int = 0
    narrowing: Narrowing | None = None


def maximize(
    problem: SelectionProblem,
    utility: Floats,
    clock: Clock,
    *,
    start: Ints | None = None,
    seed: int = 0,
    shuffle: bool = False,
    gap_tol: float = 0.0,
    abs_gap_tol: float = 0.0,
    tell: Callable[[Pursuit], None] = lambda pursuit: None,
) -> Maximum:
    r"""Find rows of the largest utility that all constraints allow.

    .. math:: \max_z \sum_i u_i z_i \quad\text{s.t. the constraints and the budget of a problem}

    Where spacing and nested limits are all there is, this is exact and takes milliseconds
    (`merging`), and so it is by a linear program where one more limit on groups crosses those
    (`transporting`). Other limits get prices (`relaxing`), and HiGHS decides what these leave open
    (`branching`). What depends on the problem alone is found once, at the first call.

    Parameters
    ----------
    problem
        Whose candidates, constraints and budget count; its own objective does not.
    utility
        u ``(N,)``, finite on candidates, of any sign.
    clock
        Obeyed: when it runs out, the best so far comes back.
    start
        A feasible selection that is known, or None.
    seed
        Of HiGHS, and of what is random.
    shuffle
        Decide at random between equally useful rows, instead of by their order.
    gap_tol, abs_gap_tol
        Where branching may end.
    tell
        Called with every better answer or bound; `summed_up` turns what it gets into a `Maximum`.

    Examples
    --------
    >>> from labelcut import BudgetedSelection, GroupLimit
    >>> from labelcut.solvers._clock import Clock
    >>> one_each = GroupLimit(["a", "a", "b"], at_most=1)
    >>> problem = BudgetedSelection([3.0, 2.0, 1.0], budget=2, constraints=[one_each])
    >>> best = maximize(problem, problem.utility, Clock())
    >>> best.rows, round(best.bound, 9), best.complete
    (array([0, 2]), 4.0, True)
    """
    try:
        structure = structure_of(problem, clock)
    except OutOfTime:
        return Maximum(start, np.inf, None, np.inf, False, False)
    if structure.impossible:
        return Maximum(None, -np.inf, None, -np.inf, True, True)
    utility = np.asarray(utility, dtype=np.float64)
    pursuit = Pursuit(
        problem,
        structure,
        utility,
        clock,
        gap=lambda value: max(abs_gap_tol, gap_tol * abs(value)),
        tell=tell,
        rng=np.random.default_rng(seed) if shuffle else None,
    )
    complete = False
    try:
        if start is not None:
            pursuit.offer(start)
        if not len(structure.crossing.limits):
            pursuit.at(np.empty(0))
            return summed_up(pursuit, pursuit.rows is not None)
        if pursuit.rows is None and cannot_meet(pursuit):
            return Maximum(None, -np.inf, None, -np.inf, True, True)
        if is_transport(pursuit) and transport(pursuit):
            return summed_up(pursuit, complete=True)
        relax(pursuit, 0.4 * clock.remaining())
        if not pursuit.closed:
            pursuit.grow()
        ended = None if pursuit.closed else _branch(pursuit, seed)
        if ended == "infeasible":
            return Maximum(None, -np.inf, None, -np.inf, True, True)
        complete = ended == "complete" or pursuit.optimal
    except OutOfTime:
        pass
    return summed_up(pursuit, complete)


def _branch(pursuit: Pursuit, seed: int) -> str | None:
    """Branch on what prices leave undecided, curves drawn as lines between narrow ends."""
    curves = curves_of(pursuit.problem.constraints, pursuit.problem.dataset)
    if not curves:
        return branch(pursuit, seed)
    lined, curves = narrow(pursuit, curves)
    if pursuit.rows is None:
        _straighten(pursuit, seed)
    if pursuit.closed:
        return None
    if lined is not pursuit and pursuit.rows is not None:
        lined.offer(pursuit.rows)
    ended = branch(lined, seed, curves)
    pursuit.peak, pursuit.nodes = lined.peak, lined.nodes
    return ended


def _straighten(pursuit: Pursuit, seed: int) -> None:
    """Offer what is best under plain limits, moved by the margins that the last answer needs."""
    problem = pursuit.problem
    assert pursuit.merged is not None
    rows = pursuit.whole(pursuit.merged.places)
    for _ in range(ROUNDS):
        plain = BudgetedSelection(
            pursuit.utility,
            problem.budget,
            labeled=problem.labeled,
            candidates=problem.candidates,
            constraints=[rule.straightened(rows, WIDER) for rule in problem.constraints],
        )
        clock = Clock(SHARE * pursuit.clock.remaining())
        found = maximize(plain, pursuit.utility, clock, seed=seed, gap_tol=NEAR)
        pursuit.clock.check()
        if found.rows is None:
            return
        rows = found.rows
        if pursuit.offer(rows):
            return


def summed_up(pursuit: Pursuit, complete: bool = False) -> Maximum:
    """Return what is known so far."""
    return Maximum(
        pursuit.rows,
        pursuit.bound,
        prices_of(pursuit),
        pursuit.root,
        complete,
        False,
        pursuit.peak,
        pursuit.nodes,
        pursuit.narrowing,
    )
