"""What of a problem's constraints is a tree over runs of time, and what crosses it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from ...problems.constraints import Cost, Forbid, GroupLimit, Include, Spacing
from ...problems.errors import InfeasibleSelection
from .._compiling import Loops

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints
    from ...problems.selection import SelectionProblem
    from .._clock import Clock


LOOPS = Loops(__package__)


@dataclass(frozen=True, eq=False)
class Crossing:
    """The limits that are no part of the tree, as rows ``A z <= r`` over the places.

    Parameters
    ----------
    matrix
        A ``(m, n)``, sparse.
    limits
        r ``(m,)``, less what the included rows take.
    rule, row
        Which constraint, and which of its linear rows, each comes from ``(m,)``.
    """

    matrix: Any
    limits: Floats
    rule: Ints
    row: Ints


@dataclass(frozen=True, eq=False)
class Structure:
    r"""The free rows in order of time, in units, under a tree of limits.

    The first `Spacing` cuts the rows into units, runs that exclude each other at most among
    themselves. Limits on groups of whole units that are nested or disjoint make a tree, whose root
    is the budget. For such constraints the matrix is totally unimodular, so that the best value of
    k rows is concave in k for every node.

    Parameters
    ----------
    rows
        Free rows ``(n,)`` by unit and time: the places.
    first, last
        The first and last place that each place excludes ``(n,)``.
    starts
        Where each unit begins ``(U + 1,)``.
    leaf
        The node that each unit hangs on ``(U,)``.
    parent
        Each node's parent ``(G,)``, lower than itself; -1 for the root, which is node 0.
    depth
        Each node's depth ``(G,)``.
    lower, upper
        Limits on each node's count ``(G,)``, less the included rows.
    rule, upper_row, lower_row
        Which constraint each node comes from, and which of its linear rows are its limits ``(G,)``.
    lowest
        The lowest row of each node ``(G,)``, then of each unit ``(U,)``.
    crossing
        The other limits.
    stated
        How many linear rows each constraint with prices has; 0 for the others.
    impossible
        Whether the tree alone cannot be satisfied.
    """

    rows: Ints
    first: Ints
    last: Ints
    starts: Ints
    leaf: Ints
    parent: Ints
    depth: Ints
    lower: Ints
    upper: Ints
    rule: Ints
    upper_row: Ints
    lower_row: Ints
    lowest: Ints
    crossing: Crossing
    stated: Ints
    impossible: bool

    @cached_property
    def unit_of_place(self) -> Ints:
        """The unit of each place ``(n,)``."""
        return np.repeat(np.arange(len(self.leaf)), np.diff(self.starts))


@dataclass(frozen=True, eq=False)
class _Groups:
    """The groups of one `GroupLimit` that limit something: of each unit, or -1."""

    at: int
    of_unit: Ints
    sizes: Ints
    lower: Ints
    upper: Ints
    upper_row: Ints
    lower_row: Ints
    stated: int


_KNOWN: WeakKeyDictionary[SelectionProblem, Structure] = WeakKeyDictionary()


def structure_of(problem: SelectionProblem, clock: Clock) -> Structure:
    """Return a problem's structure, found once for each problem."""
    if problem not in _KNOWN:
        _KNOWN[problem] = _analyze(problem, clock)
    return _KNOWN[problem]


def _analyze(problem: SelectionProblem, clock: Clock) -> Structure:
    rows, first, last, starts = _units(problem)
    accepted: list[_Groups] = []
    crossing: list[int] = []
    impossible = _contradicts(problem)
    found: list[_Groups] = []
    spaced = False
    for at, rule in enumerate(problem.constraints):
        if isinstance(rule, GroupLimit):
            groups, short = _groups(problem, at, rule, rows, starts)
            impossible = impossible or short
            if groups is None:
                crossing.append(at)
            else:
                found.append(groups)
        elif isinstance(rule, Spacing) and not spaced:
            spaced = True
        elif not isinstance(rule, Include | Forbid):
            crossing.append(at)
    # The more groups a limit has, the more prices it would take outside of the tree.
    unit_sizes = np.diff(starts)
    for groups in sorted(found, key=lambda groups: -len(groups.sizes)):
        if all(_nested(groups, other, unit_sizes) for other in accepted):
            accepted.append(groups)
        else:
            crossing.append(groups.at)
    room = _rooms(last, starts, clock)
    tree = _tree(problem, accepted, len(starts) - 1, len(rows))
    stated = np.zeros(len(problem.constraints), dtype=np.int64)
    for groups in accepted:
        stated[groups.at] = groups.stated
    found_crossing = _crossing(problem, sorted(crossing), rows, stated)
    impossible = impossible or not _fits(tree, room)
    return Structure(
        rows=rows,
        first=first,
        last=last,
        starts=starts,
        lowest=_lowest(tree, rows, starts),
        crossing=found_crossing,
        stated=stated,
        impossible=impossible,
        **tree,
    )


