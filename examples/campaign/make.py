"""Compare eight strategies on real scans, and write the report.

The pool is scikit-learn's digits without 30 of each class, which are the test set, and with half of
the classes thinned to a tenth (thesis, section 4.5.1). The campaign file names `make_pool`, so that

    labelcut campaign run examples/campaign/digits.toml

runs everything, goes on where it was stopped, and ends with an HTML report. This script does the
same in a folder of your choice, and smaller if you wish:

    python examples/campaign/make.py --out digits-campaign
    python examples/campaign/make.py --out small --cycles 2 --seeds 2 --strategies random,entropy
"""

import argparse
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tomli_w

from labelcut.cli import main as labelcut
from labelcut.studies.campaign import Pool
from labelcut.studies.campaign.pools import long_tailed, take

HERE = Path(__file__).resolve().parent
TEST_PER_CLASS = 30


def make_pool() -> Pool:
    """Return the long-tailed scans and a balanced test set."""
    pixels, truth = load_scans()
    images = (pixels / 16).astype(np.float32)[:, None]
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(len(images))
    by_class = [shuffled[truth[shuffled] == c] for c in range(10)]
    test = np.sort(np.concatenate([rows[:TEST_PER_CLASS] for rows in by_class]))
    rest = np.sort(np.concatenate([rows[TEST_PER_CLASS:] for rows in by_class]))
    whole = Pool(
        images,
        truth,
        test_inputs=images[test],
        test_truth=truth[test],
        classes=10,
        ids=np.array([f"digit-{row:04d}" for row in range(len(images))]),
    )
    return long_tailed(take(whole, rest), 0.1, seed=0)


def load_scans() -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's scans ``(1797, 8, 8)`` in 0..16 and their classes.

    From its file: every process of a campaign makes the pool, and the import takes a second.
    """
    library = find_spec("sklearn")
    if library is None or library.origin is None:
        sys.exit("scikit-learn is not installed, whose digits these are")
    table = np.loadtxt(Path(library.origin).parent / "datasets/data/digits.csv.gz", delimiter=",")
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)


def main() -> None:
    """Write the campaign file, run it, and write its report."""
    parser = argparse.ArgumentParser(description="Compare strategies on digits.")
    parser.add_argument("--out", type=Path, default=Path("digits-campaign"), help="folder to write")
    parser.add_argument("--cycles", type=int, help="how often rows are chosen")
    parser.add_argument("--seeds", type=int, help="runs of each strategy")
    parser.add_argument("--epochs", type=int, help="epochs of each training")
    parser.add_argument("--strategies", help="some of them, by commas")
    args = parser.parse_args()

    content = tomllib.loads((HERE / "digits.toml").read_text())
    for key in ("cycles", "seeds"):
        content["campaign"][key] = getattr(args, key) or content["campaign"][key]
    content["learner"]["epochs"] = args.epochs or content["learner"]["epochs"]
    content["data"]["pool"] = f"{Path(__file__).resolve()}:make_pool"
    if args.strategies:
        listed = {table["name"]: table for table in content["strategy"]}
        names = args.strategies.split(",")
        content["strategy"] = [listed.get(name, {"name": name}) for name in names]
    if not args.out.exists():
        args.out.mkdir(parents=True)
        (args.out / ".gitignore").write_text("*\n")  # what a script can make again stays out of git
    file = args.out / "digits.toml"
    file.write_text(tomli_w.dumps(content))
    sys.argv = ["labelcut", "campaign", "run", str(file)]
    labelcut()


if __name__ == "__main__":
    main()
