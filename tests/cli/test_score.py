"""labelcut score: models, weights and loaders named on the command line."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from labelcut.cli import main

MODULE = """
import os, signal
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

X = torch.arange(60.0).reshape(20, 3) / 10
NUMBER = 7

def make_model():
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4))

def make_loader():
    return DataLoader(TensorDataset(X), batch_size=6)

def make_broken():
    raise ValueError("no such disk")

class Interrupted(torch.utils.data.Dataset):
    def __len__(self):
        return 20
    def __getitem__(self, row):
        if row == 15:
            raise KeyboardInterrupt
        return X[row]

def make_interrupted():
    return DataLoader(Interrupted(), batch_size=6)
"""


class Unsafe:
    """What runs code when it is unpickled."""

    def __reduce__(self):
        """Make a file."""
        return os.mkdir, ("hacked",)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write the user's module and weights, and go there."""
    name = f"user_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.ReLU(), torch.nn.Linear(5, 4))
    torch.save(model.state_dict(), "w.pt")
    torch.save({"state_dict": model.state_dict(), "epoch": 3}, "checkpoint.pt")
    save_file(model.state_dict(), "w.safetensors")
    torch.save([1, 2], "list.pt")
    torch.save({"0.weight": torch.zeros(2)}, "other.pt")
    torch.save(Unsafe(), "unsafe.pt")
    return tmp_path, name, model


def run(monkeypatch, capsys, *arguments):
    """Run the command line in this process."""
    monkeypatch.setattr(sys, "argv", ["labelcut", "score", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    captured = capsys.readouterr()
    return end.value.code, captured.out, captured.err


@pytest.mark.parametrize("weights", ["w.pt", "checkpoint.pt", "w.safetensors"])
def test_arrays_are_those_of_the_model_with_its_weights(folder, weights, monkeypatch, capsys):
    """Scores would be those of untrained weights."""
    path, name, model = folder
    code, out, err = run(
        monkeypatch,
        capsys,
        *("--model", f"{name}:make_model", "--data", f"{name}:make_loader", "--weights", weights),
        *("--outputs", "probs, entropy", "--out", "scores", "--json"),
    )
    assert (code or 0) == 0, err
    printed = json.loads(out)
    assert printed["kind"] == "scores"
    assert printed["scores"]["probs"] == {
        "file": "probs.npy",
        "shape": [20, 4],
        "dtype": "float32",
    }
    with torch.no_grad():
        expected = model(torch.arange(60.0).reshape(20, 3) / 10).softmax(1)
    np.testing.assert_allclose(np.load(path / "scores" / "probs.npy"), expected, atol=1e-6)
    assert np.load("scores/entropy.npy").shape == (20,)


def test_an_interrupted_run_goes_on(folder, monkeypatch, capsys):
    """Two days of scoring would be lost to Ctrl-C."""
    path, name, _ = folder
    options = ["--model", f"{name}:make_model", "--weights", "w.pt", "--out", "scores"]
    interrupted = ["--data", f"{name}:make_interrupted"]
    code, _, err = run(monkeypatch, capsys, *options, *interrupted)
    assert code == 130
    assert "interrupted; the same command goes on with what is in scores" in err
    assert np.load(path / "scores" / "done.npy").sum() == 12
    code, _, err = run(monkeypatch, capsys, *options, "--data", f"{name}:make_loader")
    assert (code or 0) == 0
    assert "scores/embeddings.npy   20 x 5 float32" in err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--model": "make_model"}, "--model: must be MODULE:FUNCTION; 'make_model' came"),
        ({"--model": "no_such_module:f"}, "--model: module no_such_module must be importable"),
        ({"--model": "{name}:make_modle"}, "must have a function make_modle; it has none"),
        ({"--model": "{name}:NUMBER"}, "must have a function NUMBER; it has none"),
        ({"--data": "{name}:make_broken"}, "error: no such disk"),
        ({"--data": "{name}:make_model"}, "error: "),
        (
            {"--model": "{name}:make_loader"},
            "--model: must make a torch.nn.Module; DataLoader came",
        ),
        ({"--weights": "none.pt"}, "--weights: must be a file; none.pt is none"),
        ({"--weights": "list.pt"}, "--weights: list.pt must hold a state dict; list came"),
        ({"--weights": "other.pt"}, "--weights: other.pt must fit the model; Error(s) in loading"),
        ({"--weights": "unsafe.pt"}, "--weights: unsafe.pt must be safetensors or weights that"),
        ({"--outputs": "prob"}, 'outputs: must be "probs" or'),
        ({"--device": "abacus"}, "device: "),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, change, message, monkeypatch, capsys):
    """The user would meet a traceback, or a file would run code."""
    path, name, _ = folder
    options = {
        "--model": "{name}:make_model",
        "--data": "{name}:make_loader",
        "--weights": "w.pt",
        "--out": "scores",
        **change,
    }
    pairs = [part.format(name=name) for pair in options.items() for part in pair]
    code, out, err = run(monkeypatch, capsys, *pairs)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert not (path / "hacked").exists()
    assert not (path / "scores").exists()


def test_help_has_a_worked_example_and_loads_no_torch():
    """Help would take seconds, or leave the user to guess what a module must hold."""
    code = (
        "import sys, labelcut.cli as c; sys.argv = ['labelcut', 'score', '--help']\n"
        "try:\n    c.main()\nfinally:\n    assert 'torch' not in sys.modules"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    text = " ".join(found.stdout.split())
    assert "--model mymodule:make_model" in text
    assert "goes on" in text
