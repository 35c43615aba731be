"""Campaigns: what they take, what prior correction and redundancy do to strategies.

python benchmarks/campaigns.py [--only NAME] [--seeds 5] [--folder FOLDER] [--until TIME]

A run that was stopped goes on in its folder; what is finished is tabulated, and by how many seeds.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from _campaign_example import example_table
from _first_models import first_cover, first_entropy, least_l1
from _results import write_tables

from labelcut import l1_score
from labelcut.studies.campaign import Pool, Results, load_results
from labelcut.studies.campaign.budget_curves import auc_at_budget
from labelcut.studies.campaign.files import Campaign, read_campaign
from labelcut.studies.campaign.interaction import interaction_test
from labelcut.studies.campaign.loop import Run, truth_of
from labelcut.studies.campaign.pools import augmented, frame_runs, long_tailed, take
from labelcut.studies.campaign.runner import parse_until
from labelcut.studies.campaign.significance import holm, paired_p
from labelcut.studies.campaign.store import Store
from labelcut.studies.campaign.videos import drifting, video_pool

TITLE, SCRIPT = "Campaigns", "benchmarks/campaigns.py"
FOLLOWING = (0, 5, 11, 21)
ROWS, FRAMES = 660, 30
TEST_PER_CLASS = 30
PATCH = (30, 40)
PURE = 0.6
"""Share of a patch's pixels that its class has at least."""
REDUNDANCY = ("random", "entropy", "k-center", "uwe")
BALANCED = ("entropy-cb", "bald-cb", "k-center-cb", "pseudo-label-cb")
COVERS = ("k-center-cb", "k-center-cb-corrected")
INTRO = """\
Labelling campaigns with the ready learner (one hidden layer on the pixels, from scratch in every
cycle), each seed with a pool, a test set and an initial set of its own that all strategies share;
mean ± standard deviation over seeds. Tests are two-sided paired t-tests over seeds, corrected by
Holm's method for all rows of a table; the interaction is an F-test within blocks of pool and seed
(split-plot analysis of variance, `interaction_test`)."""
ORDER = (
    "What the digits example takes",
    "Digits with half of the classes thinned to a tenth",
    "Redundant video: runs of X + 1 consecutive frames",
    "CamVid patches with augmented duplicates (Pool-Aug)",
)


@dataclass(frozen=True)
class Setting:
    """One kind of pool, and what competes on it.

    Parameters
    ----------
    name
        Of its folder.
    strategies
        Who competes.
    campaign, learner
        Tables of the campaign file.
    options
        Options of strategies by name.
    """

    name: str
    strategies: tuple[str, ...]
    campaign: dict[str, Any]
    learner: dict[str, Any] = field(default_factory=dict)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self, pool: Pool, folder: Path, seed: int, until: datetime | None) -> Results | None:
        """Run one seed's campaign as far as time allows; None where nothing is finished."""
        home = folder / self.name / str(seed)
        if not (home / "campaign.toml").exists():
            self._write(pool, home, seed)
        self._go_on(read_campaign(home / "campaign.toml"), until)
        done = home / "campaign.campaign"
        return load_results(done) if done.exists() else None

    def _go_on(self, campaign: Campaign, until: datetime | None) -> None:
        """Run what is left in this process: starting others takes longer than a campaign here."""
        store = Store(campaign.folder)
        with store.opened(campaign):
            for entrant in campaign.strategies:
                run = Run(campaign, store, entrant, campaign.plan.seeds[0], truth_of(campaign))
                while not run.is_over:
                    if until is not None and datetime.now() >= until:
                        return
                    store.add(run.next(), campaign.pool.ids)

    def _write(self, pool: Pool, home: Path, seed: int) -> None:
        home.mkdir(parents=True, exist_ok=True)
        arrays = {
            name: getattr(pool, name) for name in ("inputs", "truth", "test_inputs", "test_truth")
        }
        for name, values in arrays.items():
            np.save(home / f"{name}.npy", values)
        content = {
            "labelcut": 1,
            "campaign": {"seeds": [seed], **self.campaign},
            "data": {"classes": pool.classes, **{name: f"{name}.npy" for name in arrays}},
            "learner": self.learner,
            "strategy": [
                {"name": name, "options": self.options.get(name, {})} for name in self.strategies
            ],
        }
        (home / "campaign.toml").write_text(tomli_w.dumps(content))


