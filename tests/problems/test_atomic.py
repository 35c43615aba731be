"""Files are whole or not there, and what was there before survives a failure."""

import json
import os
import stat

import numpy as np
import pytest

from labelcut import ClassBalanced, InvalidInput, load, solve
from labelcut.problems import atomic, save_problem
from labelcut.problems.atomic import atomic_file, staged_folder


def listing(folder):
    """Return every file below a folder with its bytes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def problem(shift=0.0, **arguments):
    """Return a small problem."""
    probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]])
    return ClassBalanced(probs, np.array([0.3, 0.5, 0.2]) + shift, 2, **arguments)


def test_a_finished_file_replaces_the_old_one(tmp_path):
    """The new content would not arrive, or a temporary file would stay."""
    (tmp_path / "x.txt").write_text("old")
    with atomic_file(tmp_path / "x.txt") as temporary:
        temporary.write_text("new")
        assert (tmp_path / "x.txt").read_text() == "old"
    assert listing(tmp_path) == {"x.txt": b"new"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    """Half a file would pass for a whole one."""
    (tmp_path / "x.txt").write_text("old")

    def write_half():
        with atomic_file(tmp_path / "x.txt") as temporary:
            temporary.write_text("ne")
            raise error

    with pytest.raises(error):
        write_half()
    assert listing(tmp_path) == {"x.txt": b"old"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path, error):
    """Arrays of two problems would lie in one folder."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("old")

    def write_half():
        with staged_folder(tmp_path / "d") as staging:
            (staging / "a").write_text("new")
            (staging / "b").write_text("new")
            raise error

    with pytest.raises(error):
        write_half()
    assert listing(tmp_path) == {"d/a": b"old"}
    assert [item.name for item in tmp_path.iterdir()] == ["d"]


def test_written_files_are_readable_by_others(tmp_path):
    """Colleagues on a shared disk could not read a saved problem."""
    (tmp_path / "plain").write_text("")
    expected = stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    problem().save(tmp_path / "p.toml")
    for path in (tmp_path / "p.toml", tmp_path / "p.data" / "utility.npy"):
        assert stat.S_IMODE(path.stat().st_mode) == expected


def write_problem(path):
    """Save a problem at a path."""
    save_problem(problem(), path.with_suffix(".toml"))


def write_solution(path):
    """Save a solution at a path."""
    solve(problem(), "top").save(path.with_suffix(".json"))


WRITERS = [write_problem, write_solution]


@pytest.mark.parametrize("write", WRITERS)
def test_a_missing_output_folder_is_named(tmp_path, write):
    """An hour's result would end in a traceback."""
    with pytest.raises(InvalidInput, match=r"nowhere: no such folder; make it or write somewhere"):
        write(tmp_path / "nowhere" / "x")
    assert listing(tmp_path) == {}


