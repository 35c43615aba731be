"""Rows of a pool, calibrated and reweighed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import Matrix, dtype_name, freeze
from .calibration import SMALLEST

if TYPE_CHECKING:
    import numpy.typing as npt

    from .arrays import Floats, Ints
    from .calibration import Calibration
    from .probabilities import Probabilities


def calibrated(
    given: Probabilities, used: Ints, fitted: Calibration
) -> tuple[npt.NDArray[Any], int]:
    """Return calibrated rows ``(n, C)`` as precise as they came, and how many held zeros."""
    single = {dtype_name(part) for part in given.matrix.parts} == {"float32"}
    whole = np.empty((len(used), given.shape[1]), dtype=np.float32 if single else np.float64)
    is_used = ~np.isnan(given.scale)
    same = (fitted.slopes == 1).all() and not fitted.offsets.any()
    at = zeros = 0
    for first, values in given.chunks():
        values = values[is_used[first : first + len(values)]]
        if not len(values):
            continue
        zeros += int((values.min(axis=1) == 0).sum())
        if same:
            np.maximum(values, SMALLEST, out=values)
            values /= values.sum(axis=1, keepdims=True)
        else:
            values = fitted.apply(values)
        whole[at : at + len(values)] = values
        at += len(values)
    return whole, zeros


def reweigh(whole: npt.NDArray[Any], ratios: Floats) -> None:
    """Turn rows p into q ∝ p r, in place."""
    for first, values in Matrix((whole,)).chunks():
        changed = values * ratios
        changed /= changed.sum(axis=1, keepdims=True)
        whole[first : first + len(values)] = changed


def spread_out(whole: npt.NDArray[Any], used: Ints, size: int) -> npt.NDArray[Any]:
    """Return rows ``(size, C)``, NaN where none was used."""
    if len(used) == size:
        return freeze(whole)
    out = np.full((size, whole.shape[1]), np.nan, dtype=whole.dtype)
    out[used] = whole
    return freeze(out)
