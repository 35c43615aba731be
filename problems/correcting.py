"""Problems whose probabilities are corrected: stated, applied, recorded and saved.

The fingerprint is over the probabilities as given and the correction as stated, not over corrected
values: whoever reads the file derives these anew, to the last bits of their machine.
"""

from __future__ import annotations

import hashlib
import json
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .array_files import require_known
from .arrays import as_matrix, as_vector, to_numpy
from .base import plain
from .class_balanced import ClassBalanced
from .constraints import ExpectedCount
from .errors import InvalidInput
from .fingerprint import SIZE, hash_array
from .priors import AUTO, correct_priors
from .probabilities import Origin, Probabilities, as_probabilities
from .selection import SelectionProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

Problem = TypeVar("Problem", bound=SelectionProblem)
ARRAYS = ("trained_on", "held_out", "held_out_classes")


@dataclass(frozen=True, eq=False)
class Correction:
    """A correction as a problem file states it; the arguments of `correct_priors`.

    Parameters
    ----------
    trained_on
        Rows of each class ``(C,)`` that the classifier learned from.
    method, calibration, smoothing
        As in `correct_priors`.
    held_out, held_out_classes
        Predictions ``(n, C)`` of labeled rows that the model did not learn from, and their classes
        ``(n,)``; or None.
    """

    trained_on: Any
    method: str = "em"
    calibration: str = AUTO
    held_out: Any = None
    held_out_classes: Any = None
    smoothing: float = 0.0

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays that are given, by name."""
        given = {name: getattr(self, name) for name in ARRAYS if name != "held_out"}
        found = {name: to_numpy(value) for name, value in given.items() if value is not None}
        if self.held_out is not None:  # shards become one array
            parts = as_matrix(self.held_out, "held_out").parts
            found["held_out"] = np.concatenate([to_numpy(part) for part in parts])
        return found


def corrected(problem: Problem, correction: Correction) -> Problem:
    """Return a problem over probabilities corrected for the pool's class mix.

    These are the ones that balance classes or, without such, those of `ExpectedCount`; utility,
    target and other constraints stay as they are. The pool is the problem's candidates. Saving the
    problem writes what it was given, and the correction; its solutions record the prior.

    Parameters
    ----------
    problem
        Over the classifier's own probabilities.
    correction
        What the classifier learned from, and how to correct.

    Raises
    ------
    InvalidInput
        For a problem without probabilities, or with quotas over several; if it is corrected
        already; or as `correct_priors` does.

    Examples
    --------
    >>> problem = ClassBalanced([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]], [0.3, 0.5, 0.7], budget=2)
    >>> again = corrected(problem, Correction(trained_on=[5, 5], method="none"))
    >>> again.notes()["correct"]["method"], again.fingerprint == problem.fingerprint
    ('none', False)
    """
    raw = problem.class_probs
    if raw is None:
        raise InvalidInput(
            "[correct]: corrects class probabilities, and this problem has none, neither for its "
            "balance nor in an expected-count; take [correct] out"
        )
    if raw.origin is not None:
        raise InvalidInput("[correct]: the probabilities are corrected already; correct them once")
    quotas = [] if problem.class_balance is not None else _quotas(problem)
    if any(rule.probs.digest != raw.digest for rule in quotas):
        raise InvalidInput(
            "[correct]: corrects one classifier's probabilities, the expected-counts are over "
            "several; take it out and name probabilities that labelcut.correct_priors has corrected"
        )
    outcome = correct_priors(
        raw,
        correction.trained_on,
        method=correction.method,
        calibration=correction.calibration,
        held_out=correction.held_out,
        held_out_classes=correction.held_out_classes,
        smoothing=correction.smoothing,
        rows=problem.candidates,
    )
    found = as_probabilities(outcome.probs, problem.dataset)
    digest = hashlib.blake2b(raw.digest, digest_size=SIZE)
    # Files without smoothing keep the fingerprint that they had before there was any.
    stated = [correction.method, correction.calibration, *_smoothing(correction).values()]
    digest.update(json.dumps(stated).encode())
    for name, values in correction.arrays().items():
        digest.update(hash_array(name, values.astype("f8")))
    origin = Origin(raw, correction, outcome)
    return _with(problem, probs=Probabilities(found.matrix, found.scale, digest.digest(), origin))


def uncorrected(problem: Problem) -> Problem:
    """Return the same problem over the probabilities as they were given."""
    probs = problem.class_probs
    if probs is None or probs.origin is None:
        return problem
    return _with(problem, probs=probs.origin.raw)


def as_shares(problem: Problem) -> Problem:
    """Return the same problem with labels that are taken for shares, where they are chances."""
    balanced = problem.class_balance
    is_plain = balanced is None or balanced.labels == "shares"
    return problem if is_plain else _with(problem, labels="shares")


def _smoothing(correction: Correction) -> dict[str, float]:
    """Return the smoothing by its key, empty where there is none."""
    return {"smoothing": float(correction.smoothing)} if correction.smoothing else {}


def _quotas(problem: SelectionProblem) -> list[ExpectedCount]:
    return [rule for rule in problem.constraints if isinstance(rule, ExpectedCount)]


def _with(problem: Problem, **changes: Any) -> Problem:
    """Return the same problem with other probabilities of the same rows, or other labels."""
    if isinstance(problem, ClassBalanced):
        return replace(problem, **changes)
    other = copy(problem)
    vars(other).pop("fingerprint", None)
    balanced = problem.class_balance
    if balanced is not None:
        object.__setattr__(other, "balancing", replace(balanced, **changes))
        return other
    rules = (
        replace(rule, **changes).bind(problem.dataset) if isinstance(rule, ExpectedCount) else rule
        for rule in problem.constraints
    )
    return replace(problem, constraints=tuple(rules))


def read_correction(table: Mapping[str, Any], read: Callable[[Any, str], Any]) -> Correction:
    """Return what a file's ``[correct]`` table states; `read` reads an array by source and name."""
    require_known(table, {*ARRAYS, "method", "calibration", "smoothing"}, "[correct]")
    for name in ("method", "calibration"):
        if not isinstance(table.get(name, ""), str):
            raise InvalidInput(f"[correct] {name}: must be str; got {table[name]!r}")
    if "trained_on" not in table:
        raise InvalidInput(
            "[correct] trained_on: is missing; count the rows of each class that the classifier "
            "learned from"
        )
    arrays = {name: read(table[name], name) for name in ARRAYS if name in table}
    others = ("method", "calibration", "smoothing")
    return Correction(**arrays, **{name: table[name] for name in others if name in table})


def correction_table(problem: SelectionProblem, write: Callable[[str, Any], str]) -> dict[str, Any]:
    """Return the ``[correct]`` table of a problem, empty if none; `write` puts an array away."""
    _refuse_quotas_of_another(problem)
    probs = problem.class_probs
    origin = None if probs is None else probs.origin
    if origin is None:
        return {}
    correction: Correction = origin.correction
    table: dict[str, Any] = {"method": correction.method, "calibration": correction.calibration}
    table |= _smoothing(correction)
    for name, values in correction.arrays().items():
        is_short = name == "trained_on"
        vector = as_vector(values, name) if is_short else values
        table[name] = plain(vector) if is_short else write(f"correct-{name}", values)
    return table


def _refuse_quotas_of_another(problem: SelectionProblem) -> None:
    """Refuse to write a quota whose probabilities the file would not correct as they are."""
    own = problem.class_probs if problem.class_balance is None else None
    for rule in _quotas(problem):
        if rule.probs.origin is not (None if own is None else own.origin):
            raise InvalidInput(
                f"{rule.title} probs: were corrected by another problem, which no file can state; "
                "pass them as an array"
            )
