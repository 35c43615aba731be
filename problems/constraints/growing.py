"""What closes while a selection grows."""

from __future__ import annotations

from bisect import bisect_right
from math import fsum
from typing import TYPE_CHECKING, Any

import numpy as np

from .base import NONE, Constraint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..arrays import Floats, Ints, Mask
    from ..dataset import Dataset


class Room:
    """How much of a limit on a sum is left, and which rows no longer fit.

    A row fits if the sum of what is taken and itself, exact and rounded once (`math.fsum`), is at
    most the limit.

    Parameters
    ----------
    sizes
        What each row takes ``(N,)``, at least 0.
    limit
        What all may take together.
    """

    def __init__(self, sizes: Floats, limit: float) -> None:
        self.sizes, self.limit = sizes, limit
        self.parts: list[float] = []
        self.order = np.argsort(sizes, kind="stable")
        self.sorted = sizes[self.order]
        self.fitting = int(np.searchsorted(self.sorted, limit, side="right"))

    def too_large(self) -> Ints:
        """Return the rows that no longer fit, or never did."""
        return self.order[self.fitting :]

    def take(self, row: int) -> Ints:
        """Take a row in and return the rows that no longer fit."""
        add_exactly(self.parts, float(self.sizes[row]))
        before = self.fitting
        if before and self._with(self.sorted[before - 1]) > self.limit:
            self.fitting = bisect_right(self.sorted, self.limit, hi=before, key=self._with)
        return self.order[self.fitting : before] if self.fitting < before else NONE

    def _with(self, size: float) -> float:
        return fsum((*self.parts, size))


def add_exactly(parts: list[float], number: float) -> None:
    """Add a number to a sum that is kept exactly, as parts of rising size (Shewchuk 1997).

    Examples
    --------
    >>> parts = []
    >>> for number in (1e16, 1.0, 1.0):
    ...     add_exactly(parts, number)
    >>> fsum(parts) - 1e16
    2.0
    """
    kept = 0
    for part in parts:
        large, small = (number, part) if abs(number) >= abs(part) else (part, number)
        number = large + small
        error = small - (number - large)
        if error:
            parts[kept] = error
            kept += 1
    parts[kept:] = [number]


class Growth:
    """A selection that grows row by row under all constraints at once.

    Parameters
    ----------
    constraints
        Bound constraints.
    dataset
        Whose candidates may be taken.
    """

    def __init__(self, constraints: Iterable[Constraint], dataset: Dataset) -> None:
        self.guards = [constraint.guard(dataset) for constraint in constraints]
        self.closed: Mask = ~dataset.is_candidate
        for guard in self.guards:
            self.closed |= guard.closed
        self.needing = [guard for guard in self.guards if guard.needs()]

    def add(self, row: int) -> None:
        """Take a row in; it and all rows that it closes are closed from now on."""
        self.closed[row] = True
        for guard in self.guards:
            self.closed[guard.add(row)] = True

    def needs(self) -> int:
        """Return how many further rows some constraint takes, at least."""
        return max((guard.needs() for guard in self.needing), default=0)

    def allows(self, rows: int | Ints, left: int) -> Any:
        """Return whether each of some rows, or one row, may come next, so many being left to take.

        Where a constraint needs all that are left, only what helps it may.
        """
        allowed = ~self.closed[rows]
        for guard in self.needing:
            if guard.needs() >= left:
                allowed = allowed & guard.helps(rows)
        return allowed

    def helps(self, row: int) -> bool:
        """Whether some constraint needs such a row."""
        return any(guard.needs() and guard.helps(row) for guard in self.needing)
