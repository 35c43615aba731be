"""Contradictions that counting shows: proofs that nothing satisfies some constraints."""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING

import numpy as np

from .constraints import Cost, ExpectedCount, Forbid, GroupLimit, Include, Spacing
from .constraints.base import SLACK
from .constraints.timeline import make_timeline
from .errors import InfeasibleSelection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .arrays import Ints, Mask
    from .constraints import Constraint, Timeline
    from .dataset import Dataset
    from .selection import SelectionProblem

ROUNDING = 1e-12
"""Share by which a sum of many float64 numbers may be off."""


def clash(problem: SelectionProblem) -> str | None:
    """Return what the included rows contradict, or None if nothing."""
    included, dataset = problem.included, problem.dataset
    forbidden = [rule.rows for rule in problem.constraints if isinstance(rule, Forbid)]
    both = included[np.isin(included, np.concatenate([[], *forbidden]))]
    if len(both):
        return (
            f"Include and Forbid contradict each other: {dataset.names(both)} must be "
            "chosen and must not"
        )
    if problem.budget is not None and len(included) > problem.budget:
        return (
            f"budget {problem.budget} cannot be met: Include asks for {len(included)} rows; "
            f"raise the budget to {len(included)} or shorten the list"
        )
    for rule in problem.constraints:
        try:
            rule.check_growing(included, dataset)
        except InfeasibleSelection as error:
            what = str(error).removeprefix(f"{rule.title}: ")
            return (
                f"Include and {rule.title} contradict each other: with the included rows alone, "
                f"{what}"
            )
    return None


def is_contradictory(rules: Sequence[Constraint], budget: int | None, dataset: Dataset) -> bool:
    """Whether counting alone proves that no selection satisfies some constraints and a budget.

    Sound and not complete: True is a proof, False says nothing. It counts how many rows are left
    in each group, how many of them lie far enough apart, what the cheapest of them cost and how
    much the best of them bring. O(N log N) time for each pair of a group limit and a spacing.
    """
    included = _union((rule.included(dataset) for rule in rules), dataset)
    open_rows = dataset.is_candidate & ~_union((rule.forbidden(dataset) for rule in rules), dataset)
    if (included & ~open_rows).any():
        return True
    count = int(included.sum())
    if budget is not None and not count <= budget <= int(open_rows.sum()):
        return True
    held = np.flatnonzero(included)
    try:
        for rule in rules:
            rule.check_growing(held, dataset)
    except InfeasibleSelection:
        return True
    for most in _counts(rules, open_rows):
        if most.breaks(budget):
            return True
    return any(_too_dear(rule, rules, budget, open_rows, held) for rule in rules) or any(
        _too_rare(rule, budget, open_rows) for rule in rules
    )


class _Counts:
    """How many rows each group may give at most, and what it must give."""

    def __init__(self, limit: GroupLimit | None, most: Ints) -> None:
        self.lower = np.zeros_like(most) if limit is None else limit.lower
        self.left = most
        self.most = most if limit is None else np.minimum(most, limit.upper)

    def breaks(self, budget: int | None) -> bool:
        if (self.lower > self.left).any():
            return True
        return budget is not None and not self.lower.sum() <= budget <= self.most.sum()


def _counts(rules: Iterable[Constraint], open_rows: Mask) -> Iterator[_Counts]:
    spacings: list[Spacing | None] = [None, *(rule for rule in rules if isinstance(rule, Spacing))]
    limits: list[GroupLimit | None] = [
        None,
        *(rule for rule in rules if isinstance(rule, GroupLimit)),
    ]
    for spacing in spacings:
        for limit in limits:
            yield _Counts(limit, left_in_groups(limit, spacing, open_rows))