THINNED = Setting(
    "thinned",
    ("random", "entropy", *(f"{name}{end}" for name in BALANCED for end in ("", "-corrected"))),
    {"budget": [100, 50], "cycles": 2, "draw": "class-uniform"},
    {"epochs": 60},
)
IN_TIME = {
    following: Setting(
        f"pool-{following}f", REDUNDANCY, {"budget": "10-10", "cycles": 4}, {"epochs": 30}
    )
    for following in FOLLOWING
}
DUPLICATED = {
    name: Setting(f"camvid-{name}", REDUNDANCY, {"budget": "10-10", "cycles": 4}, {"epochs": 30})
    for name in ("diverse", "aug")
}


@cache
def digits() -> tuple[Any, Any]:
    """Return scans ``(1797, 8, 8)`` in 0..1 and their classes."""
    from sklearn.datasets import load_digits

    images, truth = load_digits(return_X_y=True)
    return (images / 16).reshape(-1, 8, 8).astype(np.float32), truth


def split_digits(seed: int) -> tuple[Any, Any]:
    """Return a test set of equal classes and the other scans."""
    rng, (_, truth) = np.random.default_rng(seed), digits()
    test = np.concatenate(
        [rng.permutation(np.flatnonzero(truth == k))[:TEST_PER_CLASS] for k in range(10)]
    )
    return test, rng.permutation(np.setdiff1d(np.arange(len(truth)), test))


def thinned_digits(seed: int) -> Pool:
    """Return scans of which half of the classes keep a tenth, beside what is reserved."""
    images, truth = digits()
    test, rest = split_digits(seed)
    pixels = images.reshape(len(images), -1)
    whole = Pool(pixels[rest], truth[rest], pixels[test], truth[test], classes=10)
    return long_tailed(whole, 0.1, reserve=0.1, seed=seed)


def moving_digits(following: int, seed: int) -> Pool:
    """Return frames of scans that drift: a frame at random, and X that follow it."""
    images, truth = digits()
    test, rest = split_digits(seed)
    videos = drifting(images[rest], FRAMES, seed=seed).reshape(len(rest), FRAMES, -1)
    frames = drifting(images[test], 1, seed=seed + 1).reshape(len(test), -1)
    names = [f"{row:04}" for row in rest]
    whole = video_pool(
        dict(zip(names, videos, strict=True)),
        {name: np.full(FRAMES, truth[row]) for name, row in zip(names, rest, strict=True)},
        classes=10,
        test=(frames, truth[test]),
    )
    return frame_runs(whole, ROWS, following, seed=seed)


