"""From a detector to the images to label next: shapes, found by a small network.

A detector of a few layers learns from a few labeled images where circles, squares and triangles
are. Its boxes, with class scores and features, become one vector for each image: for every class
the most uncertain box (uncertainty-weighted embeddings), and k-center chooses images that leave no
other far from them.

    python examples/detection/make.py --out detection-problem
    labelcut compare detection-problem/detection.toml
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

from labelcut import KCenter, solve
from labelcut.models import detection_embeddings, frame_scores

NAMES = ("circle", "square", "triangle")
SIDE, CELL = 64, 8
GRID = SIDE // CELL
IMAGES, LABELED, BUDGET = 500, 100, 20


def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw up to four shapes on noise; return pixels and boxes (class, x, y, half a side)."""
    pixels = rng.normal(0.4, 0.12, (SIDE, SIDE)).astype(np.float32)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    shapes = []
    for _ in range(rng.integers(0, 5)):
        kind = int(rng.choice(len(NAMES), p=[0.55, 0.35, 0.1]))
        r = int(rng.integers(4, 9))
        x, y = rng.integers(r, SIDE - r, 2)
        if any(max(abs(x - a), abs(y - b)) < r + s + 2 for _, a, b, s in shapes):
            continue
        dx, dy = abs(columns - x), rows - y
        inside = (
            dx**2 + dy**2 <= r * r,
            (dx <= r) & (abs(dy) <= r),
            (abs(dy) <= r) & (2 * dx <= r + dy),
        )[kind]
        pixels[inside] += rng.uniform(0.15, 0.5)
        shapes.append((kind, x, y, r))
    return pixels, np.array(shapes, dtype=np.float32).reshape(-1, 4)


class Detector(nn.Module):
    """A class (or none) and a box for each cell of a grid."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for come, leave in ((1, 16), (16, 32), (32, 48)):
            layers += [nn.Conv2d(come, leave, 3, padding=1), nn.BatchNorm2d(leave), nn.ReLU()]
            layers += [nn.MaxPool2d(2)]
        self.backbone = nn.Sequential(*layers, nn.Conv2d(48, 48, 3, padding=1), nn.ReLU())
        self.classify = nn.Conv2d(48, len(NAMES) + 1, 1)
        self.locate = nn.Conv2d(48, 3, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return class logits, boxes and features, cell by cell ``(batch, cells, ...)``."""
        f = self.backbone(x)
        maps = (self.classify(f), self.locate(f), f)
        return tuple(m.flatten(2).transpose(1, 2) for m in maps)  # type: ignore[return-value]


def targets(boxes: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the class and the box of every cell; a shape belongs to the cell of its centre."""
    classes = torch.full((len(boxes), GRID * GRID), len(NAMES))
    places = torch.zeros(len(boxes), GRID * GRID, 3)
    for image, shapes in enumerate(boxes):
        for kind, x, y, r in shapes:
            cell = int(y // CELL) * GRID + int(x // CELL)
            classes[image, cell] = int(kind)
            places[image, cell] = torch.tensor([x % CELL, y % CELL, r]) / CELL
    return classes, places


def train(images: torch.Tensor, boxes: list[np.ndarray], steps: int) -> Detector:
    """Train on the labeled images, some in every step."""
    model, (classes, places) = Detector(), targets(boxes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        some = torch.randint(len(images), (24,))
        logits, found, _ = model(images[some])
        wanted, is_shape = classes[some], classes[some] < len(NAMES)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())
        if is_shape.any():
            loss = loss + (found[is_shape] - places[some][is_shape]).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def detect(model: Detector, images: torch.Tensor) -> tuple[np.ndarray, ...]:
    """Return class probabilities, features and image of every box found, all images together."""
    model.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), 100):
            logits, _, features = model(images[start : start + 100])
            probs = logits.softmax(2)
            image, cell = (probs[..., -1] < 0.6).nonzero(as_tuple=True)
            parts.append((probs[image, cell], features[image, cell], image + start))
    return tuple(torch.cat(part).numpy() for part in zip(*parts, strict=True))


def main() -> None:
    """Train, detect, choose, and write the problem."""
    parser = argparse.ArgumentParser(description="Choose images of shapes to label.")
    parser.add_argument("--out", type=Path, default=Path("detection-problem"))
    parser.add_argument("--seed", type=int, default=0, help="seed of images and training")
    parser.add_argument("--steps", type=int, default=300, help="training steps")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    drawn = [draw(rng) for _ in range(IMAGES)]
    images = torch.from_numpy(np.stack([pixels for pixels, _ in drawn]))[:, None]
    boxes = [shapes for _, shapes in drawn]
    labeled = np.arange(LABELED)
    model = train(images[labeled], [boxes[row] for row in labeled], args.steps)

    probs, features, image = detect(model, images)
    foreground = probs[:, :-1] / probs[:, :-1].sum(axis=1, keepdims=True)
    embeddings = detection_embeddings(foreground, features, image, IMAGES)
    found = np.bincount(image, minlength=IMAGES)
    right = found[LABELED:] == [len(shapes) for shapes in boxes[LABELED:]]
    print(f"{len(image)} boxes in {IMAGES} images; their number is right in {right.mean():.1%}")

    problem = KCenter(embeddings, BUDGET, labeled=labeled, table={"boxes": found})
    solution = solve(problem, "greedy")
    print(solution.summary())
    if not args.out.exists():
        args.out.mkdir(parents=True)
        (args.out / ".gitignore").write_text("*\n")  # what a script can make again stays out of git
    problem.save(args.out / "detection.toml")
    solution.save(args.out / "detection.selection.json")
    np.save(args.out / "entropy.npy", frame_scores(foreground, image, IMAGES, "entropy"))

    for name, rows in (
        ("chosen", solution.indices),
        ("random", rng.choice(np.arange(LABELED, IMAGES), BUDGET, replace=False)),
    ):
        kinds = np.concatenate([boxes[row][:, 0] for row in rows]).astype(int)
        told = ", ".join(
            f"{count} {kind}s"
            for kind, count in zip(NAMES, np.bincount(kinds, minlength=len(NAMES)), strict=True)
        )
        print(f"{name} images hold {told}")
    print(f"wrote detection.toml, detection.selection.json, entropy.npy: {args.out}")
    print(f"next: labelcut compare {args.out / 'detection.toml'}")


if __name__ == "__main__":
    main()
