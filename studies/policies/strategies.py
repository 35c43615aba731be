"""Strategies beside the learned one: fixed scores, and a logistic regression that is refitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .mining import Rows


@dataclass(frozen=True, eq=False)
class Fixed:
    """Values that nothing changes: entropy, BALD, or the truth.

    Parameters
    ----------
    scores
        Of every row of the dataset ``(N,)``.
    """

    scores: NDArray[Any]
    explore: float = 0.0

    def values(self, rows: Rows) -> NDArray[np.float64]:
        """Return the scores of rows."""
        return np.asarray(self.scores, dtype=np.float64)[rows]

    def picked(self, rows: Rows, rewards: NDArray[Any]) -> None:
        """Learn nothing."""

    def ended(self) -> None:
        """Learn nothing."""


def random_scores(size: int, seed: int) -> Fixed:
    """Return the strategy that picks evenly: scores drawn by seed."""
    return Fixed(np.random.default_rng([seed, *b"random"]).random(size))


class Logistic:
    """Logistic regression of the reward on the features, refitted whenever labels arrive.

    Parameters
    ----------
    features
        Of every row of the dataset ``(N, F)``.
    known
        Rewards, 0 or 1, of rows that are labeled already.
    """

    explore = 0.0

    def __init__(self, features: NDArray[Any], known: Mapping[int, float]) -> None:
        self._features = np.asarray(features, dtype=np.float64)
        self._rows = list(known)
        self._rewards = list(known.values())
        self._fit()

    def values(self, rows: Rows) -> NDArray[np.float64]:
        """Return the log-odds that rows pay."""
        found: NDArray[np.float64] = self._model.decision_function(self._features[rows])
        return found

    def picked(self, rows: Rows, rewards: NDArray[Any]) -> None:
        """Fit anew with what came."""
        self._rows.extend(rows.tolist())
        self._rewards.extend(rewards.tolist())
        self._fit()

    def ended(self) -> None:
        """Do nothing."""

    def _fit(self) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        pays = np.asarray(self._rewards) > 0
        if pays.all() or not pays.any():
            raise InvalidInput(
                "holds: labeled rows must be of both kinds for a logistic regression; "
                f"{int(pays.sum())} of {len(pays)} hold the class; label more rows at random"
            )
        self._model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        self._model.fit(self._features[self._rows], pays)