@pytest.mark.parametrize("write", WRITERS)
def test_an_output_folder_that_is_a_file_is_named(tmp_path, write):
    """A path through a file would end in a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match=r"file: no such folder; make it or write somewhere"):
        write(tmp_path / "file" / "x")


@pytest.mark.parametrize("write", WRITERS)
def test_an_output_that_is_a_folder_is_named(tmp_path, write):
    """A folder would be written into, or replaced."""
    (tmp_path / "x.toml").mkdir()
    (tmp_path / "x.json").mkdir()
    with pytest.raises(InvalidInput, match=r"x\.(toml|json): is a folder; give a file name"):
        write(tmp_path / "x")


@pytest.mark.parametrize("write", WRITERS)
def test_a_folder_without_permission_is_named(tmp_path, write, monkeypatch):
    """A read-only disk would end in a traceback."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InvalidInput, match="the folder cannot be written; choose another output"):
        write(tmp_path / "x")
    assert listing(tmp_path) == {}


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("maker", ["mkstemp", "mkdtemp"])
def test_a_folder_that_refuses_new_files_is_named(tmp_path, write, maker, monkeypatch):
    """Where permission bits say yes and the disk says no, a traceback would follow."""

    def refuse(**arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(atomic, maker, refuse)
    if (write, maker) == (write_solution, "mkdtemp"):
        write(tmp_path / "x")  # a single file needs no folder
        return
    with pytest.raises(InvalidInput, match="the folder cannot be written; choose another output"):
        write(tmp_path / "x")
    assert listing(tmp_path) == {}


def test_a_data_folder_that_is_a_file_is_named(tmp_path):
    """Somebody's file would be deleted to make room for a folder."""
    (tmp_path / "x.data").write_text("mine")
    with pytest.raises(InvalidInput, match=r"x\.data: is a file where a folder is needed; choose"):
        write_problem(tmp_path / "x")
    assert listing(tmp_path) == {"x.data": b"mine"}


def fail_after(function, calls):
    """Return a function that writes some bytes and fails at its n-th call, as a full disk does."""
    count = 0

    def limited(file, *arguments, **options):
        nonlocal count
        count += 1
        if count > calls:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        return function(file, *arguments, **options)

    return limited


@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_full_disk_leaves_the_old_problem(tmp_path, calls, monkeypatch):
    """Half a new problem would lie over the old one."""
    path = tmp_path / "p.toml"
    problem(ids=list("abc")).save(path)
    before = listing(tmp_path)
    monkeypatch.setattr(np, "save", fail_after(np.save, calls))
    with pytest.raises(InvalidInput, match=r"cannot be written \(No space left on device\); free"):
        problem(1.0, ids=list("def")).save(path)
    assert listing(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_leaves_nothing_of_a_new_problem(tmp_path, monkeypatch):
    """Half a problem would stay behind under its final name."""
    monkeypatch.setattr(np, "save", fail_after(np.save, 1))
    with pytest.raises(InvalidInput, match="No space left on device"):
        problem().save(tmp_path / "p.toml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
def test_a_full_disk_does_not_kill_the_process(tmp_path, monkeypatch):
    """Class probabilities written through a memory map would end in a bus error."""

    def onto_the_full_device(**arguments):
        path = tmp_path / "temporary"
        path.symlink_to("/dev/full")
        return os.open(path, os.O_RDWR), str(path)

    monkeypatch.setattr(atomic, "mkstemp", onto_the_full_device)
    monkeypatch.setattr(os, "chmod", lambda path, mode: None)
    from labelcut.problems.array_files import write_array

    with pytest.raises(InvalidInput, match=r"x\.npy: cannot be written \(No space left on device"):
        write_array(tmp_path / "x.npy", problem().probs.matrix)
    assert list(tmp_path.iterdir()) == []


def test_what_toml_cannot_hold_leaves_the_old_problem(tmp_path):
    """The old file would name the arrays of a problem that was never saved whole."""
    path = tmp_path / "p.toml"
    problem().save(path)
    before = listing(tmp_path)
    with pytest.raises(TypeError):
        save_problem(problem(1.0), path, solve={"options": {"x": object()}})
    assert listing(tmp_path) == before


def test_what_json_cannot_hold_leaves_the_old_solution(tmp_path, monkeypatch):
    """A good solution would be cut off by a bad one."""
    path = tmp_path / "s.json"
    solve(problem(), "top").save(path)
    before = listing(tmp_path)

    def half(*arguments, **options):
        raise ValueError("not JSON")

    monkeypatch.setattr(json, "dumps", half)
    with pytest.raises(ValueError, match="not JSON"):
        solve(problem(), "top").save(path)
    assert listing(tmp_path) == before


def test_a_loaded_problem_may_be_saved_over_itself(tmp_path):
    """Its arrays are mapped from the very files that are replaced, and would be lost."""
    path = tmp_path / "p.toml"
    first = problem(ids=list("abc"), table={"x": [1, 2, 3]})
    first.save(path)
    for _ in range(2):
        loaded = load(path)
        loaded.save(path)
        assert loaded.evaluate([0, 2]) == first.evaluate([0, 2])
    assert load(path).fingerprint == first.fingerprint
    assert load(path).evaluate([0, 2]) == first.evaluate([0, 2])
