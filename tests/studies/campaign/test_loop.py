"""The loop of one run: what is trained on, what is recorded, what survives a stop."""

import json
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
import torch

from labelcut.problems.errors import InvalidInput
from labelcut.studies.campaign.files import read_campaign
from labelcut.studies.campaign.loop import Run, first_rows, truth_of
from labelcut.studies.campaign.runner import jobs_left
from labelcut.studies.campaign.store import Store


def comparable(records):
    """Return what must not depend on how often a run was stopped: all but the seconds."""
    told = [record.to_dict() for record in records]
    for one in told:
        one["metrics"] = {k: v for k, v in one["metrics"].items() if "seconds" not in k}
    return told


def state(campaign):
    """Return what the database keeps for the next cycle, run by run."""
    with sqlite3.connect(campaign.folder / "campaign.sqlite") as database:
        rows = database.execute("SELECT strategy, seed, cycle, state FROM records ORDER BY 1, 2, 3")
        return rows.fetchall()


def test_a_run_labels_what_its_plan_says(read, finish):
    """Curves would stand over wrong shares of the pool."""
    campaign = read()
    records = finish(campaign)
    assert [record.cycle for record in records] == [0, 1, 2]
    assert [record.labeled for record in records] == [9, 15, 21]
    assert [record.share for record in records] == [9 / 60, 15 / 60, 21 / 60]
    assert [len(record.chosen) for record in records] == [6, 6, 0]
    assert [record.histogram.sum() for record in records] == [9, 15, 21]
    assert len(set(np.concatenate([record.chosen for record in records]))) == 12
    assert records[-1].metrics["accuracy"] > 0.5
    assert {"l1_true", "logdet", "seconds_train", "seconds_cycle"} <= set(records[0].metrics)


def test_the_histogram_counts_the_truth(read, finish):
    """The class histograms of the report would show what the model believes."""
    campaign = read()
    records = finish(campaign, "lowest")
    rows = Run(campaign, Store(campaign.folder), campaign.strategies[0], 0, truth_of(campaign))
    expected = np.bincount(campaign.pool.truth[rows.labeled()], minlength=3)
    assert records[-1].histogram.tolist() == expected.tolist()


@pytest.mark.parametrize("init", ["scratch", "previous"])
@pytest.mark.parametrize("stop", [1, 2])
def test_resumed_equals_unbroken(tmp_path, blobs, finish, init, stop):
    """A campaign that a cluster kills every four hours would have other results."""
    lines = f'init = "{init}"\naudit = 0.34'
    path = blobs(campaign=f'{lines}\nfolder = "unbroken"')
    unbroken = read_campaign(path)
    whole = finish(unbroken)
    broken = read_campaign(blobs(campaign=f'{lines}\nfolder = "broken"'))
    finish(broken, cycles=stop)
    again = read_campaign(path.parent / "blobs.toml")
    assert comparable(finish(again)) == comparable(whole)
    assert state(again) == state(unbroken)
    assert json.loads(state(again)[-1][3])["memory"] == {"calls": 2}
    name = "weights/unsure-s0-c2.model.safetensors"
    if init == "previous":
        assert (again.folder / name).read_bytes() == (unbroken.folder / name).read_bytes()
    # Of the cycles before, what it takes to do the last one over.
    assert len(list((again.folder / "weights").iterdir())) == 2 * (init == "previous")


OWN_TORCH = """
import torch
def make_model(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3)
    )
def train(model, inputs, labels, *, seed, weights=None, progress=None):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        loss = torch.nn.functional.cross_entropy(
            model(torch.as_tensor(inputs)), torch.as_tensor(labels)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()
"""


DRAWING = """
import random
import numpy as np
import torch
def lowest(round):
    drawn = [random.random() + np.random.random() + float(torch.rand(())) for _ in round.candidates]
    return round.candidates[np.argsort(drawn)[: round.budget]]
"""
LEAVING = """
import random
import numpy as np
def left(*arguments, **named):
    model = trained(*arguments, **named)
    random.seed(), np.random.seed(), torch.seed()  # anywhere, as training by the clock does
    return model
trained, train = train, left
"""


def test_a_strategy_that_draws_without_asking_draws_the_same(blobs, finish):
    """A run that was killed would go on with other rows, wherever training left the generators."""
    found = []
    for cycles in (99, 1):
        path = blobs(campaign=f'folder = "after-{cycles}"')
        use_own_learner(path, OWN_TORCH + LEAVING)
        (path.parent / "own.py").write_text(DRAWING)
        finish(read_campaign(path), "lowest", cycles=cycles)
        found.append([r.chosen.tolist() for r in finish(read_campaign(path), "lowest")])
    assert found[0] == found[1]
    assert len({*found[0][0], *found[0][1]}) == 12


