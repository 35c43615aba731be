"""How sure a prior is: the bootstrap over pool and held-out rows, and reasons for doubt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import Matrix
from .confusion import confusion_prior
from .mixtures import fit_priors

if TYPE_CHECKING:
    from collections.abc import Callable

    from .arrays import Floats, Ints
    from .calibration import Calibration
    from .probabilities import Probabilities

SAMPLE, FEWEST, MOST = 500_000, 2_000, 50_000
"""Probabilities of the pool that the bootstrap draws from, and rows that they make at least and at
most; the spread among them is scaled to all rows."""
GROUPS = 20
"""Draws of the held-out rows, each with a calibration of its own; no more than replicates."""
WIDE = 0.15
"""Mean share of the pool by which replicates may differ from the estimate."""
FLAT = 0.15
"""Standard deviation that any combination of shares (of norm 1) may have."""
COLLAPSED, PREDICTED = 0.99, 0.9
"""A class that takes this share, of which the predictions see less than that one."""
LOOSE = 1e-5
"""Tolerance of replicates."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Labeled rows that the model did not learn from.

    Parameters
    ----------
    probs, classes
        Predictions ``(n, C)`` and true classes ``(n,)``.
    """

    probs: Floats
    classes: Ints


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known beside the pool when its prior is estimated.

    Parameters
    ----------
    method
        ``"em"``, ``"confusion"`` or ``"none"``.
    trained
        The mix τ ``(C,)`` that the classifier learned from.
    labeled
        Held-out rows, or None.
    calibration
        Fitted on them.
    """

    method: str
    trained: Floats
    labeled: HeldOut | None
    calibration: Calibration


@dataclass(frozen=True, eq=False)
class Recalibration:
    """How the pool is calibrated anew when the held-out rows change.

    Parameters
    ----------
    given
        Predictions before calibration.
    rows
        Rows of the pool among them ``(n,)``.
    fit
        Fits a calibration to predictions and classes.
    """

    given: Probabilities
    rows: Ints
    fit: Callable[[Any, Any], Calibration]


@dataclass(frozen=True)
class Draws:
    """How many replicates the bootstrap makes, and their seed."""

    replicates: int
    seed: int


