"""A campaign that is killed in any stage loses nothing and does nothing twice."""

import json
import signal
import subprocess
import sys
import time

import pytest

from labelcut.problems.errors import InvalidInput
from labelcut.studies.campaign.files import read_campaign
from labelcut.studies.campaign.records import load_results
from labelcut.studies.campaign.store import Store

LINES = 'init = "previous"\naudit = 0.34\n'
DRIVER = """
import os, signal, sqlite3, sys
from pathlib import Path
from labelcut.studies.campaign import store as stores
from labelcut.studies.campaign.files import read_campaign
from labelcut.studies.campaign.loop import Run, truth_of

path, stage, at = sys.argv[1], sys.argv[2], int(sys.argv[3])
calls = 0

def die(*rest):
    global calls
    calls += 1
    if calls > at:
        os.kill(os.getpid(), signal.SIGKILL)

def before(owner, name):
    whole = getattr(owner, name)
    def first(*args, **rest):
        die()
        return whole(*args, **rest)
    setattr(owner, name, first)

campaign = read_campaign(path)
store = stores.Store(campaign.folder)
if stage == "begin":
    before(stores.Store, "_begin")
elif stage == "weights":
    before(stores, "atomic_file")
elif stage == "weights written":
    before(stores.Store, "add")
elif stage == "selection written":
    whole = stores.Store._database
    def opened(self):
        if sys._getframe(1).f_code.co_name == "add":
            die()
        return whole(self)
    stores.Store._database = opened
elif stage == "row not committed":
    class Dies(sqlite3.Connection):
        def __exit__(self, *rest):
            if sys._getframe(3).f_code.co_name == "add":
                die()
            return super().__exit__(*rest)
    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **rest: connect(*args, factory=Dies, **rest)
elif stage == "row committed":
    before(stores.Store, "_drop_weights")
elif stage in ("train", "measure"):
    name = "train" if stage == "train" else "predict"
    whole = getattr(campaign.learner, name)
    def first(*args, **rest):
        die()
        return whole(*args, **rest)
    object.__setattr__(campaign.learner, name, first)
elif stage == "choose":
    entrant = campaign.entrant("unsure")
    whole = entrant.strategy.choose
    def first(round):
        die()
        return whole(round)
    object.__setattr__(entrant.strategy, "choose", first)
with store.opened(campaign):
    run = Run(campaign, store, campaign.entrant("unsure"), 0, truth_of(campaign))
    for finished in run.cycles():
        store.add(finished, campaign.pool.ids)
print("lived")
"""
QUICK = [("row not committed", 1)]
STAGES = [
    ("train", 1),
    ("begin", 0),
    ("train", 0),
    ("measure", 4),
    ("choose", 1),
    ("weights", 2),
    ("weights written", 1),
    ("selection written", 1),
    ("row not committed", 2),
    ("row committed", 1),
]


def comparable(records):
    """Return all of some records but their seconds."""
    told = [record.to_dict() for record in records]
    for one in told:
        one["metrics"] = {k: v for k, v in one["metrics"].items() if "seconds" not in k}
    return told


@pytest.mark.parametrize(
    ("stage", "at"), [*QUICK, *(pytest.param(*one, marks=pytest.mark.slow) for one in STAGES)]
)
def test_kill_nine_loses_nothing_and_repeats_nothing(blobs, finish, stage, at):
    """A killed campaign would end with other numbers, or stop for good."""
    whole = finish(read_campaign(blobs(campaign=f'{LINES}folder = "whole"')))
    path = blobs(campaign=f'{LINES}folder = "killed"')
    died = subprocess.run(
        [sys.executable, "-c", DRIVER, path, stage, str(at)], capture_output=True, text=True
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    campaign = read_campaign(path)
    before = []
    if (campaign.folder / "campaign.sqlite").exists() and stage != "begin":
        before = comparable(load_results(campaign.folder).records)
        assert before == comparable(whole)[: len(before)]
    records = finish(campaign)
    assert comparable(records) == comparable(whole)
    numbers = [record.order for record in records]
    assert len(set(numbers)) == 3
    for record in records:
        saved = json.loads(
            (campaign.folder / "selections" / f"unsure-s0-c{record.cycle}.json").read_text()
        )
        assert saved["chosen"] == record.chosen.tolist()
    weights = "weights/unsure-s0-c2.model.safetensors"
    other = campaign.folder.with_name("whole") / weights
    assert (campaign.folder / weights).read_bytes() == other.read_bytes()


def test_a_second_process_is_kept_out_and_a_dead_one_is_not(read):
    """Two processes would do every cycle twice; a dead one's lock would last for ever."""
    campaign = read()
    holds = (
        "import sys, time\n"
        "from labelcut.studies.campaign.files import read_campaign\n"
        "from labelcut.studies.campaign.store import Store\n"
        "campaign = read_campaign(sys.argv[1])\n"
        "with Store(campaign.folder).opened(campaign):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holds, campaign.path], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        store = Store(campaign.folder)
        with (
            pytest.raises(InvalidInput, match="another process is working"),
            store.opened(campaign),
        ):
            pass
        assert load_results(campaign.folder).records == ()
        process.kill()
    with store.opened(campaign):
        pass


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_what_is_there_stays(blobs, finish):
    """A full disk would leave a damaged campaign, or a traceback."""
    path = blobs(campaign=LINES)
    campaign = read_campaign(path)
    finish(campaign, cycles=1)
    kept = comparable(load_results(campaign.folder).records)
    full = (
        "import resource, signal, sys\n"
        "from labelcut.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))\n"
        "sys.argv = ['labelcut', 'campaign', 'run', sys.argv[1]]\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", full, path], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr
    assert comparable(load_results(campaign.folder).records)[: len(kept)] == kept
    whole = finish(read_campaign(blobs(campaign=f'{LINES}folder = "whole"')))
    assert comparable(finish(read_campaign(blobs(campaign=LINES)))) == comparable(whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        signal.SIGINT,
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_commands_that_are_stopped_leave_no_process_and_go_on(blobs, started, how):
    """Ctrl-C, or the end of a cluster's job, would leave workers that run on for hours."""
    path = blobs(campaign="workers = 2")
    slow = "import time\ndef lowest(round):\n    time.sleep(0.2)\n"
    (path.parent / "own.py").write_text(f"{slow}    return round.candidates[: round.budget]\n")
    process = started("run", path)
    folder = path.parent / "blobs.campaign"
    end = time.monotonic() + 60
    while not (folder / "selections").exists() or not list((folder / "selections").iterdir()):
        assert time.monotonic() < end
        time.sleep(0.05)
    workers = _descendants(process.pid)
    assert len(workers) >= 2
    process.send_signal(how)
    _, err = process.communicate(timeout=30)
    assert process.returncode == (130 if how is signal.SIGINT else -how)
    if how is signal.SIGINT:
        assert "interrupted; the same command goes on" in err
        assert "Traceback" not in err
    end = time.monotonic() + 10
    while any(_is_running(pid) for pid in workers):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert 0 < len(load_results(folder).records) < 12


def _descendants(pid):
    """Return the processes that a process has started, and those that they have."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    children = [int(word) for word in found.stdout.split()]
    return [*children, *(one for child in children for one in _descendants(child))]


def _is_running(pid):
    """Whether a process is there and no zombie."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(found.stdout.strip()) and "Z" not in found.stdout
