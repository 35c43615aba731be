"""How accurate a model is by an audit slice, how sure that is, and whether to go on.

Audit rows are drawn uniformly from the rows that were unlabeled at the start, kept from every
strategy and from training. So those of all cycles together are one uniform sample, the current
model can be asked about all of them, and its share of right answers is unbiased, whatever the
strategy chose. Answers that earlier models gave are never added to it. Drawing without replacement
makes the intervals, which think of an endless pool, somewhat too wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, hypot, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.arrays import to_numpy
from ...problems.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...problems.arrays import Mask

LEAST_GAIN = 0.01
"""A cycle pays when it brings this much accuracy: one percentage point."""


@dataclass(frozen=True)
class Interval:
    """An estimate between a lower and an upper limit."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class StoppingHint:
    """Whether the audit slice says that another cycle will not pay.

    Parameters
    ----------
    verdict
        ``"stop"`` where the upper limit of `gain` lies below what a cycle has to bring, ``"go on"``
        where its estimate does not, else ``"not known"``.
    gain
        Accuracy that the last cycle brought.
    reason
        The same in a sentence, and how many audit rows would tell where it is not known.
    """

    verdict: str
    gain: Interval
    reason: str


def accuracy_interval(
    right: int, seen: int, *, confidence: float = 0.95, method: str = "wilson"
) -> Interval:
    r"""Return a share of right answers and its interval.

    Wilson: all :math:`p` with :math:`|\hat p - p| \le z \sqrt{p(1-p)/n}`. Exact (Clopper and
    Pearson): all p under which neither so many right answers nor so few are rarer than
    :math:`(1 - \text{confidence}) / 2`; never too narrow, often too wide.

    Parameters
    ----------
    right, seen
        Right answers, and rows that were asked: n, at least 1.
    confidence
        Between 0 and 1.
    method
        ``"wilson"`` or ``"exact"``.

    Raises
    ------
    InvalidInput
        Counts that cannot be, or another method.

    Examples
    --------
    >>> accuracy_interval(9, 10)
    Interval(estimate=0.9, low=0.5958499732047615, high=0.9821237869049271)
    """
    _require_counts(right, seen, confidence)
    share = right / seen
    if method == "exact":
        return Interval(share, *_exact(right, seen, (1 - confidence) / 2))
    if method != "wilson":
        raise InvalidInput(f"method: must be 'wilson' or 'exact'; got {method!r}")
    z = _quantile(confidence)
    middle = (right + z**2 / 2) / (seen + z**2)
    half = z * sqrt(right * (seen - right) / seen + z**2 / 4) / (seen + z**2)
    # Rounding leaves the ends beyond 0 and 1, where they are exact.
    low = 0.0 if right == 0 else middle - half
    return Interval(share, low, 1.0 if right == seen else middle + half)


def gain_interval(gained: int, lost: int, seen: int, *, confidence: float = 0.95) -> Interval:
    r"""Return how much better one model is than another on the same rows, and its interval.

    .. math:: \hat g - \hat l, \qquad
        \hat g - \hat l - \sqrt{(\hat g - L_g)^2 + (U_l - \hat l)^2} \;\text{to}\;
        \hat g - \hat l + \sqrt{(U_g - \hat g)^2 + (\hat l - L_l)^2}

    with :math:`\hat g` the share of rows that only the new model has right, :math:`\hat l` that
    of rows that only the old one had, and L, U their exact limits (Zou and Donner 2008, whose
    square root combines the limits of two shares). On a grid of true shares, 30 to 1,000 rows and
    confidence 0.95 neither limit errs in more than 2.5 % of cases; limits from the normal
    distribution err in up to 13 %.

    Parameters
    ----------
    gained, lost
        Rows that only the new model and only the old one has right.
    seen
        Rows that both were asked about.
    confidence
        Between 0 and 1.

    Examples
    --------
    >>> gain_interval(5, 5, 200).estimate
    0.0
    """
    _require_counts(gained + lost, seen, confidence)
    up, down = (
        accuracy_interval(count, seen, confidence=confidence, method="exact")
        for count in (gained, lost)
    )
    gain = up.estimate - down.estimate
    below = hypot(up.estimate - up.low, down.high - down.estimate)
    above = hypot(up.high - up.estimate, down.estimate - down.low)
    return Interval(gain, gain - below, gain + above)


