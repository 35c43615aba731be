"""Memory of what was done and what came of it, drawn from evenly or by how much was learned."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Rows = dict[str, "NDArray[Any]"]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Experiences drawn from a memory.

    Attributes
    ----------
    places
        Where they lie in the memory ``(n,)``, for `Replay.update`.
    weights
        Importance weights ``(n,)`` float32, at most 1.
    rows
        The arrays by name ``(n, ...)``.
    """

    places: "NDArray[np.int64]"
    weights: "NDArray[np.float32]"
    rows: Rows


class Replay:
    r"""Experiences in a ring of arrays; the oldest give way.

    .. math:: P(i) = \frac{p_i^\eta}{\sum_k p_k^\eta}, \qquad
              w_i = \frac{(N P(i))^{-\zeta}}{\max_j (N P(j))^{-\zeta}}, \qquad
              p_i = |\delta_i| + \epsilon

    with δ the temporal-difference error. New experiences have the largest priority there is, so
    that each is likely to be drawn soon. Experiences are drawn with replacement.

    Parameters
    ----------
    capacity
        N at most.
    exponent
        η: 0 draws evenly, 1 in proportion to the error.
    small
        ε, which keeps experiences without an error in the game.
    seed
        Of the draws.

    References
    ----------
    Mining of Single-Class by Active Learning, eq. 23 and 24 (after Schaul et al. 2016).

    Examples
    --------
    >>> memory = Replay(capacity=4, exponent=1.0, small=0.0)
    >>> memory.add(reward=np.array([1.0, 0.0, 5.0]))
    >>> memory.update(np.arange(3), np.array([3.0, 0.0, 1.0]))
    >>> memory.probabilities()
    array([0.75, 0.  , 0.25])
    """

    def __init__(
        self, capacity: int, *, exponent: float = 0.0, small: float = 1e-3, seed: int = 0
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity: must be 1 or more; {capacity} came; the paper's is 100000")
        if exponent < 0 or small < 0:
            raise ValueError(
                f"exponent, small: must be 0 or more; {exponent} and {small} came; 0 draws evenly"
            )
        self.capacity = capacity
        self.exponent = exponent
        self.small = small
        self._rng = np.random.default_rng(seed)
        self._rows: Rows = {}
        self._priorities = np.zeros(capacity)
        self._next = 0
        self._size = 0

    def __len__(self) -> int:
        """Return how many experiences there are."""
        return self._size

    def add(self, **rows: "NDArray[Any]") -> None:
        """Put experiences in, one array ``(n, ...)`` for each name, the same names every time.

        Raises
        ------
        ValueError
            If names, lengths or shapes differ, or numbers are not finite.
        """
        arrays = {name: np.asarray(array) for name, array in rows.items()}
        count = self._count(arrays)
        if not self._rows:
            self._rows = {
                name: np.zeros((self.capacity, *array.shape[1:]), array.dtype)
                for name, array in arrays.items()
            }
        arrays = {name: array[-self.capacity :] for name, array in arrays.items()}
        at = (self._next + np.arange(min(count, self.capacity))) % self.capacity
        for name, array in arrays.items():
            self._rows[name][at] = array
        highest = self._priorities[: self._size].max(initial=0.0)
        self._priorities[at] = highest if highest > 0 else 1.0
        self._next = int((self._next + len(at)) % self.capacity)
        self._size = min(self._size + len(at), self.capacity)

    def probabilities(self) -> "NDArray[np.float64]":
        """Return P(i) of every experience ``(N,)``."""
        scaled = self._scaled()
        found: NDArray[np.float64] = scaled / scaled.sum()
        return found

    def draw(self, count: int, correction: float = 1.0) -> Drawn:
        """Draw experiences with replacement.

        Parameters
        ----------
        count
            How many.
        correction
            ζ: 0 leaves the draw's bias as it is, 1 takes it out.

        Raises
        ------
        ValueError
            If there are none.
        """
        if not self._size:
            raise ValueError("replay: nothing to draw from; add experiences first")
        scaled = self._scaled()
        sums = np.cumsum(scaled)
        at = np.searchsorted(sums, self._rng.random(count) * sums[-1], side="right")
        places = np.minimum(at, self._size - 1)
        lowest = scaled[scaled > 0].min()
        weights = (lowest / np.maximum(scaled[places], lowest)) ** correction
        rows = {name: array[places] for name, array in self._rows.items()}
        return Drawn(places, weights.astype(np.float32), rows)

    def update(self, places: "NDArray[np.int64]", errors: "NDArray[Any]") -> None:
        """Set priorities from temporal-difference errors ``(n,)``.

        Raises
        ------
        ValueError
            If an error is NaN or infinite; nothing is changed then.
        """
        sizes = np.abs(np.asarray(errors, dtype=np.float64))
        if not np.isfinite(sizes).all():
            raise ValueError(
                "errors: must be finite; NaN or infinity came; lower the learning rate, and look "
                "at features and rewards"
            )
        self._priorities[places] = sizes + self.small

    def state_dict(self) -> dict[str, Any]:
        """Return all there is to go on with, random state included."""
        state = {
            "next": self._next,
            "size": self._size,
            "random": self._rng.bit_generator.state,
            "priorities": self._priorities[: self._size].copy(),
            "rows": {name: array[: self._size].copy() for name, array in self._rows.items()},
        }
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned, of a memory that held no more than this can.

        Raises
        ------
        ValueError
            If it does not fit in.
        """
        size = int(state["size"])
        if size > self.capacity:
            raise ValueError(
                f"capacity: must hold the {size} experiences saved; it is {self.capacity}; make "
                "the memory as large as it was"
            )
        self._next, self._size = int(state["next"]), size
        self._rng.bit_generator.state = state["random"]
        self._priorities[:size] = np.asarray(state["priorities"])
        self._rows = {}
        for name, saved in state["rows"].items():
            array = np.asarray(saved)
            self._rows[name] = np.zeros((self.capacity, *array.shape[1:]), array.dtype)
            self._rows[name][:size] = array
        if size < self.capacity and self._next != size:
            self._unroll()

    def _unroll(self) -> None:
        """Put the oldest first, where a full ring of a smaller memory was taken over."""
        size = self._size
        for array in (self._priorities, *self._rows.values()):
            array[:size] = np.roll(array[:size], -self._next, axis=0)
        self._next = size

    def _scaled(self) -> "NDArray[np.float64]":
        scaled = self._priorities[: self._size] ** self.exponent
        # Where no experience has a priority left, all are alike.
        return scaled if scaled.any() else np.ones(self._size)

    def _count(self, arrays: Rows) -> int:
        if self._rows and arrays.keys() != self._rows.keys():
            raise ValueError(
                f"add: must give {', '.join(self._rows)}; {', '.join(arrays)} came; give the same "
                "arrays every time"
            )
        counts = {len(array) for array in arrays.values()}
        if len(counts) != 1:
            raise ValueError(f"add: arrays must have one length; {sorted(counts)} came")
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(
                    f"add: {name} must be finite; NaN or infinity came; drop such rows"
                )
            if self._rows and array.shape[1:] != self._rows[name].shape[1:]:
                raise ValueError(
                    f"add: {name} must have rows of shape {self._rows[name].shape[1:]}; "
                    f"{array.shape[1:]} came"
                )
        return counts.pop()


def annealed(start: float, end: float, done: int, total: int) -> float:
    """Return what lies between two values, a share of ``done / total`` of the way.

    Examples
    --------
    >>> annealed(0.4, 1.0, 50, 100), annealed(0.4, 1.0, 200, 100)
    (0.7, 1.0)
    """
    return start + (end - start) * min(done / max(total, 1), 1.0)
