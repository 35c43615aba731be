"""The HiGHS process and its pipes, as the parent sees them."""

import contextlib
import importlib.util
import os
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from numpy.typing import NDArray

from ..problems.errors import LabelcutError
from ._mip_worker import peak_bytes, read_frame, write_frame

if TYPE_CHECKING:
    from io import FileIO

Frame = tuple[dict[str, Any], dict[str, NDArray[Any]]]


class SolverError(LabelcutError):
    """HiGHS or its process failed; the message ends with what the process wrote to stderr."""


class Child:
    """The worker process and the two threads that talk to it.

    The threads block on the pipes, so that neither a slow child nor a slow callback can hold up
    the deadline or the other side; killing the child ends both.
    """

    def __init__(self, request: Frame) -> None:
        self.peak: int | None = None
        self._frames: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                _command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                bufsize=0,
                start_new_session=True,
            )
        except BaseException:
            self._log.close()
            raise
        self._threads = [
            threading.Thread(target=self._write, args=(request,), daemon=True),
            threading.Thread(target=self._read, daemon=True),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process.returncode is None:
            self._note_peak(peak_bytes(process.pid))
            process.kill()
            process.wait()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        for stream in (process.stdin, process.stdout, self._log):
            cast("FileIO", stream).close()

    def receive(self, timeout: float) -> Frame | None:
        """Next frame, or None when none came in time."""
        try:
            frame = self._frames.get(timeout=timeout)
        except queue.Empty:
            return None
        if frame is None:
            raise SolverError(self._obituary())
        self._note_peak(frame[0]["peak"])
        return frame

    def rest(self) -> list[Frame]:
        """Frames that arrived before the kill and that nobody received."""
        frames = []
        while not self._frames.empty():
            frame = self._frames.get()
            if frame is not None:
                frames.append(frame)
        return frames

    def _note_peak(self, peak: int | None) -> None:
        if peak is not None:
            self.peak = max(peak, self.peak or 0)

    def _write(self, request: Frame) -> None:
        # A dead child breaks the pipe, and the reader reports that.
        with contextlib.suppress(OSError):
            write_frame(cast("FileIO", self._process.stdin), *request)

    def _read(self) -> None:
        try:
            while True:
                self._frames.put(read_frame(cast("FileIO", self._process.stdout)))
        except (EOFError, OSError):
            pass
        finally:
            self._frames.put(None)

    def _obituary(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.5)
        code = self._process.returncode
        self._log.seek(0)
        tail = self._log.read()[-2000:].decode(errors="replace").strip()
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        hint = "; signal 9 often means that memory ran out" if code == -9 else ""
        return f"the HiGHS process ended without an answer ({how}{hint}): {tail or 'no message'}"


def _command() -> list[str]:
    """Command line that starts this very worker, whatever the working folder holds.

    The worker is run by its path and ``-P`` keeps the working folder off its search path. Folders
    where this process found NumPy and HiGHS come last: they matter only where they are not
    installed but were put on `sys.path` by hand.
    """
    folders = []
    for name in ("numpy", "highspy"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            folders.append(os.path.abspath(Path(spec.origin).parent.parent))
    boot = (
        "import runpy, sys; sys.path += sys.argv[2:]; runpy.run_path(sys.argv[1], None, '__main__')"
    )
    worker = os.path.abspath(Path(__file__).with_name("_mip_worker.py"))
    return [sys.executable, "-P", "-c", boot, worker, *dict.fromkeys(folders)]
