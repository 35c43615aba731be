"""Prior correction: what share each class has in the pool, and probabilities that know it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .arrays import Floats, Matrix, freeze
from .base import plain
from .calibration import FITS, SMALLEST, Calibration, no_calibration
from .confusion import confusion_prior, mean_predictions
from .cross_fitting import gains_over_mix, tells_classes
from .errors import InvalidInput
from .mixtures import fit_priors
from .prior_bootstrap import Draws, Evidence, HeldOut, Recalibration, bootstrap, doubt
from .prior_inputs import (
    as_counts,
    as_labeled,
    as_pool,
    as_smoothing,
    require_choice,
    require_draws,
    require_labeled,
)
from .prior_intervals import share_intervals
from .reweighing import calibrated, reweigh, spread_out
from .sharpening import sharpen

METHODS = ("em", "sharpened", "confusion", "none")
"""Ways to estimate the pool's prior."""
AUTO = "auto"
FEW = 20_000
"""Rows of a large pool that the search begins with."""
ROWS_A_CLASS = 2
"""Held-out rows a class below which nothing is called identified."""


@dataclass(frozen=True, eq=False)
class PriorCorrection:
    """The pool's class mix, and probabilities corrected for it.

    Parameters
    ----------
    probs
        Corrected P ``(N, C)``, float32 where P was, else float64; NaN on rows that were left out.
    prior
        Share of each class in the pool ``(C,)`` that the correction is made with: the estimate,
        smoothed where that was asked for.
    interval
        Lower and upper end ``(C, 2)`` for each share (`share_intervals`), as if held-out rows and
        pool differed in their class mix alone; around the estimate without smoothing.
    identified
        Whether the data tell the prior.
    reason
        Why not, or None.
    applied
        Whether `probs` hold the correction; not where the prior is too uncertain to be used: then
        they are calibrated at most.
    method
        ``"em"``, ``"sharpened"``, ``"confusion"`` or ``"none"``.
    calibration
        What was applied before the prior was estimated.
    notes
        What else was done to the numbers, in words.
    """

    probs: npt.NDArray[Any]
    prior: Floats
    interval: Floats
    identified: bool
    reason: str | None
    applied: bool
    method: str
    calibration: Calibration
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return everything but the probabilities in JSON's own types, for a solution's info."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        fields["calibration"] = vars(self.calibration)
        return {name: plain(value) for name, value in fields.items() if name != "probs"}

    def summary(self) -> str:
        """Return the correction in a line of text."""
        temperature = self.calibration.temperature
        before = ", vector scaling" if temperature is None else f", temperature {temperature:.3g}"
        before = "" if temperature == 1 else before
        shares = f"shares from {self.prior.min():.1%} to {self.prior.max():.1%}"
        unsure = "" if self.reason is None else f"; not identified: {self.reason}"
        left = "" if self.applied or self.method == "none" else "; not applied"
        return f"{self.method}{before}, {shares}{unsure}{left}"


