"""How uncertain a predicted class distribution is; higher is always more uncertain.

NumPy arrays give NumPy arrays, torch tensors give tensors on the same device. The class axis, the
last one unless said otherwise, is the one that goes.
"""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from array_api_compat import array_namespace, device, is_torch_array

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

Array = TypeVar("Array", "NDArray[Any]", "Tensor")

# Entries handled at a time: temporaries stay at a few tens of MB, however long the pool is.
_CHUNK = 1 << 20


def entropy(probs: Array, axis: int = -1) -> Array:
    r"""Compute the Shannon entropy of predicted class distributions, in nats.

    .. math:: H = -\sum_{c=1}^{C} p_c \log p_c, \qquad 0 \log 0 = 0

    It lies between 0 (one class is certain) and :math:`\log C` (all classes are equally likely).
    Works through memory-mapped arrays in chunks.

    Parameters
    ----------
    probs
        Class probabilities of any shape, ``(..., C)`` by default; NumPy or torch. Integers and
        booleans (one-hot rows) are taken too.
    axis
        The axis of the classes: -1 for ``(N, C)``, 1 for maps ``(N, C, H, W)``.

    Returns
    -------
    Array
        Entropies, the shape without the class axis, in the precision of `probs` but at least
        float32.

    Raises
    ------
    ValueError
        If an entry is negative or NaN, a distribution does not sum to 1 (±0.001, and rounding of
        half precision), or there is no such axis.
    TypeError
        If the entries are not real numbers.

    References
    ----------
    Thesis eq. 4.6.

    Examples
    --------
    >>> entropy(np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])).round(4)
    array([0.6931, 0.    ])
    """
    return _per_row(_entropy, probs, axis)


def margin(probs: Array, axis: int = -1) -> Array:
    r"""Compute one minus the lead of the best class over the second best.

    .. math:: M = 1 - \left(p_{(1)} - p_{(2)}\right), \qquad p_{(1)} \ge p_{(2)} \ge \dots

    It lies between 0 (one class is certain) and 1 (the two best classes tie). The lead itself is
    often called margin as well; this is its complement, so that higher is more uncertain. With a
    single class the second best counts as 0.

    Parameters
    ----------
    probs, axis
        Class probabilities and the axis of the classes, see `entropy`.

    Returns
    -------
    Array
        Margins, shaped and typed as `entropy` does.

    Raises
    ------
    ValueError, TypeError
        As `entropy` does.

    References
    ----------
    Scheffer, Decomain and Wrobel 2001; Settles 2009, section 3.1.

    Examples
    --------
    >>> margin(np.array([[0.6, 0.3, 0.1], [0.4, 0.4, 0.2]])).round(4)
    array([0.7, 1. ])
    """
    return _per_row(_margin, probs, axis)


def least_confidence(probs: Array, axis: int = -1) -> Array:
    r"""Compute how much the most probable class lacks to certainty.

    .. math:: L = 1 - \max_c p_c

    It lies between 0 (one class is certain) and :math:`1 - 1/C` (all are equally likely).

    Parameters
    ----------
    probs, axis
        Class probabilities and the axis of the classes, see `entropy`.

    Returns
    -------
    Array
        Values, shaped and typed as `entropy` does.

    Raises
    ------
    ValueError, TypeError
        As `entropy` does.

    References
    ----------
    Lewis and Gale 1994; Settles 2009, section 3.1.

    Examples
    --------
    >>> least_confidence(np.array([[0.6, 0.3, 0.1], [0.4, 0.4, 0.2]])).round(4)
    array([0.4, 0.6])
    """
    return _per_row(_least_confidence, probs, axis)


def second_best_ratio(probs: Array, axis: int = -1) -> Array:
    r"""Compute the probability of the second best class over that of the best.

    .. math:: u_{\text{bvsb}} = \frac{p_{(2)}}{p_{(1)}}, \qquad p_{(1)} \ge p_{(2)} \ge \dots

    It lies between 0 (one class is certain) and 1 (the two best classes tie). With a single class
    the second best counts as 0.

    Parameters
    ----------
    probs, axis
        Class probabilities and the axis of the classes, see `entropy`.

    Returns
    -------
    Array
        Ratios, shaped and typed as `entropy` does.

    Raises
    ------
    ValueError, TypeError
        As `entropy` does.

    References
    ----------
    Uncertainty-weighted embeddings, eq. 8 (best versus second best, after Brust et al. 2018).

    Examples
    --------
    >>> second_best_ratio(np.array([[0.6, 0.3, 0.1], [0.4, 0.4, 0.2]]))
    array([0.5, 1. ])
    """
    return _per_row(_second_best_ratio, probs, axis)


def _entropy(xp: Any, p: Any) -> Any:
    # log(1) = 0 stands in for log(0): no warning, and a finite gradient in torch.
    return -xp.sum(p * xp.log(xp.where(p > 0, p, 1.0)), axis=-1)


def _margin(xp: Any, p: Any) -> Any:
    return 1.0 - xp.max(p, axis=-1) + _second_best(xp, p)


