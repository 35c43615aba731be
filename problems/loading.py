"""Read what labelcut wrote: problem files and solutions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InvalidInput
from .problem_files import read_problem
from .solution_files import load_solution

if TYPE_CHECKING:
    from .error_estimate import ErrorEstimate
    from .selection import Selection, SelectionProblem


def load(path: str | Path) -> SelectionProblem | Selection | ErrorEstimate:
    """Read a problem from a ``.toml`` file or a solution from a ``.json`` file.

    Raises
    ------
    InvalidInput
        If the file is missing, of another kind, or breaks a rule.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".toml":
        return read_problem(path).problem
    if suffix == ".json":
        return load_solution(path)
    raise InvalidInput(f"{path}: must be a problem (.toml) or a solution (.json); name one")
