"""From a segmentation network to the regions to label next: street scenes, cut on a grid.

A small network of the U-Net kind learns from a few labeled images. It runs over the others whole;
regions get their mean entropy and the classes predicted in them, and the most uncertain regions
whose classes are balanced are chosen, at most three of an image.

Scenes are drawn by the script. Where the environment variable LABELCUT_DATA leads to a CamVid file
(``seg/camvid_train_180x240.npz`` with ``images``, ``labels``, ``names``), its video frames are
taken instead.

    python examples/segmentation/make.py --out segmentation-problem
    labelcut compare segmentation-problem/segmentation.toml
"""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from labelcut import ClassBalanced, GroupLimit, solve
from labelcut.models import class_histogram, score_regions
from labelcut.studies import plot_regions

NAMES = ("sky", "building", "road", "tree", "car", "pedestrian")
VOID = 255
BUDGET, EACH_IMAGE = 60, 3


def street(rng: np.random.Generator, height: int = 72, width: int = 96) -> tuple[np.ndarray, ...]:
    """Draw a street: sky, buildings and road, trees, cars, and here and there a pedestrian."""
    labels = np.zeros((height, width), dtype=np.uint8)
    horizon = int(height * rng.uniform(0.45, 0.6))
    left = 0
    while left < width:
        right = left + int(rng.integers(10, 30))
        labels[int(horizon * rng.uniform(0.15, 0.8)) : horizon, left:right] = 1
        left = right + int(rng.integers(0, 6))
    labels[horizon:] = 2
    rows, columns = np.mgrid[:height, :width]
    for _ in range(rng.integers(0, 4)):
        x, y, r = rng.integers(0, width), horizon - rng.integers(2, 10), rng.integers(5, 11)
        labels[(rows - y) ** 2 + (columns - x) ** 2 < r * r] = 3
    for kind, count in ((4, rng.integers(0, 4)), (5, rng.random() < 0.4)):
        for _ in range(count):
            base = int(rng.integers(horizon + 4, height))
            scale = 0.3 + (base - horizon) / (height - horizon)
            tall, wide = ((9, 16) if kind == 4 else (14, 4)) * np.array(scale)
            x = int(rng.integers(0, width))
            top, right = max(base - int(tall), 0), min(x + max(int(wide), 2), width)
            labels[top:base, x:right] = kind
    colours = np.array(
        [
            [130, 170, 220],
            [140, 110, 95],
            [95, 95, 100],
            [60, 110, 60],
            [160, 50, 50],
            [200, 160, 90],
        ]
    )
    colours = np.clip(colours + rng.normal(0, 25, colours.shape), 0, 255)
    pixels = colours[labels] * rng.uniform(0.6, 1.1) + rng.normal(0, 22, (height, width, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8), labels


def generated(seed: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Draw all scenes."""
    rng = np.random.default_rng(seed)
    images, labels = zip(*(street(rng) for _ in range(120)), strict=True)
    return np.stack(images), np.stack(labels), NAMES


def camvid(path: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Read every other CamVid frame; class 11 is unlabeled."""
    with np.load(path) as data:
        order = np.argsort(data["names"])[::2]
        images, labels = data["images"][order], data["labels"][order].copy()
    labels[labels >= 11] = VOID
    names = "sky building pole road pavement tree sign fence car pedestrian bicyclist"
    return images, labels, tuple(names.split())


class SmallUNet(nn.Module):
    """Two steps down, two up, with the finer maps carried across."""

    def __init__(self, classes: int, width: int = 12) -> None:
        super().__init__()
        self.fine = self._block(3, width)
        self.middle = self._block(width, 2 * width)
        self.coarse = self._block(2 * width, 4 * width)
        self.up = self._block(6 * width, 2 * width)
        self.top = self._block(3 * width, width)
        self.drop = nn.Dropout2d(0.1)
        self.classify = nn.Conv2d(width, classes, 1)

    @staticmethod
    def _block(come: int, leave: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(come, leave, 3, padding=1, bias=False), nn.BatchNorm2d(leave), nn.ReLU()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits ``(batch, classes, height, width)``."""
        fine = self.fine(x)
        middle = self.middle(nn.functional.max_pool2d(fine, 2))
        coarse = self.coarse(nn.functional.max_pool2d(middle, 2))
        up = self.up(torch.cat([_enlarged(coarse, middle), middle], dim=1))
        return self.classify(self.drop(self.top(torch.cat([_enlarged(up, fine), fine], dim=1))))


def _enlarged(coarse: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return nn.functional.interpolate(coarse, size=like.shape[2:], mode="nearest")


def train(images: torch.Tensor, labels: torch.Tensor, classes: int, steps: int) -> nn.Module:
    """Train on the labeled images, a few in every step."""
    model = SmallUNet(classes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    for _ in range(steps):
        some = torch.randint(len(images), (6,))
        loss = nn.functional.cross_entropy(model(images[some]), labels[some], ignore_index=VOID)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


def main() -> None:
    """Train, score regions, choose, and write the problem."""
    parser = argparse.ArgumentParser(description="Choose regions of street scenes to label.")
    parser.add_argument("--out", type=Path, default=Path("segmentation-problem"))
    parser.add_argument("--seed", type=int, default=0, help="seed of scenes and training")
    parser.add_argument("--steps", type=int, default=120, help="training steps")
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    file = Path(os.environ.get("LABELCUT_DATA", "")) / "seg" / "camvid_train_180x240.npz"
    found = "LABELCUT_DATA" in os.environ and file.is_file()
    images, labels, names = camvid(file) if found else generated(args.seed)
    region = (30, 40) if found else (12, 16)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - 0.5
    y = torch.from_numpy(labels.astype(np.int64))

    labeled = np.arange(0, len(x), 6)
    pool = np.delete(np.arange(len(x)), labeled)
    model = train(x[labeled], y[labeled], len(names), args.steps)
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
