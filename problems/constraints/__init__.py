"""Hard constraints on a selection, one small class each, on one interface.

A constraint can validate itself against a dataset, check a selection, write its linear rows for
exact solvers and CVXPY, fix rows in or out, and tell greedy solvers what may still be added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Constraint, Guard, LinearRows
from .cost import Cost
from .curves import Curve
from .expected_count import ExpectedCount
from .group_limit import GroupLimit
from .growing import Growth
from .listed import Forbid, Include
from .spacing import Spacing
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Mapping

CONSTRAINTS: Mapping[str, type[Any]] = {
    constraint.kind: constraint
    for constraint in (Cost, ExpectedCount, Forbid, GroupLimit, Include, Spacing)
}
"""The constraints by their kind in problem files."""

__all__ = [
    "CONSTRAINTS",
    "Constraint",
    "Cost",
    "Curve",
    "ExpectedCount",
    "Forbid",
    "GroupLimit",
    "Growth",
    "Guard",
    "Include",
    "LinearRows",
    "Spacing",
    "Timeline",
]
