"""Where scores go as they come: arrays in memory."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ._loaders import mismatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

Arrays = Mapping[str, "NDArray[Any]"]


class Table(Protocol):
    """Arrays by name, all over the rows of one dataset."""

    @property
    def done(self) -> "NDArray[np.bool_] | None":
        """Mask of the rows that are there already, None if none are."""

    def write(self, rows: "NDArray[np.int64]", blocks: Arrays) -> None:
        """Put in some rows of every array."""

    def close(self) -> None:
        """Keep what is there; called however the run ends."""

    def arrays(self) -> "dict[str, NDArray[Any]]":
        """Return the arrays, or raise a ValueError if rows are missing."""


class MemoryTable:
    """Arrays in memory, in place from the start where the number of rows is known.

    Parameters
    ----------
    size
        Number of rows of the dataset, if known.
    """

    done = None

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._count = 0
        self._rows: list[NDArray[np.int64]] = []
        self._blocks: dict[str, list[NDArray[Any]]] = {}
        self._seen = np.zeros(size or 0, dtype=bool)

    def write(self, rows: "NDArray[np.int64]", blocks: Arrays) -> None:
        """Put in some rows of every array."""
        where = as_slice(rows)
        for name, block in blocks.items():
            check_columns(block, self._blocks.setdefault(name, []), self._count)
            if self._size is None:
                # A copy, as a model may write every output into the same buffer.
                self._blocks[name].append(block.copy())
                continue
            if not self._blocks[name]:
                shape = (self._size, *block.shape[1:])
                self._blocks[name] = [np.empty(shape, dtype=block.dtype)]
            self._blocks[name][0][where] = block
        self._count += len(rows)
        if self._size is None:
            self._rows.append(rows)
        else:
            self._seen[where] = True

    def close(self) -> None:
        """Keep what is there; nothing to do."""

    def arrays(self) -> "dict[str, NDArray[Any]]":
        """Return the arrays, or raise a ValueError if rows are missing."""
        if not self._blocks:
            raise ValueError("loader: must give at least one batch; none came; pass a fresh loader")
        if self._size is not None:
            require_all(self._seen)
            return {name: blocks[0] for name, blocks in self._blocks.items()}
        rows = np.concatenate(self._rows)
        joined = {name: np.concatenate(blocks) for name, blocks in self._blocks.items()}
        if np.array_equal(rows, np.arange(len(rows))):
            return joined
        seen = np.zeros(int(rows.max()) + 1, dtype=bool)
        seen[rows] = True
        require_all(seen)
        last = np.zeros(len(seen), dtype=np.int64)
        last[rows] = np.arange(len(rows))
        return {name: array[last] for name, array in joined.items()}


class RaggedTable:
    """Arrays in memory with several rows for each dataset row, more for some than for others.

    Parameters
    ----------
    size
        Number of rows of the dataset, if known.
    """

    done = None

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._blocks: dict[int, Arrays] = {}

    def write(self, rows: "NDArray[np.int64]", blocks: Arrays) -> None:
        """Put in blocks ``(n, R, ...)``, R rows for each of some dataset rows."""
        for k, row in enumerate(rows.tolist()):
            # Copies, so that no row holds on to its whole batch.
            own = {name: block[k].copy() for name, block in blocks.items()}
            for name, before in next(iter(self._blocks.values()), own).items():
                check_columns(own[name], [before], row)
            self._blocks[row] = own

    def close(self) -> None:
        """Keep what is there; nothing to do."""

    def arrays(self) -> "dict[str, NDArray[Any]]":
        """Return the arrays, one after the other, and ``image``: the dataset row of every row."""
        if not self._blocks:
            raise ValueError("loader: must give at least one batch; none came; pass a fresh loader")
        seen = np.zeros(self._size or max(self._blocks) + 1, dtype=bool)
        seen[list(self._blocks)] = True
        require_all(seen)
        order = [self._blocks.pop(row) for row in range(len(seen))]
        lengths = [len(next(iter(own.values()))) for own in order]
        joined = {name: np.concatenate([own[name] for own in order]) for name in order[0]}
        return {"image": np.repeat(np.arange(len(seen)), lengths), **joined}


def as_slice(rows: "NDArray[np.int64]") -> "slice | NDArray[np.int64]":
    """Return rows as a slice where they are consecutive, which is faster to write to."""
    if len(rows) and (rows[1:] - rows[:-1] == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def check_columns(block: "NDArray[Any]", before: "list[NDArray[Any]]", row: int) -> None:
    """Raise a ValueError if a block is shaped otherwise than those before it."""
    if before and block.shape[1:] != before[0].shape[1:]:
        old, new = (" x ".join(map(str, b.shape[1:])) or "no" for b in (before[0], block))
        raise ValueError(columns_changed(old, new, row))


def columns_changed(old: object, new: object, row: int) -> str:
    """Say that a model gave other columns for later rows."""
    return (
        f"model: {old} columns came for the first rows, {new} from row {row} on; all batches must "
        "have the same number"
    )


def require_all(seen: "NDArray[np.bool_]") -> None:
    """Raise a ValueError unless every row has come."""
    if not seen.all():
        missing = f"{int(seen.sum())}"
        raise ValueError(
            f"{mismatch(missing, len(seen))}; row {int(seen.argmin())} is the first that is missing"
        )
