"""Which strategy is better, and whether that is more than chance: tests over seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.arrays import Floats, as_vector, freeze, to_numpy
from ...problems.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...problems.arrays import Mask

ALPHA = 0.05
"""A difference counts when its p-value lies below this."""


@dataclass(frozen=True, eq=False)
class PenaltyMatrix:
    """How often each strategy beats each other.

    Parameters
    ----------
    wins
        ``(S, S)``: entry (i, j) is the share of cycles, summed over settings, in which i beat j
        significantly; between 0 and the number of settings.
    phi
        Mean of each column ``(S,)``: how often a strategy is beaten. Lower is better.
    """

    wins: Floats
    phi: Floats


def mean_and_std(values: Any, axis: int | tuple[int, ...] = -1) -> tuple[Floats, Floats]:
    """Return mean and sample standard deviation (n - 1), NaN left out.

    The mean of nothing is NaN, and so is the deviation of fewer than two values.

    Examples
    --------
    >>> mean_and_std([[1.0, 3.0, np.nan], [2.0, np.nan, np.nan]])
    (array([2., 2.]), array([1.41421356,        nan]))
    """
    table = np.asarray(to_numpy(values, "values"), dtype=np.float64)
    known = np.isfinite(table)
    count = known.sum(axis=axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, table, 0.0).sum(axis=axis) / count
        apart = np.where(known, table - np.expand_dims(mean, axis), 0.0)
        spread = np.sqrt(np.square(apart).sum(axis=axis) / np.where(count > 1, count - 1, 0))
    return mean, spread


def paired_p(one: Any, other: Any) -> Floats:
    r"""Return two-sided p-values of the paired t-test over the last axis.

    .. math:: t = \sqrt n\, \bar d / s_d, \quad d_i = a_i - b_i, \quad n - 1 \;\text{degrees}

    Pairs with NaN are left out; with fewer than two p is NaN. Differences that are all the same
    have p = 0, or 1 if they are 0.

    Examples
    --------
    >>> paired_p([1.0, 2.0, 4.0], [1.0, 1.0, 1.0]).round(4)
    np.float64(0.2697)
    """
    difference = np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    mean, spread = mean_and_std(difference)
    count = np.isfinite(difference).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _two_sided(mean, spread / np.sqrt(count), count - 1.0)


def welch_p(one: Any, other: Any) -> Floats:
    r"""Return two-sided p-values of Welch's t-test over the last axis.

    .. math:: t = \frac{\bar a - \bar b}{\sqrt{v_a + v_b}}, \quad v = s^2 / n, \quad
        \frac{(v_a + v_b)^2}{v_a^2/(n_a - 1) + v_b^2/(n_b - 1)} \;\text{degrees}

    NaN are left out; with fewer than two values on a side p is NaN. Where neither side varies p is
    0, or 1 if they are the same.

    References
    ----------
    Paper 000, table 1.

    Examples
    --------
    >>> welch_p([1.0, 2.0, 3.0], [4.0, 6.0, 8.0]).round(4)
    np.float64(0.0548)
    """
    sides = []
    for values in (one, other):
        mean, spread = mean_and_std(values)
        count = np.isfinite(np.asarray(values, dtype=np.float64)).sum(axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            sides.append((mean, np.square(spread) / count, count - 1.0))
    (mean, share, free), (other_mean, other_share, other_free) = sides
    total = share + other_share
    with np.errstate(invalid="ignore", divide="ignore"):
        degrees = total**2 / (share**2 / free + other_share**2 / other_free)
        return _two_sided(mean - other_mean, np.sqrt(total), degrees)


def holm(p_values: Any) -> Floats:
    r"""Return p-values corrected for their number by Holm's method.

    .. math:: \tilde p_{(k)} = \min\bigl(1, \max_{l \le k} (m - l + 1)\, p_{(l)}\bigr)

    over the m values in ascending order. Whatever is true, the chance that any of the corrected
    values is below 0.05 by chance is at most 0.05. NaN are no tests and stay.

    Parameters
    ----------
    p_values
        ``(m,)``.

    References
    ----------
    Holm 1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = as_vector(p_values, "p_values")
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    corrected = np.full(len(p), np.nan)
    scaled = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected


def penalty_matrix(
    settings: Sequence[Any], *, alpha: float = ALPHA, paired: bool = True
) -> PenaltyMatrix:
    r"""Return the pairwise penalty matrix of several strategies.

    For each setting and cycle, strategy i beats j when its mean over seeds is higher and a
    two-sided t-test at level `alpha` tells them apart. A win adds one over the number of the
    setting's cycles in which the two could be tested:

    .. math:: W_{ij} = \sum_d \frac{1}{T_d} \sum_t [\,i \text{ beats } j\,], \qquad
        \Phi_j = \frac{1}{S} \sum_i W_{ij}

    Parameters
    ----------
    settings
        For each setting (dataset, budget, model) a table ``(S, seeds, cycles)`` where higher is
        better, of the same strategies in the same order; NaN where a run is missing. A cycle that
        comes before anything was chosen, with one model for all, is better left out.
    alpha
        Level of each test; no correction, as in the papers.
    paired
        Compare seed by seed: runs of one seed share their initial set. Otherwise Welch's test.

    Returns
    -------
    PenaltyMatrix
        What beats what, and Φ: lower is better.

    Raises
    ------
    InvalidInput
        Tables of different strategies, or a level out of 0..1.

    References
    ----------
    Paper 004, section 4; the tests are those of BADGE (Ash et al. 2020, section 5).

    Examples
    --------
    >>> good, bad = [[0.9], [0.8], [0.91]], [[0.5], [0.41], [0.5]]
    >>> penalty_matrix([[good, bad]]).phi
    array([0. , 0.5])
    """
    if not 0 < alpha < 1:
        raise InvalidInput(f"alpha: must lie between 0 and 1; got {alpha:g}; the usual is 0.05")
    tables = [np.asarray(to_numpy(table, "settings"), dtype=np.float64) for table in settings]
    if not tables or any(
        table.ndim != 3 or table.shape[0] != tables[0].shape[0] for table in tables
    ):
        raise InvalidInput(
            "settings: must be tables (strategies, seeds, cycles) of the same strategies; got "
            f"shapes {[table.shape for table in tables]}"
        )
    wins = np.zeros((tables[0].shape[0],) * 2)
    for table in tables:
        wins += _wins(table.transpose(0, 2, 1), alpha, paired)
    return PenaltyMatrix(freeze(wins), freeze(wins.mean(axis=0)))


def _wins(curves: Floats, alpha: float, paired: bool) -> Floats:
    """Return the share of testable cycles in which i beats j, of ``(S, cycles, seeds)``."""
    one, other = np.broadcast_arrays(curves[:, None], curves[None, :])
    p = paired_p(one, other) if paired else welch_p(one, other)
    # A paired test sees the means of whole pairs only.
    means = [one - other] if paired else [one, -other]
    gain = sum(mean_and_std(values)[0] for values in means)
    beats: Mask = (gain > 0) & (p < alpha)
    tested = np.isfinite(p).sum(axis=-1)
    return np.asarray(beats.sum(axis=-1) / np.maximum(tested, 1), dtype=np.float64)


def _two_sided(difference: Floats, error: Floats, degrees: Floats) -> Floats:
    """Return the chance of a t so far from 0; without any error only 0 is no difference."""
    from scipy.special import stdtr

    with np.errstate(invalid="ignore", divide="ignore"):
        p = 2 * stdtr(degrees, -np.abs(difference / error))
    still = (error == 0) & np.isfinite(difference)
    return np.where(still, np.where(difference == 0, 1.0, 0.0), p)[()]
