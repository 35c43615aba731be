"""Limits on how many labels of a class are expected among the chosen rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..arrays import as_integers, as_matrix, as_number, as_vector, to_numpy
from ..errors import InfeasibleSelection, InvalidInput
from ..fingerprint import fingerprint, hash_array
from ..probabilities import Probabilities, as_probabilities
from .base import NONE, SLACK, Constraint, LinearRows, sparse_rows
from .curves import Curve, factor_of, lower_slope, upper_slope
from .expected_guard import ExpectedGuard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..arrays import Floats, Ints
    from ..dataset import Dataset
    from .base import Guard

ROUNDING = 1e-12
"""Share of a limit by which sums in another order may be off."""


@dataclass(frozen=True, eq=False)
class ExpectedCount(Constraint):
    r"""So many labels of each class in expectation: :math:`l_k \le \sum_i p_{ik} z_i \le u_k`.

    Newly chosen rows are counted; labeled rows are not. Sums may leave the limits by 1e-9 of them.

    With a confidence above one half, labels are draws from P and each limit is to hold with about
    that probability, :math:`\Phi(\kappa)` by the normal approximation:

    .. math:: \sum_i p_{ik} z_i - \kappa \sqrt{\textstyle\sum_i p_{ik} (1 - p_{ik}) z_i} \ge l_k,
        \qquad
        \sum_i p_{ik} z_i + \kappa \sqrt{\textstyle\sum_i p_{ik} (1 - p_{ik}) z_i} \le u_k

    It is as true as the probabilities are: correct them first (`correct_priors`).

    Parameters
    ----------
    probs
        P ``(N, C)``, rows that sum to 1.
    classes
        The class that is meant, or a list of them; each is limited by itself.
    at_most, at_least
        Labels, a number for every class or a list with one for each; ``at_least`` 0 asks for none.
    confidence
        Probability in [0.5, 1) with which each limit is to hold by itself; at 0.5 it is the
        expectation that keeps it.

    Examples
    --------
    >>> from labelcut import BudgetedSelection, solve
    >>> probs = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]
    >>> cyclists = ExpectedCount(probs, classes=1, at_least=1.0)
    >>> solve(BudgetedSelection([3, 2, 1], budget=2, constraints=[cyclists])).indices
    array([1, 2])

    With a probability of 90 % two uncertain rows are too few for one label:

    >>> sure = ExpectedCount(probs, classes=1, at_least=1.0, confidence=0.9)
    >>> print(solve(BudgetedSelection([3, 2, 1], budget=2, constraints=[sure])).status)
    infeasible
    """

    kind: ClassVar[str] = "expected-count"
    file_arrays: ClassVar[Mapping[str, str]] = {"probs": "numbers"}
    file_parameters: ClassVar[Mapping[str, tuple[type, ...]]] = {
        "classes": (int, list),
        "at_most": (float, int, list),
        "at_least": (float, int, list),
        "confidence": (float,),
    }
    file_required: ClassVar[tuple[str, ...]] = ("probs", "classes")
    probs: Any
    classes: Any
    at_most: Any = None
    at_least: Any = None
    confidence: Any = 0.5
    columns: Floats = field(init=False, repr=False)
    """Probabilities ``(N, k)`` of the classes that are meant, once bound; 0 off the candidates."""

    def bind(self, dataset: Dataset) -> ExpectedCount:
        """Return the constraint with its probabilities and limits validated."""
        if self.at_most is None and self.at_least is None:
            raise InvalidInput(
                f"{self.title}: needs at_most or at_least; got neither; say how many labels"
            )
        given = isinstance(self.probs, Probabilities)
        probs = self.probs if given else as_matrix(self.probs, f"{self.title} probs")
        if probs.shape[0] != dataset.size:
            raise InvalidInput(
                f"{self.title} probs: must have {dataset.size} rows; got {probs.shape[0]}; "
                "pass one row of probabilities for each row of the dataset"
            )
        try:
            probs = as_probabilities(probs, dataset)
        except InvalidInput as error:
            raise InvalidInput(f"{self.title} {error}") from None
        classes = np.atleast_1d(as_integers(self.classes, f"{self.title} classes"))
        wrong = classes[(classes < 0) | (classes >= probs.shape[1])]
        if len(wrong) or not len(classes) or len(np.unique(classes)) < len(classes):
            raise InvalidInput(
                f"{self.title} classes: must be distinct and lie in 0..{probs.shape[1] - 1}; "
                f"got {classes.tolist()}; name columns of probs"
            )
        confidence = as_number(self.confidence, f"{self.title} confidence")
        if not 0.5 <= confidence < 1.0:
            raise InvalidInput(
                f"{self.title} confidence: must lie in [0.5, 1); got {confidence:g}; say with what "
                "probability a limit is to hold, such as 0.9"
            )
        bound = replace(
            self,
            confidence=confidence,
            probs=probs,
            classes=classes,
            at_most=_limits(self.at_most, f"{self.title} at_most", len(classes)),
            at_least=_limits(self.at_least, f"{self.title} at_least", len(classes)),
        )
        crossed = np.flatnonzero(bound.lower > bound.upper)
        if len(crossed):
            at = crossed[0]
            raise InvalidInput(
                f"{self.title}: at_least must not exceed at_most; class {classes[at]} has "
                f"{bound.lower[at]:g} and {bound.upper[at]:g}; mend one of them"
            )
        object.__setattr__(bound, "columns", bound._columns(dataset))
        return bound

    def _columns(self, dataset: Dataset) -> Floats:
        columns = np.zeros((dataset.size, len(self.classes)))
        for first, values in self.probs.chunks():
            columns[first : first + len(values)] = values[:, self.classes]
        columns[~dataset.is_candidate] = 0.0
        return columns

    @cached_property
    def lower(self) -> Floats:
        """The smallest expected count of each class that is meant ``(k,)``."""
        return np.zeros(len(self.classes)) if self.at_least is None else self.at_least

    @cached_property
    def upper(self) -> Floats:
        """The largest expected count of each class that is meant ``(k,)``; infinite without one."""
        return np.full(len(self.classes), np.inf) if self.at_most is None else self.at_most

    @cached_property
    def factor(self) -> float:
        """How many standard deviations are to be kept off the limits: κ."""
        return factor_of(self.confidence)

    @property
    def is_curved(self) -> bool:
        """Whether standard deviations count."""
        return self.factor > 0

    @cached_property
    def variances(self) -> Floats:
        """Variance of each label's belonging to a class that is meant ``(N, k)``."""
        return np.asarray(np.maximum(self.columns * (1.0 - self.columns), 0.0))

    @cached_property
    def lower_terms(self) -> Floats:
        """What each row brings to its smallest counts at most ``(N, k)``; see `lower_slope`."""
        if not self.is_curved:
            return self.columns
        return self.columns - lower_slope(self.lower * (1.0 - SLACK), self.factor) * self.variances

    @cached_property
    def upper_terms(self) -> Floats:
        """What each row takes of its largest counts at least ``(N, k)``; see `upper_slope`."""
        if not self.is_curved:
            return self.columns
        return self.columns + upper_slope(self.upper * (1.0 + SLACK), self.factor) * self.variances

    def expected(self, chosen: Ints) -> Floats:
        """Return how many labels of each class that is meant are expected ``(k,)``."""
        return np.asarray(self.columns[chosen].sum(axis=0))

    def margins(self, chosen: Ints) -> Floats:
        """Return how far off the limits the expected counts are to stay ``(k,)``."""
        if not self.is_curved:
            return np.zeros(len(self.classes))
        return np.asarray(self.factor * np.sqrt(self.variances[chosen].sum(axis=0)))

    def check(self, chosen: Ints, dataset: Dataset) -> None:
        """Raise naming the class whose expected count is farthest outside its limits."""
        del dataset
        self._check(chosen, self.lower)

    def check_growing(self, chosen: Ints, dataset: Dataset) -> None:
        """Raise naming the class whose expected count is most above its largest."""
        del dataset
        self._check(chosen, np.zeros_like(self.lower))

    def _check(self, chosen: Ints, lower: Floats) -> None:
        counts, margins = self.expected(chosen), self.margins(chosen)
        over = counts + margins - self.upper * (1.0 + SLACK)
        under = np.where(lower > 0, lower * (1.0 - SLACK) - (counts - margins), -np.inf)
        outside = np.maximum(over, under)
        worst = int(outside.argmax())
        if outside[worst] <= 0:
            return
        is_over = over[worst] > 0
        side, limit = ("most", self.upper[worst]) if is_over else ("least", lower[worst])
        count, margin = counts[worst], margins[worst] if is_over else -margins[worst]
        assured = (
            f", {count + margin:.10g} with probability {self.confidence:g}"
            if self.is_curved
            else ""
        )
        raise InfeasibleSelection(
            f"{self.title}: {count:.10g} labels of class {self.classes[worst]} are expected"
            f"{assured}, at {side} {limit:.10g} are asked for"
        )

    def linear(self, dataset: Dataset) -> LinearRows:
        """Return one row for each limit; with a confidence, the best that probabilities imply."""
        parts: list[tuple[Ints, Ints, Floats]] = []
        limits: list[float] = []
        for sign, at, terms in self._limited():
            rows = np.flatnonzero(self.columns[:, at])
            parts.append((np.full(len(rows), len(limits)), rows, sign * terms[rows, at]))
            limit = self._limit(sign, at)
            limits.append(limit + ROUNDING * self.is_curved * abs(limit))
        if not parts:
            return sparse_rows(NONE, NONE, 0.0, [], dataset.size)
        at_rows, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        return sparse_rows(at_rows, columns, values, limits, dataset.size)

    def curves(self, dataset: Dataset) -> tuple[Curve, ...]:
        """Return one curve for each limit, none at confidence 0.5."""
        del dataset
        if not self.is_curved:
            return ()
        return tuple(
            Curve(
                sign * self.columns[:, at],
                self.variances[:, at],
                self.factor,
                self._limit(sign, at),
            )
            for sign, at, _ in self._limited()
        )

    def straightened(self, chosen: Ints, share: float) -> ExpectedCount:
        """Return plain limits on expected counts, moved by a share of the margins of some rows."""
        if not self.is_curved:
            return self
        margins = share * self.margins(chosen)
        upper = np.maximum(self.upper - margins, 0.0)
        lower = np.where(self.lower > 0, self.lower + margins, 0.0)
        return replace(
            self,
            at_least=None if self.at_least is None else np.minimum(lower, upper),
            at_most=None if self.at_most is None else upper,
            confidence=0.5,
        )

    def _limited(self) -> list[tuple[float, int, Floats]]:
        """Return what is limited: from above (1) or below (-1), which class, and its terms."""
        upper = np.flatnonzero(np.isfinite(self.upper)).tolist()
        lower = np.flatnonzero(self.lower > 0).tolist()
        return [
            *((1.0, at, self.upper_terms) for at in upper),
            *((-1.0, at, self.lower_terms) for at in lower),
        ]

    def _limit(self, sign: float, at: int) -> float:
        bounds = self.upper if sign > 0 else self.lower
        return float(sign * bounds[at] * (1.0 + sign * SLACK))

    def describe(self) -> str:
        """Return the limits in words, such as ``at least 50 expected of class 3``.

        With a confidence it is ``at least 50 of class 3 with probability 0.9``.
        """
        meant = f"class{'es' if len(self.classes) > 1 else ''} {', '.join(map(str, self.classes))}"
        expected = "" if self.is_curved else " expected"
        limits = " and ".join(
            f"{name.replace('_', ' ')} {_in_words(limit)}{expected} of {meant}"
            for name, limit in (("at_least", self.at_least), ("at_most", self.at_most))
            if limit is not None
        )
        return f"{limits} with probability {self.confidence:g}" if self.is_curved else limits

    def arrays(self) -> Mapping[str, Any]:
        """Return the probabilities as they were given, before any correction."""
        return {"probs": self.probs.stated}

    def parameters(self) -> Mapping[str, Any]:
        """Return classes and limits."""
        stated = {"classes": self.classes, "at_most": self.at_most, "at_least": self.at_least}
        limits = {name: at.tolist() for name, at in stated.items() if at is not None}
        return {**limits, **self._confidence()}

    def _confidence(self) -> Mapping[str, Any]:
        return {"confidence": self.confidence} if self.is_curved else {}

    def fingerprint(self) -> str:
        """Hex blake2b over probabilities, classes, limits and confidence; not over its name."""
        values = {"classes": self.classes, "lower": self.lower, "upper": self.upper}
        hashes = [hash_array(name, at) for name, at in values.items()]
        return fingerprint(self.kind, self._confidence(), [self.probs.digest, *hashes])

    def forbidden(self, dataset: Dataset) -> Ints:
        """Return the candidates that alone exceed a limit."""
        rows = dataset.candidates
        taken = self.columns[rows]
        if self.is_curved:
            taken = taken + self.factor * np.sqrt(self.variances[rows])
        return rows[(taken > self.upper * (1.0 + SLACK)).any(axis=1)]

    def guard(self, dataset: Dataset) -> Guard:
        """Return a guard that closes what would exceed a limit and knows what is short."""
        return ExpectedGuard(self, dataset)


def _limits(stated: Any, what: str, count: int) -> Floats | None:
    if stated is None:
        return None
    array = to_numpy(stated, what)
    limits = as_vector(np.full(count, stated) if array.ndim == 0 else array, what, count)
    if not ((limits >= 0) & np.isfinite(limits)).all():
        raise InvalidInput(f"{what}: must be finite and ≥ 0; got {stated}; say how many labels")
    return limits


def _in_words(limits: Floats) -> str:
    return ", ".join(f"{limit:g}" for limit in limits)
