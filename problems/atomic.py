"""Files that are whole or not there: written under a temporary name, then renamed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp, mkstemp

from .errors import InvalidInput


def require_writable(path: Path) -> None:
    """Raise `InvalidInput` unless a file may be written at `path`."""
    if path.is_dir():
        raise InvalidInput(f"{path}: is a folder; give a file name")
    folder = path.parent
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: no such folder; make it or write somewhere else")
    if not os.access(folder, os.W_OK):
        raise _unwritable(folder)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path` that becomes `path` when all went well."""
    require_writable(path)
    try:
        handle, name = mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    except OSError:
        raise _unwritable(path.parent) from None
    os.close(handle)
    os.chmod(name, 0o666 & ~_umask())
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise _unwritten(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder whose files move into the folder `path` when all went well."""
    require_writable(path.with_name(f"{path.name}.probe"))
    if path.exists() and not path.is_dir():
        raise InvalidInput(f"{path}: is a file where a folder is needed; choose another name")
    try:
        temporary = Path(mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError:
        raise _unwritable(path.parent) from None
    try:
        yield temporary
        path.mkdir(exist_ok=True)
        for file in temporary.iterdir():
            file.replace(path / file.name)
    except OSError as error:
        raise _unwritten(path, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unwritable(folder: Path) -> InvalidInput:
    return InvalidInput(f"{folder}: the folder cannot be written; choose another output folder")


def _unwritten(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"{path}: cannot be written ({error.strerror or error}); free space there or choose "
        "another place"
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
