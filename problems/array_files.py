"""Arrays in the files people have: .npy, .npz, .csv, .parquet and .txt, named as in problem files.

A source is ``"scores.npy"``, ``"scores.npz#entropy"``, ``"scores.csv#entropy"``,
``"scores.parquet#entropy"``, ``"rows.txt"``, or ``{file = "a#b.npz", key = "entropy"}`` where the
file's own name holds a ``#``. Pickles are never loaded.
"""

from __future__ import annotations

import csv
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .arrays import Matrix, dtype_name, to_numpy
from .atomic import atomic_file
from .errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".npy", ".npz", ".csv", ".parquet", ".txt")

UNREADABLE = (
    ArithmeticError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    csv.Error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy, zipfile and csv raise over a damaged file."""


def read_array(source: Any, folder: Path, name: str, *, text: bool = False) -> Any:
    """Read one array, or the list of its shards, as a problem file names it.

    Parameters
    ----------
    source
        A source as in the module's head, a list of them (shards, in order), or a list of numbers.
    folder
        What relative paths are relative to.
    name
        The key in the problem file, for messages.
    text
        Keep ``.txt`` and ``.csv`` values as str, so that the id ``007`` stays what it is.

    Returns
    -------
    ndarray or list of ndarray
        ``.npy`` memory-mapped; ``.txt`` and ``.csv`` columns as numbers where all are, else str.
        One-dimensional shards are joined, others stay a list.

    Raises
    ------
    InvalidInput
        A missing, truncated or unknown file, a missing key or column, a pickle.
    """
    if isinstance(source, list):
        if source and all(isinstance(item, str | Mapping) for item in source):
            shards = [read_array(item, folder, name, text=text) for item in source]
            return np.concatenate(shards) if all(s.ndim == 1 for s in shards) else shards
        return to_numpy(source, name)
    path, key = _split(source, folder, name)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidInput(
            f"{name}: {path.name} is no array file; use one of {', '.join(SUFFIXES)}"
        )
    require_file(path, name)
    if suffix in (".npy", ".txt") and key is not None:
        raise InvalidInput(f"{name}: {path.name} holds one array; take '#{key}' off")
    try:
        values = READERS[suffix](path, key, name)
        if isinstance(values, np.ndarray):
            return values
        return np.array(values, dtype=str) if text else _numbers_or_text(values)
    except InvalidInput:
        raise
    except UNREADABLE as error:
        raise InvalidInput(_unreadable(path, name, error)) from None


def require_known(table: Mapping[str, Any], keys: Collection[str], where: str) -> None:
    """Raise `InvalidInput` at a key that a problem file's table may not have."""
    unknown = [key for key in table if key not in keys]
    if unknown:
        near = get_close_matches(unknown[0], keys, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(sorted(keys))}"
        raise InvalidInput(f"{where}: unknown key '{unknown[0]}'; {hint}")


def require_file(path: Path, name: str) -> None:
    """Raise `InvalidInput` unless `path` is a file, with the nearest name that exists."""
    if path.is_dir():
        raise InvalidInput(f"{name}: {path} is a folder; give a file in it")
    if not path.exists():
        near = get_close_matches(path.name, _files_beside(path), n=1)
        hint = f"; did you mean {near[0]}?" if near else "; check the path"
        raise InvalidInput(f"{name}: {path} does not exist{hint}")


def write_array(path: Path, values: npt.NDArray[Any] | Matrix) -> None:
    """Write one array as ``.npy``, a chunk at a time, whole or not at all."""
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        if not isinstance(values, Matrix):
            np.save(file, values, allow_pickle=False)
            return
        fits = {dtype_name(part) for part in values.parts} <= {"float32", "bfloat16", "float16"}
        stored = np.dtype("<f4" if fits else "<f8")
        head = {"descr": stored.str, "fortran_order": False, "shape": values.shape}
        np.lib.format.write_array_header_1_0(file, head)
        for _, chunk in values.chunks():  # written, not mapped: a full disk kills who maps
            file.write(chunk.astype(stored).tobytes())


def _split(source: Any, folder: Path, name: str) -> tuple[Path, str | None]:
    if isinstance(source, str):
        file, _, key = source.partition("#")
        return folder / file, key or None
    if isinstance(source, Mapping):
        require_known(source, {"file", "key"}, name)
        if "file" in source and all(isinstance(value, str) for value in source.values()):
            return folder / source["file"], source.get("key")
    raise InvalidInput(
        f"{name}: must name an array file such as 'scores.npz#entropy', or "
        f"{{ file = 'a#b.npz', key = 'entropy' }}; got {source!r}"
    )


def _read_npy(path: Path, key: str | None, name: str) -> npt.NDArray[Any]:
    del key
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(array, np.lib.npyio.NpzFile):
        array.close()
        raise InvalidInput(f"{name}: {path.name} is an npz archive; rename it to .npz")
    return np.asanyarray(array)


def _read_npz(path: Path, key: str | None, name: str) -> npt.NDArray[Any]:
    with path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise InvalidInput(f"{name}: {path.name} is no npz archive; save it with np.savez")
        with archive:
            key = _pick(key, list(archive.files), path, name, "array")
            return np.asarray(archive[key])


def _read_csv(path: Path, key: str | None, name: str) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        column = header.index(_pick(key, header, path, name, "column"))
        values = []
        for row in rows:
            if len(row) != len(header):
                raise InvalidInput(
                    f"{name}: {path.name} line {rows.line_num} has {len(row)} fields, its header "
                    f"has {len(header)}; mend the line"
                )
            values.append(row[column])
    return values


def _read_parquet(path: Path, key: str | None, name: str) -> npt.NDArray[Any]:
    try:
        from pyarrow import ArrowInvalid, parquet
    except ImportError:
        raise InvalidInput(
            f"{name}: {path.name} needs pyarrow; pip install 'labelcut[parquet]'"
        ) from None
    try:
        key = _pick(key, parquet.read_schema(path).names, path, name, "column")
        return np.asarray(parquet.read_table(path, columns=[key])[key].to_numpy())
    except ArrowInvalid as error:
        raise InvalidInput(_unreadable(path, name, error)) from None


def _read_txt(path: Path, key: str | None, name: str) -> list[str]:
    del key, name
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return lines


READERS: Mapping[str, Callable[[Path, str | None, str], npt.NDArray[Any] | list[str]]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".txt": _read_txt,
}


def _numbers_or_text(values: list[str]) -> npt.NDArray[Any]:
    for dtype in (np.int64, np.float64):
        try:
            return np.array(values, dtype=dtype)
        except (ValueError, OverflowError):
            continue
    return np.array(values)


def _pick(key: str | None, names: list[str], path: Path, name: str, what: str) -> str:
    if key is None and len(names) == 1:
        return names[0]
    if key in names:
        return str(key)
    near = get_close_matches(key or "", names, n=1)
    if not names:
        raise InvalidInput(f"{name}: {path.name} is empty; write it again with a {what}")
    hint = f"did you mean '{near[0]}'?" if near else f"it has: {', '.join(names)}"
    asked = f"has no {what} '{key}'" if key else f"holds several; name one as {path.name}#{what}"
    raise InvalidInput(f"{name}: {path.name} {asked}; {hint}")


def _unreadable(path: Path, name: str, error: Exception) -> str:
    if any(words in str(error) for words in ("pickle", "Object arrays", "Python objects")):
        return (
            f"{name}: {path.name} holds Python objects (a pickle), which are never loaded; "
            "save plain numbers or strings"
        )
    return f"{name}: {path.name} cannot be read ({error}); it may be truncated, write it again"


def _files_beside(path: Path) -> list[str]:
    folder = path.parent
    return [item.name for item in folder.iterdir()] if folder.is_dir() else []
