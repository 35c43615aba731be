"""A person labels between the rounds."""

import csv
import json
import shutil
import time
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from labelcut.problems.errors import InvalidInput
from labelcut.studies.campaign import human
from labelcut.studies.campaign.files import read_campaign
from labelcut.studies.campaign.human import next_batch, take_labels
from labelcut.studies.campaign.loop import Run
from labelcut.studies.campaign.records import load_results
from labelcut.studies.campaign.runner import run_campaign
from labelcut.studies.campaign.store import Store

PERSON = 'answers = "person"\naudit = 0.34'


@pytest.fixture
def person(blobs):
    """Write a campaign with a person and ids, with what is known of the truth, and read it."""

    def make(known=()):
        path = blobs(campaign=PERSON, data='ids = "ids.txt"\nclasses = 3')
        folder = path.parent
        (folder / "ids.txt").write_text("".join(f"image-{row}\n" for row in range(60)))
        truth = np.load(folder / "y.npy")
        np.save(folder / "hidden.npy", truth)
        seen = np.full(60, -1)
        seen[list(known)] = truth[list(known)]
        np.save(folder / "y.npy", seen)
        text = path.read_text().replace("seeds = 2", "seeds = 1")
        first = text.index('[[strategy]]\nname = "lowest"')
        text = text[:first] + text[text.index('[[strategy]]\nname = "unsure"') :]
        path.write_text(text if len(known) else text.replace('truth = "y.npy"\n', ""))
        return read_campaign(path)

    return make


def fill_in(campaign, batch, key="row"):
    """Answer a batch with the hidden truth, as a person would in a spreadsheet."""
    truth = np.load(campaign.path.parent / "hidden.npy")
    with batch.csv.open(newline="") as file:
        lines = list(csv.DictReader(file))
    path = campaign.path.parent / "answers.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([key, "label"])
        writer.writerows([line[key], truth[int(line["row"])]] for line in reversed(lines))
    return path


def test_a_person_gets_the_same_results_as_the_truth(person, finish, blobs):
    """Labeling by hand would be another experiment than the simulated one."""
    campaign = person()
    batch = next_batch(campaign)
    assert batch.cycle == -1
    assert len(batch.rows) == 9
    keys = iter(["row", "id", "row"])
    sizes = []
    while batch is not None:
        sizes.append(len(batch.rows))
        # Asked again, in another process for all we know, the question is the same.
        again = next_batch(read_campaign(campaign.path))
        assert again.rows.tolist() == batch.rows.tolist()
        batch = take_labels(campaign, fill_in(campaign, batch, next(keys)))
    assert sizes == [9, 6, 6]
    assert next_batch(campaign) is None
    by_hand = load_results(campaign.folder).records
    simulated = finish(read_campaign(blobs(campaign='audit = 0.34\nfolder = "simulated"')))
    assert [record.chosen.tolist() for record in by_hand] == [
        record.chosen.tolist() for record in simulated
    ]
    for one, other in zip(by_hand, simulated, strict=True):
        assert one.metrics["accuracy"] == other.metrics["accuracy"]
        assert one.metrics.get("audit_accuracy") == other.metrics.get("audit_accuracy")
        assert one.histogram.tolist() == other.histogram.tolist()


