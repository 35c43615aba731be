"""Video: how well mistakes are found on real sequences, and how fast at a million detections.

    LABELCUT_DATA=... python benchmarks/video.py [quality] [certain] [speed]

Quality is measured on the MOTChallenge sequences below LABELCUT_DATA; nothing is drawn at random
but ties. Speed runs each size in a process of its own on one thread.
"""

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _results import in_child, write_section

import labelcut
from labelcut.models import compute_flow, offsets_within, track_flow, track_static
from labelcut.problems import (
    TemporalCoherence,
    count_utility,
    find_errors,
    make_detections,
    read_mot,
    soft_utility,
    summed_utility,
)
from labelcut.problems.detection_columns import score_rank
from labelcut.problems.video_files import Framing
from labelcut.solvers import sweep_trust
from labelcut.studies.video import choose_frames, frame_utility

SEQUENCES = ("TUD-Campus", "PETS09-S3MF1")
SIZES = ((20_000, 10), (200_000, 100), (1_000_000, 500))
LOOP_SIZE = (5_000, 5)
SEEDS = 20
HEAD = """\
| sequence | boxes move by | weights | FP precision | recall | base | FN precision | recall | base \
| AUC | of the score |
|---|---|---|---|---|---|---|---|---|---|---|"""
FRAMES_A_VIDEO, MOVING = 200, 10


def main() -> None:
    """Measure what is asked for, or all."""
    asked = sys.argv[1:] or ["quality", "certain", "speed"]
    if "quality" in asked:
        quality()
    if "certain" in asked:
        certain()
    if "speed" in asked:
        speed()


def quality() -> None:
    """Write precision, recall, rankings and chosen frames on real sequences."""
    folder = Path(os.environ["LABELCUT_DATA"]) / "mot"
    labels, frames, flows = [], [], []
    for name in SEQUENCES:
        detections, truth = read_mot(folder / name), read_mot(folder / name, truth=True)
        with tempfile.TemporaryDirectory() as cache:
            seconds, read = [], None
            for _ in range(2):
                start = time.perf_counter()
                read = compute_flow(detections.videos[0].images, cache=cache)
                seconds.append(time.perf_counter() - start)
            flows.append(f"| {name} | {len(read.flow) + 1} | {seconds[0]:.1f} | {seconds[1]:.3f} |")
            for at in ("center", "middle", "static"):
                tracked = _tracked(detections, read, at)
                for weights in ("paper", "weighted") if at == "center" else ("paper",):
                    problem = TemporalCoherence(
                        detections, tracked, offsets_within(), weights=weights
                    )
                    row, found = _measured(problem, truth)
                    labels.append(f"| {name} | {at} | {weights} | {row} |")
                    if at == "center":
                        frames.extend(f"| {name} | {weights} {line} |" for line in found)
    body = f"""\
Precision and recall of what a cut calls false (FP) and missed (FN), against the truth at IoU 0.5;
the base rate is the share of all detections, or candidates, that are. AUC ranks FPs by the level of
trust at which they flip; the score alone ranks them with the AUC beside it.

{HEAD}
{chr(10).join(labels)}

Frames: rank correlation of a utility with the true FP + FN of each frame, and the share of all true
mistakes in a tenth of the frames, chosen exactly under spacing 3 (mean of {SEEDS} seeds for ties).
The weights were tuned on these two sequences.

| sequence | utility | correlation | share of mistakes |
|---|---|---|---|
{chr(10).join(frames)}

Optical flow (DIS ultrafast at 300 rows, both directions), computed and read again:

| sequence | frames | s | s from the cache |
|---|---|---|---|
{chr(10).join(flows)}
"""
    write_section("Video: mistakes found", "benchmarks/video.py quality", body)


def certain() -> None:
    """Write what certain and possible mistakes are worth: both ends of the range of optima."""
    folder = Path(os.environ["LABELCUT_DATA"]) / "mot"
    lines = []
    for name in SEQUENCES:
        detections, truth = read_mot(folder / name), read_mot(folder / name, truth=True)
        flow = compute_flow(detections.videos[0].images)
        problem = TemporalCoherence(
            detections, _tracked(detections, flow, "center"), offsets_within()
        )
        errors = find_errors(detections, truth, problem.graph)
        answer = labelcut.solve(problem)
        assert answer.certain is not None
        assert answer.candidate_certain is not None
        for kind, own, sure, real in (
            ("FP", answer.types == "FP", answer.certain, errors.false_positive),
            ("FN", answer.candidate_types == "FN", answer.candidate_certain, errors.false_negative),
        ):
            for which, told in (("certain", own & sure), ("possible", own | ~sure)):
                both = int((told & real).sum())
                lines.append(
                    f"| {name} | {kind} | {which} | {both} of {told.sum()} | "
                    f"{both / told.sum():.3f} | {both / real.sum():.3f} |"
                )
    body = f"""\
Unit costs (`paper`), boxes moved by the flow at their center. *Certain* mistakes are such in every
labeling of least energy, *possible* ones in some. The preset returns the largest optimal set of
objects: its FPs are the certain ones, its FNs the possible ones.

| sequence | mistakes | which | right | precision | recall |
|---|---|---|---|---|---|
{chr(10).join(lines)}
"""
    write_section("Video: certain and possible mistakes", "benchmarks/video.py certain", body)


