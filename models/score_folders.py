"""Scores on disk: memory-mapped arrays that a stopped run goes on with."""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.format import open_memmap

from ._tables import Arrays, as_slice, check_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

INDEX, DONE = "index.json", "done.npy"
_FORMAT = 1
_KEYS = {"ready", "rows", "arrays", "options"}
# Rows count as done once their values are on the disk, which takes a moment, so not every time.
_SECONDS = 10.0


class FolderTable:
    """Arrays in a folder: ``<name>.npy`` each, ``done.npy``, and ``index.json`` that names them.

    The folder can be stopped at any moment, by SIGKILL too. A row is marked as done when all of
    its values are on the disk, and a run that goes on computes the others again.

    Parameters
    ----------
    folder
        Where they are, or will be.
    size
        Number of rows of the dataset.
    options
        What the values depend on besides the data: they must be the same in a run that goes on.

    Raises
    ------
    ValueError
        If the folder holds another dataset's or model's scores, or something else.
    """

    def __init__(self, folder: Path, size: int, options: Mapping[str, Any]) -> None:
        self._folder = folder
        self._size = size
        self._options = dict(options)
        self._arrays: dict[str, _ArrayFile] = {}
        self._done: NDArray[np.bool_] | None = None
        self._waiting: list[NDArray[np.int64]] = []
        self._flushed = time.monotonic()
        index = _read_index(folder)
        if index is None:
            _require_empty(folder)
            return
        _require_same(folder, index, size, self._options)
        if index["ready"]:
            arrays = _mapped(folder, index)
            self._arrays = {name: _ArrayFile(folder, name, array) for name, array in arrays.items()}
            _mask(folder, index)
            self._done = open_memmap(folder / DONE, mode="r+")

    @property
    def done(self) -> "NDArray[np.bool_] | None":
        """Mask of the rows that are there already."""
        return None if self._done is None else np.array(self._done)

    def write(self, rows: "NDArray[np.int64]", blocks: Arrays) -> None:
        """Put in some rows of every array."""
        if self._done is None:
            self._create(blocks)
        for name, block in blocks.items():
            check_columns(block, [self._arrays[name].mapped], int(rows[0]) if len(rows) else 0)
            self._arrays[name].write(rows, block)
        self._waiting.append(rows)
        if time.monotonic() - self._flushed > _SECONDS:
            self._flush()

    def close(self) -> None:
        """Bring everything to the disk."""
        try:
            if self._done is not None:
                self._flush()
        finally:
            for array in self._arrays.values():
                array.file.close()

    def arrays(self) -> "dict[str, NDArray[Any]]":
        """Return the arrays, memory-mapped, or raise a ValueError if rows are missing."""
        if self._done is None:
            raise ValueError("loader: must give at least one batch; none came; pass a fresh loader")
        return read_arrays(self._folder)

    def _flush(self) -> None:
        for array in self._arrays.values():
            array.flush()
        assert self._done is not None
        for rows in self._waiting:
            self._done[as_slice(rows)] = True
        self._done.flush()  # type: ignore[attr-defined]
        self._waiting.clear()
        self._flushed = time.monotonic()

    def _create(self, blocks: Arrays) -> None:
        """Make the files, once the shapes are known; the index says that they are ready last."""
        shapes = {name: (self._size, *block.shape[1:]) for name, block in blocks.items()}
        dtypes = {name: block.dtype for name, block in blocks.items()}
        need = self._size + sum(
            int(np.prod(shape)) * dtypes[name].itemsize for name, shape in shapes.items()
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"out: must be a folder that can be written; {self._folder} cannot be made "
                f"({error.strerror or error}); choose another one"
            ) from None
        free = shutil.disk_usage(self._folder).free
        if need > free:
            raise _no_space(self._folder, need, free)
        index = {
            "labelcut_scores": _FORMAT,
            "ready": False,
            "rows": self._size,
            "arrays": {n: {"shape": s, "dtype": str(dtypes[n])} for n, s in shapes.items()},
            "options": self._options,
        }
        _write_index(self._folder, index)
        for name, shape in shapes.items():
            array = _allocated(self._folder / f"{name}.npy", shape, dtypes[name])
            self._arrays[name] = _ArrayFile(self._folder, name, array)
        self._done = _allocated(self._folder / DONE, (self._size,), np.dtype(bool))
        _write_index(self._folder, {**index, "ready": True})


class _ArrayFile:
    """An array in a file, written by its rows.

    Not through memory, which takes a page fault for every 4 KB, and where a disk that is full after
    all (one that copies on writing) would kill the process.
    """

    def __init__(self, folder: Path, name: str, mapped: "NDArray[Any]") -> None:
        self.mapped = mapped
        self._folder, self._name = folder, name

    @cached_property
    def file(self) -> FileIO:
        """The file, open for writing."""
        return (self._folder / f"{self._name}.npy").open("r+b", buffering=0)

    def write(self, rows: "NDArray[np.int64]", block: "NDArray[Any]") -> None:
        """Put in some rows."""
        plain = np.ascontiguousarray(block, dtype=self.mapped.dtype)
        width = plain[:1].nbytes
        ends = np.flatnonzero(np.diff(rows) != 1) + 1
        for some in np.split(np.arange(len(rows)), ends) if width else ():
            self.file.seek(self.mapped.offset + int(rows[some[0]]) * width)  # type: ignore[attr-defined]
            left = plain[some[0] : some[-1] + 1].data.cast("B")
            while left:
                try:
                    left = left[self.file.write(left) :]
                except OSError as error:
                    raise self._full(error) from None

    def flush(self) -> None:
        """Bring it to the disk."""
        try:
            os.fsync(self.file.fileno())
        except OSError as error:
            raise self._full(error) from None

    def _full(self, error: OSError) -> ValueError:
        return _no_space(self._folder, self.mapped.nbytes, None, error.strerror or str(error))


