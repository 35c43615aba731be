"""What a video problem is made of, validated: offsets, tracked boxes, thresholds of overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import Floats, as_integers, as_number, freeze, to_numpy
from .error_estimate import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    IGNORED,
    TRUE_NEGATIVE,
    TRUE_POSITIVE,
)
from .errors import InfeasibleSelection, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .arrays import Mask
    from .detections import Detections


def as_offsets(offsets: Sequence[int]) -> tuple[int, ...]:
    """Return distinct whole numbers of frames, none of them 0."""
    numbers = as_integers(offsets, "offsets")
    if numbers.ndim != 1 or not len(numbers) or (numbers == 0).any():
        raise InvalidInput(
            f"offsets: must be whole numbers other than 0; got {list(offsets)}; pass "
            "(-3, -2, -1, 1, 2, 3)"
        )
    if len(np.unique(numbers)) < len(numbers):
        raise InvalidInput(f"offsets: must be distinct; got {numbers.tolist()}; drop one")
    return tuple(int(number) for number in numbers)


def as_tracked(tracked: Any, detections: Detections, count: int) -> Floats:
    """Return tracked boxes ``(M, T, 4)``, read in chunks; NaN is where nothing was found."""
    array = to_numpy(tracked, "tracked")
    wanted = (len(detections), count, 4)
    if array.shape != wanted or array.dtype.kind != "f":
        raise InvalidInput(
            f"tracked: must be floats of shape {wanted}: a box for each detection and offset; got "
            f"{array.dtype} {array.shape}"
        )
    flat = array.reshape(-1, 4)
    for start in range(0, len(flat), 1 << 18):
        part = flat[start : start + (1 << 18)]
        endless = [np.isinf(part[:, at]) for at in range(4)]
        taking = detections.used[np.arange(start, start + len(part)) // count]
        empty = (part[:, 2] <= 0) | (part[:, 3] <= 0)
        wrong = np.flatnonzero((np.any(endless, axis=0) | empty) & taking)
        if len(wrong):
            row, at = divmod(start + int(wrong[0]), count)
            raise InvalidInput(
                f"tracked: boxes must be finite with an area, or NaN; detection {row} at offset "
                f"number {at} has {part[wrong[0]].tolist()}; write NaN where it was lost"
            )
    return freeze(array)


def as_overlap(value: float, name: str) -> float:
    """Return a threshold of IoU, above 0 and below 1."""
    number = as_number(value, name)
    if not 0 < number < 1:
        raise InvalidInput(f"{name}: must lie between 0 and 1; got {value}; the usual is 0.5")
    return number


def as_present(types: Any, candidate_types: Any, used: Mask, n_candidates: int) -> Mask:
    """Return "an object is here" ``(M + C,)`` from the types of detections and candidates.

    Parameters
    ----------
    types, candidate_types
        TP, FP or ignored for each detection ``(M,)``, TN or FN for each candidate ``(C,)``.
    used
        Which detections take part ``(M,)``.
    n_candidates
        C.

    Raises
    ------
    InfeasibleSelection
        A type that the node cannot have, or another number of types than of nodes.
    """
    own, others = np.asarray(types), np.asarray(candidate_types)
    sizes = (len(used), n_candidates)
    if (own.shape, others.shape) != ((sizes[0],), (sizes[1],)):
        raise InfeasibleSelection(
            f"types: {own.shape} and {others.shape} came for {sizes[0]} detections and "
            f"{sizes[1]} candidates"
        )
    known = np.where(used, (own == TRUE_POSITIVE) | (own == FALSE_POSITIVE), own == IGNORED)
    wrong = np.flatnonzero(~known)
    if len(wrong):
        row = int(wrong[0])
        may = "TP or FP" if used[row] else f"{IGNORED!r}, since it takes no part"
        raise InfeasibleSelection(f"types: detection {row} is {own[row]!s}, it must be {may}")
    known = (others == TRUE_NEGATIVE) | (others == FALSE_NEGATIVE)
    if not known.all():
        at = int(np.flatnonzero(~known)[0])
        raise InfeasibleSelection(f"types: candidate {at} is {others[at]!s}, it must be TN or FN")
    return np.concatenate([own == TRUE_POSITIVE, others == FALSE_NEGATIVE])
