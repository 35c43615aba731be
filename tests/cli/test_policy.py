"""`labelcut policy`: from labeled patches to a policy, a problem file, and a checked batch."""

import numpy as np
import pytest
import tomli_w

import labelcut as package
from labelcut.models.policies import load_policy
from labelcut.models.policies.misical import policy_values
from labelcut.studies.policies.planted import rare_patches

TRAINING = {"hidden": [16], "batch": 64, "updates": 2, "passes": 2, "seed": 1}
BATCH = {"budget": 30, "at_most_image": 2, "at_most_group": 1}


@pytest.fixture
def files(tmp_path):
    """Write a policy file and its arrays; return a function that writes it with changes."""
    patches = rare_patches(3000, 800, seed=0, share=0.06)
    rows = np.arange(3000)
    arrays = {
        "features": patches.features,
        "holds": np.where(np.isin(rows, patches.labeled), patches.holds, -1),
        "labeled": patches.labeled,
        "image": rows // 20,
        "group": rows // 2,
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)

    def write(name="mine.toml", drop=(), **changes):
        content = {
            "labelcut": 1,
            "policy": {"kind": "misical"},
            "data": {key: f"{key}.npy" for key in arrays if key not in drop}
            | {"table": {"image": "image.npy"}},
            "training": TRAINING,
            "batch": BATCH,
        }
        for table, values in changes.items():
            content[table] = {**content[table], **values}
        (tmp_path / name).write_text(tomli_w.dumps(content))
        return tmp_path / name

    return write


def test_train_apply_solve_check(files, labelcut):
    """The road from labels to the next batch would be broken."""
    file = files()
    done = labelcut("policy", "train", file, "--json")
    assert done.code == 0, done.err
    told = done.json
    folder = file.with_suffix(".policy")
    assert told["path"] == str(folder)
    assert told["policy"]["labeled"] == 800
    assert load_policy(folder).fingerprint == told["policy"]["fingerprint"]
    assert "pass 2 of 2" in done.err

    done = labelcut("policy", "apply", file, "--policy", folder)
    assert done.code == 0, done.err
    path = file.with_suffix(".problem.toml")
    assert f"labelcut solve {path}" in " ".join(done.err.split())
    problem = package.load(path)
    patches = rare_patches(3000, 800, seed=0, share=0.06)
    expected = policy_values(load_policy(folder), patches.features, 6)
    np.testing.assert_array_equal(problem.utility, expected)

    done = labelcut("solve", path)
    assert done.code == 0, done.err
    answer = path.with_suffix(".selection.json")
    assert labelcut("check", path, answer).code == 0
    rows = package.load(answer).indices
    assert len(rows) == 30
    assert not np.isin(rows, patches.labeled).any()
    assert np.bincount(rows // 20).max() <= 2
    assert np.bincount(rows // 2).max() == 1
    assert patches.holds[rows].mean() > 0.5  # 6 % do


def test_training_again_changes_nothing_and_says_the_same(files, labelcut):
    """A finished training would be repeated, or end elsewhere."""
    file = files()
    ends = [labelcut("policy", "train", file, "--json").json for _ in range(2)]
    assert ends[0] == ends[1]


def test_a_policy_is_carried_over_to_other_data(files, labelcut, tmp_path):
    """A policy would be bound to the data set that it was trained on."""
    file = files()
    assert labelcut("policy", "train", file).code == 0
    other = rare_patches(500, 50, seed=3, share=0.5)
    np.save(tmp_path / "other.npy", other.features)
    content = {"labelcut": 1, "policy": {"kind": "misical"}, "data": {"features": "other.npy"}}
    there = tmp_path / "there.toml"
    there.write_text(tomli_w.dumps({**content, "batch": {"budget": 40, "draw": 200}}))
    done = labelcut("policy", "apply", there, "--policy", file.with_suffix(".policy"))
    assert done.code == 0, done.err
    problem = package.load(there.with_suffix(".problem.toml"))
    assert len(problem.candidates) == 200
    assert other.holds[package.solve(problem).indices].mean() > 0.8


def test_exploration_is_part_of_the_problem(files, labelcut):
    """ε-greedy picks would depend on the solver."""
    file = files(batch={"explore": 0.5, "seed": 3})
    assert labelcut("policy", "train", file).code == 0
    forced = []
    for _ in range(2):
        done = labelcut("policy", "apply", file, "--policy", file.with_suffix(".policy"))
        assert done.code == 0, done.err
        problem = package.load(file.with_suffix(".problem.toml"))
        (rule,) = (rule for rule in problem.constraints if rule.kind == "include")
        forced.append(rule.rows)
    np.testing.assert_array_equal(*forced)
    assert 5 <= len(forced[0]) <= 25


def test_exploration_gives_way_to_a_batch_that_exists(files, labelcut, tmp_path):
    """A problem file would be written that has no solution, though there is a batch."""
    assert labelcut("policy", "train", files()).code == 0
    # Of candidates 0 to 2 only the last two can be taken together.
    np.save(tmp_path / "labeled.npy", np.arange(3, 3000))
    for name, first in (("image", [0, 0, 1]), ("group", [0, 1, 0])):
        np.save(tmp_path / f"{name}.npy", np.array([*first, *range(2, 2999)]))
    included = set()
    for seed in range(6):
        batch = {"budget": 2, "at_most_image": 1, "explore": 0.5, "seed": seed}
        file = files("tight.toml", batch=batch)
        policy = file.with_name("mine.policy")
        done = labelcut("policy", "apply", file, "--policy", policy)
        assert done.code == 0, done.err
        problem = package.load(file.with_suffix(".problem.toml"))
        np.testing.assert_array_equal(package.solve(problem).indices, [1, 2])
        included.update(*(r.rows for r in problem.constraints if r.kind == "include"))
    assert included
    assert 0 not in included


def test_a_policy_for_other_classes_is_refused(files, labelcut, tmp_path):
    """Values would be computed from features that mean something else."""
    file = files()
    assert labelcut("policy", "train", file).code == 0
    np.save(tmp_path / "features.npy", np.zeros((3000, 12)))
    done = labelcut("policy", "apply", file, "--policy", file.with_suffix(".policy"))
    assert done.code == 2
    assert "trained for 6 classes, the data have 9" in done.err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"policy": {"kind": "misicall"}}, "kind: must be one of misical, ralis"),
        ({"training": {"discnt": 0.5}}, "unknown key 'discnt'; did you mean 'discount'?"),
        ({"training": {"rate": "fast"}}, "[training] rate: must be float or int; got 'fast'"),
        ({"training": {"discount": 1.5}}, "discount: must lie between 0 and 1"),
        ({"training": {"passes": 0}}, "[training] passes: must be 1 or more"),
        ({"training": {"hidden": []}}, "[training] hidden: must list units"),
        ({"data": {"holds": "image.npy"}}, "holds: must be 0 or 1 at labeled rows"),
        ({"data": {"features": "no.npy"}}, "no.npy does not exist"),
        ({"drop": ["features"]}, "[data] features: is missing"),
        ({"drop": ["holds"]}, "[data] holds: is missing; training needs it"),
    ],
)
def test_wrong_files_are_one_line_and_exit_code_2(files, labelcut, changes, words):
    """The user would see a traceback, or train on something else."""
    done = labelcut("policy", "train", files(**changes))
    assert done.code == 2
    assert words in done.err
    assert done.err.count("\n") == 1