def stopping_hint(
    gained: int,
    lost: int,
    seen: int,
    *,
    least_gain: float = LEAST_GAIN,
    confidence: float = 0.95,
) -> StoppingHint:
    """Tell whether another cycle will not pay.

    The rule: stop when the upper limit of `gain_interval`, of the last model against the one before
    it on the audit rows that both were asked about, lies below `least_gain`. Learning curves
    flatten, so the next cycle is taken to bring no more than the last one. Where the last cycle
    truly brought `least_gain` or more, it says stop in (1 - confidence) / 2 of cases at most.

    Parameters
    ----------
    gained, lost, seen
        As in `gain_interval`.
    least_gain
        Accuracy that a cycle has to bring to be worth its labels.
    confidence
        Of the interval.

    Raises
    ------
    InvalidInput
        Counts that cannot be, or a gain out of 0..1.

    Examples
    --------
    >>> [stopping_hint(3, 3, rows).verdict for rows in (1000, 100)]
    ['stop', 'not known']
    """
    if not 0 < least_gain < 1:
        raise InvalidInput(
            f"least_gain: must lie between 0 and 1; got {least_gain:g}; 0.01 is one point"
        )
    gain = gain_interval(gained, lost, seen, confidence=confidence)
    told = (
        f"on {seen:,} audit rows the last cycle brought {100 * gain.estimate:+.1f} points "
        f"({confidence:.0%} interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    )
    least = f"the {100 * least_gain:g} that a cycle has to bring"
    if gain.high < least_gain:
        return StoppingHint("stop", gain, f"Stop: {told}, less than {least}.")
    if gain.estimate >= least_gain:
        reason = f"Go on: {told}; {least} may well be reached again."
        return StoppingHint("go on", gain, reason)
    needed = _rows_needed((gained + lost) / seen, seen, least_gain, confidence)
    reason = f"Not known: {told}; about {needed:,} audit rows would tell it from {least}."
    return StoppingHint("not known", gain, reason)


def audit_metrics(right: Any, before: Any = None) -> dict[str, float]:
    """Return what a cycle's record says about the audit slice.

    Parameters
    ----------
    right
        Whether this cycle's model has each audit row right ``(n,)``: the rows of all cycles that
        are labeled by now.
    before
        Whether the last cycle's model had the same rows right ``(n,)``, or None.

    Returns
    -------
    dict
        ``audit_seen`` n and ``audit_accuracy``; with `before` also ``audit_gained`` and
        ``audit_lost``, the rows that only this model and only the last one has right. Empty
        without audit rows.

    Examples
    --------
    >>> audit_metrics([True, True, False, True], [True, False, True, True])
    {'audit_seen': 4.0, 'audit_accuracy': 0.75, 'audit_gained': 1.0, 'audit_lost': 1.0}
    """
    now = _flags(right, "right")
    if not len(now):
        return {}
    told = {"audit_seen": float(len(now)), "audit_accuracy": float(now.mean())}
    if before is None:
        return told
    then = _flags(before, "before")
    if then.shape != now.shape:
        raise InvalidInput(
            f"before: must be about the same {len(now)} rows as right; got {len(then)}"
        )
    gained, lost = (now & ~then).sum(), (then & ~now).sum()
    return {**told, "audit_gained": float(gained), "audit_lost": float(lost)}


def audit_hint(metrics: Mapping[str, float], least_gain: float = LEAST_GAIN) -> StoppingHint | None:
    """Return the stopping hint that a record's `audit_metrics` give, or None."""
    if "audit_gained" not in metrics:
        return None
    counts = (round(metrics[f"audit_{name}"]) for name in ("gained", "lost", "seen"))
    return stopping_hint(*counts, least_gain=least_gain)


def _rows_needed(changing: float, seen: int, least_gain: float, confidence: float) -> int:
    """Return how many rows recognize a cycle that changes as many answers and brings nothing."""
    rows = seen
    while True:
        rows = ceil(1.05 * rows)
        half = min(ceil(changing * rows / 2), rows // 2)
        if gain_interval(half, half, rows, confidence=confidence).high < least_gain:
            step = 10 if rows < 1_000 else 100
            return ceil(rows / step) * step


def _exact(right: int, seen: int, tail: float) -> tuple[float, float]:
    from scipy.special import betaincinv

    low = 0.0 if right == 0 else float(betaincinv(right, seen - right + 1, tail))
    high = 1.0 if right == seen else float(betaincinv(right + 1, seen - right, 1 - tail))
    return low, high


def _quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _flags(values: Any, name: str) -> Mask:
    flags = to_numpy(values, name)
    if flags.ndim != 1 or (flags.size and flags.dtype != np.bool_):
        raise InvalidInput(
            f"{name}: must be one bool for each audit row; got {flags.dtype} of shape "
            f"{flags.shape}; pass predicted == truth"
        )
    return flags.astype(np.bool_)


def _require_counts(part: int, seen: int, confidence: float) -> None:
    if not 0 <= part <= seen or seen < 1:
        raise InvalidInput(
            f"seen: must be at least 1 and no less than the rows counted of it; got {part} of "
            f"{seen}; label an audit slice first"
        )
    if not 0 < confidence < 1:
        raise InvalidInput(f"confidence: must lie between 0 and 1; got {confidence:g}; 0.95 is")
