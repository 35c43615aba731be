"""What a pool is like: how much of it repeats itself, how its classes are spread, what is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems import correct_priors
from ...problems.arrays import as_integers, as_matrix, as_rows, to_numpy
from ...problems.embeddings import Embeddings
from ...problems.errors import InvalidInput
from ..campaign.variety import NEAR, SAMPLE
from ..metrics import predicted_l1

if TYPE_CHECKING:
    from ...problems import PriorCorrection
    from ...problems.arrays import Floats, Ints

QUERIES = 1000
"""Rows whose neighbors are counted."""
LARGEST_LAG = 256
"""Frames up to which it is asked how long a video stays nearly the same."""
_NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Scored:
    """A pool as a model sees it.

    Parameters
    ----------
    embeddings
        ``(N, d)``, in any array type, memory-mapped too.
    probs
        Class probabilities ``(N, C)``, or None before there is a classifier.
    labeled
        Rows that are labeled.
    labeled_classes
        Their classes.
    held_out
        Predictions ``(n, C)`` of the labeled rows by models that have not learned from them.
    video, frame
        For frames of videos: which, and where in it ``(N,)``.
    ids
        Names of rows, or None.

    Raises
    ------
    InvalidInput
        If lengths do not fit.
    """

    embeddings: Any
    probs: Any = None
    labeled: Ints = field(default_factory=_NONE.copy)
    labeled_classes: Any = None
    held_out: Any = None
    video: Any = None
    frame: Any = None
    ids: Any = None

    def __post_init__(self) -> None:
        """Check the lengths."""
        size = self.space.size
        rows = as_rows(self.labeled, "labeled", size)
        object.__setattr__(self, "labeled", rows)
        for name in ("probs", "video", "frame", "ids"):
            values = getattr(self, name)
            if values is not None and len(values) != size and not isinstance(values, list):
                raise InvalidInput(
                    f"{name}: must have {size} values, one for each embedding; got {len(values)}"
                )
        for name in ("labeled_classes", "held_out"):
            values = getattr(self, name)
            if values is not None and len(values) != len(rows):
                raise InvalidInput(
                    f"{name}: must have {len(rows)} values, one for each labeled row; got "
                    f"{len(values)}"
                )
        if self.probs is not None and self.labeled_classes is not None and len(rows):
            classes = as_integers(self.labeled_classes, "labeled_classes")
            width = as_matrix(self.probs, "probs").shape[1]
            wrong = np.flatnonzero((classes < 0) | (classes >= width))
            if len(wrong):
                raise InvalidInput(
                    f"labeled_classes: must lie in 0..{width - 1}, the columns of probs; got "
                    f"{classes[wrong[0]]} for row {rows[wrong[0]]}"
                )
        if (self.video is None) != (self.frame is None):
            raise InvalidInput("video, frame: one is of no use without the other; pass both")
        if self.held_out is not None and (self.probs is None or self.labeled_classes is None):
            raise InvalidInput("held_out: needs probs and labeled_classes; pass all three")

    @cached_property
    def space(self) -> Embeddings:
        """The embeddings, with distances."""
        return Embeddings(self.embeddings)

    @property
    def size(self) -> int:
        """N."""
        return self.space.size

    @cached_property
    def unlabeled(self) -> Ints:
        """Rows that can be chosen."""
        return np.setdiff1d(np.arange(self.size), self.labeled)

    @cached_property
    def correction(self) -> PriorCorrection | None:
        """The pool's class mix and probabilities corrected for it, where held-out rows tell."""
        if self.held_out is None:
            return None
        classes = as_integers(self.labeled_classes, "labeled_classes")
        width = as_matrix(self.probs, "probs").shape[1]
        return correct_priors(
            self.probs,
            np.bincount(classes, minlength=width),
            held_out=self.held_out,
            held_out_classes=classes,
            rows=self.unlabeled,
        )


@dataclass(frozen=True)
class Redundancy:
    """How much of a pool repeats itself.

    Parameters
    ----------
    distinct
        Share of the rows that would be left if near-duplicates were one row.
    repeated
        Share of the rows that have a near-duplicate.
    nearest
        Median distance to the nearest other row, in units of the usual distance.
    in_time
        Share of consecutive frames that are near-duplicates; None without videos.
    reach
        Frames up to which at least half of the frames so far apart are near-duplicates.
    """

    distinct: float
    repeated: float
    nearest: float
    in_time: float | None = None
    reach: int | None = None


@dataclass(frozen=True, eq=False)
class Balance:
    """How the classes of a pool are spread, as predicted.

    Parameters
    ----------
    prior
        Share of each class ``(C,)``.
    l1
        Its L1 score: 0 is balanced, 1 is all in one class.
    corrected
        Whether the prior was estimated with held-out rows; else it is the mean prediction.
    untold
        Why held-out rows that are there do not tell the prior, or None.
    """

    prior: Floats
    l1: float
    corrected: bool
    untold: str | None = None


