"""Strategies that take the rows a model is least sure of, one row at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...models import bald as mutual_information
from ...models import entropy as entropy_of
from ...models import flip_disagreement, least_confidence, margin
from ._stating import most_useful
from .choices import dispersion_metrics, portion_metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...problems import Selection
    from ...problems.arrays import Ints, Mask
    from .round import Round


def entropy(round: Round) -> Selection:
    """Choose the rows of highest entropy; in 004's ablation this is U."""
    return _asked(round, entropy_of(round.probs))


def by_margin(round: Round) -> Selection:
    """Choose the rows whose two likeliest classes are closest."""
    return _asked(round, margin(round.probs))


def by_least_confidence(round: Round) -> Selection:
    """Choose the rows whose likeliest class is least likely."""
    return _asked(round, least_confidence(round.probs))


def bald(round: Round) -> Selection:
    """Choose the rows about which dropout's models disagree most; option ``passes``, default 20.

    Its model has dropout, so that it is compared with its own fully labeled line only (002).
    """
    return _asked(round, bald_values(round))


def bald_values(round: Round) -> NDArray[Any]:
    """Return the mutual information ``(N,)`` of passes with dropout, in nats."""
    return mutual_information(round.passes(int(round.options.get("passes", 20))))


def equal_al(round: Round) -> Selection:
    """Choose the images whose mirror images are predicted otherwise (EqualAL, 002 section 2.1)."""
    return _asked(round, flip_disagreement(round.probs, round.flip))


def dispersion(round: Round) -> Selection:
    """Choose the rows whose predicted class changed most in training (thesis eq. 3.1).

    The dispersion is a count over few epochs, so that ties are common and broken at random. How
    right the model is by bins of it becomes a metric (thesis fig. 3.3).
    """
    rows, right = _answers(round)
    if len(rows):
        round.metrics |= dispersion_metrics(right, round.dispersion[rows])
    return _asked(round, round.dispersion, ties="random")


def _asked(round: Round, utility: Any, *, ties: str = "lowest") -> Selection:
    """Choose the rows of most utility; how right the model is on them becomes a metric.

    That is thesis fig. 3.5: the accuracy before labeling of the portions with most utility.
    """
    rows, right = _answers(round)
    if len(rows):
        round.metrics |= portion_metrics(right, np.asarray(utility)[rows])
    return most_useful(round, utility, ties=ties)


def _answers(round: Round) -> tuple[Ints, Mask]:
    """Return the candidates whose class is known, and which of them the model has right."""
    truth, rows = round.pool.truth, round.candidates
    if truth is None:
        return rows[:0], np.zeros(0, dtype=np.bool_)
    rows = rows[truth[rows] >= 0]
    return rows, round.probs[rows].argmax(axis=1) == truth[rows]
