"""What was chosen: its classes, and what the model knew of it before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.arrays import Floats, Ints, as_integers, as_vector, to_numpy
from ...problems.errors import InvalidInput
from ..metrics import l1_score
from .variety import near_duplicates, repeated_sources, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...problems.arrays import Mask

PORTIONS = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Of the unlabeled rows, highest score first."""
DISPERSION_BINS = np.linspace(0.0, 1.0, 11).round(9)


def choice_metrics(
    *,
    chosen: Any,
    truth: Any,
    probs: Any,
    embeddings: Any,
    labeled: Any,
    classes: int,
    source: Any = None,
) -> dict[str, float]:
    """Return what a cycle's record says about the rows labeled so far and those chosen now.

    Parameters
    ----------
    chosen
        Rows chosen with this cycle's model, as the strategy gave them: without the audit slice,
        which would make every strategy look more random; none in the last cycle.
    truth
        True classes ``(N,)``, -1 where not known, or None.
    probs, embeddings
        The model's class probabilities ``(N, C)`` and embeddings ``(N, d)`` of all rows; None
        leaves out what needs them.
    labeled
        Rows labeled before this choice.
    classes
        C.
    source
        What each row was made from ``(N,)``, where the pool knows it (its column ``source``).

    Returns
    -------
    dict
        ``l1_true`` and ``entropy_true`` of the classes of all labeled rows; of the chosen ones
        ``l1_batch``, ``share_misclassified``, ``redundancy`` (`near_duplicates`), ``logdet``
        (`spread`) and ``repeated`` (`repeated_sources`). What cannot be told is left out.

    Examples
    --------
    >>> told = choice_metrics(
    ...     chosen=[2, 3],
    ...     truth=[0, 1, 1, 1],
    ...     probs=[[0.9, 0.1]] * 4,
    ...     embeddings=None,
    ...     labeled=[0, 1],
    ...     classes=2,
    ... )
    >>> told
    {'l1_true': 0.0, 'entropy_true': 1.0, 'l1_batch': 1.0, 'share_misclassified': 1.0}
    """
    told: dict[str, float] = {}
    if truth is not None:
        told |= _class_metrics(chosen, truth, probs, labeled, classes)
    if embeddings is not None and len(chosen):
        told["redundancy"] = near_duplicates(embeddings, chosen, labeled)
        told["logdet"] = spread(embeddings, chosen)
    if source is not None and len(chosen):
        told["repeated"] = repeated_sources(source, chosen, labeled)
    return told


def class_histogram(truth: Any, rows: Any, classes: int) -> Ints:
    """Return how many of some rows are of each class ``(C,)``; class -1 is not counted.

    Examples
    --------
    >>> class_histogram([0, 2, 2, -1], [1, 2, 3], 3)
    array([0, 0, 2])
    """
    own = as_integers(truth, "truth")[as_integers(rows, "rows")]
    return np.bincount(own[own >= 0], minlength=classes)


def class_entropy(histogram: Any) -> float:
    r"""Return the entropy of a class histogram over its largest possible value.

    .. math:: -\sum_k \frac{n_k}{n} \log \frac{n_k}{n} \Big/ \log C

    1 is balanced, 0 is all in one class; an empty one has NaN.

    Examples
    --------
    >>> class_entropy([5, 5]), class_entropy([7, 0, 0])
    (1.0, 0.0)
    """
    counts = as_vector(histogram, "histogram")
    if not counts.sum() > 0:
        return float("nan")
    share = counts[counts > 0] / counts.sum()
    return abs(float(share @ np.log(share)) / float(np.log(max(len(counts), 2))))


def accuracy_by_portion(right: Any, scores: Any, portions: Sequence[float] = PORTIONS) -> Floats:
    """Return the model's accuracy on the highest-scored portions of unlabeled rows.

    Low accuracy means that labels would tell the model something. Ties go to the first row; a
    portion holds one row at least.

    Parameters
    ----------
    right
        Whether the model has each row right before it is labeled ``(n,)``.
    scores
        What a strategy asks by, highest first ``(n,)``.
    portions
        Shares of the rows, above 0 up to 1.

    Raises
    ------
    InvalidInput
        Two lengths, no row, or a portion out of range.

    References
    ----------
    Thesis fig. 3.5.

    Examples
    --------
    >>> accuracy_by_portion([False, True, False, True], [4.0, 3.0, 2.0, 1.0], [0.25, 0.5, 1.0])
    array([0. , 0.5, 0.5])
    """
    flags, values = _answers(right, scores)
    parts = as_vector(portions, "portions")
    if not ((parts > 0) & (parts <= 1)).all():
        raise InvalidInput(f"portions: must lie in 0..1, above 0; got {parts.tolist()}")
    ranked = flags[np.argsort(-values, kind="stable")]
    sizes = np.maximum(np.rint(parts * len(ranked)).astype(np.int64), 1)
    return np.asarray(np.cumsum(ranked)[sizes - 1] / sizes)


