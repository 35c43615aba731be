"""One region from each pool: the batch of RALIS as an assignment, and what exactness gains."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.budgeted import BudgetedSelection
from ...problems.constraints import GroupLimit
from ...problems.errors import InvalidInput
from ...solvers import solve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...problems.arrays import Floats, Ints


@dataclass(frozen=True, eq=False)
class PoolChoice:
    """One region from each of K pools, no region twice.

    Attributes
    ----------
    regions
        The region taken from each pool ``(K,)``.
    places
        Its place within the pool ``(K,)``.
    utility
        Sum of their values.
    repeats
        How many picks of the arg max of each pool are regions that an earlier pool took too.
    distinct_utility
        Sum of the values of the different regions among these arg max: what labeling them without
        a substitute brings, with `repeats` regions fewer.
    repaired_utility
        Sum of values where pool after pool takes the best region that is left; None where a pool
        is left with nothing.
    seconds
        Spent on the exact choice.
    """

    regions: Ints
    places: Ints
    utility: float
    repeats: int
    distinct_utility: float
    repaired_utility: float | None
    seconds: float


def draw_pools(unlabeled: Any, pools: int, size: int, rng: np.random.Generator) -> Ints:
    """Draw K pools of N different regions each; a region may be in several pools.

    Where small pools leave no region of its own to each of them, K·N different ones are drawn
    instead.

    Parameters
    ----------
    unlabeled
        Regions to draw from.
    pools, size
        K and N.
    rng
        Random numbers.

    Returns
    -------
    NDArray
        ``(K, N)``, each row without repeats.

    Raises
    ------
    InvalidInput
        If there are fewer than K·N regions.

    References
    ----------
    Reinforced Active Learning for Image Segmentation, section 3.1, step 2.
    """
    regions = np.asarray(unlabeled, dtype=np.int64)
    _require_pools(len(regions), pools, size)
    drawn = np.stack([rng.choice(regions, size, replace=False) for _ in range(pools)])
    if size >= pools or _differ(drawn):
        return drawn
    return rng.permutation(regions)[: pools * size].reshape(pools, size)


def _differ(pools: Ints) -> bool:
    """Return whether a region can be taken from each pool, none twice."""
    from scipy import sparse
    from scipy.sparse.csgraph import maximum_bipartite_matching

    names, column = np.unique(pools, return_inverse=True)
    row = np.repeat(np.arange(len(pools)), pools.shape[1])
    entries = (np.ones(pools.size, dtype=np.int8), (row, column.ravel()))
    graph = sparse.csr_array(entries, shape=(len(pools), len(names)))
    return bool((maximum_bipartite_matching(graph, perm_type="column") >= 0).all())


def _require_pools(unlabeled: int, pools: int, size: int) -> None:
    """Raise `InvalidInput` unless K pools of N regions can be drawn."""
    if pools < 1 or size < 1:
        raise InvalidInput(f"pools, size: must be 1 or more; got {pools} and {size}")
    if unlabeled < pools * size:
        raise InvalidInput(
            f"regions: {pools} pools of {size} need {pools * size} regions that are not labeled; "
            f"there are {unlabeled}; lower the pools, their size, or the budget"
        )


def pool_problem(
    values: Any, regions: Any, table: Mapping[str, Any] | None = None
) -> BudgetedSelection:
    r"""State the choice of one region from each pool as an assignment problem.

    .. math:: \max_z \sum_{k,n} Q_{kn} z_{kn} \quad\text{s.t.}\quad \sum_n z_{kn} = 1,\;
        \sum_{(k,n):\, x_{kn} = x} z_{kn} \le 1,\; z \in \{0,1\}^{K N}

    Parameters
    ----------
    values
        Q ``(K, N)``.
    regions
        Which region x each candidate is ``(K, N)``.
    table
        Columns by region, such as ``image``, ``top``, ``left``.

    Returns
    -------
    BudgetedSelection
        Of K·N rows, pool by pool, with the columns ``pool`` and ``region`` in its table.

    Examples
    --------
    >>> problem = pool_problem([[3.0, 2.0], [5.0, 3.5]], [[7, 1], [7, 2]])
    >>> solve(problem).indices  # arg max of each pool would take region 7 twice
    array([1, 2])
    """
    q = np.asarray(values, dtype=np.float64)
    x = np.asarray(regions, dtype=np.int64)
    if q.ndim != 2 or q.shape != x.shape:
        raise InvalidInput(
            f"values, regions: must have one shape (pools, size); got {q.shape} and {x.shape}"
        )
    pool = np.repeat(np.arange(len(q)), q.shape[1])
    flat = x.ravel()
    columns = {name: np.asarray(column)[flat] for name, column in (table or {}).items()}
    return BudgetedSelection(
        q.ravel(),
        budget=len(q),
        constraints=[
            GroupLimit(pool, at_least=1, at_most=1, name="one from each pool"),
            GroupLimit(flat, at_most=1, name="no region twice"),
        ],
        table={"pool": pool, "region": flat, **columns},
    )


def choose_from_pools(values: Any, regions: Any) -> PoolChoice:
    """Take one region from each pool, none twice, of the highest sum of values.

    Raises
    ------
    InvalidInput
        If the pools do not hold enough different regions.
    """
    problem = pool_problem(values, regions)
    q, x = problem.utility.reshape(np.shape(values)), np.asarray(regions)
    before = perf_counter()
    answer = solve(problem, "exact", gap_tol=0.0)
    seconds = perf_counter() - before
    if answer.objective is None:
        raise InvalidInput(
            f"regions: one from each pool and none twice cannot be taken ({answer.reason}); draw "
            "larger pools"
        )
    places = answer.indices - np.arange(len(q)) * q.shape[1]
    best = q.argmax(axis=1)
    at = np.arange(len(q))
    _, first = np.unique(x[at, best], return_index=True)
    return PoolChoice(
        regions=x[at, places],
        places=places,
        utility=float(answer.objective),
        repeats=len(q) - len(first),
        distinct_utility=float(q[first, best[first]].sum()),
        repaired_utility=_repaired(q, x),
        seconds=seconds,
    )


def _repaired(q: Floats, x: Ints) -> float | None:
    taken: set[int] = set()
    total = 0.0
    for values, regions in zip(q, x, strict=True):
        left = [at for at in np.argsort(-values, kind="stable") if regions[at] not in taken]
        if not left:
            return None
        taken.add(int(regions[left[0]]))
        total += float(values[left[0]])
    return total
