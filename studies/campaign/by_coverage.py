"""Strategies that cover the pool: k-center on features, on uncertain ones, and on gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...models import badge as gradient_factors
from ...models import entropy, least_confidence, margin, second_best_ratio
from ...models import uwe as weighted
from ...problems import Factored, KCenter
from ...problems.errors import InvalidInput
from ._stating import answer, rows_of

if TYPE_CHECKING:
    from ...problems import Selection
    from .round import Round

UNCERTAINTIES = {
    "entropy": entropy,
    "least-confidence": least_confidence,
    "margin": margin,
    "second-best-ratio": second_best_ratio,
}
"""u(x) of `uwe` by name; 004 section 5.3 tries three of them."""


def k_center(round: Round) -> Selection:
    """Choose the row farthest from all labeled and chosen ones, again and again (coreset).

    In 004's ablation this is F: features without their uncertainty.
    """
    return answer(round, KCenter(round.embeddings, **rows_of(round)), "greedy")


def k_center_exact(round: Round) -> Selection:
    """Choose rows so that the farthest row is nearest, proven to the option ``gap_tol``.

    Ten seconds by default (option ``time_limit``); where they end the search, the answer depends on
    the machine.
    """
    problem = KCenter(round.embeddings, **rows_of(round))
    return answer(round, problem, "exact", time_limit=10.0)


def uwe(round: Round) -> Selection:
    """Cover features that are weighted by uncertainty (004 eq. 4); in its ablation this is U+F.

    Options: ``tau``, default 1; ``uncertainty``, default ``"entropy"``, of `UNCERTAINTIES`.
    """
    name = round.options.get("uncertainty", "entropy")
    if name not in UNCERTAINTIES:
        raise InvalidInput(f"uncertainty: must be one of {', '.join(UNCERTAINTIES)}; got {name!r}")
    tau = float(round.options.get("tau", 1.0))
    points = weighted(round.embeddings, UNCERTAINTIES[name](round.probs), tau)
    return answer(round, KCenter(points, **rows_of(round)), "greedy")


def badge(round: Round) -> Selection:
    """Draw rows by D² sampling on gradients of the last layer (BADGE)."""
    space = Factored(*gradient_factors(round.probs, round.embeddings))
    return answer(round, KCenter(space, **rows_of(round)), "k-means++")
