"""Strategies that look at the truth: what choosing could be worth, and no more than that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._stating import generator, most_useful

if TYPE_CHECKING:
    from ...problems import Selection
    from .round import Round


def misclassified(round: Round) -> Selection:
    """Choose rows that the model misclassifies, drawn at random; others when they run out.

    The oracle of thesis section 3.3.2.
    """
    truth = round.pool.truth
    assert truth is not None
    wrong = round.probs.argmax(axis=1) != truth
    # Less than one mistake apart: who is drawn first, among equals.
    lot = generator(round).random(round.pool.size)
    return most_useful(round, np.where(wrong, 2.0, 0.0) + lot)
