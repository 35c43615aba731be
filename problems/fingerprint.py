"""One name for one problem: a hash of its values, whatever array type or file held them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

SIZE = 16


class ArrayHash:
    """Running blake2b of one array's name, shape and values in C order.

    Numbers are hashed as float64 or int64, so that float32 in NumPy, torch or a file agree;
    negative zero and the many NaNs are made one.

    Examples
    --------
    >>> whole, halves = ArrayHash("u", (2,)), ArrayHash("u", (2,))
    >>> whole.update(np.array([0.5, 1.0]))
    >>> halves.update(np.array([0.5], np.float32)), halves.update(np.array([1.0]))
    (None, None)
    >>> whole.digest() == halves.digest()
    True
    """

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self._hash = hashlib.blake2b(json.dumps([name, *shape]).encode(), digest_size=SIZE)

    def update(self, values: npt.NDArray[Any]) -> None:
        """Add the next values in C order."""
        if values.dtype.kind in "iub":
            numbers = np.ascontiguousarray(values, dtype="<i8")
        else:
            with np.errstate(invalid="ignore"):  # signalling NaNs, in memory nobody filled
                numbers = np.add(values, 0.0, dtype="<f8", order="C")
            missing = np.isnan(numbers)
            if missing.any():
                numbers[missing] = np.nan
        self._hash.update(numbers.data)

    def digest(self) -> bytes:
        """Return the hash of all values so far."""
        return self._hash.digest()


def hash_array(name: str, values: npt.NDArray[Any]) -> bytes:
    """Hash one array that is in memory."""
    running = ArrayHash(name, values.shape)
    if values.dtype.kind in "US":
        running.update(np.frombuffer(json.dumps(values.tolist()).encode(), dtype=np.uint8))
    else:
        running.update(values)
    return running.digest()


def fingerprint(kind: str, parameters: Mapping[str, Any], arrays: Iterable[bytes]) -> str:
    """Return the hex blake2b of a problem's kind, its parameters and its arrays' hashes."""
    head = json.dumps([kind, dict(parameters)], sort_keys=True).encode()
    running = hashlib.blake2b(head, digest_size=SIZE)
    for digest in arrays:
        running.update(digest)
    return running.hexdigest()
