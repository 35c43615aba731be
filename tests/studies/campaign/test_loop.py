"""The loop of one run: what is trained on, what strategies may return, what survives a stop."""

import json
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
import torch

from labelcut.problems.errors import InvalidInput
from labelcut.studies.campaign import Pool
from labelcut.studies.campaign.checking import checked_rows
from labelcut.studies.campaign.files import read_campaign
from labelcut.studies.campaign.learner import Learner
from labelcut.studies.campaign.loop import Run, truth_of
from labelcut.studies.campaign.round import Round
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


def small_round(**fields):
    """Return a round over six rows, of which 0 and 5 are labeled and 1 waits for an audit."""
    pool = Pool(np.eye(6, dtype=np.float32), truth=[0, 1, 0, 1, 0, 1], classes=2)
    model = torch.nn.Linear(6, 2)
    learner = Learner(lambda seed: torch.nn.Linear(6, 2), lambda model, x, y, **rest: model)
    given = {"labeled": np.array([0, 5]), "labels": np.array([0, 1]), "barred": np.array([1])}
    return Round(
        pool, **{**given, **fields}, budget=2, cycle=0, seed=3, model=model, learner=learner
    )


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
        (path.parent / "torchy.py").write_text(OWN_TORCH)
        text = path.read_text()
        first, last = text.index("epochs ="), text.index("[[strategy]]")
        own = 'make_model = "torchy.py:make_model"\ntrain = "torchy.py:train"\n'
        path.write_text(text[:first] + own + text[last:])
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


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([2, 2], "row 2 comes twice"),
        ([0, 2], "row 0 is labeled already"),
        ([1, 2], "row 1 is kept for the audit"),
        ([2, 6], "row 6 is no row of the pool"),
        ([2, -1], "row -1 is no row of the pool"),
        ([2], "must return 2 rows; got 1"),
        ([], "must return 2 rows; got 0"),
        ([2, 3, 4], "must return 2 rows; got 3"),
        ([2.0, 3.0], "must return a Selection or row numbers; got float64"),
        (None, "must return a Selection or row numbers"),
        ([[2, 3]], "got int64 of shape"),
    ],
)
def test_wrong_rows_name_the_strategy(rows, words):
    """A strategy with a bug would win by labeling more, or label rows twice."""
    with pytest.raises(InvalidInput, match=f"strategy mine, cycle 0: .*{words}"):
        checked_rows(rows, small_round(), "mine")


def test_rows_of_a_strategy_are_taken_in_any_order():
    """A strategy that ranks its rows would be refused."""
    assert checked_rows([4, 2], small_round(), "mine").tolist() == [2, 4]


def test_a_selection_without_rows_tells_why():
    """A contradiction among a strategy's constraints would look like a bug of the loop."""
    from labelcut import BudgetedSelection, Include, Spacing, solve

    video, frame = np.zeros(6), np.arange(6)
    problem = BudgetedSelection(
        np.ones(6), 2, constraints=[Include([0, 1]), Spacing(video, frame, exclude_within=1)]
    )
    with pytest.raises(InvalidInput, match="strategy mine, cycle 0: found no rows \\(infeasible"):
        checked_rows(solve(problem), small_round(), "mine")


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


def test_a_round_tells_candidates_and_what_was_trained():
    """Strategies would choose among rows that are labeled."""
    round = small_round(audit=np.array([5]))
    assert round.candidates.tolist() == [2, 3, 4]
    assert round.trained.tolist() == [0]
    assert round.trained_labels.tolist() == [0]


def test_scores_are_those_of_the_model():
    """A strategy would choose by another model's predictions."""
    round = small_round()
    inputs = torch.as_tensor(round.pool.inputs)
    with torch.inference_mode():
        expected = round.model(inputs).softmax(1).numpy()
    np.testing.assert_allclose(round.probs, expected, rtol=1e-6)
    np.testing.assert_array_equal(round.embeddings, round.pool.inputs)


def test_held_out_rows_are_predicted_by_models_that_never_saw_them():
    """The prior correction would trust probabilities of rows learned by heart."""
    pool = Pool(np.arange(12, dtype=np.float32)[:, None], truth=np.arange(12) % 2, classes=2)
    seen = []

    class Remembers(torch.nn.Module):
        """Says 1 to what it was trained on, 0 to the rest."""

        rows = ()

        def forward(self, x):
            known = torch.isin(x[:, 0], torch.tensor(self.rows))
            return torch.stack([~known, known], dim=1).float() * 50

    def train(model, inputs, labels, **rest):
        model.rows = inputs[:, 0].tolist()
        seen.append(sorted(labels.tolist()))
        return model

    learner = Learner(lambda seed: Remembers(), train, layer="")
    rows = np.arange(10)
    round = Round(pool, rows, rows % 2, 2, 0, 0, Remembers(), learner, audit=np.array([9]))
    probs, classes = round.held_out(folds=3)
    assert probs.shape == (10, 2)
    assert probs[:9].argmax(axis=1).tolist() == [0] * 9
    assert sorted(classes.tolist()) == [0] * 5 + [1] * 5
    # Nine rows in three folds: each model learns from six, of both classes.
    assert [len(labels) for labels in seen] == [6, 6, 6]
    assert all(2 <= sum(labels) <= 4 for labels in seen)


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
