"""What can go wrong, in classes a caller can tell apart.

Every message names the argument, the rule, what came, and the way out.
"""


class LabelcutError(Exception):
    """Base of all errors that labelcut raises on purpose."""


class InvalidInput(LabelcutError, ValueError):
    """An argument, an array or a file breaks a rule; nothing was computed."""


class InfeasibleSelection(LabelcutError, ValueError):
    """A selection breaks one of its problem's constraints."""


class CheckFailed(LabelcutError):
    """A saved answer is not what it claims to be."""


class UnsupportedProblem(LabelcutError):
    """A method cannot take this problem; the message says which part and which method can."""


class NotEnoughMemory(LabelcutError):
    """The forecast of a run does not fit into the memory that is free."""
