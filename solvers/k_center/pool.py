"""The rows among which the next farthest ones are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints, Mask
    from ...problems.spaces import Sites
    from .known import Known


@dataclass
class Pool:
    """Rows of the largest keys, gathered.

    Parameters
    ----------
    rows
        Dataset rows ``(K,)``, ascending.
    points
        Their points.
    known
        Their distances to all centers.
    is_open
        Which of them may still be named ``(K,)``.
    limit
        The largest key outside, and the lowest row that has it.
    """

    rows: Ints
    points: Sites
    known: Known
    is_open: Mask
    limit: tuple[float, int]
    charged: Floats | None = None
    named: int = 0
    ahead: dict[int, tuple[Sites, Any]] = field(default_factory=dict)
    """Rows that may be named next, and how far the pool's rows are from each, roughly ``(K,)``."""

    def keys(self) -> Floats:
        """Return what decides who is next ``(K,)``: upper bounds, less what rows cost."""
        keys = self.known.upper if self.charged is None else self.known.upper - self.charged
        return np.where(self.is_open, keys, -np.inf)

    def close(self, row: int) -> None:
        """Never name a row again, if it is here."""
        at = int(np.searchsorted(self.rows, row))
        if at < len(self.rows) and self.rows[at] == row:
            self.is_open[at] = False

    def keep(self, left: Mask) -> None:
        """Leave out all other rows."""
        self.rows, self.known = self.rows[left], self.known.at(left)
        self.points, self.is_open = self.points.part(left), self.is_open[left]
        self.ahead = {row: (site, rough[left]) for row, (site, rough) in self.ahead.items()}
