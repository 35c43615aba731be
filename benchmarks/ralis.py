"""RALIS: planted tasks against the oracle, CamVid against its baselines, and exact batches.

python benchmarks/ralis.py planted
python benchmarks/ralis.py delayed
python benchmarks/ralis.py exact
python benchmarks/ralis.py camvid [--seeds 5] [--episodes 10] [--budgets 500] [--work FOLDER]
python benchmarks/ralis.py ablations [--seeds 5] [--episodes 10] [--only NAME ...]

What is done is kept in the work folder, episode by episode: a run that was stopped goes on.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _learned import kept, write
from numpy.typing import NDArray

from labelcut.models.policies import Policy
from labelcut.models.policies.ralis import RalisSettings
from labelcut.models.policies.ralis_features import RalisFeatures
from labelcut.studies.campaign.significance import holm, paired_p
from labelcut.studies.policies.acquiring import (
    BASELINES,
    Strategy,
    acquire,
    class_entropy,
    frozen,
    untrained,
)
from labelcut.studies.policies.planted_regions import PlantedGame, PlantedWorld
from labelcut.studies.policies.pools import choose_from_pools, draw_pools
from labelcut.studies.policies.ralis import RalisTraining, Schedule
from labelcut.studies.policies.region_game import Batches
from labelcut.studies.policies.scenes import Scenes, read_camvid
from labelcut.studies.policies.segmentation_game import (
    Convergence,
    SegmentationGame,
    Sizes,
    draw_splits,
    learned_from,
)
from labelcut.studies.policies.segmentation_worlds import NetworkPlan, SegmentationWorld

REGION, WHOLE, EACH = (45, 40), (180, 240), 24
SHAPES = ((24, 10, 2400, 40), (24, 10, 500, 40), (24, 10, 240, 40), (256, 100, 25600, 3))

PLANTED_HEAD = """\
`python benchmarks/ralis.py planted`. 2,000 made-up regions of which 10 % hold a rare class; each of
these pays 1, the reward is paid for 12 regions at once, and predicted shares of classes are mixed
with noise (30 %). 30 episodes of 20 steps, 12 pools of 8; 4 gradient steps of 64 transitions a
step, memory 2,400, γ 0.2. Then the policy, frozen, asks for 240 regions. The oracle knows what
pays. {seeds} seeds.

| strategy | return | share of the oracle's | CPU s |
|---|---:|---:|---:|
"""
LATER_HEAD = """\
`python benchmarks/ralis.py delayed`. The planted task with a tenth of the noise and 6
pools, where a step's regions pay one step later, and the state shows what is yet to be paid.
{seeds} seeds.

| γ | return | share of the oracle's |
|---:|---:|---:|
"""
EXACT_HEAD = """\
`python benchmarks/ralis.py exact`. One region from each of K pools of N, drawn from so many that
are not labeled; values are normal random numbers, one for each region. *Repeats*: picks of the arg
max of each pool that an earlier pool picked too. *Without substitute*: the arg max, repeats
dropped; *repaired*: each pool in turn takes the best that is left. The gain is in
standard deviations of a region's value, a batch. Seconds by the clock are beside other work.

| K | N | regions | repeats | gain, without substitute | gain, repaired | CPU ms | wall ms |
|---:|---:|---:|---:|---:|---:|---:|---:|
"""
CAMVID_HEAD = """\
`python benchmarks/ralis.py camvid --seeds {seeds} --episodes {episodes}`. 180 × 240 pixels, regions
of 45 × 40; D_S 10 images, D_T 100, D_R 40, D_V {valid}, test the sequence 0001TP, filmed at dusk; a
network of the U-Net kind with 68,000 weights, whose finest maps stand for squares of 4 × 4 pixels.
The policy is trained on D_T with 500 regions an episode and asks, frozen, for regions of D_V, which
it never saw; *untrained* is the same network with random weights. Entropy is that of the classes of
the pixels labeled, in nats. Paired: the seeds' differences to the row, RALIS less it.

