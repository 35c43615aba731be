"""Make a labelling problem from real scans: which 50 handwritten digits to label next.

A small torch network learns from 100 labeled scikit-learn digits. The rest becomes a long-tailed
pool as in the thesis (section 4.5.1): half of the classes, drawn at random, keep 10 % of theirs.
The network scores every scan, and the scores go into a problem file that ``labelcut`` reads. Five
more networks, each trained without a fifth of the labeled scans, score those: from these held-out
scores labelcut learns how far to trust the network, and corrects it for the pool's class mix; and
it counts each label as the chance that it is, not as a share of every class.

    python examples/digits/make.py --out digits-problem
    labelcut compare digits-problem/digits.toml
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from labelcut.models import entropy, score

CLASSES = 10
TEST_PER_CLASS = 30
LABELED_PER_CLASS = 10
FOLDS = 5
IMBALANCE_FACTOR = 0.1

PROBLEM = """\
labelcut = 1

[problem]
kind = "class-balanced"
budget = 50
balance = 2.0
target = "fill"
labels = "chances"

[data]
probs = "probs.npy"
utility = "utility.npy"
labeled = "labeled.npy"
labeled_classes = "y.npy"
truth = "truth.npy"
ids = "ids.txt"

[correct]
trained_on = [10, 10, 10, 10, 10, 10, 10, 10, 10, 10]
method = "sharpened"
held_out = "held_out.npy"
held_out_classes = "y.npy"

[solve]
time_limit = 10
"""


def split(
    classes: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split scans into a balanced test set, a class-uniform labeled set and a long-tailed pool."""
    thinned = rng.choice(CLASSES, size=CLASSES // 2, replace=False)
    test, labeled, pool = [], [], []
    for c in range(CLASSES):
        scans = rng.permutation(np.flatnonzero(classes == c))
        held_out, reserved, rest = np.split(
            scans, [TEST_PER_CLASS, TEST_PER_CLASS + LABELED_PER_CLASS]
        )
        test.append(held_out)
        labeled.append(reserved)
        pool.append(rest[: round(len(rest) * IMBALANCE_FACTOR)] if c in thinned else rest)
    return np.concatenate(test), np.concatenate(labeled), np.concatenate(pool)


def train(images: torch.Tensor, classes: torch.Tensor) -> nn.Module:
    """Train a small convolutional network on the labeled scans, all of them in every step."""
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(64 * 4 * 4, 64),
        nn.ReLU(),
        nn.Linear(64, CLASSES),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    for _ in range(150):
        loss = nn.functional.cross_entropy(model(images), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def cross_predict(images: torch.Tensor, classes: torch.Tensor) -> np.ndarray:
    """Score each labeled scan by a network that was trained without it."""
    # The fold of a scan is its place within its class, so that every fold holds every class.
    place = torch.stack([(classes[:i] == c).sum() for i, c in enumerate(classes)])
    probs = np.empty((len(classes), CLASSES), dtype=np.float32)
    for fold in range(FOLDS):
        held_out = place % FOLDS == fold
        model = train(images[~held_out], classes[~held_out])
        loader = DataLoader(TensorDataset(images[held_out]), batch_size=256)
        probs[held_out.numpy()] = score(model, loader, outputs="probs").probs
    return probs


def main() -> None:
    """Train, score, and write the problem."""
    parser = argparse.ArgumentParser(description="Make a class-balanced problem of digits.")
    parser.add_argument("--out", type=Path, default=Path("digits-problem"), help="folder to write")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split and the training")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)  # the network is tiny, and rounding differs with the number of threads

    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
    classes = digits.target
    test, labeled, pool = split(classes, np.random.default_rng(args.seed))

    model = train(images[labeled], torch.tensor(classes[labeled]))
    tested = score(model, DataLoader(TensorDataset(images[test]), batch_size=256))
    accuracy = (tested.probs.argmax(axis=1) == classes[test]).mean()
    print(f"trained on {len(labeled)} scans, right on {accuracy:.1%} of {len(test)} held-out ones")

    # The dataset of the problem: labeled and pool scans together, in the order of load_digits.
    # Every index below is a row of it.
    scans = np.sort(np.concatenate([labeled, pool]))
    labeled_rows = np.flatnonzero(np.isin(scans, labeled))
    truth = classes[scans]
    scores = score(model, DataLoader(TensorDataset(images[scans]), batch_size=256))

    held_out = cross_predict(images[scans[labeled_rows]], torch.tensor(truth[labeled_rows]))

    if not args.out.exists():
        args.out.mkdir(parents=True)
        (args.out / ".gitignore").write_text("*\n")  # what a script can make again stays out of git
    arrays = {
        "probs": scores.probs,
        "utility": entropy(scores.probs.astype(np.float64)),
        "labeled": labeled_rows,
        "y": truth[labeled_rows],
        "truth": truth,
        "held_out": held_out,
        "embeddings": scores.embeddings,
    }
    for name, array in arrays.items():
        np.save(args.out / f"{name}.npy", array)
    (args.out / "ids.txt").write_text("".join(f"digit-{scan:04d}\n" for scan in scans))
    (args.out / "digits.toml").write_text(PROBLEM)

    print(f"pool: {len(pool)} scans, {np.bincount(classes[pool]).tolist()} of the classes 0 to 9")
    print(f"wrote {', '.join(f'{name}.npy' for name in arrays)}, ids.txt, digits.toml: {args.out}")
    print(f"next: labelcut compare {args.out / 'digits.toml'}")


if __name__ == "__main__":
    main()
