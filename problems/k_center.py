"""k-center coresets: rows that leave no other row far from a chosen or labeled one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .arrays import Floats, Ints, Mask, as_matrix, as_number, freeze
from .base import Certificate, Evaluation, Sense
from .class_balanced import ClassBalanced
from .coverage import as_outliers, coverage_radius, nearest_centers, radius_beside
from .embeddings import Embeddings
from .errors import InvalidInput, Stuck
from .factored import Factored
from .given_distances import GivenDistances
from .layouts import BALANCE_ARRAYS, BALANCE_PARAMETERS, Layout
from .radius_proofs import proven_radius
from .selection import SelectionProblem
from .spaces import Space

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import cvxpy

    from .constraints import Constraint


@dataclass(frozen=True, eq=False, init=False, repr=False)
class KCenter(SelectionProblem):
    r"""Choose b rows so that every row is near a chosen or a labeled one (Sener & Savarese 2018).

    .. math:: \min_S\; \max_i \min_{c \in S \cup L} d(x_i, x_c)
        + \lambda\,\text{dist}(\Omega, P^\top z) \quad\text{s.t.}\quad |S| = b

    The maximum is the radius; the Ξ farthest rows may be left out of it (their robust variant).
    Labeled rows are centers that cost nothing, and rows that are no candidates must be covered all
    the same. The second term is for class-balanced coresets (thesis ch. 4, algorithm 2).

    Parameters
    ----------
    embeddings
        ``(N, d)``: NumPy, memory-mapped, torch on any device or a list of shards, kept and never
        copied; or a `Factored` embedding, or any `Space`.
    budget
        b, how many rows to choose.
    metric
        ``"euclidean"``, ``"squared-euclidean"`` or ``"cosine"`` (1 - cos).
    outliers
        Ξ ≥ 0, how many rows may stay uncovered.
    probs, balance, target, labeled_classes, labeled_counts, distance, ground_cost, labels
        The class-balance term, as in `ClassBalanced`; λ is 0 by default. With `labels` =
        ``"chances"`` the rows' doubt joins it.
    labeled, candidates, constraints, ids, table
        As in `ClassBalanced`.

    Raises
    ------
    InvalidInput
        Naming the argument, the rule, what came and the way out.

    Examples
    --------
    >>> problem = KCenter([[0.0], [1.0], [5.0], [6.0]], budget=2)
    >>> problem.evaluate([0, 3]).terms
    {'radius': 1.0}
    """

    kind: ClassVar[str] = "k-center"
    sense: ClassVar[Sense] = Sense.MIN
    layout: ClassVar[Layout] = Layout(
        parameters={"metric": (str,), "outliers": (int,), **BALANCE_PARAMETERS},
        arrays=("embeddings", "left", "right", "distances", *BALANCE_ARRAYS),
        sources=(("embeddings",), ("left", "right"), ("distances",)),
    )
    baseline_method: ClassVar[str] = "random"
    budget: int
    space: Space
    outliers: int
    balancing: ClassBalanced | None = field(init=False)

    def __init__(
        self,
        embeddings: Any,
        budget: int,
        *,
        metric: str = "euclidean",
        outliers: int = 0,
        probs: Any = None,
        balance: float = 0.0,
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
        self._set(space=_as_space(embeddings, metric))
        space = self.space
        self._set_rows(space.size, budget, labeled, candidates, constraints, ids, table)
        self._set(outliers=as_outliers(outliers, space.size))
        if probs is None:
            stated = {
                "balance": as_number(balance, "balance") != 0,
                "target": not (isinstance(target, str) and target == "paper"),
                "labeled_classes": labeled_classes is not None,
                "labeled_counts": labeled_counts is not None,
                "distance": distance != "l1",
                "ground_cost": ground_cost is not None,
                "labels": labels != "shares",
            }
            for name in (name for name, is_stated in stated.items() if is_stated):
                raise InvalidInput(
                    f"{name}: needs class probabilities; pass probs, or leave {name} out"
                )
            self._set(balancing=None)
            return
        matrix = as_matrix(probs, "probs")
        if matrix.shape[0] != space.size:
            raise InvalidInput(
                f"probs: must have one row for each of {space.size} points; got {matrix.shape[0]}; "
                "score the dataset that was embedded"
            )
        balancing = ClassBalanced(
            matrix,
            np.zeros(space.size),
            budget,
            balance=balance,
            target=target,
            labeled_classes=labeled_classes,
            labeled_counts=labeled_counts,
            distance=distance,
            ground_cost=ground_cost,
            labels=labels,
            labeled=self.labeled,
            candidates=self.candidates,
            constraints=self.constraints,
            ids=self.ids,
        )
        self._set(balancing=balancing)

    @classmethod
    def from_distances(
        cls, distances: Any, budget: int, *, size: int | None = None, **arguments: Any
    ) -> KCenter:
        """State the problem over given distances.

        Parameters
        ----------
        distances
            ``(N, N)``, symmetric and zero on its diagonal; or a function that returns the distances
            ``(k, N)`` of rows ``(k,)`` to all rows. No triangle inequality is assumed.
        budget
            b.
        size
            N, for a function.
        arguments
            As for `KCenter`, `metric` excepted.

        Examples
        --------
        >>> problem = KCenter.from_distances([[0, 2, 9], [2, 0, 8], [9, 8, 0]], budget=2)
        >>> problem.evaluate([1, 2]).objective
        2.0
        """
        return cls(GivenDistances(distances, size), budget, **arguments)

    @classmethod
    def from_file(
        cls,
        *,
        metric: str | None = None,
        embeddings: Any = None,
        left: Any = None,
        right: Any = None,
        distances: Any = None,
        **arguments: Any,
    ) -> KCenter:
        """Make the problem from embeddings, from both factors of them, or from distances."""
        if distances is not None:
            if metric is not None:
                raise InvalidInput("metric: given distances have their own; take metric out")
            return cls.from_distances(distances, **arguments)
        metric = "euclidean" if metric is None else metric
        if left is not None:
            return cls(Factored(left, right, metric), **arguments)
        return cls(embeddings, metric=metric, **arguments)

    @property
    def in_files(self) -> bool:
        """Whether a problem file can hold its space."""
        return self.space.in_files

    @property
    def class_balance(self) -> ClassBalanced | None:
        """The class-balance term as a problem without utility, or None without probabilities."""
        return self.balancing

    @property
    def term_names(self) -> tuple[str, ...]:
        """The radius, and imbalance and doubt where there are probabilities and chances."""
        if self.balancing is None:
            return ("radius",)
        return ("radius", *(name for name in self.balancing.term_names if name != "utility"))

    def facts(self) -> Mapping[str, Any]:
        """Return the space's facts and how many rows may stay uncovered."""
        return {**self.space.facts(), "outliers": self.outliers}

    @property
    def balance(self) -> float:
        """λ, 0 without class probabilities."""
        return 0.0 if self.balancing is None else self.balancing.balance

    @cached_property
    def fixed(self) -> Ints:
        """Rows that are centers in every selection: labeled and included ones, ascending."""
        return freeze(np.union1d(self.labeled, self.included))

    @cached_property
    def is_free(self) -> Mask:
        """Mask ``(N,)`` of the free rows."""
        return freeze(np.isin(np.arange(self.space.size), self.free))

    @cached_property
    def to_fixed(self) -> tuple[Ints, Floats]:
        """Each row's nearest fixed center and its distance ``(N,)``; -1 and inf without any."""
        return nearest_centers(self.space, self.fixed)

    @property
    def known_to_fixed(self) -> tuple[Ints, Floats] | None:
        """`to_fixed` if it has been found already."""
        return vars(self).get("to_fixed")

    def prepare(self, tick: Callable[[], None]) -> None:
        """Find `to_fixed`, which most methods need, with looks at the clock."""
        if self.known_to_fixed is None:
            vars(self)["to_fixed"] = nearest_centers(self.space, self.fixed, tick)

    def evaluate(self, answer: Any, nearest: Ints | None = None) -> Evaluation:
        """Return objective and terms of a selection in float64.

        The terms are ``radius`` and, with class probabilities, ``imbalance``, ``doubt`` and
        ``unreachable`` as in `ClassBalanced.evaluate`.

        Parameters
        ----------
        answer
            Chosen rows.
        nearest
            A near center of each row ``(N,)``, if somebody knows: it saves time, and is not
            believed (`coverage_radius`).
        """
        rows = self.rows_of(answer)
        centers = np.union1d(rows, self.labeled)
        if nearest is None and np.isin(self.fixed, centers).all():
            others = np.setdiff1d(rows, self.fixed)
            radius = radius_beside(self.space, self.to_fixed[1], others, self.outliers)
        else:
            radius = coverage_radius(self.space, centers, self.outliers, nearest)
        if self.balancing is None:
            return Evaluation(radius, {"radius": radius})
        balanced = self.balancing.evaluate(rows)
        terms = {name: value for name, value in balanced.terms.items() if name != "utility"}
        return Evaluation(radius + balanced.objective, {"radius": radius, **terms})

    def assignment(self, answer: Any) -> tuple[Ints, Floats]:
        """Return which chosen or labeled row stands for each row, and its distance ``(N,)``.

        Examples
        --------
        >>> KCenter([[0.0], [1.0], [5.0]], budget=1, labeled=[0]).assignment([2])
        (array([0, 0, 2]), array([0., 1., 0.]))
        """
        return nearest_centers(self.space, np.union1d(self.rows_of(answer), self.labeled))

    def prove(self, certificate: Certificate) -> float | None:
        """Return the bound that weighted rows prove by themselves, with multipliers for balance.

        ``values`` holds what `proven_radius` reads for the radius, and what `ClassBalanced.prove`
        reads for the class-balance term.
        """
        values = certificate.values
        if "rows" not in values and "multipliers" not in values:
            return None
        return proven_radius(self, values) + self.least_imbalance(certificate)

    def least_imbalance(self, certificate: Certificate | None = None) -> float:
        """Return a bound on the weighted class-balance term of any selection."""
        if self.balancing is None:
            return 0.0
        least = self.balancing.balance * self.balancing.unreachable
        proven = None if certificate is None else self.balancing.prove(certificate)
        return least if proven is None else max(least, proven)

    def baseline(self) -> float | None:
        """Return the objective of rows drawn at random."""
        if self.why_infeasible():
            return None
        try:
            return self.evaluate(self.random_rows(np.random.default_rng(0))).objective
        except Stuck:
            return None

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the problem as a plain CVXPY model with N² assignment variables.

        Raises
        ------
        NotEnoughMemory
            If N² numbers do not fit; `labelcut.solve` needs far fewer.

        Examples
        --------
        >>> model = KCenter([[0.0], [1.0], [5.0]], budget=1).to_cvxpy()
        >>> round(float(model.solve(solver="HIGHS")), 6)
        4.0
        """
        from .cvxpy_model import k_center_model

        return k_center_model(self)

    def parameters(self) -> Mapping[str, Any]:
        """Return the problem's own numbers and strings by their names in problem files."""
        balanced = {} if self.balancing is None else self.balancing.parameters()
        return {**self.space.parameters(), "outliers": self.outliers, **balanced}

    def arrays(self) -> Mapping[str, Any]:
        """Return the problem's own arrays by their names in problem files."""
        balanced = {} if self.balancing is None else dict(self.balancing.arrays())
        balanced.pop("utility", None)
        return {**self.space.arrays(), **balanced}

    def hashes(self) -> list[bytes]:
        """Return the hash of each of the problem's own arrays."""
        return [self.space.digest, *([] if self.balancing is None else self.balancing.hashes())]


def _as_space(embeddings: Any, metric: str) -> Space:
    if not isinstance(embeddings, Space):
        return Embeddings(embeddings, metric)
    if metric not in ("euclidean", embeddings.name):
        raise InvalidInput(
            f"metric: {metric!r} for a {type(embeddings).__name__} that has its own, "
            f"{embeddings.name!r}; leave metric out"
        )
    return embeddings
