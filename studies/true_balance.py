"""Predicted balance beside true balance: the paper's program and the corrected one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..problems.calibration import reliability
from ..problems.correcting import as_shares, uncorrected
from .metrics import predicted_l1, true_l1

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..problems.arrays import Ints
    from ..problems.calibration import Reliability
    from ..problems.probabilities import Probabilities
    from ..problems.selection import Selection, SelectionProblem


def has_two_programs(problem: SelectionProblem, truth: Ints | None) -> bool:
    """Whether there is a corrected and an uncorrected program, and labels to tell them apart."""
    return truth is not None and _origin(problem) is not None


def paper_program(problem: SelectionProblem) -> SelectionProblem:
    """Return the program over the probabilities as they were given, which are trusted as shares."""
    return as_shares(uncorrected(problem))


def program_rows(
    problem: SelectionProblem,
    truth: Ints | None,
    answers: Mapping[str, tuple[SelectionProblem, Selection | None]],
) -> list[dict[str, Any]]:
    """Return one row a program: its balance as predicted, by its own P, and as labeled.

    Parameters
    ----------
    problem, truth
        What is compared, and the true classes.
    answers
        By the program's name, the problem it solved and its answer, or None without one. Utilities
        are shares of the first one's too.
    """
    rows: list[dict[str, Any]] = []
    for name, (stated, answer) in answers.items():
        balanced = stated.class_balance
        known = answer is not None and answer.objective is not None
        row: dict[str, Any] = {"program": name, "method": None if answer is None else answer.method}
        row |= dict.fromkeys(("l1_predicted", "l1_true", "utility", "utility_share"))
        if known and answer is not None and balanced is not None:
            row["l1_predicted"] = predicted_l1(balanced.probs, answer.indices)
            row["l1_true"] = true_l1(problem, answer, truth)
            row["utility"] = answer.terms.get("utility")
            first = rows[0]["utility"] if rows else row["utility"]
            row["utility_share"] = row["utility"] / first if first and first > 0 else None
        rows.append(row)
    return rows


def reliabilities(problem: SelectionProblem, truth: Ints | None) -> dict[str, Reliability]:
    """Return reliability curves by name: on the pool's labels, where known, and held-out rows.

    Empty without labels, and without class probabilities that balance classes or are corrected.
    """
    own = problem.class_probs
    if own is None or (problem.class_balance is None and own.origin is None):
        return {}
    origin = own.origin
    curves = {}
    if truth is not None:
        rows = problem.candidates[truth[problem.candidates] >= 0]
        if len(rows):
            given: Sequence[tuple[str, Probabilities]] = [("pool, as predicted", own)]
            if origin is not None:
                given = [("pool, as predicted", origin.raw), ("pool, corrected", own)]
            for name, probs in given:
                curves[name] = reliability(probs.take(rows), truth[rows])
    if origin is not None and origin.correction.held_out is not None:
        held_out = np.asarray(origin.correction.held_out, dtype=np.float64)
        classes = origin.correction.held_out_classes
        curves["held out, as predicted"] = reliability(held_out, classes)
        calibrated = origin.outcome.calibration.apply(held_out)
        curves["held out, calibrated"] = reliability(calibrated, classes)
    return curves


def _origin(problem: SelectionProblem) -> Any:
    balanced = problem.class_balance
    return None if balanced is None else balanced.probs.origin
