"""Pictures of regions that were chosen, drawn over their images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..problems.atomic import atomic_file
from ..problems.errors import InvalidInput
from .pictures import require_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COLUMNS = 4


def plot_regions(
    chosen: Any,
    table: Mapping[str, Any],
    image: Callable[[int], Any],
    path: str | Path,
    *,
    most: int = 12,
) -> None:
    """Draw chosen regions over the images that hold most of them.

    Parameters
    ----------
    chosen
        Rows of the table, as `Selection.indices` gives them.
    table
        Columns ``image``, ``top``, ``left``, ``height`` and ``width`` in pixels, as a problem's
        ``table`` holds them.
    image
        Gives the picture of an ``image`` entry: ``(H, W)``, or ``(H, W, 3)`` of bytes or of
        floats from 0 to 1.
    path
        Picture file; its suffix says the format (``.png``, ``.svg``, ``.pdf``).
    most
        Images to draw at most.

    Raises
    ------
    InvalidInput
        If nothing is chosen, a column is missing, the format is unknown or the place cannot be
        written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    path = Path(path)
    require_picture(path)
    rows = np.asarray(chosen)
    if not len(rows):
        raise InvalidInput("plot: no region is chosen; there is nothing to draw")
    missing = {"image", "top", "left", "height", "width"} - {*table}
    if missing:
        raise InvalidInput(
            f"table: must have the columns image, top, left, height, width; {', '.join(missing)} "
            "is missing; pass Regions.table to the problem"
        )
    images, counts = np.unique(np.asarray(table["image"])[rows], return_counts=True)
    drawn = images[np.argsort(-counts, kind="stable")][:most]
    lines = -(-len(drawn) // COLUMNS)
    columns = min(len(drawn), COLUMNS)
    figure = Figure(figsize=(4.0 * columns, 3.2 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, entry in zip(axes, drawn, strict=False):
        pixels = np.asarray(image(entry))
        axis.imshow(pixels, cmap="gray" if pixels.ndim == 2 else None)
        own = rows[np.asarray(table["image"])[rows] == entry]
        for row in own:
            top, left, height, width = (
                int(table[name][row]) for name in ("top", "left", "height", "width")
            )
            corner = (left - 0.5, top - 0.5)
            axis.add_patch(Rectangle(corner, width, height, ec="yellow", fc="#ffff0030", lw=1.5))
        axis.set_title(f"image {entry}: {len(own)} regions", fontsize=9)
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=110)
