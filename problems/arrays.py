"""The array border: NumPy, torch on any device, memory-mapped files and shards become one thing.

Backends are told apart here and nowhere else. What leaves this module is NumPy in float64, int64
or bool, a chunk of rows at a time, so that no input is ever copied whole.
"""

import math
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace, device, is_torch_array

from .errors import InvalidInput

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Rows = slice | Ints
"""A slice with both ends, or row numbers."""

CHUNK_VALUES = 1 << 20
"""Values in one chunk: 8 MB in float64."""
LARGEST = 1e290
"""What absolute values may sum to, so that what is added to such sums is still a number."""


def to_numpy(values: Any, name: str = "array") -> npt.NDArray[Any]:
    """Return any array-like as a NumPy array, without a copy where the backend allows it."""
    if is_torch_array(values):
        tensor = values.detach().cpu()
        is_bfloat16 = str(tensor.dtype) == "torch.bfloat16"
        return np.asarray((tensor.float() if is_bfloat16 else tensor).numpy())
    if hasattr(values, "toarray"):
        raise InvalidInput(
            f"{name}: must be dense; got a sparse {type(values).__name__}; pass its .toarray()"
        )
    try:
        return np.asarray(values)
    except ValueError:
        raise InvalidInput(
            f"{name}: every row must have the same length; got rows of several lengths; "
            "pass a rectangular array"
        ) from None


def dtype_name(array: Any) -> str:
    """Return the type of an array's values, such as ``float32``, whatever backend or byte order."""
    return getattr(array.dtype, "name", str(array.dtype)).removeprefix("torch.")


