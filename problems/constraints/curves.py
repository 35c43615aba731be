"""Limits that hold with a stated probability: a sum and its standard deviation together."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..arrays import Floats, Ints


@dataclass(frozen=True, eq=False)
class Curve:
    r"""A limit on a sum and its standard deviation, over binary z.

    .. math:: \sum_i a_i z_i + \kappa \sqrt{\sum_i v_i z_i} \le r

    The root bends downwards, so that between two values of :math:`\sum_i v_i z_i` it lies above the
    straight line that joins its ends: with the line in its place this is a linear relaxation.

    Parameters
    ----------
    values
        a ``(N,)``.
    variances
        v ``(N,)``, at least 0.
    factor
        κ, at least 0.
    limit
        r.
    least, most
        Between these lies :math:`\sum_i v_i z_i` for every z that matters.
    """

    values: Floats
    variances: Floats
    factor: float
    limit: float
    least: float = 0.0
    most: float = np.inf

    def excess(self, chosen: Ints) -> float:
        """Return by how much some rows exceed the limit; at most 0 if they keep it."""
        spread = np.sqrt(self.variances[chosen].sum())
        return float(self.values[chosen].sum() + self.factor * spread - self.limit)


def factor_of(confidence: float) -> float:
    r"""Return :math:`\kappa = \Phi^{-1}(\text{confidence})`, 0 at one half.

    Examples
    --------
    >>> round(factor_of(0.9), 4)
    1.2816
    """
    return NormalDist().inv_cdf(confidence)


def lower_slope(limits: Floats, factor: float) -> Floats:
    r"""Return the slopes of lines that :math:`\kappa \sqrt w` lies above where it counts.

    A count :math:`s = \sum_i p_i z_i` has the variance :math:`w = \sum_i p_i (1 - p_i) z_i \le s`.
    So :math:`s - \kappa \sqrt w \ge m` holds of itself beyond the w with
    :math:`w - \kappa \sqrt w = m`, and below it the root lies above the line from 0 to there.
    Among lines through 0 it is the steepest that no binary z breaks.

    Parameters
    ----------
    limits
        m ``(k,)``, at least 0.
    factor
        κ, at least 0.
    """
    root = 0.5 * (factor + np.sqrt(factor**2 + 4.0 * limits))
    return np.divide(factor, root, out=np.zeros_like(root), where=root > 0)


def upper_slope(limits: Floats, factor: float) -> Floats:
    r"""Return the same for :math:`s + \kappa \sqrt w \le u`, which none keeps beyond its line.

    There :math:`w + \kappa \sqrt w \le u`, since :math:`w \le s`. Limits u may be infinite.
    """
    wide = np.isfinite(limits)
    finite = np.where(wide, limits, 1.0)
    root = 2.0 * finite / np.maximum(factor + np.sqrt(factor**2 + 4.0 * finite), 1e-300)
    return np.divide(factor, root, out=np.zeros_like(root), where=wide & (root > 0))