def read_arrays(folder: Path) -> "dict[str, NDArray[Any]]":
    """Return the arrays of a folder that a run has finished, memory-mapped and read-only."""
    index = _read_index(folder)
    if index is None:
        raise ValueError(
            f"{folder}: must be a folder of scores; it has no {INDEX}; pass what score(out=) wrote"
        )
    done = _mask(folder, index) if index["ready"] else np.zeros(1, dtype=bool)
    if not done.all():
        raise ValueError(
            f"{folder}: must hold every row; {int(done.sum()):,} of {index['rows']:,} are there, "
            f"row {int(done.argmin())} is the first that is missing; run score() with the same "
            "arguments again, which goes on where it stopped"
        )
    return _mapped(folder, index)


def model_fingerprint(model: "nn.Module") -> str:
    """Return a hash of a model's structure and weights."""
    import torch

    hashed = hashlib.sha256()
    # Addresses, which some modules print, change from process to process.
    hashed.update(re.sub(r"0x[0-9a-fA-F]+", "", repr(model)).encode())
    for name, value in model.state_dict().items():
        hashed.update(f"{name}\0".encode())
        if not isinstance(value, torch.Tensor):
            hashed.update(repr(value).encode())
            continue
        hashed.update(f"{value.dtype}{tuple(value.shape)}\0".encode())
        plain = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        hashed.update(plain.numpy().data)
    return hashed.hexdigest()[:32]


def _require_empty(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out: must be a folder; {folder} is a file; name another place")
    if folder.is_dir() and (named := next(folder.glob("*.npy"), None)):
        raise ValueError(
            f"out: must be an empty folder or one of scores; {folder} holds {named.name} and no "
            f"{INDEX}; choose another folder"
        )


def _require_same(
    folder: Path, index: Mapping[str, Any], size: int, options: Mapping[str, Any]
) -> None:
    """Raise a ValueError if a folder was begun by another run than the one that goes on."""
    if index["rows"] != size:
        raise ValueError(
            f"out: {folder} was begun for {index['rows']:,} rows, the loader gives {size:,}; pass "
            "the loader of the whole dataset, or choose another folder"
        )
    before = index["options"]
    for name, value in options.items():
        if before.get(name) != value:
            came = "" if name == "model" else f" ({before.get(name)!r}, now {value!r})"
            raise ValueError(
                f"out: {folder} was begun with another {name}{came}; scores of both would mix; "
                "choose another folder, or delete this one"
            )


def _read_index(folder: Path) -> dict[str, Any] | None:
    try:
        text = (folder / INDEX).read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        index: dict[str, Any] = json.loads(text)
        if index["labelcut_scores"] == _FORMAT and index.keys() >= _KEYS:
            return index
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(
        f"{folder / INDEX}: must be the index of a folder of scores, format {_FORMAT}; another "
        "file came; choose another folder"
    )


def _write_index(folder: Path, index: Mapping[str, Any]) -> None:
    temporary = folder / f".{INDEX}"
    temporary.write_text(json.dumps(index, indent=1) + "\n")
    temporary.replace(folder / INDEX)


def _mapped(folder: Path, index: Mapping[str, Any]) -> "dict[str, NDArray[Any]]":
    return {
        name: _read(folder, name, told["shape"], told["dtype"])
        for name, told in index["arrays"].items()
    }


def _mask(folder: Path, index: Mapping[str, Any]) -> "NDArray[np.bool_]":
    return _read(folder, Path(DONE).stem, [index["rows"]], "bool")


def _read(folder: Path, name: str, shape: list[int], dtype: str) -> "NDArray[Any]":
    """Return an array of a folder, memory-mapped, or raise a ValueError."""
    try:
        array: NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="r")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder / name}.npy: cannot be read ({error}); score anew into another folder"
        ) from None
    if list(array.shape) != list(shape) or str(array.dtype) != dtype:
        raise ValueError(
            f"{folder / name}.npy: must be {dtype} {shape} as {INDEX} says; "
            f"{array.dtype} {list(array.shape)} came; score anew into another folder"
        )
    return array


def _allocated(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> "NDArray[Any]":
    """Make an array file whose space is taken at once: a full disk would kill the process later."""
    try:
        array = open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, max(path.stat().st_size, 1))
    except OSError as error:
        need = int(np.prod(shape)) * dtype.itemsize
        raise _no_space(path.parent, need, None, error.strerror or str(error)) from None
    return array


def _no_space(folder: Path, need: int, free: int | None, why: str = "") -> ValueError:
    came = why if free is None else f"{free / 1e9:,.2f} GB are free"
    return ValueError(
        f"out: {folder} must take {need / 1e9:,.2f} GB; {came}; free space there, choose another "
        "folder, or ask for fewer outputs"
    )
