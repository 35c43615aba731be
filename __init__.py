"""labelcut: what to label next, with a proof.

Acquisition for active learning, stated as an explicit optimization problem: a problem
(`ClassBalanced`), a solver (`solve`), and an answer with its objective, bound and gap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .models import (
        compute_flow,
        entropy,
        least_confidence,
        margin,
        score,
        track_flow,
        track_static,
    )
    from .problems import (
        BudgetedSelection,
        CheckFailed,
        ClassBalanced,
        CoherenceWeights,
        Cost,
        Detections,
        ErrorEstimate,
        ExpectedCount,
        Factored,
        Forbid,
        GroupLimit,
        Include,
        InfeasibleSelection,
        InvalidInput,
        KCenter,
        LabelcutError,
        NotEnoughMemory,
        Selection,
        Spacing,
        TemporalCoherence,
        UnsupportedProblem,
        Video,
        check,
        correct_priors,
        find_errors,
        load,
        make_detections,
        read_coco,
        read_kitti,
        read_mot,
    )
    from .solvers import methods, solve, sweep_trust
    from .studies import compare, coreset_frontier, frontier, l1_score, predicted_l1

_ROOMS = {
    "models": (
        "compute_flow",
        "entropy",
        "least_confidence",
        "margin",
        "score",
        "track_flow",
        "track_static",
    ),
    "problems": (
        "BudgetedSelection",
        "CheckFailed",
        "ClassBalanced",
        "CoherenceWeights",
        "Cost",
        "Detections",
        "ErrorEstimate",
        "ExpectedCount",
        "Factored",
        "Forbid",
        "GroupLimit",
        "Include",
        "InfeasibleSelection",
        "InvalidInput",
        "KCenter",
        "LabelcutError",
        "NotEnoughMemory",
        "Selection",
        "Spacing",
        "TemporalCoherence",
        "UnsupportedProblem",
        "Video",
        "check",
        "correct_priors",
        "find_errors",
        "load",
        "make_detections",
        "read_coco",
        "read_kitti",
        "read_mot",
    ),
    "solvers": ("methods", "solve", "sweep_trust"),
    "studies": ("compare", "coreset_frontier", "frontier", "l1_score", "predicted_l1"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "BudgetedSelection",
    "CheckFailed",
    "ClassBalanced",
    "CoherenceWeights",
    "Cost",
    "Detections",
    "ErrorEstimate",
    "ExpectedCount",
    "Factored",
    "Forbid",
    "GroupLimit",
    "Include",
    "InfeasibleSelection",
    "InvalidInput",
    "KCenter",
    "LabelcutError",
    "NotEnoughMemory",
    "Selection",
    "Spacing",
    "TemporalCoherence",
    "UnsupportedProblem",
    "Video",
    "check",
    "compare",
    "compute_flow",
    "coreset_frontier",
    "correct_priors",
    "entropy",
    "find_errors",
    "frontier",
    "l1_score",
    "least_confidence",
    "load",
    "make_detections",
    "margin",
    "methods",
    "predicted_l1",
    "read_coco",
    "read_kitti",
    "read_mot",
    "score",
    "solve",
    "sweep_trust",
    "track_flow",
    "track_static",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its room when it is first used."""
    if name == "__version__":
        from importlib.metadata import version

        return version("labelcut")
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'labelcut' has no attribute {name!r}")
    value = getattr(import_module(f".{_ROOM_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted({*__all__, "__version__"})
