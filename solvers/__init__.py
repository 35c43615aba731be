"""How rows are chosen: one folder of methods for each kind of problem, behind `solve`."""

from .dispatch import methods, solve
from .exporting import export_model
from .registry import MethodInfo
from .search import Progress
from .temporal_coherence.sweeping import TrustSweep, sweep_trust

__all__ = [
    "MethodInfo",
    "Progress",
    "TrustSweep",
    "export_model",
    "methods",
    "solve",
    "sweep_trust",
]
