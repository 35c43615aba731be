"""Class-balanced selection: informative rows whose expected classes meet a target."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import fsum, isclose
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .arrays import Floats, Ints, as_matrix, as_vector, freeze
from .base import Certificate, Evaluation, Sense
from .dataset import require_finite
from .distances import Distance, Wasserstein, as_distance
from .errors import InvalidInput, Stuck, UnsupportedProblem
from .fingerprint import hash_array
from .growing import most_useful
from .lagrangian import lagrangian_bound, priced_bound
from .layouts import BALANCE_ARRAYS, BALANCE_PARAMETERS, Layout
from .pricing import EPS, Prices, read_prices
from .probabilities import Probabilities, as_probabilities
from .selection import SelectionProblem
from .targets import as_balance, as_counts, as_target, scaled_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import cvxpy

    from .constraints import Constraint

LABELS = ("shares", "chances")
"""What a row's probabilities may count as."""


@dataclass(frozen=True, eq=False, init=False, repr=False)
class ClassBalanced(SelectionProblem):
    r"""Choose b informative rows that balance the classes (thesis ch. 4).

    .. math:: \min_z\; -\sum_i u_i z_i + \lambda\,\text{dist}(\Omega, P^\top z)
        \quad\text{s.t.}\quad \sum_i z_i = b,\; z \in \{0,1\}^N

    This is eq. 4.8, with any utility u in the place of the entropy of eq. 4.6 and 4.7: BALD, or the
    discriminator's certainty of eq. 4.9 with its sign turned.

    Parameters
    ----------
    probs
        P ``(N, C)`` (eq. 4.1), softmax outputs; rows sum to 1 within 1e-3 and are renormalized.
        NumPy, memory-mapped, torch on any device, or a list of shards; kept, never copied, so do
        not change it afterwards.
    utility
        u ``(N,)``, higher is better; see `labelcut.entropy`.
    budget
        b, how many rows to choose.
    balance
        λ ≥ 0, the price of one expected label too many or too few.
    target
        Ω ``(C,)``, the labels wanted of each class, or the rule that makes it from the labeled
        rows' classes: ``"paper"`` (`paper_target`, eq. 4.4) or ``"fill"`` (`fill_target`). b/C for
        each class when nothing is labeled.
    labeled_classes
        Classes ``0..C-1`` of the labeled rows, for the rules.
    labeled_counts
        n ``(C,)``, the same counted, instead of `labeled_classes`.
    distance
        ``"l1"`` (eq. 4.2), ``"l2"`` (the norm), ``"squared-l2"``, or ``"wasserstein"``: the cost of
        moving the expected counts onto the target, for which Ω is scaled to sum to b; where that
        changes it, solutions say so in ``info["target"]``.
    ground_cost
        Cost ``(C, C)`` of taking one class for another, a metric; for ``"wasserstein"`` only.
    labels
        ``"shares"``, the paper's: a row adds :math:`p_{ik}` to class k for certain. ``"chances"``:
        its label will be one class, of which P gives the chances; see `doubt`. For ``"l1"`` only.
        Recommended over probabilities that `correct_priors` has corrected, with λ near 2 where the
        utility is the entropy: the labels that come back are better balanced, for less utility.
    labeled, candidates
        Rows that are labeled already; rows that may be chosen (default: all others).
    constraints
        Such as ``[Spacing(video, frame, 3), GroupLimit(video, at_most=12), Forbid(rows)]``.
    ids, table
        Names of the rows ``(N,)``, and further columns; they come back with the selection.

    Raises
    ------
    InvalidInput
        Naming the argument, the rule, what came and the way out.

    Examples
    --------
    >>> problem = ClassBalanced([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]], [0.3, 0.5, 0.2], budget=2)
    >>> evaluation = problem.evaluate([1, 2])
    >>> round(evaluation.objective, 6), round(evaluation.terms["imbalance"], 6)
    (-0.5, 0.2)
    """

    kind: ClassVar[str] = "class-balanced"
    sense: ClassVar[Sense] = Sense.MIN
    layout: ClassVar[Layout] = Layout(
        parameters=BALANCE_PARAMETERS,
        arrays=("utility", *BALANCE_ARRAYS),
        sources=(("probs", "utility"),),
    )
    baseline_method: ClassVar[str] = "top"
    budget: int
    probs: Probabilities
    utility: Floats
    balance: float
    target: Floats
    distance: str
    ground_cost: Floats | None
    labels: str
    metric: Distance = field(init=False)
    wanted: float = field(init=False)

    def __init__(
        self,
        probs: Any,
        utility: Any,
        budget: int,
        *,
        balance: float = 1.0,
        target: Any = "paper",
        labeled_classes: Any = None,
        labeled_counts: Any = None,
        distance: str = "l1",
        ground_cost: Any = None,
        labels: str = "shares",
        labeled: Any = None,
        candidates: Any = None,
        constraints: Iterable[Constraint] = (),
        ids: Any = None,
        table: Mapping[str, Any] | None = None,
    ) -> None:
        matrix = probs.matrix if isinstance(probs, Probabilities) else as_matrix(probs, "probs")
        size = matrix.shape[0]
        values = as_vector(utility, "utility", size)
        self._set_rows(size, budget, labeled, candidates, constraints, ids, table)
        require_finite(values, "utility", self.dataset)
        self._set(
            utility=values,
            balance=as_balance(balance),
            probs=as_probabilities(probs, self.dataset),
            distance=distance,
            labels=_as_labels(labels, distance),
        )
        metric = as_distance(distance, ground_cost, self.n_classes)
        cost = metric.ground_cost if isinstance(metric, Wasserstein) else None
        self._set(metric=metric, ground_cost=cost)
        counts = as_counts(labeled_classes, labeled_counts, self.n_classes, len(self.labeled))
        wanted = as_target(target, self.budget, self.n_classes, counts, len(self.labeled))
        self._set(wanted=fsum(wanted))
        self._set(target=freeze(wanted if cost is None else scaled_target(wanted, self.budget)))

    @property
    def n_classes(self) -> int:
        """C, the number of classes."""
        return self.probs.shape[1]

    @cached_property
    def doubt(self) -> Floats | None:
        r"""How far each row's label takes the counts off what is expected; None for shares.

        If P is right, the count n of labels has mean :math:`P^\top z` and variances
        :math:`v_k = \sum_i z_i p_{ik}(1 - p_{ik})`, so for every s > 0

        .. math:: E\,\|\Omega - n\|_1 \le \|\Omega - P^\top z\|_1 + \sum_k \sqrt{v_k}, \qquad
            \sqrt{v_k} \le \frac{v_k}{2 s_k} + \frac{s_k}{2}

        The right side is linear in z: a row adds :math:`d_i = \sum_k p_{ik}(1 - p_{ik}) / (2 s_k)`,
        here with :math:`s_k = \sqrt{\max(\omega_k, 1) / 2}`. Expected counts are soon balanced,
        whatever λ; with doubt a larger λ goes on buying surer rows. NaN on rows that are no
        candidates. Calibrate and correct P first.
        """
        if self.labels == "shares":
            return None
        prices = 0.5 / np.sqrt(np.maximum(self.target, 1.0) / 2)
        doubt = np.empty(self.dataset.size)
        for first, values in self.probs.chunks():
            doubt[first : first + len(values)] = (values * (1 - values)) @ prices
        return freeze(doubt)

    @cached_property
    def worth(self) -> Floats:
        """What a row is worth beyond its expected classes ``(N,)``: its utility, less its doubt."""
        doubt = self.doubt
        return self.utility if doubt is None else freeze(self.utility - self.balance * doubt)

    def doubt_of(self, rows: Ints, shares: Floats | None = None) -> float:
        """Return the doubt of some rows, or of shares of them; 0 where labels are shares."""
        if self.doubt is None:
            return 0.0
        return fsum(self.doubt[rows]) if shares is None else float(self.doubt[rows] @ shares)

    def evaluate(self, answer: Any) -> Evaluation:
        r"""Return objective and terms of a selection in float64.

        The terms are ``utility`` :math:`\sum u_i z_i`, ``imbalance``
        :math:`\text{dist}(\Omega, P^\top z)`, ``doubt`` :math:`\sum d_i z_i` where labels are
        chances, and ``unreachable``, the part of the imbalance that no choice can remove.
        """
        rows = self.rows_of(answer)
        utility, doubt = fsum(self.utility[rows]), self.doubt_of(rows)
        imbalance = self.metric.value(self.target - self.probs.total(rows))
        doubts = {} if self.doubt is None else {"doubt": doubt}
        terms = {
            "utility": utility,
            "imbalance": imbalance,
            **doubts,
            "unreachable": self.unreachable,
        }
        return Evaluation(-utility + self.balance * (imbalance + doubt), terms)

    @property
    def class_balance(self) -> ClassBalanced:
        """The problem itself."""
        return self

    @property
    def term_names(self) -> tuple[str, ...]:
        """Utility, imbalance and doubt; the unreachable part is the same for all."""
        return ("utility", "imbalance", *(() if self.doubt is None else ("doubt",)))

    @property
    def unreachable(self) -> float:
        r"""Imbalance of every selection, since each shortfall sums to :math:`\sum\Omega - b`."""
        mass = fsum(self.target) - self.budget
        return (
            self.metric.unreachable(mass, self.n_classes) if abs(mass) > 1e-9 * self.budget else 0.0
        )

    def lower_bound(self, multipliers: Floats, prices: Prices | None = None) -> float:
        """Return the bound that multipliers ``(C,)`` prove, with prices of the constraints or none.

        See `lagrangian_bound` and `priced_bound`.
        """
        if prices is not None:
            return priced_bound(self, multipliers, prices) - self._rounding()
        bound = lagrangian_bound(
            self.probs,
            self.worth,
            self.target,
            self.balance,
            self.budget,
            metric=self.metric,
            included=self.included,
            selectable=self.selectable,
            multipliers=multipliers,
        )
        return bound - self._rounding()

    def _rounding(self) -> float:
        """Return what rounding worth may have taken off the objective of a selection."""
        if self.doubt is None:
            return 0.0
        rows = self.candidates
        largest = np.abs(self.utility[rows]).max() + self.balance * self.doubt[rows].max()
        return float(4 * EPS * self.budget * largest)

    def prove(self, certificate: Certificate) -> float | None:
        """Return the bound that a certificate's multipliers and prices prove by themselves."""
        values = certificate.values.get("multipliers")
        if values is None:
            return None
        multipliers = as_vector(values, "certificate multipliers", self.n_classes)
        return self.lower_bound(multipliers, read_prices(certificate.values, self))

    def baseline(self) -> float | None:
        """Return the objective of the included rows and the most useful others."""
        if self.why_infeasible():
            return None
        try:
            return self.evaluate(self.top_rows()).objective
        except Stuck:
            return None

    def top_rows(self, tick: Callable[[], None] | None = None) -> Ints:
        """Return the included rows and the most useful others; see `most_useful`."""
        return most_useful(self, self.utility, tick=tick)

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return eq. 4.8 as a plain CVXPY model, to solve or to extend.

        The model has one boolean variable ``z`` ``(N,)``; labeled rows and others that are no
        candidates are fixed to 0. With ℓ2 or its square, CVXPY needs a solver for integer cones.

        Raises
        ------
        NotEnoughMemory
            If P as float64, which CVXPY needs whole and copies, does not fit.

        Examples
        --------
        >>> model = ClassBalanced([[0.9, 0.1], [0.2, 0.8]], [0.3, 0.5], budget=1).to_cvxpy()
        >>> round(float(model.solve(solver="HIGHS")), 6)
        0.1
        """
        from .cvxpy_model import class_balanced_model

        return class_balanced_model(self)

    def notes(self) -> Mapping[str, Any]:
        """Return that Ω was scaled to the budget, and how P was corrected, where they were."""
        notes = super().notes()
        if self.ground_cost is None or isclose(self.wanted, self.budget, rel_tol=1e-9):
            return notes
        scaled = f"scaled from a sum of {self.wanted:.6g} to the budget {self.budget}"
        return {**notes, "target": scaled}

    def parameters(self) -> Mapping[str, Any]:
        """Return the problem's own numbers and strings by their names in problem files."""
        labels = {} if self.labels == "shares" else {"labels": self.labels}
        return {"balance": self.balance, "distance": self.distance, **labels}

    def arrays(self) -> Mapping[str, Any]:
        """Return the problem's own arrays by their names in problem files."""
        arrays = {"probs": self.probs.stated, "utility": self.utility, "target": self.target}
        return arrays if self.ground_cost is None else {**arrays, "ground_cost": self.ground_cost}

    def hashes(self) -> list[bytes]:
        """Return the hash of each of the problem's own arrays."""
        small = {name: values for name, values in self.arrays().items() if name != "probs"}
        return [self.probs.digest, *(hash_array(name, values) for name, values in small.items())]


def _as_labels(labels: Any, distance: str) -> str:
    if labels not in LABELS:
        raise InvalidInput(f"labels: must be one of {', '.join(LABELS)}; got {labels!r}")
    if labels != "shares" and distance != "l1":
        raise InvalidInput(
            f"labels: 'chances' are for the distance 'l1'; got {distance!r}; take 'shares', or "
            "state the balance in l1"
        )
    return str(labels)


def require_class_balanced(problem: SelectionProblem, what: str) -> ClassBalanced:
    """Return a problem that is class-balanced, or raise `UnsupportedProblem`."""
    if not isinstance(problem, ClassBalanced):
        raise UnsupportedProblem(
            f"{what}: takes {ClassBalanced.kind} problems, this one is {problem.kind}; solve or "
            "compare it, or take to_cvxpy() as its model"
        )
    return problem
