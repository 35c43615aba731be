"""Where the time goes: seconds of the clock and of the processor, by what they were spent on."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOCK, PROCESSOR = "seconds_", "seconds_cpu_"
"""What records call them, before the purpose."""


class Spent(NamedTuple):
    """Seconds of the clock, and processor seconds of all threads and of children that ended."""

    clock: float = 0.0
    processor: float = 0.0

    def plus(self, other: Spent) -> Spent:
        """Return the sum."""
        return Spent(self.clock + other.clock, self.processor + other.processor)

    def less(self, other: Spent) -> Spent:
        """Return the difference."""
        return Spent(self.clock - other.clock, self.processor - other.processor)

    def named(self, purpose: str) -> dict[str, float]:
        """Return them as metrics of a record."""
        return {f"{CLOCK}{purpose}": self.clock, f"{PROCESSOR}{purpose}": self.processor}


def now() -> Spent:
    """Return what the clock shows, and what this process has spent since it began."""
    times = os.times()
    children = times.children_user + times.children_system
    return Spent(time.perf_counter(), time.process_time() + children)


@dataclass
class Stopwatch:
    """Seconds by what they were spent on; what is inside counts once, for the inner purpose."""

    spent: dict[str, Spent] = field(default_factory=dict)
    _inside: list[Spent] = field(default_factory=list)

    @contextmanager
    def on(self, purpose: str) -> Iterator[None]:
        """Count the seconds of the block."""
        begun = now()
        self._inside.append(Spent())
        try:
            yield
        finally:
            whole = now().less(begun)
            own = whole.less(self._inside.pop())
            self.spent[purpose] = self.spent.get(purpose, Spent()).plus(own)
            if self._inside:
                self._inside[-1] = self._inside[-1].plus(whole)
