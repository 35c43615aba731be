"""Strategies that take the rows a model is least sure of, one row at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...models import bald as mutual_information
from ...models import entropy as entropy_of
from ...models import flip_disagreement, least_confidence, margin
from ._stating import most_useful

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...problems import Selection
    from .round import Round


def entropy(round: Round) -> Selection:
    """Choose the rows of highest entropy; in 004's ablation this is U."""
    return most_useful(round, entropy_of(round.probs))


def by_margin(round: Round) -> Selection:
    """Choose the rows whose two likeliest classes are closest."""
    return most_useful(round, margin(round.probs))


def by_least_confidence(round: Round) -> Selection:
    """Choose the rows whose likeliest class is least likely."""
    return most_useful(round, least_confidence(round.probs))


def bald(round: Round) -> Selection:
    """Choose the rows about which dropout's models disagree most; option ``passes``, default 20.

    Its model has dropout, so that it is compared with its own fully labeled line only (002).
    """
    return most_useful(round, bald_values(round))


def bald_values(round: Round) -> NDArray[Any]:
    """Return the mutual information ``(N,)`` of passes with dropout, in nats."""
    return mutual_information(round.passes(int(round.options.get("passes", 20))))


def equal_al(round: Round) -> Selection:
    """Choose the images whose mirror images are predicted otherwise (EqualAL, 002 section 2.1)."""
    return most_useful(round, flip_disagreement(round.probs, round.flip))


def dispersion(round: Round) -> Selection:
    """Choose the rows whose predicted class changed most in training (thesis eq. 3.1).

    The dispersion is a count over few epochs, so that ties are common and broken at random.
    """
    return most_useful(round, round.dispersion, ties="random")
