"""Patches of street scenes that hold pedestrians, found by MiSiCAL; `make.py` runs it too.

A tenth of the patches is labeled at random. A small network learns from them and says, once, what
it sees in all patches and how unsure it is; a policy learns from the labeled ones which of that
goes along with a pedestrian. Its values are the utility of a selection problem: 60 patches, at most
three of an image, at most one of each block of two by two neighbours.

    python examples/regions/patches.py --out regions-problem
    labelcut policy train regions-problem/patches.toml
    labelcut policy apply regions-problem/patches.toml --policy regions-problem/patches.policy
    labelcut solve regions-problem/patches.problem.toml
"""

import argparse
from pathlib import Path

import numpy as np
import tomli_w

from labelcut import solve
from labelcut.models.policies import load_policy
from labelcut.problems.problem_files import save_problem
from labelcut.studies import plot_regions
from labelcut.studies.policies.files import policy_kind, read_policy_file
from labelcut.studies.policies.patches import ScoredPatches, patch_presence, score_patches
from labelcut.studies.policies.scenes import Scenes, street_scenes
from labelcut.studies.policies.strategies import Logistic

PATCH, CLASS, BUDGET = (12, 16), "pedestrian", 60


def mine_patches(scenes: Scenes, folder: Path, *, seed: int = 0, steps: int = 300) -> None:
    """Score patches, train a policy, apply it, solve for the batch and draw it."""
    holds = patch_presence(scenes.labels, PATCH, len(scenes.names))
    holds = holds[:, scenes.names.index(CLASS)].astype(np.int64)
    rng = np.random.default_rng(seed)
    labeled = np.sort(rng.choice(len(holds), len(holds) // 10, replace=False))
    scored = score_patches(scenes, PATCH, labeled, steps=steps, width=8, seed=seed)
    file = write_policy_file(folder, scored, np.where(known(labeled, holds), holds, -1), labeled)

    content = read_policy_file(file)
    kind = policy_kind("misical")
    kind.train(content, file.with_suffix(".policy"), print)
    problem = kind.apply(content, load_policy(file.with_suffix(".policy")))
    save_problem(problem, file.with_suffix(".problem.toml"))
    solution = solve(problem, time_limit=10)
    print(solution.summary())
    solution.save(file.with_suffix(".selection.json"))
    table = scored.table
    picture = folder / "patches.png"
    plot_regions(solution.indices, table, lambda image: scenes.images[image], picture)

    pool = np.setdiff1d(np.arange(len(holds)), labeled)
    logistic = Logistic(scored.features, {int(row): float(holds[row]) for row in labeled})
    print(f"{holds[pool].mean():.1%} of {len(pool):,} patches hold a {CLASS}; of {BUDGET} chosen")
    print(f"  MiSiCAL, under the limits   {holds[solution.indices].sum():3}")
    scores = {"logistic regression": logistic.values(pool), "BALD": scored.bald[pool]}
    for name, values in {**scores, "entropy": scored.entropy[pool]}.items():
        print(f"  {name:27} {holds[pool[np.argsort(-values)[:BUDGET]]].sum():3}")
    print(f"  at random, about            {BUDGET * holds[pool].mean():3.0f}")
    print(f"next: labelcut compare {file.with_suffix('.problem.toml')}")


def known(labeled: np.ndarray, holds: np.ndarray) -> np.ndarray:
    """Return a mask of the rows whose label is known."""
    return np.isin(np.arange(len(holds)), labeled)


def write_policy_file(
    folder: Path, scored: ScoredPatches, holds: np.ndarray, labeled: np.ndarray
) -> Path:
    """Write what the policy is trained on and applied to, for the command line too."""
    table = scored.table
    block = np.stack([table["image"], table["top"] // 24, table["left"] // 32], axis=1)
    arrays = {
        "features": scored.features,
        "holds": holds,
        "labeled": labeled,
        "group": np.unique(block, axis=0, return_inverse=True)[1].ravel(),
        **table,
    }
    place = folder / "patches.data"
    place.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(place / f"{name}.npy", array)
    source = {name: f"patches.data/{name}.npy" for name in arrays}
    used = ("features", "holds", "labeled", "image", "group")
    content = {
        "labelcut": 1,
        "policy": {"kind": "misical"},
        "data": {name: source[name] for name in used}
        | {"table": {name: source[name] for name in table}},
        "training": {"passes": 4},
        "batch": {"budget": BUDGET, "at_most_image": 3, "at_most_group": 1},
    }
    file = folder / "patches.toml"
    file.write_text(tomli_w.dumps(content))
    return file


def main() -> None:
    """Draw scenes and mine them."""
    parser = argparse.ArgumentParser(description="Find patches that hold pedestrians.")
    parser.add_argument("--out", type=Path, default=Path("regions-problem"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=300, help="steps of the network")
    args = parser.parse_args()
    if not args.out.exists():
        args.out.mkdir(parents=True)
        (args.out / ".gitignore").write_text("*\n")  # what a script can make again stays out of git
    scenes = street_scenes(150, seed=args.seed)
    mine_patches(scenes, args.out, seed=args.seed, steps=args.steps)


if __name__ == "__main__":
    main()
