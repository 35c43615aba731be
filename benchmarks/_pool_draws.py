"""Draws of pools with predictions: published ones, and those of models trained on a few digits."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

THINNED = 0.1
LABELED = 500
TEST_PER_CLASS = 30
FOLDS = 5


@dataclass(frozen=True)
class Draw:
    """A pool with its predictions, and labeled rows with predictions that are held out."""

    probs: Any
    truth: Any
    held_out: Any
    held_out_classes: Any
    trained_on: Any
    accuracy: float


def softmax_draws(name: str, seeds: int) -> Iterator[Draw]:
    """Yield draws of published out-of-sample predictions."""
    folder = Path(os.environ.get("LABELCUT_DATA") or "missing") / "softmax"
    if not folder.exists():
        sys.exit(f"LABELCUT_DATA: holds no predictions at {folder}; name a folder that does")
    with np.load(folder / f"{name}.npz") as arrays:
        probs, truth = arrays["probs"], arrays["labels"].astype(int)
    classes = probs.shape[1]
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(truth))
        labeled, rest = rows[:LABELED], rows[LABELED:]
        pool = thinned(rest, truth, classes, rng)
        accuracy = float((probs[labeled].argmax(axis=1) == truth[labeled]).mean())
        # CIFAR-10 is balanced; of 20 Newsgroups' mix the labeled rows tell.
        counts = np.bincount(truth[labeled], minlength=classes)
        trained_on = np.ones(classes) if name == "cifar10" else counts
        yield Draw(probs[pool], truth[pool], probs[labeled], truth[labeled], trained_on, accuracy)


def digits_draws(predict: Callable[..., Any], labels: int, seeds: int | range) -> Iterator[Draw]:
    """Yield draws of scikit-learn's digits, with predictions by cross-validation as held out.

    The seeds are those from 0, or a range of others.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold

    images, truth = load_digits(return_X_y=True)
    images = images / 16
    for seed in range(seeds) if isinstance(seeds, int) else seeds:
        rng = np.random.default_rng(seed)
        parts: list[list[Any]] = [[], [], []]
        for k in range(10):
            scans = rng.permutation(np.flatnonzero(truth == k))
            ends = [TEST_PER_CLASS, TEST_PER_CLASS + labels // 10]
            for part, chosen in zip(parts, np.split(scans, ends), strict=True):
                part.append(chosen)
        test, labeled, rest = (np.concatenate(part) for part in parts)
        pool = thinned(rest, truth, 10, rng)
        everything = predict(images[labeled], truth[labeled], images, seed)
        held_out = np.empty((labels, 10))
        folds = StratifiedKFold(min(FOLDS, labels // 10), shuffle=True, random_state=seed)
        for learn, keep in folds.split(labeled, truth[labeled]):
            rows = labeled[learn]
            held_out[keep] = predict(images[rows], truth[rows], images[labeled[keep]], seed)
        accuracy = float((everything[test].argmax(axis=1) == truth[test]).mean())
        counts = np.bincount(truth[labeled], minlength=10)
        yield Draw(everything[pool], truth[pool], held_out, truth[labeled], counts, accuracy)


def thinned(rows: Any, truth: Any, classes: int, rng: np.random.Generator) -> Any:
    """Return rows of which a random half of the classes keeps a tenth."""
    rare = rng.choice(classes, classes // 2, replace=False)
    kept = []
    for k in range(classes):
        here = rows[truth[rows] == k]
        kept.append(here[: round(len(here) * THINNED)] if k in rare else here)
    return np.sort(np.concatenate(kept))


def regression(images: Any, classes: Any, others: Any, seed: int) -> Any:
    """Predict by logistic regression on the pixels."""
    from sklearn.linear_model import LogisticRegression

    del seed
    return LogisticRegression(max_iter=1000).fit(images, classes).predict_proba(others)


def network(images: Any, classes: Any, others: Any, seed: int) -> Any:
    """Predict by the network of examples/digits."""
    import torch

    path = Path(__file__).parents[1] / "examples/digits/make.py"
    spec = importlib.util.spec_from_file_location("digits_example", path)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    torch.manual_seed(seed)
    torch.set_num_threads(1)

    def scans(pixels: Any) -> Any:
        return torch.tensor(pixels.reshape(-1, 1, 8, 8), dtype=torch.float32)

    model = example.train(scans(images), torch.tensor(classes)).eval()
    with torch.no_grad():
        return model(scans(others)).softmax(dim=1).numpy()
