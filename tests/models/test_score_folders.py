"""Scores on disk: stopped runs go on and end with the same files; other runs are kept out."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from labelcut.models import load_scores, score, score_folders

ROWS, BATCH = 61, 4
OUTPUTS = ["probs", "embeddings", "entropy", "bald"]


def network(seed=0, width=16):
    """Build a classifier with dropout."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Dropout(0.3), nn.Linear(width, 4))


def rows():
    """Draw the dataset."""
    return torch.randn(ROWS, 6, generator=torch.Generator().manual_seed(0))


def loader(workers=0, size=ROWS):
    """Load it in batches of four."""
    return DataLoader(TensorDataset(rows()[:size]), batch_size=BATCH, num_workers=workers)


def files(folder):
    """Read every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Fatal(Dataset):
    """A dataset that stops its process at a row, as a full machine or an impatient user would."""

    def __init__(self, stop, at):
        self.x, self.stop, self.at = rows(), stop, at

    def __len__(self):
        """Return the number of rows."""
        return ROWS

    def __getitem__(self, row):
        """Give a row, or stop."""
        if row == self.at:
            self.stop()
        return self.x[row]


def fail():
    """Fail as an unreadable file does."""
    raise OSError("unreadable")


def interrupt():
    """Press Ctrl-C."""
    raise KeyboardInterrupt


def whole(tmp_path, **options):
    """Score without a break."""
    return score(network(), loader(), outputs=OUTPUTS, out=tmp_path / "whole", **options)


def test_a_folder_holds_what_memory_would(tmp_path):
    """Arrays on disk would differ from those in memory."""
    ours, memory = whole(tmp_path), score(network(), loader(), outputs=OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_array_equal(getattr(ours, name), getattr(memory, name))
        assert isinstance(getattr(ours, name), np.memmap)
        assert not getattr(ours, name).flags.writeable
        on_disk = np.load(tmp_path / "whole" / f"{name}.npy", mmap_mode="r")
        np.testing.assert_array_equal(on_disk, getattr(memory, name))
    assert load_scores(tmp_path / "whole").entropy.shape == (ROWS,)
    assert load_scores(tmp_path / "whole").margin is None


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
import test_score_folders as t
from labelcut.models import _running, score, score_folders, scoring

if __name__ == "__main__":
    folder, where, main = Path(sys.argv[2]), sys.argv[3], os.getpid()
    workers, at = map(int, sys.argv[4:6])
    score_folders._SECONDS = 0.0
    if where == "gathering":
        scoring.TOGETHER = 1000  # three batches
    else:
        _running.SECONDS = 0.0

    def kill():
        os.kill(main, signal.SIGKILL)

    if where == "flushing":
        at, plain, flushes = -1, score_folders.FolderTable._flush, []

        class Done:
            def __init__(self, done):
                self.done = done

            def __setitem__(self, rows, value):
                kill()

        def flush(self):
            flushes.append(1)
            if len(flushes) == 4:
                self._done = Done(self._done)
            plain(self)

        score_folders.FolderTable._flush = flush
    data = t.DataLoader(t.Fatal(kill, at), batch_size=t.BATCH, num_workers=workers)
    score(t.network(), data, outputs=t.OUTPUTS, out=folder)
"""


@pytest.mark.parametrize(
    ("where", "workers", "seed"),
    [
        ("loading", 0, 0),
        pytest.param("loading", 2, 1, marks=pytest.mark.slow),
        ("flushing", 0, 2),
        ("gathering", 0, 3),
    ],
)
def test_a_killed_run_goes_on_and_ends_with_the_same_files(where, workers, seed, tmp_path):
    """Half-written rows would count as done, or dropout masks depend on where it was stopped."""
    at = int(np.random.default_rng(seed).integers(4 * BATCH, ROWS))
    script, folder = tmp_path / "killed.py", tmp_path / "scores"
    script.write_text(KILLED)
    arguments = [Path(__file__).parent, folder, where, str(workers), str(at)]
    run = subprocess.run([sys.executable, script, *arguments], capture_output=True, check=False)
    assert run.returncode == -signal.SIGKILL, run.stderr.decode()
    with pytest.raises(ValueError, match=r"of 61 are there, row .* is the first that is missing"):
        load_scores(folder)
    done = np.load(folder / "done.npy")
    assert 0 < done.sum() < ROWS
    calls = []
    model = network()
    model.register_forward_hook(lambda *_: calls.append(1))
    score(model, loader(workers), outputs=OUTPUTS, out=folder)
    assert len(calls) == 21 * np.ceil((~done).sum() / BATCH)
    whole(tmp_path)
    assert files(folder) == files(tmp_path / "whole")


@pytest.mark.parametrize("stop", [fail, interrupt])
def test_an_exception_keeps_what_was_there(stop, tmp_path):
    """Ctrl-C would lose the rows since the last flush."""
    folder = tmp_path / "scores"
    data = DataLoader(Fatal(stop, 30), batch_size=BATCH)
    with pytest.raises((OSError, KeyboardInterrupt)):
        score(network(), data, outputs=OUTPUTS, out=folder)
    np.testing.assert_array_equal(np.load(folder / "done.npy"), np.arange(ROWS) < 28)
    score(network(), loader(), outputs=OUTPUTS, out=folder)
    whole(tmp_path)
    assert files(folder) == files(tmp_path / "whole")


