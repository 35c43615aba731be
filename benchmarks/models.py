"""From a model to scores: throughput, regions, factored BADGE, dispersion.

python benchmarks/models.py [--only PART]
"""

import argparse
import ctypes
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _networks import resnet18, small
from _results import in_child, write_tables

import labelcut

TITLE, SCRIPT = "From a model to scores", "benchmarks/models.py"
MAPS = 10

INTRO = """\
Each row is measured in a fresh process with one thread. *CPU s* are seconds of processor time of
that process, *wall s* those of the clock.
Ratios are of CPU seconds, because other work shares the machine. There was no GPU: nothing is said
here about transfers, mixed precision or the copy rate of a device."""

ORDER = ("Throughput", "Regions", "Factored BADGE", "Label dispersion")
HEADS = {
    "Throughput": """\
`score` beside a loop over the same batches of 64 that runs the network in inference mode and keeps
nothing, in turns in one process, thirty times (ResNet-18: five). Seconds are medians; *times bare*
is the median of the ratios of CPU seconds of one turn. *memory* keeps probabilities and embeddings,
*disk* those and entropies in a folder, begun and brought to the disk within the time. The allocator
is told to keep freed memory (`MALLOC_TRIM_THRESHOLD_`): whether it does so by itself is chance and
changes each of the loops by a third.

| network | rows | what | CPU s | wall s | times bare |
|---|---:|---|---:|---:|---:|
""",
    "Regions": f"""\
Entropy (minimum, mean, maximum, sum) and class histograms of all regions of maps of 19 × 1024 ×
2048 half-precision probabilities, the least of {MAPS} runs. *patches* is a plain loop: it cuts each
region from the map and computes them with NumPy, one region at a time, in float32 (`float16` keeps
the map's precision). *extra MB* is what the peak resident memory of the process grows by during one
map; the map itself has 80 MB. Compiling, once for each precision and then kept on disk, is left
out. All on one thread; more threads take rows of regions each.

| region | regions | what | CPU ms | wall ms | maps a CPU s | times faster | extra MB |
|---|---:|---|---:|---:|---:|---:|---:|
""",
    "Factored BADGE": """\
k-center (`greedy`) and k-means++ on gradient embeddings a ⊗ f, kept factored and written out in
float32, and on UWE, which has D numbers a row. Made-up rows: a mixture of 300 Gaussians, and a
random last layer. *same picks* counts rows that equal those on the factors, in their order.
Written out, 30,000 rows are what fits beside others' work on a machine of 24 GB.
scikit-activeml's `Badge` is given the same features and probabilities, at the largest size here
that it bears (it writes the embeddings out in float64).

| rows | C | D | b | what | CPU s | wall s | peak MB | same picks |
|---:|---:|---:|---:|---|---:|---:|---:|---:|
""",
    "Label dispersion": """\
`LabelDispersion.add` of one epoch's predictions of 1,000,000 rows, 100 classes, beside what the
network of the first table needs to predict as many rows (measured rows taken times their number;
training takes about three times as long).

| kept | MB | add, CPU s | values, CPU s | prediction of an epoch, CPU s | share |
|---|---:|---:|---:|---:|---:|
""",
}


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=ORDER)
    only = parser.parse_args().only
    tables = {}
    for part in ORDER:
        if only in (None, part):
            lines = PARTS[part]()
            tables[part] = HEADS[part] + "\n".join(lines)
            print(tables[part], file=sys.stderr)
            write_tables(TITLE, SCRIPT, INTRO, ORDER, tables)


def _measured(request: dict[str, Any], environment: dict[str, str] | None = None) -> dict[str, Any]:
    return in_child(__file__, request, environment={"OMP_NUM_THREADS": "1", **(environment or {})})


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def throughput() -> list[str]:
    """Measure score beside a bare loop."""
    lines = []
    keeping = {"MALLOC_TRIM_THRESHOLD_": f"{1 << 30}", "MALLOC_MMAP_THRESHOLD_": f"{1 << 25}"}
    for network, rows in (("small", 6_400), ("resnet18", 256)):
        found = _measured({"part": "throughput", "network": network, "rows": rows}, keeping)
        for what, (cpu, wall, ratio) in found.items():
            times = "" if what == "bare loop" else f"{ratio:.3f}"
            lines.append(_row(network, f"{rows:,}", what, f"{cpu:.3f}", f"{wall:.3f}", times))
    return lines


def regions() -> list[str]:
    """Measure region features beside a loop over patches."""
    lines = []
    for region in ((128, 128), (32, 32)):
        plain: dict[str, Any] = {}
        for what in ("patches", "patches, float16", "ours"):
            found = _measured({"part": "regions", "region": region, "what": what})
            plain = plain or found
            lines.append(
                _row(
                    f"{region[0]} × {region[1]}",
                    found["regions"],
                    what,
                    f"{1e3 * found['cpu']:.1f}",
                    f"{1e3 * found['wall']:.1f}",
                    f"{1 / found['cpu']:.1f}",
                    f"{plain['cpu'] / found['cpu']:.1f}",
                    f"{found['extra']:.0f}",
                )
            )
    return lines