@dataclass(frozen=True, eq=False)
class Measures:
    """What was measured of a pool.

    Parameters
    ----------
    size, labeled, budget
        Rows in all, labeled so far, and to be chosen now.
    redundancy
        How much of it repeats itself.
    balance
        How its classes are spread; None without predictions.
    classes
        C, or None if nobody told.
    """

    size: int
    labeled: int
    budget: int
    redundancy: Redundancy
    balance: Balance | None
    classes: int | None

    @property
    def step(self) -> float:
        """The budget as a share of the pool: S of the papers' I-S notation."""
        return self.budget / self.size

    @property
    def share(self) -> float:
        """What will be labeled after this batch, as a share of the pool."""
        return (self.labeled + self.budget) / self.size

    @property
    def per_class(self) -> float | None:
        """Labels of this batch for each class, if they are spread evenly."""
        return self.budget / self.classes if self.classes else None


def measure(
    pool: Scored, budget: int, *, classes: int | None = None, near: float = NEAR, seed: int = 0
) -> Measures:
    """Measure a pool.

    Parameters
    ----------
    pool
        Embeddings, and what else is known.
    budget
        b, rows to choose now.
    classes
        C, where there are no probabilities to count them.
    near
        Rows nearer than this share of the usual distance, the median between two of 512 random
        rows, are near-duplicates; as in campaigns' redundancy.
    seed
        Of the rows that are looked at.

    Raises
    ------
    InvalidInput
        If the budget is not to be had, the pool has fewer than two rows, or `near` is not positive.
    """
    if not near > 0:
        raise InvalidInput(f"near: must be above 0; got {near:g}; the usual is {NEAR}")
    if pool.size < 2 or not 1 <= budget <= len(pool.unlabeled):
        raise InvalidInput(
            f"budget: must lie in 1..{len(pool.unlabeled)}, the unlabeled rows of {pool.size}; "
            f"got {budget}"
        )
    balance = None if pool.probs is None else _balance(pool)
    counted = classes if balance is None else len(balance.prior)
    redundancy = _redundancy(pool, near, np.random.default_rng(seed))
    return Measures(pool.size, len(pool.labeled), budget, redundancy, balance, counted)


def _balance(pool: Scored) -> Balance:
    found = pool.correction
    corrected = found is not None and found.applied
    if found is not None and found.applied:
        prior = np.asarray(found.prior)
    else:
        matrix = as_matrix(pool.probs, "probs")
        total = np.zeros(matrix.shape[1])
        is_free = np.zeros(pool.size, dtype=bool)
        is_free[pool.unlabeled] = True
        for first, values in matrix.chunks():
            total += values[is_free[first : first + len(values)]].sum(axis=0)
        prior = total / total.sum()
    untold = None if found is None else found.reason
    return Balance(prior, predicted_l1(prior[None], [0]), corrected, untold)


def _redundancy(pool: Scored, near: float, rng: np.random.Generator) -> Redundancy:
    space = pool.space
    some = np.sort(rng.choice(space.size, min(space.size, SAMPLE), replace=False))
    usual = float(np.median(space.between(some, some)[np.triu_indices(len(some), k=1)]))
    queries = np.sort(rng.choice(space.size, min(space.size, QUERIES), replace=False))
    nearest, copies = _neighbors(space, queries, near * usual)
    in_time, reach = None, None
    if pool.video is not None:
        in_time, reach = _in_time(pool, near * usual, rng)
    return Redundancy(
        distinct=float((1 / (1 + copies)).mean()),
        repeated=float((copies > 0).mean()),
        nearest=float(np.median(nearest)) / usual if usual > 0 else 0.0,
        in_time=in_time,
        reach=reach,
    )


def _neighbors(space: Embeddings, queries: Ints, limit: float) -> tuple[Floats, Ints]:
    """Return each query's distance to the nearest other row, and how many lie within a limit."""
    sites = space.sites(queries)
    nearest, copies = np.full(len(queries), np.inf), np.zeros(len(queries), dtype=np.int64)
    for start, stop in space.blocks(len(queries)):
        distances = space.from_rough(
            to_numpy(space.rough(slice(start, stop), sites)).astype(np.float64)
        )
        own = np.flatnonzero((queries >= start) & (queries < stop))
        distances[queries[own] - start, own] = np.inf
        nearest = np.minimum(nearest, distances.min(axis=0))
        copies += (distances <= limit).sum(axis=0)
    return nearest, copies


def _in_time(pool: Scored, limit: float, rng: np.random.Generator) -> tuple[float, int]:
    """Return the share of consecutive frames that repeat each other, and how far that reaches."""
    _, codes = np.unique(to_numpy(pool.video), return_inverse=True)
    order = np.lexsort((to_numpy(pool.frame), codes))
    first, reach, lag = 0.0, 0, 1
    while lag <= LARGEST_LAG:
        starts = np.flatnonzero(codes[order[:-lag]] == codes[order[lag:]])
        if not len(starts):
            break
        starts = rng.choice(starts, min(len(starts), QUERIES), replace=False)
        share = float((pool.space.pairs(order[starts], order[starts + lag]) <= limit).mean())
        first = share if lag == 1 else first
        if share < 0.5:
            break
        reach, lag = lag, lag * 2
    return first, reach