def _contradicts(problem: SelectionProblem) -> bool:
    """Return whether the included rows alone break something that more rows do not mend."""
    if problem.why_infeasible() is not None or problem.to_choose > len(problem.free):
        return True
    for rule in problem.constraints:
        if isinstance(rule, Spacing | Cost):
            try:
                rule.check(problem.included, problem.dataset)
            except InfeasibleSelection:
                return True
    return False


def _units(problem: SelectionProblem) -> tuple[Ints, Ints, Ints, Ints]:
    """Return the free rows by unit and time, what each excludes, and where each unit begins."""
    spacing = next((rule for rule in problem.constraints if isinstance(rule, Spacing)), None)
    if spacing is None:
        places = np.arange(len(problem.free))
        return problem.free, places, places, np.arange(len(places) + 1)
    is_free = np.zeros(problem.dataset.size, dtype=bool)
    is_free[problem.free] = True
    line = spacing.timeline
    line = line.kept(is_free[line.rows])
    ends = np.flatnonzero(line.last == np.arange(len(line.rows)))
    starts = np.concatenate([[0], ends + 1]).astype(np.int64)
    return line.rows, line.first.astype(np.int64), line.last, starts


def _rooms(last: Ints, starts: Ints, clock: Clock) -> Ints:
    """Return how many rows of each unit fit in at most ``(U,)``."""
    room = np.ones(len(starts) - 1, dtype=np.int64)
    long = np.flatnonzero(np.diff(starts) > 1)
    found = np.zeros(len(long), dtype=np.int64)
    LOOPS.run(clock, "fit", starts[long], starts[long + 1], last, found)
    room[long] = found
    return room


def _groups(
    problem: SelectionProblem, at: int, rule: GroupLimit, rows: Ints, starts: Ints
) -> tuple[_Groups | None, bool]:
    """Return the limited groups, None if one holds part of a unit; and whether one is too small."""
    codes, count = rule.labels.codes, len(rule.labels.names)
    included = np.bincount(codes[problem.included], minlength=count)
    sizes = np.bincount(codes[rows], minlength=count)
    lower, upper = np.maximum(rule.lower - included, 0), rule.upper - included
    impossible = bool(((upper < 0) | (lower > sizes)).any())
    limited = ((upper < sizes) | (lower > 0)) & (sizes > 0)
    number = np.where(limited, np.cumsum(limited) - 1, -1)
    of_place = number[codes[rows]]
    of_unit = of_place[starts[:-1]]
    if not (np.repeat(of_unit, np.diff(starts)) == of_place).all():
        return None, impossible
    candidates = np.bincount(codes[problem.candidates], minlength=count)
    is_upper, is_lower = rule.upper < candidates, rule.lower > 0
    groups = _Groups(
        at=at,
        of_unit=of_unit,
        sizes=sizes[limited],
        lower=lower[limited],
        upper=np.minimum(upper, sizes)[limited],
        upper_row=np.where(is_upper, np.cumsum(is_upper) - 1, -1)[limited],
        lower_row=np.where(is_lower, np.cumsum(is_lower) - 1 + is_upper.sum(), -1)[limited],
        stated=int(is_upper.sum() + is_lower.sum()),
    )
    return groups, impossible


