"""Running a campaign in several processes."""

import os
import re
from datetime import datetime, timedelta

import pytest

from labelcut.problems.errors import InvalidInput
from labelcut.studies.campaign import crew, store
from labelcut.studies.campaign.files import read_campaign
from labelcut.studies.campaign.nursery import CAN_FORK
from labelcut.studies.campaign.records import Results, load_results
from labelcut.studies.campaign.runner import jobs_left, parse_until, run_campaign


def comparable(records):
    """Return all of some records but their seconds, in the order of their keys."""
    told = [record.to_dict() for record in sorted(records, key=lambda record: record.key)]
    for one in told:
        one["metrics"] = {k: v for k, v in one["metrics"].items() if "seconds" not in k}
    return told


@pytest.mark.slow
def test_two_processes_give_the_results_of_one_loop(read, finish):
    """Results would depend on how many processes a machine affords."""
    campaign = read(campaign="full = true")
    assert jobs_left(campaign, Results(()))[1] == 14
    outcome = run_campaign(campaign, workers=2)
    assert (outcome.left, outcome.stopped, dict(outcome.failures)) == (0, None, {})
    records, full = outcome.results.records, outcome.results.full
    assert sorted(record.order for record in (*records, *full)) == list(range(1, 15))
    # What each process spends is told: that which was called, and the start of the others.
    for name in ("parent", "start", "train", "score", "choose", "cycle"):
        assert sum(r.metrics.get(f"seconds_cpu_{name}", 0.0) for r in (*records, *full)) > 0.0
    starts = [record for record in (*records, *full) if "seconds_cpu_start" in record.metrics]
    assert 1 <= len(starts) <= 2
    # The best that labels can give stands beside the strategies and is none of them.
    assert outcome.results.strategies == ("lowest", "unsure")
    assert sorted(record.seed for record in full) == [0, 1]
    for record in full:
        assert (record.labeled, record.share) == (60, 1.0)
        assert record.histogram.tolist() == [20, 20, 20]
        assert record.metrics["accuracy"] > 0.6
    here = read(campaign='folder = "here"')
    alone = [
        record
        for name in ("lowest", "unsure")
        for seed in (0, 1)
        for record in finish(here, name, seed)
    ]
    assert comparable(records) == comparable(alone)
    again = run_campaign(campaign)
    assert [r.to_dict() for r in again.results.records] == [r.to_dict() for r in records]


FAILING = """
import os, signal
def lowest(round):
    open(__file__ + ".calls", "a").write("called\\n")
    print("not a line of the protocol")
    {what}
    return round.candidates[: round.budget]
"""


@pytest.mark.parametrize(
    ("what", "words"),
    [
        pytest.param(
            "return round.candidates[:2]",
            "strategy lowest, seed 0, cycle 0: must return 6 rows",
            marks=pytest.mark.slow,
        ),
        ("raise KeyError('oops')", r"KeyError: 'oops' \(more in .*worker-1.log"),
        pytest.param(
            "raise SystemExit('no GPU')",
            r"SystemExit: no GPU \(more in",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "print('last words', flush=True); os.close(1); os.close(2); os.closerange(3, 64); "
            "import time; time.sleep(1); os._exit(7)",
            r"its process ended \(exit code 7\): last words",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "os.kill(os.getpid(), signal.SIGKILL)",
            "signal 9 often means that memory ran out",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["wrong rows", "exception", "exit", "hard exit", "killed"],
)
def test_a_strategy_that_fails_is_named_and_the_others_go_on(blobs, what, words):
    """One bug would cost a night of all strategies, or go unnoticed."""
    path = blobs()
    (path.parent / "own.py").write_text(FAILING.format(what=what))
    outcome = run_campaign(read_campaign(path))
    assert list(outcome.failures) == ["lowest"]
    # Its other seed would fail alike, after hours perhaps.
    assert (path.parent / "own.py.calls").read_text() == "called\n"
    assert outcome.left == 6
    assert re.search(words, outcome.failures["lowest"])
    assert {record.strategy for record in outcome.results.records} == {"unsure"}
    assert len(outcome.results.records) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("print('last words', flush=True); os._exit(7)", r"\(exit code 7\): last words"),
        ("os.kill(os.getpid(), signal.SIGKILL)", r"\(signal 9; signal 9 often means"),
        (
            "print('last words', flush=True); os.close(1); os.close(2); os.closerange(3, 64); "
            "signal.pause()",
            r"\(signal 9; signal 9 often means that memory ran out\): last words",
        ),
    ],
    ids=["hard exit", "killed", "silent"],
)
def test_of_several_processes_one_that_dies_is_replaced(blobs, monkeypatch, what, words):
    """A forked process that dies would stop the campaign, or nobody would know of what."""
    monkeypatch.setattr(crew, "_LAST_WORDS", 0.5)
    path = blobs()
    (path.parent / "own.py").write_text(FAILING.format(what=what))
    outcome = run_campaign(read_campaign(path), workers=2)
    assert list(outcome.failures) == ["lowest"]
    assert re.search(words, outcome.failures["lowest"])
    assert len(outcome.results.records) == 6


