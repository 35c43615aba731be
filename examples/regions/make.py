"""Learn where to look: two policies trained on streets whose labels are known, applied to others.

RALIS plays: regions of labeled images are asked for, a segmentation network learns from them, and
a query network learns what that was worth. Its values of the regions of other images are the
utility of a problem: so many regions, at most three of an image, none of them near-duplicates.

MiSiCAL looks for one rare class in smaller patches; see `patches.py` beside this script.

    python examples/regions/make.py --out regions-problem
    labelcut compare regions-problem/ralis.toml
    labelcut compare regions-problem/patches.problem.toml
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from patches import mine_patches

from labelcut import BudgetedSelection, GroupLimit, Selection, solve
from labelcut.models.policies import save_policy
from labelcut.models.policies.ralis import RalisSettings
from labelcut.models.policies.ralis_features import RalisFeatures
from labelcut.studies import plot_regions
from labelcut.studies.policies.pools import choose_from_pools, draw_pools
from labelcut.studies.policies.ralis import RalisTraining, Schedule
from labelcut.studies.policies.ralis_files import region_values
from labelcut.studies.policies.region_game import Batches
from labelcut.studies.policies.scenes import Scenes, street_scenes
from labelcut.studies.policies.segmentation_game import Sizes, class_shares, draw_splits
from labelcut.studies.policies.segmentation_worlds import NetworkPlan, SegmentationWorld

REGION, CELLS = (18, 16), 2
BUDGET, EACH_IMAGE = 60, 3


def main() -> None:
    """Draw streets, train, apply, solve, and draw what was chosen."""
    parser = argparse.ArgumentParser(description="Learn which regions to label.")
    parser.add_argument("--out", type=Path, default=Path("regions-problem"))
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    parser.add_argument("--episodes", type=int, default=8, help="games that RALIS plays")
    parser.add_argument("--steps", type=int, default=300, help="of MiSiCAL's network")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    scenes = street_scenes(160, seed=args.seed)
    if not args.out.exists():
        args.out.mkdir(parents=True)
        (args.out / ".gitignore").write_text("*\n")  # what a script can make again stays out of git
    ralis(scenes, args.out, args.seed, args.episodes)
    mine_patches(scenes, args.out, seed=args.seed, steps=args.steps)


def ralis(scenes: Scenes, out: Path, seed: int, episodes: int) -> None:
    """Train RALIS on some images, and choose regions of others."""
    splits = draw_splits(scenes, Sizes(state=8, initial=8, train=48, reward=24), [], seed)
    world = SegmentationWorld(scenes, splits, NetworkPlan(REGION, CELLS, epochs=4), seed)
    features = RalisFeatures(len(scenes.names), CELLS)
    training = RalisTraining(
        world.training_game(),
        features,
        Batches(pools=12, size=8, budget=144),
        RalisSettings(),
        Schedule(episodes),
        seed,
        out / "ralis.policy",
    )
    policy = training.run(print)
    save_policy(policy, out / "ralis.policy")

    game = world.applying_game()
    game.restart()
    maps, state = game.look(game.regions), game.state()
    values = region_values(
        policy,
        {
            "histogram": maps.histogram,
            "cells": maps.cells,
            "state_histogram": state.histogram,
            "state_cells": state.cells,
        },
        None,
        np.empty(0, dtype=np.int64),
    )
    table = {
        name: column[game.regions] for name, column in game.learner.grid.table(len(scenes)).items()
    }
    problem = BudgetedSelection(
        values,
        BUDGET,
        constraints=[
            GroupLimit(table["image"], at_most=EACH_IMAGE, name="each image"),
            GroupLimit(alike(maps.histogram), at_most=1, name="near-duplicates"),
        ],
        table=table,
    )
    solution = finish(problem, scenes, out, "ralis")
    print("true share of each class in the regions, in %:")
    print(f"{'':9}{' '.join(f'{name[:8]:>8}' for name in scenes.names)}")
    chosen = game.truth(game.regions[solution.indices]).mean(axis=0)
    for name, shares in (("chosen", chosen), ("all", class_shares(scenes, splits.valid))):
        print(f"{name:9}{' '.join(f'{100 * share:8.1f}' for share in shares)}")
    pools = draw_pools(np.arange(len(values)), 24, 10, np.random.default_rng(seed))
    batch = choose_from_pools(values[pools], pools)
    print(f"one from each of 24 pools: arg max would repeat {batch.repeats} regions")


def alike(histograms: np.ndarray) -> np.ndarray:
    """Return a group for each region: those with the same predicted shares to the nearest 5 %."""
    _, group = np.unique(np.round(20 * histograms).astype(int), axis=0, return_inverse=True)
    return group.ravel()


def finish(problem: BudgetedSelection, scenes: Scenes, out: Path, name: str) -> Selection:
    """Solve a problem, write both, and draw the chosen regions over their images."""
    solution = solve(problem, time_limit=10)
    print(solution.summary())
    problem.save(out / f"{name}.toml")
    solution.save(out / f"{name}.selection.json")
    plot_regions(
        solution.indices, problem.table, lambda image: scenes.images[image], out / f"{name}.png"
    )
    print(f"wrote {name}.toml, {name}.selection.json, {name}.png: {out}")
    print(f"next: labelcut compare {out / f'{name}.toml'}")
    return solution


if __name__ == "__main__":
    main()
