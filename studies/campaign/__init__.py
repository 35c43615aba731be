"""Labelling campaigns: the active-learning loop around the solvers."""

from .learner import Learner
from .pool import Pool
from .records import Record, Results, load_results
from .round import Round, Strategy

__all__ = ["Learner", "Pool", "Record", "Results", "Round", "Strategy", "load_results"]