def freeze(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view of an array."""
    view = array.view()
    view.flags.writeable = False
    return view


def as_number(value: Any, name: str) -> float:
    """Return one real number as a float; bools are none."""
    number = to_numpy(value, name)
    if type(value) is int and number.dtype.kind == "O":  # beyond 64 bits
        if abs(value) < 1 << 1023:
            return float(value)
        return math.inf if value > 0 else -math.inf
    if number.shape != () or number.dtype.kind not in "fiu":
        raise InvalidInput(f"{name}: must be one number; got {value!r}; pass a float or an int")
    return float(number)


def as_vector(values: Any, name: str, size: int | None = None) -> Floats:
    """Return a read-only float64 vector of `size` values; finiteness is the caller's to check."""
    vector = to_numpy(values, name)
    if vector.dtype.kind not in "fiub":
        raise InvalidInput(f"{name}: must be real numbers; got {vector.dtype}; convert to float")
    if vector.ndim != 1:
        raise InvalidInput(
            f"{name}: must be one-dimensional; got shape {vector.shape}; pass one value for each"
        )
    if size is not None and len(vector) != size:
        raise InvalidInput(
            f"{name}: must have {size} values; got {len(vector)}; pass one value for each"
        )
    copy = np.array(vector, dtype=np.float64)
    return freeze(copy)


def require_moderate(values: Floats, name: str) -> None:
    """Raise `InvalidInput` if finite numbers are so large that sums would overflow."""
    with np.errstate(over="ignore"):
        total = float(np.abs(values).sum())
    if total > LARGEST:
        raise InvalidInput(
            f"{name}: absolute values must sum to at most {LARGEST:g}; got {total:.4g}; scale down"
        )


def as_rows(values: Any, name: str, size: int) -> Ints:
    """Return distinct dataset rows, ascending and read-only, from row numbers or a bool mask."""
    rows = to_numpy(values, name)
    if rows.ndim != 1:
        raise InvalidInput(
            f"{name}: must be a one-dimensional list of rows; got shape {rows.shape}; flatten it"
        )
    if rows.dtype == np.bool_:
        if len(rows) != size:
            raise InvalidInput(
                f"{name}: a mask must have one value for each of {size} rows; got {len(rows)}"
            )
        return freeze(np.flatnonzero(rows).astype(np.int64))
    integers = as_integers(rows, name)
    outside = integers[(integers < 0) | (integers >= size)]
    if len(outside):
        raise InvalidInput(
            f"{name}: rows must lie in 0..{size - 1}; got {outside[0]}; pass rows of the dataset"
        )
    ascending = np.sort(integers)
    twice = ascending[1:][ascending[1:] == ascending[:-1]]
    if len(twice):
        raise InvalidInput(f"{name}: rows must be distinct; row {twice[0]} comes twice; drop one")
    return freeze(ascending)


def as_integers(values: Any, name: str) -> Ints:
    """Return whole numbers as int64; floats are taken when they are whole."""
    array = to_numpy(values, name)
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind not in "iuf":
        raise InvalidInput(f"{name}: must be whole numbers; got {array.dtype}; pass integers")
    if array.dtype.kind == "f":
        wrong = array[~((np.abs(array) < 2.0**63) & (array == np.floor(array)))]
        if len(wrong):
            raise InvalidInput(f"{name}: must be whole numbers; got {wrong[0]}; pass integers")
    return array.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Matrix:
    """N rows by d columns in one array or in shards, read as float64 a chunk at a time.

    Parameters
    ----------
    parts
        Arrays ``(n_s, d)`` in row order: NumPy, memory-mapped or torch on any device. They are
        kept as given and never copied.
    """

    parts: tuple[Any, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return sum(len(part) for part in self.parts), int(self.parts[0].shape[1])

    @property
    def itemsize(self) -> int:
        """Bytes of one stored value."""
        return int(getattr(self.parts[0], "itemsize", 8))

    @property
    def in_numpy(self) -> bool:
        """Whether all parts are NumPy's, which works in one thread and lets others work."""
        return all(isinstance(part, np.ndarray) for part in self.parts)

    def chunks(self) -> Iterator[tuple[int, Floats]]:
        """Yield ``(first row, values)`` over all rows, in order."""
        step = max(CHUNK_VALUES // max(self.shape[1], 1), 1)
        first = 0
        for part in self.parts:
            for start in range(0, len(part), step):
                yield first + start, _as_float64(part[start : start + step])
                _forget_pages(part)
            first += len(part)

    def take(self, rows: Ints) -> Floats:
        """Return the values of some rows ``(k, d)``, in the order asked for."""
        taken = np.empty((len(rows), self.shape[1]))
        first = 0
        for part in self.parts:
            here = np.flatnonzero((rows >= first) & (rows < first + len(part)))
            if len(here):
                taken[here] = _as_float64(part[rows[here] - first])
                _forget_pages(part)
            first += len(part)
        return taken

    def stored(self, rows: Rows) -> Any:
        """Return rows as they are stored, in the order asked for.

        A slice inside one shard is not copied.
        """
        if isinstance(rows, slice):
            return _joined(
                [part[max(rows.start - at, 0) : max(rows.stop - at, 0)] for at, part in self._at()]
            )
        if len(self.parts) == 1:
            return _rows_of(self.parts[0], rows)
        where = [np.flatnonzero((rows >= at) & (rows < at + len(part))) for at, part in self._at()]
        some = [
            _rows_of(part, rows[here] - at)
            for here, (at, part) in zip(where, self._at(), strict=True)
        ]
        # What came shard by shard goes back into the order asked for.
        return _rows_of(_joined(some), np.argsort(np.concatenate(where)))

    def _at(self) -> Iterator[tuple[int, Any]]:
        """Yield the shards, each with its first row."""
        first = 0
        for part in self.parts:
            yield first, part
            first += len(part)

    def price(self, weights: Floats) -> Floats:
        """Return the matrix times a vector ``(d,)``, computed where and as the parts are stored."""
        product = np.empty(self.shape[0])
        for first, block in self._blocks():
            product[first : first + len(block)] = _as_float64(block @ like(weights, block))
        return product

    def weigh(self, weights: Floats) -> Floats:
        """Return a vector ``(N,)`` times the matrix, computed where and as the parts are stored."""
        total = np.zeros(self.shape[1])
        for first, block in self._blocks():
            total += _as_float64(like(weights[first : first + len(block)], block) @ block)
        return total

    def _blocks(self) -> Iterator[tuple[int, Any]]:
        """Yield ``(first row, rows as stored)`` in floating point; whole on other devices."""
        first = 0
        for part in self.parts:
            on_cpu = str(device(part)) == "cpu"
            step = max(8 * CHUNK_VALUES // self.shape[1], 1) if on_cpu else len(part)
            for start in range(0, len(part), step):
                block = part[start : start + step]
                yield first + start, block if "float" in dtype_name(part) else _as_float64(block)
                _forget_pages(part)
            first += len(part)


def _joined(parts: list[Any]) -> Any:
    full = [part for part in parts if len(part)] or parts[:1]
    if len(full) == 1:
        return full[0]
    if len({(array_namespace(part), str(device(part))) for part in full}) > 1:
        full = [to_numpy(part) for part in full]
    return array_namespace(*full).concat(full)


def _rows_of(part: Any, rows: Ints) -> Any:
    xp = array_namespace(part)
    return xp.take(part, xp.asarray(_writeable(rows), device=device(part)), axis=0)


def _writeable(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # torch warns of arrays that it could write into and should not, and takes no negative strides.
    plain = values.flags.writeable and min(values.strides, default=0) >= 0
    return values if plain else values.copy()


def as_slice(rows: Ints) -> Rows:
    """Return rows as a slice where each is the one after the one before."""
    if not len(rows) or int(rows[-1]) - int(rows[0]) + 1 != len(rows) or (np.diff(rows) != 1).any():
        return rows
    return slice(int(rows[0]), int(rows[-1]) + 1)


def like(values: npt.NDArray[Any], block: Any) -> Any:
    """Return values in the type and on the device of a block."""
    return array_namespace(block).asarray(
        _writeable(values), dtype=block.dtype, device=device(block)
    )


def product_type(block: Any, dtype: type) -> Any:
    """Return the type to multiply a block in: `dtype`, or float64 where that would lose bits.

    Torch can be told to take TF32 or bfloat16 for products of float32, which errs far more than
    float32 does; of float64 it takes none.
    """
    xp = array_namespace(block)
    asked = getattr(xp, "get_float32_matmul_precision", None)
    try:
        whole = asked is None or (
            asked() == "highest" and not xp.is_autocast_enabled(device(block).type)
        )
    except RuntimeError:  # Set by its newer names, which this one cannot tell.
        whole = False
    return getattr(xp, dtype.__name__) if whole else xp.float64


def as_matrix(values: Any, name: str) -> Matrix:
    """Return one array, or a list of shards with the same columns, as a `Matrix`."""
    if isinstance(values, Matrix):
        return values
    sharded = isinstance(values, Sequence) and all(getattr(v, "ndim", 0) == 2 for v in values)
    parts = tuple(values) if sharded else (values,)
    parts = tuple(part if is_torch_array(part) else to_numpy(part, name) for part in parts)
    if not parts:
        raise InvalidInput(f"{name}: must have rows; got an empty list; pass an array (N, columns)")
    for part in parts:
        dtype = dtype_name(part)
        if not dtype.startswith(("float", "int", "uint", "bool", "bfloat")):
            raise InvalidInput(f"{name}: must be real numbers; got {dtype}; convert to float32")
        if part.ndim != 2:
            raise InvalidInput(
                f"{name}: must be two-dimensional (rows, columns); got shape {tuple(part.shape)}"
            )
        if part.shape[1] != parts[0].shape[1]:
            raise InvalidInput(
                f"{name}: shards must have the same columns; "
                f"got {parts[0].shape[1]} and {part.shape[1]}; save them alike"
            )
    matrix = Matrix(parts)
    if 0 in matrix.shape:
        raise InvalidInput(f"{name}: must have rows and columns; got shape {matrix.shape}")
    return matrix


def _as_float64(values: Any) -> Floats:
    # One memory order, so that sums are taken in one order however the input is laid out.
    return np.asarray(to_numpy(values), dtype=np.float64, order="C")


def _forget_pages(part: Any) -> None:
    """Give back the pages of a shared memory map, which would count as ours once read.

    A private map holds the caller's changes in those very pages, so only maps that are known to
    be shared are touched: a bare `mmap.mmap` does not tell.
    """
    base, shared = part, False
    while isinstance(base, np.ndarray):
        shared = shared or (isinstance(base, np.memmap) and base.mode in ("r", "r+", "w+"))
        base = base.base
    if shared and isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
