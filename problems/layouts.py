"""What a problem file of one kind may hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True)
class Layout:
    """Keys of one kind of problem file, beyond what all selection problems share.

    Parameters
    ----------
    parameters
        Types that each key of ``[problem]`` may have.
    arrays
        Keys of ``[data]``.
    sources
        Arrays that a file must hold together; one such group of several, and only one.
    needs_budget
        Whether it must say how many rows to choose.
    """

    parameters: Mapping[str, tuple[type, ...]]
    arrays: tuple[str, ...]
    sources: tuple[tuple[str, ...], ...]
    needs_budget: bool = True

    def require_source(self, given: Collection[str]) -> None:
        """Raise `InvalidInput` unless the arrays that are given state one problem."""
        begun = [group for group in self.sources if any(key in given for key in group)]
        if len(begun) > 1:
            one, other = (next(key for key in group if key in given) for group in begun[:2])
            raise InvalidInput(
                f"[data] {one}, {other}: say the same thing twice over; take one of them out"
            )
        if not begun and len(self.sources) > 1:
            ways = ", or ".join(" and ".join(group) for group in self.sources)
            raise InvalidInput(f"[data] {self.sources[0][0]}: is missing; give {ways}")
        missing = [key for key in (begun or self.sources)[0] if key not in given]
        if missing:
            raise InvalidInput(f"[data] {missing[0]}: is missing; name its array file")


BALANCE_PARAMETERS: Mapping[str, tuple[type, ...]] = {
    "balance": (float, int),
    "target": (str, list),
    "distance": (str,),
    "labels": (str,),
}
BALANCE_ARRAYS = ("probs", "target", "labeled_classes", "labeled_counts", "ground_cost")