@dataclass(frozen=True, eq=False)
class Spread:
    """How far estimates move when rows are drawn anew.

    Parameters
    ----------
    pool
        Moves ``(B, C)`` of the shares with the pool's rows, around those of the same held-out rows.
    held_out
        Moves ``(G, C)`` with the held-out rows; of no row where they play no part.
    """

    pool: Floats
    held_out: Floats

    def together(self) -> Floats:
        """Return moves ``(B, C)`` with both: draw by draw, the groups of held-out rows in turn."""
        if not len(self.held_out):
            return self.pool
        groups = np.repeat(self.held_out, -(-len(self.pool) // len(self.held_out)), axis=0)
        return np.asarray(self.pool + groups[: len(self.pool)])


def bootstrap(
    evidence: Evidence,
    pool: Matrix,
    anew: Recalibration | None,
    prior: Floats,
    draws: Draws,
) -> Spread:
    r"""Return how far priors move when they are estimated from rows drawn anew.

    Pool rows are drawn from a sample of m of the n: the spread that this gives is scaled by
    :math:`\sqrt{m / n}`. Held-out rows are drawn within their classes, one less than there are, so
    that their spread is not too small (Efron 1982), and calibration is fitted again on each draw.

    Parameters
    ----------
    evidence
        What the prior was estimated from.
    pool
        Calibrated predictions ``(n, C)``.
    anew
        How the pool was calibrated; None where it was not.
    prior
        The estimate ``(C,)`` from which the search for the others begins.
    draws
        How many, and their seed.
    """
    rng = np.random.default_rng(draws.seed)
    count = pool.shape[0]
    some, most = np.arange(count), _sampled(pool)
    if count > most:
        some = np.sort(rng.choice(count, most, replace=False))
    shrink = np.sqrt(len(some) / count)
    raw = None if anew is None else anew.given.take(anew.rows[some])
    base = pool.take(some)
    labeled = evidence.labeled
    redraws = labeled is not None and (anew is not None or evidence.method == "confusion")
    groups = min(GROUPS, draws.replicates) if redraws else 1
    each = -(-draws.replicates // groups)
    center = _priors(evidence, base, None, prior[:, None])[:, 0]
    by_pool, by_held_out = [], []
    for _ in range(groups):
        again, here = evidence, base
        if redraws and labeled is not None:
            other = _redrawn(labeled, rng)
            again = replace(evidence, labeled=other)
            if anew is not None and raw is not None:
                fitted = anew.fit(other.probs, other.classes)
                again, here = replace(again, calibration=fitted), fitted.apply(raw)
        weights = np.empty((len(some), each + 1))
        weights[:, 0] = 1.0
        shares = np.full(len(some), 1 / len(some))
        weights[:, 1:] = rng.multinomial(len(some), shares, size=each).T
        found = _priors(again, here, weights, prior[:, None])
        by_pool.append(shrink * (found[:, 1:] - found[:, :1]))
        by_held_out.append(found[:, 0] - center)
    return Spread(
        np.concatenate(by_pool, axis=1).T[: draws.replicates],
        np.stack(by_held_out)[: groups if redraws else 0],
    )


def doubt(evidence: Evidence, pool: Matrix, prior: Floats, moves: Floats) -> str | None:
    """Return why a prior is too uncertain to be used, or None."""
    if evidence.method == "none":
        return "method 'none' estimates no prior: the shares are mean predictions"
    worst = _worst_deviation(pool, evidence.trained, prior)
    if worst > FLAT:
        return (
            "the predictions are too flat to tell the classes' shares: some combination of them "
            f"has a standard deviation of {min(worst, 9.99):.2f}"
        )
    means, at = np.zeros(len(prior)), int(prior.argmax())
    for _, values in pool.chunks():
        means += values.sum(axis=0)
    if prior[at] > COLLAPSED and means[at] / means.sum() < PREDICTED:
        return (
            f"the prior collapses on class {at} ({prior[at]:.1%}), of which the predictions see "
            f"{means[at] / means.sum():.1%}"
        )
    moved = float(np.abs(moves).sum(axis=1).mean() / 2)
    if moved > WIDE:
        return (
            f"pool rows or labeled rows are too few: drawn again, they move {moved:.0%} of the "
            "prior"
        )
    return None


def _priors(evidence: Evidence, rows: Floats, weights: Floats | None, start: Floats) -> Floats:
    """Return one prior a column of weights ``(C, B)``."""
    if evidence.method == "em":
        pool = Matrix((rows,))
        return fit_priors(pool, evidence.trained, weights, start=start, tolerance=LOOSE).priors
    weights = np.ones((len(rows), 1)) if weights is None else weights
    means = rows.T @ (weights / weights.sum(axis=0))
    labeled = evidence.labeled
    if evidence.method == "none" or labeled is None:
        return np.asarray(means)
    held_out = evidence.calibration.apply(labeled.probs)
    found = [confusion_prior(held_out, labeled.classes, mean) for mean in means.T]
    return np.stack(found, axis=1)


def _sampled(pool: Matrix) -> int:
    return min(max(SAMPLE // pool.shape[1], FEWEST), MOST)


def _redrawn(labeled: HeldOut, rng: np.random.Generator) -> HeldOut:
    """Draw one row of each class less than there are, but one at least, with replacement."""
    rows = [np.flatnonzero(labeled.classes == k) for k in np.unique(labeled.classes)]
    drawn = np.concatenate([rng.choice(some, max(len(some) - 1, 1)) for some in rows])
    return HeldOut(labeled.probs[drawn], labeled.classes[drawn])


def sample_of(pool: Matrix) -> Floats:
    """Return rows ``(m, C)`` of the pool in even steps: all of them where it is small."""
    count = pool.shape[0]
    return pool.take(np.arange(0, count, max(count // _sampled(pool), 1)))


def covariance(rows: Floats, trained: Floats, prior: Floats) -> Floats:
    r"""Return the inverse ``(C, C)`` of Fisher's information on shares that sum to 1, for one row.

    .. math:: B (B^\top J B)^{-1} B^\top, \qquad
        J = \frac1m \sum_i \frac{r_i r_i^\top}{(r_i^\top \pi)^2},\; r_{ik} = p_{ik} / \tau_k

    The columns of B span the directions in which the sum does not change.
    """
    size = len(prior)
    ratios = rows / trained
    ratios /= np.maximum(ratios @ prior, 1e-300)[:, None]
    basis = np.linalg.qr(np.vstack([np.ones(size), np.eye(size)]).T)[0][:, 1:size]
    free = ratios @ basis
    values, vectors = np.linalg.eigh(free.T @ free / len(rows))
    directions = basis @ vectors
    return np.asarray(directions / np.maximum(values, 1e-12) @ directions.T)


def _worst_deviation(pool: Matrix, trained: Floats, prior: Floats) -> float:
    """Return the largest standard deviation of a combination of shares, by Fisher's information."""
    spread = np.linalg.eigvalsh(covariance(sample_of(pool), trained, prior))
    return float(np.sqrt(max(spread[-1], 0.0) / pool.shape[0]))
