"""Folders of scores that are damaged, foreign or on a full disk are told in plain words."""

import errno
import json
import os
import shutil
from functools import cached_property

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from labelcut.models import _running, load_scores, score, score_folders, score_regions

OUTPUTS = ["probs", "embeddings", "entropy", "bald"]


def network():
    """Build a classifier with dropout."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 4))


def loader():
    """Load 61 rows in batches of four."""
    x = torch.randn(61, 6, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(x), batch_size=4)


def whole(tmp_path):
    """Score without a break."""
    return score(network(), loader(), outputs=OUTPUTS, out=tmp_path / "whole")


def files(folder):
    """Read every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_is_no_folder(tmp_path):
    """The user would meet an error of the operating system."""
    (tmp_path / "scores").write_text("")
    with pytest.raises(ValueError, match=r"out: must be a folder; .* is a file"):
        score(network(), loader(), out=tmp_path / "scores")


def test_a_folder_stopped_while_it_was_made_is_made_anew(tmp_path):
    """A kill in the first second would leave a folder that nothing can use."""
    whole(tmp_path)
    folder = tmp_path / "scores"
    shutil.copytree(tmp_path / "whole", folder)
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**index, "ready": False}))
    (folder / "done.npy").unlink()
    with pytest.raises(ValueError, match=r"0 of 61 are there"):
        load_scores(folder)
    score(network(), loader(), outputs=OUTPUTS, out=folder)
    assert files(folder) == files(tmp_path / "whole")


def test_a_truncated_array_is_noticed(tmp_path):
    """The process would die of a bus error."""
    whole(tmp_path)
    path = tmp_path / "whole" / "embeddings.npy"
    os.truncate(path, 500)
    with pytest.raises(ValueError, match=r"embeddings.npy: cannot be read"):
        load_scores(tmp_path / "whole")
    np.save(path, np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"embeddings.npy: must be float32 \[61, 16\]"):
        load_scores(tmp_path / "whole")


@pytest.mark.parametrize("left", [None, 100, 140])
def test_a_mask_that_is_missing_or_truncated_is_noticed(left, tmp_path):
    """The user would meet an error of NumPy, or rows beyond its end would be of chance."""
    whole(tmp_path)
    path = tmp_path / "whole" / "done.npy"
    path.unlink() if left is None else os.truncate(path, left)
    for run in (lambda: load_scores(tmp_path / "whole"), lambda: whole(tmp_path)):
        with pytest.raises(ValueError, match=r"done.npy: cannot be read \(.*score anew into"):
            run()
    np.save(path, np.ones(60, dtype=bool))
    with pytest.raises(ValueError, match=r"done.npy: must be bool \[61\] as index.json says"):
        whole(tmp_path)


def test_a_folder_of_regions_is_not_read_as_scores(tmp_path):
    """The user would meet a TypeError about arguments of a class."""
    score_regions(
        nn.Conv2d(3, 5, 1), DataLoader(torch.rand(2, 3, 8, 8)), (4, 4), out=tmp_path / "r"
    )
    with pytest.raises(ValueError, match=r"this one holds box, .*read by score_regions\(\) with"):
        load_scores(tmp_path / "r")


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    """The user would meet an error of the operating system."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"out: must be a folder that can be written; .*another"):
        score(network(), loader(), out=tmp_path / "file" / "scores")


@pytest.mark.parametrize("when", ["writing", "flushing"])
def test_a_disk_that_is_full_after_all_is_said_and_the_run_goes_on_later(
    when, tmp_path, monkeypatch
):
    """A disk that copies on writing is full in spite of room that was taken: a SIGBUS, before."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = tmp_path / "scores"
    if when == "flushing":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(_running, "SECONDS", 0.0)
        file, written = score_folders._ArrayFile.file.func, []

        class Filling:
            def __init__(self, array):
                self.plain = file(array)

            def __getattr__(self, name):
                return getattr(self.plain, name)

            def write(self, data):
                written.append(1)
                # A part is written first, as an operating system may do at any time.
                return self.plain.write(data[:5]) if len(written) < 300 else full()

        monkeypatch.setattr(score_folders._ArrayFile, "file", cached_property(Filling))
        score_folders._ArrayFile.file.__set_name__(score_folders._ArrayFile, "file")
    with pytest.raises(ValueError, match=r"out: .* No space left on device; free space there"):
        score(network(), loader(), outputs=OUTPUTS, out=folder)
    monkeypatch.undo()
    # Each batch takes 73 writes of five bytes: 4 of 300 are whole.
    assert np.load(folder / "done.npy").sum() == (4 * 4 if when == "writing" else 0)
    score(network(), loader(), outputs=OUTPUTS, out=folder)
    whole(tmp_path)
    assert files(folder) == files(tmp_path / "whole")


def test_what_is_no_folder_of_scores_is_not_read(tmp_path):
    """The error would name a file the user has never heard of."""
    with pytest.raises(ValueError, match=r"must be a folder of scores; it has no index.json"):
        load_scores(tmp_path)


def test_a_disk_that_is_too_small_is_said_before_the_run(tmp_path, monkeypatch):
    """A memory-mapped write to a full disk kills the process."""
    usage = shutil._ntuple_diskusage(10**9, 10**9 - 100, 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(
        ValueError, match=r"out: .* must take 0.00 GB; 0.00 GB are free; free space"
    ):
        score(network(), loader(), out=tmp_path / "scores")
    monkeypatch.undo()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ValueError, match=r"No space left on device; free space there, choose"):
        score(network(), loader(), out=tmp_path / "scores")
    monkeypatch.undo()
    score(network(), loader(), out=tmp_path / "scores")
