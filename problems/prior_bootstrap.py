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


def bootstrap(
    evidence: Evidence,
    pool: Matrix,
    anew: Recalibration | None,
    prior: Floats,
    draws: Draws,
) -> Floats:
    r"""Return priors ``(B, C)`` estimated from rows drawn anew.

    Pool rows are drawn from a sample of m of the n: the spread that this gives is scaled by
    :math:`\sqrt{m / n}`. Held-out rows are drawn within their classes, and calibration is fitted
    again on each draw.

    Parameters
    ----------
    evidence
        What the prior was estimated from.
    pool
        Calibrated predictions ``(n, C)``.
    anew
        How the pool was calibrated; None where it was not.
    prior
        The estimate ``(C,)`` that the draws lie around.
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
    drawn = []
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
        moved = found[:, :1] - center[:, None] + shrink * (found[:, 1:] - found[:, :1])
        drawn.append(prior[:, None] + moved)
    return np.concatenate(drawn, axis=1).T[: draws.replicates]


def doubt(evidence: Evidence, pool: Matrix, prior: Floats, drawn: Floats) -> str | None:
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
    moved = float(np.abs(drawn - prior).sum(axis=1).mean() / 2)
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
    """Draw as many rows of each class as there are, with replacement."""
    rows = [np.flatnonzero(labeled.classes == k) for k in np.unique(labeled.classes)]
    drawn = np.concatenate([rng.choice(some, len(some)) for some in rows])
    return HeldOut(labeled.probs[drawn], labeled.classes[drawn])


def _worst_deviation(pool: Matrix, trained: Floats, prior: Floats) -> float:
    """Return the largest standard deviation of a combination of shares, by Fisher's information."""
    size = len(prior)
    if size == 1:
        return 0.0
    count = pool.shape[0]
    step = max(count // _sampled(pool), 1)
    rows = pool.take(np.arange(0, count, step))
    ratios = rows / trained
    ratios /= np.maximum(ratios @ prior, 1e-300)[:, None]
    # Shares sum to 1: only combinations that sum to 0 are free.
    basis = np.linalg.qr(np.vstack([np.ones(size), np.eye(size)]).T)[0][:, 1:size]
    free = ratios @ basis
    least = float(np.linalg.eigvalsh(free.T @ free / len(rows))[0])
    return float(1.0 / np.sqrt(max(least, 1e-12) * count))
