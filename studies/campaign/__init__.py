"""Labelling campaigns: the active-learning loop around the solvers."""

from .learner import Learner
from .pool import Pool
from .pools import augmented, frame_runs, long_tailed, take
from .records import Record, Results, load_results
from .round import Round, Strategy
from .videos import drifting, video_pool

__all__ = [
    "Learner",
    "Pool",
    "Record",
    "Results",
    "Round",
    "Strategy",
    "augmented",
    "drifting",
    "frame_runs",
    "load_results",
    "long_tailed",
    "take",
    "video_pool",
]