def _tracked(detections: Any, flow: Any, at: str) -> Any:
    table = (detections.boxes, detections.video, detections.frame, detections.lengths)
    return track_static(*table) if at == "static" else track_flow(*table, [flow], at=at)


def _measured(problem: TemporalCoherence, truth: Any) -> tuple[str, list[str]]:
    errors = find_errors(problem.detections, truth, problem.graph)
    answer = labelcut.solve(problem)
    sweep = sweep_trust(problem)
    false, missed = answer.types == "FP", answer.candidate_types == "FN"
    real_false, real_missed = errors.false_positive, errors.false_negative
    numbers = [
        real_false[false].mean(),
        false[real_false].mean(),
        real_false.mean(),
        real_missed[missed].mean(),
        missed[real_missed].mean(),
        real_missed.mean(),
        _auc(sweep.false_positive(), real_false),
        _auc(-problem.detections.score, real_false),
    ]
    real = (errors.fp + errors.fn).astype(float)
    soft = soft_utility(problem, sweep.false_positive(), sweep.false_negative())
    utilities = {
        "FP count": count_utility(answer, "fp"),
        "FP + FN count": count_utility(answer, "both"),
        "soft counts": soft,
        "mixed": frame_utility(problem, answer, "mixed"),
        "(summed low scores)": summed_utility(problem.detections, 1 - problem.detections.score),
        "(number of detections)": summed_utility(problem.detections, false * 0 + 1.0),
        "(random)": np.zeros(len(real)),
        "(truth)": real,
    }
    lines = [
        f"{name} | {_correlation(utility, real)} | {_share(problem, utility, real):.3f}"
        for name, utility in utilities.items()
    ]
    return " | ".join(f"{number:.3f}" for number in numbers), lines


def _auc(ranking: Any, true: Any) -> float:
    rank = score_rank(np.asarray(ranking, dtype=float)) * len(ranking) + 0.5
    positives = int(true.sum())
    smaller = rank[true].sum() - positives * (positives + 1) / 2
    return float(smaller / (positives * (len(true) - positives)))


def _correlation(one: Any, other: Any) -> str:
    if np.ptp(one) == 0:
        return "-"
    return f"{np.corrcoef(score_rank(one), score_rank(other))[0, 1]:.3f}"


def _share(problem: TemporalCoherence, utility: Any, real: Any) -> float:
    framing = Framing(budget=max(round(0.1 * len(real)), 1))
    chosen = [choose_frames(problem, utility, framing, seed=seed) for seed in range(SEEDS)]
    return float(np.mean([real[found.indices].sum() for found in chosen]) / real.sum())


def speed() -> None:
    """Write seconds and memory of each stage, and of a plain loop with networkx."""
    rows = []
    for size, videos in SIZES:
        told = in_child(
            __file__, {"size": size, "videos": videos}, environment={"OMP_NUM_THREADS": "1"}
        )
        stages = " | ".join(f"{told[name]:.2f}" for name in ("graph", "cuts", "flow", "sweep"))
        rows.append(
            f"| {size:,} | {videos} | {stages} | {told['graph'] + told['cuts']:.1f} | "
            f"{told['wall']:.1f} | {told['megabytes']:,.0f} |"
        )
    loop = in_child(__file__, {"size": LOOP_SIZE[0], "videos": LOOP_SIZE[1], "loop": True})
    body = f"""\
Made-up videos of {FRAMES_A_VIDEO} frames with {MOVING} objects that move, flicker and leave gaps.
*graph*: links and candidates from tracked boxes, K = 3. *cuts*: both extreme minimum cuts
(PyMaxflow). *flow*: the certificate on top of them (OR-tools). *sweep*: 33 levels of trust.
Seconds are processor time of one thread; *wall* is what *graph* and *cuts* took by the clock, on a
machine that others used. MB is the peak of the process, with the input.

| detections | videos | graph s | cuts s | flow s | sweep s | graph + cuts s | wall s | MB |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

At {LOOP_SIZE[0]:,} detections of {LOOP_SIZE[1]} videos, a Python loop over pairs of boxes with a
networkx minimum cut takes {loop["loop"]:.1f} s, labelcut {loop["graph"] + loop["cuts"]:.2f} s,
for the same energy ({loop["energy"]:.0f}).
"""
    write_section("Video: speed", "benchmarks/video.py speed", body)