def test_going_on_loads_no_rows_that_are_done(tmp_path):
    """The images of two days would be read again before the first new one."""
    data = Fatal(fail, 30)
    with pytest.raises(OSError, match="unreadable"):
        score(network(), DataLoader(data, batch_size=BATCH), out=tmp_path / "a")
    data.at = 10
    score(network(), DataLoader(data, batch_size=BATCH), out=tmp_path / "a")


class Shuffled(Fatal):
    """The same rows, named."""

    def __getitem__(self, row):
        """Give a row and its number."""
        return {"x": super().__getitem__(row), "indices": row}


def test_a_shuffling_loader_goes_on_too(tmp_path):
    """Rows done in another order would be skipped or computed under a wrong number."""

    def shuffled(at, seed):
        generator = torch.Generator().manual_seed(seed)
        return DataLoader(Shuffled(fail, at), batch_size=4, shuffle=True, generator=generator)

    folder, options = tmp_path / "scores", {"outputs": ["probs", "embeddings"]}
    with pytest.raises(OSError, match="unreadable"):
        score(network(), shuffled(17, 1), out=folder, **options)
    assert 0 < np.load(folder / "done.npy").sum() < ROWS
    ours = score(network(), shuffled(-1, 2), out=folder, **options)
    np.testing.assert_allclose(ours.probs, score(network(), loader(), **options).probs, atol=1e-6)


def test_a_finished_folder_is_read_without_running_the_model(tmp_path):
    """Calling a script again would score two million images again."""
    first = whole(tmp_path)

    class Unused(nn.Sequential):
        def forward(self, x):
            raise AssertionError("ran")

    model = network()
    model.__class__ = Unused
    model.__class__.__name__ = "Sequential"
    again = score(model, loader(), outputs=OUTPUTS, out=tmp_path / "whole")
    np.testing.assert_array_equal(again.probs, first.probs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": network(seed=1)}, r"begun with another model; scores of both would mix"),
        ({"model": network(width=17)}, r"begun with another model;"),
        ({"outputs": ["probs"]}, r"begun with another outputs \(\[.*\], now \['probs'\]\)"),
        ({"passes": 3}, r"begun with another passes \(\[20, 0\], now \[3, 0\]\)"),
        ({"seed": 3}, r"begun with another passes"),
        ({"layer": "0"}, r"begun with another layer \(None, now '0'\)"),
        ({"apply": "none"}, r"begun with another apply"),
        ({"amp": torch.bfloat16}, r"begun with another autocast"),
        ({"loader": loader(size=60)}, r"begun for 61 rows, the loader gives 60"),
    ],
)
def test_a_folder_of_another_run_is_left_alone(change, message, tmp_path):
    """Scores of two models would stand in one array."""
    whole(tmp_path)
    before = files(tmp_path / "whole")
    options = {"model": network(), "loader": loader(), "outputs": OUTPUTS, **change}
    with pytest.raises(ValueError, match=message):
        score(**options, out=tmp_path / "whole")
    assert files(tmp_path / "whole") == before


def test_the_fingerprint_is_that_of_structure_and_weights():
    """A copy would not be allowed to go on, or one changed weight would."""
    model = network()
    value = score_folders.model_fingerprint(model)
    assert value == score_folders.model_fingerprint(network())
    assert value == score_folders.model_fingerprint(network().train().eval())
    model[0].weight.data[3, 2] += 1e-6
    assert value != score_folders.model_fingerprint(model)
    assert value != score_folders.model_fingerprint(network().bfloat16())
    other = network()
    other[2].p = 0.4
    assert value != score_folders.model_fingerprint(other)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "probs.npy",
            b"mine",
            r"out: must be an empty folder or one of scores; .* holds probs.npy",
        ),
        ("index.json", b"{}", r"must be the index of a folder of scores, format 1"),
        ("index.json", b"not json", r"must be the index of a folder of scores"),
        ("index.json", b'{"labelcut_scores": 2}', r"must be the index of a folder of scores"),
        ("index.json", b'{"labelcut_scores": 1}', r"must be the index of a folder of scores"),
    ],
)
def test_other_peoples_files_are_not_overwritten(name, content, message, tmp_path):
    """A folder of something else would be destroyed."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        score(network(), loader(), out=tmp_path)
    assert files(tmp_path) == {name: content}


def test_a_model_that_changes_its_number_of_classes_is_refused(tmp_path):
    """Columns of different batches would be mixed up on disk."""

    class Changing(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 4)

        def forward(self, x):
            return self.fc(x)[:, : 4 if len(x) == BATCH else 3]

    with pytest.raises(ValueError, match=r"4 columns came for the first rows, 3 from row 60 on"):
        score(Changing(), loader(), outputs=["probs"], out=tmp_path / "scores")


def test_an_empty_loader_leaves_nothing(tmp_path):
    """An empty folder of scores would look like a finished one."""
    with pytest.raises(ValueError, match=r"loader: must give at least one batch; none came"):
        score(network(), loader(size=0), out=tmp_path / "scores")
    assert not (tmp_path / "scores").exists()
