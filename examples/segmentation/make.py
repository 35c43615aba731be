"""From a segmentation network to the regions to label next: street scenes, cut on a grid.

A small network of the U-Net kind learns from a few labeled images. It runs over the others whole;
regions get their mean entropy and the classes predicted in them, and the most uncertain regions
whose classes are balanced are chosen, at most three of an image.

Scenes are drawn. Where the environment variable LABELCUT_DATA leads to a CamVid file
(``seg/camvid_train_180x240.npz`` with ``images``, ``labels``, ``names``), every other of its video
frames is taken instead.

    python examples/segmentation/make.py --out segmentation-problem
    labelcut compare segmentation-problem/segmentation.toml
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from labelcut import ClassBalanced, GroupLimit, solve
from labelcut.models import class_histogram, score_regions
from labelcut.models.segmenters import SmallUNet, train_segmenter
from labelcut.studies import plot_regions
from labelcut.studies.policies.scenes import VOID, camvid_file, read_camvid, street_scenes

BUDGET, EACH_IMAGE = 60, 3


def main() -> None:
    """Train, score regions, choose, and write the problem."""
    parser = argparse.ArgumentParser(description="Choose regions of street scenes to label.")
    parser.add_argument("--out", type=Path, default=Path("segmentation-problem"))
    parser.add_argument("--seed", type=int, default=0, help="seed of scenes and training")
    parser.add_argument("--steps", type=int, default=120, help="training steps")
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    found = camvid_file() is not None
    scenes = (
        read_camvid().take(slice(None, None, 2)) if found else street_scenes(120, seed=args.seed)
    )
    region = (30, 40) if found else (12, 16)
    images, labels, names = scenes.images, scenes.labels, scenes.names
    x, y = scenes.tensors()

    labeled = np.arange(0, len(x), 6)
    pool = np.delete(np.arange(len(x)), labeled)
    model = SmallUNet(len(names))
    train_segmenter(model, x[labeled], y[labeled], steps=args.steps)
    regions = score_regions(model, DataLoader(TensorDataset(x[pool]), batch_size=4), region)
    model.eval()
    with torch.inference_mode():
        right = [(model(x[[i]]).argmax(1) == y[i])[0][y[i] != VOID] for i in pool[::7]]
    print(f"{'CamVid' if found else 'drawn'}: {len(labeled)} labeled images of {len(x)}")
    print(f"{torch.cat(right).float().mean():.1%} of the pixels of other images are right")

    table = {**regions.table, "image": pool[regions.image]}
    problem = ClassBalanced(
        regions.histogram,
        regions.entropy.mean,
        budget=BUDGET,
        balance=3.0,
        target=np.full(len(names), BUDGET / len(names)),
        constraints=[GroupLimit(table["image"], at_most=EACH_IMAGE)],
        table=table,
    )
    solution = solve(problem, time_limit=5)
    print(solution.summary())

    if not args.out.exists():
        args.out.mkdir(parents=True)
        (args.out / ".gitignore").write_text("*\n")  # what a script can make again stays out of git
    problem.save(args.out / "segmentation.toml")
    solution.save(args.out / "segmentation.selection.json")
    plot_regions(solution.indices, table, lambda image: images[image], args.out / "regions.png")

    every = np.arange(len(regions.image))
    random = np.random.default_rng(args.seed).choice(every, BUDGET, replace=False)
    top = np.argsort(-regions.entropy.mean, kind="stable")[:BUDGET]
    print("true share of each class in the regions, in %:")
    print(f"{'':9}{' '.join(f'{name[:8]:>8}' for name in names)}")
    for choice, rows in (("chosen", solution.indices), ("top", top), ("random", random)):
        cut = [_region(labels, table, row) for row in rows]
        shares = class_histogram(np.concatenate(cut)[None], len(names))[0]
        print(f"{choice:9}{' '.join(f'{100 * share:8.1f}' for share in shares)}")
    print(f"wrote segmentation.toml, segmentation.selection.json, regions.png: {args.out}")
    print(f"next: labelcut compare {args.out / 'segmentation.toml'}")


def _region(labels: np.ndarray, table: dict[str, np.ndarray], row: int) -> np.ndarray:
    image, top, left, height, width = (
        int(table[name][row]) for name in ("image", "top", "left", "height", "width")
    )
    return labels[image, top : top + height, left : left + width].ravel()


if __name__ == "__main__":
    main()
