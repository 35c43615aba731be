"""Class balance for the worst confusion matrix that few labeled rows allow."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import as_matrix, as_number, as_vector, dtype_name, freeze
from .errors import InvalidInput
from .probabilities import Probabilities, as_probabilities

if TYPE_CHECKING:
    from .arrays import Floats
    from .class_balanced import ClassBalanced

FARTHEST = 2.0
"""No two distributions are farther apart in ℓ1."""


def confusion_radius(counts: Any, doubt: float = 0.1) -> Floats:
    r"""Return how far rows of an empirical confusion matrix may be from the true ones, in ℓ1.

    .. math:: \rho_k = \min\left(2, \sqrt{\frac{2}{n_k}
        \ln\frac{C\,(2^C - 2)}{\text{doubt}}}\right)

    With probability 1 - doubt all C rows lie within their radius: an empirical distribution of n
    draws has :math:`P(\|\hat m - m\|_1 \ge \rho) \le (2^C - 2)\,e^{-n\rho^2/2}` (Weissman et al.,
    *Inequalities for the L1 deviation of the empirical distribution*, HP Labs 2003), and the C rows
    share the doubt. A row without draws gets 2: anything is possible.

    Parameters
    ----------
    counts
        Held-out rows ``(C, C)`` by predicted class (rows) and true class (columns).
    doubt
        Chance that some row lies outside, between 0 and 1.

    Examples
    --------
    >>> confusion_radius([[90, 10], [0, 100]]).round(3)
    array([0.272, 0.272])
    """
    rows = _as_counts(counts).sum(axis=1)
    chance = as_number(doubt, "doubt")
    if not 0 < chance < 1:
        raise InvalidInput(f"doubt: must lie between 0 and 1; got {chance}; 0.1 is a start")
    size = len(rows)
    if size == 1:
        return freeze(np.zeros(1))
    # log(2^C - 2) without 2^C, which overflows beyond a thousand classes.
    patterns = size * np.log(2.0) + np.log1p(-(2.0 ** (1 - size)))
    spread = 2.0 * (patterns + np.log(size / chance))
    return freeze(np.minimum(np.sqrt(spread / np.maximum(rows, 1e-300)), FARTHEST))


def robust_balance(problem: ClassBalanced, counts: Any, radius: Any = None) -> ClassBalanced:
    r"""Balance the classes for the worst confusion matrix that the labeled rows allow.

    .. math:: \min_z\; -u^\top z + \lambda \max_{\|\Delta_k\|_1 \le \rho_k}
        \|\Omega - (\hat M + \Delta)^\top w\|_1, \qquad w = P^\top z

    The maximum is :math:`\|\Omega - \hat M^\top w\|_1 + \sum_k \rho_k w_k`: each Δ adds at most its
    size, and all of them can push one class further off. So the program is the same one with
    :math:`P \leftarrow P \hat M` and :math:`u_i \leftarrow u_i - \lambda \sum_k \rho_k p_{ik}`. If
    the rows of M + Δ must stay distributions, it is an upper bound of the maximum.

    Parameters
    ----------
    problem
        With ``distance="l1"``. Its P says how likely a row is to be *predicted* as a class.
    counts
        Held-out rows ``(C, C)`` by predicted class (rows) and true class (columns), drawn from the
        pool's own class mix; a class never predicted is taken to be what it says.
    radius
        The radii ``(C,)``; default `confusion_radius`.

    Returns
    -------
    ClassBalanced
        Over new probabilities and utilities; the utility that its answers report has the price of
        doubt taken off.

    Raises
    ------
    InvalidInput
        Counts or radii of another shape or negative, another distance than ℓ1.

    Examples
    --------
    >>> from labelcut import ClassBalanced
    >>> problem = ClassBalanced([[1.0, 0.0], [0.0, 1.0]], [0.5, 0.5], budget=1, target=[0.5, 0.5])
    >>> robust = robust_balance(problem, [[8, 2], [0, 10]], radius=[0.1, 0.3])
    >>> robust.utility.round(6), round(robust.evaluate([0]).objective, 6)
    (array([0.4, 0.2]), 0.2)
    """
    if problem.distance != "l1":
        raise InvalidInput(
            f"distance: the robust program is for 'l1'; got {problem.distance!r}; state it in l1"
        )
    table = _as_counts(counts, problem.n_classes)
    if radius is None:
        radii = confusion_radius(table)
    else:
        radii = as_vector(radius, "radius", problem.n_classes)
        if not (np.isfinite(radii).all() and (radii >= 0).all()):
            raise InvalidInput(f"radius: must be finite and not negative; got {radii.min():.4g}")
    sums = table.sum(axis=1, keepdims=True)
    rates = np.where(sums > 0, table / np.maximum(sums, 1e-300), np.eye(problem.n_classes))
    prices = problem.balance * problem.probs.dot(radii)
    return replace(problem, probs=_mixed(problem, rates), utility=problem.utility - prices)


def _mixed(problem: ClassBalanced, rates: Floats) -> Probabilities:
    """Return P M ``(N, C)``, as precise as P is stored; NaN where P was not validated."""
    parts = problem.probs.matrix.parts
    single = {dtype_name(part) for part in parts} == {"float32"}
    mixed = np.empty(problem.probs.shape, dtype=np.float32 if single else np.float64)
    for first, values in problem.probs.chunks():
        mixed[first : first + len(values)] = values @ rates
    return as_probabilities(mixed, problem.dataset)


def _as_counts(counts: Any, size: int | None = None) -> Floats:
    matrix = as_matrix(counts, "counts")
    table = matrix.take(np.arange(matrix.shape[0]))
    wanted = table.shape[0] if size is None else size
    if table.shape != (wanted, wanted):
        raise InvalidInput(
            f"counts: must be ({wanted}, {wanted}), predicted by true class; got {table.shape}; "
            "count held-out rows"
        )
    if not (np.isfinite(table).all() and (table >= 0).all()):
        raise InvalidInput(f"counts: must be finite and not negative; got {table.min():.4g}")
    return table
