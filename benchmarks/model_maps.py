"""Region features of a thousand maps, on one thread and on two.

python benchmarks/model_maps.py [--maps N]
"""

import argparse
import ctypes
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _results import in_child, write_section

from models import _patches, _resident, _row, _timed

if TYPE_CHECKING:
    from collections.abc import Callable

TITLE, SCRIPT = "From a model to scores: a thousand maps", "benchmarks/model_maps.py"
CLASSES, HEIGHT, WIDTH, REGION = 19, 1024, 2048, (128, 128)
DISTINCT, TURNS, RARELY = 8, 10, 10

HEAD = f"""\
Entropy (minimum, mean, maximum, sum) and class histograms of {REGION[0]} × {REGION[1]} regions of
{{maps:,}} maps of {CLASSES} × {HEIGHT} × {WIDTH} half-precision probabilities ({{mb:.0f}} MB each;
{DISTINCT} different ones, over and over, as more would not fit into memory), by the function that
`score_regions` calls. *patches* is the plain Python loop of the section before, in float32, on
every {RARELY}th map only. *copy* is `np.copyto` of each map, on one thread: the rate at which this
machine reads and writes. All in turns ({TURNS}) in one process. *read* is what the maps hold over
the clock, *of copy* the same over that of copy. *faster* is beside the patches, by maps a second of
CPU and of the clock. *extra MB* is what the peak resident memory of the process grows by over all
maps of a turn.

| what | threads | maps | CPU s | wall s | maps a s | read GB/s | of copy | faster (CPU) | (wall) | extra MB |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"""  # noqa: E501


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", type=int, default=1_000)
    maps = parser.parse_args().maps
    found = in_child(__file__, {"maps": maps})
    mb = found.pop("mb")
    plain, copy = found["patches"], found["copy"]
    lines = []
    for name, told in found.items():
        cpu, wall = (told[key] / told["maps"] for key in ("cpu", "wall"))
        lines.append(
            _row(
                name.partition(",")[0],
                told["threads"],
                f"{told['maps']:,}",
                f"{told['cpu']:.2f}",
                f"{told['wall']:.2f}",
                f"{1 / wall:.1f}",
                f"{mb / wall / 1e3:.2f}",
                f"{copy['wall'] / copy['maps'] / wall:.2f}",
                f"{plain['cpu'] / plain['maps'] / cpu:.1f}",
                f"{plain['wall'] / plain['maps'] / wall:.1f}",
                f"{told['extra']:.0f}",
            )
        )
    write_section(TITLE, SCRIPT, HEAD.format(maps=maps, mb=mb) + "\n".join(lines))


def child(request: dict[str, Any]) -> dict[str, Any]:
    """Summarize maps in all ways, in turns."""
    import torch

    from labelcut.models.regions import region_blocks

    torch.manual_seed(0)
    maps = []
    for _ in range(DISTINCT):
        scores = torch.empty(CLASSES, HEIGHT, WIDTH, dtype=torch.float16)
        for top in range(0, HEIGHT, 128):
            scores[:, top : top + 128] = torch.randn(CLASSES, 128, WIDTH).mul_(3).softmax(0).half()
        maps.append(scores)
    room = np.empty_like(maps[0].numpy())

    def ours(scores: Any) -> Any:
        return region_blocks(scores, REGION, softmax=False)["entropy"]

    runs: dict[str, tuple[int, int, Callable[[Any], Any]]] = {
        "patches": (1, RARELY, lambda scores: _patches(scores.numpy(), REGION, np.float32)),
        "copy": (1, 1, lambda scores: np.copyto(room, scores.numpy())),
        "ours, 1": (1, 1, ours),
        "ours, 2": (2, 1, ours),
    }
    for _, _, run in runs.values():
        run(maps[0])
    np.testing.assert_allclose(
        runs["patches"][2](maps[1]), runs["ours, 1"][2](maps[1]).numpy(), rtol=2e-3
    )
    each = request["maps"] // TURNS
    found = {
        name: {"threads": threads, "maps": 0, "cpu": 0.0, "wall": 0.0, "extra": 0.0}
        for name, (threads, _, _) in runs.items()
    }
    for turn in range(TURNS):
        for name, (threads, step, run) in runs.items():
            torch.set_num_threads(threads)
            some = [maps[i % DISTINCT] for i in range(turn * each, (turn + 1) * each, step)]
            ctypes.CDLL(None).malloc_trim(0)  # what is freed already must not hide what is taken
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            before = _resident("VmRSS")
            cpu, wall, _ = _timed(lambda some=some, run=run: [run(one) for one in some])
            told = found[name]
            told["extra"] = max(told["extra"], _resident("VmHWM") - before)
            told["cpu"], told["wall"] = told["cpu"] + cpu, told["wall"] + wall
            told["maps"] += len(some)
    return {"mb": maps[0].nbytes / 1e6, **found}


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(json.dumps(child(json.loads(sys.argv[2]))))
    else:
        main()
