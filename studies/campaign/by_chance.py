"""Strategies that draw: at random, at random over videos, and evenly in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...models import entropy
from ...problems import BudgetedSelection, Forbid, GroupLimit, Spacing
from ...problems.errors import InvalidInput
from ._stating import answer, rows_of, timeline

if TYPE_CHECKING:
    from ...problems import Selection
    from ...problems.arrays import Floats, Ints
    from .round import Round


def random(round: Round) -> Selection:
    """Draw rows uniformly."""
    problem = BudgetedSelection(np.zeros(round.pool.size), **rows_of(round))
    return answer(round, problem, "random")


def random_spaced(round: Round) -> Selection:
    """Draw a video, then one of its frames, none within k frames of another: Random+R.

    The option ``spacing`` is k: 3 on ImageNet-VID and 1 on SYNTHIA-AL (thesis 2.5.2); default 3.
    """
    video, frame = timeline(round)
    rows = rows_of(round)
    rows["constraints"] = [
        Spacing(video, frame, exclude_within=int(round.options.get("spacing", 3)))
    ]
    return answer(round, BudgetedSelection(np.zeros(round.pool.size), **rows), "random")


def uniform(round: Round) -> Selection:
    """Choose frames at equal distances in time (002 section 4.4, "Uniform").

    The candidates of all videos, one after another, are cut into as many equal stretches as rows
    are asked for, and one of each is chosen: nearest to its middle.
    """
    timeline_rows = _by_time(round)
    stretch = np.full(round.pool.size, -1, dtype=np.int64)
    utility = np.zeros(round.pool.size)
    for at, part in enumerate(np.array_split(timeline_rows, round.budget)):
        stretch[part] = at
        utility[part] = -np.abs(np.arange(len(part)) - (len(part) - 1) / 2)
    rows = rows_of(round)
    rows["constraints"].append(GroupLimit(stretch, at_most={at: 1 for at in range(round.budget)}))
    return answer(round, BudgetedSelection(utility, **rows))


def uniform_entropy(round: Round) -> Selection:
    """Choose by entropy among every k-th frame of each video: uniform(@k)+entropy (002, 4.4).

    The option ``every`` is k; default 5, as in the paper.
    """
    every = int(round.options.get("every", 5))
    kept = every_kth(*timeline(round), every)
    among = round.candidates[kept[round.candidates]]
    if len(among) < round.budget:
        raise InvalidInput(
            f"every: one frame in {every} leaves {len(among)} candidates for {round.budget} rows; "
            "take a smaller one"
        )
    rows = rows_of(round)
    rows["constraints"].append(Forbid(np.setdiff1d(round.candidates, among)))
    return answer(round, BudgetedSelection(_scores(round), **rows))


def every_kth(video: Any, frame: Any, every: int) -> Any:
    """Return the mask ``(N,)`` of every k-th frame of each video, the first of them included.

    Examples
    --------
    >>> every_kth(np.array(["a", "a", "a", "b"]), np.array([4, 2, 3, 9]), 2)
    array([ True,  True, False,  True])
    """
    if every < 1:
        raise InvalidInput(f"every: must be a whole number, at least 1; got {every}")
    _, codes = np.unique(video, return_inverse=True)
    order = np.lexsort((frame, codes))
    place = np.arange(len(order)) - np.searchsorted(codes[order], codes[order])
    kept = np.zeros(len(order), dtype=bool)
    kept[order] = place % every == 0
    return kept


def _by_time(round: Round) -> Ints:
    """Return the candidates by video and frame."""
    video, frame = (column[round.candidates] for column in timeline(round))
    _, codes = np.unique(video, return_inverse=True)
    return round.candidates[np.lexsort((frame, codes))]


def _scores(round: Round) -> Floats:
    return np.asarray(entropy(round.probs), dtype=np.float64)