def left_in_groups(limit: GroupLimit | None, spacing: Spacing | None, open_rows: Mask) -> Ints:
    """Return how many of the open rows of each group could be chosen together.

    Parameters
    ----------
    limit
        Whose groups are meant, or None for all rows as one; its limits are not regarded.
    spacing
        How far apart they must lie, or None.
    open_rows
        Mask ``(N,)`` of the rows that may be chosen.

    Returns
    -------
    Ints
        One count for each group ``(G,)``.
    """
    rows = np.flatnonzero(open_rows)
    codes = np.zeros(len(open_rows), dtype=np.int64) if limit is None else limit.labels.codes
    groups = 1 if limit is None else len(limit.labels.names)
    if spacing is None or not len(rows):
        return np.bincount(codes[rows], minlength=groups)
    apart = spacing.labels.codes * groups + codes
    line = make_timeline(rows, apart, spacing.position, spacing.exclude_within)
    of_group = codes[line.rows[line.starts[:-1]]]
    counts = np.zeros(groups, dtype=np.int64)
    np.add.at(counts, of_group, most_apart(line))
    return counts


def most_rows(rules: Sequence[Constraint], dataset: Dataset) -> int:
    """Return a number of rows that no selection under some constraints exceeds, by counting."""
    open_rows = dataset.is_candidate & ~_union((rule.forbidden(dataset) for rule in rules), dataset)
    counts = [int(at.most.sum()) for at in _counts(rules, open_rows)]
    for rule in rules:
        if isinstance(rule, Cost):
            spent = np.cumsum(np.sort(rule.costs[open_rows])) * (1.0 - ROUNDING)
            counts.append(int(np.searchsorted(spent, rule.allowed, side="right")))
    return min(counts)


def fewest_rows(rules: Sequence[Constraint]) -> int:
    """Return a number of rows that some constraints ask for at least, by counting."""
    quotas = [int(rule.lower.sum()) for rule in rules if isinstance(rule, GroupLimit)]
    listed = [rule.rows for rule in rules if isinstance(rule, Include)]
    return max([*quotas, len(np.unique(np.concatenate([[], *listed])))])


def most_apart(line: Timeline) -> Ints:
    """Return the largest number of rows of each sequence that exclude no other.

    Taking always the first row that is left is optimal, since a row excludes all that lie between
    it and the last one it excludes.
    """
    counts = np.zeros(len(line.starts) - 1, dtype=np.int64)
    at, stops = line.starts[:-1].copy(), line.starts[1:]
    going = np.flatnonzero(at < stops)
    while len(going):
        counts[going] += 1
        at[going] = line.last[at[going]] + 1
        going = going[at[going] < stops[going]]
    return counts


def _too_dear(
    rule: Constraint,
    rules: Iterable[Constraint],
    budget: int | None,
    open_rows: Mask,
    held: Ints,
) -> bool:
    if not isinstance(rule, Cost):
        return False
    others = open_rows.copy()
    others[held] = False
    if budget is not None:
        cheapest = np.sort(rule.costs[others])[: budget - len(held)]
        if fsum([*cheapest, *rule.costs[held]]) > rule.allowed:
            return True
    return any(
        _cheapest_quota(rule, limit, open_rows) > rule.allowed
        for limit in rules
        if isinstance(limit, GroupLimit)
    )


def _cheapest_quota(cost: Cost, limit: GroupLimit, open_rows: Mask) -> float:
    """Return what the cheapest rows cost that bring each group to its smallest count."""
    rows, codes = np.flatnonzero(open_rows), limit.labels.codes
    rows = rows[np.lexsort((cost.costs[rows], codes[rows]))]
    counts = np.bincount(codes[rows], minlength=len(limit.lower))
    rank = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return fsum(cost.costs[rows[rank < limit.lower[codes[rows]]]])


def _too_rare(rule: Constraint, budget: int | None, open_rows: Mask) -> bool:
    if not isinstance(rule, ExpectedCount):
        return False
    most = -np.sort(-rule.lower_terms[open_rows], axis=0)[:budget].sum(axis=0) * (1.0 + ROUNDING)
    if (most < rule.lower * (1.0 - SLACK)).any():
        return True
    fewest = np.sort(rule.upper_terms[open_rows], axis=0)[: budget or 0]
    least = fewest.sum(axis=0) * (1.0 - ROUNDING)
    return bool((least > rule.upper * (1.0 + SLACK)).any())


def _union(rows: Iterable[Ints], dataset: Dataset) -> Mask:
    mask = np.zeros(dataset.size, dtype=bool)
    for some in rows:
        mask[some] = True
    return mask