def test_files_name_the_rows_and_hide_the_audit(person):
    """People would label other images, or the audit's more carefully than the rest."""
    campaign = person(known=range(9))
    batch = next_batch(campaign)
    assert batch.cycle == 0
    with batch.csv.open(newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["row", "id", "label"]
    assert lines[1:] == [[str(row), f"image-{row}", ""] for row in batch.rows]
    coco = json.loads(batch.coco.read_text())
    assert [image["id"] for image in coco["images"]] == [f"image-{row}" for row in batch.rows]
    assert [image["row"] for image in coco["images"]] == batch.rows.tolist()
    assert [category["id"] for category in coco["categories"]] == [0, 1, 2]
    assert not np.isin(batch.rows, np.arange(9)).any()
    record = load_results(campaign.folder).records[0]
    assert len(record.audit) == 2
    assert "audit" not in batch.csv.read_text() + batch.coco.read_text()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda lines: lines[:-1], "1 of 9 rows have no answer, row"),
        (lambda lines: [*lines, lines[-1]], "is answered twice"),
        (lambda lines: [*lines, "999,1"], "line 11: row '999' was not asked for"),
        (
            lambda lines: [lines[0].replace("label", "lable"), *lines[1:]],
            "columns row .* and label",
        ),
        (lambda lines: [*lines[:-1], lines[-1][:-1] + "3"], "must be a class from 0 to 2; got '3'"),
        (lambda lines: [*lines[:-1], lines[-1][:-1]], "must be a class from 0 to 2; got ''"),
        (lambda lines: [*lines[:-1], lines[-1][:-1] + "-1"], "got '-1'"),
        (lambda lines: [lines[0], "", *lines[1:-1], lines[-1][:-1] + "3"], "line 11: label must"),
        (lambda lines: [], "got nothing"),
    ],
)
def test_wrong_answers_are_refused_whole(person, spoil, words):
    """Labels would end up at other rows, or half of a batch be taken and the rest be lost."""
    campaign = person()
    batch = next_batch(campaign)
    path = fill_in(campaign, batch)
    lines = spoil(path.read_text().splitlines())
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(InvalidInput, match=words):
        take_labels(campaign, path)
    again = next_batch(campaign)
    assert (again.cycle, again.rows.tolist()) == (-1, batch.rows.tolist())


def test_answers_come_after_questions(person):
    """Answers to the last batch would be taken for those of the next one."""
    campaign = person(known=range(9))
    with pytest.raises(InvalidInput, match="nothing was asked for"):
        take_labels(campaign, campaign.path)
    batch = next_batch(campaign)
    answers = fill_in(campaign, batch)
    take_labels(campaign, answers)
    with pytest.raises(InvalidInput, match="was not asked for"):
        take_labels(campaign, answers)


def test_answers_survive_a_training_that_stops(person, monkeypatch):
    """An hour of labeling would be lost with the process that trains on it."""
    campaign = person()
    answers = fill_in(campaign, next_batch(campaign))

    def stopped(run):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "next", stopped)
        with pytest.raises(KeyboardInterrupt):
            take_labels(campaign, answers)
    batch = next_batch(campaign)
    assert batch.cycle == 0
    (record,) = load_results(campaign.folder).records
    assert record.labeled == 9
    assert record.chosen.tolist() == batch.rows.tolist()


def test_people_and_truth_are_told_apart(person, read):
    """A simulated campaign would wait for answers, or one with a person answer itself."""
    with pytest.raises(InvalidInput, match="truth answers by itself"):
        next_batch(read())
    with pytest.raises(InvalidInput, match="campaign next"):
        run_campaign(person())


NAMED = 'ids = "ids.txt"\nclass_names = ["tabby cat", "dog", "2"]'


@pytest.fixture
def named(blobs):
    """Write a campaign that begins with nothing but inputs and the names of the classes."""
    path = blobs(campaign=PERSON, data=NAMED)
    (path.parent / "ids.txt").write_text("".join(f"image-{row}\n" for row in range(60)))
    text = path.read_text().replace("seeds = 2", "seeds = 1").replace('truth = "y.npy"\n', "", 1)
    first = text.index('[[strategy]]\nname = "lowest"')
    path.write_text(text[:first] + text[text.index('[[strategy]]\nname = "unsure"') :])
    return read_campaign(path)


