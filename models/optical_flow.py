"""Dense optical flow between consecutive frames, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger("labelcut")

Image = str | os.PathLike[str] | npt.NDArray[Any] | None
Network = Callable[["Tensor", "Tensor"], "Tensor"]
PRESETS = ("ultrafast", "fast", "medium")
BATCH = 8


@dataclass(frozen=True, eq=False)
class VideoFlow:
    """Motion between the L frames of one video, there and back.

    Parameters
    ----------
    flow
        ``(L - 1, 2, h, w, 2)``: how far each pixel moves from frame i to i + 1 (``[i, 0]``), and
        from frame i + 1 to i (``[i, 1]``), across and down, in pixels of the flow's own size.
    size
        Width and height of the images, whose pixels boxes are in.
    still
        Steps without flow since an image is missing or cannot be read ``(L - 1,)``: there nothing
        moves.
    from_cache
        Whether it was read from the disk.
    """

    flow: npt.NDArray[Any]
    size: tuple[int, int]
    still: npt.NDArray[np.bool_]
    from_cache: bool = False


def compute_flow(
    images: Sequence[Image],
    *,
    height: int = 300,
    preset: str = "ultrafast",
    network: Network | None = None,
    name: str | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> VideoFlow:
    """Compute the optical flow of one video.

    Parameters
    ----------
    images
        One for each frame: a path, an array ``(H, W)`` or ``(H, W, 3)`` (RGB) of uint8, or None
        where there is none.
    height
        Images are scaled to this many rows first, as in the thesis; never up.
    preset
        Of OpenCV's DIS: ``"ultrafast"``, ``"fast"`` or ``"medium"``. Boxes move as wholes: at
        300 rows no finer flow keeps more of real pedestrians than the coarsest, which takes a third
        of the time of ``"medium"`` or less (``benchmarks/video_flow.py``).
    network
        A torch function instead: it takes two batches ``(B, 3, h, w)`` in 0..1 and returns the flow
        ``(B, 2, h, w)`` in pixels from the first to the second. It gets tensors on the CPU unless
        it is a module, and then on its device.
    name
        What tells the network's flow from another's in the cache; needed there.
    cache
        Folder to keep the flow in. A file there is read if paths, their times and sizes, and all
        parameters are the same. Arrays are not cached.

    Returns
    -------
    VideoFlow
        In float16, memory-mapped where it is cached.

    Raises
    ------
    ValueError
        Frames of several sizes, no readable image, or a parameter out of range.
    ImportError
        Without OpenCV; install ``labelcut[video]``.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset: must be one of {', '.join(PRESETS)}; got {preset!r}")
    if height < 16:
        raise ValueError(f"height: must be at least 16 rows; got {height}; the usual is 300")
    if network is not None and cache is not None and name is None:
        raise ValueError("name: the cache needs one to know the network's flow by; pass name='pwc'")
    method = f"dis-{preset}" if network is None else f"network-{name}"
    kept = None if cache is None else _cached_name(images, method, height, Path(cache))
    known = _read(kept) if kept is not None and kept.exists() else None
    if known is not None:
        _tell_of_still(known)
        return known
    scaling = _Scaling(height, gray=network is None)
    steps = _steps(images, scaling)
    found = _by_dis(steps, preset) if network is None else _by_network(steps, network)
    with _place(kept) as file:
        flow, still = _filled(found, images, scaling, file)
        assert scaling.size is not None
        result = VideoFlow(flow, scaling.size, still)
        _tell_of_still(result)
        if kept is not None and file is not None:
            _keep(kept, file, result)
    return result


def _tell_of_still(flow: VideoFlow) -> None:
    if flow.still.any():
        logger.warning(
            "%d of %d steps have no flow: boxes stand still there",
            flow.still.sum(),
            len(flow.still),
        )


@dataclass
class _Scaling:
    """How images are scaled, and the size that the first of them sets."""

    height: int
    gray: bool
    size: tuple[int, int] | None = None
    first: int = 0

    @property
    def small(self) -> tuple[int, int]:
        """Width and height of the flow."""
        assert self.size is not None
        scale = min(self.height / self.size[1], 1.0)
        return max(round(self.size[0] * scale), 1), max(round(self.size[1] * scale), 1)

    def scaled(self, image: npt.NDArray[np.uint8], at: int) -> npt.NDArray[np.uint8]:
        """Return an image in the flow's size."""
        cv2 = import_cv2()
        size = (int(image.shape[1]), int(image.shape[0]))
        if self.size is None:
            self.size, self.first = size, at
        if size != self.size:
            raise ValueError(
                f"images: must have one size; frame {self.first} has {self.size}, frame {at} has "
                f"{size}"
            )
        if self.gray and image.ndim == 3:
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        return np.asarray(cv2.resize(image, self.small, interpolation=cv2.INTER_AREA))


Step = tuple[int, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]


def _steps(images: Sequence[Image], scaling: _Scaling) -> Iterator[Step]:
    """Yield a step and its two images in the flow's size; two images are in memory at a time."""
    last = None
    for at, image in enumerate(images):
        found = _load(image, at)
        now = None if found is None else scaling.scaled(found, at)
        if last is not None and now is not None:
            yield at - 1, last, now
        last = now


