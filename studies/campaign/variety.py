"""How varied a choice is: near-duplicates, repeated originals, the volume it spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.arrays import Floats, Ints, as_rows, to_numpy
from ...problems.errors import InvalidInput

if TYPE_CHECKING:
    import numpy.typing as npt

NEAR = 0.1
"""Rows closer than this share of the usual distance are near-duplicates."""
SAMPLE = 512
"""Rows whose distances say what is usual."""
CHUNK = 1 << 20
"""Distances held at a time."""


def near_duplicates(
    embeddings: Any, chosen: Any, labeled: Any = (), *, near: float = NEAR
) -> float:
    r"""Return the share of chosen rows that nearly repeat a labeled row or another chosen one.

    A row repeats another when they lie closer than `near` times the usual distance, the median
    between two of up to 512 rows of the dataset (seed 0). Of k chosen rows that repeat each other
    k - 1 count: labels that could have been spent elsewhere.

    It sees what the embedding sees: frames that hardly differ, but not crops in other colors that a
    weak model takes for other images. `repeated_sources` counts those where the pool knows them.

    Parameters
    ----------
    embeddings
        ``(N, d)``.
    chosen, labeled
        Rows.
    near
        Share of the usual distance.

    Raises
    ------
    InvalidInput
        No chosen row, or rows outside the dataset.

    Examples
    --------
    >>> near_duplicates([[0.0], [5.0], [5.1], [9.0]], chosen=[1, 2, 3], labeled=[0]).__round__(4)
    0.3333
    """
    points = _points(embeddings)
    new = _some(chosen, len(points))
    old = as_rows(labeled, "labeled", len(points))
    order = _float64(points[np.concatenate([old, new])])
    limit = (near * _usual_distance(_sample(points))) ** 2
    repeats = 0
    step = max(CHUNK // len(order), 1)
    for start in range(len(old), len(order), step):
        block = order[start : start + step]
        close = _squared(block, order) <= limit
        earlier = np.arange(len(order)) < (start + np.arange(len(block)))[:, None]
        repeats += int((close & earlier).any(axis=1).sum())
    return repeats / len(new)


def near_duplicate_groups(embeddings: Any, *, near: float = NEAR) -> Ints:
    """Return a group for each row, such that near-duplicates are always in one group.

    Rows are in one group where a chain of near-duplicates leads from one to the other, so that rows
    of one group may be far apart. ``GroupLimit(groups, at_most=1)`` chooses no two that repeat each
    other.

    Parameters
    ----------
    embeddings
        ``(N, d)``.
    near
        Share of the usual distance, as in `near_duplicates`; above 0.

    Returns
    -------
    NDArray
        Groups ``(N,)``, numbered by their first rows. Of N² distances so many at a time that
        memory does not grow with them.

    Examples
    --------
    >>> near_duplicate_groups([[0.0], [5.0], [5.1], [9.0]])
    array([0, 1, 1, 2])
    """
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    if not near > 0:
        raise InvalidInput(f"near: must be above 0; got {near:g}; the usual is {NEAR}")
    points = _float64(_points(embeddings))
    size = len(points)
    limit = (near * _usual_distance(_sample(points))) ** 2
    groups = np.arange(size)
    step = max(CHUNK // max(size, 1), 1)
    for start in range(0, size, step):
        stop = min(start + step, size)
        row, other = np.nonzero(_squared(points[start:stop], points[:stop]) <= limit)
        if (groups[start + row] != groups[other]).any():
            pairs = (np.ones(len(row), dtype=bool), (groups[start + row], groups[other]))
            graph = sparse.csr_array(pairs, shape=(size, size))
            groups = connected_components(graph, directed=False)[1][groups]
    _, first, own = np.unique(groups, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[own], dtype=np.int64)


def repeated_sources(source: Any, chosen: Any, labeled: Any = ()) -> float:
    """Return the share of chosen rows made from the same original as an earlier one.

    What `near_duplicates` estimates, where the pool knows it.

    Parameters
    ----------
    source
        The row or name that each row was made from ``(N,)``.
    chosen, labeled
        Rows.

    Examples
    --------
    >>> repeated_sources([7, 7, 7, 8], chosen=[1, 2, 3], labeled=[0]).__round__(4)
    0.6667
    """
    names = to_numpy(source, "source")
    new = _some(chosen, len(names))
    old = np.unique(names[as_rows(labeled, "labeled", len(names))])
    fresh = np.setdiff1d(names[new], old)
    return 1.0 - len(fresh) / len(new)


def log_determinant(embeddings: Any, chosen: Any) -> float:
    r"""Return the diversity of a choice as the log-determinant of its Gram matrix.

    .. math:: \log \det X_S X_S^\top

    Minus infinity where rows depend on each other: always with more rows than dimensions.

    Parameters
    ----------
    embeddings
        ``(N, d)``.
    chosen
        Rows S.

    References
    ----------
    Paper 004, table 4.

    Examples
    --------
    >>> log_determinant([[2.0, 0.0], [0.0, 1.0]], [0, 1]).__round__(4)  # log 4
    1.3863
    """
    points = _points(embeddings)
    points = _float64(points[_some(chosen, len(points))])
    if len(points) > points.shape[1]:
        return float("-inf")
    # The singular values keep the digits that a Gram matrix would square away.
    values = np.linalg.svd(points, compute_uv=False)
    if values[-1] <= values[0] * len(points) * np.finfo(np.float64).eps:
        return float("-inf")
    return float(2 * np.log(values).sum())


def spread(embeddings: Any, chosen: Any) -> float:
    r"""Return the diversity of a choice of any size, in nats.

    .. math:: \log \det \Bigl(I + \frac{1}{m} X_S X_S^\top\Bigr)

    with m the mean of :math:`\|x\|^2` over up to 512 rows of the dataset (seed 0). The determinant
    of paper 004 is 0 for more rows than dimensions; this one is never, and the scale of the
    embeddings, which differs from model to model, does not count.

    Parameters
    ----------
    embeddings
        ``(N, d)``.
    chosen
        Rows S.

    Examples
    --------
    >>> spread([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 1]).__round__(4)
    1.3863
    >>> spread([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 2]).__round__(4)
    1.0986
    """
    points = _points(embeddings)
    usual = float(np.square(_sample(points)).sum(axis=1).mean())
    own = _float64(points[_some(chosen, len(points))])
    gram = own @ own.T if len(own) < own.shape[1] else own.T @ own
    return float(np.linalg.slogdet(np.eye(len(gram)) + gram / max(usual, 1e-300))[1])


def _sample(points: npt.NDArray[Any]) -> Floats:
    rng = np.random.default_rng(0)
    return _float64(points[rng.choice(len(points), min(len(points), SAMPLE), replace=False)])


def _usual_distance(some: Floats) -> float:
    upper = ~np.tri(len(some), dtype=np.bool_)
    return float(np.sqrt(np.median(_squared(some, some)[upper]))) if upper.any() else 0.0


def _squared(one: Floats, other: Floats) -> Floats:
    found = np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1)
    found -= 2 * one @ other.T
    return np.asarray(np.maximum(found, 0.0, out=found))


def _float64(rows: npt.NDArray[Any]) -> Floats:
    return np.asarray(rows, dtype=np.float64)


def _points(embeddings: Any) -> npt.NDArray[Any]:
    points = to_numpy(embeddings, "embeddings")
    if points.ndim != 2:
        raise InvalidInput(
            f"embeddings: must be two-dimensional (rows, columns); got shape {points.shape}"
        )
    return points


def _some(chosen: Any, size: int) -> Ints:
    rows = as_rows(chosen, "chosen", size)
    if not len(rows):
        raise InvalidInput("chosen: must hold a row; got none; the last cycle chooses nothing")
    return rows
