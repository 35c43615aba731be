"""Learning from labels that a model gives itself: two models (thesis 3.5), and CEAL's one."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models import entropy
from ...problems import BudgetedSelection, Forbid
from ...problems.errors import InvalidInput
from ._stating import answer, rows_of
from .training import measured

if TYPE_CHECKING:
    from torch import nn

    from ...problems import Selection
    from ...problems.arrays import Ints
    from .round import Round

PSEUDO = frozenset({"share"})
"""Options of the two models, beside the common ones."""
CEAL = frozenset({"threshold", "decay"})
"""Options of CEAL, beside the common ones."""
SHARE = 0.1
"""Pseudo-labeled rows as a share of the dataset; the thesis takes 0.1 to 0.25."""
THRESHOLD, DECAY = 0.05, 0.0033
"""Entropy below which CEAL believes itself, and by how much less in every cycle (Wang 2017)."""


def prepare_two_models(round: Round, *, certainty: str = "entropy") -> None:
    """Train model B on the labeled rows and on those that model A is surest of.

    A is the campaign's own model, trained on labeled rows only; say ``init = "previous"`` so that
    it goes on from its last weights, as B does, which begins as A. A labels the option ``share`` of
    the dataset, the unlabeled rows of lowest entropy, or of lowest dispersion. The record has A's
    metrics by their names and B's with ``_b``.
    """
    room = max(len(round.candidates) - round.budget, 0)
    count = min(_pseudo_rows(round), room)
    doubt = entropy(round.probs) if certainty == "entropy" else round.dispersion
    rows = _surest(round, doubt, count)
    before = round.models.get("b")
    _learn(round, "b", deepcopy(round.model) if before is None else before, rows)


def two_models(round: Round) -> Selection:
    """Choose by model B's entropy among the rows that are not pseudo-labeled in this cycle."""
    return _choose(round, "b")


prepare_two_models_dispersion = partial(prepare_two_models, certainty="dispersion")


def prepare_ceal(round: Round) -> None:
    """Let one model learn from the labeled rows and from what it is surest of by itself.

    It begins as the campaign's own, which asks first, and believes nothing then. From the second
    cycle on, unlabeled rows of an entropy below the option ``threshold``, less ``decay`` for each
    cycle since, get the class that it predicted before it learns from them. The record has this
    model's metrics with ``_ceal``; the campaign's own is the one without pseudo-labels.
    """
    before = round.models.get("ceal")
    if before is None:
        round.models["ceal"] = deepcopy(round.model)
        _report(round, "ceal", np.zeros(0, dtype=np.int64))
        return
    threshold = float(round.options.get("threshold", THRESHOLD))
    threshold -= (round.cycle - 1) * float(round.options.get("decay", DECAY))
    probs = round.predict(before)[0]
    doubt = np.asarray(entropy(probs))
    free = round.candidates
    sure = free[doubt[free] < threshold]
    # The surest ones where a sure model would leave nothing to ask about.
    room = max(len(free) - round.budget, 0)
    sure = sure[np.argsort(doubt[sure], kind="stable")[:room]]
    _learn(round, "ceal", before, np.sort(sure), probs)


def ceal(round: Round) -> Selection:
    """Choose by the entropy of the model that learned from itself."""
    return _choose(round, "ceal")


def _learn(round: Round, name: str, model: nn.Module, pseudo: Ints, probs: Any = None) -> None:
    """Train a model on labeled and pseudo-labeled rows; keep it, and report it."""
    guessed = (round.probs if probs is None else probs)[pseudo].argmax(axis=1)
    rows = np.concatenate([round.trained, pseudo])
    labels = np.concatenate([round.trained_labels, guessed])
    round.models[name] = round.fit(model, rows, labels)
    truth = round.pool.truth
    if truth is not None and len(pseudo) and (truth[pseudo] >= 0).all():
        round.metrics["pseudo_accuracy"] = float((truth[pseudo] == guessed).mean())
    _report(round, name, pseudo)


def _report(round: Round, name: str, pseudo: Ints) -> None:
    """Remember the pseudo-labeled rows, and report the model that has learned from them."""
    round.memory["pseudo"] = pseudo.tolist()
    round.metrics["pseudo_labels"] = float(len(pseudo))
    with round.watch.on("score"):
        found = measured(round.learner, round.pool, round.models[name])
    for metric, value in found.items():
        round.metrics[f"{metric}_{name}"] = value


def _choose(round: Round, name: str) -> Selection:
    probs, _ = round.predict(round.models[name])
    rows = rows_of(round)
    rows["constraints"].append(Forbid(np.array(round.memory["pseudo"], dtype=np.int64)))
    utility = np.asarray(entropy(probs), dtype=np.float64)
    return answer(round, BudgetedSelection(utility, **rows))


def _surest(round: Round, doubt: Any, count: int) -> Ints:
    """Return so many candidates of least doubt, equal ones in random order."""
    if count < 1:
        return np.zeros(0, dtype=np.int64)
    utility = np.zeros(round.pool.size)
    utility[round.candidates] = -np.asarray(doubt, dtype=np.float64)[round.candidates]
    problem = BudgetedSelection(
        utility, count, labeled=round.labeled, candidates=round.candidates, ties="random"
    )
    return answer(round, problem, "exact").indices


def _pseudo_rows(round: Round) -> int:
    share = float(round.options.get("share", SHARE))
    if not 0 <= share <= 1:
        raise InvalidInput(f"share: must lie in 0..1; got {share}; the thesis takes 0.1 to 0.25")
    return int(share * round.pool.size + 0.5)