def test_a_class_that_never_occurs_stops_with_the_reason(files, labelcut, tmp_path):
    """Training would run on zeros."""
    np.save(tmp_path / "holds.npy", np.zeros(3000, dtype=int))
    done = labelcut("policy", "train", files())
    assert done.code == 2
    assert "none of 800 labeled patches holds the class" in done.err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"drop": ["image"]}, "[batch] at_most_image: needs [data] image"),
        ({"data": {"group": "labeled.npy"}}, "group: must have one value for each of 3,000 rows"),
        ({"batch": {"explore": 2}}, "[batch] explore: must lie between 0 and 1"),
        ({"batch": {"draw": -1}}, "[batch] draw: must be 0 (all) or more"),
        ({"batch": {"budget": 30, "draw": 20}}, "budget"),
    ],
)
def test_batches_that_cannot_be_are_refused(files, labelcut, changes, words):
    """A problem file would be written that nobody can solve, or that means something else."""
    train = labelcut("policy", "train", files("good.toml"))
    assert train.code == 0, train.err
    file = files(**changes)
    done = labelcut("policy", "apply", file, "--policy", file.with_name("good.policy"))
    assert done.code == 2
    assert words in done.err
    assert not file.with_suffix(".problem.toml").exists()


def test_a_folder_that_holds_no_policy_is_refused(files, labelcut, tmp_path):
    """A misspelled folder would be a traceback."""
    done = labelcut("policy", "apply", files(), "--policy", tmp_path)
    assert done.code == 2
    assert "it has no policy.json" in done.err


def test_the_policy_file_is_not_overwritten(files, labelcut):
    """The file that says how to train would be lost."""
    file = files()
    assert labelcut("policy", "train", file).code == 0
    done = labelcut("policy", "apply", file, "--policy", file.with_suffix(".policy"), "--out", file)
    assert done.code == 2
    assert "is the policy file" in done.err
