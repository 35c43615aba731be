"""Maps on the CPU: which of them the compiled loop takes, and its threads."""

import platform
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import torch
from torch import Tensor


def in_one_pass(
    scores: Tensor,
    softmax: bool,
    counts: Tensor | None,
    region: tuple[int, int],
    cells: int | None,
) -> tuple[Tensor, Tensor] | None:
    """Compute what regions hold in one pass over a map on the CPU, on torch's number of threads.

    Parameters
    ----------
    scores, softmax, region, cells
        See `regions.region_blocks`.
    counts
        ``(H, W)`` booleans: which pixels count; None for all of them.

    Returns
    -------
    tuple of Tensor, or None
        Minimum, sum, maximum and number of pixels of the tiles (regions or their cells)
        ``(4, rows, columns)`` float32, and pixels of each class in the regions ``(R, C)`` int32.
        None if some pixel holds no distribution, or if the processor has no half precision.
    """
    if scores.dtype == torch.float16 and not _has_half_precision():
        return None
    from ._region_kernels import summarize

    classes, height, width = scores.shape
    g = cells or 1
    tile = (region[0] // g, region[1] // g)
    flat = _readable(scores)
    inside = np.empty(0, dtype=bool) if counts is None else counts.contiguous().numpy().reshape(-1)
    tiles = np.empty((4, -(-height // tile[0]), -(-width // tile[1])), dtype=np.float32)
    bands = -(-height // region[0])
    histogram = np.empty((bands, -(-width // region[1]), classes), dtype=np.int32)
    tolerance = None if softmax else np.float32(sum_tolerance(scores.dtype))

    def run(first: int) -> bool:
        rows = first * region[0], min((first + share) * region[0], height)
        wrong: bool = summarize(
            flat, tolerance, inside, width, tile, region, *rows, tiles, histogram
        )
        return wrong

    # Whole rows of regions for each thread: sums do not depend on how many there are.
    share = -(-bands // torch.get_num_threads())
    starts = range(0, bands, share)
    if len(starts) == 1:
        wrong = run(0)
    else:
        with ThreadPoolExecutor(len(starts)) as pool:
            wrong = any(list(pool.map(run, starts)))
    if wrong:
        return None
    return torch.from_numpy(tiles), torch.from_numpy(histogram).view(-1, classes)


def sum_tolerance(dtype: torch.dtype) -> float:
    """Return how far from 1 the sum of a distribution may be."""
    return 1e-3 + (torch.finfo(dtype).eps if dtype.itemsize < 4 else 0.0)


def _readable(scores: Tensor) -> "np.ndarray":
    """Return a map as ``(C, H W)`` numbers or bits: float16 as uint16, bfloat16 as int16."""
    flat = scores.detach().contiguous().view(len(scores), -1)
    if flat.dtype == torch.bfloat16:
        return flat.view(torch.int16).numpy()
    if flat.dtype == torch.float16:
        return flat.numpy().view(np.uint16)
    return flat.float().numpy()


@cache
def _has_half_precision() -> bool:
    """Tell whether the processor converts float16: without, LLVM would call what is not there."""
    if platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686"):
        return True
    from llvmlite.binding import get_host_cpu_features

    return bool(get_host_cpu_features().get("f16c"))