def factored() -> list[str]:
    """Measure choices on factored, expanded and weighted embeddings."""
    lines = []
    big = {"rows": 50_000, "classes": 100, "width": 512, "budget": 1_000}
    middle = {"rows": 30_000, "classes": 100, "width": 512, "budget": 50}
    small = {"rows": 2_000, "classes": 10, "width": 64, "budget": 100}
    for sizes, runners in (
        (big, ("factored, greedy", "factored, k-means++", "UWE, greedy")),
        (middle, ("factored, greedy", "expanded, greedy")),
        (small, ("factored, greedy", "factored, k-means++", "scikit-activeml Badge")),
    ):
        picks: dict[str, list[int]] = {}
        for runner in runners:
            found = _measured({"part": "factored", "what": runner, **sizes})
            picks[runner] = found["order"]
            same = ""
            if runner.startswith("expanded"):
                theirs = picks[runner.replace("expanded", "factored")]
                same = f"{sum(a == b for a, b in zip(found['order'], theirs, strict=True))}"
            counts = (f"{sizes[key]:,}" for key in ("rows", "classes", "width", "budget"))
            cells = (f"{found[key]:,.{n}f}" for key, n in (("cpu", 2), ("wall", 2), ("peak", 0)))
            lines.append(_row(*counts, runner, *cells, same))
    return lines


def dispersion() -> list[str]:
    """Measure the tracker of label dispersion."""
    one = _measured({"part": "throughput", "network": "resnet18", "rows": 256, "bare": True})
    epoch = one["bare loop"][0] / 256 * 1_000_000
    lines = []
    for name, epochs in (("counts", None), ("history of 20 epochs", 20)):
        found = _measured({"part": "dispersion", "epochs": epochs})
        times = (found["add"], found["values"], epoch)
        share = f"{found['add'] / epoch:.4%}"
        lines.append(_row(name, f"{found['mb']:.0f}", *(f"{t:,.2f}" for t in times), share))
    return lines


PARTS: dict[str, Callable[[], list[str]]] = dict(
    zip(ORDER, (throughput, regions, factored, dispersion), strict=True)
)