def _filled(
    found: Iterator[tuple[int, npt.NDArray[Any]]],
    images: Sequence[Image],
    scaling: _Scaling,
    file: Path | None,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return the flow of all steps, on disk where `file` says so, and which have none."""
    count = max(len(images) - 1, 0)
    still = np.ones(count, dtype=bool)
    flow: npt.NDArray[Any] | None = None
    for at, both in found:
        if flow is None:
            flow = _empty(count, scaling.small, file)
        flow[at], still[at] = both, False
    if scaling.size is None:
        raise ValueError(f"images: none of {len(images)} can be read; check the folder")
    return (_empty(count, scaling.small, file) if flow is None else flow), still


def _empty(count: int, small: tuple[int, int], file: Path | None) -> npt.NDArray[Any]:
    shape = (count, 2, small[1], small[0], 2)
    if file is None or not count:
        return np.zeros(shape, dtype=np.float16)
    return np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=shape)


def _load(image: Image, at: int) -> npt.NDArray[np.uint8] | None:
    """Return an image as gray or RGB, or None where it is missing or cannot be read."""
    if image is None:
        return None
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3):
            raise ValueError(
                f"images: must be uint8 of shape (H, W) or (H, W, 3); frame {at} is {image.dtype} "
                f"{image.shape}"
            )
        return image
    found = read_image(image)
    if found is None:
        logger.warning("image %s of frame %d cannot be read", image, at)
    return found


def read_image(path: str | os.PathLike[str]) -> npt.NDArray[np.uint8] | None:
    """Return an image file ``(H, W, 3)`` in RGB, or None if it cannot be read."""
    cv2 = import_cv2()
    try:
        data = np.fromfile(path, dtype=np.uint8)
        found = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except (OSError, cv2.error):
        return None
    return None if found is None else np.ascontiguousarray(found[:, :, ::-1])


def import_cv2() -> Any:
    """Return OpenCV, or say how to get it."""
    try:
        import cv2
    except ImportError:
        raise ImportError(
            "opencv: is not installed; pip install 'labelcut[video]', or opencv-python-headless"
        ) from None
    return cv2


def _by_dis(steps: Iterator[Step], preset: str) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    cv2 = import_cv2()
    dis = cv2.DISOpticalFlow_create(PRESETS.index(preset))
    for at, one, other in steps:
        yield at, np.stack([dis.calc(one, other, None), dis.calc(other, one, None)])


def _by_network(steps: Iterator[Step], network: Network) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    import torch

    parameters = getattr(network, "parameters", None)
    first = next(iter(parameters()), None) if callable(parameters) else None
    device = torch.device("cpu") if first is None else first.device
    while batch := list(islice(steps, BATCH)):
        one = torch.stack([_tensor(step[1]) for step in batch]).to(device)
        other = torch.stack([_tensor(step[2]) for step in batch]).to(device)
        with torch.inference_mode():
            found = [network(one, other), network(other, one)]
        wanted = (len(batch), 2, *one.shape[2:])
        for both in found:
            if tuple(both.shape) != wanted:
                raise ValueError(
                    f"network: must return flow of shape {wanted}; got {tuple(both.shape)}"
                )
        arrays = [both.permute(0, 2, 3, 1).float().cpu().numpy() for both in found]
        for (at, _, _), flow in zip(batch, np.stack(arrays, axis=1), strict=True):
            yield at, flow


def _tensor(image: npt.NDArray[np.uint8]) -> Tensor:
    import torch

    color = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
    return torch.from_numpy(np.array(color)).permute(2, 0, 1).float() / 255


def _cached_name(images: Sequence[Image], method: str, height: int, folder: Path) -> Path | None:
    """Return the file that flow of these very images is kept in, or None for arrays."""
    if any(isinstance(image, np.ndarray) for image in images):
        return None
    version = import_cv2().__version__ if method.startswith("dis") else ""
    parts: list[Any] = [method, height, version]
    for image in images:
        try:
            stat = None if image is None else Path(str(image)).stat()
        except OSError:
            stat = None
        known = None if stat is None else [str(image), stat.st_size, stat.st_mtime_ns]
        parts.append(known)
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=12).hexdigest()
    return folder / f"flow-{digest}.npz"


@contextmanager
def _place(kept: Path | None) -> Iterator[Path | None]:
    """Yield a temporary file beside the one to keep, which is gone afterwards if nobody took it."""
    if kept is None:
        yield None
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    handle, name = mkstemp(dir=kept.parent, suffix=".npy")
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _keep(kept: Path, file: Path, flow: VideoFlow) -> None:
    """Keep the flow, then its facts, which make it whole."""
    if isinstance(flow.flow, np.memmap):
        flow.flow.flush()
    else:
        np.save(file, flow.flow)
    os.replace(file, kept.with_suffix(".npy"))
    with _place(kept) as temporary:
        assert temporary is not None
        with temporary.open("wb") as stream:
            np.savez(stream, size=np.array(flow.size), still=flow.still)
        os.replace(temporary, kept)


def _read(path: Path) -> VideoFlow | None:
    """Return the flow that was kept, or None where its files are damaged or one is gone."""
    try:
        with np.load(path) as facts:
            size, still = facts["size"], facts["still"]
        flow = np.load(path.with_suffix(".npy"), mmap_mode="r")
    except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
        logger.warning("%s cannot be read (%s): its flow is computed again", path, error)
        return None
    return VideoFlow(flow, (int(size[0]), int(size[1])), still, from_cache=True)