POPPING = """
def lowest(round):
    first = round.options.pop("first", 0)
    return round.candidates[first : first + round.budget]
"""


def test_options_are_those_of_the_file_in_every_cycle(blobs, finish):
    """What a strategy does to its options would hold for later cycles, until the run is stopped."""
    path = blobs()
    path.write_text(path.read_text().replace(':lowest"', ':lowest"\noptions = { first = 9 }'))
    (path.parent / "own.py").write_text(POPPING)
    campaign = read_campaign(path)
    records = finish(campaign, "lowest")
    for record in records[:2]:
        taken = [first_rows(campaign, 0), *(before.chosen for before in records[: record.cycle])]
        free = np.setdiff1d(np.arange(60), np.concatenate(taken))
        assert record.chosen.tolist() == free[9:15].tolist()


def use_own_learner(path, code):
    """Write a learner beside a campaign file, and its name into it."""
    (path.parent / "torchy.py").write_text(code)
    text = path.read_text()
    first, last = text.index("epochs ="), text.index("[[strategy]]")
    own = 'make_model = "torchy.py:make_model"\ntrain = "torchy.py:train"\n'
    path.write_text(text[:first] + own + text[last:])


@pytest.mark.parametrize("init", ["scratch", "previous"])
def test_cycles_added_later_equal_those_planned(blobs, finish, init):
    """Going on would repeat the campaign, choose otherwise, or leave a cycle without a choice."""
    lines = f'init = "{init}"\n'
    path = blobs(campaign=f'{lines}folder = "whole"')
    path.write_text(path.read_text().replace("cycles = 2", "cycles = 4"))
    whole = finish(read_campaign(path))
    path = blobs(campaign=f'{lines}folder = "grown"')
    first = finish(read_campaign(path))
    path.write_text(path.read_text().replace("cycles = 2", "cycles = 4"))
    campaign = read_campaign(path)
    left = {"lowest": 5, "unsure": 3}  # a third of the finished run has to choose yet
    results = Store(campaign.folder).results()
    assert jobs_left(replace(campaign, plan=replace(campaign.plan, seeds=(0,))), results) == (
        [("lowest", 0), ("unsure", 0)],
        sum(left.values()),
    )
    records = finish(campaign)
    assert comparable(records) == comparable(whole)
    assert comparable(records)[:2] == comparable(first)[:2]
    assert len(first[2].chosen) == 0
    assert len(records[2].chosen) == 6


def test_cycles_added_later_have_no_audit_slice(blobs, finish):
    """Rows that strategies could choose by then would be called a uniform sample."""
    path = blobs(campaign="audit = 0.34")
    first = finish(read_campaign(path))
    path.write_text(path.read_text().replace("cycles = 2", "cycles = 4"))
    records = finish(read_campaign(path))
    assert [len(record.audit) for record in records] == [2, 2, 0, 0, 0]
    assert [record.audit.tolist() for record in records[:2]] == [
        record.audit.tolist() for record in first[:2]
    ]
    assert [len(record.chosen) for record in records] == [6, 6, 6, 6, 0]
    assert [record.metrics["audit_seen"] for record in records[1:]] == [2, 4, 4, 4]


def test_a_train_function_that_leaves_its_model_changed_resumes_too(blobs, finish):
    """Dropout and batch norm would be off in unbroken runs, and on after a kill."""
    found = []
    for folder, cycles in (("unbroken", 9), ("broken", 1)):
        path = blobs(campaign=f'init = "previous"\nfolder = "{folder}"')
        use_own_learner(path, OWN_TORCH)
        finish(read_campaign(path), cycles=cycles)
        found.append(comparable(finish(read_campaign(path))))
    assert found[0] == found[1]


def test_previous_goes_on_and_scratch_begins_anew(read, finish, monkeypatch):
    """Chapter 2 fine-tunes the last model, chapter 4 trains anew: the curves differ."""
    made = {}
    for init in ("scratch", "previous"):
        campaign = read(campaign=f'init = "{init}"\nfolder = "{init}"')
        seen = []
        make, train = campaign.learner.make_model, campaign.learner.train

        def watched(model, *args, _seen=seen, _train=train, **rest):
            _seen.append(model[1].weight.detach().clone())
            trained = _train(model, *args, **rest)
            _seen.append(trained[1].weight.detach().clone())
            return trained

        object.__setattr__(campaign.learner, "train", watched)
        finish(campaign)
        made[init] = seen
        assert torch.equal(seen[0], make(_first_seed())[1].weight)
    assert torch.equal(made["previous"][2], made["previous"][1])
    assert not torch.equal(made["scratch"][2], made["scratch"][1])
    assert torch.equal(made["scratch"][0], made["previous"][0])