def correct_priors(
    probs: Any,
    trained_on: Any,
    *,
    method: str = "em",
    held_out: Any = None,
    held_out_classes: Any = None,
    calibration: str = AUTO,
    smoothing: float = 0.0,
    rows: Any = None,
    replicates: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> PriorCorrection:
    r"""Estimate the pool's class mix and correct probabilities for it (label shift).

    A classifier that learned on the mix τ gives :math:`p_{ik} \propto \tau_k f_k(x_i)`. In a pool
    of another mix π the same likelihoods f give

    .. math:: q_{ik} = \frac{p_{ik}\,\pi_k / \tau_k}{\sum_j p_{ij}\,\pi_j / \tau_j}

    π is of greatest likelihood (``"em"``, Saerens, Latinne & Decaestecker 2002), or explains the
    mean prediction through the held-out rows' confusion matrix (``"confusion"``, black-box shift
    estimation; Lipton, Wang & Smola, ICML 2018). Both trust P to be calibrated on the mix τ: pass
    held-out rows, and P is calibrated on them first. N × C numbers of memory.

    In a small pool the most likely share of a rare class is often 0, and its rows then seem sure
    to be another's. `smoothing` corrects as if m rows of each class more were known than the n:

    .. math:: \max_\pi\; \sum_i \log \sum_k \frac{p_{ik}}{\tau_k} \pi_k + m \sum_k \log \pi_k
        \qquad \text{or, by confusion,} \quad \pi_k \leftarrow \frac{n \pi_k + m}{n + C m}

    With m = 1 it is the mode, in the softmax basis, that a uniform prior on mixes gives (MacKay,
    Machine Learning 33, 1998); of classes that are known, Laplace's rule of succession.

    Parameters
    ----------
    probs
        P ``(N, C)``, softmax outputs, in any array type; rows are renormalized. Entries below 1e-8
        are raised to it, since no correction can raise an exact zero; `notes` says so.
    trained_on
        Rows of each class ``(C,)`` that the classifier learned from.
    method
        ``"em"``, ``"confusion"``, ``"none"``: calibration only, or ``"sharpened"``: EM on
        predictions to the power that finds known mixes of the held-out rows best (`sharpen`). To
        balance classes ``"sharpened"`` is recommended, with ``labels="chances"`` of
        `ClassBalanced`: from few labels its choices are truer, while intervals of ``"em"`` hold
        more often.
    held_out, held_out_classes
        Predictions ``(n, C)`` of labeled rows that the model did not learn from, by
        cross-validation for example, and their classes ``(n,)``.
    calibration
        ``"temperature"``, ``"vector"`` or ``"none"``; ``"auto"`` is ``"temperature"`` with held-out
        rows. Vector scaling absorbs the class mix of the held-out rows, which then takes the place
        of τ.
    smoothing
        m, from 0, which smooths nothing; 1 is a start. `prior` is smoothed; `interval`, its
        bootstrap and the reasons for doubt stay those of the data alone.
    rows
        The pool: row numbers or a mask; default: all.
    replicates, level, seed
        Draws of the bootstrap, over pool and held-out rows, and the level of its interval.

    Returns
    -------
    PriorCorrection
        `identified` is False, with a reason, where predictions are too flat or labeled rows too
        few, held-out predictions tell classes no better than their mix does, a class was never
        learned, the prior collapses on one class, or method ``"none"`` estimates none.

    Raises
    ------
    InvalidInput
        Counts that do not match C, an unknown method, held-out rows that are missing or wrong,
        smoothing that is negative or of no prior.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.choice(2, 2000, p=[0.9, 0.1])          # learned on equal shares
    >>> score = 1 / (1 + np.exp(-2 * rng.normal(2 * truth - 1)))
    >>> found = correct_priors(np.stack([1 - score, score], axis=1), trained_on=[50, 50])
    >>> found.prior.round(2), found.identified
    (array([0.9, 0.1]), True)
    """
    require_choice("method", method, METHODS)
    require_choice("calibration", calibration, (AUTO, "none", *FITS))
    require_draws(replicates, level, seed)
    more = as_smoothing(smoothing, method)
    given = as_pool(probs, rows)
    used = np.flatnonzero(~np.isnan(given.scale))
    if not len(used):
        raise InvalidInput("rows: must name at least one row of the pool; got none; pass its rows")
    classes = given.shape[1]
    counts = as_counts(trained_on, classes)
    labeled = as_labeled(held_out, held_out_classes, classes)
    kind = calibration if calibration != AUTO else "none" if labeled is None else "temperature"
    require_labeled(labeled, method, kind, classes)
    anew, fitted, power = None, no_calibration(classes), 1.0
    if kind != "none" and labeled is not None:
        anew = Recalibration(given, used, FITS[kind])
        fitted = anew.fit(labeled.probs, labeled.classes)
    whole, zeros = calibrated(given, used, fitted)
    trained = _trained_mix(counts, labeled if kind == "vector" else None, classes)
    pool = Matrix((whole,))
    evidence = Evidence(method, trained, labeled, fitted)
    if method == "sharpened":
        evidence, anew, power = sharpen(evidence, anew)
        pool = Matrix((calibrated(given, used, evidence.calibration)[0],))
    prior = _rounded(_estimate(evidence, pool))
    spread = bootstrap(evidence, pool, anew, prior, Draws(replicates, seed))
    reason = _noise(evidence, kind) or doubt(evidence, pool, prior, spread.together())
    interval = share_intervals(evidence, pool, prior, spread, level)
    applied = reason is None
    prior = _smoothed(evidence, pool, prior, more)
    if applied:
        reweigh(whole, prior / trained)
    reason = reason or _too_little(counts, labeled, classes)
    return PriorCorrection(
        probs=spread_out(whole, used, given.shape[0]),
        prior=freeze(prior),
        interval=freeze(interval),
        identified=reason is None,
        reason=reason,
        applied=applied,
        method=method,
        calibration=fitted,
        notes=_notes(zeros, len(used), labeled, pool, kind, power, more),
    )


def _estimate(evidence: Evidence, pool: Matrix) -> Floats:
    if evidence.method == "em":
        start = _near(pool, evidence.trained)
        return np.asarray(fit_priors(pool, evidence.trained, start=start).priors[:, 0])
    means, labeled = mean_predictions(pool), evidence.labeled
    if evidence.method == "none" or labeled is None:
        return means
    return confusion_prior(evidence.calibration.apply(labeled.probs), labeled.classes, means)


def _near(pool: Matrix, trained: Floats) -> Floats | None:
    """Return a prior ``(C, 1)`` fitted to some of many rows, where to begin with all of them."""
    step = pool.shape[0] // FEW
    if step < 2:
        return None
    return fit_priors(Matrix((pool.take(np.arange(0, pool.shape[0], step)),)), trained).priors


def _smoothed(evidence: Evidence, pool: Matrix, prior: Floats, more: float) -> Floats:
    """Return the prior with so many rows of each class in addition."""
    if more == 0:
        return prior
    if evidence.method == "em":
        fit = fit_priors(pool, evidence.trained, start=prior[:, None], smoothing=more)
        return _rounded(fit.priors[:, 0])
    count = pool.shape[0]
    shares = (count * prior + more) / (count + more)
    return _rounded(shares / shares.sum())


def _rounded(prior: Floats) -> Floats:
    """Round shares to millionths, none to 0, so that every machine corrects alike."""
    shares = np.maximum(np.round(prior, 6), 1e-6)
    return np.asarray(shares / shares.sum())


def _trained_mix(counts: Floats, labeled: HeldOut | None, classes: int) -> Floats:
    """Return τ; a class without rows counts as half a one, so that ratios stay finite."""
    if labeled is not None:
        counts = np.bincount(labeled.classes, minlength=classes).astype(np.float64)
    counts = np.where(counts > 0, counts, 0.5)
    return np.asarray(counts / counts.sum())


def _too_little(counts: Floats, labeled: HeldOut | None, classes: int) -> str | None:
    """Return what the data lack although the correction can be made."""
    absent = np.flatnonzero(counts == 0)
    if len(absent):
        return f"the classifier never learned class {absent[0]}, so its share cannot be told"
    if labeled is not None and _few(labeled):
        return (
            f"{len(labeled.classes)} held-out rows are too few to calibrate {classes} classes; "
            f"label {ROWS_A_CLASS * classes} or more"
        )
    return None


def _noise(evidence: Evidence, kind: str) -> str | None:
    """Return that held-out predictions do not tell the classes, where rows suffice to say so."""
    labeled = evidence.labeled
    if labeled is None or evidence.method == "none" or _few(labeled):
        return None
    fit = FITS["temperature" if kind == "none" else kind]
    gains = gains_over_mix(labeled.probs, labeled.classes, evidence.trained, fit)
    if tells_classes(gains):
        return None
    return (
        "held-out predictions tell classes no better than the classes' mix does: they gain "
        f"{gains.mean():.2f} nats a row, within what chance explains"
    )


def _few(labeled: HeldOut) -> bool:
    count, classes = labeled.probs.shape
    return bool(count < ROWS_A_CLASS * classes)


def _notes(
    zeros: int,
    count: int,
    labeled: HeldOut | None,
    pool: Matrix,
    kind: str,
    power: float,
    more: float,
) -> tuple[str, ...]:
    notes = []
    if zeros:
        notes.append(
            f"{zeros:,} of {count:,} rows hold exact zeros, which count as {SMALLEST:g} here"
        )
    if labeled is None:
        notes.append("without held-out rows the probabilities are taken as calibrated")
    elif kind == "none":
        notes.append("not calibrated, as asked for")
    if power != 1:
        notes.append(f"the prior is that of predictions to the power {power:g}")
    if more > 0:
        notes.append(
            f"the prior is smoothed by {more:g} rows of each class, its interval and doubts are not"
        )
    size = pool.shape[1]
    predicted = np.zeros(size, dtype=np.int64)
    for _, values in pool.chunks():
        predicted += np.bincount(values.argmax(axis=1), minlength=size)
    never = np.flatnonzero(predicted == 0)
    if len(never):
        listed = ", ".join(str(k) for k in never[:5]) + (", …" if len(never) > 5 else "")
        notes.append(f"no row is predicted as class {listed} before the correction")
    return tuple(notes)