def child(request: dict[str, Any]) -> dict[str, Any]:
    """Measure one size."""
    boxes, tracked, video, frame, score = _instance(request["size"], request["videos"])
    detections = make_detections(boxes, score, frame, video=video)
    told: dict[str, Any] = {}
    begin = time.perf_counter()
    problem = _timed(
        told, "graph", lambda: TemporalCoherence(detections, tracked, offsets_within())
    )
    answer = _timed(told, "cuts", lambda: labelcut.solve(problem, options={"certificate": False}))
    told["wall"] = time.perf_counter() - begin
    proven = _timed(told, "flow", lambda: labelcut.solve(problem))
    told["flow"] -= told["cuts"]
    assert proven.objective == proven.bound == answer.objective
    _timed(told, "sweep", lambda: sweep_trust(problem))
    told["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    told["energy"] = answer.objective
    if request.get("loop"):
        energy = _timed(told, "loop", lambda: _loop(boxes, tracked, video, frame))
        assert energy == answer.objective, (energy, answer.objective)
    return told


def _timed(told: dict[str, Any], name: str, run: Any) -> Any:
    """Run something and note its seconds of processor time."""
    start = time.process_time()
    found = run()
    told[name] = time.process_time() - start
    return found


def _instance(size: int, videos: int) -> tuple[Any, ...]:
    """Return boxes ``(size, 4)`` of moving objects, some of which are missing, with alarms."""
    rng = np.random.default_rng(0)
    shape = (videos, FRAMES_A_VIDEO, MOVING, 2)
    start = rng.uniform(0, 1500, (videos, 1, MOVING, 2))
    speed_ = rng.normal(0, 2, (videos, 1, MOVING, 2))
    corner = start + speed_ * np.arange(FRAMES_A_VIDEO)[:, None, None] + rng.normal(0, 1.5, shape)
    sides = np.broadcast_to(rng.uniform(30, 100, (videos, 1, MOVING, 2)), shape)
    # A tenth are false alarms: anywhere, and the tracker finds nothing there again.
    alarm = rng.random(shape[:3]) < 0.1
    corner = np.where(alarm[..., None], rng.uniform(0, 1500, shape), corner)
    boxes = np.concatenate([corner, sides], axis=3).reshape(-1, 4)
    motion = np.broadcast_to(speed_, shape).reshape(-1, 2)
    video = np.repeat(np.arange(videos), FRAMES_A_VIDEO * MOVING)
    frame = np.tile(np.repeat(np.arange(FRAMES_A_VIDEO), MOVING), videos)
    tracked = np.repeat(boxes[:, None], 6, axis=1)
    for at, offset in enumerate(offsets_within()):
        tracked[:, at, :2] += offset * motion + rng.normal(0, 1.5, motion.shape)
    kept = np.sort(rng.permutation(len(boxes))[:size])
    score = rng.random(len(kept))
    return boxes[kept], tracked[kept], video[kept], frame[kept], score


def _loop(boxes: Any, tracked: Any, video: Any, frame: Any) -> int:
    """Return the least energy, pair by pair in Python, with a networkx cut."""
    import networkx

    def overlap(one: Any, other: Any) -> float:
        wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
        high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
        if wide <= 0 or high <= 0:
            return 0.0
        return wide * high / (one[2] * one[3] + other[2] * other[3] - wide * high)

    def chains(members: list[Any]) -> list[Any]:
        near = networkx.Graph()
        near.add_nodes_from(range(len(members)))
        for one in range(len(members)):
            for other in range(one):
                if overlap(members[one][1], members[other][1]) > 0.5:
                    near.add_edge(one, other)
        return [[members[at] for at in part] for part in networkx.connected_components(near)]

    def clusters(members: list[Any]) -> Any:
        parts = chains(members)
        while parts:
            own = parts.pop()
            mean = np.mean([box for _, box in own], axis=0)
            shares = [overlap(box, mean) for _, box in own]
            gone = [share <= 0.5 and share < max(shares) for share in shares]
            if any(gone):
                parts.append([one for one, leaves in zip(own, gone, strict=True) if not leaves])
                parts += chains([one for one, leaves in zip(own, gone, strict=True) if leaves])
            else:
                yield own

    last = {number: int(frame[video == number].max()) for number in np.unique(video)}
    here: dict[tuple[int, int], list[int]] = {}
    for row in range(len(boxes)):
        here.setdefault((int(video[row]), int(frame[row])), []).append(row)
    graph = networkx.Graph()
    links, met, loose = set(), set(), {}
    for row in range(len(boxes)):
        for at, offset in enumerate(offsets_within()):
            key = (int(video[row]), int(frame[row]) + offset)
            for other in here.get(key, []):
                if overlap(tracked[row, at], boxes[other]) > 0.5:
                    links.add((min(row, other), max(row, other)))
                    met |= {(row, key), (other, (int(video[row]), int(frame[row])))}
    for row in range(len(boxes)):
        for at, offset in enumerate(offsets_within()):
            key = (int(video[row]), int(frame[row]) + offset)
            if 0 <= key[1] <= last[key[0]] and (row, key) not in met:
                loose.setdefault(key, []).append((row, tracked[row, at]))
    for one, other in links:
        graph.add_edge(one, other, capacity=1)
    for row in range(len(boxes)):
        graph.add_edge("s", row, capacity=1)
    for key, group in loose.items():
        for number, members in enumerate(clusters(group)):
            node = (key, number)
            graph.add_edge(node, "t", capacity=1)
            for origin, _ in members:
                graph.add_edge(node, origin, capacity=1)
    return int(networkx.minimum_cut_value(graph, "s", "t"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(json.dumps(child(json.loads(sys.argv[2]))), flush=True)
    else:
        main()
