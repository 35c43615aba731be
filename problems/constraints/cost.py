"""A limit on what the chosen rows cost together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import fsum, isfinite
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..arrays import as_number, as_vector, freeze, require_moderate
from ..errors import InfeasibleSelection, InvalidInput
from .base import SLACK, Constraint, Guard, LinearRows, sparse_rows
from .growing import Room

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..arrays import Ints
    from ..dataset import Dataset


SMALLEST = 1e-290


@dataclass(frozen=True, eq=False)
class Cost(Constraint):
    r"""The chosen rows cost at most so much: :math:`\sum_i c_i z_i \le \text{limit}`.

    Sums may exceed the limit by 1e-9 of it, so that 0.1 + 0.2 fits into 0.3. One expression decides
    in `check`, for greedy methods, and as the limit of the linear row: the costs' sum, exact and
    rounded once (`spent`), is at most ``limit * (1 + 1e-9)`` (`allowed`).

    Parameters
    ----------
    costs
        c ``(N,)``, at least 0, in any unit: minutes, money, boxes to draw.
    limit
        What may be spent, in the same unit.

    Examples
    --------
    >>> from labelcut import BudgetedSelection, solve
    >>> problem = BudgetedSelection([5, 4, 3], constraints=[Cost([4, 2, 2], limit=4)])
    >>> solve(problem, "exact").indices
    array([1, 2])
    """

    kind: ClassVar[str] = "cost"
    file_arrays: ClassVar[Mapping[str, str]] = {"costs": "numbers"}
    file_parameters: ClassVar[Mapping[str, tuple[type, ...]]] = {"limit": (float, int)}
    file_required: ClassVar[tuple[str, ...]] = ("costs", "limit")
    costs: Any
    limit: float

    def bind(self, dataset: Dataset) -> Cost:
        """Return the constraint with costs that are known to be finite and not negative."""
        costs = as_vector(self.costs, f"{self.title} costs", dataset.size)
        used = costs[dataset.candidates]
        wrong = dataset.candidates[~((used >= 0) & np.isfinite(used))]
        if len(wrong):
            raise InvalidInput(
                f"{self.title} costs: must be finite and not negative on candidates; "
                f"{dataset.name(int(wrong[0]))} costs {costs[wrong[0]]}; mend it or leave the row "
                "out of candidates"
            )
        require_moderate(used, f"{self.title} costs")
        limit = as_number(self.limit, f"{self.title} limit")
        if not (limit >= 0 and isfinite(limit)):
            raise InvalidInput(
                f"{self.title} limit: must be a finite number ≥ 0; got {self.limit}; "
                "say what may be spent"
            )
        if 0 < limit < SMALLEST:
            raise InvalidInput(
                f"{self.title} limit: must be 0 or at least {SMALLEST:g}, below which shares of it "
                f"cannot be computed; got {self.limit}; scale costs and limit up"
            )
        return replace(self, costs=costs, limit=limit)

    @property
    def allowed(self) -> float:
        """The limit and what rounding may exceed it by: the largest sum that is accepted."""
        return self.limit * (1.0 + SLACK)

    def spent(self, chosen: Ints) -> float:
        """Return what some rows cost together, an exact sum rounded once."""
        return fsum(self.costs[chosen])

    def check(self, chosen: Ints, dataset: Dataset) -> None:
        """Raise if the chosen rows cost too much."""
        chosen = chosen[dataset.is_candidate[chosen]]
        spent = self.spent(chosen)
        if spent > self.allowed:
            raise InfeasibleSelection(
                f"{self.title}: the chosen rows cost {spent:.10g}, {spent - self.limit:.4g} more "
                f"than the limit {self.limit:.10g}"
            )

    def linear(self, dataset: Dataset) -> LinearRows:
        """Return ``c z <= limit``."""
        rows = np.zeros(len(dataset.candidates), dtype=np.int64)
        costs = self.costs[dataset.candidates]
        return sparse_rows(rows, dataset.candidates, costs, [self.allowed], dataset.size)

    def describe(self) -> str:
        """Return the limit."""
        return f"costs at most {self.limit:g}"

    def arrays(self) -> Mapping[str, Any]:
        """Return the costs."""
        return {"costs": self.costs}

    def parameters(self) -> Mapping[str, Any]:
        """Return the limit."""
        return {"limit": self.limit}

    def forbidden(self, dataset: Dataset) -> Ints:
        """Return the rows that alone cost too much."""
        rows = dataset.candidates
        return np.asarray(rows[self.costs[rows] > self.allowed])

    def guard(self, dataset: Dataset) -> Guard:
        """Return a guard that closes what no longer fits into the limit."""
        return _CostGuard(self, dataset)


class _CostGuard(Guard):
    def __init__(self, cost: Cost, dataset: Dataset) -> None:
        super().__init__(cost.closed(dataset))
        priced = np.where(dataset.is_candidate, cost.costs, 0.0)
        self.room = Room(freeze(priced), cost.allowed)

    def add(self, row: int) -> Ints:
        return self.room.take(row)
