"""Which constraints contradict each other: a smallest set of them, by a deletion filter."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ..problems.budgeted import BudgetedSelection
from ..problems.constraints import Cost, Growth, Spacing
from ..problems.contradictions import is_contradictory
from ..problems.errors import InfeasibleSelection, InvalidInput, NotEnoughMemory
from ..problems.narrowing import curves_of
from ._clock import Clock
from ._curved import bends_of, solve_curved
from ._mip import LinearModel, MipResult, MipStatus
from .budgeted.maximizing import maximize

if TYPE_CHECKING:
    from ..problems.arrays import Floats, Ints
    from ..problems.constraints import Constraint
    from ..problems.dataset import Dataset
    from ..problems.selection import SelectionProblem

TOLERANCES = {"mip_feasibility_tolerance": 1e-9, "primal_feasibility_tolerance": 1e-9}
SHARE = 0.25
"""Share of the time left that prices get for one part."""
SMALL = 3
"""Sets of up to so many constraints are all tried by counting."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some of a problem's constraints, with its budget or without.

    Parameters
    ----------
    dataset
        The rows.
    rules
        Bound constraints.
    budget
        How many rows to choose exactly, or None if that is left open.
    """

    dataset: Dataset
    rules: tuple[Constraint, ...]
    budget: int | None

    def parts(self) -> list[Part]:
        """Return what is left without each of its constraints, and without the budget."""
        some = [
            Part(self.dataset, (*self.rules[:at], *self.rules[at + 1 :]), self.budget)
            for at in range(len(self.rules))
        ]
        return some if self.budget is None else [*some, Part(self.dataset, self.rules, None)]

    def holds(self, rows: Ints) -> bool:
        """Whether a selection satisfies it."""
        if self.budget is not None and len(rows) != self.budget:
            return False
        try:
            for rule in self.rules:
                rule.check(rows, self.dataset)
        except InfeasibleSelection:
            return False
        return True


@dataclass(frozen=True, eq=False)
class Conflict:
    """Constraints that contradict each other.

    Parameters
    ----------
    part
        The constraints, with the budget if it takes part.
    smallest
        Whether each proper subset of them is known to be satisfiable; if not, time ran out.
    """

    part: Part
    smallest: bool


def find_conflict(problem: SelectionProblem, clock: Clock) -> Conflict:
    """Return a set of constraints that contradict each other, irreducible if time allows.

    A deletion filter over whole constraints: one after another is left out for good if the others
    contradict each other without it. Counting tells most cases, trying small sets first; prices
    (`maximize`) decide most others, a selection that grows greedily shows that some sets are
    satisfiable, and HiGHS decides the rest.

    Parameters
    ----------
    problem
        One that nothing satisfies; this is taken for granted.
    clock
        Once it has run out, every set is taken to be satisfiable that is not known not to be.
    """
    whole = Part(problem.dataset, problem.constraints, problem.budget)
    freed = Part(problem.dataset, problem.constraints, None)
    # Where no budget can be met, a conflict that has nothing to do with it says more.
    if problem.budget is not None and is_satisfiable(freed, clock) is False:
        whole = freed
    part, sure, needed = _small(whole, clock), True, 0
    while needed < len(part.parts()):
        rest = part.parts()[needed]
        known = is_satisfiable(rest, clock)
        sure &= known is not None
        if known is False:
            part = rest
        else:
            needed += 1
    return Conflict(part, sure)


def _small(whole: Part, clock: Clock) -> Part:
    """Return the smallest part that counting shows to be contradictory, else the whole."""
    members: list[Constraint | None] = [*whole.rules, *([None] if whole.budget is not None else [])]
    for size in range(1, min(SMALL, len(members) - 1) + 1):
        for chosen in combinations(members, size):
            if clock.remaining() <= 0:
                return whole
            rules = tuple(rule for rule in chosen if rule is not None)
            budget = whole.budget if None in chosen else None
            if is_contradictory(rules, budget, whole.dataset):
                return Part(whole.dataset, rules, budget)
    return whole


def is_satisfiable(part: Part, clock: Clock) -> bool | None:
    """Return whether some selection satisfies a part, or None if time ran out before that."""
    if clock.remaining() <= 0:
        return None
    if is_contradictory(part.rules, part.budget, part.dataset):
        return False
    priced = _by_prices(part, Clock(SHARE * clock.remaining()))
    if priced is not None:
        return priced
    if part.holds(grown(part, easiest_first(part), clock)):
        return True
    result = search(part, None, clock)
    if result is not None and result.status is MipStatus.INFEASIBLE:
        return False
    if (
        result is not None
        and result.values is not None
        and part.holds(rows_of(part, result.values))
    ):
        return True
    return None


def _by_prices(part: Part, clock: Clock) -> bool | None:
    """Return what prices and branch and bound on what they leave open tell of a part, or None."""
    try:
        problem = BudgetedSelection(
            np.zeros(part.dataset.size),
            part.budget,
            labeled=part.dataset.labeled,
            candidates=part.dataset.candidates,
            constraints=part.rules,
        )
        found = maximize(problem, problem.utility, clock)
    except (InvalidInput, NotEnoughMemory):
        return None
    if found.infeasible:
        return False
    return True if found.rows is not None and part.holds(found.rows) else None


def grown(part: Part, order: Ints, clock: Clock) -> Ints:
    """Return the included rows and those of an order that the constraints let in, by number.

    Without a budget only rows that some constraint needs; with one, at most so many.
    """
    growth = Growth(part.rules, part.dataset)
    taken = sorted({int(row) for rule in part.rules for row in rule.included(part.dataset)})
    for row in taken:
        growth.add(row)
    aim = len(part.dataset.candidates) if part.budget is None else part.budget
    for row in order[~growth.closed[order]].tolist():
        left = aim - len(taken)
        if left <= 0 or clock.remaining() <= 0 or (part.budget is None and not growth.needs()):
            break
        if growth.closed[row] or not growth.allows(row, left):
            continue
        if part.budget is None and not growth.helps(row):
            continue
        growth.add(row)
        taken.append(row)
    return np.sort(np.array(taken, dtype=np.int64))


def easiest_first(part: Part) -> Ints:
    """Return the candidates by what share of the limits on cost they take, then by time, then row.

    Without cost and with a spacing this is the order in which most rows fit.
    """
    share = np.zeros(part.dataset.size)
    for rule in part.rules:
        if isinstance(rule, Cost):
            share += np.where(part.dataset.is_candidate, rule.costs, 0.0) / max(rule.limit, 1e-300)
    place = np.zeros(part.dataset.size)
    for rule in part.rules:
        if isinstance(rule, Spacing):
            place[rule.timeline.rows] = np.arange(len(rule.timeline.rows))
    rows = part.dataset.candidates
    return rows[np.lexsort((place[rows], share[rows]))]


def search(
    part: Part,
    worth: Floats | None,
    clock: Clock,
    counts: tuple[float, float] | None = None,
    start: Ints | None = None,
) -> MipResult | None:
    """Look for a selection of a part by HiGHS, the one of largest worth if that matters.

    Parameters
    ----------
    part
        What must be satisfied.
    worth
        Worth of each row ``(N,)``, or None if any selection will do.
    clock
        None is returned if it has run out already, or the model would not fit into memory.
    counts
        How few and how many rows to choose, where the part has no budget.
    start
        Rows of a selection to begin with.
    """
    from scipy import sparse

    if clock.remaining() <= 0:
        return None
    rows = part.dataset.candidates
    least, most = counts or (0.0, np.inf)
    if part.budget is not None:
        least = most = float(part.budget)
    try:
        linear = [rule.linear(part.dataset) for rule in part.rules]
    except NotEnoughMemory:
        return None
    blocks = [sparse.csr_array(np.ones((1, len(rows))))]
    blocks += [at.matrix[:, rows] for at in linear if len(at.limits)]
    upper = np.concatenate([[most], *(at.limits for at in linear)])
    lower = np.full(len(upper), -np.inf)
    lower[0] = least
    model = LinearModel(
        cost=np.zeros(len(rows)) if worth is None else -worth[rows],
        matrix=sparse.vstack(blocks, format="csr"),
        row_lower=lower,
        row_upper=upper,
        lower=np.zeros(len(rows)),
        upper=np.ones(len(rows)),
        integer=np.ones(len(rows), dtype=bool),
    )
    first = None if start is None else np.isin(rows, start).astype(np.float64)
    limit = len(rows) if most > len(rows) else int(most)
    bends = bends_of(curves_of(part.rules, part.dataset), rows, rows[:0], limit)
    return solve_curved(model, bends, time_limit=clock.remaining(), start=first, options=TOLERANCES)


def rows_of(part: Part, values: Floats) -> Ints:
    """Return the rows that a point of HiGHS' chooses."""
    return part.dataset.candidates[np.round(values) > 0]
