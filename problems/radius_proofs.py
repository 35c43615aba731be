"""What the values of a certificate prove of a coreset's radius."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import as_integers, as_number, as_vector
from .branched_cover import proves_by_branching, read_branchings
from .covering_bound import proves_radius
from .errors import InvalidInput
from .priced_cover import proves_within_limits
from .pricing import read_prices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .k_center import KCenter


def proven_radius(problem: KCenter, values: Mapping[str, Any]) -> float:
    """Return the radius that no selection has less of, 0 if the values prove none.

    Parameters
    ----------
    problem
        N rows.
    values
        ``rows`` and ``radius``, with ``weights`` (default 1 each) and ``groups`` (default one for
        all), see `proves_radius`; ``cover_prices`` and ``cover_budget_price`` where the limits take
        part in the proof, see `proves_within_limits`; ``unit``, ``columns`` and ``stages`` instead
        where it branches, see `proves_by_branching`.

    Raises
    ------
    InvalidInput
        If something is missing or no number, or rows are none of the dataset's.
    """
    if "rows" not in values:
        return 0.0
    radius = as_number(values.get("radius"), "certificate radius")
    if "stages" in values:
        branchings = read_branchings(values, problem.space.size)
        return radius if proves_by_branching(problem, radius, branchings) else 0.0
    rows = as_integers(values["rows"], "certificate rows")
    inside = (rows >= 0) & (rows < problem.space.size)
    if rows.ndim != 1 or not inside.all() or len(np.unique(rows)) < len(rows):
        raise InvalidInput("certificate rows: must be distinct rows of the dataset")
    count = len(rows)
    weights = as_vector(values.get("weights", np.ones(count)), "certificate weights", count)
    groups = as_integers(values.get("groups", np.zeros(count)), "certificate groups")
    if groups.shape != (count,):
        raise InvalidInput(f"certificate groups: must have {count} values; got {groups.shape}")
    uncovered = problem.to_fixed[1][rows] >= radius
    rows, weights, groups = rows[uncovered], weights[uncovered], groups[uncovered]
    if "cover_prices" in values:
        stated = {
            "prices": values["cover_prices"],
            "budget_price": values.get("cover_budget_price", 0.0),
        }
        prices = read_prices(stated, problem)
        assert prices is not None
        within = proves_within_limits(problem, rows, weights, radius, prices)
        return radius if within else 0.0
    holds = proves_radius(
        problem.space,
        rows,
        weights,
        groups,
        radius,
        candidates=problem.is_free,
        budget=problem.to_choose,
        outliers=problem.outliers,
    )
    return radius if holds else 0.0
