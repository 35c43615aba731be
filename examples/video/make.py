"""Make a video problem: drives through a made-up road world, with pictures, and a flawed detector.

Objects are textured rectangles on noise, which is enough for optical flow. Detections go into a
COCO results file, pictures into a folder for each drive, and a problem file asks for the frames in
which the detector made the most mistakes.

    python examples/video/make.py --out video-problem
    labelcut solve video-problem/video.toml --draw video-problem/pictures
    labelcut compare video-problem/video.toml

On a MOTChallenge folder the same commands work with `detections = "that/folder"` in the file.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from labelcut.problems.road_world import SIZE, TRAINING, road_world

PROBLEM = """\
labelcut = 1

[problem]
kind = "temporal-coherence"
weights = "weighted"                  # or "paper": unit costs

[data]
layout = "coco"
detections = "detections.json"
images = "images.json"
truth = "images.json"                 # for reports only

[tracker]
kind = "flow"
height = 240
cache = "flow"

[frames]
budget = {budget}
utility = "mixed"                     # or "fp" as in the thesis, "fn", "both", "soft"
spacing = 3
"""


def texture(rng, height, width, grain):
    """Return colored noise that is smooth over a few pixels."""
    import cv2

    small = rng.uniform(0, 255, (max(height // grain, 2), max(width // grain, 2), 3))
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255)


def draw(world, video, folder, seed):
    """Write the pictures of one drive, far objects first."""
    import cv2

    rng = np.random.default_rng([seed, video])
    background = texture(rng, SIZE[1], SIZE[0], 8) * 0.5
    own = world.objects["video"] == video
    objects = {name: values[own] for name, values in world.objects.items()}
    looks = {int(at): texture(rng, 96, 96, 12) * 0.6 + 90 for at in np.unique(objects["object"])}
    for frame in range(world.truth.videos[video].length):
        picture = background.copy()
        here = np.flatnonzero(objects["frame"] == frame)
        for at in here[np.argsort(-objects["depth"][here])]:
            left, top, width, height = np.rint(objects["box"][at]).astype(int)
            look = cv2.resize(looks[int(objects["object"][at])], (width, height))
            x, y = max(left, 0), max(top, 0)
            right, bottom = min(left + width, SIZE[0]), min(top + height, SIZE[1])
            if x < right and y < bottom:
                picture[y:bottom, x:right] = look[y - top : bottom - top, x - left : right - left]
        picture += rng.normal(0, 4, picture.shape)
        cv2.imwrite(str(folder / f"{frame:04d}.jpg"), picture.clip(0, 255).astype(np.uint8))


def main() -> None:
    """Write pictures, detections, truth and the problem."""
    parser = argparse.ArgumentParser(description="Make a video problem of a made-up road world.")
    parser.add_argument("--out", type=Path, default=Path("video-problem"), help="folder to write")
    parser.add_argument("--drives", type=int, default=2, help="how many drives")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a drive")
    parser.add_argument("--seed", type=int, default=0, help="seed of the world")
    args = parser.parse_args()

    span = (args.seconds, args.seconds)
    subset = [TRAINING[0]]
    scale = args.drives / subset[0].sequences
    world = road_world(scale, subsets=subset, seconds=span, seed=args.seed)
    if not args.out.exists():
        args.out.mkdir(parents=True)
        (args.out / ".gitignore").write_text("*\n")  # what a script can make again stays out of git

    images, places = [], {}
    for at, video in enumerate(world.detections.videos):
        (args.out / video.name).mkdir(exist_ok=True)
        draw(world, at, args.out / video.name, args.seed)
        for frame in range(video.length):
            places[at, frame] = len(images)
            size = {"width": SIZE[0], "height": SIZE[1]}
            file = f"{video.name}/{frame:04d}.jpg"
            images.append({"id": len(images), "file_name": file, **size})

    def entries(table):
        return [
            {
                "image_id": places[int(table.video[row]), int(table.frame[row])],
                "category_id": int(table.label[row]),
                "bbox": [round(float(side), 2) for side in table.boxes[row]],
                "score": round(float(table.score[row]), 4),
            }
            for row in range(len(table))
        ]

    categories = [{"id": at, "name": name} for at, name in enumerate(world.truth.classes)]
    listed = {"images": images, "categories": categories, "annotations": entries(world.truth)}
    (args.out / "images.json").write_text(json.dumps(listed))
    (args.out / "detections.json").write_text(json.dumps(entries(world.detections)))
    budget = max(world.detections.n_frames // 20, 1)
    (args.out / "video.toml").write_text(PROBLEM.format(budget=budget))

    print(f"{len(world.detections.videos)} drives, {world.detections.n_frames} frames")
    print(f"{len(world.detections)} detections of {len(world.truth)} objects")
    print(f"next: labelcut solve {args.out / 'video.toml'} --draw {args.out / 'pictures'}")


if __name__ == "__main__":
    main()
