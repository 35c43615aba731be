"""Rows in batches that are measured at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from ...problems.arrays import Ints, Mask

WORTH_A_BLOCK = 1 << 13
"""Rough distances that take no longer than one more block does."""


def grouped(seen: npt.NDArray[Any]) -> Iterator[tuple[int, Mask]]:
    """Yield ``(since, which)``: who was measured to so many centers, or if few to some more."""
    values, counts = np.unique(seen, return_counts=True)
    first = 0
    for k in range(1, len(values) + 1):
        if k == len(values) or counts[k] * (values[k] - values[first]) > WORTH_A_BLOCK:
            yield int(values[first]), (seen >= values[first]) & (seen <= values[k - 1])
            first = k


def batches(rows: Ints, size: int) -> Iterator[Ints]:
    """Yield rows, so many at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
