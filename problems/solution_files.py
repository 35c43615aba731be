"""Solutions as JSON: one object that anyone can read, check and solve from again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .array_files import require_file
from .arrays import as_integers, freeze
from .atomic import atomic_file
from .base import Certificate, Sense, Solution, Status, StoppedBy, plain
from .error_estimate import ErrorEstimate
from .errors import InvalidInput
from .selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FORMAT = 1


def solution_to_dict(solution: Solution) -> dict[str, Any]:
    """Return a solution as JSON's own types, with its gaps."""
    fields = {name: plain(getattr(solution, name)) for name in solution.__dataclass_fields__}
    certificate = solution.certificate
    fields["certificate"] = None if certificate is None else plain(vars(certificate))
    head = {"labelcut": FORMAT, "kind": solution.kind, "fingerprint": fields.pop("fingerprint")}
    return {**head, **fields, "gap": solution.gap, "abs_gap": solution.abs_gap}


def save_solution(solution: Solution, path: str | Path) -> None:
    """Write a solution as JSON, whole or not at all."""
    text = json.dumps(solution_to_dict(solution), indent=1, allow_nan=False)
    with atomic_file(Path(path)) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def load_solution(path: str | Path) -> Selection | ErrorEstimate:
    """Read a solution that `save_solution` wrote.

    Raises
    ------
    InvalidInput
        If the file is missing, is no JSON, or holds something else than a solution.
    """
    path = Path(path)
    require_file(path, "solution")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(f"solution: {path.name} is no JSON ({error}); save it again") from None
    if not isinstance(fields, dict) or fields.get("kind") not in READERS:
        raise InvalidInput(f"solution: {path.name} holds no selection; give one that solve wrote")
    if fields.get("labelcut") != FORMAT:
        raise InvalidInput(
            f"solution: {path.name} has format {fields.get('labelcut')!r}, this version reads "
            f"{FORMAT}; solve again or upgrade labelcut"
        )
    try:
        return READERS[fields["kind"]](fields)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InvalidInput(f"solution: {path.name}: {what}; save it again") from None


def _selection(fields: dict[str, Any]) -> Selection:
    _require_known(fields, Selection)
    return Selection(
        **_common(fields),
        indices=freeze(as_integers(fields["indices"], "indices")),
        order=None if fields["order"] is None else freeze(as_integers(fields["order"], "order")),
        ids=None if fields["ids"] is None else freeze(np.array(fields["ids"])),
        table={name: _column(values) for name, values in fields["table"].items()},
    )


def _estimate(fields: dict[str, Any]) -> ErrorEstimate:
    _require_known(fields, ErrorEstimate)
    masks: dict[str, Any] = {
        name: None if fields[name] is None else freeze(np.array(fields[name], dtype=bool))
        for name in ("certain", "candidate_certain")
    }
    tables: dict[str, Any] = {
        name: {key: _column(values) for key, values in fields[name].items()}
        for name in ("candidates", "table")
    }
    return ErrorEstimate(
        **_common(fields),
        types=freeze(np.array(fields["types"], dtype="<U2")),
        candidate_types=freeze(np.array(fields["candidate_types"], dtype="<U2")),
        **masks,
        **tables,
    )


READERS: Mapping[str, Callable[[dict[str, Any]], Selection | ErrorEstimate]] = {
    Selection.kind: _selection,
    ErrorEstimate.kind: _estimate,
}
"""How the solutions of each kind are read."""


def _require_known(fields: dict[str, Any], kind: type[Solution]) -> None:
    known = {"labelcut", "kind", "gap", "abs_gap", *kind.__dataclass_fields__}
    unknown = sorted(set(fields) - known)
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}")


def _common(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what every kind of solution holds."""
    certificate = fields["certificate"]
    return {
        "sense": Sense(fields["sense"]),
        "objective": _number(fields["objective"]),
        "bound": _number(fields["bound"]),
        "status": Status(fields["status"]),
        "stopped_by": StoppedBy(fields["stopped_by"]),
        "terms": {name: float(value) for name, value in fields["terms"].items()},
        "certificate": None if certificate is None else _certificate(certificate),
        "reason": fields["reason"],
        "method": str(fields["method"]),
        "seed": int(fields["seed"]),
        "runtime": float(fields["runtime"]),
        "info": dict(fields["info"]),
        "fingerprint": str(fields["fingerprint"]),
    }


def _column(values: list[Any]) -> npt.NDArray[Any]:
    return freeze(np.array([np.nan if value is None else value for value in values]))


def _certificate(fields: Mapping[str, Any]) -> Certificate:
    return Certificate(
        kind=str(fields["kind"]),
        recheckable=bool(fields["recheckable"]),
        bound=_number(fields["bound"]),
        values=dict(fields["values"]),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
