"""Make a selection problem under hard constraints: 5,000 frames from 800 dash-cam videos.

The frames are made up, by seed. Of them 500 are to be labeled: at most 12 from any video, at least
300 at night, never two within 3 frames of each other or of a frame that is labeled already,
crowded ones cost three times as much with 6,000 units to spend in all, and 40 must be in. Two
problem files state it: the most useful such set, and one that is balanced over classes too.

    python examples/dashcam/make.py --out dashcam-problem
    labelcut compare dashcam-problem/dashcam.toml
"""

import argparse
import csv
from pathlib import Path

import numpy as np

FRAMES, VIDEOS = 5_000, 800
LABELED, INCLUDED = 400, 40
SPACING = 3
CLASSES = ("car", "truck", "bus", "pedestrian", "cyclist", "animal")
SHARES = np.array([0.52, 0.17, 0.11, 0.12, 0.06, 0.02])
NIGHT_SHARE, CROWDED_SHARE = 0.2, 0.3
PLAIN_COST, CROWDED_COST = 7.0, 21.0

CONSTRAINTS = """\
[[constraint]]
kind = "group-limit"
name = "video caps"
groups = "frames.csv#video"
at_most = 12

[[constraint]]
kind = "group-limit"
name = "night"
groups = "frames.csv#light"
at_least = { night = 300 }

[[constraint]]
kind = "spacing"
sequence = "frames.csv#video"
position = "frames.csv#frame"
exclude_within = 3

[[constraint]]
kind = "cost"
name = "money"
costs = "frames.csv#cost"
limit = 6000

[[constraint]]
kind = "include"
rows = { ids = "wanted.txt" }
"""

DATA = """\
[data]
utility = "frames.csv#utility"
labeled = { ids = "labeled.txt" }
ids = "frames.csv#id"
"""

USEFUL = f"""\
labelcut = 1

[problem]
kind = "budgeted"
budget = 500

{DATA}
{CONSTRAINTS}"""

BALANCED = f"""\
labelcut = 1

[problem]
kind = "class-balanced"
budget = 500
balance = 1.0
target = "fill"

{DATA}probs = "probs.npy"
labeled_classes = "labeled_classes.npy"
truth = "truth.npy"

{CONSTRAINTS}"""


def main() -> None:
    """Write the frames and two problem files."""
    parser = argparse.ArgumentParser(description="Make a dash-cam problem.")
    parser.add_argument("--out", type=Path, default=Path("dashcam-problem"), help="folder to write")
    parser.add_argument("--seed", type=int, default=0, help="seed of the frames")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)

    video, frame = film(rng)
    night = rng.random(VIDEOS)[video] < NIGHT_SHARE
    crowded = rng.random(FRAMES) < CROWDED_SHARE
    truth = np.where(rng.random(FRAMES) < 0.6, rng.choice(6, VIDEOS, p=SHARES)[video], -1)
    truth = np.where(truth < 0, rng.choice(6, FRAMES, p=SHARES), truth)
    probs = predict(truth, night, rng)
    utility = -(probs * np.log(probs)).sum(axis=1) * np.where(crowded, 1.6, 1.0)
    cost = np.where(crowded, CROWDED_COST, PLAIN_COST)
    labeled = np.sort(rng.choice(FRAMES, LABELED, replace=False))
    wanted = apart(rng.permutation(np.setdiff1d(np.arange(FRAMES), labeled)), labeled, video, frame)

    if not args.out.exists():
        args.out.mkdir(parents=True)
        (args.out / ".gitignore").write_text("*\n")  # what a script can make again stays out of git
    ids = [f"v{v:03d}-{f:04d}" for v, f in zip(video, frame, strict=True)]
    with (args.out / "frames.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "video", "frame", "light", "cost", "utility"])
        light = np.where(night, "night", "day")
        names = [f"v{v:03d}" for v in video]
        writer.writerows(zip(ids, names, frame, light, cost, np.round(utility, 6), strict=True))
    np.save(args.out / "probs.npy", probs.astype(np.float32))
    np.save(args.out / "truth.npy", truth)
    np.save(args.out / "labeled_classes.npy", truth[labeled])
    (args.out / "labeled.txt").write_text("".join(f"{ids[row]}\n" for row in labeled))
    (args.out / "wanted.txt").write_text("".join(f"{ids[row]}\n" for row in wanted))
    (args.out / "dashcam.toml").write_text(USEFUL)
    (args.out / "balanced.toml").write_text(BALANCED)

    print(f"{FRAMES:,} frames of {VIDEOS} videos, {night.sum():,} at night, {LABELED} labeled")
    print(f"wrote frames.csv, probs.npy, dashcam.toml, balanced.toml and more: {args.out}")
    print(f"next: labelcut compare {args.out / 'dashcam.toml'}")


def film(rng):
    """Return each frame's video and number: a few long videos and many short ones, sampled."""
    lengths = 1 + rng.multinomial(FRAMES - VIDEOS, rng.dirichlet(np.full(VIDEOS, 0.2)))
    video = np.repeat(np.arange(VIDEOS), lengths)
    steps = rng.integers(1, 7, FRAMES)
    starts = np.cumsum(lengths) - lengths
    since = np.cumsum(steps)
    return video, since - np.repeat(since[starts], lengths)


def predict(truth, night, rng):
    """Return class probabilities of a model that is less sure at night."""
    logits = rng.normal(0, 1, (FRAMES, 6)) + np.log(SHARES)
    logits[np.arange(FRAMES), truth] += np.where(night, 1.6, 2.4)
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    return probs / probs.sum(axis=1, keepdims=True)


def apart(order, labeled, video, frame):
    """Return the first frames of an order that keep the spacing and lie in different videos."""
    near = {
        (video[row], frame[row] + step) for row in labeled for step in range(-SPACING, SPACING + 1)
    }
    wanted: dict[int, int] = {}
    for row in order:
        if (video[row], frame[row]) not in near and video[row] not in wanted:
            wanted[video[row]] = int(row)
        if len(wanted) == INCLUDED:
            break
    return sorted(wanted.values())


if __name__ == "__main__":
    main()
