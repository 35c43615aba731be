"""What is known of rows' distances to their nearest centers: bounds, and which are exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints, Mask, Rows
    from ...problems.spaces import Space


@dataclass
class Known:
    """What is known of some rows' distances to their nearest centers.

    Parameters
    ----------
    upper
        Upper bounds on the distances ``(k,)``.
    nearest
        Dataset row of the center that each bound comes from ``(k,)``.
    settled
        Whether the bounds are the distances themselves ``(k,)``, bit by bit.
    """

    upper: Floats
    nearest: Ints
    settled: Mask

    def at(self, rows: Rows | Mask) -> Known:
        """Return what is known of some of the rows; a view for a slice."""
        return Known(self.upper[rows], self.nearest[rows], self.settled[rows])

    def put(self, rows: Rows, other: Known) -> None:
        """Take over what is known of some rows."""
        self.upper[rows], self.nearest[rows] = other.upper, other.nearest
        self.settled[rows] = other.settled

    def take_in(self, nearest: Ints, distances: Floats) -> None:
        """Take in each row's nearest of some more centers, and its distance, exactly."""
        nearer = distances < self.upper
        self.nearest[nearer], self.upper[nearer] = nearest[nearer], distances[nearer]

    def measured(self, space: Space, rough: Floats, error: Floats, centers: Any) -> None:
        """Take in rough distances to one more center for each row ``(k,)``, and their errors."""
        # An exact distance stays exact unless the center may be nearer.
        sure = np.flatnonzero(self.settled)
        self.settled[sure] = space.from_rough(rough[sure] - error[sure]) >= self.upper[sure]
        upper = space.from_rough(rough + error)
        nearer = np.flatnonzero(upper < self.upper)
        self.upper[nearer], self.settled[nearer] = upper[nearer], error[nearer] == 0.0
        self.nearest[nearer] = centers if np.isscalar(centers) else centers[nearer]
