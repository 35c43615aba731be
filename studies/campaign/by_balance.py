"""Class-balanced strategies (thesis ch. 4): by predictions as they are, or prior-corrected."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models import entropy
from ...problems import ClassBalanced, KCenter, correct_priors
from ...problems.errors import InvalidInput
from ...solvers import solve
from ..trade_off import knee
from ._stating import GAP_TOL, answer, rows_of
from .by_uncertainty import bald_values

if TYPE_CHECKING:
    from ...problems import Selection
    from .round import Round

BALANCE = frozenset({"balance", "target", "folds"})
"""Options of class-balanced strategies, beside the common ones."""
CORRECTED = BALANCE | {"chances", "smoothing"}
"""Those of prior-corrected ones."""
TARGET = "fill"
"""The lowest classes rise together; the paper's target may ask for more than the budget brings."""
REPLICATES = 20
"""Of the prior's bootstrap, whose verdict alone is used and no interval."""
STEPS = 12
"""λ that a coreset's search for its own tries."""
SHARE = 0.01
"""What balance may still be gained beyond λ, as a share of all that it can gain."""
CHANCES, QUOTA_CHANCES, CORESET_CHANCES = 2.0, 3.0, 3.0
"""λ in knees where labels are chances: the knee is where predictions are balanced, and there surer
rows still buy balance; of quotas and coresets they buy less. Chosen on other draws than those
reported."""
CORESET_SMOOTHING = 2.0
"""Rows of each class by which the mix is smoothed for coresets, chosen likewise: they look for the
surest rows, and where a share vanishes no row of a class is any. Unsure rows gain nothing by it."""


def entropy_balanced(round: Round, *, corrected: bool = False) -> Selection:
    """Choose by entropy under the class-balance term (thesis eq. 4.8).

    Options: ``balance`` is λ, a number or ``"knee"`` (default): the smallest λ beyond which balance
    gains nothing, found in the run's first cycle and then kept (003 section 4.5.1); ``target``,
    default ``"fill"``.

    Corrected predictions are chances of labels (see `ClassBalanced`), balanced at `CHANCES` knees;
    the option ``chances`` = false takes them for labels, at the knee.
    """
    return _choose(round, entropy(round.probs), corrected)


def bald_balanced(round: Round, *, corrected: bool = False) -> Selection:
    """Choose by BALD under the class-balance term; options as of entropy and BALD."""
    return _choose(round, bald_values(round), corrected)


def pseudo_balanced(round: Round, *, corrected: bool = False) -> Selection:
    """Fill quotas by predicted class, the highest entropy first (thesis 4.5.2, fig. 4.7).

    Corrected ones are chances as of entropy, at `QUOTA_CHANCES` knees.
    """
    make = partial(_program, round, class_probs(round, corrected), entropy(round.probs))
    is_chance = _has_chances(round, corrected)
    problem = _expected(round, make, QUOTA_CHANCES) if is_chance else make(1.0)
    return answer(round, problem, "pseudo-label")


def k_center_balanced(round: Round, *, corrected: bool = False) -> Selection:
    """Cover the pool under the class-balance term (thesis algorithm 2), steered by ℓ2.

    With ℓ1, as printed, the term changes no pick until a class is full; option ``method`` =
    ``"greedy"`` takes it, ``"improve"`` swaps rows until radius and balance are best. λ as of
    entropy, in units of distance; corrected predictions are chances too, at `CORESET_CHANCES`
    knees, of a mix smoothed by `CORESET_SMOOTHING`.
    """
    make = partial(_coreset, round, class_probs(round, corrected, CORESET_SMOOTHING))
    steered = "greedy" if round.options.get("method") == "greedy" else "greedy-l2"
    find = partial(coreset_balance, make, steered)
    if _has_chances(round, corrected):
        problem = make(_frozen(round, lambda: CORESET_CHANCES * find()), labels="chances")
    else:
        problem = make(_frozen(round, find))
    return answer(round, problem, "greedy-l2")