@pytest.mark.slow
@pytest.mark.skipif(not CAN_FORK, reason="processes are forked on Linux only")
def test_several_processes_import_once(blobs):
    """Every process would take seconds for torch; a function of the user's would be forked over."""
    path = blobs()
    told = (
        "import os\nfrom pathlib import Path\nHERE = os.getpid()\n"
        "STAT = Path(f'/proc/{{os.getppid()}}/stat').read_text().rpartition(')')[2].split()\n"
        "SPENT = (int(STAT[11]) + int(STAT[12])) / os.sysconf('SC_CLK_TCK')\n"
        "def {}(round):\n"
        "    round.metrics.update(parent=os.getppid(), own=os.getpid(), imported_by=HERE)\n"
        "    round.metrics['parent_spent'] = SPENT\n"
        "    return round.candidates[: round.budget]\n"
    )
    for name, file in (("lowest", "own.py"), ("unsure", "unsure.py")):
        (path.parent / file).write_text(told.format(name))
    records = run_campaign(read_campaign(path), workers=2).results.records
    told = [record.metrics for record in records if len(record.chosen)]
    assert len({metrics["parent"] for metrics in told}) == 1
    assert told[0]["parent"] != os.getpid()
    assert all(metrics["own"] == metrics["imported_by"] for metrics in told)
    assert len({metrics["own"] for metrics in told}) == 2
    # What the import took is told once, by the process that was forked first.
    starts = [
        record.metrics["seconds_cpu_start"]
        for record in records
        if "seconds_cpu_start" in record.metrics
    ]
    imported = min(metrics["parent_spent"] for metrics in told)
    assert len(starts) == 2
    assert max(starts) > 0.8 * imported > min(starts)


@pytest.mark.slow
def test_time_is_kept(blobs):
    """A cluster would kill the job before it has stopped by itself."""
    path = blobs()
    slow = "import time\ndef lowest(round):\n    time.sleep(60)\n"
    (path.parent / "own.py").write_text(slow)
    begun = datetime.now()
    outcome = run_campaign(read_campaign(path), until=begun + timedelta(seconds=4))
    assert outcome.stopped == "time"
    assert outcome.left == 12
    assert datetime.now() - begun < timedelta(seconds=20)


def test_a_damaged_folder_is_told(read, finish):
    """A file of another program would end in a traceback."""
    campaign = read()
    with pytest.raises(InvalidInput, match=r"holds no campaign\.sqlite; run the campaign first"):
        load_results(campaign.folder)
    finish(campaign, cycles=1)
    (campaign.folder / "campaign.sqlite").write_text("something else, long enough to be read")
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_results(campaign.folder)


def test_a_campaign_that_has_just_begun_has_no_results_yet(read, finish, monkeypatch):
    """Status would call the folder of a campaign that starts, or was killed then, no campaign's."""
    campaign = read()
    campaign.folder.mkdir()
    (campaign.folder / "campaign.sqlite").touch()
    assert load_results(campaign.folder).records == ()
    # A kill between two tables leaves none.
    half = store._TABLES.replace("CREATE TABLE IF NOT EXISTS answers", "CREATE NONSENSE")
    with monkeypatch.context() as patch:
        patch.setattr(store, "_TABLES", half)
        with pytest.raises(InvalidInput, match="syntax error"):
            finish(campaign, cycles=1)
    assert load_results(campaign.folder).records == ()
    assert len(finish(campaign)) == 3


def test_what_is_left_is_counted_seed_by_seed(read, finish):
    """The table would promise an end that does not come."""
    campaign = read()
    finish(campaign, "unsure", 0)
    finish(campaign, "lowest", 1, cycles=1)
    jobs, left = jobs_left(campaign, load_results(campaign.folder))
    assert jobs == [("lowest", 0), ("lowest", 1), ("unsure", 1)]
    assert left == 3 + 2 + 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18:30", "2026-05-02T18:30:00"),
        ("20:01", "2026-05-01T20:01:00"),
        ("2026-05-03T07:00", "2026-05-03T07:00:00"),
        ("90m", "2026-05-01T21:30:00"),
        ("4h", "2026-05-02T00:00:00"),
        ("3h50m", "2026-05-01T23:50:00"),
    ],
)
def test_times_are_read_as_people_write_them(text, expected):
    """A run would stop a day too early or too late."""
    assert parse_until(text, datetime(2026, 5, 1, 20, 0)).isoformat() == expected


@pytest.mark.parametrize("text", ["", "25:00", "soon", "3x"])
def test_times_that_are_none(text):
    """A typing error would let a run go on for ever."""
    with pytest.raises(InvalidInput, match="--until: must be a time"):
        parse_until(text, datetime(2026, 5, 1, 20, 0))
