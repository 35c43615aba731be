"""Policies and checkpoints come back as they were, or say why not."""

import json
import shutil

import numpy as np
import pytest
import torch

from labelcut.models.policies import (
    Policy,
    load_checkpoint,
    load_policy,
    save_checkpoint,
    save_policy,
)
from labelcut.models.policies.checkpoints import generator_from

NAMES = ["one", "two"]


def policy(seed=0):
    """Return a small policy."""
    torch.manual_seed(seed)
    weights = torch.nn.Linear(2, 1).state_dict()
    return Policy("misical", NAMES, 3, {"hidden": [4], "rate": 1e-3}, weights)


def test_a_policy_comes_back_as_it_was(tmp_path):
    """What was trained would not be what is applied."""
    saved = policy()
    folder = save_policy(saved, tmp_path / "p")
    assert sorted(path.name for path in folder.iterdir()) == ["policy.json", "weights.safetensors"]
    loaded = load_policy(folder)
    assert loaded.fingerprint == saved.fingerprint
    assert (loaded.kind, loaded.classes, list(loaded.features)) == ("misical", 3, NAMES)
    assert loaded.settings == saved.settings
    assert all(torch.equal(loaded.weights[name], saved.weights[name]) for name in saved.weights)


def test_fingerprints_tell_policies_apart():
    """Two policies could not be told apart by name."""
    one = policy()
    other = Policy("misical", NAMES, 4, one.settings, one.weights)
    assert len({one.fingerprint, policy(1).fingerprint, other.fingerprint}) == 3


@pytest.mark.parametrize(
    ("kind", "features", "classes", "words"),
    [
        ("ralis", NAMES, 3, "must be of kind ralis; this is misical"),
        ("misical", NAMES, 5, "trained for 3 classes, the data have 5"),
        ("misical", ["one", "three"], 3, "feature 1 is two, now three"),
        ("misical", ["one"], 3, "2 features, 1 came; feature 1 is two, now nothing"),
    ],
)
def test_a_policy_for_other_data_is_refused(kind, features, classes, words):
    """Values would be computed from features that mean something else."""
    with pytest.raises(ValueError, match=words):
        policy().require(kind, features, classes)


def test_files_of_two_policies_do_not_pass_for_one(tmp_path):
    """Weights of one training would run under the name of another."""
    first = save_policy(policy(0), tmp_path / "a")
    second = save_policy(policy(1), tmp_path / "b")
    shutil.copy(second / "weights.safetensors", first)
    with pytest.raises(ValueError, match="must belong together"):
        load_policy(first)


def test_a_folder_without_a_policy_says_what_is_missing(tmp_path):
    """The user would see a traceback."""
    with pytest.raises(ValueError, match=r"it has no policy\.json"):
        load_policy(tmp_path)
    save_policy(policy(), tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(ValueError, match=r"it has no weights\.safetensors"):
        load_policy(tmp_path)


@pytest.mark.parametrize("text", ["", "[1]", '{"kind": "misical"}'])
def test_a_damaged_record_is_refused(tmp_path, text):
    """A truncated file would end in a traceback."""
    folder = save_policy(policy(), tmp_path)
    (folder / "policy.json").write_text(text)
    with pytest.raises(ValueError, match="cannot be read"):
        load_policy(folder)


def test_damaged_weights_are_refused(tmp_path):
    """A truncated file would end in a traceback."""
    folder = save_policy(policy(), tmp_path)
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:20])
    with pytest.raises(ValueError, match="cannot be read"):
        load_policy(folder)


def test_a_record_that_was_edited_is_refused(tmp_path):
    """A policy could be passed off for other classes."""
    folder = save_policy(policy(), tmp_path)
    record = json.loads((folder / "policy.json").read_text())
    (folder / "policy.json").write_text(json.dumps({**record, "classes": 7}))
    with pytest.raises(ValueError, match="must belong together"):
        load_policy(folder)


def test_a_checkpoint_comes_back_bit_by_bit(tmp_path):
    """Training that is resumed would end elsewhere."""
    rng = np.random.default_rng(5)
    rng.random(3)
    network = torch.nn.Linear(3, 1)
    optimizer = torch.optim.RMSprop(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = {
        "optimizer": optimizer.state_dict(),
        "rows": {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "flags": np.array([True])},
        "random": rng,
        "list": [1, 2.5, "x", None],
    }
    save_checkpoint(tmp_path / "c", state, {"seed": 1})
    loaded = load_checkpoint(tmp_path / "c", {"seed": 1})
    assert loaded["list"] == [1, 2.5, "x", None]
    np.testing.assert_array_equal(loaded["rows"]["a"], state["rows"]["a"])
    assert loaded["rows"]["a"].dtype == np.int32
    assert loaded["rows"]["flags"].dtype == np.bool_
    expected = rng.random(4)
    np.testing.assert_array_equal(generator_from(loaded["random"]).random(4), expected)
    again = torch.optim.RMSprop(network.parameters())
    again.load_state_dict(loaded["optimizer"])
    for one, other in zip(optimizer.state.values(), again.state.values(), strict=True):
        assert torch.equal(one["square_avg"], other["square_avg"])


def test_there_may_be_no_checkpoint_yet(tmp_path):
    """A first run would need a file that it is about to write."""
    assert load_checkpoint(tmp_path / "c", {}) is None


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    """Two trainings would mix."""
    save_checkpoint(tmp_path / "c", {}, {"seed": 1, "data": "x"})
    with pytest.raises(ValueError, match=r"begun with another seed \(1, now 2\)"):
        load_checkpoint(tmp_path / "c", {"seed": 2, "data": "x"})
    assert load_checkpoint(tmp_path / "c") == {}


def test_a_damaged_checkpoint_is_refused(tmp_path):
    """The user would see a traceback of torch's."""
    save_checkpoint(tmp_path / "c", {"a": torch.ones(100)}, {})
    (tmp_path / "c").write_bytes((tmp_path / "c").read_bytes()[:50])
    with pytest.raises(ValueError, match="must be a checkpoint; it cannot be read"):
        load_checkpoint(tmp_path / "c", {})


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path):
    """A full disk or a kill would cost the whole training."""
    save_checkpoint(tmp_path / "c", {"pass": 1}, {})
    with pytest.raises((TypeError, AttributeError, RuntimeError)):
        save_checkpoint(tmp_path / "c", {"pass": (lambda: 2)}, {})
    assert load_checkpoint(tmp_path / "c", {}) == {"pass": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
