"""Some places of a structure in order of time, as the loops take them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ...problems.arrays import Ints
    from .structure import Structure


@dataclass(frozen=True, eq=False)
class Line:
    """Some places, and the units that have any of them.

    Parameters
    ----------
    structure
        Whose places they are.
    places
        Numbers of the n places in the structure, ascending: those that are worth their price.
    """

    structure: Structure
    places: Ints

    @cached_property
    def first(self) -> Ints:
        """The first of them that each excludes ``(n,)``, counted among themselves."""
        return np.searchsorted(self.places, self.structure.first[self.places])

    @cached_property
    def last(self) -> Ints:
        """The last of them that each excludes ``(n,)``, counted among themselves."""
        return np.searchsorted(self.places, self.structure.last[self.places], side="right") - 1

    @cached_property
    def starts(self) -> Ints:
        """Where each unit begins that has any of them ``(U + 1,)``."""
        unit = self.structure.unit_of_place[self.places]
        begins = np.flatnonzero(unit[1:] > unit[:-1]) + 1
        return np.concatenate([[0], begins, [len(unit)]]) if len(unit) else np.zeros(1, dtype=int)

    @cached_property
    def units(self) -> Ints:
        """The numbers of these units in the structure ``(U,)``."""
        return self.structure.unit_of_place[self.places[self.starts[:-1]]]

    @cached_property
    def longest(self) -> int:
        """How many of them the longest unit has."""
        return int(np.diff(self.starts).max(initial=0))
