"""What prices leave undecided, decided by HiGHS."""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp, fsum
from typing import TYPE_CHECKING, Any

import numpy as np

from .._curved import DROPPED, bends_of, solve_curved
from .._mip import MipStatus
from .._mip_model import LinearModel
from .merging import priced_out
from .relaxing import row_sizes
from .structure import LOOPS
from .windows import windows_among

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...problems.arrays import Floats, Ints, Mask
    from ...problems.constraints import Curve
    from .._mip import MipUpdate
    from .relaxing import Pursuit
    from .structure import Structure
    from .windows import Windows

SAFETY = 1e-6
"""Share of HiGHS' own bound, in units of the model at least, taken off for its tolerances."""
CORES = (600, 4_000, 30_000)
"""Undecided rows that are tried before all of them."""
SHORTEST = 1e-3


@dataclass(frozen=True, eq=False)
class Core:
    """The places that a model decides on, and those that are chosen for certain.

    Parameters
    ----------
    places, taken
        Places, ascending; all others are left out.
    exact
        Whether every selection better than the answer agrees with it.
    """

    places: Ints
    taken: Ints
    exact: bool


def branch(pursuit: Pursuit, seed: int, curves: Sequence[Curve] = ()) -> str | None:
    """Let HiGHS decide on ever more rows, those first that the prices leave closest.

    A row whose turning around costs the Lagrangian bound more than the room between bound and
    answer cannot be turned around in a better answer; once the model holds all others, its bound
    counts.

    Parameters
    ----------
    pursuit
        With prices (`relax`).
    seed
        Of HiGHS.
    curves
        Of the problem's constraints.

    Returns
    -------
    str or None
        ``"complete"`` if nothing better than the answer exists, ``"infeasible"`` if nothing
        satisfies the constraints, None if the clock ran out.
    """
    losses, chosen = losses_of(pursuit)
    for size in (*CORES, len(losses)):
        core = _core(pursuit, losses, chosen, size)
        seconds = pursuit.clock.remaining() * (1.0 if core.exact else 0.3)
        status = _solve(pursuit, core, curves, max(seconds, SHORTEST), seed)
        if pursuit.closed and not (core.exact and status is MipStatus.OPTIMAL):
            return "complete" if pursuit.optimal else None
        if core.exact and status is MipStatus.INFEASIBLE and pursuit.rows is None:
            return "infeasible"
        if core.exact:
            done = status in (MipStatus.OPTIMAL, MipStatus.INFEASIBLE)
            return "complete" if done and pursuit.rows is not None else None
        pursuit.clock.check()
    return None


def losses_of(pursuit: Pursuit) -> tuple[Floats, Mask]:
    """Return what turning each place around costs the bound ``(n,)``, and which are chosen."""
    structure, merged = pursuit.structure, pursuit.merged
    assert merged is not None
    weights, _ = pursuit.net(pursuit.multipliers)
    net, _ = priced_out(structure, weights, merged.price)
    losses = np.empty(len(net))
    front, back = np.zeros((2, int(np.diff(structure.starts).max(initial=0)) + 1))
    LOOPS.run(
        pursuit.clock,
        "losses",
        net,
        structure.first,
        structure.last,
        structure.starts,
        merged.chosen,
        front,
        back,
        losses,
    )
    return losses, merged.chosen


def _core(pursuit: Pursuit, losses: Floats, chosen: Mask, size: int) -> Core:
    structure = pursuit.structure
    room = np.inf
    if pursuit.rows is not None:
        scale = (
            abs(pursuit.value) + abs(pursuit.root) + float(np.abs(pursuit.weights).max(initial=0))
        )
        room = pursuit.root - pursuit.value + 1e-9 * scale
    undecided = losses <= room
    exact = np.count_nonzero(undecided) <= size
    if not exact:
        threshold = np.partition(losses, size - 1)[size - 1]
        undecided &= losses <= threshold
    taken = np.flatnonzero(chosen & ~undecided)
    blocked = np.zeros(len(losses) + 1, dtype=np.int64)
    np.add.at(blocked, structure.first[taken], 1)
    np.add.at(blocked, structure.last[taken] + 1, -1)
    undecided &= np.cumsum(blocked[:-1]) == 0
    return Core(np.flatnonzero(undecided), taken, bool(exact))


