"""Policy files of kind ralis, and the commands that read them."""

import contextlib
import io
import json
import sys
from typing import NamedTuple

import numpy as np
import pytest

import labelcut
from labelcut.cli import main
from labelcut.models.policies import load_policy, save_policy
from labelcut.models.policies.ralis import RalisAgent, RalisSettings
from labelcut.models.policies.ralis_features import RalisFeatures
from labelcut.problems.errors import InvalidInput
from labelcut.studies.policies.ralis_files import region_values
from labelcut.studies.policies.scenes import street_scenes

TRAIN = """
labelcut = 1
[policy]
kind = "ralis"
[data]
images = "images.npy"
labels = "labels.npy"
classes = 6
[training]
region = [18, 16]
cells = 2
bins = 4
width = 4
epochs = 8
state = 2
initial = 2
train = 4
reward = 2
pools = 2
size = 4
budget = 6
batch = 4
replay = 40
episodes = 2
"""
APPLY = """
labelcut = 1
[policy]
kind = "ralis"
[data]
histogram = "histogram.npy"
cells = "cells.npy"
state_histogram = "state_histogram.npy"
state_cells = "state_cells.npy"
labeled = "labeled.npy"
truth = "truth.npy"
image = "image.npy"
[batch]
"""


class Result(NamedTuple):
    """What a command left behind."""

    exit_code: int
    output: str


def run(*arguments):
    """Run a command as the shell does."""
    words = ["labelcut", "policy", *map(str, arguments), "--json"]
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", words)
        try:
            main()
        except SystemExit as exit_:
            return Result(exit_.code or 0, out.getvalue() + err.getvalue())
    return Result(0, out.getvalue())


