"""Budgeted selection: the most useful rows that hard constraints allow."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .arrays import Floats, Ints, as_vector
from .base import Certificate, Evaluation, Sense
from .constraints import Cost
from .dataset import require_finite
from .errors import InvalidInput, Stuck
from .fingerprint import hash_array
from .growing import most_useful
from .layouts import Layout
from .narrowing import Narrowing, narrowed_bound, read_narrowing
from .pricing import Prices, read_prices, utility_bound
from .selection import SelectionProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import cvxpy

    from .constraints import Constraint

TIES = ("lowest", "random")


@dataclass(frozen=True, eq=False, init=False, repr=False)
class BudgetedSelection(SelectionProblem):
    r"""Choose the most useful rows under a budget and hard constraints.

    .. math:: \max_z\; \sum_i u_i z_i \quad\text{s.t.}\quad \sum_i z_i = b,\;
        A z \le r,\; z \in \{0,1\}^N

    with the rows of the `constraints` as A and r. Without a budget, `Cost` limits how much is
    chosen.

    Parameters
    ----------
    utility
        u ``(N,)``, higher is better, finite on candidates; any sign.
    budget
        b, how many rows to choose, exactly; or None, for as many as a `Cost` constraint allows.
    labeled, candidates
        Rows that are labeled already; rows that may be chosen (default: all others).
    constraints
        Such as ``[Spacing(video, frame, 3), GroupLimit(video, at_most=12), Cost(boxes, 6000)]``.
    ties
        ``"lowest"``: the lowest of equally useful rows first; ``"random"``: in random order, by the
        seed of the run, as papers do where utilities are counts. It decides between answers that
        are equally good.
    ids, table
        Names of the rows ``(N,)``, and further columns; they come back with the selection.

    Raises
    ------
    InvalidInput
        Naming the argument, the rule, what came and the way out.

    Examples
    --------
    >>> from labelcut import GroupLimit
    >>> one_a_video = GroupLimit(["a", "a", "b"], at_most=1)
    >>> problem = BudgetedSelection([0.9, 0.8, 0.1], budget=2, constraints=[one_a_video])
    >>> problem.evaluate([0, 2]).objective
    1.0
    """

    kind: ClassVar[str] = "budgeted"
    sense: ClassVar[Sense] = Sense.MAX
    layout: ClassVar[Layout] = Layout(
        parameters={"ties": (str,)},
        arrays=("utility",),
        sources=(("utility",),),
        needs_budget=False,
    )
    baseline_method: ClassVar[str] = "random"
    utility: Floats
    ties: str

    def __init__(
        self,
        utility: Any,
        budget: int | None = None,
        *,
        labeled: Any = None,
        candidates: Any = None,
        constraints: Iterable[Constraint] = (),
        ties: str = "lowest",
        ids: Any = None,
        table: Mapping[str, Any] | None = None,
    ) -> None:
        values = as_vector(utility, "utility")
        if not len(values):
            raise InvalidInput("utility: must have rows; got none; pass one value for each row")
        self._set_rows(len(values), budget, labeled, candidates, constraints, ids, table)
        require_finite(values, "utility", self.dataset)
        if ties not in TIES:
            raise InvalidInput(f"ties: must be one of {', '.join(TIES)}; got {ties!r}")
        if budget is None and not any(isinstance(rule, Cost) for rule in self.constraints):
            raise InvalidInput(
                "budget: None leaves it to a Cost constraint, and there is none; say how many rows "
                "to choose, or add Cost(costs, limit)"
            )
        self._set(utility=values, ties=ties)

    def evaluate(self, answer: Any) -> Evaluation:
        r"""Return :math:`\sum_i u_i z_i`, an exact sum rounded once."""
        utility = fsum(self.utility[self.rows_of(answer)])
        return Evaluation(utility, {"utility": utility})

    @property
    def term_names(self) -> tuple[str, ...]:
        """None: the objective is its only part."""
        return ()

    def upper_bound(self, prices: Prices, narrowing: Narrowing | None = None) -> float:
        """Return the bound that some prices prove; see `utility_bound` and `narrowed_bound`."""
        bound = utility_bound(self, self.utility, prices)
        if narrowing is None:
            return bound
        return min(bound, narrowed_bound(self, self.utility, narrowing))

    def prove(self, certificate: Certificate) -> float | None:
        """Return the bound that a certificate's prices prove by themselves."""
        prices = read_prices(certificate.values, self)
        if prices is None:
            return None
        return self.upper_bound(prices, read_narrowing(certificate.values, self))

    def baseline(self) -> float | None:
        """Return the objective of rows drawn at random."""
        if self.why_infeasible():
            return None
        try:
            return self.evaluate(self.random_rows(np.random.default_rng(0))).objective
        except Stuck:
            return None

    def top_rows(
        self, rng: np.random.Generator | None = None, tick: Callable[[], None] | None = None
    ) -> Ints:
        """Return the included rows and the most useful others; see `most_useful`."""
        shuffled = rng is not None and self.ties == "random"
        ranks = rng.permutation(self.dataset.size) if rng and shuffled else None
        return most_useful(self, self.utility, ranks, tick)

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the problem as a plain CVXPY model, to solve or to extend.

        Examples
        --------
        >>> model = BudgetedSelection([0.5, 0.25], budget=1).to_cvxpy()
        >>> round(float(model.solve(solver="HIGHS")), 6)
        0.5
        """
        from .cvxpy_model import budgeted_model

        return budgeted_model(self)

    def parameters(self) -> Mapping[str, Any]:
        """Return the problem's own numbers and strings by their names in problem files."""
        return {} if self.ties == "lowest" else {"ties": self.ties}

    def arrays(self) -> Mapping[str, Any]:
        """Return the problem's own arrays by their names in problem files."""
        return {"utility": self.utility}

    def hashes(self) -> list[bytes]:
        """Return the hash of each of the problem's own arrays."""
        return [hash_array("utility", self.utility)]