def _solve(
    pursuit: Pursuit, core: Core, curves: Sequence[Curve], seconds: float, seed: int
) -> MipStatus:
    windows = windows_among(pursuit.structure, core.places, plain=bool(curves))
    model, unit = model_over(pursuit, core, windows)
    count = len(core.places)
    start = None
    if pursuit.rows is not None:
        inside = np.zeros(pursuit.problem.dataset.size, dtype=bool)
        inside[pursuit.rows] = True
        held = inside[pursuit.structure.rows]
        outside = np.ones(len(held), dtype=bool)
        outside[core.places] = False
        outside[core.taken] = False
        if held[core.taken].all() and not held[outside].any():
            start = windows.with_sums(held[core.places].astype(float))
    before = pursuit.value

    def take(update: MipUpdate) -> bool:
        if update.values is not None:
            found = core.places[update.values[:count] > 0.5]
            pursuit.offer(pursuit.whole(np.concatenate([core.taken, found])))
        if update.bound is not None and core.exact:
            _prove(pursuit, update.bound, unit, before)
        return pursuit.closed

    problem, rows = pursuit.problem, pursuit.structure.rows
    certain = pursuit.whole(core.taken)
    most = len(core.places) if problem.budget is None else problem.budget - len(certain)
    result = solve_curved(
        model,
        bends_of(curves, rows[core.places], certain, most),
        time_limit=seconds,
        start=start,
        options={
            "random_seed": seed % (1 << 31),
            "mip_rel_gap": 0.0 if core.exact else 1e-7,
            "mip_feasibility_tolerance": 1e-10,
            "primal_feasibility_tolerance": 1e-10,
        },
        on_update=take,
    )
    pursuit.peak = max(result.peak_bytes or 0, pursuit.peak or 0) or None
    pursuit.nodes += result.nodes
    status = result.status
    if result.values is not None:
        found = core.places[result.values[:count] > 0.5]
        if not _is_met(pursuit, pursuit.whole(np.concatenate([core.taken, found]))):
            status = MipStatus.STOPPED
    if core.exact:
        if result.bound is not None:
            _prove(pursuit, result.bound, unit, before)
        elif result.status is MipStatus.INFEASIBLE:
            pursuit.prove(max(before, pursuit.value))
    return status


def _is_met(pursuit: Pursuit, rows: Ints) -> bool:
    """Offer HiGHS' best; say whether the answer is as good, which what breaks a limit is not."""
    pursuit.offer(rows)
    best = fsum(pursuit.utility[rows])
    return best - pursuit.value <= SAFETY * abs(best)


def _prove(pursuit: Pursuit, bound: float, unit: float, outside: float) -> None:
    """Lower HiGHS' claim by its tolerances; what the model leaves out is no better than before."""
    safe = -unit * (bound - SAFETY * max(abs(bound), 1.0))
    pursuit.prove(max(safe, outside + SAFETY * abs(outside) if np.isfinite(outside) else safe))


def model_over(pursuit: Pursuit, core: Core, windows: Windows) -> tuple[LinearModel, float]:
    """Return the model over the core's places, its objective in a unit near the weights' size.

    Behind the places come the sums that `windows` has.
    """
    from scipy import sparse

    structure, places = pursuit.structure, core.places
    weights = pursuit.weights[places]
    _, exponent = frexp(float(np.abs(weights).max(initial=0.0)) or 1.0)
    unit = 2.0 ** (exponent - 1)
    offset = fsum([pursuit.offset, *pursuit.weights[core.taken]])
    blocks: list[Any] = []
    lower: list[Any] = []
    upper: list[Any] = []
    leaf = np.repeat(structure.leaf, np.diff(structure.starts))
    count = len(structure.parent)
    fixed = _per_node(structure, np.bincount(leaf[core.taken], minlength=count))
    member, column = leaf[places], np.arange(len(places))
    node_rows: list[Ints] = []
    node_columns: list[Ints] = []
    while len(member):
        node_rows.append(member)
        node_columns.append(column)
        up = structure.parent[member]
        member, column = up[up >= 0], column[up >= 0]
    if node_rows:
        entries = (np.concatenate(node_rows), np.concatenate(node_columns))
        ones = np.ones(len(entries[0]))
        blocks.append(sparse.csr_array((ones, entries), shape=(count, len(places))))
        lower.append((structure.lower - fixed).astype(float))
        upper.append((structure.upper - fixed).astype(float))
    crossing = structure.crossing
    inner = crossing.matrix[:, places]
    left = crossing.limits - np.asarray(crossing.matrix[:, core.taken].sum(axis=1)).ravel()
    scale = row_sizes(inner)
    scaled = sparse.coo_array(sparse.diags_array(1.0 / scale) @ inner)
    # HiGHS takes tiny coefficients for 0, which must not cost what they would have brought.
    tiny = scaled.row[(scaled.data < 0) & (scaled.data >= -DROPPED)]
    blocks.append(scaled)
    lower.append(np.full(len(left), -np.inf))
    upper.append(left / scale + DROPPED * np.bincount(tiny, minlength=len(left)))
    sums = len(windows.summed)
    matrix = sparse.csr_array(sparse.vstack(blocks, format="csr"))
    matrix.resize((matrix.shape[0], len(places) + sums))
    return LinearModel(
        cost=np.append(-weights / unit, np.zeros(sums)),
        matrix=sparse.csr_array(sparse.vstack([windows.matrix, matrix], format="csr")),
        row_lower=np.concatenate([windows.lower, *lower]),
        row_upper=np.concatenate([windows.upper, *upper]),
        lower=np.zeros(len(places) + sums),
        upper=np.append(np.ones(len(places)), np.full(sums, np.inf)),
        integer=np.arange(len(places) + sums) < len(places),
        offset=-offset / unit,
    ), unit


def _per_node(structure: Structure, counts: Ints) -> Ints:
    """Return counts with those of all nodes below added ``(G,)``."""
    total = counts.copy()
    for node in range(len(total) - 1, 0, -1):
        total[structure.parent[node]] += total[node]
    return total
