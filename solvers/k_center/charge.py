"""What rows cost beside their distance, as farthest-first asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ...problems.arrays import Floats, Ints


class Charge(Protocol):
    """What a row costs beside its distance; it must not fall unless every row is in the pool."""

    lazy: bool

    def gather(self, rows: Ints) -> None:
        """Prepare to charge these rows."""
        ...

    def gathered(self) -> Floats:
        """Return what the gathered rows cost now ``(k,)``."""
        ...

    def everyone(self) -> Floats:
        """Return what every row costs now ``(N,)``."""
        ...

    def add(self, row: int) -> None:
        """Take a row in."""
        ...
