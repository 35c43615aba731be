"""Make a coreset problem from real scans: 50 handwritten digits that leave no other far from them.

The embeddings are the scans themselves, the 64 pixels of scikit-learn's digits, and two scans of
each class are labeled already. They go into a problem file that ``labelcut`` reads.

    python examples/coreset/make.py --out coreset-problem
    labelcut compare coreset-problem/coreset.toml
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

CLASSES = 10
LABELED_PER_CLASS = 2

PROBLEM = """\
labelcut = 1

[problem]
kind = "k-center"
budget = 50
metric = "euclidean"

[data]
embeddings = "embeddings.npy"
labeled = "labeled.npy"
ids = "ids.txt"
"""


def main() -> None:
    """Write the embeddings, the labeled rows and the problem."""
    parser = argparse.ArgumentParser(description="Make a coreset problem of digits.")
    parser.add_argument("--out", type=Path, default=Path("coreset-problem"), help="folder to write")
    parser.add_argument("--seed", type=int, default=0, help="seed of the labeled rows")
    args = parser.parse_args()

    pixels, classes = load_digits(return_X_y=True)
    embeddings = (pixels / 16).astype(np.float32)
    rng = np.random.default_rng(args.seed)
    labeled = np.concatenate(
        [
            rng.choice(np.flatnonzero(classes == c), LABELED_PER_CLASS, replace=False)
            for c in range(CLASSES)
        ]
    )

    if not args.out.exists():
        args.out.mkdir(parents=True)
        (args.out / ".gitignore").write_text("*\n")  # what a script can make again stays out of git
    np.save(args.out / "embeddings.npy", embeddings)
    np.save(args.out / "labeled.npy", np.sort(labeled))
    names = "".join(f"digit-{scan:04d}\n" for scan in range(len(embeddings)))
    (args.out / "ids.txt").write_text(names)
    (args.out / "coreset.toml").write_text(PROBLEM)

    print(f"{len(embeddings)} scans of {embeddings.shape[1]} pixels, {len(labeled)} labeled")
    print(f"wrote embeddings.npy, labeled.npy, ids.txt, coreset.toml: {args.out}")
    print(f"next: labelcut compare {args.out / 'coreset.toml'}")


if __name__ == "__main__":
    main()