| budget | strategy | entropy | paired | mean IoU on test, % | paired | repeats of arg max |
|---:|---|---:|---:|---:|---:|---:|
"""
ABLATIONS_HEAD = """\
`python benchmarks/ralis.py ablations --seeds {seeds} --episodes {episodes}`. As above, budget 500:
what states and actions are made of, regions a step (K), and whole images instead of regions. An
episode has as many steps as it takes to ask for 500 regions; K = 1 plays a tenth of the episodes.
Paired: the seeds' differences to {full}; p by paired t-tests, Holm's method over all variants.

| variant | entropy | paired | p | mean IoU on test, % | paired | p |
|---|---:|---:|---:|---:|---:|---:|
"""


@dataclass(frozen=True)
class Variant:
    """What an ablation changes.

    Attributes
    ----------
    name
        As the table calls it.
    pooled, bins
        Features, see `RalisFeatures`.
    pools
        K.
    whole
        Whether whole images are asked for.
    fewer
        By what the number of episodes is divided, where these are long.
    """

    name: str
    pooled: tuple[str, ...] = ("min", "mean", "max")
    bins: int = 10
    pools: int = 24
    whole: bool = False
    fewer: int = 1

    def batches(self, budget: int) -> Batches:
        """Return how regions, or images, are asked for."""
        count = -(-budget // EACH) if self.whole else budget
        return Batches(self.pools, 10, count)


FULL = Variant("3H+KL, K=24")
VARIANTS = (
    Variant("1H", pooled=("max",), bins=0),
    Variant("3H", bins=0),
    FULL,
    Variant("K=1", pools=1, fewer=10),
    Variant("K=12", pools=12),
    Variant("K=48", pools=48),
    Variant("whole images", pools=1, whole=True),
)


def main() -> None:
    """Measure and write what was asked for."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("planted", "delayed", "exact", "camvid", "ablations"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--budgets", type=int, nargs="+", default=[500])
    parser.add_argument("--only", nargs="+", default=[variant.name for variant in VARIANTS])
    parser.add_argument("--work", type=Path, default=Path("policies-work"))
    args = parser.parse_args()
    if args.part == "planted":
        write({"RALIS on planted tasks": planted(args.seeds, args.work)})
    elif args.part == "delayed":
        write({"RALIS where rewards come late": delayed(args.seeds, args.work)})
    elif args.part == "exact":
        write({"Exact batches": exact()})
    elif args.part == "camvid":
        runs = CamVid(args.work, args.seeds, args.episodes, tuple(args.budgets))
        write({"RALIS on CamVid": runs.table()})
    else:
        runs = CamVid(args.work, args.seeds, args.episodes, (500,))
        some = [each for each in VARIANTS if each == FULL or each.name in args.only]
        write({"RALIS ablations": runs.ablations(some)})


def planted(seeds: int, work: Path) -> str:
    """Return the table of the planted task."""
    found = [
        kept(work / f"regions-taught-{seed}.json", partial(_rare, seed)) for seed in range(seeds)
    ]
    text = PLANTED_HEAD.format(seeds=seeds)
    for name in found[0]:
        share = np.array([run[name]["return"] / run["oracle"]["return"] for run in found])
        returns = np.array([run[name]["return"] for run in found])
        cpu = np.mean([run[name]["seconds"] for run in found])
        text += f"| {name} | {_spread(returns)} | {share.mean():.2f} | {cpu:.1f} |\n"
    return text


def delayed(seeds: int, work: Path) -> str:
    """Return the table of rewards that come a step late."""
    text = LATER_HEAD.format(seeds=seeds)
    for discount in (0.0, 0.5, 0.8):
        runs = [
            kept(work / f"regions-later-{discount}-{seed}.json", partial(_later, discount, seed))
            for seed in range(seeds)
        ]
        returns = np.array([run["return"] for run in runs])
        share = np.array([run["return"] / run["oracle"] for run in runs])
        text += f"| {discount:g} | {_spread(returns)} | {share.mean():.2f} |\n"
    return text


