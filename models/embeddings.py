"""Embeddings that carry uncertainty: UWE, and BADGE's gradients without their outer products."""

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from array_api_compat import array_namespace, device, is_torch_array

from .uncertainty import least_confidence

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

Array = TypeVar("Array", "NDArray[Any]", "Tensor")


def pooled(features: Array) -> Array:
    r"""Compute the mean feature of each image over its positions.

    .. math:: f(x) = \frac{1}{|x|} \sum_{p \in x} f(p)

    Parameters
    ----------
    features
        Feature maps ``(N, D, ...)``, channels second; NumPy or torch. Vectors ``(N, D)`` come back
        as they are.

    Returns
    -------
    Array
        Features ``(N, D)``, in at least float32 where something was averaged.

    Raises
    ------
    ValueError
        If there is no channel axis.

    References
    ----------
    Uncertainty-weighted embeddings, eq. 7.

    Examples
    --------
    >>> pooled(np.array([[[[1.0, 3.0]], [[0.0, 5.0]]]]))
    array([[2. , 2.5]])
    """
    f: Any = features if is_torch_array(features) else np.asarray(features)
    if f.ndim < 2:
        raise ValueError(
            f"features: must have shape (N, D, ...); {tuple(f.shape)} came; add the batch axis"
        )
    if f.ndim == 2:
        return f  # type: ignore[no-any-return]
    xp = array_namespace(f)
    wide = xp.isdtype(f.dtype, "real floating") and f.dtype.itemsize >= 4
    mean: Array = xp.mean(
        xp.astype(f, f.dtype if wide else xp.float32, copy=False), axis=tuple(range(2, f.ndim))
    )
    return mean


def uwe(features: Array, uncertainty: Array, tau: float = 1.0) -> Array:
    r"""Compute uncertainty-weighted embeddings.

    .. math:: \text{uwe}(x) = u(x)^\tau \, f(x)

    Uncertain rows get long vectors, which lie far from each other and from the origin, so that
    k-center on them looks for rows that are both uncertain and unlike each other. Labeled rows
    belong in here too, scored by the current model as all others are.

    Parameters
    ----------
    features
        Features ``(N, D)``, NumPy or torch, best from the same run as the uncertainty.
    uncertainty
        ``(N,)``, at least 0: `entropy`, or any other measure.
    tau
        Exponent τ ≥ 0. The paper takes 1 for whole images and regions of 256 pixels a side and
        more, and 0.1 for regions of 128, where uncertainty is noisy. With 0 only features count.

    Returns
    -------
    Array
        Embeddings ``(N, D)`` in the precision of the features (float32 for integers).

    Raises
    ------
    ValueError
        If the shapes do not fit, an uncertainty is negative or not finite, or τ is negative.

    References
    ----------
    Uncertainty-weighted embeddings, eq. 4; section 5.2 and table 3 for τ.

    Examples
    --------
    >>> uwe(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, 0.0]))
    array([[0.5, 1. ],
           [0. , 0. ]])
    """
    f: Any = features if is_torch_array(features) else np.asarray(features)
    xp = array_namespace(f)
    u: Any = uncertainty if is_torch_array(uncertainty) else np.asarray(uncertainty)
    if f.ndim != 2 or tuple(u.shape) != (f.shape[0],):
        raise ValueError(
            f"features, uncertainty: must have shapes (N, D) and (N,); {tuple(f.shape)} and "
            f"{tuple(u.shape)} came; pool maps with pooled() and score both over one dataset"
        )
    if not 0 <= tau < float("inf"):
        raise ValueError(f"tau: must be at least 0 and finite; {tau} came; the default is 1")
    wrong = ~((u >= 0) & array_namespace(u).isfinite(u))
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0][0])
        raise ValueError(
            f"uncertainty: must be at least 0 and finite; row {row} holds {float(u[row])}; pass a "
            "measure that is higher for uncertain rows, of every row"
        )
    dtype = f.dtype if xp.isdtype(f.dtype, "real floating") else xp.float32
    weights = xp.astype(u, xp.float64, copy=False) ** tau
    weighted: Array = xp.astype(f, dtype, copy=False) * xp.astype(weights, dtype)[:, None]
    return weighted


def badge(probs: Array, features: Array) -> tuple[Array, Array]:
    r"""Compute the two factors of BADGE's gradient embeddings.

    .. math:: g(x) = a \otimes f(x), \qquad a_c = p_c - 1[c = \hat y], \quad
              \hat y = \arg\max_c p_c

    This is the gradient of the cross entropy at the predicted class with respect to the weights
    of the last layer. Inner products of such vectors are products of those of their factors, so
    ``labelcut.Factored(*badge(probs, features))`` needs C + D numbers for each row where the
    gradients themselves have C · D.

    Parameters
    ----------
    probs
        Class probabilities ``(N, C)``; NumPy or torch.
    features
        Inputs of the last layer ``(N, D)``, as `score` gives them.

    Returns
    -------
    tuple of Array
        a ``(N, C)`` in at least float32, and the features as they came.

    Raises
    ------
    ValueError
        If the shapes do not fit, or `entropy` would refuse the probabilities.

    References
    ----------
    Uncertainty-weighted embeddings, eq. 1; Ash et al. 2020.

    Examples
    --------
    >>> left, right = badge(np.array([[0.75, 0.25]]), np.array([[2.0, 1.0, 0.0]]))
    >>> left
    array([[-0.25,  0.25]])
    """
    p: Any = probs if is_torch_array(probs) else np.asarray(probs)
    if p.ndim != 2 or features.ndim != 2 or p.shape[0] != features.shape[0]:
        raise ValueError(
            f"probs, features: must have shapes (N, C) and (N, D); {tuple(p.shape)} and "
            f"{tuple(features.shape)} came; pass both from one run of score()"
        )
    dtype = least_confidence(p).dtype
    xp = array_namespace(p)
    left: Any = xp.astype(p, dtype, copy=True)
    rows = xp.arange(p.shape[0], device=device(p))
    left[rows, xp.argmax(left, axis=1)] -= 1
    return left, features
