"""Uncertainty from several predictions of the same input: BALD by dropout, EqualAL by mirroring."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from .uncertainty import Array, entropy

if TYPE_CHECKING:
    from torch import nn


def bald(passes: Iterable[Array], axis: int = -1) -> Array:
    r"""Compute what stochastic passes tell about the weights: their mutual information, in nats.

    .. math:: I = H\!\left(\frac{1}{T} \sum_t p^t\right) - \frac{1}{T} \sum_t H(p^t), \qquad
              H(p) = -\sum_c p_c \log p_c

    It is 0 where all passes agree, and at most :math:`\log C`. Only running means are kept, so
    memory is two passes, however many come.

    Parameters
    ----------
    passes
        Class probabilities of the same inputs, one array for each of T ≥ 2 passes, all of one
        shape; NumPy or torch. A generator is taken from one pass at a time.
    axis
        The axis of the classes, see `entropy`.

    Returns
    -------
    Array
        Values, shaped and typed as `entropy` does.

    Raises
    ------
    ValueError
        If there are fewer than two passes, their shapes differ, or `entropy` refuses one.

    References
    ----------
    Mining of Single-Class by Active Learning, eq. 4; Houlsby et al. 2011; Gal et al. 2017.

    Examples
    --------
    >>> import numpy as np
    >>> sure, torn = np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5]])
    >>> bald([sure, torn]).round(4)
    array([0.6931, 0.    ])
    """
    mean: Any = None
    inner: Any = None
    count = 0
    for given in passes:
        p: Any = given if is_torch_array(given) else np.asarray(given)
        value: Any = entropy(p, axis)
        count += 1
        if mean is None:
            xp = array_namespace(value)
            # A copy, as a model may write every pass into the same buffer.
            mean, inner = xp.astype(p, value.dtype, copy=True), value
            continue
        if tuple(p.shape) != tuple(mean.shape):
            raise ValueError(
                f"passes: must have one shape; {tuple(mean.shape)} came first, {tuple(p.shape)} in "
                f"pass {count}; predict the same inputs in every pass"
            )
        # Running means: passes that agree leave them untouched, so that BALD is exactly 0.
        mean += (p - mean) / count
        inner += (value - inner) / count
    if count < 2:
        raise ValueError(
            f"passes: BALD needs at least two; {count} came; predict with dropout on several times"
        )
    difference = entropy(mean, axis) - inner
    result: Array = array_namespace(inner).where(difference > 0, difference, 0.0)
    return result


def flip_disagreement(
    probs: Array, mirrored: Array, axis: int = -1, *, width_axis: int | None = None
) -> Array:
    r"""Compute how much predictions of images and of their mirror images differ (EqualAL), in nats.

    .. math:: J = H\!\left(\frac{p + q}{2}\right) - \frac{H(p) + H(q)}{2}

    with q the prediction of the mirrored image, mirrored back. This is the Jensen-Shannon
    divergence: symmetric, finite where a probability is 0, and at most :math:`\log 2`. The paper
    names the idea and leaves the measure of disagreement open; this one is our choice. The score
    of an image is the mean over its pixels.

    Parameters
    ----------
    probs, mirrored
        Class probabilities of images, and of the same images flipped left to right.
    axis
        The axis of the classes, see `entropy`.
    width_axis
        The axis along which `mirrored` must be flipped back: -1 for maps ``(N, C, H, W)``. Default:
        none, as in classification, or where it was flipped back already.

    Returns
    -------
    Array
        Values, shaped and typed as `entropy` does.

    Raises
    ------
    ValueError
        If the shapes differ, the two axes are the same one, or `entropy` refuses a prediction.

    References
    ----------
    Best Practices in Active Learning for Semantic Segmentation, section 2 (EqualAL, after
    Golestaneh and Kitani 2020).

    Examples
    --------
    >>> import numpy as np
    >>> probs = np.array([[[1.0, 0.5]], [[0.0, 0.5]]])  # two classes, one row of two pixels
    >>> flip_disagreement(probs, probs[:, :, ::-1], axis=0, width_axis=-1)
    array([[0., 0.]])
    """
    if width_axis is not None:
        if width_axis % probs.ndim == axis % probs.ndim:
            raise ValueError(
                f"width_axis: must be another axis than that of the classes; {width_axis} came for "
                f"axis={axis} of {probs.ndim}; maps (N, C, H, W) have axis=1, width_axis=-1"
            )
        mirrored = array_namespace(mirrored).flip(mirrored, axis=width_axis)
    return bald([probs, mirrored], axis)


@contextmanager
def mc_dropout(model: "nn.Module") -> "Iterator[nn.Module]":
    """Turn on the dropout layers of a model, and nothing else, for the passes of `bald`.

    All other layers (batch norm above all) are in evaluation mode meanwhile. Every module comes
    back in the mode it was in, also after an exception.

    Parameters
    ----------
    model
        A model with at least one dropout layer of torch (`nn.Dropout`, `nn.Dropout2d`,
        `nn.AlphaDropout`, …) whose rate is above 0. Dropout that a layer does by itself, as
        `nn.MultiheadAttention` does, stays off.

    Yields
    ------
    torch.nn.Module
        The model itself.

    Raises
    ------
    ValueError
        If there is no such layer.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Softmax(1))
    >>> with mc_dropout(model), torch.inference_mode():
    ...     values = bald(model(torch.eye(3)) for _ in range(20))
    >>> values.shape, bool((values > 0).any())
    (torch.Size([3]), True)
    """
    from torch.nn.modules.dropout import _DropoutNd

    modes = [(module, module.training) for module in model.modules()]
    layers = [m for m, _ in modes if isinstance(m, _DropoutNd) and m.p > 0]
    if not layers:
        raise ValueError(
            "model: must have a dropout layer of a rate above 0, as BALD is what dropout changes; "
            f"none came in {type(model).__name__}; add nn.Dropout before the classifying layer, or "
            "take another uncertainty"
        )
    try:
        # Not by train() and eval(), which recurse into shared layers and may be overridden.
        for module, _ in modes:
            module.training = False
        for layer in layers:
            layer.training = True
        yield model
    finally:
        for module, training in modes:
            module.training = training
