"""Whether strategies differ more on one pool than on another: the interaction of two factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...problems.errors import InvalidInput


@dataclass(frozen=True)
class Interaction:
    """An F-test of the interaction of strategy and pool.

    Parameters
    ----------
    f, p
        The statistic, and the chance of one so large where there is no interaction.
    degrees
        Of numerator and denominator.
    share
        What the interaction explains of what neither seeds nor the two factors by themselves do:
        partial η².
    """

    f: float
    p: float
    degrees: tuple[int, int]
    share: float


def interaction_test(values: Any) -> Interaction:
    r"""Test whether what a strategy gains depends on the pool (split-plot analysis of variance).

    .. math:: F = \frac{n \sum_{ps} (\bar y_{ps} - \bar y_{p} - \bar y_{s} + \bar y)^2 / (P-1)(S-1)}
                       {\sum_{prs} (y_{prs} - \bar y_{pr} - \bar y_{ps} + \bar y_p)^2
                        / P(n-1)(S-1)}

    Strategies of one pool and seed share their initial set, so that they are compared within these
    blocks, and what is left within blocks is the noise. The test takes it to be normal, of one
    variance.

    Parameters
    ----------
    values
        One number for each pool, seed and strategy ``(P, n, S)``, at least two of each, such as an
        AUC@B; seeds of different pools have nothing to do with each other.

    Raises
    ------
    InvalidInput
        If there are fewer than two pools, seeds or strategies, or a number is missing.

    Examples
    --------
    >>> gain = np.array([[[1.0, 2.0], [1.5, 2.5]], [[1.0, 1.1], [2.0, 1.9]]])
    >>> found = interaction_test(gain)
    >>> round(found.f, 4), found.degrees
    (100.0, (1, 2))
    """
    from scipy.stats import f

    y = np.asarray(values, dtype=np.float64)
    if y.ndim != 3 or min(y.shape) < 2 or not np.isfinite(y).all():
        raise InvalidInput(
            "values: must be finite numbers (pools, seeds, strategies), at least two of each; got "
            f"shape {y.shape} with {int(np.isnan(y).sum())} missing; finish all runs first"
        )
    pools, seeds, strategies = y.shape
    cell, pool = y.mean(axis=1), y.mean(axis=(1, 2))
    effect = cell - pool[:, None] - y.mean(axis=(0, 1)) + y.mean()
    noise = y - y.mean(axis=2, keepdims=True) - cell[:, None] + pool[:, None, None]
    degrees = (pools - 1) * (strategies - 1), pools * (seeds - 1) * (strategies - 1)
    explained, left = seeds * float((effect**2).sum()), float((noise**2).sum())
    if left == 0.0:
        statistic = np.inf if explained > 0 else 0.0
    else:
        statistic = (explained / degrees[0]) / (left / degrees[1])
    total = explained + left
    return Interaction(
        f=float(statistic),
        p=float(f.sf(statistic, *degrees)),
        degrees=degrees,
        share=explained / total if total > 0 else 0.0,
    )
