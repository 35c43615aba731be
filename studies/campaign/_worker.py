"""The child that runs a campaign's runs, one after the other, as its parent asks for them."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any

from ...problems.errors import LabelcutError
from .files import read_campaign
from .limits import limited
from .loop import Run, truth_of
from .records import FULL
from .store import Store
from .timing import Spent, now
from .training import full_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from .files import Campaign
    from .store import Finished

Job = tuple[str, int]


def work(request: dict[str, Any], imported: float = 0.0) -> None:
    """Read jobs as lines ``["strategy", seed]``, and write what happens as lines of JSON.

    Parameters
    ----------
    request
        The campaign's ``file``, and when the process was asked for.
    imported
        Processor seconds that another process has spent for this one.
    """
    # What users' functions print must not end up between the lines.
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    jobs: SimpleQueue[Job] = SimpleQueue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    say = _teller(told)
    campaign = read_campaign(request["file"])
    store = Store(campaign.folder)
    with limited(campaign.threads):
        job = jobs.get()
        start: Spent | None = Spent(time.time() - request["begun"], imported + now().processor)
        while True:
            _run(campaign, store, job, say, start)
            job, start = jobs.get(), None


def _listen(jobs: SimpleQueue[Job]) -> None:
    """Put jobs into the queue, and end the process at once when the parent is gone."""
    for line in sys.stdin:
        name, seed = json.loads(line)
        jobs.put((name, seed))
    os._exit(1)


def _teller(stream: IO[str]) -> Callable[..., None]:
    def say(event: str, **content: Any) -> None:
        stream.write(json.dumps({"event": event, **content}) + "\n")
        stream.flush()

    return say


def _run(
    campaign: Campaign, store: Store, job: Job, say: Callable[..., None], start: Spent | None
) -> None:
    """Run what is left of a run; say what it finished, or why it failed."""

    def tell(finished: Finished) -> None:
        say(
            "finished",
            record=finished.record.to_dict(),
            state=finished.state,
            solution=finished.solution,
        )

    try:
        if job[0] == FULL:
            tell(full_run(campaign, job[1], truth_of(campaign)(campaign.pool.known)))
            say("done")
            return
        run = Run(
            campaign,
            store,
            campaign.entrant(job[0]),
            job[1],
            truth_of(campaign),
            lambda cycle, stage: say("stage", cycle=cycle, stage=stage),
            start=start,
        )
        for finished in run.cycles():
            tell(finished)
    except LabelcutError as error:
        say("failed", message=str(error))
    except (Exception, SystemExit) as error:  # users' functions may raise anything
        traceback.print_exc()
        say("failed", message=f"{type(error).__name__}: {error}", log=True)
    else:
        say("done")


if __name__ == "__main__":
    work(json.loads(sys.argv[1]))
