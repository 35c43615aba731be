"""Why nothing satisfies all constraints, in the user's words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..problems.constraints import Cost, ExpectedCount, GroupLimit, Spacing
from ..problems.contradictions import fewest_rows, left_in_groups, most_rows
from ._mip import MipStatus
from .conflicts import Part, easiest_first, find_conflict, grown, rows_of, search

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..problems.arrays import Floats, Ints, Mask
    from ..problems.constraints import Constraint
    from ..problems.dataset import Dataset
    from ..problems.selection import SelectionProblem
    from ._clock import Clock
    from ._mip import MipResult
    from .conflicts import Conflict

FEW_GROUPS = 5
"""In so many groups a search looks for how many rows can be chosen."""


def explain(problem: SelectionProblem, clock: Clock) -> str:
    """Return in the user's words why no selection satisfies all constraints.

    It names a set of constraints, each as a whole, that contradict each other while any fewer of
    them do not; how far they are from being met; and, where the budget takes part, the nearest one
    that all constraints allow.

    Parameters
    ----------
    problem
        One that nothing satisfies; this is taken for granted.
    clock
        Once it has run out, what is known by then is told.

    Examples
    --------
    >>> from labelcut import BudgetedSelection, GroupLimit, Spacing
    >>> from labelcut.solvers._clock import Clock
    >>> rules = [Spacing(["clip"] * 3 + ["tape"], [0, 1, 2, 0], 2), GroupLimit([1, 1, 2, 2], 1)]
    >>> print(explain(BudgetedSelection([4, 3, 2, 1], budget=3, constraints=rules), Clock(9)))
    budget 3 cannot be met: Spacing (spacing 2) allows 2 rows; lower the budget to 2
    """
    known = problem.why_infeasible()
    if known is not None:
        return known
    found = find_conflict(problem, clock)
    told = _told(problem, found, clock)
    if found.smallest:
        return told
    return f"{told} (time ran out: fewer of these constraints may contradict each other already)"


def _told(problem: SelectionProblem, found: Conflict, clock: Clock) -> str:
    part = found.part
    if part.budget is not None:
        return _budget_told(problem, part, clock)
    names = _listed([_named(rule) for rule in part.rules])
    does = "cannot be met" if len(part.rules) == 1 else "contradict each other"
    detail = _amount(part, clock)
    return f"{names} {does}" + (f": {detail}" if detail else "")


def _budget_told(problem: SelectionProblem, part: Part, clock: Clock) -> str:
    """Return what the budget conflicts with, how much that allows, and the nearest budget."""
    budget = part.budget
    assert budget is not None
    own = _nearest(Part(part.dataset, part.rules, None), budget, clock)
    names = _listed([_named(rule) for rule in part.rules])
    s = "" if len(part.rules) > 1 else "s"
    if own.count is None:
        said = f"{names} contradict{s} it"
    elif own.count < budget:
        said = (
            f"{names} allow{s} {_count(own.count)}{'' if own.proven else ' and perhaps some more'}"
        )
    else:
        said = f"{names} ask{s} for {_count(own.count)}{'' if own.proven else ' or a little less'}"
    everything = Part(part.dataset, problem.constraints, None)
    best = own
    if len(part.rules) < len(problem.constraints):
        best = _nearest(everything, budget, clock)
    if best.count is None:
        remedy = "time ran out before it was known which one can"
    elif best.count == 0 and best.proven:
        remedy = "no row can be chosen"
    else:
        remedy = f"{'lower' if best.count < budget else 'raise'} the budget to {best.count}"
        remedy += "" if best.count == own.count else ", which all constraints allow"
        remedy += "" if best.proven else " (time ran out: a nearer one may do)"
    return f"budget {budget} cannot be met: {said}{_spaced(part)}; {remedy}"


@dataclass(frozen=True)
class _Nearest:
    """A budget that can be met, and whether none is nearer."""

    count: int | None
    proven: bool


def _nearest(part: Part, budget: int, clock: Clock) -> _Nearest:
    """Return the largest budget below that a part allows, else the smallest above."""
    least, most = fewest_rows(part.rules), most_rows(part.rules, part.dataset)
    found: Ints | None = None
    if least < budget:
        found = _if_holds(part, grown(replace(part, budget=budget - 1), easiest_first(part), clock))
        if found is not None and len(found) >= min(most, budget - 1):
            return _Nearest(len(found), True)
        ones = np.ones(part.dataset.size)
        result = search(part, ones, clock, (0.0, budget - 1.0), start=found)
        if result is None or result.status is MipStatus.TIME or result.values is not None:
            return _outcome(part, result, found)
    found = _if_holds(part, grown(part, easiest_first(part), clock))
    if found is not None and len(found) == least > budget:
        return _Nearest(least, True)
    ones = np.ones(part.dataset.size)
    return _outcome(part, search(part, -ones, clock, (budget + 1.0, np.inf)), None)


def _if_holds(part: Part, rows: Ints) -> Ints | None:
    return rows if part.holds(rows) else None


def _outcome(part: Part, result: MipResult | None, found: Ints | None) -> _Nearest:
    if result is not None and result.values is not None:
        rows = rows_of(part, result.values)
        if part.holds(rows):
            return _Nearest(len(rows), result.status is MipStatus.OPTIMAL)
    return _Nearest(None if found is None else len(found), False)


def _spaced(part: Part) -> str:
    """Return how many rows a spacing leaves in the group that it leaves the fewest of its share."""
    limit = next((rule for rule in part.rules if isinstance(rule, GroupLimit)), None)
    spacing = next((rule for rule in part.rules if isinstance(rule, Spacing)), None)
    if limit is None or spacing is None:
        return ""
    left = left_in_groups(limit, spacing, ~_closed(part.rules, part.dataset))
    missing = limit.upper - left
    at = int(missing.argmax())
    if missing[at] <= 0:
        return ""
    return f" ({spacing.describe()} leaves {left[at]} in {limit.labels.names[at]!s})"


def _amount(part: Part, clock: Clock) -> str | None:
    """Return how far the constraints of a conflict are from being met, where it can be measured."""
    for rule in part.rules:
        others = tuple(other for other in part.rules if other is not rule)
        rest = Part(part.dataset, others, None)
        told = None
        if isinstance(rule, GroupLimit):
            told = _short_group(rule, rest, clock)
        elif isinstance(rule, Cost):
            cheapest = _extreme(rest, -rule.costs, clock)
            if cheapest is not None and -cheapest > rule.limit:
                told = f"what the others ask for costs {-cheapest:.10g} at least"
        elif isinstance(rule, ExpectedCount):
            told = _short_class(rule, rest, clock)
        if told is not None:
            return told
    return None


def _short_group(limit: GroupLimit, rest: Part, clock: Clock) -> str | None:
    """Return which group has too few rows left, and why."""
    names, dataset = limit.labels.names, rest.dataset
    rows = dataset.is_candidate & ~_closed(rest.rules, dataset)
    spacings = [None, *(rule for rule in rest.rules if isinstance(rule, Spacing))]
    counts = [left_in_groups(limit, spacing, rows) for spacing in spacings]
    left = np.min(counts, axis=0)
    at = int((limit.lower - left).argmax())
    if limit.lower[at] > left[at]:
        members = limit.labels.codes == at
        of = int(members.sum())
        labeled = int(members[dataset.labeled].sum())
        why = [f"{labeled} labeled already"] if labeled else []
        outside = of - labeled - int((members & dataset.is_candidate).sum())
        why += [f"{outside} no candidates"] if outside else []
        for rule in rest.rules:
            shut = rule.forbidden(dataset)
            gone = int(members[shut].sum())
            why += [f"{rule.title} closes {gone}"] if gone else []
        if counts[0][at] > left[at]:
            why.append("few of them lie far enough apart")
        reason = f" ({', '.join(why)})" if why else ""
        return (
            f"{_count(limit.lower[at])} of group {names[at]!s} are asked for, "
            f"{left[at]} of its {of} can be chosen{reason}"
        )
    groups = np.flatnonzero(limit.lower)
    for group in groups if len(groups) <= FEW_GROUPS else []:
        most = _extreme(rest, (limit.labels.codes == group).astype(np.float64), clock)
        if most is not None and most < limit.lower[group]:
            return (
                f"{_count(limit.lower[group])} of group {names[group]!s} are asked for, "
                f"the others allow {most:g}"
            )
    return None


def _short_class(rule: ExpectedCount, rest: Part, clock: Clock) -> str | None:
    """Return of which class too few or too many labels can be expected."""
    for sign, limits in ((1.0, rule.lower), (-1.0, rule.upper)):
        for at in np.flatnonzero((limits > 0) & np.isfinite(limits)):
            best = _extreme(rest, sign * rule.columns[:, at], clock)
            if best is None:
                continue
            if rule.is_curved:
                side, does = ("least", "allow at most") if sign > 0 else ("most", "ask for")
                return (
                    f"at {side} {limits[at]:g} labels of class {rule.classes[at]} are asked for "
                    f"with probability {rule.confidence:g}, the others {does} "
                    f"{sign * best:.4g} expected"
                )
            elif (sign > 0 and best < limits[at]) or (sign < 0 and -best > limits[at]):
                does = "allow at most" if sign > 0 else "ask for"
                return (
                    f"{'at least' if sign > 0 else 'at most'} {limits[at]:g} labels of class "
                    f"{rule.classes[at]} are to be expected, the others {does} {sign * best:.4g}"
                )
    return None


def _extreme(part: Part, worth: Floats, clock: Clock) -> float | None:
    """Return the largest worth of a selection of a part, or None if it was not found in time."""
    usable = np.where(part.dataset.is_candidate, worth, 0.0)
    if not part.rules and part.budget is None:
        return float(np.maximum(usable, 0.0).sum())
    result = search(part, usable, clock)
    if result is None or result.status is not MipStatus.OPTIMAL or result.values is None:
        return None
    return float(usable[rows_of(part, result.values)].sum())


def _closed(rules: Sequence[Constraint], dataset: Dataset) -> Mask:
    mask = np.zeros(dataset.size, dtype=bool)
    for rule in rules:
        mask[rule.forbidden(dataset)] = True
    return mask


def _named(rule: Constraint) -> str:
    return f"{rule.title} ({rule.describe()})"


def _count(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"


def _listed(names: Sequence[str]) -> str:
    if len(names) <= 1:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
