"""Scores from torch models: probabilities, embeddings and how uncertain a prediction is.

Names load on first use, so that importing this room does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scoring import Scores, score
    from .uncertainty import entropy, least_confidence, margin

__all__ = ["Scores", "entropy", "least_confidence", "margin", "score"]

_HOME = {
    "Scores": "scoring",
    "score": "scoring",
    "entropy": "uncertainty",
    "least_confidence": "uncertainty",
    "margin": "uncertainty",
}


def __getattr__(name: str) -> Any:
    """Import the module a public name lives in when the name is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
