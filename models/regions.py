"""Regions of a segmented image: what its maps say about each cell of a grid."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ._region_passes import in_one_pass, sum_tolerance

if TYPE_CHECKING:
    from numpy.typing import NDArray

Blocks = dict[str, Tensor]

# Numbers of a probability map in float32 at a time where torch does the work: what a core's cache
# holds, and what keeps a GPU busy without doubling the map.
_BAND, _CUDA_BAND = 1 << 19, 1 << 25


@dataclass(frozen=True, eq=False)
class MapStats:
    """A map's values in each of R regions, over the pixels that count.

    Attributes
    ----------
    min, mean, max, sum
        ``(R,)`` float32. The sum is the cumulative score of the baselines in Reinforced Active
        Learning for Image Segmentation, section 4.
    cells
        ``(R, 3·g·g)`` float32 where a pooling grid was asked for: minima, then means, then maxima
        of the g × g cells of a region, row by row. A cell without a pixel that counts has its
        region's value.
    """

    min: "NDArray[Any]"
    mean: "NDArray[Any]"
    max: "NDArray[Any]"
    sum: "NDArray[Any]"
    cells: "NDArray[Any] | None" = None


def region_blocks(
    scores: Tensor,
    region: tuple[int, int],
    *,
    softmax: bool,
    mask: Tensor | None = None,
    cells: int | None = None,
    maps: Mapping[str, Tensor] | None = None,
    features: Tensor | None = None,
) -> Blocks:
    r"""Summarize the maps of one image over a grid of regions.

    The map is read once: on the CPU by a compiled loop that keeps nothing but what it adds up to
    for the regions, on a GPU in bands of rows, with a fraction of the map's memory. Regions do not
    overlap; those at the lower and right border are cut off there.

    Parameters
    ----------
    scores
        Class probabilities ``(C, H, W)`` in any precision, or logits with `softmax`.
    region
        Height and width of a region, in pixels.
    softmax
        Whether `scores` are logits.
    mask
        ``(H, W)`` booleans, False where a pixel is padding and must not count.
    cells
        The g of a pooling grid g × g, which must divide the region.
    maps
        Further maps ``(H, W)`` by name.
    features
        Feature map ``(D, h, w)``, of the image's size or coarser.

    Returns
    -------
    dict of Tensor
        ``box`` ``(R, 4)`` int32 (top, left, height, width), ``pixels`` ``(R,)`` int32,
        ``histogram`` ``(R, C)`` float32, and of ``entropy`` and every map its minimum, mean,
        maximum and sum ``(R, 4)`` and its ``..._cells``; ``features`` ``(R, D)``. Row-major.
        Regions without a pixel that counts hold zeros.

    Raises
    ------
    ValueError
        If shapes do not fit, or pixels hold no distribution.

    References
    ----------
    Reinforced Active Learning for Image Segmentation, 3.1; Mining of Single-Class by Active
    Learning, eq. 15 and 16; Uncertainty-weighted embeddings, eq. 7.
    """
    _require_maps(scores, region, cells)
    scores, region = scores.detach(), (int(region[0]), int(region[1]))
    size = (int(scores.shape[1]), int(scores.shape[2]))
    if mask is not None and tuple(mask.shape) != size:
        raise ValueError(
            f"mask: must have the image's shape {size}; {tuple(mask.shape)} came; pass one "
            "boolean for each pixel"
        )
    every = torch.ones((), dtype=torch.bool, device=scores.device).expand(size)
    counts = every if mask is None else mask
    seen = in_one_pass(scores, softmax, mask, region, cells) if scores.is_cpu else None
    if seen is None:
        entropies, classes = _pixelwise(scores, softmax)
        seen = _tiles(entropies, counts, region, cells), _counted(classes, counts, region, scores)
    tiles, histogram = seen
    pixels = histogram.sum(1)
    blocks: Blocks = {
        "box": _boxes(size, region).to(scores.device),
        "pixels": pixels.to(torch.int32),
        "histogram": histogram.float() / pixels.clamp(min=1)[:, None],
    }
    _add_stats(blocks, "entropy", tiles, cells)
    for name, values in (maps or {}).items():
        if tuple(values.shape) != size:
            raise ValueError(
                f"maps: must have the image's shape {size}; {tuple(values.shape)} came as {name}"
            )
        _add_stats(blocks, name, _tiles(values.float(), counts, region, cells), cells)
    if features is not None:
        blocks["features"] = _mean_features(features, counts, size, region)
    return blocks


def _require_maps(scores: Tensor, region: tuple[int, int], cells: int | None) -> None:
    if scores.ndim != 3 or scores.shape[0] < 2 or 0 in scores.shape:
        raise ValueError(
            f"probs: must have shape (C, H, W) with C of at least 2; {tuple(scores.shape)} came; "
            "pass the map of one image, classes first"
        )
    if min(region) < 1:
        raise ValueError(f"region: must be a height and width of 1 or more; {region} came")
    if cells is not None and (cells < 1 or region[0] % cells or region[1] % cells):
        raise ValueError(
            f"cells: must divide the region's height and width {region}; {cells} came; choose a "
            "divisor, or another region"
        )


def _pixelwise(scores: Tensor, softmax: bool) -> tuple[Tensor, Tensor]:
    """Return entropies and predicted classes ``(H, W)``, the lowest class on ties."""
    classes, height, width = scores.shape
    device, tiny = scores.device, torch.finfo(torch.float32).tiny
    entropies = torch.zeros((height, width), device=device)
    best = torch.empty((height, width), dtype=torch.int32, device=device)
    step = min(max((_CUDA_BAND if scores.is_cuda else _BAND) // (classes * width), 1), height)
    wrong = torch.zeros((), dtype=torch.bool, device=device)
    tolerance = sum_tolerance(scores.dtype)
    # Buffers that all bands share: fresh ones would cost more than what is done in them.
    probs = torch.empty((classes, step, width), device=device)
    part = torch.empty((step, width), device=device)
    for top in range(0, height, step):
        rows = slice(top, min(top + step, height))
        p = probs[:, : rows.stop - top]
        p.copy_(scores[:, rows])
        if softmax:
            p.sub_(p.amax(0)).exp_()
            p.div_(p.sum(0))
        else:
            wrong |= ~((p.sum(0) - 1).abs() <= tolerance).all() | (p.amin() < 0)
        # Numbers of at least 0 are ordered as their bits; below them stands the class, which makes
        # one maximum of value and place, the lowest class on ties.
        bits = p.view(torch.int32)
        top_bits = (bits[0].long() << 16) + 0xFFFF
        for c in range(classes):
            # p log p of an exact 0 is 0.
            logs = torch.clamp(p[c], min=tiny, out=part[: rows.stop - top]).log_()
            entropies[rows].addcmul_(p[c], logs, value=-1)
            torch.maximum(top_bits, (bits[c].long() << 16) + (0xFFFF - c), out=top_bits)
        best[rows] = 0xFFFF - (top_bits & 0xFFFF)
    if softmax:
        wrong = ~entropies.isfinite().all()
    if bool(wrong):
        _complain(scores, softmax, tolerance)
    return entropies.clamp_(min=0), best


def _complain(scores: Tensor, softmax: bool, tolerance: float) -> None:
    if softmax:
        # A class of minus infinity is one that cannot be, unless all of them are.
        pixel = tuple((~scores.float().amax(0).isfinite()).nonzero()[0].tolist())
        raise ValueError(
            f"model: logits must be finite; pixel {pixel} came out otherwise; check the input, the "
            'weights, or pass amp="off"'
        )
    p = scores.float()
    sums = p.sum(0)
    bad = ~((sums - 1).abs() <= tolerance) | (p.amin(0) < 0)
    pixel = tuple(bad.nonzero()[0].tolist())
    last = bool(((p.sum(2) - 1).abs() <= tolerance).all())
    raise ValueError(
        f"probs: pixel {pixel} sums to {float(sums[pixel]):g} with a least of "
        f"{float(p[:, pixel[0], pixel[1]].min()):g}; probabilities are 0 or more and sum to 1; "
        + ("move the classes from the last axis to the first" if last else "pass softmax outputs")
    )


def _tiled(values: Tensor, tile: tuple[int, int], fill: float) -> Tensor:
    """View a map ``(H, W)`` as ``(rows, h, columns, w)`` tiles, filled up beyond its borders."""
    height, width = values.shape
    h, w = tile
    down, right = -height % h, -width % w
    if down or right:
        values = torch.nn.functional.pad(values, (0, right, 0, down), value=fill)
    return values.view(values.shape[0] // h, h, values.shape[1] // w, w)


def _boxes(size: tuple[int, int], region: tuple[int, int]) -> Tensor:
    """Return top, left, height and width ``(R, 4)`` of the regions, row by row."""
    tops, lefts = (torch.arange(0, n, step) for n, step in zip(size, region, strict=True))
    top, left = torch.meshgrid(tops, lefts, indexing="ij")
    box = [top, left, (size[0] - top).clamp(max=region[0]), (size[1] - left).clamp(max=region[1])]
    return torch.stack(box, -1).reshape(-1, 4).to(torch.int32)


def _tiles(values: Tensor, counts: Tensor, region: tuple[int, int], cells: int | None) -> Tensor:
    """Return minimum, sum, maximum and number of pixels of tiles ``(4, rows, columns)``.

    Tiles are regions, or their cells.
    """
    g = cells or 1
    tile = (region[0] // g, region[1] // g)
    low = _tiled(values.masked_fill(~counts, torch.inf), tile, torch.inf).amin((1, 3))
    high = _tiled(values.masked_fill(~counts, -torch.inf), tile, -torch.inf).amax((1, 3))
    total = _tiled(values.masked_fill(~counts, 0.0), tile, 0.0).sum((1, 3))
    n = _tiled(counts, tile, 0).sum((1, 3), dtype=torch.float32)
    return torch.stack([low, total, high, n])


def _add_stats(blocks: Blocks, name: str, tiles: Tensor, cells: int | None) -> None:
    """Add minimum, mean, maximum and sum ``(R, 4)`` of a map, and its pooled cells."""
    low, total, high, n = tiles
    if cells is None:
        blocks[name] = _finite(low, total, high, n).flatten(1).T.contiguous()
        return
    # Cells may be missing at the border: regions are tiles of g x g cells.
    g = cells
    parts = [
        _tiled(part, (g, g), fill)
        for part, fill in ((low, torch.inf), (total, 0.0), (high, -torch.inf), (n, 0.0))
    ]
    whole = _finite(
        parts[0].amin((1, 3)), parts[1].sum((1, 3)), parts[2].amax((1, 3)), parts[3].sum((1, 3))
    ).flatten(1)
    inner = _finite(*(part.transpose(1, 2).reshape(-1, g * g) for part in parts))[:3]
    empty = parts[3].transpose(1, 2).reshape(-1, g * g) == 0
    inner = torch.where(empty, whole[:3, :, None], inner)
    blocks[name] = whole.T.contiguous()
    blocks[f"{name}_cells"] = inner.transpose(0, 1).reshape(-1, 3 * g * g).contiguous()


def _finite(low: Tensor, total: Tensor, high: Tensor, n: Tensor) -> Tensor:
    """Stack minimum, mean, maximum and sum, all 0 where there is no pixel."""
    return torch.stack([low, total / n.clamp(min=1), high, total]).masked_fill(n == 0, 0.0)


def _counted(classes: Tensor, counts: Tensor, region: tuple[int, int], scores: Tensor) -> Tensor:
    """Return how many of the pixels that count are of each class ``(R, C)``."""
    height, width = classes.shape
    number = scores.shape[0]
    rows, columns = -(-height // region[0]), -(-width // region[1])
    down = torch.arange(height, device=classes.device) // region[0] * columns
    right = torch.arange(width, device=classes.device) // region[1]
    bins = rows * columns * number
    # Pixels that do not count go into a bin of their own.
    at = ((down[:, None] + right) * number + classes).masked_fill_(~counts, bins)
    return torch.bincount(at.flatten(), minlength=bins + 1)[:bins].view(-1, number)


def _mean_features(
    features: Tensor, counts: Tensor, size: tuple[int, int], region: tuple[int, int]
) -> Tensor:
    """Return the mean feature of the pixels that count ``(R, D)``.

    A coarser map counts as if it were enlarged to the image, each of its positions covering an
    equal share. Where the mask cuts through a position, its share is taken as spread evenly.
    """
    if features.ndim != 3:
        raise ValueError(
            f"features: must have shape (D, h, w); {tuple(features.shape)} came; choose a "
            "convolution layer with layer="
        )
    f = features.float()
    coarse = (int(f.shape[1]), int(f.shape[2]))
    share = torch.nn.functional.adaptive_avg_pool2d(counts[None].float(), coarse)[0]
    down, right = (
        _overlaps(*sizes).to(f.device) for sizes in zip(size, region, coarse, strict=True)
    )
    weight = down @ share @ right.T
    total = torch.einsum("rh,dhw,cw->rcd", down, f * share, right)
    return (total / weight.clamp(min=1e-12)[..., None]).flatten(0, 1)


def _overlaps(length: int, step: int, positions: int) -> Tensor:
    """Return how many pixels each region shares with each position of a coarser axis."""
    edges = torch.arange(positions + 1, dtype=torch.float64) * (length / positions)
    starts = torch.arange(0, length, step, dtype=torch.float64)[:, None]
    ends = (starts + step).clamp(max=length)
    shared = torch.minimum(ends, edges[1:]) - torch.maximum(starts, edges[:-1])
    return shared.clamp(min=0).float()
