"""Proofs that no b centers within the limits cover the sampled rows, and covers by the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...problems.priced_cover import exceeds
from .._lp import solve_lp
from .._mip import LinearModel, MipStatus, solve_model

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.k_center import KCenter
    from ...problems.pricing import Prices
    from ..search import Search
    from .covering import Cover
    from .limits import Limits

LARGE = 50_000
"""Entries from which HiGHS' presolve, which compares columns with each other, takes too long."""


@dataclass(frozen=True, eq=False)
class PricedRelaxation:
    """What a linear program with the limits' rows tells of a cover.

    Parameters
    ----------
    refuted
        Whether weights and prices prove that nothing covers the rows, in float64.
    weights, prices
        The duals behind it: ``(m,)`` of the rows, not negative, and those of the limits.
    values
        The relaxed centers ``(n,)``.
    missed
        How many rows they leave uncovered, in all.
    """

    refuted: bool
    weights: Floats
    prices: Prices
    values: Floats
    missed: float


def relaxed_within(cover: Cover, limits: Limits, seconds: float) -> PricedRelaxation | None:
    r"""Solve the covering LP within the limits, and prove again what its duals say.

    .. math:: \min \sum_i n_i o_i \;\text{s.t.}\; \sum_{j \in N_i} z_j + o_i \ge 1,\;
        A z \le r,\; \sum_j z_j = b,\; 0 \le z \le 1,\; o \ge 0

    Where it leaves more than Ξ rows uncovered, its duals are weights of the rows and prices of the
    limits that prove it (`proves_within_limits`).
    """
    from scipy.sparse import block_array, csr_array, eye_array

    problem = limits.problem
    (m, n), rows = cover.shape, limits.apart
    k = len(rows)
    model = LinearModel(
        cost=np.concatenate([np.zeros(n), cover.copies]),
        matrix=block_array(
            [
                [cover.matrix, eye_array(m)],
                [limits.matrix[rows], csr_array((k, m))],
                [csr_array(np.ones((1, n))), csr_array((1, m))],
            ],
            format="csc",
        ),
        row_lower=np.concatenate([np.ones(m), np.full(k, -np.inf), [problem.to_choose]]),
        row_upper=np.concatenate([np.full(m, np.inf), limits.limits[rows], [problem.to_choose]]),
        lower=np.zeros(n + m),
        upper=np.concatenate([np.ones(n), np.full(m, np.inf)]),
        integer=np.zeros(n + m, dtype=bool),
    )
    # Presolve compares columns with each other: without it the simplex method is some seventy times
    # faster here, and keeps the clock.
    solved = solve_lp(model, seconds, {"presolve": "off"})
    if solved is None:
        return None
    values, duals = solved
    weights = np.maximum(duals[:m], 0.0)
    prices = limits.prices(rows, np.maximum(-duals[m : m + k], 0.0), -float(duals[-1]))
    covered = np.zeros(problem.dataset.size)
    covered[problem.free] = cover.matrix.T @ weights
    # Rows that stand for several are as many weights, of which each may be an outlier's.
    each = np.repeat(weights / cover.copies, cover.copies)
    return PricedRelaxation(
        exceeds(problem, each, covered, prices),
        weights,
        prices,
        values[:n],
        float(model.cost @ values),
    )


def search_within_limits(
    cover: Cover, limits: Limits, seconds: float, search: Search[KCenter], barred: list[Ints]
) -> tuple[bool, Ints | None]:
    """Ask HiGHS for exactly b columns that cover all rows but the outliers within the limits.

    Parameters
    ----------
    barred
        Choices of columns that are no answers: HiGHS keeps limits to a tolerance only.

    Returns
    -------
    bool
        Whether it has proven that there are none.
    ndarray or None
        Columns, if it has found some; the constraints' own `check` may still refuse them.
    """
    from scipy.sparse import csr_array, hstack, vstack

    problem = limits.problem
    (m, n), count = cover.shape, problem.to_choose
    outliers = problem.outliers
    extra = m if outliers else 0
    starts = np.arange(len(barred) + 1) * count
    taken = np.concatenate([np.empty(0, np.int64), *barred])
    bars = csr_array((np.ones(len(taken)), taken, starts), shape=(len(barred), n))
    rows = [cover.matrix, limits.matrix, csr_array(np.ones((1, n))), bars]
    if outliers:
        missing = csr_array((np.ones(m), np.arange(m), np.arange(m + 1)), shape=(m, m))
        empty = [csr_array((part.shape[0], m)) for part in rows[1:]]
        rows = [hstack(pair) for pair in zip(rows, [missing, *empty], strict=True)]
        copies = np.concatenate([np.zeros(n), cover.copies.astype(np.float64)])
        rows.append(csr_array(copies[None]))
    exactly, last = np.array([float(count)]), [float(outliers)] if outliers else []
    bar = np.full(len(barred), count - 1.0)
    upper = np.concatenate([np.full(m, np.inf), limits.relaxed, exactly, bar, last])
    lower = np.full(len(upper), -np.inf)
    lower[:m], lower[m + len(limits.limits)] = 1.0, count
    result = solve_model(
        LinearModel(
            cost=np.zeros(n + extra),
            matrix=vstack(rows, format="csr"),
            row_lower=lower,
            row_upper=upper,
            lower=np.zeros(n + extra),
            upper=np.ones(n + extra),
            integer=np.ones(n + extra, dtype=bool),
        ),
        time_limit=max(seconds, 1e-3),
        options={
            "random_seed": search.seed % (1 << 31),
            "mip_feasibility_tolerance": 1e-9,
            "presolve": "choose" if cover.matrix.nnz + limits.matrix.nnz < LARGE else "off",
        },
        on_update=lambda update: update.values is not None,
    )
    search.note_peak(result.peak_bytes)
    if result.status is MipStatus.INFEASIBLE:
        return True, None
    if result.values is None:
        return False, None
    chosen = np.flatnonzero(result.values[:n] > 0.5)
    return False, chosen if len(chosen) == count else None
