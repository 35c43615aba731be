"""Greedy k-center: the farthest row is the next center, with a bound that comes for free."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

import numpy as np

from ...problems.base import Certificate
from ...problems.errors import Stuck
from ...problems.spaces import HELD_VALUES
from ...problems.threads import one_blas_thread
from .._clock import OutOfTime
from .balancing import charge_of
from .farthest import Farthest
from .guarded import Guarded
from .suppliers import Suppliers

if TYPE_CHECKING:
    from ...problems.arrays import Ints, Mask
    from ...problems.k_center import KCenter
    from ..search import Search
    from .charge import Charge


LARGEST = 1024
"""Rows whose distances are up to date before the radius is measured: those that may decide it."""


def solve_greedy(search: Search[KCenter]) -> None:
    r"""Add the row that is farthest from all centers, b times (Gonzalez 1985).

    .. math:: \psi = \arg\max_i\, \min_{c \in S \cup L} d(x_i, x_c)

    In a metric its radius is at most twice the optimum. Without labeled or included rows the first
    center is the row nearest to the mean, or the lowest selectable one where that may not be
    chosen: ``info["start"]``. Ties go to the lowest row. ``info["curve"]`` holds the radius after
    each pick, where all rows that must be covered may be chosen.

    - Rows that must be covered but not chosen: the farthest row is covered by the selectable row
      nearest to it, and left alone once that is chosen; 3 times the optimum.
    - Outliers: plain farthest-first picks outliers themselves, so a second selection takes the
      (Ξ + 1)-th farthest row each time, and the better one of the two is returned.
    - Class balance (thesis algorithm 2):

      .. math:: \psi = \arg\min_i\; -d_i + \lambda\,\text{dist}(\Omega, P^\top z + p_i)

      With ℓ1, while no class is full every row lowers the distance by the same amount, since rows
      of P sum to 1: until then λ changes nothing (the first 389 of 500 picks where it was
      measured). With ``distance="l2"`` it steers from the first pick.
    - Constraints: a farthest row that they close is covered by the row nearest to it that they let
      in (under class balance: passed over), and picks that leave no room for what they still ask
      for are completed by other rows. The factors of 2 and 3 do not hold then; the bound does,
      since constraints only take selections away.

    The bound: no center lies within r / 2 of two rows that are r apart, so that b + Ξ + 1 rows
    mutually r apart prove a radius of r / 2, whatever is chosen (r / 4 for squared and cosine
    distances). Farthest-first finds them.
    """
    problem = search.problem
    everyone = len(problem.free) + len(problem.fixed) == problem.space.size
    plain = everyone and not (problem.is_limited or problem.balance > 0 or problem.outliers)
    if plain and problem.space.width > 0:
        # Most rows need not be measured to all that are labeled.
        is_large = problem.space.size * problem.space.width > HELD_VALUES
        with one_blas_thread() if is_large else nullcontext():
            engine = _select(search)
            _prove_witnesses(search, engine, engine.added)
        return
    problem.prepare(search.clock.check_late)
    if problem.is_limited:
        _solve_within(search, balanced=problem.balance > 0)
        return
    if problem.balance > 0:
        _select(search, balanced=True)
        _witness(search)
        return
    if plain:
        engine = _select(search)
        _prove_witnesses(search, engine, engine.added)
        return
    _select(search)
    _witness(search)
    search.stop_if_closed()
    if problem.outliers:
        _select(search, rank=problem.outliers)


def solve_straight(search: Search[KCenter]) -> None:
    """Do what `solve_greedy` does under class balance, steered by ℓ2 whatever the distance is.

    Of two rows of the same length ℓ2 prefers the one whose class lacks most, from the first pick.
    The answer is measured by the problem's own distance.
    """
    if search.problem.is_limited:
        _solve_within(search, balanced=True, straight=True)
        return
    _select(search, balanced=True, straight=True)
    _witness(search)


def _solve_within(
    search: Search[KCenter], *, balanced: bool = False, straight: bool = False
) -> None:
    """Do what `solve_greedy` does, as the constraints let rows in."""
    picked = _select_within(search, balanced=balanced, straight=straight)
    outliers = search.problem.outliers
    if picked.strict and not balanced and not outliers and not picked.left:
        _prove_witnesses(search, picked.engine, picked.engine.added)
        return
    _prove_unreachable(search, picked.suppliers)
    _witness(search)
    search.stop_if_closed()
    if outliers and not balanced:
        _select_within(search, rank=outliers)


def _select_within(
    search: Search[KCenter], *, rank: int = 0, balanced: bool = False, straight: bool = False
) -> Guarded:
    """Grow a selection as the constraints let rows in, and offer it."""
    problem = search.problem
    charge = charge_of(problem, straight=straight) if balanced else None
    is_open = problem.is_free.copy()
    if not balanced:
        is_open[:] = True
        is_open[problem.fixed] = False
    engine = _engine(search, is_open, charge)
    picked = Guarded(search, engine)
    try:
        if not len(problem.fixed) and problem.to_choose:
            picked.start(problem.space.start(search.clock.check_late))
        if balanced:
            picked.pick_open(rank)
        else:
            picked.pick_all(rank)
        engine.bring_up_to_date(LARGEST + problem.outliers)
    except OutOfTime:
        with suppress(Stuck):
            _offer_within(search, picked, picked.rows(in_time=False))
        raise
    _offer_within(search, picked, picked.rows())
    return picked


def _offer_within(search: Search[KCenter], picked: Guarded, rows: Ints) -> None:
    nearest = picked.engine.hints()
    if search.offer(rows, ordered=True, nearest=np.where(nearest < 0, rows[0], nearest)):
        search.info["passes"] = picked.engine.passes


def _select(
    search: Search[KCenter], *, rank: int = 0, balanced: bool = False, straight: bool = False
) -> Farthest:
    """Grow a selection to the whole budget and offer it; `rank` rows are passed over each time."""
    problem = search.problem
    everyone = len(problem.free) + len(problem.fixed) == problem.space.size
    is_open = np.full(problem.space.size, True)
    is_open[problem.fixed] = False
    if balanced:
        is_open[:] = False
        is_open[problem.free] = True
    charge = charge_of(problem, straight=straight) if balanced else None
    engine = _engine(search, is_open, charge)
    suppliers = None if everyone or balanced else Suppliers(problem, search.clock)
    curve: list[float] = []
    info = {"curve": curve} if everyone and not balanced else {}
    try:
        if not len(problem.fixed) and problem.to_choose:
            start = problem.space.start(search.clock.check_late)
            start = start if problem.is_free[start] else int(problem.free[0])
            search.info["start"] = start
            engine.add(start)
        while len(engine.added) < problem.to_choose:
            if everyone and not balanced and (engine.added or len(problem.fixed)):
                curve.append(_radius(problem, engine))
            _pick(engine, rank, suppliers)
        if everyone and not balanced:
            curve.append(_radius(problem, engine))
            # The radius before the first pick is no part of the curve.
            del curve[: len(curve) - problem.to_choose]
        elif not everyone:
            engine.bring_up_to_date(LARGEST + problem.outliers)
    except OutOfTime:
        _offer(search, engine, {})
        raise
    if suppliers is not None:
        _prove_unreachable(search, suppliers)
    _offer(search, engine, info)
    return engine


def _engine(search: Search[KCenter], is_open: Mask, charge: Charge | None = None) -> Farthest:
    problem = search.problem
    return Farthest(
        problem.space, problem.fixed, problem.known_to_fixed, search.clock, is_open, charge
    )


def _radius(problem: KCenter, engine: Farthest) -> float:
    """Return the radius so far, where all rows that are no centers are open."""
    left = problem.space.size - len(problem.fixed) - len(engine.added)
    return engine.farthest(problem.outliers)[1] if left > problem.outliers else 0.0


def _pick(engine: Farthest, rank: int, suppliers: Suppliers | None) -> None:
    """Add one center, or leave a row alone that no further center can come nearer to."""
    rank = rank and min(rank, int(engine.is_open.sum()) - 1)
    row, distance = engine.farthest(rank)
    if suppliers is None or suppliers.is_free[row]:
        engine.add(row)
        return
    supplier, nearest = suppliers.of(row, engine)
    engine.close(row)
    if nearest < distance:
        engine.add(supplier)


def _offer(search: Search[KCenter], engine: Farthest, info: dict[str, list[float]]) -> None:
    """Offer the picks, filled up with the lowest rows where the clock stopped them."""
    problem = search.problem
    chosen = np.array(engine.added[: problem.to_choose], dtype=np.int64)
    rest = np.setdiff1d(problem.free, chosen, assume_unique=True)
    picks = np.concatenate([chosen, rest[: problem.to_choose - len(chosen)]])
    nearest = engine.hints()
    some = problem.fixed[:1] if len(problem.fixed) else picks[:1]
    nearest = np.where(nearest < 0, some[0], nearest)
    if search.offer(np.concatenate([problem.included, picks]), ordered=True, nearest=nearest):
        search.info.pop("curve", None)
        search.info.update(info, passes=engine.passes)


def _witness(search: Search[KCenter]) -> None:
    """Choose rows farthest-first among all, selectable or not, and prove what they prove."""
    problem = search.problem
    size, needed = problem.space.size, problem.to_choose + problem.outliers
    is_open = np.full(size, True)
    is_open[problem.fixed] = False
    if needed >= int(is_open.sum()):
        _prove(search, problem.fixed[:0], 0.0)
        return
    engine = _engine(search, is_open)
    if not len(problem.fixed):
        engine.add(problem.space.start(search.clock.check_late))
    while len(engine.added) < needed:
        engine.add(engine.farthest()[0])
    _prove_witnesses(search, engine, engine.added)


def _prove_witnesses(search: Search[KCenter], engine: Farthest, chosen: list[int]) -> None:
    problem = search.problem
    if not engine.is_open.any():
        _prove(search, problem.fixed[:0], 0.0)
        return
    row, distance = engine.farthest()
    rows = np.array([*chosen, row])
    if not problem.to_choose:
        # Nothing is left to choose: the farthest rows stay where they are.
        rows = np.argsort(-problem.to_fixed[1], kind="stable")[: problem.outliers + 1]
        radius = float(problem.to_fixed[1][rows[-1]])
    elif problem.space.witness_share is None:
        radius = _told_apart(problem, rows)
    else:
        radius = problem.space.witness_radius(distance)
    _prove(search, rows, radius)


def _told_apart(problem: KCenter, rows: Ints) -> float:
    """Return the largest radius at which no candidate covers two of the rows, measured directly."""
    radius = float(problem.to_fixed[1][rows].min())
    sites = problem.space.sites(rows)
    for start, stop in problem.space.blocks(len(rows)):
        rough = problem.space.rough(slice(start, stop), sites)[problem.is_free[start:stop]]
        if len(rough):
            radius = min(radius, float(np.partition(rough, 1, axis=1)[:, 1].min()))
    return radius


def _prove_unreachable(search: Search[KCenter], suppliers: Suppliers) -> None:
    """Prove that Ξ + 1 rows are this far from whatever may become a center."""
    problem = search.problem
    rows, distances = suppliers.found()
    if len(rows) <= problem.outliers:
        return
    at = np.argsort(-distances, kind="stable")[: problem.outliers + 1]
    _prove(search, rows[at], float(distances[at[-1]]))


def _prove(search: Search[KCenter], rows: Ints, radius: float) -> None:
    if not 0 < radius < np.inf:
        rows, radius = rows[:0], 0.0
    values = {"rows": rows.tolist(), "radius": radius}
    bound = radius + search.problem.least_imbalance()
    search.prove(bound, Certificate(kind="witnesses", recheckable=True, bound=bound, values=values))
