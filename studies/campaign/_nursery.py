"""The child that imports what workers need, and forks one whenever its parent asks for it."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from importlib import import_module

from ._worker import work
from .nursery import LARGEST

NEEDED = ("torch", "threadpoolctl", "scipy.sparse", "scipy.spatial", "scipy.optimize")
"""What training, scoring and the solvers would import in each worker."""
_LOOK = 0.01
"""Seconds between two looks at a worker that is to end."""


def main() -> None:
    """Read what to fork ``[number, request]`` and what to end ``[number, seconds]``."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in NEEDED:
        import_module(name)
    gc.freeze()  # or a worker's first collection would copy all that is shared
    children: dict[int, int] = {}
    told = 0.0
    while True:
        message, files, _, _ = socket.recv_fds(control, LARGEST, 3)
        if not message:
            return  # the parent is gone
        number, asked = json.loads(message)
        if not files:
            control.send(json.dumps([number, _ended(children[number], asked)]).encode())
            continue
        # Not `now`: it would count the workers that have ended, which tell of themselves.
        spent = time.process_time()
        children[number] = os.fork()
        if not children[number]:
            control.close()
            _become(asked, files, spent - told)
        told = spent
        for file in files:
            os.close(file)


def _become(request: str, files: list[int], spent: float) -> None:
    """Be a worker from now on: its end is the end of the process."""
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        work(json.loads(request), spent)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _ended(child: int, seconds: float) -> int:
    """Return the exit code of a child that has so many seconds to end by itself."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_LOOK)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main()