@pytest.fixture
def folder(tmp_path):
    """Write images, and what some network says about regions of others."""
    scenes = street_scenes(12, seed=0)
    np.save(tmp_path / "images.npy", scenes.images)
    np.save(tmp_path / "labels.npy", scenes.labels)
    (tmp_path / "train.toml").write_text(TRAIN)
    rng = np.random.default_rng(0)
    for name, count in (("", 60), ("state_", 48)):
        np.save(tmp_path / f"{name}histogram.npy", rng.dirichlet(np.ones(6), count))
        np.save(tmp_path / f"{name}cells.npy", rng.random((count, 12)))
    np.save(tmp_path / "truth.npy", rng.dirichlet(np.ones(6), 60))
    np.save(tmp_path / "labeled.npy", np.array([3, 9]))
    np.save(tmp_path / "beyond.npy", np.array([3, 60]))
    cells = rng.random((60, 12))
    cells[4] = np.nan
    np.save(tmp_path / "nan.npy", cells)
    np.save(tmp_path / "image.npy", np.arange(60) // 10)
    return tmp_path


@pytest.fixture
def policy(folder):
    """Save a policy for those regions."""
    agent = RalisAgent(RalisFeatures(6, 2, bins=4), 48, RalisSettings())
    return save_policy(agent.policy(), folder / "p")


def test_train_writes_a_policy_that_apply_takes(folder):
    """The two commands would not fit together."""
    trained = run("train", folder / "train.toml", "--out", folder / "p")
    assert trained.exit_code == 0, trained.output
    assert load_policy(folder / "p").settings["regions"] == 48
    (folder / "apply.toml").write_text(APPLY + "budget = 8\nat_most_image = 2\n")
    applied = run("apply", folder / "apply.toml", "--policy", folder / "p")
    assert applied.exit_code == 0, applied.output
    problem = labelcut.load(folder / "apply.problem.toml")
    answer = labelcut.solve(problem)
    assert len(answer.indices) == 8
    assert not set(answer.indices) & {3, 9}
    assert np.bincount(answer.indices // 10).max() <= 2


def test_utility_is_q(folder, policy):
    """The problem would be solved for something else than the policy's values."""
    (folder / "apply.toml").write_text(APPLY + "budget = 8\n")
    assert run("apply", folder / "apply.toml", "--policy", policy).exit_code == 0
    maps = {
        name: np.load(folder / f"{name}.npy")
        for name in ("histogram", "cells", "state_histogram", "state_cells")
    }
    truth = np.load(folder / "truth.npy")[[3, 9]]
    q = region_values(load_policy(policy), maps, truth, np.array([3, 9]))
    problem = labelcut.load(folder / "apply.problem.toml")
    np.testing.assert_allclose(problem.utility, q)
    assert np.ptp(q) > 0
    with pytest.raises(InvalidInput, match="truth"):
        region_values(load_policy(policy), maps, None, np.array([3, 9]))


def test_pools_become_an_assignment(folder, policy):
    """`apply` would not write the paper's choice."""
    (folder / "apply.toml").write_text(APPLY + "pools = 5\nsize = 4\n")
    assert run("apply", folder / "apply.toml", "--policy", policy).exit_code == 0
    problem = labelcut.load(folder / "apply.problem.toml")
    answer = labelcut.solve(problem)
    assert len(problem.utility) == 20
    np.testing.assert_array_equal(np.sort(problem.table["pool"][answer.indices]), np.arange(5))
    assert len(set(problem.table["region"][answer.indices])) == 5
    assert not set(problem.table["region"]) & {3, 9}


@pytest.mark.parametrize("changed", ["labels", "width = 4", "reward = 2"])
def test_training_on_something_else_does_not_go_on(folder, changed):
    """New labels or another network would be taken for trained on, and nothing said."""
    file = folder / "train.toml"
    text = TRAIN.replace("episodes = 2", "episodes = 1").replace("epochs = 8", "epochs = 1")
    file.write_text(text)
    assert run("train", file, "--out", folder / "p").exit_code == 0
    assert run("train", file, "--out", folder / "p").exit_code == 0
    if changed == "labels":
        labels = np.load(folder / "labels.npy")
        labels[0, 0, 0] += 1
        np.save(folder / "labels.npy", labels)
    else:
        file.write_text(text.replace(changed, changed[:-1] + "3"))
    result = run("train", file, "--out", folder / "p")
    assert result.exit_code == 2
    assert "was begun with another" in result.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("file", "change", "complaint"),
    [
        ("train", ("region = [18, 16]\n", ""), "region: is missing"),
        ("train", ("region = [18, 16]", "region = [17, 16]"), "must divide"),
        ("train", ("classes = 6\n", ""), "classes: is missing"),
        ("train", ('labels = "labels.npy"', 'labels = "image.npy"'), "labels: must have shape"),
        ("train", ("train = 4", "train = 40"), "images: 46 are needed"),
        ("train", ("size = 4", "size = 60"), "the pools, or their size"),
        ("train", ("bins = 4", "bin = 4"), "bins"),
        ("train", ("region = [18, 16]", 'region = ["a", 16]'), "region: must be two numbers"),
        ("train", ("region = [18, 16]", "region = [18]"), "region: must be two numbers"),
        ("train", ("bins = 4", "epsilon = [0.5]"), "epsilon: must be two numbers"),
        ("train", ("bins = 4", "exploring = -1.0"), "exploring: must be"),
        ("train", ("bins = 4", "lr = nan"), "lr, clip"),
        ("train", ("classes = 6", "classes = 300"), "classes: must lie between 2 and 255"),
        ("train", ("state = 2", "state = 0"), "state: must be 1 image"),
        ("train", ("width = 4", "width = 0"), "width, batch"),
        ("apply", ("[batch]", "[batch]\nsize = 4"), "size: is that of pools"),
        ("apply", ('truth = "truth.npy"', 'truth = "labeled.npy"'), "truth: must have one row"),
        ("apply", ('"labeled.npy"', '"beyond.npy"'), "labeled: rows go from 0 to 59; 60 came"),
        (
            "apply",
            ('\ncells = "cells.npy"', '\ncells = "state_cells.npy"'),
            "row for each of the 60",
        ),
        ("apply", ('\ncells = "cells.npy"', '\ncells = "nan.npy"'), "cells: must be finite; row 4"),
        (
            "apply",
            ('\nhistogram = "histogram.npy"', '\nhistogram = "cells.npy"'),
            "sum to 1; row 0",
        ),
        ("apply", ('cells = "cells.npy"\n', ""), "cells: is missing"),
        ("apply", ('truth = "truth.npy"\n', ""), "truth: is missing"),
        ("apply", ('image = "image.npy"\n', ""), "at_most_image: needs"),
        ("apply", ("at_most_image = 2", "at_most_image = 2\npools = 3"), "goes without pools"),
        ("apply", ('"state_cells.npy"', '"cells.npy"'), "48|60"),
        ("apply", ('"histogram.npy"', '"image.npy"'), "histogram: must have shape"),
    ],
)
def test_bad_files_are_told_in_one_line(folder, policy, file, change, complaint):
    """A user would see a traceback, or a policy that means nothing."""
    text = TRAIN if file == "train" else APPLY + "budget = 8\nat_most_image = 2\n"
    (folder / "file.toml").write_text(text.replace(*change))
    where = ["--out", folder / "q"] if file == "train" else ["--policy", policy]
    result = run(file, folder / "file.toml", *where)
    assert result.exit_code == 2, result.output
    assert complaint.split("|")[0] in result.output.replace("\n", " ")


def test_policies_for_other_data_are_refused(folder):
    """Classes would be taken for others."""
    agent = RalisAgent(RalisFeatures(7, 2, bins=4), 48, RalisSettings())
    save_policy(agent.policy(), folder / "p")
    (folder / "apply.toml").write_text(APPLY + "budget = 8\n")
    result = run("apply", folder / "apply.toml", "--policy", folder / "p")
    assert result.exit_code == 2
    assert "trained for 7 classes" in result.output.replace("\n", " ")
    assert json.loads((folder / "p" / "policy.json").read_text())["classes"] == 7
