"""How many labels of each class to ask for: the target Ω."""

import numpy as np

from .arrays import Floats


def paper_target(counts: Floats, budget: int) -> Floats:
    r"""Fill every class to the level of a balanced set, as the paper does.

    .. math:: \omega_k = \max(\tau - n_k, 0), \qquad \tau = \frac{\sum_k n_k + b}{C}

    Where some class already exceeds the level, the clipping makes :math:`\sum\Omega > b`: more is
    asked for than the budget can bring.

    Parameters
    ----------
    counts
        n ``(C,)``, labels of each class so far.
    budget
        b, labels to come.

    Returns
    -------
    Floats
        Ω ``(C,)`` (thesis eq. 4.3 to 4.5; ``c b + b_0`` there is all labels after this cycle).

    Examples
    --------
    >>> paper_target(np.array([0.0, 2.0, 10.0]), 6)
    array([6., 4., 0.])
    """
    level = (counts.sum() + budget) / len(counts)
    return np.asarray(np.maximum(level - counts, 0.0))


def fill_target(counts: Floats, budget: int) -> Floats:
    r"""Raise the lowest classes together until the budget is spent.

    .. math:: \omega_k = \max(\tau - n_k, 0) \quad\text{with } \tau \text{ such that}\quad
        \sum_k \omega_k = b

    Parameters
    ----------
    counts
        n ``(C,)``, labels of each class so far.
    budget
        b, labels to come.

    Returns
    -------
    Floats
        Ω ``(C,)``, summing to b.

    Examples
    --------
    >>> fill_target(np.array([0.0, 2.0, 10.0]), 6)
    array([4., 2., 0.])
    """
    ascending = np.sort(counts)
    classes = np.arange(1, len(counts) + 1)
    levels = (np.cumsum(ascending) + budget) / classes
    filled = int(np.flatnonzero(levels > ascending)[-1])
    return np.asarray(np.maximum(levels[filled] - counts, 0.0))
