"""A plane to look at points in, whatever measures the distances between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..problems.arrays import Floats, Ints
    from ..problems.spaces import Space

LANDMARKS = 200
"""Rows whose distances to all others place them."""


def project(space: Space, rows: Ints) -> Floats:
    r"""Return places ``(k, 2)`` of rows by landmark scaling (de Silva & Tenenbaum 2004).

    .. math:: y = -\tfrac12 \Lambda^{-1/2} V^\top (\delta - \bar\delta)

    with the two largest eigenvalues of the doubly centred squared distances among up to 200
    landmarks, drawn with seed 0. Of Euclidean distances this is the principal plane of the
    landmarks, onto which every row falls at right angles: distances look shorter than they are. Of
    given distances it is only roughly to scale.
    """
    rng = np.random.default_rng(0)
    landmarks = np.sort(rng.choice(space.size, min(space.size, LANDMARKS), replace=False))
    among = _squared(space, space.between(landmarks, landmarks))
    means = among.mean(axis=0)
    centred = -0.5 * (among - means - means[:, None] + means.mean())
    values, vectors = np.linalg.eigh(centred)
    places = np.zeros((len(rows), 2))
    away = _squared(space, space.between(landmarks, rows)) - means[:, None]
    for axis in range(min(2, len(landmarks))):
        value, vector = values[-1 - axis], vectors[:, -1 - axis]
        if value > 1e-12 * max(values[-1], 0.0):
            sign = np.sign(vector[np.abs(vector).argmax()])  # eigh may return either
            places[:, axis] = -0.5 * sign * (vector @ away) / np.sqrt(value)
    return places


def _squared(space: Space, distances: Floats) -> Floats:
    """Return squared Euclidean distances; given ones pass for Euclidean."""
    known = space.witness_share is not None
    return space.to_rough(distances) if known else np.square(distances)