def _timed(run: Callable[[], Any]) -> tuple[float, float, Any]:
    cpu, wall = time.process_time(), time.perf_counter()
    value = run()
    return time.process_time() - cpu, time.perf_counter() - wall, value


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _resident(what: str) -> float:
    """Return a line of the process's status in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(what)) / 1e3


def child_throughput(request: dict[str, Any]) -> dict[str, Any]:
    """Run a network over random images, bare and by score, in turns."""
    from tempfile import TemporaryDirectory

    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = small() if request["network"] == "small" else resnet18()
    model.eval()
    data = TensorDataset(torch.randn(request["rows"], 3, 32, 32))
    loader = DataLoader(data, batch_size=64)

    def bare() -> None:
        with torch.inference_mode():
            for (x,) in loader:
                model(x)

    def memory() -> None:
        labelcut.score(model, loader)

    def disk() -> None:
        outputs = ("probs", "embeddings", "entropy")
        labelcut.score(model, loader, outputs=outputs, out=folder)

    runs = {"bare loop": bare}
    if not request.get("bare"):
        runs |= {"`score`, memory": memory, "`score`, disk": disk}
    times: dict[str, list[tuple[float, ...]]] = {name: [] for name in runs}
    for turn in range(1 + (30 if request["network"] == "small" else 5)):
        for name, run in runs.items():
            with TemporaryDirectory() as folder:
                found = _timed(run)[:2]
            if turn:
                times[name].append(found)
    answer = {}
    for name, pairs in times.items():
        cpu, wall = (statistics.median(values) for values in zip(*pairs, strict=True))
        both = zip(pairs, times["bare loop"], strict=True)
        answer[name] = (cpu, wall, statistics.median(one[0] / other[0] for one, other in both))
    return answer


def child_regions(request: dict[str, Any]) -> dict[str, Any]:
    """Summarize one map, by the library or patch by patch."""
    import torch

    from labelcut.models.regions import region_blocks

    torch.set_num_threads(1)
    torch.manual_seed(0)
    scores = torch.empty(19, 1024, 2048, dtype=torch.float16)
    for top in range(0, 1024, 128):
        some = torch.randn(19, 128, 2048).mul_(3).softmax(0)
        scores[:, top : top + 128] = some.half()
    region = tuple(request["region"])
    half = request["what"].endswith("float16")
    plain = scores.numpy()

    def ours() -> Any:
        return region_blocks(scores, region, softmax=False)["entropy"].numpy()

    runs = {
        "ours": ours,
        "patches": lambda: _patches(plain, region, np.float32),
        "patches, float16": lambda: _patches(plain, region, np.float16),
    }
    run = runs[request["what"]]
    region_blocks(scores[:, :64, :64].contiguous(), (32, 32), softmax=False)
    ctypes.CDLL(None).malloc_trim(0)  # what is freed already must not hide what is taken
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _resident("VmRSS")
    first = _timed(run)
    extra = _resident("VmHWM") - before
    times = [first, *(_timed(run) for _ in range(MAPS - 1))]
    if not half:
        expected = region_blocks(scores, region, softmax=False)["entropy"].numpy()
        np.testing.assert_allclose(first[2], expected, rtol=2e-3)
    return {
        "cpu": min(t[0] for t in times),
        "wall": min(t[1] for t in times),
        "extra": extra,
        "regions": len(first[2]),
    }


def _patches(scores: Any, region: tuple[int, int], dtype: Any) -> Any:
    """Cut every region from the map and compute what it holds, the plain way."""
    rows = []
    for top in range(0, scores.shape[1], region[0]):
        for left in range(0, scores.shape[2], region[1]):
            p = scores[:, top : top + region[0], left : left + region[1]].astype(dtype)
            entropies = -(p * np.log(np.maximum(p, np.finfo(dtype).tiny))).sum(axis=0)
            np.bincount(p.argmax(axis=0).ravel(), minlength=len(p)) / entropies.size
            total = entropies.sum(dtype=np.float64)
            rows.append((entropies.min(), total / entropies.size, entropies.max(), total))
    return np.array(rows)


def child_factored(request: dict[str, Any]) -> dict[str, Any]:
    """Choose rows on embeddings of one kind."""
    from labelcut.models import badge, entropy, uwe

    n, classes, width, budget = (request[k] for k in ("rows", "classes", "width", "budget"))
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(300, width))
    features = (centers[rng.integers(0, 300, n)] + 0.5 * rng.normal(size=(n, width))).astype("f4")
    logits = features @ rng.normal(scale=2 / np.sqrt(width), size=(width, classes)).astype("f4")
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    kind, _, method = request["what"].partition(", ")
    if kind.startswith("scikit"):
        cpu, wall, order = _timed(lambda: _activeml(probs, features, budget))
        return {"cpu": cpu, "wall": wall, "peak": _peak(), "order": [int(row) for row in order]}
    few = labelcut.KCenter(features[:300], 5)
    labelcut.solve(few, method)

    def run() -> Any:
        left, right = badge(probs, features)
        if kind == "expanded":
            space: Any = np.einsum("nc,nd->ncd", left, right).reshape(n, -1)
        elif kind == "UWE":
            space = uwe(features, entropy(probs))
        else:
            space = labelcut.Factored(left, right)
        return labelcut.solve(labelcut.KCenter(space, budget), method, time_limit=600)

    cpu, wall, solution = _timed(run)
    order = solution.order if solution.order is not None else solution.indices
    return {"cpu": cpu, "wall": wall, "peak": _peak(), "order": order.tolist()}


def _activeml(probs: Any, features: Any, budget: int) -> Any:
    from skactiveml.base import SkactivemlClassifier
    from skactiveml.pool import Badge

    class Given(SkactivemlClassifier):
        """A classifier whose probabilities are known beforehand."""

        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            """Do nothing."""
            self._validate_data(X, y, sample_weight)
            return self

        def predict_proba(self, X: Any) -> Any:
            """Give them."""
            return probs[: len(X)]

    classes = list(range(probs.shape[1]))
    labels = np.full(len(features), np.nan)
    given = Given(classes=classes).fit(features, labels)
    query = Badge(random_state=0, missing_label=np.nan)
    return query.query(features, labels, given, fit_clf=False, batch_size=budget)


def child_dispersion(request: dict[str, Any]) -> dict[str, Any]:
    """Track a million rows for some epochs."""
    from labelcut.models import LabelDispersion

    tracker = LabelDispersion(1_000_000, 100, request["epochs"])
    rng = np.random.default_rng(0)
    times = []
    for _ in range(5):
        predictions = rng.integers(0, 100, 1_000_000)
        times.append(_timed(lambda some=predictions: tracker.add(some))[0])
    values = _timed(tracker.values)[0]
    return {"add": statistics.median(times), "values": values, "mb": tracker.nbytes / 1e6}


CHILDREN = {
    "throughput": child_throughput,
    "regions": child_regions,
    "factored": child_factored,
    "dispersion": child_dispersion,
}

if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "child":
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        asked = json.loads(sys.argv[2])
        print(json.dumps(CHILDREN[asked["part"]](asked)))
    else:
        main()
