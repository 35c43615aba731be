"""Compiled loops, ready in time: their first use may take seconds, and the clock goes on."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from ._clock import OutOfTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._clock import Clock


RARE = 50_000
"""New objects between two collections while numba is imported, which leaves little garbage."""
ONE_AT_A_TIME = Lock()


def to_compile(function: Callable[..., Any], **options: Any) -> Any:
    """Return a function that numba compiles, kept on disk where some folder can be written."""
    import numba

    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)


def compiled(clock: Clock, package: str, *arguments: Any) -> Any:
    """Return a package's module `_kernels` once its loops are compiled or loaded from the disk.

    Compiling goes on in its own thread after the clock has run out, for the next call.

    Parameters
    ----------
    clock
        The run's.
    package
        Whose ``_kernels`` has a function ``compile_for``.
    arguments
        What it takes.

    Raises
    ------
    OutOfTime
        If they are not ready when the clock runs out.
    """
    thread = _compiling(package, arguments)
    thread.join(min(clock.remaining(), 3600.0))
    if thread.is_alive():
        raise OutOfTime
    return import_module("._kernels", package)


@cache
def _compiling(package: str, arguments: tuple[Any, ...]) -> Thread:
    def compile_loops() -> None:
        with ONE_AT_A_TIME, _rare_collections():
            import_module("._kernels", package).compile_for(*arguments)

    thread = Thread(target=compile_loops, daemon=True)
    thread.start()
    return thread


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Collect garbage more rarely: that takes a fifth of the time of numba's import."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], RARE) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
