"""MiSiCAL: planted tasks against the oracle, and rare classes of CamVid against its baselines.

python benchmarks/misical.py planted
python benchmarks/misical.py camvid [--seeds 5] [--steps 240] [--width 8] [--work FOLDER]

CamVid takes about four minutes of one core for each seed with the steps and width above, and about
twelve with 900 steps and width 12. What is done is kept in the work folder: a run that was stopped
goes on, and --seeds 3 tells what three seeds say.
"""

import argparse
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _learned import kept, write
from numpy.typing import NDArray

from labelcut.models.policies.misical_agent import Agent, Settings
from labelcut.studies.policies.mining import Limit, Mined, PoolTask, Strategy, Task, mine
from labelcut.studies.policies.misical import Learning, Patches, explore_pool, pretrain
from labelcut.studies.policies.patches import ScoredPatches, patch_presence, score_patches
from labelcut.studies.policies.planted import Delayed, Doors, rare_patches
from labelcut.studies.policies.scenes import Scenes, read_camvid
from labelcut.studies.policies.strategies import Fixed, Logistic, random_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATCH, SHARE = (15, 20), 0.025
CLASSES = ("bicyclist", "pedestrian")
LIMITED = "MiSiCAL, at most 3 of an image"
METHODS = ("random", "entropy", "BALD", "logistic regression", "MiSiCAL", LIMITED, "truth")

RARE_HEAD = """\
`python benchmarks/misical.py planted`. 24,000 made-up patches of which 3 % hold the class, 2,000
labeled; 10 events of 20 picks from 2,000 drawn; {seeds} seeds. *Truth* picks what holds the class.
MiSiCAL learns in 4 passes over the labeled patches and goes on; *frozen* stops there, and explores
no more (ε = 0.05 costs 1 pick in 20).

| strategy | hits of 200 | share of truth's | CPU s |
|---|---:|---:|---:|
"""
LATER_HEAD = """\
Rewards that come late, learned from 400 events of one pick. *Delayed*: what an event has earned is
paid two events later; even picks to learn from, then the frozen policy's hits per pick, where a
fifth of the patches hold the class. *Doors*: the pick that pays nothing opens, for the next event,
what pays most; the frozen policy's reward per event, of which 0.5 is the best possible and 0.2 what
looking at the next reward alone brings. {seeds} seeds.

| γ | n | delayed | doors |
|---:|---:|---:|---:|
"""
CAMVID_HEAD = """\
`python benchmarks/misical.py camvid`. {patches:,} patches of 15 × 20 pixels; {share:.1%} are
labeled at random, a network of the U-Net kind (width {width}) learns from them in {steps} steps of
six images, and its features stay as they are. Then as many patches are picked, 100 of 2,000 drawn
at each event. Hits are patches that hold the class, per 100 labels, over {seeds} seeds; *p* is
Welch's t-test of MiSiCAL against the row. Entropy and BALD are those of the same network, which is
not trained again.

| class | patches that hold it | strategy | hits per 100 labels | p |
|---|---:|---|---:|---:|
"""


@dataclass(frozen=True)
class Network:
    """The segmentation network that makes the features."""

    steps: int
    width: int

    def score(self, scenes: Scenes, labeled: NDArray[Any], seed: int, work: Path) -> ScoredPatches:
        """Train it and score all patches, or go on with what is kept."""
        options = {"steps": self.steps, "width": self.width, "seed": seed}
        return score_patches(scenes, PATCH, labeled, folder=work / f"camvid-{seed}", **options)


