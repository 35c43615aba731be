"""Proofs that no b centers cover the sampled rows: by linear programs, by branch and bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._lp import solve_lp
from .._mip import LinearModel, MipStatus, MipUpdate, solve_model
from .covering import narrowed

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints, Mask
    from ...problems.k_center import KCenter
    from .._clock import Clock
    from ..search import Search
    from .certifying import Branchings
    from .covering import Cover

ROUNDING = 1e-6
UNIT = 27_720
"""Parts of 1 in which trees weigh rows: duals of a denominator up to 12 are whole numbers of it."""
FEW = 0.95
"""Share of columns left that ends their exclusion."""
LARGE = 20_000
"""Entries of a covering matrix from which interior points are faster than the simplex method."""


@dataclass(frozen=True, eq=False)
class Relaxation:
    """What a linear program tells of a cover.

    Parameters
    ----------
    needed
        A proven bound on how many centers it takes, or on the share of them that is.
    weights
        The duals behind it ``(m,)``, not negative.
    values
        The relaxed centers ``(n,)``.
    """

    needed: float
    weights: Floats
    values: Floats


def relaxed_cover(cover: Cover, outliers: int, seconds: float) -> Relaxation | None:
    r"""Solve the covering LP and prove its bound again in float64.

    .. math:: \min \sum_j z_j \;\text{s.t.}\; \sum_{j \in N_i} z_j + o_i \ge 1,\;
        \sum_i n_i o_i \le \Xi,\; z, o \ge 0

    The duals are clipped at 0 and divided by the largest sum that a column has of them, so that
    whatever the solver did they are feasible; without outliers each connected part is rounded up.
    """
    m, n = cover.shape
    # An optimum inside a face proves as much as a corner of it.
    inside = {"solver": "ipm", "run_crossover": "off"} if len(cover.columns_of) > LARGE else {}
    solved = solve_lp(covering_model(cover, outliers, most=np.inf), seconds, inside)
    if solved is None:
        return None
    values, duals = solved
    weights = np.maximum(duals[:m], 0.0)
    return Relaxation(needed_centers(cover, weights, outliers), weights, values[:n])


def needed_centers(cover: Cover, weights: Floats, outliers: int) -> float:
    """Return how many centers weights on the rows prove to be needed."""
    sums = cover.matrix.T @ weights
    if outliers:
        heaviest = float(sums.max(initial=0.0))
        if heaviest <= 0:
            return 0.0
        total = np.repeat(weights / cover.copies, cover.copies)
        kept = np.sort(total)[: max(len(total) - outliers, 0)].sum()
        return float(kept / heaviest)
    groups = cover.groups
    parts = int(groups.max(initial=-1)) + 1
    heaviest_in = np.zeros(parts)
    np.maximum.at(heaviest_in, groups[cover.rows_of], np.repeat(sums, np.diff(cover.column_starts)))
    total_in = np.bincount(groups, weights=weights, minlength=parts)
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.where(total_in > 0, total_in / heaviest_in, 0.0)
    if parts == 1:
        return float(needed[0])
    # Each part takes a whole number of centers.
    return float(np.ceil(needed - ROUNDING).sum())


def narrow(
    cover: Cover, budget: int, outliers: int, clock: Clock, proof: Branchings | None = None
) -> tuple[Cover, bool]:
    """Leave out columns that no cover of b columns holds, by turns with what that makes needless.

    Parameters
    ----------
    proof
        Takes in what leaves them out.

    Returns
    -------
    Cover
        What is left.
    bool
        Whether it is known to have no cover of b columns.
    """
    while True:
        if cover.copies[np.diff(cover.row_starts) == 0].sum() > outliers:
            return cover, True
        relaxed = relaxed_cover(cover, outliers, clock.remaining())
        if relaxed is None:
            return cover, False
        if np.ceil(relaxed.needed - ROUNDING) > budget:
            return cover, True
        heaviest = float((cover.matrix.T @ relaxed.weights).max(initial=0.0))
        weights = in_units(cover, relaxed.weights / heaviest) if heaviest > 0 else None
        if weights is None:
            return cover, False
        kept = may_hold(cover, weights, budget, outliers)
        if kept.sum() >= FEW * len(kept):
            return cover, False
        if proof is not None:
            proof.begin(cover).add(weights)
        cover = narrowed(cover, kept, outliers=outliers > 0)


def in_units(cover: Cover, weights: Floats) -> Floats:
    """Return the weight of each single row ``(m,)`` in whole units, rounded down."""
    return np.floor(UNIT * weights / cover.copies + ROUNDING)


def least_units(cover: Cover, weights: Floats, outliers: int) -> tuple[float, Floats]:
    r"""Return what weights w of single rows prove of the number of columns, in units.

    With :math:`r_j = 1 - \sum_{i \in N_j} w_i` columns z that leave at most Ξ rows uncovered are

    .. math:: \sum_j z_j \ge W + \sum_j r_j z_j

    where W is the weight of all rows without the Ξ heaviest. Whole numbers add up exactly.

    Returns
    -------
    float
        W.
    ndarray
        r ``(n,)``.
    """
    single = np.repeat(weights, cover.copies) if outliers else weights * cover.copies
    total = np.sort(single)[: max(len(single) - outliers, 0)] if outliers else single
    return float(total.sum()), UNIT - cover.matrix.T @ (weights * cover.copies)


def may_hold(cover: Cover, weights: Floats, budget: int, outliers: int) -> Mask:
    """Return which columns ``(n,)`` a cover of b columns may hold, as far as weights tell."""
    total, reduced = least_units(cover, weights, outliers)
    least = total + np.minimum(reduced, 0.0).sum()
    return np.asarray(least + np.maximum(reduced, 0.0) <= budget * UNIT)


def covering_model(cover: Cover, outliers: int, most: float) -> LinearModel:
    """Return the covering model: columns, then outliers, each at most so much."""
    from scipy.sparse import csr_array, eye_array, hstack, vstack

    m, n = cover.shape
    matrix, extra = cover.matrix, 0
    row_lower, row_upper = np.ones(m), np.full(m, np.inf)
    if outliers:
        extra = m
        last = csr_array(np.concatenate([np.zeros(n), cover.copies.astype(np.float64)])[None])
        matrix = vstack([hstack([matrix, eye_array(m)]), last], format="csr")
        row_lower, row_upper = np.append(row_lower, -np.inf), np.append(row_upper, float(outliers))
    return LinearModel(
        cost=np.concatenate([np.ones(n), np.zeros(extra)]),
        matrix=matrix,
        row_lower=row_lower,
        row_upper=row_upper,
        lower=np.zeros(n + extra),
        upper=np.full(n + extra, most),
        integer=np.ones(n + extra, dtype=bool),
    )


def search_by_mip(
    cover: Cover, budget: int, outliers: int, seconds: float, search: Search[KCenter]
) -> tuple[bool, Ints | None]:
    """Ask HiGHS whether `budget` columns cover all rows but the outliers.

    Returns
    -------
    bool
        Whether it has proven that they do not: its bound exceeds b + 0.5.
    ndarray or None
        Columns that do, if it has found some.
    """
    model, n = covering_model(cover, outliers, most=1.0), cover.shape[1]

    def decided(update: MipUpdate) -> bool:
        found = update.objective is not None and update.objective < budget + 0.5
        return found or (update.bound is not None and update.bound > budget + 0.5)

    result = solve_model(
        model,
        time_limit=max(seconds, 1e-3),
        options={"random_seed": search.seed % (1 << 31)},
        on_update=decided,
    )
    search.note_peak(result.peak_bytes)
    if result.status is MipStatus.INFEASIBLE:
        return True, None
    if result.bound is not None and result.bound > budget + 0.5:
        return True, None
    if result.values is not None and result.objective is not None:
        chosen = np.flatnonzero(result.values[:n] > 0.5)
        if len(chosen) <= budget:
            return False, chosen
    return False, None
