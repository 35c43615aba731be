"""Running a campaign: what is left of it, in several processes, until a time if need be."""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ...problems.errors import InvalidInput
from .crew import Crew, Job, Worker
from .loop import truth_of
from .records import FULL, Record, Results
from .store import Finished, Store
from .timing import PROCESSOR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .files import Campaign

_SPAN = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?")
_TICK = 0.5
"""Seconds between two looks at the clock."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a run of a campaign ended.

    Parameters
    ----------
    results
        Everything that is finished by now.
    left
        Cycles that are not.
    failures
        Why strategies were stopped, by name.
    stopped
        ``"time"``, ``"interrupt"``, or None where nothing was left to do.
    """

    results: Results
    left: int
    failures: Mapping[str, str]
    stopped: str | None


@dataclass(frozen=True, eq=False)
class Standing:
    """How far a campaign is, for who watches it.

    Parameters
    ----------
    campaign
        Which.
    records
        What is finished.
    workers
        What is going on.
    failures
        Why strategies were stopped, by name.
    """

    campaign: Campaign
    records: list[Record]
    workers: list[Worker]
    failures: Mapping[str, str]


def run_campaign(
    campaign: Campaign,
    *,
    workers: int | None = None,
    until: datetime | None = None,
    watch: Callable[[Standing], None] | None = None,
    since: float | None = None,
) -> Outcome:
    """Run what is left of a campaign; every finished cycle is kept at once.

    A strategy that fails is stopped, with all its seeds, and the others go on. Stop the run in any
    way: the next one goes on with the cycles that are not finished.

    Parameters
    ----------
    campaign
        What `read_campaign` returned.
    workers
        Number of processes; default: as the file says.
    until
        When to stop at the latest.
    watch
        Called whenever something has changed.
    since
        What `time.process_time` was when this process began to work on the campaign: what it spends
        itself is kept as ``seconds_cpu_parent`` of the cycles; default: now.

    Raises
    ------
    InvalidInput
        If another process works on it, file, data or code have changed since it was begun, a person
        is to label, or the disk is full.
    """
    since = time.process_time() if since is None else since
    truth_of(campaign)
    if campaign.with_person:
        raise InvalidInput(
            f"{campaign.path.name}: a person answers; run 'labelcut campaign next' instead"
        )
    store = Store(campaign.folder)
    with store.opened(campaign):
        running = _Running(campaign, store, watch, since)
        with Crew(campaign, workers or campaign.workers) as crew:
            try:
                stopped = running.run(crew, until)
            except KeyboardInterrupt:
                stopped = "interrupt"
        results = store.results()
    return Outcome(results, jobs_left(campaign, results)[1], running.failures, stopped)


def jobs_left(campaign: Campaign, results: Results) -> tuple[list[Job], int]:
    """Return the runs that are not finished, seed by seed, and how many cycles they lack."""
    have = {record.key for record in _whole(campaign, results)}
    jobs, left = [], 0
    for seed in campaign.plan.seeds:
        for entrant in campaign.strategies:
            lacks = sum(
                (entrant.name, seed, cycle) not in have for cycle in range(campaign.plan.cycles + 1)
            )
            left += lacks
            if lacks:
                jobs.append((entrant.name, seed))
        if campaign.full and (FULL, seed, 0) not in have:
            left += 1
            jobs.append((FULL, seed))
    return jobs, left


def _whole(campaign: Campaign, results: Results) -> list[Record]:
    """Return the records that stay as they are: all but those that are to choose now."""
    cycles = campaign.plan.cycles
    return [r for r in (*results.records, *results.full) if not r.lacks_choice(cycles)]


@dataclass(eq=False)
class _Running:
    campaign: Campaign
    store: Store
    watch: Callable[[Standing], None] | None
    since: float
    failures: dict[str, str] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    def run(self, crew: Crew, until: datetime | None) -> str | None:
        """Give out jobs and keep what comes back, until all is done or time is up."""
        results = self.store.results()
        self.records = _whole(self.campaign, results)
        waiting = deque(jobs_left(self.campaign, results)[0])
        end = None if until is None else time.monotonic() + _seconds_to(until)
        while True:
            self._give_out(waiting, crew)
            if all(worker.job is None for worker in crew.workers):
                return None
            if end is not None and time.monotonic() >= end:
                return "time"
            rest = _TICK if end is None else min(_TICK, end - time.monotonic())
            found = crew.event(rest)
            if found is not None:
                self._take(*found)
            if self.watch is not None:
                self.watch(Standing(self.campaign, self.records, crew.workers, self.failures))

    def _give_out(self, waiting: deque[Job], crew: Crew) -> None:
        while waiting:
            if waiting[0][0] in self.failures:
                waiting.popleft()
                continue
            worker = crew.idle()
            if worker is None:
                return
            crew.give(worker, waiting.popleft())

    def _take(self, worker: Worker, told: dict[str, Any]) -> None:
        event = told["event"]
        if event == "stage":
            worker.cycle, worker.stage = told["cycle"], told["stage"]
        elif event == "finished":
            before, self.since = self.since, time.process_time()
            told["record"]["metrics"][f"{PROCESSOR}parent"] = self.since - before
            record = Record.from_dict(told["record"])
            finished = Finished(record, told["state"], told["solution"])
            self.store.add(finished, self.campaign.pool.ids)
            self.records.append(record)
        elif worker.job is not None:
            if event != "done":
                more = f" (more in {worker.log})" if told.get("log") else ""
                self.failures.setdefault(worker.job[0], told["message"] + more)
            worker.job = None


def parse_until(text: str, now: datetime) -> datetime:
    """Return the time that a text names: ``18:30``, ``2026-05-01T18:30``, ``3h50m`` or ``90m``.

    Raises
    ------
    InvalidInput
        If it names none.

    Examples
    --------
    >>> parse_until("3h50m", datetime(2026, 5, 1, 20, 0)).isoformat()
    '2026-05-01T23:50:00'
    >>> parse_until("18:30", datetime(2026, 5, 1, 20, 0)).isoformat()
    '2026-05-02T18:30:00'
    """
    span = _SPAN.fullmatch(text)
    if span is not None and text:
        hours, minutes = (int(part or 0) for part in span.groups())
        return now + timedelta(hours=hours, minutes=minutes)
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}", text) is None:
            return datetime.fromisoformat(text)
        clock = datetime.strptime(text, "%H:%M")
    except ValueError:
        raise InvalidInput(
            f"--until: must be a time (18:30, 2026-05-01T18:30) or a span (3h50m); got {text!r}"
        ) from None
    at = now.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
    return at if at > now else at + timedelta(days=1)


def _seconds_to(until: datetime) -> float:
    return (until - datetime.now(until.tzinfo)).total_seconds()
