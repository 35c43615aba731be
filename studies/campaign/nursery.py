"""Processes that work for a crew: started each by itself, or forked from one that has imported."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CAN_FORK = sys.platform == "linux"
"""Elsewhere the system's own libraries may not be forked, or nothing can."""
LARGEST = 1 << 16
"""Bytes of a message."""
_ROOM = f"{__package__}."


class Alone:
    """A worker that was started by itself.

    Parameters
    ----------
    request
        What it is told; see `_worker`.
    environment, stderr
        Its own.
    """

    def __init__(self, request: str, environment: Mapping[str, str], stderr: IO[bytes]) -> None:
        self.process = subprocess.Popen(
            _module("_worker", request),
            stdin=subprocess.PIPE,  # open until the end: the child ends itself when it closes
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            encoding="utf-8",
            env=environment,
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def end(self, seconds: float) -> int:
        """Return its exit code, once it has ended by itself in so many seconds or was killed."""
        with suppress(subprocess.TimeoutExpired):  # its own exit code tells more than our kill
            self.process.wait(seconds)
        self.process.kill()
        return self.process.wait()


class Nursery:
    """A process that imports torch and the solvers once, and forks workers that need not.

    No function of the user's runs in it, so that no thread and no GPU is in use when it forks.

    Parameters
    ----------
    environment
        Its own and the workers'.
    stderr
        Where it writes why it cannot fork, if so.
    """

    def __init__(self, environment: Mapping[str, str], stderr: IO[bytes]) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                _module("_nursery", str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                env=environment,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # with its workers: Ctrl-C is the parent's to handle
            )
        self._forked = 0

    def fork(self, request: str, stderr: IO[bytes]) -> Forked:
        """Have a worker forked as soon as all is imported, without waiting for it."""
        their_in, our_in = os.pipe()
        our_out, their_out = os.pipe()
        stdin, stdout = (
            os.fdopen(our_in, "w", encoding="utf-8"),
            os.fdopen(our_out, encoding="utf-8"),
        )
        worker = Forked(self, self._forked, stdin, stdout)
        self._forked += 1
        message = json.dumps([worker.number, request]).encode()
        with suppress(OSError):  # the nursery may be gone: then the worker's pipe is closed at once
            socket.send_fds(self.socket, [message], [their_in, their_out, stderr.fileno()])
        os.close(their_in)
        os.close(their_out)
        return worker

    def end_one(self, number: int, seconds: float) -> int:
        """Return a worker's exit code; see `Alone.end`."""
        with suppress(OSError):
            self.socket.send(json.dumps([number, seconds]).encode())
            while told := self.socket.recv(LARGEST):
                worker, code = json.loads(told)
                if worker == number:
                    return int(code)
        return self.process.wait()

    def end(self) -> None:
        """Kill it, its workers, and what these have started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.socket.close()


@dataclass(eq=False)
class Forked:
    """A worker that was forked; see `Alone`."""

    nursery: Nursery
    number: int
    stdin: IO[str]
    stdout: IO[str]

    def end(self, seconds: float) -> int:
        """Return its exit code, once it has ended by itself in so many seconds or was killed."""
        return self.nursery.end_one(self.number, seconds)


def _module(name: str, argument: str) -> list[str]:
    # -P: a file of the user's that is called like a module of ours stays out of it.
    return [sys.executable, "-P", "-m", f"{_ROOM}{name}", argument]