def class_probs(round: Round, corrected: bool, smoothing: float = 0.0) -> Any:
    """Return the round's class probabilities, corrected for the pool's class mix if so asked.

    Held-out predictions of the labeled rows, by cross-validation, calibrate the model first; see
    `labelcut.correct_priors`. Options: ``folds``, default 5, the models this takes in every cycle;
    ``smoothing``, by default what is given here.
    """
    if not corrected:
        return round.probs
    held_out, classes = round.held_out(int(round.options.get("folds", 5)))
    found = correct_priors(
        round.probs,
        np.bincount(round.trained_labels, minlength=round.pool.classes),
        held_out=held_out,
        held_out_classes=classes,
        smoothing=round.options.get("smoothing", smoothing),
        rows=round.candidates,
        replicates=REPLICATES,
        seed=round.seed,
    )
    round.metrics["prior_identified"] = float(found.identified)
    return found.probs


def coreset_balance(make: Any, method: str) -> float:
    """Return the smallest λ of a grid beyond which the imbalance of greedy coresets stays.

    Parameters
    ----------
    make
        From λ to a `KCenter` with class probabilities.
    method
        Of `labelcut.solve`, for λ above 0.
    """
    largest = solve(make(0.0), "greedy").terms["radius"] or 1.0
    tried = [0.0, *np.geomspace(1e-3, 10.0, STEPS) * largest]
    found = [solve(make(weight), method if weight else "greedy") for weight in tried]
    imbalances = np.array([one.terms["imbalance"] for one in found])
    level = imbalances.min() + SHARE * (imbalances[0] - imbalances.min())
    return float(tried[int(np.flatnonzero(imbalances <= level)[0])])


def _choose(round: Round, utility: Any, corrected: bool) -> Selection:
    make = partial(_program, round, class_probs(round, corrected), utility)
    if _has_chances(round, corrected):
        # To the row is close enough: labels will spread by more.
        return answer(round, _expected(round, make, CHANCES), "relaxed")
    weight = _frozen(round, lambda: knee(make(1.0), SHARE))
    # Of the utility at stake: the objective itself may lie near zero, where no gap is small.
    stake = np.sort(np.asarray(utility)[round.candidates])[-round.budget :].sum()
    return answer(round, make(weight), "exact", abs_gap_tol=GAP_TOL * float(stake))


def _has_chances(round: Round, corrected: bool) -> bool:
    """Return whether labels are chances: the option ``chances``, by default where P is right."""
    asked = round.options.get("chances", corrected)
    if not isinstance(asked, bool):
        raise InvalidInput(f"chances: must be true or false; got {asked!r}")
    return asked


def _expected(round: Round, make: Any, knees: float) -> ClassBalanced:
    """Return the program over the labels that will come, at so many knees."""
    weight = _frozen(round, lambda: knees * knee(make(1.0), SHARE))
    problem: ClassBalanced = make(weight, labels="chances")
    return problem


def _program(
    round: Round, probs: Any, utility: Any, balance: float, labels: str = "shares"
) -> ClassBalanced:
    return ClassBalanced(probs, utility, balance=balance, labels=labels, **_targeted(round))


def _coreset(round: Round, probs: Any, balance: float, labels: str = "shares") -> KCenter:
    told = {"balance": balance, "labels": labels, **_targeted(round)}
    return KCenter(round.embeddings, probs=probs, **told)


def _targeted(round: Round) -> dict[str, Any]:
    """Return the rows of a round and what its labels ask for."""
    counts = np.bincount(round.labels, minlength=round.pool.classes)
    target = round.options.get("target", TARGET)
    return {**rows_of(round), "target": target, "labeled_counts": counts}


def _frozen(round: Round, find: Any) -> float:
    """Return λ: as given, as kept, or as found now and kept for the cycles to come."""
    given = round.options.get("balance", "knee")
    if given != "knee":
        if isinstance(given, str):
            raise InvalidInput(f"balance: must be a number or 'knee'; got {given!r}")
        return float(given)
    if "balance" not in round.memory:
        round.memory["balance"] = float(find())
    return float(round.memory["balance"])
