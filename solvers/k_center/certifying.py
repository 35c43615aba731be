"""What refutes a radius, as certificates state it: weighted rows, or a tree of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .refuting import UNIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...problems.arrays import Floats, Ints
    from ...problems.pricing import Prices
    from .covering import Cover
    from .sample import Sample

LARGEST = 250_000
"""Numbers in a tree's certificate at most: 3 MB in its file."""


def weighted_rows(
    sample: Sample, cover: Cover, weights: Floats, prices: Prices | None = None
) -> Mapping[str, Any]:
    """Return what `problems.covering_bound` or, with prices, `problems.priced_cover` re-proves."""
    members = np.flatnonzero(cover.stands >= 0)
    row = cover.stands[members]
    proof = {
        "rows": sample.rows[cover.needed[members]].tolist(),
        "weights": (weights[row] / cover.copies[row]).tolist(),
    }
    if prices is None:
        return {**proof, "groups": cover.groups[row].tolist()}
    stated = prices.values()
    return {
        **proof,
        "cover_prices": stated["prices"],
        "cover_budget_price": stated["budget_price"],
    }


@dataclass(eq=False)
class Nodes:
    """Nodes of a tree on one cover, in the order of the search.

    Parameters
    ----------
    cover
        The tree's.
    branched, first
        The column that each node branches on, -1 at its end, and whether the part that comes first
        takes it (1) or leaves it out (0).
    weights
        Of the cover's rows, one at a time, in units ``(m,)``; None where a node needs none.
    """

    cover: Cover
    branched: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    weights: list[Floats | None] = field(default_factory=list)
    numbers: int = 0

    def add(self, weights: Floats | None, branched: int = -1, first: int = 0) -> None:
        """Take a node in, with a copy of its weights, unless there are too many numbers already."""
        self.numbers += 3 + (0 if weights is None else 2 * int(np.count_nonzero(weights)))
        if self.numbers <= LARGEST:
            self.branched.append(branched)
            self.first.append(first)
            self.weights.append(weights)


class Branchings:
    """A tree on a cover, and what left columns out of the cover before: the proof of both.

    Parameters
    ----------
    sample
        The sampled rows.
    """

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        self.stages: list[Nodes] = []

    def begin(self, cover: Cover) -> Nodes:
        """Return nodes on a cover, which is what the stage before has left of its own."""
        self.stages.append(Nodes(cover))
        return self.stages[-1]

    def values(self) -> Mapping[str, Any] | None:
        """Return what `problems.branched_cover` re-proves, None if that is too large."""
        if sum(stage.numbers for stage in self.stages) > LARGEST:
            return None
        free, first = self.sample.problem.free, self.stages[0].cover
        members = np.flatnonzero(first.stands >= 0)
        stages = [_stated(stage, members, first.columns) for stage in self.stages]
        return {
            "unit": UNIT,
            "rows": self.sample.rows[first.needed[members]].tolist(),
            "columns": free[first.columns].tolist(),
            "stages": stages,
        }


def _stated(stage: Nodes, rows: Ints, columns: Ints) -> Mapping[str, Any]:
    """Return a stage with places among rows and columns, and each of its rows by itself."""
    members = np.flatnonzero(stage.cover.stands >= 0)
    row = stage.cover.stands[members]
    weights = [np.empty(0) if each is None else each[row] for each in stage.weights]
    places = [np.flatnonzero(each) for each in weights]
    return {
        "rows": np.searchsorted(rows, members).tolist(),
        "columns": np.searchsorted(columns, stage.cover.columns).tolist(),
        "branched": stage.branched,
        "first": stage.first,
        "counts": [len(at) for at in places],
        "weighted": [at for some in places for at in some.tolist()],
        "weights": [
            int(weight) for each, at in zip(weights, places, strict=True) for weight in each[at]
        ],
    }
