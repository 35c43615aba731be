"""Where a campaign's seconds go."""

import subprocess
import sys

from labelcut.studies.campaign import timing


def test_the_stopwatch_counts_each_second_once(monkeypatch):
    """Training inside of choosing would count twice, and the overhead come out negative."""
    # The clock and the processor at each look: choosing 0 to 10, training 1 to 4 and 5 to 7.
    looks = iter([(0, 0.0), (1, 0.5), (4, 2.5), (5, 2.5), (7, 3.0), (10, 5.0)])
    monkeypatch.setattr(timing, "now", lambda: timing.Spent(*next(looks)))
    watch = timing.Stopwatch()
    with watch.on("choose"):
        with watch.on("train"):
            pass
        with watch.on("train"):
            pass
    assert watch.spent == {"train": (5, 2.5), "choose": (5, 2.5)}
    assert watch.spent["train"].named("train") == {"seconds_train": 5, "seconds_cpu_train": 2.5}


def test_processor_time_counts_child_processes():
    """What HiGHS spends in a process of its own would cost nothing in the records."""
    begun = timing.now()
    subprocess.run([sys.executable, "-S", "-c", "sum(range(3_000_000))"], check=True)
    spent = timing.now().less(begun)
    assert spent.processor > 0.01
