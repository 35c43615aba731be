"""Strategies for detectors on video: the frames that hold most mistakes, estimated or true.

The pool's rows are frames, video after video, as in `Detections.frame_table`. The option
``coherence`` of the campaign file names a function ``(model, pool) -> TemporalCoherence`` that runs
the detector and carries its boxes; ``errors`` one ``(model, pool) -> TrueErrors`` for the oracles,
such as `labelcut.find_errors` on both tables of detections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...problems.errors import InvalidInput
from ...problems.frame_utilities import count_utility
from ...solvers import solve
from ._stating import most_useful

if TYPE_CHECKING:
    from ...problems import Selection
    from .round import Round


def temporal_coherence(round: Round, *, what: str = "fp") -> Selection:
    """Choose the frames with most mistakes by temporal coherence (thesis section 2.3.2).

    Two problems are solved: the labeling of least energy, and the choice of frames by its counts,
    whose ties are broken at random.
    """
    graph = _made(round, "coherence")
    estimate = solve(graph, seed=round.seed)
    return _frames(round, count_utility(estimate, what))


def true_mistakes(round: Round, *, what: str = "fp") -> Selection:
    """Choose the frames with most true mistakes: the oracle of thesis section 2.3.1."""
    errors = _made(round, "errors")
    return _frames(round, getattr(errors, what))


def _frames(round: Round, counts: Any) -> Selection:
    if len(counts) != round.pool.size:
        raise InvalidInput(
            f"coherence: counts {len(counts)} frames where the pool has {round.pool.size} rows; "
            "let the pool's rows be the frames of all videos in order"
        )
    return most_useful(round, counts, ties="random")


def _made(round: Round, option: str) -> Any:
    make = round.options.get(option)
    if not callable(make):
        raise InvalidInput(
            f"{option}: must name a function of model and pool; got {make!r}; write "
            f"options = {{ {option} = 'study.py:make_{option}' }}"
        )
    return make(round.model, round.pool)