def _second_best_ratio(xp: Any, p: Any) -> Any:
    return _second_best(xp, p) / xp.max(p, axis=-1)


def _second_best(xp: Any, p: Any) -> Any:
    classes = xp.arange(p.shape[-1], device=device(p))
    is_best = classes == xp.argmax(p, axis=-1, keepdims=True)
    return xp.max(xp.where(is_best, 0.0, p), axis=-1)


def _least_confidence(xp: Any, p: Any) -> Any:
    return 1.0 - xp.max(p, axis=-1)


def _per_row(measure: Callable[[Any, Any], Any], probs: Array, axis: int) -> Array:
    """Apply a measure to every distribution, in chunks of rows."""
    given: Any = probs if is_torch_array(probs) else np.asarray(probs)
    xp = array_namespace(given)
    dtype, tolerance = _precision(xp, given.dtype)
    if not -given.ndim <= axis < given.ndim or given.shape[axis] == 0:
        which = "the last axis" if axis == -1 else f"axis {axis}"
        raise ValueError(
            f"probs: {which} must hold at least one class; shape {tuple(given.shape)} came; "
            "pass an array of shape (..., C), or axis="
        )
    p = xp.moveaxis(given, axis, -1)
    rows = p[None] if p.ndim == 1 else p
    values = xp.empty(rows.shape[:-1], dtype=dtype, device=device(p))
    lead: tuple[int, ...]
    for lead, start, stop in _chunks(tuple(rows.shape)):
        chunk = xp.astype(rows[lead][start:stop], dtype, copy=False)
        wrong = _wrong_rows(xp, chunk, tolerance)
        if bool(xp.any(wrong)):
            complaint = _complaint(xp, chunk, wrong, tolerance, (*lead, start))
            raise ValueError(complaint + _other_axis(xp, given, axis, tolerance))
        value = measure(xp, chunk)
        # Rounding may leave -1e-17 or -0.0 where the answer is 0.
        values[lead][start:stop] = xp.where(value > 0, value, 0.0)
    result: Array = values[0] if p.ndim == 1 else values
    return result


def _other_axis(xp: Any, p: Any, axis: int, tolerance: float) -> str:
    """Return a hint if the distributions at both ends of the array lie along another axis."""
    for other in range(p.ndim):
        ends = [
            p[tuple(slice(None) if k == other else end for k in range(p.ndim))] for end in (0, -1)
        ]
        if other != axis % p.ndim and not any(
            bool(xp.any(_wrong_rows(xp, xp.astype(end, xp.float32)[None], tolerance)))
            for end in ends
        ):
            return f"; the classes seem to lie on axis {other}: pass axis={other}"
    return ""


def _precision(xp: Any, dtype: Any) -> tuple[Any, float]:
    """Return the dtype to compute in and how far a row's sum may be from 1."""
    if xp.isdtype(dtype, "real floating"):
        half = dtype.itemsize < 4
        rounding = float(xp.finfo(dtype).eps) if half else 0.0
        return xp.float32 if half else dtype, 1e-3 + rounding
    if xp.isdtype(dtype, ("bool", "integral")):
        return xp.float32, 1e-3
    raise TypeError(f"probs: entries must be real numbers; dtype {dtype} came; pass probabilities")


def _chunks(shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Cut an array of two or more axes into ``(leading index, start, stop)`` on the axis after."""
    slab = math.prod(shape[1:])
    if slab > _CHUNK and len(shape) > 2:
        for first in range(shape[0]):
            for lead, start, stop in _chunks(shape[1:]):
                yield (first, *lead), start, stop
        return
    step = max(_CHUNK // max(slab, 1), 1)
    for start in range(0, shape[0], step):
        yield (), start, min(start + step, shape[0])


def _wrong_rows(xp: Any, p: Any, tolerance: float) -> Any:
    """Mark the rows that hold something outside 0 to 1 (NaN included) or do not sum to 1."""
    outside = ~((p >= 0) & (p <= 1 + tolerance))
    total = xp.sum(xp.where(outside, 0.0, p), axis=-1)
    return xp.any(outside, axis=-1) | (xp.abs(total - 1.0) > tolerance)


def _complaint(xp: Any, p: Any, wrong: Any, tolerance: float, origin: tuple[int, ...]) -> str:
    """Say which row of a chunk that begins at `origin` is the first wrong one, and why."""
    first = int(xp.argmax(xp.astype(xp.reshape(wrong, (-1,)), xp.int8)))
    inside = tuple(int(i) for i in np.unravel_index(first, tuple(wrong.shape)))
    index = (*origin[:-1], origin[-1] + inside[0], *inside[1:])
    name = f"row {index[0] if len(index) == 1 else index}"
    row = p[inside]
    outside = row[~((row >= 0) & (row <= 1 + tolerance))]
    if outside.shape[0]:
        return (
            f"probs: {name} holds {float(outside[0]):g}, probabilities lie between 0 and 1; "
            "pass softmax outputs, not logits"
        )
    return (
        f"probs: {name} sums to {float(xp.sum(row)):g}, rows must sum to 1 (±{tolerance:.3g}); "
        "pass softmax outputs, not logits"
    )
