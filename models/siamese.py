"""A siamese tracker: each detection is searched for by its looks in the frames around it.

After SiamFC (Bertinetto et al., 2016): features of the detection are correlated with those of a
search window at three scales, and the box goes where the response is largest.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from .optical_flow import read_image
from .trackers import REACH, offsets_within, track_static

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .optical_flow import Image

EXEMPLAR, SEARCH = 127, 255
"""Pixels of the two crops, on a side."""
SCALES = (1 / 1.0375, 1.0, 1.0375)
PENALTY = 0.9745
"""What a change of scale must outweigh."""
DAMPING = 0.59
WINDOW = 0.176
"""Influence of a cosine window that prefers small movements."""
UPSAMPLING = 8
BATCH = 32


def small_backbone(seed: int = 0) -> nn.Module:
    """Return a small fully convolutional network of stride 8, with seeded random weights.

    Random filters tell textures apart well enough for a few frames; train them, or load others,
    for more.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 32, 7, stride=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(32, 48, 5),
            nn.ReLU(),
            nn.Conv2d(48, 48, 3, stride=2),
        ).eval()


def load_weights(backbone: nn.Module, path: str | Path) -> nn.Module:
    """Load a network's weights from ``.safetensors``, or from torch's own format; no pickles.

    Raises
    ------
    ValueError
        If the file is missing, or its names or shapes are not the network's.
    """
    file = Path(path)
    if not file.exists():
        raise ValueError(f"weights: {file} does not exist; check the path")
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(str(file))
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
        backbone.load_state_dict(state)
    except Exception as error:  # each format has errors of its own
        what = str(error).splitlines()[0]
        raise ValueError(f"weights: {file.name} does not fit the network ({what})") from None
    return backbone


