"""Video: which optical flow follows objects best, told by true objects, and what a cut makes of it.

Run as `LABELCUT_DATA=... python benchmarks/video_flow.py`.
"""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from _results import write_section

import labelcut
from labelcut.models import compute_flow, offsets_within, track_flow
from labelcut.models.optical_flow import PRESETS
from labelcut.models.trackers import MEETING
from labelcut.problems import Detections, TemporalCoherence, find_errors, read_mot
from labelcut.problems.boxes import iou

SEQUENCES = ("TUD-Campus", "PETS09-S3MF1")
HEIGHTS: dict[str, int] = {"200": 200, "300": 300, "all": 1 << 20}
HEAD = """\
| sequence | preset | rows | boxes move by | IoU | above 0.5 | FP precision | recall \
| FN precision | recall | flow s |
|---|---|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    """Measure every preset, height and movement on every sequence."""
    folder = Path(os.environ["LABELCUT_DATA"]) / "mot"
    lines = [line for name in SEQUENCES for line in _measured(folder / name)]
    body = f"""\
True boxes are carried by the flow to the frames up to three before and after; *IoU* is their mean
overlap with the true box of the same person there, *above 0.5* the share that a link of the graph
would take. It asks nothing of detector or cut. Beside it what the cut at unit costs (`paper`) finds
with that flow: precision and recall of FPs and FNs, right ones of all in brackets. *flow s* is
processor time of one thread for all frames, both directions.

{HEAD}
{chr(10).join(lines)}
"""
    write_section("Video: which flow follows objects", "benchmarks/video_flow.py", body)


def _measured(folder: Path) -> list[str]:
    """Return a line of the table for each setting."""
    detections, truth = read_mot(folder), read_mot(folder, truth=True)
    person = np.loadtxt(folder / "gt.txt", delimiter=",")[:, 1].astype(np.int64)
    lines = []
    for preset in PRESETS:
        for rows, height in HEIGHTS.items():
            start = time.process_time()
            flow = compute_flow(detections.videos[0].images, preset=preset, height=height)
            seconds = time.process_time() - start
            for at in MEETING:
                followed = _followed(truth, person, _carried(truth, flow, at))
                found = _found(detections, truth, _carried(detections, flow, at))
                lines.append(
                    f"| {folder.name} | {preset} | {rows} | {at} | {followed.mean():.3f} | "
                    f"{(followed > 0.5).mean():.3f} | {found} | {seconds:.1f} |"
                )
    return lines


def _carried(table: Detections, flow: Any, at: str) -> Any:
    return track_flow(table.boxes, table.video, table.frame, table.lengths, [flow], at=at)


def _followed(truth: Detections, person: Any, tracked: Any) -> Any:
    """Return the overlap of each carried box with its own person's, where that is in the video."""
    places = zip(person.tolist(), truth.frame.tolist(), strict=True)
    row = {place: number for number, place in enumerate(places)}
    shares = []
    for at, offset in enumerate(offsets_within()):
        there = [(row.get((who, frame + offset), -1), own) for (who, frame), own in row.items()]
        true, own = np.array([pair for pair in there if pair[0] >= 0]).T
        shares.append(iou(tracked[own, at], truth.boxes[true]))
    return np.concatenate(shares)


def _found(detections: Detections, truth: Detections, tracked: Any) -> str:
    """Return precision and recall of FPs and FNs at unit costs."""
    problem = TemporalCoherence(detections, tracked, offsets_within())
    errors = find_errors(detections, truth, problem.graph)
    answer = labelcut.solve(problem, options={"certificate": False})
    parts = []
    for told, real in (
        (answer.types == "FP", errors.false_positive),
        (answer.candidate_types == "FN", errors.false_negative),
    ):
        both = int((told & real).sum())
        parts.append(f"{both / told.sum():.3f} ({both} of {told.sum()}) | {both / real.sum():.3f}")
    return " | ".join(parts)


if __name__ == "__main__":
    main()
