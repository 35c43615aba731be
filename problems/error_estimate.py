"""The answer to a video problem: what each detection is, and where objects were missed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from .base import Solution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .arrays import Mask

TRUE_POSITIVE, FALSE_POSITIVE = "TP", "FP"
TRUE_NEGATIVE, FALSE_NEGATIVE = "TN", "FN"
IGNORED = "-"
"""The type of a detection that took no part."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ErrorEstimate(Solution):
    """A type for each detection and each candidate, with the energy's bound and certificate.

    Parameters
    ----------
    types
        ``"TP"`` or ``"FP"`` for each detection ``(M,)``, in the order in which they were given;
        ``"-"`` for one that took no part.
    candidate_types
        ``"TN"`` or ``"FN"`` for each of the problem's candidates ``(C,)``.
    certain, candidate_certain
        Whether every labeling of least energy says the same; None where the method does not tell.
    candidates
        Where the candidates are: columns ``video``, ``frame`` (the user's number), ``class``,
        ``left``, ``top``, ``width``, ``height``.
    table
        One row for each frame of each video: ``video``, ``frame``, ``fp`` and ``fn``; with
        `certain` also ``fp_least``, ``fp_most``, ``fn_least``, ``fn_most``, the counts over all
        labelings of least energy. These rows are frames, not detections.
    """

    kind: ClassVar[str] = "error-estimate"
    types: npt.NDArray[np.str_]
    candidate_types: npt.NDArray[np.str_]
    certain: Mask | None = None
    candidate_certain: Mask | None = None
    candidates: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    table: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    @property
    def false_positives(self) -> npt.NDArray[np.int64]:
        """Rows of the detections that are taken for false positives, ascending."""
        return np.flatnonzero(self.types == FALSE_POSITIVE)

    @property
    def false_negatives(self) -> npt.NDArray[np.int64]:
        """Numbers of the candidates that are taken for missed objects, ascending."""
        return np.flatnonzero(self.candidate_types == FALSE_NEGATIVE)

    def summary(self) -> str:
        """Return the answer in a few lines of text."""
        lines = [f"{len(self.types)} detections by {self.method}: {self.status}"]
        if self.reason:
            lines.append(f"reason     {self.reason}")
        if self.objective is not None:
            sure = "" if self.certain is None else self._sure()
            lines += [
                f"FP         {len(self.false_positives)} of the detections{sure}",
                f"FN         {len(self.false_negatives)} of {len(self.candidate_types)} candidates",
                f"energy     {self.objective:.6g} ({self.sense})",
            ]
        if self.gap is not None:
            lines.append(f"bound      {self.bound:.6g} (gap {self.gap:.2g})")
        lines.append(f"seconds    {self.runtime:.2f} (stopped by {self.stopped_by})")
        return "\n".join(lines)

    def _sure(self) -> str:
        assert self.certain is not None
        wrong = self.types == FALSE_POSITIVE
        certainly = int((wrong & self.certain).sum())
        possibly = int((wrong | (~self.certain & (self.types == TRUE_POSITIVE))).sum())
        return f" ({certainly} certainly, {possibly} possibly)"
