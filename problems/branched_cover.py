"""The lower bound on a coreset's radius that a tree of weighted rows proves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import as_integers, as_number
from .errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .arrays import Floats, Ints, Mask
    from .k_center import KCenter

EXACT = 2.0**53
"""Whole numbers below this add up exactly in float64."""


@dataclass(frozen=True, eq=False)
class Stage:
    """A tree over some of the rows and columns of a cover.

    Parameters
    ----------
    rows, columns
        Which, as places among those of the first stage.
    branched
        The column that each node branches on, as a place among `columns`; -1 where it ends.
    first
        Whether the part that comes first takes that column (1) or leaves it out (0).
    starts
        Where the weights of each node begin, and the last ones end.
    weighted, weights
        Rows, as places among `rows`, and their weights in units.
    """

    rows: Ints
    columns: Ints
    branched: Ints
    first: Ints
    starts: Ints
    weighted: Ints
    weights: Ints

    def weights_at(self, node: int) -> Floats:
        """Return the weight of each row at a node ``(k,)``."""
        part = slice(self.starts[node], self.starts[node + 1])
        weights = np.zeros(len(self.rows))
        weights[self.weighted[part]] = self.weights[part]
        return weights


@dataclass(frozen=True, eq=False)
class Branchings:
    """A proof that some rows take more than b centers; see `proves_by_branching`.

    Parameters
    ----------
    unit
        What weighs as much as one center.
    rows, columns
        Dataset rows: those to be covered, and those that candidates are no better than.
    stages
        Each begins with the columns that the one before has left.
    """

    unit: int
    rows: Ints
    columns: Ints
    stages: tuple[Stage, ...]


def proves_by_branching(problem: KCenter, radius: float, proof: Branchings) -> bool:
    r"""Return whether a tree proves that no selection has a radius below `radius`.

    Say that a candidate covers a row that is nearer than r. A selection with a radius below r
    leaves at most Ξ of the given rows uncovered. It still does where each of its candidates is
    replaced by a column that covers the same of them and more, so that columns alone have to be
    refuted: choices :math:`z \in \{0, 1\}^n` of at most b of them.

    With any weights :math:`w \ge 0` of the rows, a choice between l and h has

    .. math:: \sum_j z_j \ge W + \sum_j \min_{l_j \le z_j \le h_j} r_j z_j, \quad
        r_j = 1 - \sum_{i \in N_j} w_i

    columns, where W is the weight of all rows without the Ξ heaviest. A part of the tree ends where
    that exceeds b. Elsewhere columns that would lift it above b by :math:`|r_j|` are left out or
    taken, and another one is branched on: its two parts have to end as well.

    What the first node of a stage leaves out stays out in the next, of fewer rows; columns that are
    no better than others on these are dropped once more. The last stage is the tree.

    Parameters
    ----------
    problem
        N rows, candidates, b and Ξ. Constraints are left out, which makes the proof no less true.
    radius
        r.
    proof
        Whatever it says, only the distances are believed.

    Returns
    -------
    bool
        Whether every part ends. All sums are of whole numbers, without rounding.
    """
    space = problem.space
    if not (problem.to_fixed[1][proof.rows] >= radius).all():
        return False
    covers = space.between(proof.rows, proof.columns) < radius
    if not _stand_for_all(problem, radius, proof.rows, covers):
        return False
    before, left = np.arange(len(proof.rows)), np.ones(len(proof.columns), dtype=bool)
    for stage in proof.stages:
        if not np.isin(stage.rows, before).all():
            return False  # of rows that come back nothing is known
        inside = covers[stage.rows][:, stage.columns].astype(np.float64)
        if not _contained(covers[stage.rows][:, left], inside).all():
            return False
        kept = _left_by(stage, inside, problem.to_choose * proof.unit, problem.outliers, proof.unit)
        if kept is None:
            return True
        left = np.zeros(len(left), dtype=bool)
        left[stage.columns[kept]] = True
        before = stage.rows
    return False


def _stand_for_all(problem: KCenter, radius: float, rows: Ints, covers: Mask) -> bool:
    """Return whether each candidate covers no more of the rows than one of the columns does."""
    space, columns = problem.space, covers.astype(np.float32)
    sites = space.sites(rows)
    for start, stop in space.blocks(max(covers.shape)):
        near = space.nearer(start, stop, sites, radius)[problem.is_free[start:stop]]
        if not _contained(near.T, columns).all():
            return False
    return True


def _contained(some: Mask, columns: Any) -> Mask:
    """Return which of some columns ``(k, m)`` have their rows within those of another ``(k, n)``.

    Those without rows count as such.
    """
    shared = some.T.astype(columns.dtype) @ columns
    sizes = some.sum(axis=0)
    return np.asarray((shared >= sizes[:, None]).any(axis=1) | (sizes == 0))


def _left_by(stage: Stage, covers: Floats, budget: float, outliers: int, unit: int) -> Mask | None:
    """Walk a tree; return which columns its first node leaves ``(n,)``, None if it refutes all."""
    count = covers.shape[1]
    parts = [(np.zeros(count), np.ones(count))]
    kept = np.ones(count, dtype=bool)
    for node, (branched, first) in enumerate(zip(stage.branched, stage.first, strict=True)):
        if not parts:
            return kept  # more nodes than the tree has
        lower, upper = parts.pop()
        weights = stage.weights_at(node)
        reduced = unit - weights @ covers
        total = np.sort(weights)[: max(len(weights) - outliers, 0)].sum()
        value = total + np.minimum(reduced * lower, reduced * upper).sum()
        if value > budget:
            continue
        doubt = lower < upper
        out = doubt & (value + np.maximum(reduced, 0.0) > budget)
        taken = doubt & (value + np.maximum(-reduced, 0.0) > budget)
        upper, lower = np.where(out, 0.0, upper), np.where(taken, 1.0, lower)
        if node == 0:
            kept = upper > 0
        if branched < 0:
            return kept  # an end that is none
        for side in (1 - first, first):
            low, high = lower.copy(), upper.copy()
            low[branched] = high[branched] = side
            parts.append((low, high))
    return kept if parts else None


def read_branchings(values: Mapping[str, Any], size: int) -> Branchings:
    """Return the tree in a certificate's values, validated, over `size` dataset rows.

    Raises
    ------
    InvalidInput
        If something is missing, out of its range, or too large to add up exactly.
    """
    unit = as_number(values.get("unit"), "certificate unit")
    if not (unit.is_integer() and unit >= 1):
        raise InvalidInput(f"certificate unit: must be a whole number ≥ 1; got {unit}")
    rows, columns = (_places(values, name, size) for name in ("rows", "columns"))
    stated = values["stages"]
    if not isinstance(stated, list | tuple) or not all(isinstance(one, dict) for one in stated):
        raise InvalidInput("certificate stages: must be a list of stages; the file was changed")
    stages = tuple(_stage(one, len(rows), len(columns)) for one in stated)
    heaviest = max((float(stage.weights.sum(dtype=np.float64)) for stage in stages), default=0.0)
    if (len(columns) + 1.0) * (heaviest + unit * (len(rows) + 1.0)) >= EXACT:
        raise InvalidInput("certificate weights: are too large to add up exactly")
    return Branchings(int(unit), rows, columns, stages)


def _stage(stated: Mapping[str, Any], m: int, n: int) -> Stage:
    rows, columns = _places(stated, "rows", m), _places(stated, "columns", n)
    branched = _integers(stated, "branched", -1, len(columns))
    first = _integers(stated, "first", 0, 2)
    counts = _integers(stated, "counts", 0, len(rows) + 1)
    weighted = _integers(stated, "weighted", 0, len(rows))
    weights = _integers(stated, "weights", 0, None)
    if not len(branched) == len(first) == len(counts):
        raise InvalidInput("certificate stages: branched, first and counts differ in length")
    if not counts.sum() == len(weighted) == len(weights):
        raise InvalidInput("certificate stages: there must be as many weights as counts say")
    starts = np.concatenate([[0], np.cumsum(counts)])
    return Stage(rows, columns, branched, first, starts, weighted, weights)


def _places(stated: Mapping[str, Any], name: str, size: int) -> Ints:
    """Return distinct places among `size`."""
    places = _integers(stated, name, 0, size)
    if len(np.unique(places)) < len(places):
        raise InvalidInput(f"certificate {name}: must be distinct")
    return places


def _integers(stated: Mapping[str, Any], name: str, least: int, end: int | None) -> Ints:
    """Return a list of whole numbers from `least` to before `end`."""
    numbers = as_integers(stated.get(name), f"certificate {name}")
    if numbers.ndim != 1:
        raise InvalidInput(f"certificate {name}: must be a list of whole numbers")
    if (numbers < least).any() or (end is not None and (numbers >= end).any()):
        until = "" if end is None else f" and below {end}"
        raise InvalidInput(f"certificate {name}: must be at least {least}{until}")
    return numbers