def _rare(seed: int) -> dict[str, Any]:
    game, batches = PlantedGame(PlantedWorld(), seed), Batches(12, 8, 240)
    begun = time.process_time()
    settings = RalisSettings(batch=64, replay=2400, discount=0.2)
    policy = _trained(game, batches, settings, seed)
    seconds = time.process_time() - begun
    strategies = [
        frozen(policy),
        frozen(untrained(policy, seed + 100), "untrained"),
        *BASELINES[:2],
    ]
    found = {"oracle": {"return": game.oracle(batches, seed), "seconds": 0.0}}
    for strategy in strategies:
        taken = acquire(game, strategy, batches, seed).regions
        own = seconds if strategy.name == "RALIS" else 0.0
        found[strategy.name] = {"return": float(game.pays[taken].sum()), "seconds": own}
    return found


def _later(discount: float, seed: int) -> dict[str, Any]:
    game = PlantedGame(PlantedWorld(noise=0.03, delay=1), seed)
    batches = Batches(6, 8, 180)
    policy = _trained(game, batches, RalisSettings(batch=64, replay=2400, discount=discount), seed)
    taken = acquire(game, frozen(policy), batches, seed).regions
    return {"return": float(game.pays[taken].sum()), "oracle": game.oracle(batches, seed)}


def _trained(game: PlantedGame, batches: Batches, settings: RalisSettings, seed: int) -> Policy:
    features = RalisFeatures(game.world.classes, game.world.cells)
    return RalisTraining(game, features, batches, settings, Schedule(30), seed).run()


def exact() -> str:
    """Return the table of exact batches."""
    text = EXACT_HEAD
    rng = np.random.default_rng(0)
    choose_from_pools([[1.0, 2.0]], [[0, 1]])  # compiles
    for pools, size, regions, times in SHAPES:
        rows = []
        for _ in range(times):
            drawn = draw_pools(np.arange(regions), pools, size, rng)
            values = rng.normal(size=regions)[drawn]
            cpu = time.process_time()
            found = choose_from_pools(values, drawn)
            cpu = time.process_time() - cpu
            repaired = found.repaired_utility
            assert repaired is not None
            gains = (found.utility - found.distinct_utility, found.utility - repaired)
            rows.append((found.repeats, *gains, 1e3 * cpu, 1e3 * found.seconds))
        repeats, dropped, repaired_by, cpu_ms, wall = np.mean(rows, axis=0)
        text += (
            f"| {pools} | {size} | {regions:,} | {repeats:.1f} | {dropped:.2f} | {repaired_by:.2f} "
            f"| {cpu_ms:.0f} | {wall:.0f} |\n"
        )
    return text


