"""Read what labelcut wrote: problem files and solutions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InvalidInput
from .problem_files import read_problem
from .solution_files import load_solution
from .temporal_coherence import TemporalCoherence
from .video_files import is_video_file, read_video_file

if TYPE_CHECKING:
    from .error_estimate import ErrorEstimate
    from .selection import Selection, SelectionProblem


def load(path: str | Path) -> SelectionProblem | TemporalCoherence | Selection | ErrorEstimate:
    """Read a problem from a ``.toml`` file or a solution from a ``.json`` file.

    Raises
    ------
    InvalidInput
        If the file is missing, of another kind, or breaks a rule; or a tracker must run first.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".toml":
        if is_video_file(path):
            content = read_video_file(path)
            if content.tracked is not None:
                offsets = content.tracking.offsets
                return TemporalCoherence(
                    content.detections, content.tracked, offsets, **content.parameters
                )
            raise InvalidInput(
                f"{Path(path).name}: a video problem, whose tracker must run first; pass it to "
                "labelcut.studies.video_problem(read_video_file(path)), or to labelcut solve"
            )
        return read_problem(path).problem
    if suffix == ".json":
        return load_solution(path)
    raise InvalidInput(f"{path}: must be a problem (.toml) or a solution (.json); name one")
