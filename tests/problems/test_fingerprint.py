"""One problem, one fingerprint: whatever held its values, and nothing else counts."""

import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch

from labelcut import ClassBalanced, Forbid, Include, load

# Values that float32 holds exactly, so that every version states the same problem.
PROBS = np.array([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875], [1.0, 0.0], [0.25, 0.75]])
UTILITY = np.array([0.5, -0.25, 0.0, 1.5, 2.0])
TARGET = np.array([1.5, 0.5])
ARGUMENTS = {"budget": 2, "balance": 0.5, "target": TARGET, "labeled": [3]}


def state(probs=PROBS, utility=UTILITY, **changes):
    """Return the problem with some arguments changed."""
    return ClassBalanced(probs, utility, **{**ARGUMENTS, **changes})


def mapped(folder, dtype):
    """Return P memory-mapped from a file."""
    np.save(folder / "map.npy", PROBS.astype(dtype))
    return np.load(folder / "map.npy", mmap_mode="r")


VERSIONS = {
    "float32": lambda folder: (PROBS.astype(np.float32), UTILITY.astype(np.float32)),
    "float16 utility": lambda folder: (PROBS, UTILITY.astype(np.float16)),
    "torch": lambda folder: (torch.tensor(PROBS), torch.tensor(UTILITY)),
    "torch float32": lambda folder: (torch.tensor(PROBS).float(), torch.tensor(UTILITY).float()),
    "memory-mapped": lambda folder: (mapped(folder, np.float64), UTILITY),
    "memory-mapped float32": lambda folder: (mapped(folder, np.float32), UTILITY),
    "shards": lambda folder: ([PROBS[:2], PROBS[2:]], UTILITY),
    "shards of two types": lambda folder: ([PROBS[:2].astype(np.float32), PROBS[2:]], UTILITY),
    "lists": lambda folder: (PROBS.tolist(), UTILITY.tolist()),
    "fortran": lambda folder: (np.asfortranarray(PROBS), UTILITY[::-1].copy()[::-1]),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_array_types_do_not_change_it(version, tmp_path):
    """A solution would be refused because its problem was loaded in another way."""
    probs, utility = VERSIONS[version](tmp_path)
    assert state(probs, utility).fingerprint == state().fingerprint


def write_npz(folder):
    """Write utility and target into one npz archive."""
    np.savez(folder / "a.npz", u=UTILITY, t=TARGET, r=[3])
    return '"a.npz#u"', '"a.npz#t"', '"a.npz#r"'


def write_npy(folder):
    """Write utility and target as npy files."""
    np.save(folder / "u.npy", UTILITY.astype(np.float32))
    np.save(folder / "t.npy", TARGET)
    np.save(folder / "r.npy", np.arange(5) == 3)
    return '"u.npy"', '"t.npy"', '"r.npy"'


def write_csv(folder):
    """Write utility as one column of several, and the target as text."""
    with (folder / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["name", "u"], *(("x,y", value) for value in UTILITY)])
    (folder / "t.txt").write_text("1.5\n0.5\n\n")
    (folder / "r.txt").write_text("3\n")
    return '"a.csv#u"', '"t.txt"', '"r.txt"'


def write_parquet(folder):
    """Write utility and target as parquet columns."""
    pa.parquet.write_table(pa.table({"u": UTILITY, "v": UTILITY * 2}), folder / "u.parquet")
    pa.parquet.write_table(pa.table({"t": TARGET}), folder / "t.parquet")
    pa.parquet.write_table(pa.table({"r": [3]}), folder / "r.parquet")
    return '"u.parquet#u"', '"t.parquet"', '"r.parquet"'


def write_shards(folder):
    """Write utility in two files, and the target into the problem file."""
    np.save(folder / "u0.npy", UTILITY[:3])
    (folder / "u1.txt").write_text("1.5\n2.0\n")
    return '["u0.npy", "u1.txt"]', "[1.5, 0.5]", "[3]"


