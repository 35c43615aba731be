"""What a learning curve comes to: its area, its value at a budget, the labels it saves."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...problems.arrays import Floats, as_vector, to_numpy
from ...problems.errors import InvalidInput


def auc_at_budget(shares: Any, values: Any, budget: float | None = None) -> Floats:
    r"""Return the area under curves of performance up to a budget, AUC@B.

    .. math:: \sum_{i=1}^{N} (b_{i+1} - b_i)\,(p_i + p_{i+1}) / 2

    over N steps, so N + 1 points, with :math:`b` as fractions of the dataset: 68.42 % throughout
    from b = 0.1 to 0.5 is an area of 27.37. Values between two points lie on the line that joins
    them.

    Parameters
    ----------
    shares
        b ``(K,)``, ascending: labeled share of the dataset, 0..1.
    values
        p ``(..., K)`` in any unit; NaN leads to NaN.
    budget
        B as a fraction, within the curve; default: its end.

    Returns
    -------
    numpy.ndarray
        ``(...,)``.

    Raises
    ------
    InvalidInput
        Shares that do not ascend or are percentages, or a budget outside the curve.

    References
    ----------
    Paper 002, eq. 1, whose text says percentages; its tables follow from fractions.

    Examples
    --------
    >>> auc_at_budget([0.1, 0.2, 0.3, 0.4, 0.5], [68.42] * 5).round(2)
    np.float64(27.37)
    """
    shares, values, end = _curve(shares, values, budget)
    before = shares < end
    at = np.append(shares[before], end)
    last = metric_at_budget(shares, values, end)[..., None]
    heights = np.concatenate([values[..., : int(before.sum())], last], axis=-1)
    return np.asarray(np.trapezoid(heights, at, axis=-1))[()]


def metric_at_budget(shares: Any, values: Any, budget: float | None = None) -> Floats:
    """Return the value of curves at a budget, on the line between its two nearest points.

    Parameters
    ----------
    shares, values, budget
        As in `auc_at_budget`.

    Returns
    -------
    numpy.ndarray
        ``(...,)``.

    Raises
    ------
    InvalidInput
        As `auc_at_budget`.

    Examples
    --------
    >>> metric_at_budget([0.1, 0.2], [60.0, 70.0], 0.15).round(6)
    np.float64(65.0)
    """
    shares, values, end = _curve(shares, values, budget)
    right = int(np.searchsorted(shares, end))
    if shares[right] == end:
        return np.asarray(values[..., right])[()]
    part = (end - shares[right - 1]) / (shares[right] - shares[right - 1])
    return np.asarray((1 - part) * values[..., right - 1] + part * values[..., right])[()]


def labels_to_reach(labeled: Any, values: Any, goal: float) -> float:
    """Return how many labels a curve needs until it first reaches a value; NaN if it never does.

    Between two points the curve is the line that joins them.

    Parameters
    ----------
    labeled
        Labels at each point ``(K,)``, ascending.
    values
        The curve ``(K,)``, such as the mean over seeds; points that are NaN are left out.
    goal
        What to reach, such as the value that random choice has at the end.

    Examples
    --------
    >>> labels_to_reach([100, 200, 300], [0.25, 0.5, 1.0], 0.75)
    250.0
    """
    labels, heights = as_vector(labeled, "labeled"), as_vector(values, "values", len(labeled))
    known = np.isfinite(heights)
    labels, heights = labels[known], heights[known]
    there = np.flatnonzero(heights >= goal)
    if not len(there):
        return float("nan")
    at = there[0]
    if at == 0:
        return float(labels[0])
    part = (goal - heights[at - 1]) / (heights[at] - heights[at - 1])
    return float(labels[at - 1] + part * (labels[at] - labels[at - 1]))


def _curve(shares: Any, values: Any, budget: float | None) -> tuple[Floats, Floats, float]:
    at = as_vector(shares, "shares")
    heights = np.asarray(to_numpy(values, "values"), dtype=np.float64)
    if len(at) < 2 or not (np.diff(at) > 0).all() or not 0 <= at[0] <= at[-1] <= 1:
        raise InvalidInput(
            "shares: must ascend within 0..1, two at least; "
            f"got {at.tolist()[:6]}; pass fractions of the dataset, not percentages"
        )
    if heights.shape[-1:] != at.shape:
        raise InvalidInput(
            f"values: must have {len(at)} points along the last axis, as shares has; "
            f"got shape {heights.shape}"
        )
    end = float(at[-1]) if budget is None else float(budget)
    if not at[0] < end <= at[-1]:
        raise InvalidInput(
            f"budget: must lie in the curve, {at[0]:g} < B <= {at[-1]:g}; got {end:g}; "
            "give a fraction of the dataset that was reached"
        )
    return at, heights, end