def _nested(one: _Groups, other: _Groups, unit_sizes: Ints) -> bool:
    """Return whether each two groups of two limits are nested or disjoint."""
    both = (one.of_unit >= 0) & (other.of_unit >= 0)
    pairs = one.of_unit[both] * len(other.sizes) + other.of_unit[both]
    names, inverse = np.unique(pairs, return_inverse=True)
    common = np.bincount(inverse, weights=unit_sizes[both], minlength=len(names))
    a, b = one.sizes[names // len(other.sizes)], other.sizes[names % len(other.sizes)]
    return bool((common == np.minimum(a, b)).all())


def _tree(
    problem: SelectionProblem, accepted: list[_Groups], units: int, places: int
) -> dict[str, Any]:
    """Return the nodes, the larger groups first, so that every parent comes before its children."""
    accepted = sorted(accepted, key=lambda groups: groups.at)
    exact = problem.budget is not None
    budget = problem.to_choose
    sizes = np.concatenate([[places], *(groups.sizes for groups in accepted)]).astype(np.int64)
    rule = np.concatenate([[-1], *(np.full(len(g.sizes), g.at) for g in accepted)])
    order = np.lexsort((rule, -sizes))
    order = np.concatenate([[0], order[order != 0]])
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    offset, of_unit = 1, []
    for groups in accepted:
        numbered = rank[np.maximum(groups.of_unit, 0) + offset] if len(groups.sizes) else 0
        of_unit.append(np.where(groups.of_unit >= 0, numbered, 0))
        offset += len(groups.sizes)
    # By rank a unit's groups stand from the outermost to the innermost.
    chain = np.sort(np.array([np.zeros(units, dtype=np.int64), *of_unit]), axis=0)
    parent, depth = np.full(len(order), -1), np.zeros(len(order), dtype=np.int64)
    for outer, inner in pairwise(chain):
        apart = inner > outer
        parent[inner[apart]] = outer[apart]
    for node in range(1, len(order)):
        depth[node] = depth[parent[node]] + 1

    def gathered(name: str, root: int) -> Ints:
        parts = [getattr(groups, name) for groups in accepted]
        return np.concatenate([[root], *parts]).astype(np.int64)[order]

    return {
        "leaf": chain[-1],
        "parent": parent,
        "depth": depth,
        "lower": gathered("lower", budget if exact else 0),
        "upper": gathered("upper", budget if exact else places),
        "rule": rule[order].astype(np.int64),
        "upper_row": gathered("upper_row", -1),
        "lower_row": gathered("lower_row", -1),
    }


def _fits(tree: dict[str, Any], room: Ints) -> bool:
    """Return whether some counts satisfy every limit of the tree."""
    parent, lower, upper = tree["parent"], tree["lower"], tree["upper"]
    most = np.bincount(tree["leaf"], weights=room, minlength=len(parent)).astype(np.int64)
    least = np.zeros(len(parent), dtype=np.int64)
    for node in range(len(parent) - 1, -1, -1):
        most[node], least[node] = min(most[node], upper[node]), max(least[node], lower[node])
        if least[node] > most[node]:
            return False
        if node:
            most[parent[node]] += most[node]
            least[parent[node]] += least[node]
    return True


def _lowest(tree: dict[str, Any], rows: Ints, starts: Ints) -> Ints:
    """Return the lowest row of each node and of each unit."""
    units = np.minimum.reduceat(rows, starts[:-1]) if len(rows) else np.empty(0, dtype=np.int64)
    nodes = np.full(len(tree["parent"]), np.iinfo(np.int64).max)
    np.minimum.at(nodes, tree["leaf"], units)
    for node in range(len(nodes) - 1, 0, -1):
        nodes[tree["parent"][node]] = min(nodes[tree["parent"][node]], nodes[node])
    return np.concatenate([nodes, units])


def _crossing(problem: SelectionProblem, at: list[int], rows: Ints, stated: Ints) -> Crossing:
    """Return the limits that are left, and write how many linear rows their constraints have."""
    from scipy import sparse

    parts: list[Any] = [sparse.csr_array((0, len(rows)))]
    limits: list[Any] = [np.empty(0)]
    rule: list[Any] = [np.empty(0, dtype=np.int64)]
    row: list[Any] = [np.empty(0, dtype=np.int64)]
    for number in at:
        linear = problem.constraints[number].linear(problem.dataset)
        stated[number] = len(linear.limits)
        left = linear.left(problem.included)
        # Rows that no selection of the places can break need no price.
        # What curves say counts even where their linear rows say nothing.
        least = np.full(len(left), -np.inf if problem.constraints[number].is_curved else np.inf)
        matrix, matters = linear.binding(rows, np.minimum(left, least))
        parts.append(matrix)
        limits.append(left[matters])
        rule.append(np.full(len(matters), number))
        row.append(matters)
    return Crossing(
        sparse.csr_array(sparse.vstack(parts, format="csr")),
        np.concatenate(limits),
        np.concatenate(rule),
        np.concatenate(row),
    )