def _first_seed():
    from labelcut.studies.campaign.seeds import derive_seed

    return derive_seed(0, 0, "train")


def test_pretrained_begins_from_the_weights(blobs, finish):
    """Every cycle would begin from noise, though the file names weights."""
    from safetensors.torch import save_file

    campaign = read_campaign(blobs())
    model = campaign.learner.make_model(77)
    path = blobs(campaign='init = "pretrained"', learner='weights = "w.safetensors"')
    save_file(model.state_dict(), path.parent / "w.safetensors")
    campaign = read_campaign(path)
    begun = []
    train = campaign.learner.train

    def watched(model, *args, **rest):
        begun.append(model[1].weight.detach().clone())
        return train(model, *args, **rest)

    object.__setattr__(campaign.learner, "train", watched)
    finish(campaign)
    assert len(begun) == 3
    assert all(torch.equal(weight, model[1].weight) for weight in begun)


def test_audit_rows_are_labeled_but_never_trained_on(read, finish):
    """Accuracy on rows that the model has learned is no estimate."""
    campaign = read(campaign="audit = 0.34")
    learned = []
    train = campaign.learner.train

    def watched(model, inputs, labels, **rest):
        learned.append(np.asarray(inputs))
        return train(model, inputs, labels, **rest)

    object.__setattr__(campaign.learner, "train", watched)
    records = finish(campaign, "lowest")
    slices = [record.audit for record in records]
    assert [len(rows) for rows in slices] == [2, 2, 0]
    assert all(np.isin(record.audit, record.chosen).all() for record in records)
    audited = campaign.pool.inputs[np.concatenate(slices)]
    assert [len(inputs) for inputs in learned] == [9, 13, 17]
    for inputs in learned:
        assert not (inputs[:, None] == audited).all(axis=2).any()
    assert records[0].metrics.get("audit_seen") is None
    assert [record.metrics["audit_seen"] for record in records[1:]] == [2, 4]
    assert {"audit_gained", "audit_lost"} <= set(records[1].metrics)


def test_strategies_share_their_initial_set_and_first_model(read, finish):
    """Differences between strategies would be differences of luck at the start."""
    campaign = read()
    one, other = (finish(campaign, name, cycles=1)[0] for name in ("lowest", "unsure"))
    assert one.histogram.tolist() == other.histogram.tolist()
    assert one.metrics["accuracy"] == other.metrics["accuracy"]


def test_nothing_is_recorded_of_a_cycle_that_fails(read, finish):
    """A resumed campaign would believe in rows that were never chosen."""
    campaign = read()
    (campaign.path.parent / "own.py").write_text("def lowest(round): return [0] * round.budget")
    broken = read_campaign(_copied(campaign))
    with pytest.raises(InvalidInput, match="strategy lowest, seed 0, cycle 0"):
        finish(broken, "lowest")
    assert Store(broken.folder).results().records == ()
    assert not list((broken.folder / "selections").iterdir())


def _copied(campaign):
    """Copy a campaign file's folder, so that its functions are imported anew."""
    import shutil

    folder = campaign.path.parent.with_name("copy")
    shutil.copytree(campaign.path.parent, folder)
    return folder / campaign.path.name


def test_dispersion_is_tracked_where_it_is_needed(read, finish):
    """Strategies by dispersion would have no epochs to count."""
    path = read().path
    text = path.read_text().replace('choose = "own.py:lowest"', 'use = "dispersion"')
    path.write_text(text)
    records = finish(read_campaign(path), "lowest")
    assert [len(record.chosen) for record in records] == [6, 6, 0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("round.metrics['accuracy'] = 1.0", r"round.metrics\['accuracy'\] is what"),
        (
            "round.metrics['own'] = 'many'",
            "round.metrics: must give numbers by name; own is 'many'",
        ),
        ("round.memory['model'] = round.model", "round.memory must hold JSON"),
    ],
)
def test_a_strategy_that_leaves_what_it_may_not_is_told(blobs, finish, line, words):
    """One of a user's own would be compared by a number it made up, or stop in json's words."""
    path = blobs()
    own = f"def lowest(round):\n    {line}\n    return round.candidates[: round.budget]\n"
    (path.parent / "own.py").write_text(own)
    with pytest.raises(InvalidInput, match=f"strategy lowest, seed 0, cycle 0: {words}"):
        finish(read_campaign(path), "lowest")