def accuracy_by_bin(right: Any, values: Any, edges: Any) -> tuple[Ints, Floats]:
    """Return how many rows lie in each bin of a score, and the model's accuracy on them.

    Parameters
    ----------
    right
        Whether the model has each row right before it is labeled ``(n,)``.
    values
        Such as the label dispersion ``(n,)``.
    edges
        Of the bins, ascending ``(B + 1,)``; the last bin holds its upper edge too.

    Returns
    -------
    tuple
        Rows ``(B,)`` and accuracy ``(B,)``, NaN in empty bins.

    References
    ----------
    Thesis figs 3.3 and 3.4.

    Examples
    --------
    >>> accuracy_by_bin([True, True, False], [0.0, 0.1, 1.0], [0.0, 0.5, 1.0])
    (array([2, 1]), array([1., 0.]))
    """
    flags, scores = _answers(right, values)
    limits = as_vector(edges, "edges")
    counts = np.histogram(scores, limits)[0]
    hits = np.histogram(scores[flags], limits)[0]
    with np.errstate(invalid="ignore"):
        return counts, hits / counts


def portion_metrics(right: Any, scores: Any) -> dict[str, float]:
    """Return `accuracy_by_portion` as metrics of a record, ``accuracy_top_5`` and so on.

    A strategy that asks by a score adds them to its round's `metrics`; the report draws them.

    Parameters
    ----------
    right, scores
        As in `accuracy_by_portion`, of the candidates.
    """
    found = accuracy_by_portion(right, scores)
    return {portion_name(part): float(value) for part, value in zip(PORTIONS, found, strict=True)}


def portion_name(portion: float) -> str:
    """Return what records call the accuracy on a portion."""
    return f"accuracy_top_{100 * portion:g}"


def dispersion_metrics(right: Any, dispersion: Any) -> dict[str, float]:
    """Return `accuracy_by_bin` as metrics of a record, over ten bins of label dispersion, 0 to 1.

    Parameters
    ----------
    right, dispersion
        As in `accuracy_by_bin`, of the candidates.

    Returns
    -------
    dict
        ``dispersion_rows_0`` to ``_9``, and ``dispersion_accuracy_0`` and so on of bins with rows.
    """
    # Tenths such as 1 - 0.9 would fall on either side of an edge.
    exact = as_vector(dispersion, "dispersion").round(9)
    counts, found = accuracy_by_bin(right, exact, DISPERSION_BINS)
    told = {f"dispersion_rows_{at}": float(count) for at, count in enumerate(counts)}
    some = np.flatnonzero(counts)
    return told | {f"dispersion_accuracy_{at}": float(found[at]) for at in some}


def _class_metrics(
    chosen: Any, truth: Any, probs: Any, labeled: Any, classes: int
) -> dict[str, float]:
    told: dict[str, float] = {}
    true = as_integers(truth, "truth")
    known = as_integers(labeled, "labeled")
    known = known[true[known] >= 0]
    if len(known):
        told["l1_true"] = l1_score(true[known], classes)
        told["entropy_true"] = class_entropy(class_histogram(true, known, classes))
    new = as_integers(chosen, "chosen")
    new = new[true[new] >= 0]
    if len(new):
        told["l1_batch"] = l1_score(true[new], classes)
        if probs is not None:
            guess = to_numpy(probs, "probs")[new].argmax(axis=1)
            told["share_misclassified"] = float((guess != true[new]).mean())
    return told


def _answers(right: Any, scores: Any) -> tuple[Mask, Floats]:
    flags = to_numpy(right, "right").astype(np.bool_)
    values = as_vector(scores, "scores")
    if flags.shape != values.shape or not len(values):
        raise InvalidInput(
            f"scores: must have one value for each answer, one at least; got {values.shape} for "
            f"{flags.shape}"
        )
    return flags, values
