"""The largest of many numbers, with ties to the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints

SAMPLED = 1 << 13
"""Keys of which the level of all is estimated, about."""


def level_of(keys: Floats, count: int) -> float:
    """Return the key of this rank, from the largest; -inf where there are fewer."""
    if count > len(keys):
        return -np.inf
    return float(np.partition(keys, len(keys) - count)[len(keys) - count])


def level_about(keys: Floats, count: int) -> float:
    """Return the key of about this rank, from a sample of many keys."""
    step = max(len(keys) // SAMPLED, 1)
    return level_of(keys[::step], max(count // step, 1))


def largest(keys: Floats, count: int) -> Ints:
    """Return where the largest keys are, largest first, ties to the first ones."""
    if count <= 1:
        return np.array([keys.argmax()] * count, dtype=np.int64)
    level = np.partition(keys, len(keys) - count)[len(keys) - count]
    above = np.flatnonzero(keys > level)
    found = np.concatenate([above, np.flatnonzero(keys == level)[: count - len(above)]])
    return found[np.lexsort((found, -keys[found]))]


def farthest_rows(keys: Floats, count: int) -> tuple[Ints, tuple[float, int]]:
    """Return the rows of the largest keys, ascending, and key and number of the first left out."""
    size = len(keys)
    if size <= count:
        return np.arange(size), (-np.inf, size)
    level = np.partition(keys, size - count - 1)[size - count - 1]
    if level == -np.inf:
        return np.flatnonzero(keys > level), (-np.inf, size)
    above, equal = np.flatnonzero(keys > level), np.flatnonzero(keys == level)
    fill = count - len(above)
    return np.sort(np.concatenate([above, equal[:fill]])), (float(level), int(equal[fill]))