@pytest.mark.parametrize("write", [write_npz, write_npy, write_csv, write_parquet, write_shards])
def test_files_do_not_change_it(write, tmp_path):
    """A problem would be another one once it is written down."""
    utility, target, labeled = write(tmp_path)
    np.save(tmp_path / "p0.npy", PROBS[:1])
    np.savez(tmp_path / "p1.npz", q=PROBS[1:].astype(np.float32))
    (tmp_path / "problem.toml").write_text(
        f"""
        labelcut = 1
        [problem]
        kind = "class-balanced"
        budget = 2
        balance = 0.5
        [data]
        probs = ["p0.npy", "p1.npz#q"]
        utility = {utility}
        target = {target}
        labeled = {labeled}
        """
    )
    assert load(tmp_path / "problem.toml").fingerprint == state().fingerprint


def changed(array, at, value):
    """Return a copy with one value changed."""
    copy = np.array(array, dtype=float)
    copy[at] = value
    return copy


CHANGES = {
    "a probability, within the tolerance": {"probs": changed(PROBS, (0, 0), 0.7500001)},
    "a labeled row's probability": {"probs": changed(PROBS, (3, 0), 0.5)},
    "two rows swapped": {"probs": PROBS[[1, 0, 2, 3, 4]]},
    "the classes swapped": {"probs": PROBS[:, ::-1]},
    "a utility": {"utility": changed(UTILITY, 0, np.nextafter(0.5, 1))},
    "budget": {"budget": 3},
    "balance": {"balance": 0.25},
    "target": {"target": [0.5, 1.5]},
    "labeled": {"labeled": [2]},
    "nothing labeled": {"labeled": None},
    "candidates": {"candidates": [0, 1, 2]},
    "include": {"constraints": [Include([0])]},
    "include another": {"constraints": [Include([1])]},
    "forbid": {"constraints": [Forbid([0])]},
    "both": {"constraints": [Include([0]), Forbid([1])]},
}


def test_every_change_of_the_problem_changes_it():
    """A solution of one problem would be accepted as another's."""
    prints = [state(**change).fingerprint for change in CHANGES.values()]
    assert len({*prints, state().fingerprint}) == len(CHANGES) + 1


SAME = {
    "ids": {"ids": list("abcde")},
    "table": {"table": {"image": list("abcde")}},
    "negative zero": {"utility": changed(UTILITY, 2, -0.0)},
    "negative zero in P": {"probs": changed(PROBS, (3, 1), -0.0)},
    "negative balance zero": {"balance": -0.0},
    "the rule's target given": {"target": TARGET.tolist()},
    "labeled as a mask": {"labeled": np.arange(5) == 3},
    "candidates spelled out": {"candidates": [4, 2, 1, 0]},
    "order of constraints": {"constraints": [Forbid([1]), Include([4, 0])]},
}
BASE = {
    "negative balance zero": {"balance": 0.0},
    "order of constraints": {"constraints": [Include([0, 4]), Forbid([1])]},
}


@pytest.mark.parametrize("change", SAME)
def test_names_and_spelling_do_not_change_it(change):
    """A solution would be refused although it answers the same problem."""
    base = state(**BASE.get(change, {}))
    assert state(**SAME[change]).fingerprint == base.fingerprint


def test_all_nans_are_one():
    """A NaN in a labeled row has many bit patterns, and none of them says anything."""
    patterns = np.array([0x7FF8000000000000, 0xFFF8000000000001, 0x7FF4000000000007], np.uint64)
    nans = patterns.view(np.float64)
    prints = {state(changed(PROBS, (3, 1), nan)).fingerprint for nan in nans}
    assert len(prints) == 1
    assert state(PROBS).fingerprint not in prints


def test_paths_do_not_change_it(tmp_path):
    """A folder that is moved would invalidate every solution in it."""
    prints = set()
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        state(ids=list("abcde")).save(tmp_path / name / f"{name}.toml")
        prints.add(load(tmp_path / name / f"{name}.toml").fingerprint)
    assert prints == {state().fingerprint}


def test_it_is_the_same_on_every_machine():
    """A solution could not be checked by somebody else, or by a later version."""
    assert state().fingerprint == "b5b803075c0bee611bb069c88aba711b"