def answered(batch, labels, separator=","):
    """Fill in the file that was written, in its place."""
    lines = batch.csv.read_text().splitlines()
    told = [lines[0], *(line + label for line, label in zip(lines[1:], labels, strict=False))]
    told += lines[len(told) :]
    batch.csv.write_text("\n".join(told).replace(",", separator) + "\n")
    return batch.csv


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_classes_are_answered_by_name_or_number(named, separator):
    """People would look up numbers for what they see, and mix them up."""
    assert named.pool.classes == 3
    batch = next_batch(named)
    coco = json.loads(batch.coco.read_text())
    assert coco["categories"] == [
        {"id": 0, "name": "tabby cat"},
        {"id": 1, "name": "dog"},
        {"id": 2, "name": "2"},
    ]
    labels = [" tabby cat", "0", "dog", "1", "2", "2", "dog", "dog ", "dog"]
    take_labels(named, answered(batch, labels, separator))
    kept = Store(named.folder).answers("unsure", 0)[-1]
    assert [kept[row] for row in batch.rows.tolist()] == [0, 0, 1, 1, 2, 2, 1, 1, 1]
    (record,) = load_results(named.folder).records
    assert record.histogram.tolist() == [2, 5, 2]


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("dgo", "or its name, did you mean 'dog'"),
        ("DOG", "or its name, did you mean 'dog'"),
        ("zebra", r"0 to 2 or its name \(tabby cat, dog, 2\); got 'zebra'"),
        ("3", "got '3'"),
    ],
)
def test_a_name_that_is_none_is_refused(named, label, words):
    """A slip of the pen would become another class."""
    batch = next_batch(named)
    with pytest.raises(InvalidInput, match=words):
        take_labels(named, answered(batch, ["dog"] * 8 + [label]))


def test_columns_that_have_come_apart_are_refused(named):
    """Labels would end up at other images where somebody sorted ids and labels, but not rows."""
    batch = next_batch(named)
    lines = answered(batch, ["dog"] * 9).read_text().splitlines()
    cells = [line.split(",") for line in lines[1:]]
    swapped = [",".join([cells[at][0], *cells[8 - at][1:]]) for at in range(9)]
    batch.csv.write_text("\n".join([lines[0], *swapped]) + "\n")
    first, last = batch.rows[[0, -1]]
    with pytest.raises(InvalidInput, match=f"row {first} is image-{first}, and not image-{last}"):
        take_labels(named, batch.csv)
    # What a spreadsheet made of an id is none of another row.
    mangled = [",".join([row, "1e+17", label]) for row, _, label in cells]
    batch.csv.write_text("\n".join([lines[0], *mangled]) + "\n")
    assert take_labels(named, batch.csv).cycle == 0


def test_empty_lines_of_a_spreadsheet_are_none(named):
    """Answers would be refused for lines that nobody sees, or be written over with them."""
    batch = next_batch(named)
    path = answered(batch, ["dog"] * 9)
    path.write_text(path.read_text() + "\n,,\n , ,,\n")
    text = path.read_text()
    assert next_batch(named).csv.read_text() == text
    assert take_labels(named, path).cycle == 0


def test_asking_again_keeps_what_is_filled_in(named):
    """An hour's answers in the file that asked for them would be blank again."""
    batch = next_batch(named)
    text = answered(batch, ["dog", "tabby cat"], ";").read_text()
    assert next_batch(named).csv.read_text() == text
    after = take_labels(named, answered(batch, ["", "", *["2"] * 7]))
    lines = after.csv.read_text().splitlines()
    assert after.cycle == 0
    assert [line.split(",")[0] for line in lines[1:]] == [str(row) for row in after.rows]
    assert all(line.endswith(",") for line in lines[1:])


