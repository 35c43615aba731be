"""Compiled loops, ready in time: their first use may take seconds, and the clock goes on."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any

from ._clock import OutOfTime

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._clock import Clock


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
        import_module("._kernels", package).compile_for(*arguments)

    thread = Thread(target=compile_loops, daemon=True)
    thread.start()
    return thread
