"""Intervals for shares: profile likelihood over the pool, widened by the held-out rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .arrays import Matrix
from .mixtures import TINY, Held, fit_priors
from .prior_bootstrap import covariance, sample_of

if TYPE_CHECKING:
    from .arrays import Floats, Ints
    from .prior_bootstrap import Evidence, Spread

ROUNDS, CLOSE = 12, 0.02
"""Rounds of the search for an end, and how near to the quantile it must come."""
PASSES, LOOSE = 15, 1e-5
"""Passes over the rows in a round, which begins where the last one ended, and their tolerance."""
COLUMNS = 400
"""Ends that are searched for at a time."""


def share_intervals(
    evidence: Evidence, pool: Matrix, prior: Floats, spread: Spread, level: float
) -> Floats:
    r"""Return the lower and upper end ``(C, 2)`` of an interval for each share.

    Pool rows and held-out rows are drawn independently, so that their distances add in squares
    (Zou & Donner, Statistics in Medicine 2008): with an interval from :math:`\pi_k - a_k` to
    :math:`\pi_k + b_k` for the pool alone, and :math:`s_k` the standard deviation of the share over
    G draws of the held-out rows,

    .. math:: \pi_k - \sqrt{a_k^2 + t^2 s_k^2} \;\text{ to }\; \pi_k + \sqrt{b_k^2 + t^2 s_k^2}

    with t the quantile of Student's distribution with G - 1 degrees of freedom. For ``"em"`` the
    pool's own interval is that of the profile likelihood, else that of the bootstrap.

    Parameters
    ----------
    evidence
        What the prior was estimated from.
    pool
        Calibrated predictions ``(n, C)``.
    prior
        The estimate ``(C,)``.
    spread
        Moves of the estimate with rows drawn anew.
    level
        How often an interval is to hold the share, 0.95 for example.
    """
    from scipy.special import stdtrit

    if evidence.method == "em":
        below, above = profile_distances(pool, evidence.trained, prior, level)
    else:
        tail = 100 * (1 - level) / 2
        low, high = np.percentile(spread.pool, [tail, 100 - tail], axis=0)
        below, above = np.maximum(-low, 0.0), np.maximum(high, 0.0)
    groups = len(spread.held_out)
    if groups > 1:
        quantile = stdtrit(groups - 1, (1 + level) / 2)
        moved = quantile * np.sqrt((spread.held_out**2).mean(axis=0))
        below, above = np.hypot(below, moved), np.hypot(above, moved)
    return np.asarray(np.clip(np.stack([prior - below, prior + above], axis=1), 0.0, 1.0))


def profile_distances(
    pool: Matrix, trained: Floats, prior: Floats, level: float
) -> tuple[Floats, Floats]:
    r"""Return how far below and above its estimate each share may lie, by profile likelihood.

    Share k may be t where

    .. math:: 2 \left(\max_\pi \ell(\pi) - \max_{\pi:\, \pi_k = t} \ell(\pi)\right) \le \chi^2_1

    with ℓ the log-likelihood of the pool (`fit_priors`) and χ² the quantile at `level`. It takes
    no normal distribution for granted, so it holds near 0, where the bootstrap stands still. A
    large pool is measured on rows in even steps, whose mean log-likelihood stands for all.
    Newton's steps on the root of the left side, kept between the last two sides, find both ends.

    Parameters
    ----------
    pool
        Calibrated predictions ``(n, C)``.
    trained
        τ ``(C,)``.
    prior
        Shares of greatest likelihood ``(C,)``.
    level
        As in `share_intervals`.
    """
    from scipy.special import ndtri

    size = len(prior)
    if size == 1:
        return np.zeros(1), np.zeros(1)
    rows, root = sample_of(pool), float(ndtri((1 + level) / 2))
    best = fit_priors(Matrix((rows,)), trained, start=prior[:, None], tolerance=LOOSE).priors[:, 0]
    spans = np.sqrt(np.diag(covariance(rows, trained, best)).clip(0) / pool.shape[0])
    classes = np.tile(np.arange(size), 2)
    signs = np.repeat([-1.0, 1.0], size)
    first = best[classes] + signs * root * np.tile(spans + 1 / pool.shape[0], 2)
    search = _Search(rows, trained, best, pool.shape[0], root)
    ends = np.concatenate(
        [
            search.ends(classes[at : at + COLUMNS], signs[at : at + COLUMNS], first[at:][:COLUMNS])
            for at in range(0, 2 * size, COLUMNS)
        ]
    )
    return best - ends[:size], ends[size:] - best


class _Search:
    """Looks for the shares at which the likelihood has fallen by so much.

    Parameters
    ----------
    rows, trained
        Predictions ``(m, C)`` and τ ``(C,)``.
    best
        The prior of greatest likelihood on these rows.
    count
        Rows that they stand for.
    root
        The square root of the quantile.
    """

    def __init__(
        self, rows: Floats, trained: Floats, best: Floats, count: int, root: float
    ) -> None:
        self.matrix, self.ratios, self.trained = Matrix((rows,)), rows / trained, trained
        self.best, self.count, self.root = best, count, root
        self.peak = float(np.log(np.maximum(self.ratios @ best, TINY)).mean())

    def ends(self, classes: Ints, signs: Floats, first: Floats) -> Floats:
        """Return the end ``(B,)`` on the side `signs` of each class's share."""
        start = self.best[classes]
        inner, outer = start.copy(), np.where(signs < 0, 0.0, 1.0)
        here = np.where((first - outer) * signs < 0, first, (start + outer) / 2)
        # The lower end is 0 where the data bear a class that is missing.
        here[(signs < 0) & (self._fall(classes, np.zeros_like(start))[0] <= self.root)] = 0.0
        path = np.repeat(self.best[:, None], len(classes), axis=1)
        left = np.flatnonzero(here > 0)
        for _ in range(ROUNDS):
            fallen, slope, path[:, left] = self._fall(classes[left], here[left], path[:, left])
            missing = self.root - fallen
            at, short = here[left], missing > 0
            inner[left] = np.where(short, at, inner[left])
            outer[left] = np.where(short, outer[left], at)
            newton = at + missing / np.where(slope == 0, np.inf, slope)
            between = (newton - inner[left]) * (newton - outer[left]) < 0
            following = np.where(between, newton, (inner[left] + outer[left]) / 2)
            wrong = np.abs(missing) > CLOSE
            here[left[wrong]] = following[wrong]
            left = left[wrong]
            if not len(left):
                break
        return here

    def _fall(
        self, classes: Ints, shares: Floats, start: Floats | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """Return the root of the fall ``(B,)``, its slope, and the priors of the profile."""
        held = Held(classes, shares)
        first = self.best[:, None] if start is None else start
        fit = fit_priors(
            self.matrix, self.trained, start=first, held=held, tolerance=LOOSE, passes=PASSES
        )
        likely = np.maximum(self.ratios @ fit.priors, TINY)
        fall = 2 * self.count * (self.peak - np.log(likely).mean(axis=0))
        root = np.sqrt(np.maximum(fall, 1e-12))
        # By the envelope theorem; shares weighted by their derivatives sum to 1.
        own = (self.ratios[:, classes] / likely).mean(axis=0)
        rise = (own - 1.0) / np.maximum(1.0 - shares, TINY)
        return root, -self.count * rise / root, fit.priors
