"""Class probabilities P: validated and hashed in one pass, renormalized without a copy."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays import Floats, Ints, Mask, Matrix, as_matrix, dtype_name, freeze
from .dataset import Dataset
from .errors import InvalidInput
from .fingerprint import ArrayHash

TOLERANCE = 1e-3
"""How far a row's sum may lie from 1."""


@dataclass(frozen=True, eq=False)
class Origin:
    """Where corrected probabilities come from.

    Parameters
    ----------
    raw
        The probabilities as they were given.
    correction, outcome
        What was asked for, and what came of it; see `labelcut.problems.correcting`.
    """

    raw: "Probabilities"
    correction: Any
    outcome: Any


@dataclass(frozen=True, eq=False)
class Probabilities:
    r"""Probability rows :math:`p_i = s_i q_i` with the values given q and a factor s that makes
    each row sum to 1 (thesis eq. 4.1).

    Parameters
    ----------
    matrix
        q ``(N, C)`` as given.
    scale
        s ``(N,)``; NaN on rows that were not validated.
    digest
        Hash of q; of q before its correction and of what that states, where there was one.
    origin
        Where q comes from if it was corrected, or None.
    """  # noqa: D205

    matrix: Matrix
    scale: Floats
    digest: bytes
    origin: Origin | None = None

    @property
    def stated(self) -> Matrix:
        """What a problem file holds: q as it was before any correction."""
        return self.matrix if self.origin is None else self.origin.raw.matrix

    @property
    def shape(self) -> tuple[int, int]:
        """Rows N and classes C."""
        return self.matrix.shape

    def take(self, rows: Ints) -> Floats:
        """Return ``(k, C)`` probabilities of some rows, in the order asked for."""
        taken = self.matrix.take(rows)
        taken *= self.scale[rows, None]
        return taken

    def chunks(self) -> Iterator[tuple[int, Floats]]:
        """Yield ``(first row, probabilities)`` over all rows; NaN where not validated."""
        for first, values in self.matrix.chunks():
            yield first, values * self.scale[first : first + len(values), None]

    def total(self, rows: Ints) -> Floats:
        r"""Return the expected count of each class, :math:`P^\top z`, for chosen rows."""
        step = max((1 << 20) // self.shape[1], 1)
        total = np.zeros(self.shape[1])
        for start in range(0, len(rows), step):
            total += self.take(rows[start : start + step]).sum(axis=0)
        return total

    def dot(self, weights: Floats) -> Floats:
        """Return ``P @ weights`` ``(N,)``; NaN where not validated."""
        product = np.empty(self.shape[0])
        with np.errstate(invalid="ignore", over="ignore"):  # rows that were not validated
            for first, values in self.matrix.chunks():
                product[first : first + len(values)] = values @ weights
        product *= self.scale
        return product

    def price(self, weights: Floats) -> Floats:
        """Return ``P @ weights`` ``(N,)`` in the precision that P is stored in; see `dot`."""
        product = self.matrix.price(weights)
        product *= self.scale
        return product

    def weigh(self, weights: Floats) -> Floats:
        r"""Return :math:`P^\top w` ``(C,)`` in the precision that P is stored in; see `total`."""
        used = np.where(weights == 0.0, 0.0, weights * self.scale)
        return self.matrix.weigh(used)

    def argmax(self) -> Ints:
        """Return each row's most probable class ``(N,)``, the lowest on ties."""
        classes = np.empty(self.shape[0], dtype=np.int64)
        for first, values in self.matrix.chunks():
            classes[first : first + len(values)] = values.argmax(axis=1)
        return classes


def as_probabilities(probs: Any, dataset: Dataset) -> Probabilities:
    """Validate class probabilities on the candidates, in chunks.

    Parameters
    ----------
    probs
        ``(N, C)`` array, list of shards, or `Probabilities` (checked before, so taken as it is).
    dataset
        Whose candidates' rows must be finite, not negative and sum to 1 within 1e-3.

    Raises
    ------
    InvalidInput
        Naming the first row that breaks a rule; corrected probabilities of another pool.
    """
    if isinstance(probs, Probabilities):
        _refuse_another_pool(probs, dataset)
        if not np.isnan(probs.scale[dataset.candidates]).any():
            return probs
        probs = probs.matrix
    matrix = as_matrix(probs, "probs")
    for part in matrix.parts:
        if part.dtype.itemsize < 4 and "float" in dtype_name(part):
            raise InvalidInput(
                f"probs: {dtype_name(part)} is too coarse for probabilities; "
                "compute softmax in float32 and pass float32 or float64"
            )
    scale = np.full(matrix.shape[0], np.nan)
    running = ArrayHash("probs", matrix.shape)
    for first, values in matrix.chunks():
        running.update(values)
        used = dataset.is_candidate[first : first + len(values)]
        with np.errstate(invalid="ignore", over="ignore"):  # refused below where it matters
            sums = values.sum(axis=1)
        _refuse_bad_rows(values, sums, used, first, dataset)
        scale[first : first + len(values)][used] = 1.0 / sums[used]
    return Probabilities(matrix, freeze(scale), running.digest())


def _refuse_another_pool(probs: Probabilities, dataset: Dataset) -> None:
    """Refuse corrected probabilities of other candidates: a file would correct these otherwise."""
    if probs.origin is None or np.array_equal(~np.isnan(probs.scale), dataset.is_candidate):
        return
    raise InvalidInput(
        "candidates: the probabilities were corrected for another pool, of "
        f"{(~np.isnan(probs.scale)).sum():,} rows; got {len(dataset.candidates):,}; change "
        "uncorrected(problem), and correct it again"
    )


def _refuse_bad_rows(
    values: Floats, sums: Floats, used: Mask, first: int, dataset: Dataset
) -> None:
    fine = (np.abs(sums - 1.0) <= TOLERANCE) & (values.min(axis=1) >= 0)
    wrong = np.flatnonzero(used & ~fine)
    if not len(wrong):
        return
    at = int(wrong[0])
    row, total, name = values[at], sums[at], dataset.name(first + at)
    if not np.isfinite(row).all():
        raise InvalidInput(
            f"probs: {name} holds {row[~np.isfinite(row)][0]}; candidates need finite numbers; "
            "score the row again or leave it out of candidates"
        )
    if (row < 0).any():
        raise InvalidInput(
            f"probs: {name} holds {row.min():.4g}, probabilities must not be negative; "
            "pass softmax outputs, not logits"
        )
    raise InvalidInput(
        f"probs: {name} sums to {total:.4g}, rows must sum to 1 (±0.001); "
        "pass softmax outputs, not logits"
    )
