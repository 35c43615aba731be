"""What can go wrong, in classes a caller can tell apart.

Every message names the argument, the rule, what came, and the way out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .arrays import Ints


class LabelcutError(Exception):
    """Base of all errors that labelcut raises on purpose."""


class InvalidInput(LabelcutError, ValueError):
    """An argument, an array or a file breaks a rule; nothing was computed."""


class InfeasibleSelection(LabelcutError, ValueError):
    """A selection breaks one of its problem's constraints."""


class Stuck(LabelcutError):
    """A selection that grew row by row cannot be completed; another one may well be.

    Parameters
    ----------
    rows
        The rows taken, in order.
    """

    def __init__(self, rows: Ints) -> None:
        super().__init__(f"{len(rows)} rows were taken, and the constraints let in no more")
        self.rows = rows


class CheckFailed(LabelcutError):
    """A saved answer is not what it claims to be."""


class UnsupportedProblem(LabelcutError):
    """A method cannot take this problem; the message says which part and which method can."""


class NotEnoughMemory(LabelcutError):
    """The forecast of a run does not fit into the memory that is free."""
