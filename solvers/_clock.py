"""The wall clock that every solver obeys."""

import math
import time

GRACE = 0.3
"""Seconds beyond the limit in which a first answer may still be found."""


class OutOfTime(Exception):
    """The time limit has passed; `solve` turns it into the best answer so far."""


class Clock:
    """Wall-clock budget of one run, in seconds from its construction.

    Parameters
    ----------
    limit
        Seconds the run may take; ``math.inf`` for no limit.

    Examples
    --------
    >>> Clock(60.0).remaining() <= 60.0
    True
    """

    def __init__(self, limit: float = math.inf) -> None:
        self.limit = limit
        self._start = time.perf_counter()

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(self.limit - self.elapsed(), 0.0)

    def check(self) -> None:
        """Raise `OutOfTime` once the limit has passed."""
        if self.elapsed() >= self.limit:
            raise OutOfTime

    def check_late(self) -> None:
        """Raise `OutOfTime` once the limit has passed by `GRACE`: for first answers."""
        if self.elapsed() >= self.limit + GRACE:
            raise OutOfTime
