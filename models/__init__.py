"""Scores from torch models: probabilities, embeddings and how uncertain a prediction is.

Names load on first use, so that importing this room does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .detections import detection_embeddings, frame_scores
    from .dispersion import LabelDispersion
    from .embeddings import badge, pooled, uwe
    from .histograms import class_histogram, divergence_histograms
    from .optical_flow import VideoFlow, compute_flow
    from .region_scoring import Regions, score_regions
    from .regions import MapStats
    from .scoring import Scores, load_scores, score
    from .siamese import track_siamese
    from .stochastic import bald, flip_disagreement, mc_dropout
    from .trackers import offsets_within, track_flow, track_static
    from .uncertainty import entropy, least_confidence, margin, second_best_ratio

__all__ = [
    "LabelDispersion",
    "MapStats",
    "Regions",
    "Scores",
    "VideoFlow",
    "badge",
    "bald",
    "class_histogram",
    "compute_flow",
    "detection_embeddings",
    "divergence_histograms",
    "entropy",
    "flip_disagreement",
    "frame_scores",
    "least_confidence",
    "load_scores",
    "margin",
    "mc_dropout",
    "offsets_within",
    "pooled",
    "score",
    "score_regions",
    "second_best_ratio",
    "track_flow",
    "track_siamese",
    "track_static",
    "uwe",
]

_NAMES = {
    "detections": ("detection_embeddings", "frame_scores"),
    "dispersion": ("LabelDispersion",),
    "embeddings": ("badge", "pooled", "uwe"),
    "histograms": ("class_histogram", "divergence_histograms"),
    "region_scoring": ("Regions", "score_regions"),
    "regions": ("MapStats",),
    "optical_flow": ("VideoFlow", "compute_flow"),
    "scoring": ("Scores", "load_scores", "score"),
    "siamese": ("track_siamese",),
    "stochastic": ("bald", "flip_disagreement", "mc_dropout"),
    "trackers": ("offsets_within", "track_flow", "track_static"),
    "uncertainty": ("entropy", "least_confidence", "margin", "second_best_ratio"),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import the module a public name lives in when the name is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
