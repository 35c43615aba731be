"""Processes that run a campaign's runs: started as a module, told by lines, killed at will."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, Queue
from typing import IO, TYPE_CHECKING, Any

from .nursery import CAN_FORK, Alone, Forked, Nursery

if TYPE_CHECKING:
    from pathlib import Path

    from .files import Campaign

Job = tuple[str, int]
_LAST_WORDS = 5.0
"""Seconds in which a process that has closed its pipe may end by itself."""
_ONE_LIBRARY_EACH = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(eq=False)
class Worker:
    """One process, and the job it has."""

    process: Alone | Forked
    log: Path
    job: Job | None = None
    cycle: int = 0
    stage: str = "start"
    ear: threading.Thread | None = None
    logged: int = 0
    """Bytes of the log that are of earlier jobs."""


@dataclass(eq=False)
class Crew:
    """The worker processes of a campaign; ends them all when the block ends, however it does.

    Parameters
    ----------
    campaign
        Whose runs they run.
    size
        Number of processes at most.
    """

    campaign: Campaign
    size: int
    workers: list[Worker] = field(default_factory=list)
    nursery: Nursery | None = None
    _events: Queue[tuple[Worker, dict[str, Any]]] = field(default_factory=Queue)

    def __enter__(self) -> Crew:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End every process."""
        if self.nursery is not None:
            self.nursery.end()
        for worker in self.workers:
            self._end(worker, 0.0)

    def idle(self) -> Worker | None:
        """Return a worker without a job, starting one if there may be one more."""
        free = next((worker for worker in self.workers if worker.job is None), None)
        if free is None and len(self.workers) < self.size:
            free = self._started()
        return free

    def give(self, worker: Worker, job: Job) -> None:
        """Give a worker its next job."""
        worker.job, worker.cycle, worker.stage = job, 0, "start"
        worker.logged = worker.log.stat().st_size
        with suppress(OSError):  # it may be gone already, which its last event will tell
            worker.process.stdin.write(json.dumps(job) + "\n")
            worker.process.stdin.flush()

    def event(self, seconds: float) -> tuple[Worker, dict[str, Any]] | None:
        """Return what a worker says next, or None after so many seconds.

        The last event of a process that ended by itself is ``"gone"``.
        """
        try:
            worker, told = self._events.get(timeout=max(seconds, 0.0))
        except Empty:
            return None
        if told["event"] == "gone":
            self.workers.remove(worker)
            told["message"] = self._obituary(worker, self._end(worker, _LAST_WORDS))
        return worker, told

    def _started(self) -> Worker:
        campaign = self.campaign
        folder = campaign.folder / "logs"
        folder.mkdir(exist_ok=True)
        taken = {worker.log for worker in self.workers}
        logs = (folder / f"worker-{at}.log" for at in range(1, self.size + 1))
        log = next(path for path in logs if path not in taken)
        with log.open("wb") as stderr:
            process = self._process(stderr)
        worker = Worker(process, log)
        self.workers.append(worker)
        worker.ear = threading.Thread(target=self._listen, args=(worker,), daemon=True)
        worker.ear.start()
        return worker

    def _process(self, stderr: IO[bytes]) -> Alone | Forked:
        request = json.dumps({"file": str(self.campaign.path), "begun": time.time()})
        limits = dict.fromkeys(_ONE_LIBRARY_EACH, str(self.campaign.threads))
        environment = {**os.environ, **limits, "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
        if not CAN_FORK or self.size < 2:
            return Alone(request, environment, stderr)
        if self.nursery is None:
            self.nursery = Nursery(environment, stderr)
        return self.nursery.fork(request, stderr)

    def _listen(self, worker: Worker) -> None:
        with worker.process.stdout as lines:
            for line in lines:
                if line.endswith("\n"):  # a line that a kill has cut short is none
                    self._events.put((worker, json.loads(line)))
        self._events.put((worker, {"event": "gone"}))

    def _end(self, worker: Worker, seconds: float) -> int:
        """Return the exit code of a process that may take so many seconds to end."""
        code = worker.process.end(seconds)
        if worker.ear is not None:
            worker.ear.join()
        with suppress(OSError):  # of what it had not read yet
            worker.process.stdin.close()
        return code

    def _obituary(self, worker: Worker, code: int) -> str:
        said = worker.log.read_bytes()[worker.logged :].decode("utf-8", errors="replace")
        lines = said.strip().splitlines()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        hint = "; signal 9 often means that memory ran out" if code == -9 else ""
        return f"its process ended ({how}{hint}): {(lines or ['no message'])[-1]}"
