"""What a person sees of a campaign while it runs."""

import io

import numpy as np
from rich.console import Console

from labelcut.studies.campaign import Record, Results
from labelcut.studies.campaign.crew import Worker
from labelcut.studies.campaign.runner import Standing
from labelcut.studies.campaign.watching import campaign_table, seconds_table, watched

NONE = np.zeros(0, np.int64)
CHOSEN = np.array([3])


def record(strategy, seed, cycle, accuracy, order=1):
    """Return a record of ten rows, and five more a cycle, which chose one."""
    seconds = {"cycle": 10.0, "train": 6.0, "score": 3.5, "choose": 0.25, "parent": 0.5}
    metrics = {f"seconds_cpu_{name}": value for name, value in seconds.items()}
    metrics = {"accuracy": accuracy, "seconds_train": 99.0, **metrics}
    return Record(strategy, seed, cycle, 10 + 5 * cycle, 0.1, metrics, CHOSEN, NONE, NONE, order)


def text(shown):
    """Print on a wide page."""
    page = io.StringIO()
    Console(file=page, width=150).print(shown)
    return page.getvalue()


def test_the_table_tells_the_latest_cycle_and_what_goes_on(read):
    """A mean over different cycles would look like a result."""
    records = (
        record("unsure", 0, 0, 0.2),
        record("unsure", 0, 1, 0.5),
        record("unsure", 1, 0, 0.3),
        record("unsure", 1, 1, 0.7),
    )
    worker = Worker(None, None, ("lowest", 1), 2, "train")
    lines = text(campaign_table(read(), Results(records), [worker])).splitlines()
    assert lines[0].split() == ["strategy", "cycles", "labeled", "accuracy", "now"]
    # By hand: mean 0.6, standard deviation sqrt(2 * 0.1**2).
    assert lines[2].split() == ["unsure", "4/6", "15", "0.6000", "±", "0.1414"]
    assert lines[1].split() == ["lowest", "0/6", "seed", "1", "cycle", "2", "train"]
    failed = text(campaign_table(read(), Results(records), [], {"lowest": "bad"}))
    assert "failed" in failed


def test_seconds_add_up():
    """The loop's own share would be claimed, not measured."""
    first = record("a", 0, 0, 0.1)
    first.metrics["seconds_cpu_start"] = 4.0
    told = seconds_table(Results((first, record("a", 1, 0, 0.1))))
    assert told == (
        "25.0 s of processor time: parent 1.0 s (4.0%), start 4.0 s (16.0%), train 12.0 s (48.0%), "
        "score 7.0 s (28.0%), choose 0.5 s (2.0%), the loop itself 0.5 s (2.0%); "
        "all but training and scoring: 6.0 s (24.0%)"
    )


def test_without_a_terminal_each_finished_cycle_is_a_line(read):
    """A log would fill with pictures of a table, or tell old cycles again."""
    page = io.StringIO()
    campaign = read()
    old, new = record("unsure", 0, 0, 0.2, order=1), record("unsure", 0, 1, 0.5, order=0)
    with watched(Console(file=page, width=150)) as watch:
        watch(Standing(campaign, [old], [], {}))
        watch(Standing(campaign, [old, new], [], {}))
        watch(Standing(campaign, [old, new], [], {}))
    assert page.getvalue() == "unsure   seed 0   cycle 1   15 labeled   accuracy 0.5000\n"


def test_a_terminal_shows_cycles_done_and_time_left(read):
    """Nobody would know whether to wait."""
    page = io.StringIO()
    console = Console(file=page, width=150, force_terminal=True, highlight=False)
    old, new = record("unsure", 0, 0, 0.2, order=1), record("unsure", 0, 1, 0.5, order=0)
    with watched(console) as watch:
        watch(Standing(read(), [old, new], [], {}))
    assert "2 of 12 cycles, about 0:00:0" in page.getvalue()
