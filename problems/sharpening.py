"""Predictions to the power at which EM tells known class mixes of held-out rows best.

EM takes calibrated predictions for the truth. What one temperature does not mend it spreads over
the shares, the more so the flatter the predictions are; sharper ones come closer to counting
predicted classes, which is off by another error and spreads less.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import Matrix, freeze
from .calibration import Calibration
from .mixtures import fit_priors
from .prior_bootstrap import LOOSE

if TYPE_CHECKING:
    from .prior_bootstrap import Evidence, HeldOut, Recalibration

POWERS = (1.0, 1.25, 1.5, 2.0, 3.0)
MIXES = 60
"""Mixes that are tried, all the same whenever they are asked for."""
CELLS = 2_000_000
"""Held-out rows and mixes in all, beyond which fewer mixes are tried."""


def sharpen(
    evidence: Evidence, anew: Recalibration | None
) -> tuple[Evidence, Recalibration | None, float]:
    """Return evidence for EM on sharpened predictions, how to recalibrate them, and the power.

    Parameters
    ----------
    evidence
        With held-out rows.
    anew
        How the pool is calibrated; None where it is not.
    """
    assert evidence.labeled is not None
    power = best_power(evidence.labeled, evidence.calibration, evidence.trained)
    if anew is not None:
        fit = anew.fit

        def fit_sharp(probs: Any, labels: Any) -> Calibration:
            return raised(fit(probs, labels), power)

        anew = replace(anew, fit=fit_sharp)
    sharp = raised(evidence.calibration, power)
    return replace(evidence, method="em", calibration=sharp), anew, power


def best_power(labeled: HeldOut, calibration: Calibration, trained: Any) -> float:
    r"""Return the power of calibrated predictions whose EM comes closest to known mixes.

    .. math:: \min_a\; \sum_m \|\hat\pi(m, a) - m\|_1

    where rows of class k have the weight :math:`m_k / n_k`, mixes m are drawn evenly from all over
    the classes that are held out, and EM sees :math:`q_{ik} \propto p_{ik}^a`. Of equal powers it
    is the smallest.

    Parameters
    ----------
    labeled
        Held-out rows.
    calibration
        Of their predictions.
    trained
        τ ``(C,)``.
    """
    counts = np.bincount(labeled.classes, minlength=len(trained))
    number = max(min(MIXES, CELLS // len(labeled.classes)), 1)
    mixes = np.random.default_rng(0).dirichlet(np.ones(len(trained)), number) * (counts > 0)
    mixes /= mixes.sum(axis=1, keepdims=True)
    weights = (mixes / np.maximum(counts, 1)).T[labeled.classes] * len(labeled.classes)
    errors = []
    for power in POWERS:
        rows = Matrix((raised(calibration, power).apply(labeled.probs),))
        found = fit_priors(rows, trained, weights, tolerance=LOOSE).priors
        errors.append(np.abs(found.T - mixes).sum(axis=1).mean())
    return POWERS[int(np.argmin(np.round(errors, 6)))]


def raised(calibration: Calibration, power: float) -> Calibration:
    """Return a calibration whose predictions are another's to a power."""
    return Calibration(freeze(calibration.slopes * power), freeze(calibration.offsets * power))
