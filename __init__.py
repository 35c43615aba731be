"""labelcut: what to label next, with a proof.

Acquisition for active learning, stated as an explicit optimization problem: a problem
(`ClassBalanced`), a solver (`solve`), and an answer with its objective, bound and gap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .models import entropy, least_confidence, margin, score
    from .problems import (
        BudgetedSelection,
        CheckFailed,
        ClassBalanced,
        Cost,
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
        UnsupportedProblem,
        check,
        correct_priors,
        load,
    )
    from .solvers import methods, solve
    from .studies import compare, coreset_frontier, frontier, l1_score, predicted_l1

_ROOMS = {
    "models": ("entropy", "least_confidence", "margin", "score"),
    "problems": (
        "BudgetedSelection",
        "CheckFailed",
        "ClassBalanced",
        "Cost",
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
        "UnsupportedProblem",
        "check",
        "correct_priors",
        "load",
    ),
    "solvers": ("methods", "solve"),
    "studies": ("compare", "coreset_frontier", "frontier", "l1_score", "predicted_l1"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "BudgetedSelection",
    "CheckFailed",
    "ClassBalanced",
    "Cost",
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
    "UnsupportedProblem",
    "check",
    "compare",
    "coreset_frontier",
    "correct_priors",
    "entropy",
    "frontier",
    "l1_score",
    "least_confidence",
    "load",
    "margin",
    "methods",
    "predicted_l1",
    "score",
    "solve",
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