@dataclass
class CamVid:
    """Policies trained and tried on CamVid; what is done is kept."""

    work: Path
    seeds: int
    episodes: int
    budgets: tuple[int, ...]

    def table(self) -> str:
        """Return the table of strategies."""
        found = [self.run(FULL, seed, baselines=True) for seed in range(self.seeds)]
        head = {"seeds": self.seeds, "episodes": self.episodes, "valid": found[0]["valid"]}
        text = CAMVID_HEAD.format(**head)
        for budget in self.budgets:
            ours = {what: _column(found, "RALIS", budget, what) for what in ("entropy", "iou")}
            for name in found[0]["strategies"]:
                own = {what: _column(found, name, budget, what) for what in ours}
                pairs = {what: _spread(ours[what] - own[what], 2) for what in ours}
                if name == "RALIS":
                    pairs = dict.fromkeys(pairs, "")
                repeats = np.mean([run["strategies"][name]["repeats"] for run in found])
                text += (
                    f"| {budget} | {name} | {_spread(own['entropy'], 2)} | {pairs['entropy']} "
                    f"| {_spread(own['iou'], 2)} | {pairs['iou']} | {repeats:.0f} |\n"
                )
        return text

    def ablations(self, variants: Sequence[Variant]) -> str:
        """Return the table of ablations."""
        text = ABLATIONS_HEAD.format(seeds=self.seeds, episodes=self.episodes, full=FULL.name)
        # Seeds come first: the games of a seed are the same for nearly all variants.
        runs = [[self._alone(some, seed) for some in variants] for seed in range(self.seeds)]
        by_variant = list(zip(*runs, strict=True))
        cells: list[list[str]] = [[] for _ in variants]
        for what in ("entropy", "iou"):
            values = [_column(found, "RALIS", 500, what) for found in by_variant]
            whole = values[variants.index(FULL)]
            others = [at for at, variant in enumerate(variants) if variant != FULL]
            chances = holm([float(paired_p(values[at], whole)) for at in others])
            told = {
                at: (_spread(values[at] - whole, 2), f"{chance:.2g}")
                for at, chance in zip(others, chances, strict=True)
            }
            for at, own in enumerate(values):
                cells[at] += [_spread(own, 2), *told.get(at, ("", ""))]
        for variant, row in zip(variants, cells, strict=True):
            text += f"| {variant.name} | {' | '.join(row)} |\n"
        return text

    def run(self, variant: Variant, seed: int, *, baselines: bool) -> dict[str, Any]:
        """Train one policy, let it and others ask for regions, and learn from those."""
        region = WHOLE if variant.whole else REGION
        network = NetworkPlan(region, width=16, shrink=4)
        if variant.whole:
            # As many gradient steps on whole images as on their regions.
            network = replace(network, epochs=30, batch=1)
        training, game = _games(network, seed)
        folder = self._folder(variant, seed)
        features = RalisFeatures(len(game.names), 5, variant.pooled, variant.bins)
        policy = RalisTraining(
            training,
            features,
            variant.batches(500),
            RalisSettings(),
            Schedule(-(-self.episodes // variant.fewer)),
            seed,
            folder,
        ).run(partial(print, f"{variant.name}, seed {seed},", flush=True))
        strategies = [frozen(policy)]
        if baselines:
            strategies += [frozen(untrained(policy, seed + 100), "untrained"), *BASELINES]
        done = {
            strategy.name: kept(
                folder / self._file(strategy.name),
                partial(self._measure, game, strategy, variant, seed),
            )
            for strategy in strategies
        }
        return {"strategies": done, "valid": len(game.splits.valid)}

    def _alone(self, variant: Variant, seed: int) -> dict[str, Any]:
        """Return what a policy alone came to; if that is kept, no network has to learn for it."""
        file = self._folder(variant, seed) / self._file("RALIS")
        if file.exists():
            return {"strategies": {"RALIS": json.loads(file.read_text())}}
        return self.run(variant, seed, baselines=False)

    def _folder(self, variant: Variant, seed: int) -> Path:
        return self.work / f"{variant.name.replace(' ', '-')}-{self.episodes}-{seed}"

    def _file(self, strategy: str) -> str:
        return f"{strategy}-{'-'.join(map(str, self.budgets))}.json"

    def _measure(
        self, game: SegmentationGame, strategy: Strategy, variant: Variant, seed: int
    ) -> dict[str, Any]:
        print(f"{variant.name}, seed {seed}: {strategy.name}", flush=True)
        found = acquire(game, strategy, variant.batches(max(self.budgets)), seed)
        told: dict[str, Any] = {"repeats": sum(choice.repeats for choice in found.choices)}
        for budget in self.budgets:
            regions = found.regions[: variant.batches(budget).budget]
            torch.manual_seed(seed)
            iou, _, epochs = learned_from(game, regions, Convergence())
            told[str(budget)] = {
                "entropy": class_entropy(game.truth(regions)),
                "iou": 100 * iou,
                "epochs": epochs,
            }
        return told


@lru_cache(maxsize=2)
def _games(network: NetworkPlan, seed: int) -> tuple[SegmentationGame, SegmentationGame]:
    """Return the games to learn in and to be measured in."""
    scenes = read_camvid()
    splits = draw_splits(scenes, Sizes(reward=40), _test(scenes), seed)
    world = SegmentationWorld(scenes, splits, network, seed)
    return world.training_game(), world.applying_game()


def _test(scenes: Scenes) -> NDArray[np.bool_]:
    return np.array([name.startswith("0001TP") for name in scenes.ids])


def _column(found: Sequence[dict[str, Any]], name: str, budget: int, what: str) -> NDArray[Any]:
    return np.array([run["strategies"][name][str(budget)][what] for run in found])


def _spread(values: NDArray[Any], digits: int = 1) -> str:
    """Return mean ± standard deviation."""
    if len(values) < 2:
        return f"{values.mean():.{digits}f}"
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"


if __name__ == "__main__":
    main()
