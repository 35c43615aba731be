"""Work on blocks side by side, in threads that wait for nobody."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import local
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

MOST = 8
"""Threads at most: each holds a block."""


def side_by_side(
    work: Callable[[T], object], tasks: Iterable[T], tick: Callable[[], None] | None = None
) -> None:
    """Do some work for each task, on as many threads as BLAS may take, which then takes one each.

    BLAS's own threads share out one product, and spin until the last of them is done: where others
    use the cores, that takes several times as long as one thread does. Here a thread that waits for
    a core holds up nobody, and gathering rows and comparing distances run side by side as well.

    Parameters
    ----------
    work
        Called with each task, in any order; what it writes must be the task's own.
    tasks
        Begun in this order.
    tick
        Called between tasks on this thread; it may raise, to end it.
    """
    waiting = deque(tasks)

    def work_on(look: Callable[[], None] | None) -> None:
        while waiting:
            if look is not None:
                look()
            try:
                task = waiting.popleft()
            except IndexError:
                return
            work(task)

    if len(waiting) < 2:
        work_on(tick)
        return
    with one_blas_thread() as threads:
        others = min(threads, MOST, len(waiting)) - 1
        if others < 1:
            work_on(tick)
            return
        with ThreadPoolExecutor(others) as pool:
            running = [pool.submit(work_on, None) for _ in range(others)]
            try:
                work_on(tick)
            finally:
                waiting.clear()
        for other in running:
            other.result()


class _Held(local):
    """How many threads BLAS had before this thread held it to one, or 0."""

    threads = 0


_held = _Held()


@contextmanager
def one_blas_thread() -> Iterator[int]:
    """Hold BLAS to one thread, and yield how many it had before the outermost of these blocks."""
    if _held.threads:
        yield _held.threads
        return
    _held.threads = max((info["num_threads"] for info in _blas().info()), default=1)
    try:
        with _blas().limit(limits=1):
            yield _held.threads
    finally:
        _held.threads = 0


@cache
def _blas() -> Any:
    """Return the handle on NumPy's BLAS, which is there from the start.

    A search among the files of a process takes 5 ms, too long for each of many small problems.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