@cache
def patches() -> tuple[Any, Any, Any]:
    """Return CamVid's patches ``(n, 3, h, w)`` of one class each, classes, and frames in order."""
    folder = Path(os.environ.get("LABELCUT_DATA") or "missing") / "seg"
    if not folder.exists():
        sys.exit(f"LABELCUT_DATA: holds no pictures at {folder}; name a folder that does")
    with np.load(folder / "camvid_train_180x240.npz") as arrays:
        order = np.argsort(arrays["names"])
        images, maps = arrays["images"][order], arrays["labels"][order]
    height, width = PATCH
    grid = (len(images), 180 // height, height, 240 // width, width)
    cut = images.reshape(*grid, 3).transpose(0, 1, 3, 5, 2, 4).reshape(-1, 3, height, width)
    labels = maps.reshape(grid).transpose(0, 1, 3, 2, 4).reshape(-1, height * width)
    counts = np.stack([(labels == k).mean(axis=1) for k in range(12)], axis=1)
    frame = np.repeat(np.arange(len(images)), grid[1] * grid[3])
    pure = (counts[:, :11].max(axis=1) >= PURE).nonzero()[0]
    kinds, truth = np.unique(counts[pure].argmax(axis=1), return_inverse=True)
    # Half the resolution: a patch is 15 by 20 pixels.
    small = cut[pure].reshape(-1, 3, height // 2, 2, width // 2, 2).mean(axis=(3, 5)) / 255
    del kinds
    return small.astype(np.float32), truth, frame[pure]


def camvid(kind: str, seed: int) -> Pool:
    """Return patches of three quarters of the frames, each with five duplicates or none."""
    images, truth, frame = patches()
    rng = np.random.default_rng(seed)
    held = rng.permutation(frame.max() + 1)[: (frame.max() + 1) // 4]
    test = rng.permutation(np.flatnonzero(np.isin(frame, held)))[:1500]
    rest = rng.permutation(np.flatnonzero(~np.isin(frame, held)))
    whole = Pool(images[rest], truth[rest], images[test], truth[test], classes=int(truth.max()) + 1)
    pool = take(whole, np.arange(ROWS))
    if kind == "aug":
        pool = augmented(whole, ROWS, 5, seed=seed)
    flat = {name: getattr(pool, name) for name in ("inputs", "test_inputs")}
    return replace(pool, **{name: part.reshape(len(part), -1) for name, part in flat.items()})


def joined(found: Sequence[Results | None], setting: Setting) -> Results:
    """Return the records of the seeds that all strategies have finished."""
    cycles = setting.campaign["cycles"] + 1
    whole = [r for r in found if r and len(r.records) == cycles * len(setting.strategies)]
    return Results(tuple(record for results in whole for record in results.records))


def spread(values: Any, digits: int = 3) -> str:
    """Return mean ± standard deviation."""
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


def rows_of(results: Results, setting: Setting, metric: str) -> dict[str, Any]:
    """Return a metric ``(seeds, cycles)`` by strategy."""
    table = results.table(metric)
    return {name: table[results.strategies.index(name)] for name in setting.strategies}


def chosen_balance(results: Results, name: str) -> Any:
    """Return the L1 score ``(seeds,)`` of the true classes of all rows that a strategy chose."""
    scores = []
    for seed in results.seeds:
        run = results.run(name, seed)
        counts = run[-1].histogram - run[0].histogram
        scores.append(l1_score(np.repeat(np.arange(len(counts)), counts), len(counts)))
    return np.array(scores)


def thinned_table(results: Results, folder: Path) -> str:
    """Return balance and accuracy of all strategies, and tests of what the correction does."""
    accuracy = rows_of(results, THINNED, "accuracy")
    first = {k: v[:, 0] for k, v in rows_of(results, THINNED, "l1_batch").items()}
    every = {name: chosen_balance(results, name) for name in THINNED.strategies}
    unsure = {
        name: first_entropy(folder / THINNED.name, results, name) for name in THINNED.strategies
    }
    later = {name: values[:, 1:].mean(axis=1) for name, values in accuracy.items()}
    lines = [
        "| strategy | L1 true, first batch | all chosen | entropy, first batch | accuracy, last | "
        "mean of cycles |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {spread(first[name])} | {spread(every[name])} | "
        f"{spread(unsure[name], 2)} | {spread(accuracy[name][:, -1])} | {spread(later[name])} |"
        for name in THINNED.strategies
    ]
    home, batches = folder / THINNED.name, THINNED.campaign["cycles"]
    known = [spread(least_l1(home, results, count)) for count in (1, batches)]
    lines += [f"| (who knows all classes) | {known[0]} | {known[1]} | | | |"]
    lines += [
        "",
        "| corrected / plain | L1, first batch | p | L1, all chosen | p | entropy, first batch | "
        "accuracy | p |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    chances = [tested(values) for values in (first, every, later)]
    for at, name in enumerate(BALANCED):
        pair = name, f"{name}-corrected"
        ratios = [
            values[pair[1]].mean() / values[pair[0]].mean() for values in (first, every, unsure)
        ]
        gain = np.mean(later[pair[1]] - later[pair[0]])
        p, q, r = (chance[at] for chance in chances)
        lines.append(
            f"| {name} | × {ratios[0]:.2f} | {p:.2g} | × {ratios[1]:.2f} | {q:.2g} | "
            f"× {ratios[2]:.2f} | {gain:+.3f} | {r:.2g} |"
        )
    head = (
        f"{len(results.seeds)} seeds. 100 labels of equal classes, then two batches of 50, λ at "
        "the knee; 300 scans of equal classes to test on. Labels are draws: 50 rows drawn one by "
        "one from equal shares of ten classes have an L1 score of 0.18 on average. Corrected "
        'strategies balance the labels that will come (`labels="chances"`), at twice the knee: '
        "chosen on seeds 100 to 102, beside the knee itself, predictions taken for labels, and "
        "sharpened priors. Quotas by predicted class take three knees, of 2, 3, 4, 6 and 8. The "
        "coreset takes three, of 1 to 6, and a mix smoothed by two rows a class, of none to four "
        "(seeds 100 to 159): more balance it no better, and give up its cover. "
        "Entropy is the first model's, in nats a row: what balance costs. The first batch has "
        f"{' and '.join(first_cover(home, results, name) for name in COVERS)}."
    )
    return "\n".join([head, "", *lines])


def tested(values: dict[str, Any]) -> Any:
    """Return p of corrected against plain for each balanced strategy, by Holm's method."""
    return holm([float(paired_p(values[name], values[f"{name}-corrected"])) for name in BALANCED])


def redundancy_table(settings: dict[Any, Setting], found: dict[Any, Results], what: str) -> str:
    """Return AUC@50 by pool and strategy, and the test of their interaction."""
    seeds = sorted(set.intersection(*[set(results.seeds) for results in found.values()]))
    areas, repeats = [], {}
    for key, results in found.items():
        chosen = [results.seeds.index(seed) for seed in seeds]
        shares = results.table("share")[0, 0]
        curves = 100 * results.table("accuracy")[:, chosen]
        order = [results.strategies.index(name) for name in REDUNDANCY]
        areas.append(auc_at_budget(shares, curves)[order].T)
        repeats[key] = np.nanmean(results.table("redundancy")[order][:, chosen], axis=(1, 2))
    values = np.stack(areas)
    lines = [
        f"| {what} | {' | '.join(REDUNDANCY)} | k-center less entropy | p |",
        f"|---|{'---:|' * (len(REDUNDANCY) + 2)}",
    ]
    at = {name: k for k, name in enumerate(REDUNDANCY)}
    gains = values[:, :, at["k-center"]] - values[:, :, at["entropy"]]
    p = holm(paired_p(values[:, :, at["k-center"]], values[:, :, at["entropy"]]))
    for key, pool, gain, chance in zip(settings, values, gains, p, strict=True):
        cells = " | ".join(spread(pool[:, k], 2) for k in range(len(REDUNDANCY)))
        lines.append(f"| {key} | {cells} | {spread(gain, 2)} | {chance:.2g} |")
    test = interaction_test(values)
    batch = interaction_test(values[:, :, [at["entropy"], at["k-center"]]])
    lines += [
        "",
        f"Interaction of pool and strategy: F{test.degrees} = {test.f:.2f}, p = {test.p:.2g}, "
        f"partial η² {test.share:.2f}; of entropy and k-center alone: F{batch.degrees} = "
        f"{batch.f:.2f}, p = {batch.p:.2g}.",
        "",
        f"Near-duplicates among the chosen: {'; '.join(_shares(repeats))}.",
    ]
    head = f"{len(seeds)} seeds, {ROWS} rows, 10-10 budgets; AUC@50 of accuracy in percent."
    return "\n".join([head, "", *lines])


def _shares(repeats: dict[Any, Any]) -> Iterator[str]:
    """Yield what each strategy repeats on each pool."""
    for key, shares in repeats.items():
        pairs = zip(REDUNDANCY, shares, strict=True)
        yield f"{key}: " + ", ".join(f"{name} {share:.2f}" for name, share in pairs)


def tables(only: str | None, seeds: int, folder: Path, until: datetime | None) -> Iterator[Any]:
    """Run campaigns and yield tables under their titles."""
    if only in (None, "example"):
        yield ORDER[0], example_table(folder)
    if only in (None, "thinned"):
        found = [THINNED.run(thinned_digits(s), folder, s, until) for s in range(seeds)]
        results = joined(found, THINNED)
        if len(results.seeds) > 1:
            yield ORDER[1], thinned_table(results, folder)
    parts = (
        ("video", ORDER[2], IN_TIME, moving_digits, "X"),
        ("camvid", ORDER[3], DUPLICATED, camvid, "pool"),
    )
    for name, title, settings, make, what in parts:
        if only not in (None, name):
            continue
        runs: dict[Any, list[Results | None]] = {key: [] for key in settings}
        # Seed by seed, so that a run that is cut short has whole seeds.
        for seed in range(seeds):
            for key, setting in settings.items():
                runs[key].append(setting.run(make(key, seed), folder, seed, until))
        whole = {key: joined(runs[key], settings[key]) for key in settings}
        if min(len(results.seeds) for results in whole.values()) > 1:
            yield title, redundancy_table(settings, whole, what)


def main() -> None:
    """Run, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("example", "thinned", "video", "camvid"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("campaigns-benchmark"))
    parser.add_argument("--until", help="stop at 18:30, or after 50m")
    args = parser.parse_args()
    until = None if args.until is None else parse_until(args.until, datetime.now())
    made = dict(tables(args.only, args.seeds, args.folder, until))
    if not made:
        sys.exit("fewer than two seeds are finished; the same command goes on")
    write_tables(TITLE, SCRIPT, INTRO, ORDER, made)


if __name__ == "__main__":
    main()