def test_answers_given_last_may_be_corrected(person):
    """A slip of the hand would stay in the labels for good."""
    right, told = person(), []
    batch = next_batch(right)
    second = take_labels(right, fill_in(right, batch))
    expected = take_labels(right, fill_in(right, second))
    shutil.rmtree(right.folder)

    campaign = person()
    second = take_labels(campaign, fill_in(campaign, next_batch(campaign)))
    good = fill_in(campaign, second)
    wrong = good.with_name("wrong.csv")
    lines = good.read_text().splitlines()
    wrong.write_text("\n".join([lines[0], *(f"{line[:-1]}1" for line in lines[1:])]))
    others = sum(not line.endswith(",1") for line in lines[1:])
    assert others
    third = take_labels(campaign, wrong)
    begun = third.csv.read_text().replace(",\n", ",1\n", 1)
    third.csv.write_text(begun)
    with pytest.raises(InvalidInput, match=r"was not asked for.*say --replace"):
        take_labels(campaign, good)
    with pytest.raises(InvalidInput, match="replace takes the batch that was answered last"):
        take_labels(campaign, third.csv, replace=True)
    corrected = take_labels(campaign, good, lambda *stage: told.append(stage), replace=True)
    assert corrected.rows.tolist() == expected.rows.tolist()
    assert told[0] == (0, f"{others} of 6 answers are others than before")
    assert (campaign.folder / "next-forgotten.csv").read_text() == begun
    assert [record.cycle for record in load_results(campaign.folder).records] == [0, 1]

    # The same again changes nothing, and does not train.
    told.clear()
    again = take_labels(campaign, good, lambda *stage: told.append(stage), replace=True)
    assert again.rows.tolist() == corrected.rows.tolist()
    assert told == [(0, "0 of 6 answers are others than before")]

    # What was filled in before the second correction does not take the place of the first.
    later = corrected.csv.read_text().replace(",\n", ",2\n", 1)
    corrected.csv.write_text(later)
    take_labels(campaign, wrong, replace=True)
    assert (campaign.folder / "next-forgotten.csv").read_text() == begun
    assert (campaign.folder / "next-forgotten-2.csv").read_text() == later


def test_nothing_is_corrected_before_anything_was_answered(person):
    """--replace would answer a batch, or end in a traceback."""
    campaign = person()
    batch = next_batch(campaign)
    with pytest.raises(InvalidInput, match="no answers yet that could be replaced"):
        take_labels(campaign, fill_in(campaign, batch), replace=True)


def test_a_person_goes_on_when_cycles_are_raised(person):
    """Who is told that another cycle pays could not have one."""
    campaign = person(known=range(9))
    batch = next_batch(campaign)
    while batch is not None:
        batch = take_labels(campaign, fill_in(campaign, batch))
    text = campaign.path.read_text()
    campaign.path.write_text(text.replace("cycles = 2", "cycles = 3"))
    campaign = read_campaign(campaign.path)
    batch = next_batch(campaign)
    assert (batch.cycle, len(batch.rows)) == (2, 6)
    assert take_labels(campaign, fill_in(campaign, batch)) is None
    cycles = [record.cycle for record in load_results(campaign.folder).records]
    assert cycles == [0, 1, 2, 3]


def test_importing_torch_is_not_the_time_of_the_loop(person, monkeypatch):
    """Half of what a person's campaign takes would be put down to the loop itself."""

    @contextmanager
    def slow(threads):
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass
        yield

    monkeypatch.setattr(human, "limited", slow)
    campaign = person(known=range(9))
    next_batch(campaign)
    (record,) = load_results(campaign.folder).records
    assert record.metrics["seconds_cpu_start"] >= 0.2


def test_training_keeps_to_the_threads_of_the_file(person):
    """`campaign next` would take all cores of a shared machine, and add up in another order."""
    campaign = person(known=range(9))
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    seen = []

    def train(model, inputs, labels, **rest):
        seen.append((torch.get_num_threads(), torch.get_deterministic_debug_mode()))
        return campaign.learner.train(model, inputs, labels, **rest)

    threads = before[0] + 1
    next_batch(replace(campaign, threads=threads, learner=replace(campaign.learner, train=train)))
    assert seen == [(threads, 1)]
    assert (torch.get_num_threads(), torch.get_deterministic_debug_mode()) == before