def main() -> None:
    """Measure and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("planted", "camvid"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=240, help="of the segmentation network")
    parser.add_argument("--width", type=int, default=8, help="of the segmentation network")
    parser.add_argument("--work", type=Path, default=Path("policies-work"))
    args = parser.parse_args()
    if args.seeds < 2:
        parser.error("--seeds: a spread needs two at least")
    if args.part == "planted":
        write({"MiSiCAL on planted tasks": planted(args.seeds, args.work)})
    else:
        write({"MiSiCAL on CamVid": camvid(args.seeds, Network(args.steps, args.width), args.work)})


def planted(seeds: int, work: Path) -> str:
    """Return the tables of the planted tasks."""
    found = [
        kept(work / f"planted-rare-{seed}.json", partial(_rare, seed)) for seed in range(seeds)
    ]
    rare = RARE_HEAD.format(seeds=seeds)
    for name in found[0]:
        hits = np.array([run[name]["hits"] for run in found])
        share = np.array([run[name]["hits"] / run["truth"]["hits"] for run in found])
        cpu = np.mean([run[name]["seconds"] for run in found])
        rare += f"| {name} | {_spread(hits)} | {share.mean():.2f} | {cpu:.1f} |\n"
    later = LATER_HEAD.format(seeds=seeds)
    for discount, steps in ((0.0, 1), (0.0, 3), (0.8, 1), (0.8, 3)):
        runs = [
            kept(
                work / f"planted-later-{discount}-{steps}-{seed}.json",
                partial(_later, discount, steps, seed),
            )
            for seed in range(seeds)
        ]
        cells = " | ".join(
            _spread(np.array([run[task] for run in runs]), 2) for task in ("delayed", "doors")
        )
        later += f"| {discount:g} | {steps} | {cells} |\n"
    return f"{rare}\n{later}"


def _rare(seed: int) -> dict[str, Any]:
    patches = rare_patches(24_000, 2_000, seed=seed)
    pool = np.setdiff1d(np.arange(len(patches.features)), patches.labeled)
    known = _known(patches)

    strategies: Mapping[str, Callable[[], Strategy]] = {
        "random": lambda: random_scores(len(patches.holds), seed),
        "logistic regression": lambda: Logistic(patches.features, known),
        "MiSiCAL": lambda: Learning(_pretrained(patches, seed), patches.features),
        "MiSiCAL, frozen": lambda: Learning(
            _pretrained(patches, seed), patches.features, learns=False
        ),
        "truth": lambda: Fixed(patches.holds),
    }
    found = {}
    for name, make in strategies.items():
        begun = time.process_time()
        mined = mine(PoolTask(patches.holds, pool), make(), budget=200, size=20, seed=seed)
        seconds = time.process_time() - begun
        found[name] = {"hits": float(mined.rewards.sum()), "seconds": seconds}
    return found


def _pretrained(patches: Patches, seed: int) -> Agent:
    return pretrain(patches, Settings(seed=seed))


def _later(discount: float, steps: int, seed: int) -> dict[str, Any]:
    """Train on both tasks whose rewards come late, and run the policies frozen."""
    settings = Settings(discount=discount, steps=steps, batch=64, follow=0.02, updates=2, seed=seed)
    patches = rare_patches(6_000, 3_000, seed=seed, share=0.2)
    late = Delayed(patches.holds, patches.labeled, 40)
    delayed = _frozen(late, patches.features, replace(settings, explore=1.0), 400)
    pool = np.setdiff1d(np.arange(len(patches.features)), patches.labeled)
    hits = mine(PoolTask(patches.holds, pool, 40), delayed, budget=100, size=1, seed=seed)
    features = Doors(0, seed=seed).features
    opening = _frozen(Doors(400, seed=seed), features, replace(settings, explore=0.3), 400)
    opened = mine(Doors(100, seed=seed), opening, budget=100, size=1, seed=seed)
    return {"delayed": float(hits.rewards.mean()), "doors": float(opened.rewards.mean())}


def _frozen(task: Task, features: NDArray[Any], settings: Settings, events: int) -> Learning:
    """Let an agent learn in a task, one pick an event, and stop it."""
    agent = Agent(features, settings)
    mine(task, Learning(agent, features), budget=events, size=1, seed=settings.seed)
    return Learning(agent, features, learns=False)


def camvid(seeds: int, network: Network, work: Path) -> str:
    """Return the table of hits on CamVid."""
    from scipy.stats import ttest_ind

    work = work / f"steps-{network.steps}-width-{network.width}"
    scenes = read_camvid()
    presence = patch_presence(scenes.labels, PATCH, len(scenes.names))
    table = CAMVID_HEAD.format(patches=len(presence), share=SHARE, seeds=seeds, **asdict(network))
    runs = {
        (name, seed): kept(
            work / f"camvid-{name}-{seed}.json",
            partial(_hits, (scenes, presence), name, seed, network, work),
        )
        for seed in range(seeds)
        for name in CLASSES
    }
    for name in CLASSES:
        hits = {m: np.array([runs[name, seed][m] for seed in range(seeds)]) for m in METHODS}
        share = presence[:, scenes.names.index(name)].mean()
        for method in METHODS:
            p = ttest_ind(hits["MiSiCAL"], hits[method], equal_var=False).pvalue
            told = "" if method in ("MiSiCAL", "truth") else f"{p:.2g}"
            table += f"| {name} | {share:.1%} | {method} | {_spread(hits[method])} | {told} |\n"
    return table


def _hits(
    camvid: tuple[Scenes, NDArray[np.bool_]], name: str, seed: int, network: Network, work: Path
) -> dict[str, Any]:
    """Return hits per 100 labels of every method, for one class and seed."""
    scenes, presence = camvid
    count = len(presence)
    labeled = np.sort(np.random.default_rng(seed).choice(count, int(SHARE * count), replace=False))
    scored = network.score(scenes, labeled, seed, work)
    holds = presence[:, scenes.names.index(name)].astype(np.int64)
    patches = Patches(scored.features, holds, labeled)
    pool = np.setdiff1d(np.arange(count), labeled)
    image = Limit(scored.table["image"], 3)

    def fixed(strategy: Strategy) -> Mined:
        return mine(PoolTask(holds, pool), strategy, budget=len(labeled), seed=seed)

    def learned(*limits: Limit) -> Mined:
        agent = _pretrained(patches, seed)
        return explore_pool(agent, patches, budget=len(labeled), limits=limits, seed=seed)

    runs: Mapping[str, Callable[[], Mined]] = {
        "random": lambda: fixed(random_scores(count, seed)),
        "entropy": lambda: fixed(Fixed(scored.entropy)),
        "BALD": lambda: fixed(Fixed(scored.bald)),
        "logistic regression": lambda: fixed(Logistic(scored.features, _known(patches))),
        "MiSiCAL": learned,
        LIMITED: lambda: learned(image),
        "truth": lambda: fixed(Fixed(holds)),
    }
    return {method: 100 * float(run().rewards.mean()) for method, run in runs.items()}


def _known(patches: Patches) -> dict[int, float]:
    """Return what is known of labeled rows, as a logistic regression takes it."""
    return {int(row): float(patches.holds[row]) for row in patches.labeled}


def _spread(values: NDArray[Any], digits: int = 1) -> str:
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"


if __name__ == "__main__":
    main()
