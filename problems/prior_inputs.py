"""What `correct_priors` is given, validated."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Floats, as_matrix, as_number, as_vector
from .calibration import as_held_out
from .dataset import make_dataset
from .errors import InvalidInput
from .prior_bootstrap import HeldOut
from .probabilities import Probabilities, as_probabilities


def as_pool(probs: Any, rows: Any) -> Probabilities:
    """Return P validated on the rows of the pool."""
    if isinstance(probs, Probabilities) and rows is None:
        return probs
    matrix = probs.matrix if isinstance(probs, Probabilities) else as_matrix(probs, "probs")
    return as_probabilities(matrix, make_dataset(matrix.shape[0], candidates=rows))


def as_counts(trained_on: Any, classes: int) -> Floats:
    """Return how many rows of each class ``(C,)`` the classifier learned from."""
    counts = as_vector(trained_on, "trained_on")
    if len(counts) != classes:
        raise InvalidInput(
            f"trained_on: must hold one count for each of {classes} classes; got {len(counts)}; "
            "count the rows of each class that the classifier learned from"
        )
    if not (np.isfinite(counts).all() and (counts >= 0).all() and counts.sum() > 0):
        raise InvalidInput(
            f"trained_on: counts must be finite, not negative and not all 0; got {counts.min():.4g}"
            f" to {counts.max():.4g}; count the rows of each class that the classifier learned from"
        )
    return counts


def as_labeled(held_out: Any, classes: Any, size: int) -> HeldOut | None:
    """Return held-out rows with their classes, or None where neither is given."""
    if held_out is None and classes is None:
        return None
    if held_out is None or classes is None:
        missing = "held_out" if held_out is None else "held_out_classes"
        raise InvalidInput(f"{missing}: is missing; held-out rows need predictions and classes")
    probs, labels = as_held_out(held_out, classes)
    if probs.shape[1] != size:
        raise InvalidInput(
            f"held_out: must have the {size} classes of probs; got {probs.shape[1]}; score both "
            "with one model"
        )
    return HeldOut(probs, labels)


def require_labeled(labeled: HeldOut | None, method: str, kind: str, classes: int) -> None:
    """Refuse what needs held-out rows, or rows of every class, without them."""
    needs = method in ("sharpened", "confusion")
    if labeled is None and (needs or kind != "none"):
        what = f"method {method!r}" if needs else f"calibration {kind!r}"
        raise InvalidInput(
            f"held_out: {what} needs labeled rows that the model did not learn from; pass their "
            "predictions and classes"
        )
    if labeled is not None and method == "confusion":
        missing = np.setdiff1d(np.arange(classes), labeled.classes)
        if len(missing):
            raise InvalidInput(
                f"held_out_classes: 'confusion' needs rows of every class; class {missing[0]} has "
                "none; hold out more rows, or take method 'em'"
            )


def require_draws(replicates: int, level: float, seed: int) -> None:
    """Refuse replicates, a level or a seed that no bootstrap can take."""
    count, share = as_number(replicates, "replicates"), as_number(level, "level")
    if not (count >= 1 and count.is_integer()):
        raise InvalidInput(
            f"replicates: must be a whole number, at least 1; got {replicates}; 200 is a start"
        )
    if not 0 < share < 1:
        raise InvalidInput(f"level: must lie between 0 and 1; got {level}; 0.95 is usual")
    start = as_number(seed, "seed")
    if not (start >= 0 and start.is_integer()):
        raise InvalidInput(f"seed: must be a whole number, at least 0; got {seed}; pass 0")


def as_smoothing(smoothing: Any, method: str) -> float:
    """Return how many rows of each class are thought of in addition."""
    more = as_number(smoothing, "smoothing")
    if not 0 <= more < np.inf:
        raise InvalidInput(
            f"smoothing: must be finite and at least 0; got {smoothing}; 1 is a start, 0 smooths "
            "nothing"
        )
    if more > 0 and method == "none":
        raise InvalidInput(
            f"smoothing: must be 0 with method 'none', which estimates no prior; got {smoothing}; "
            "take it out, or another method"
        )
    return more


def require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that is none of the choices."""
    if value not in choices:
        raise InvalidInput(f"{name}: must be one of {', '.join(choices)}; got {value!r}")
