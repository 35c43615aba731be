"""Scores from torch models, embeddings, how uncertain a prediction is; trackers for video.

Names load on first use, so that importing this room does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .optical_flow import VideoFlow, compute_flow
    from .scoring import Scores, score
    from .trackers import offsets_within, track_flow, track_static
    from .uncertainty import entropy, least_confidence, margin

__all__ = [
    "Scores",
    "VideoFlow",
    "compute_flow",
    "entropy",
    "least_confidence",
    "margin",
    "offsets_within",
    "score",
    "track_flow",
    "track_static",
]

_HOME = {
    "Scores": "scoring",
    "VideoFlow": "optical_flow",
    "compute_flow": "optical_flow",
    "offsets_within": "trackers",
    "track_flow": "trackers",
    "track_static": "trackers",
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
