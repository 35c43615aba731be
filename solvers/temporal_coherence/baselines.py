"""What the graph cut is measured against: the detector's own scores, and chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...problems.arrays import as_number
from ...problems.errors import InvalidInput

if TYPE_CHECKING:
    from ...problems.temporal_coherence import TemporalCoherence
    from ..search import Search


def solve_threshold(search: Search[TemporalCoherence]) -> None:
    """Call detections false that score below the option ``below``."""
    below = as_number(search.options["below"], "below")
    present = search.problem.trusting()
    present[: len(search.problem.detections)] &= search.problem.detections.score >= below
    search.offer(present)


def solve_random(search: Search[TemporalCoherence]) -> None:
    """Call each detection false with the probability of the option ``share``."""
    share = as_number(search.options["share"], "share")
    if not 0 <= share <= 1:
        raise InvalidInput(f"share: must lie in 0..1; got {share}; it is a probability")
    present = search.problem.trusting()
    size = len(search.problem.detections)
    present[:size] &= search.rng().random(size) >= share
    search.offer(present)
