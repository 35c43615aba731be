"""The prior of a pool by maximum likelihood: Saerens' EM, extrapolated, for many weightings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from .arrays import Floats, Ints, Matrix

TOLERANCE = 1e-7
"""A step that moves less of a prior's mass than this ends the search."""
PASSES = 600
"""The search ends after so many passes over the rows."""
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Held:
    """One share of each prior that the search may not change.

    Parameters
    ----------
    classes, shares
        Which ``(B,)``, and at what value ``(B,)`` from 0 to less than 1.
    """

    classes: Ints
    shares: Floats

    def enforce(self, priors: Floats) -> Floats:
        """Return priors ``(C, B)`` with their share put right and the others scaled to the rest."""
        columns = np.arange(priors.shape[1])
        others = priors.copy()
        others[self.classes, columns] = 0.0
        others *= (1.0 - self.shares) / np.maximum(others.sum(axis=0), TINY)
        others[self.classes, columns] = self.shares
        return others


@dataclass(frozen=True, eq=False)
class Fit:
    r"""Priors of greatest likelihood, smoothed where that was asked for.

    Parameters
    ----------
    priors
        ``(C, B)``, one column for each column of weights.
    trace
        What is maximized ``(B,)``, divided by :math:`\sum_i w_i + m`, after each round; no column
        ever falls.
    converged
        Whether every column came to rest.
    """

    priors: Floats
    trace: tuple[Floats, ...]
    converged: bool


def fit_priors(
    probs: Matrix,
    trained: Floats,
    weights: Floats | None = None,
    start: Floats | None = None,
    *,
    held: Held | None = None,
    smoothing: float = 0.0,
    tolerance: float = TOLERANCE,
    passes: int = PASSES,
) -> Fit:
    r"""Maximize the likelihood of the class mix, given probabilities under another one.

    .. math:: \max_\pi\; \sum_i w_i \log \sum_k \frac{p_{ik}}{\tau_k} \pi_k
        + m \sum_k \log \pi_k

    This is concave in π. An EM step (Saerens, Latinne & Decaestecker, Neural Computation 2002)
    sets :math:`\pi_k \leftarrow (\sum_i w_i q_{ik} + m) / (\sum_i w_i + C m)` with
    :math:`q_{ik} \propto p_{ik} \pi_k / \tau_k`. Each round takes two steps and extrapolates them
    (SQUAREM; Varadhan & Roland 2008); an extrapolation that loses is dropped.

    Parameters
    ----------
    probs
        P ``(N, C)``, rows that sum to 1; read a chunk at a time.
    trained
        τ ``(C,)``, the class mix under which P was made; all above 0.
    weights
        w ``(N, B)``, one problem a column; default: one problem, every row once.
    start
        Where to begin ``(C, B)`` or ``(C, 1)``; default τ.
    held
        Keeps one share of each prior; the maximum is that among such priors then.
    smoothing
        m, rows of each class that are thought of in addition, in every problem.
    tolerance, passes
        Where to stop.
    """
    count = 1 if weights is None else weights.shape[1]
    count = count if held is None else len(held.shares)
    first = trained[:, None] if start is None else start
    point = np.array(np.broadcast_to(first, (len(trained), count)), dtype=np.float64)
    point = point if held is None else held.enforce(point)
    step = _stepper(probs, trained, weights, held, smoothing)
    trace, used = [], 0
    while used < passes:
        one, value = step(point)
        trace.append(value)
        two, value_one = step(one)
        used += 2
        moved = np.abs(two - one).sum(axis=0)
        if moved.max() <= tolerance:
            trace.append(np.maximum(value_one, value))
            return Fit(two, tuple(trace), True)
        leap = _extrapolated(point, one, two)
        leap = leap if held is None else held.enforce(leap)
        landed, value_leap = step(leap)
        used += 1
        point = np.where(value_leap >= value_one, landed, two)
    return Fit(point, tuple(trace), False)


def _stepper(
    probs: Matrix,
    trained: Floats,
    weights: Floats | None,
    held: Held | None,
    smoothing: float,
) -> Callable[[Floats], tuple[Floats, Floats]]:
    """Return a function of priors ``(C, B)``: the next ones and what these attain."""
    rows = probs.shape[0]
    masses = np.full(1, float(rows)) if weights is None else weights.sum(axis=0)
    masses = masses + smoothing  # and not C times as much: m may be as large as floats are

    def step(priors: Floats) -> tuple[Floats, Floats]:
        ratios = priors / trained[:, None]
        total, value = np.zeros_like(priors), np.zeros(priors.shape[1])
        for at, values in probs.chunks():
            likely = np.maximum(values @ ratios, TINY)
            if weights is None:
                total += values.T @ (1.0 / likely)
                value += np.log(likely).sum(axis=0)
            else:
                here = weights[at : at + len(values)]
                total += values.T @ (here / likely)
                value += (here * np.log(likely)).sum(axis=0)
        penalty = (smoothing / masses) * np.log(np.maximum(priors, TINY)).sum(axis=0)
        following = (total * ratios + smoothing) / masses
        following = following / following.sum(axis=0)
        # With a share kept, EM's step gives the others the rest in the same proportions.
        return following if held is None else held.enforce(following), value / masses + penalty

    return step


def _extrapolated(point: Floats, one: Floats, two: Floats) -> Floats:
    """Return SQUAREM's leap from three successive points, column by column, inside the simplex."""
    first, second = one - point, two - 2 * one + point
    size = np.sqrt((first**2).sum(axis=0))
    curve = np.sqrt((second**2).sum(axis=0))
    alpha = -np.maximum(size / np.maximum(curve, 1e-15), 1.0)
    leap = point - 2 * alpha * first + alpha**2 * second
    # Halfway to the border at most: a class at exactly 0 could never come back.
    leap = np.maximum(leap, two / 2)
    return np.asarray(leap / leap.sum(axis=0))
