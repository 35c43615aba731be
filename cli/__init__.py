"""The command line: parses, calls, prints.

Tables and progress go to stderr; with ``--json`` one object goes to stdout. Exit codes: 0 an
answer, 1 infeasible or a failed check, 2 bad input, 3 stopped without an answer, 130 Ctrl-C.
"""

from __future__ import annotations

from . import advise, campaign, policy, scoring, solving, studying
from .app import app
from .printing import fail

__all__ = ["advise", "campaign", "main", "policy", "scoring", "solving", "studying"]


def main() -> None:
    """Run the command line; errors of the user's making are one line and exit code 2."""
    from ..problems.errors import CheckFailed, InfeasibleSelection, LabelcutError

    try:
        app(standalone_mode=True)
    except (CheckFailed, InfeasibleSelection) as error:
        fail(f"check failed: {error}", 1)
    except (LabelcutError, OSError) as error:
        fail(f"error: {error}", 2)