def track_siamese(
    boxes: Any,
    video: Any,
    frame: Any,
    lengths: Any,
    images: Sequence[Sequence[Image]],
    *,
    reach: int = REACH,
    backbone: nn.Module | None = None,
    normalized: bool | None = None,
    batch: int = BATCH,
) -> npt.NDArray[np.float64]:
    """Return where each detection is found in the frames before and after its own.

    The looks are those of the detection's own frame throughout; each search window is around the
    place in the frame before. The network runs on its own device, detections of a frame together.

    Parameters
    ----------
    boxes, video, frame, lengths, reach
        As in `track_static`.
    images
        For each video its frames: paths, arrays of uint8, or None where one is missing: a box
        stands still there.
    backbone
        Features of stride s: ``(B, 3, h, w)`` in 0..1 to ``(B, C, h', w')``, without padding;
        default: `small_backbone`.
    normalized
        Whether responses are divided by the length of the features they come from, so that bright
        places do not win by themselves; default: only for the built-in network.
    batch
        Detections searched for at a time.

    Returns
    -------
    ndarray
        ``(M, 2K, 4)``, NaN outside the video.

    Raises
    ------
    ValueError
        Another number of images than of frames, or of videos.
    """
    tracked = track_static(boxes, video, frame, lengths, reach=reach)
    own = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    videos, frames = np.asarray(video, dtype=np.int64), np.asarray(frame, dtype=np.int64)
    if [len(seen) for seen in images] != [int(length) for length in lengths]:
        raise ValueError(
            f"images: must be one for each frame of {len(lengths)} videos; got "
            f"{[len(seen) for seen in images][:3]} for {list(lengths)[:3]}"
        )
    net = small_backbone() if backbone is None else backbone
    plain = backbone is not None if normalized is None else not normalized
    search = _Search(net, plain)
    offsets = offsets_within(reach)
    for number, seen in enumerate(images):
        look = _Pictures(seen, search.device, 2 * reach + 2)
        for at in np.unique(frames[videos == number]):
            rows = np.flatnonzero((videos == number) & (frames == at))
            picture = look(int(at))
            if picture is None:
                continue
            for part in np.array_split(rows, -(-len(rows) // batch)):
                exemplar = search.exemplar(picture, own[part])
                for direction in (1, -1):
                    places = _walk(search, look, exemplar, own[part], int(at), direction, reach)
                    for step, found in enumerate(places, 1):
                        tracked[part, offsets.index(direction * step)] = found
    return tracked


def _walk(
    search: _Search,
    look: _Pictures,
    exemplar: Tensor,
    boxes: npt.NDArray[np.float64],
    at: int,
    direction: int,
    reach: int,
) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the boxes one, two, … frames on, as far as the video goes."""
    current = boxes
    for step in range(1, reach + 1):
        there = at + direction * step
        if not 0 <= there < len(look.images):
            return
        picture = look(there)
        if picture is not None:
            current = search.step(picture, exemplar, current)
        yield current


class _Pictures:
    """A video's images as tensors without their mean, a few at a time."""

    def __init__(self, images: Sequence[Image], device: torch.device, keep: int) -> None:
        self.images = images
        self.device = device
        self.keep = keep
        self.kept: OrderedDict[int, tuple[Tensor, Tensor] | None] = OrderedDict()

    def __call__(self, at: int) -> tuple[Tensor, Tensor] | None:
        """Return an image ``(3, H, W)`` less its mean color, and that, or None if it is missing."""
        if at not in self.kept:
            image = self.images[at]
            found = image if image is None or isinstance(image, np.ndarray) else read_image(image)
            self.kept[at] = None if found is None else self._tensor(found)
            if len(self.kept) > self.keep:
                self.kept.popitem(last=False)
        return self.kept[at]

    def _tensor(self, image: npt.NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        color = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
        pixels = torch.from_numpy(np.array(color)).to(self.device).permute(2, 0, 1).float() / 255
        mean = pixels.mean(dim=(1, 2))
        return pixels - mean[:, None, None], mean


class _Search:
    """One network and how its responses are read."""

    def __init__(self, net: Callable[[Tensor], Tensor], plain: bool) -> None:
        parameters = getattr(net, "parameters", None)
        first = next(iter(parameters()), None) if callable(parameters) else None
        self.device = torch.device("cpu") if first is None else first.device
        self.net = net
        self.plain = plain

    @torch.inference_mode()
    def exemplar(self, picture: tuple[Tensor, Tensor], boxes: npt.NDArray[np.float64]) -> Tensor:
        """Return the features of boxes in their own frame ``(n, C, h, w)``."""
        features: Tensor = self.net(_crops(picture, boxes, _side(boxes), EXEMPLAR))
        if self.plain:
            return features
        centered = features - features.mean(dim=(2, 3), keepdim=True)
        length: Tensor = centered.flatten(1).norm(dim=1).clamp(min=1e-12)
        return centered / length[:, None, None, None]

    @torch.inference_mode()
    def step(
        self,
        picture: tuple[Tensor, Tensor],
        exemplar: Tensor,
        boxes: npt.NDArray[np.float64],
    ) -> npt.NDArray[np.float64]:
        """Return where the boxes are in the next frame, and how large."""
        side = _side(boxes) * SEARCH / EXEMPLAR
        count = len(boxes)
        responses = torch.stack(
            [self._response(picture, exemplar, boxes, side * scale) for scale in SCALES], dim=1
        )
        penalty = torch.tensor([PENALTY, 1.0, PENALTY], device=self.device)
        size = responses.shape[-1]
        best = (responses * penalty[None, :, None, None]).flatten(2).amax(dim=2).argmax(dim=1)
        chosen = responses[torch.arange(count, device=self.device), best]
        chosen = chosen - chosen.flatten(1).amin(dim=1)[:, None, None]
        chosen = chosen / chosen.flatten(1).sum(dim=1).clamp(min=1e-12)[:, None, None]
        hann = torch.hann_window(size, periodic=False, device=self.device)
        window = torch.outer(hann, hann) / hann.sum() ** 2
        place = ((1 - WINDOW) * chosen + WINDOW * window).flatten(1).argmax(dim=1)
        peak = torch.stack([place % size, place // size], dim=1).double().cpu().numpy()
        scale = np.array(SCALES)[best.cpu().numpy()]
        pixels = (peak - (size - 1) / 2) * self.stride / UPSAMPLING
        moved = pixels * (side * scale / SEARCH)[:, None]
        grown = (1 - DAMPING) + DAMPING * scale
        center = boxes[:, :2] + 0.5 * boxes[:, 2:] + moved
        sides = boxes[:, 2:] * grown[:, None]
        return np.concatenate([center - 0.5 * sides, sides], axis=1)

    def _response(
        self,
        picture: tuple[Tensor, Tensor],
        exemplar: Tensor,
        boxes: npt.NDArray[np.float64],
        side: npt.NDArray[np.float64],
    ) -> Tensor:
        """Return how well the exemplar fits at each place of a window ``(n, r, r)``, upsampled."""
        features = self.net(_crops(picture, boxes, side, SEARCH))
        count, channels = features.shape[:2]
        flat = features.reshape(1, count * channels, *features.shape[2:])
        response = functional.conv2d(flat, exemplar, groups=count)[0]
        if not self.plain:
            area = exemplar.shape[2:]
            ones = torch.ones(1, 1, *area, device=self.device) / (area[0] * area[1])
            squares = functional.conv2d((features**2).sum(dim=1, keepdim=True), ones)
            means = functional.conv2d(features.flatten(0, 1)[:, None], ones)
            means = means.reshape(count, channels, *means.shape[2:])
            spread = (squares[:, 0] - (means**2).sum(dim=1)) * (area[0] * area[1])
            response = response / spread.clamp(min=1e-6).sqrt()
        self.stride = (SEARCH - EXEMPLAR) / (response.shape[-1] - 1)
        size = (response.shape[-1] - 1) * UPSAMPLING + 1
        return functional.interpolate(
            response[:, None], size=(size, size), mode="bicubic", align_corners=True
        )[:, 0]


def _side(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the side of the square around each box, with context of half its mean side."""
    context = 0.5 * boxes[:, 2:].sum(axis=1)
    return np.asarray(np.sqrt((boxes[:, 2] + context) * (boxes[:, 3] + context)))


def _crops(
    picture: tuple[Tensor, Tensor],
    boxes: npt.NDArray[np.float64],
    side: npt.NDArray[np.float64],
    pixels: int,
) -> Tensor:
    """Return squares around boxes ``(n, 3, pixels, pixels)``, the mean color beyond the picture."""
    image, mean = picture
    height, width = image.shape[1:]
    steps = (np.arange(pixels) + 0.5) / pixels - 0.5
    center = boxes[:, :2] + 0.5 * boxes[:, 2:]
    across = (center[:, 0, None] + side[:, None] * steps) / width * 2 - 1
    down = (center[:, 1, None] + side[:, None] * steps) / height * 2 - 1
    x = torch.from_numpy(across).float().to(image.device)
    y = torch.from_numpy(down).float().to(image.device)
    shape = (len(boxes), pixels, pixels)
    grid = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=3)
    crops = functional.grid_sample(
        image.expand(len(boxes), *image.shape), grid, padding_mode="zeros", align_corners=False
    )
    return crops + mean[:, None, None]
