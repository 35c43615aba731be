"""What trackers cost beside training, and what many regions cost in memory.

python benchmarks/model_costs.py [--only PART]
"""

import argparse
import ctypes
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from _networks import resnet18
from _results import in_child, write_tables

from models import _resident, _row, _timed

TITLE, SCRIPT = "From a model to scores: beside training", "benchmarks/model_costs.py"
ORDER = ("An epoch with label dispersion", "Divergences of many regions")
IMAGES, CLASSES = 128, 100
REGIONS, KINDS = 600_000, 19

INTRO = """\
Each row is measured in a fresh process with one thread. *CPU s* are seconds of processor time,
*wall s* those of the clock, on a machine that others use too."""
HEADS = {
    "An epoch with label dispersion": f"""\
One epoch of training of a ResNet-18 (32 × 32 pixels, batches of 64, SGD) on {IMAGES} images of
{CLASSES} classes, as `LabelDispersion.add` is called with each batch's logits and rows; the tracker
holds 1,000,000 rows, of which these are some. Measured together: the share is that of *add* in the
whole epoch. The target is 5 %.

| kept | epoch, CPU s | epoch, wall s | add, CPU s | share |
|---|---:|---:|---:|---:|
""",
    "Divergences of many regions": f"""\
`divergence_histograms` of {REGIONS:,} regions of {KINDS} classes to K others. *peak MB above the
start* is what the resident memory of the process grows by, both inputs (float32) being there.

| K | inputs MB | result MB | peak MB above the start | CPU s | wall s |
|---:|---:|---:|---:|---:|---:|
""",
}


def epochs() -> list[str]:
    """Measure epochs of training with a tracker."""
    lines = []
    for name, history in (("counts", None), ("history of 20 epochs", 20)):
        found = in_child(
            __file__, {"part": "epoch", "history": history}, environment={"OMP_NUM_THREADS": "1"}
        )
        cells = (f"{found[key]:.4g}" for key in ("cpu", "wall", "add"))
        lines.append(_row(name, *cells, f"{found['add'] / found['cpu']:.3%}"))
    return lines


def divergences() -> list[str]:
    """Measure divergences of many regions."""
    lines = []
    for others in (100, 1_000):
        found = in_child(
            __file__, {"part": "regions", "others": others}, environment={"OMP_NUM_THREADS": "1"}
        )
        cells = (f"{found[key]:,.0f}" for key in ("inputs", "result", "above"))
        lines.append(_row(f"{others:,}", *cells, f"{found['cpu']:.1f}", f"{found['wall']:.1f}"))
    return lines


def child_epoch(request: dict[str, Any]) -> dict[str, Any]:
    """Train one epoch and track its predictions."""
    import torch
    from torch import nn

    from labelcut.models import LabelDispersion

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = resnet18()
    steps = torch.optim.SGD(model.parameters(), lr=0.01)
    images, labels = torch.randn(IMAGES, 3, 32, 32), torch.randint(0, CLASSES, (IMAGES,))
    tracker = LabelDispersion(1_000_000, CLASSES, request["history"])
    spent = 0.0

    def epoch() -> None:
        nonlocal spent
        for rows in torch.arange(IMAGES).split(64):
            logits = model(images[rows])
            loss = nn.functional.cross_entropy(logits, labels[rows])
            steps.zero_grad()
            loss.backward()
            steps.step()
            start = time.process_time()
            tracker.add(logits.detach(), rows)
            spent += time.process_time() - start

    cpu, wall, _ = _timed(epoch)
    return {"cpu": cpu, "wall": wall, "add": spent}


def child_regions(request: dict[str, Any]) -> dict[str, Any]:
    """Compute divergences and tell the memory that they take."""
    from labelcut.models import divergence_histograms

    rng = np.random.default_rng(0)
    inputs = [
        rng.dirichlet(np.full(KINDS, 0.2), count).astype(np.float32)
        for count in (REGIONS, request["others"])
    ]
    inputs = [part / part.sum(axis=1, keepdims=True) for part in inputs]
    divergence_histograms(inputs[0][:100], inputs[1])
    ctypes.CDLL(None).malloc_trim(0)  # what is freed already must not hide what is taken
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _resident("VmRSS")
    cpu, wall, result = _timed(lambda: divergence_histograms(*inputs))
    return {
        "cpu": cpu,
        "wall": wall,
        "above": _resident("VmHWM") - before,
        "inputs": sum(part.nbytes for part in inputs) / 1e6,
        "result": result.nbytes / 1e6,
    }


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=ORDER)
    only = parser.parse_args().only
    for part, measure in zip(ORDER, (epochs, divergences), strict=True):
        if only in (None, part):
            tables = {part: HEADS[part] + "\n".join(measure())}
            write_tables(TITLE, SCRIPT, INTRO, ORDER, tables)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        asked = json.loads(sys.argv[2])
        parts = {"epoch": child_epoch, "regions": child_regions}
        print(json.dumps(parts[asked["part"]](asked)))
    else:
        main()
