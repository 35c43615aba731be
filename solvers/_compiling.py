"""Compiled loops, ready in time: their first use may take seconds, and the clock goes on."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from ._clock import OutOfTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._clock import Clock


RARE = 50_000
"""New objects between two collections while numba is imported, which leaves little garbage."""
INTERPRETED = 1_000_000
"""Values of arrays that plain loops get through in about the time that numba takes to load."""
SLOWNESS = 2e-7
"""Seconds that they take for a value."""
PATIENCE = 1.0
"""Seconds that loading may take before they go on meanwhile, as compiling takes longer."""
ONE_AT_A_TIME = Lock()


def to_compile(function: Callable[..., Any], **options: Any) -> Any:
    """Return a function that numba compiles, kept on disk where some folder can be written."""
    import numba

    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)


class Loops:
    """The loops of a package: plain Python while little was asked of them, compiled from then on.

    numba and the loops take half a second to load, and many to compile for the first time. Small
    problems are solved in less, and others lose at most as much again. Both give the same to the
    last bit.

    Parameters
    ----------
    package
        Which has functions over arrays in ``_loops``, and the same compiled in ``_kernels``.
    """

    def __init__(self, package: str) -> None:
        self.package = package
        self.left, self.patience = INTERPRETED, PATIENCE

    def run(self, clock: Clock, name: str, *arguments: Any) -> None:
        """Run a loop, which writes into some of the arrays that it is given.

        Raises
        ------
        OutOfTime
            If the clock runs out before it is compiled, and would before plain Python is done.
        """
        size = sum(np.size(argument) for argument in arguments)
        self.left -= size
        if self.left < 0:
            seconds = SLOWNESS * size
            thread = _compiling(self.package, ())
            waited = -clock.elapsed()
            thread.join(min(max(self.patience, seconds), clock.remaining()))
            self.patience -= waited + clock.elapsed()
            if not thread.is_alive():
                getattr(import_module("._kernels", self.package), name)(*arguments)
                return
            if seconds > clock.remaining():
                raise OutOfTime
        lists = [given.tolist() if np.ndim(given) else given for given in arguments]
        getattr(import_module("._loops", self.package), name)(*lists)
        for given, values in zip(arguments, lists, strict=True):
            if np.ndim(given) and given.flags.writeable:
                given[:] = values


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
