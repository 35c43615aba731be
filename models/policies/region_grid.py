"""How images are cut into regions, and which window of context each is seen in.

Regions are cut out with a margin, in windows of one shape that go through a network in batches.
Windows begin at multiples of 4 pixels, where a network that halves its maps twice begins too, so
that with a margin as wide as it looks its maps are those of the whole image.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

VOID = 255
"""The label of a pixel without a class."""

_STEP = 4


@dataclass(frozen=True)
class RegionGrid:
    """Images of one size, cut into regions of one size, row by row; region numbers run on.

    Parameters
    ----------
    size
        Height and width of an image.
    region
        Height and width of a region, which must divide those.
    margin
        Pixels of context around a region, at least.
    """

    size: tuple[int, int]
    region: tuple[int, int]
    margin: int = 12

    def __post_init__(self) -> None:
        """Raise a ValueError unless regions fill the image."""
        if min(self.region) < 1 or self.margin < 0 or any(self._left()):
            raise ValueError(
                f"region: height and width {self.region} must divide those of the images "
                f"{self.size}, and the margin be 0 or more; crop the images, or choose a divisor"
            )

    @property
    def whole(self) -> "RegionGrid":
        """The grid whose regions are the images."""
        return RegionGrid(self.size, self.size, 0)

    def whole_images(self, rows: "Rows") -> "Rows | None":
        """Return which images regions make up, all of each in order; None if they do not."""
        if len(rows) % self.each:
            return None
        images: Rows = rows[:: self.each] // self.each
        numbers = images[:, None] * self.each + np.arange(self.each)
        return images if np.array_equal(numbers.ravel(), rows) else None

    def _left(self) -> tuple[int, int]:
        return self.size[0] % self.region[0], self.size[1] % self.region[1]

    @property
    def across(self) -> int:
        """Regions beside each other."""
        return self.size[1] // self.region[1]

    @property
    def each(self) -> int:
        """Regions of an image."""
        return self.across * (self.size[0] // self.region[0])

    def corners(self, rows: "Rows") -> "tuple[Rows, Rows, Rows]":
        """Return image, top and left of regions."""
        image, at = np.divmod(rows, self.each)
        return image, at // self.across * self.region[0], at % self.across * self.region[1]

    def windows(self, rows: "Rows") -> "tuple[Rows, Rows, Rows]":
        """Return image ``(n,)``, and which lines ``(n, h)`` and columns ``(n, w)`` a window has."""
        image, *corner = self.corners(rows)
        lines, columns = (
            self._window(start, length, part)
            for start, length, part in zip(corner, self.size, self.region, strict=True)
        )
        return image, lines, columns

    def _window(self, start: "Rows", length: int, part: int) -> "Rows":
        wide = min(-(-(part + 2 * self.margin + _STEP - 1) // _STEP) * _STEP, length)
        begin = np.clip((start - self.margin) // _STEP * _STEP, 0, length - wide)
        windows: Rows = begin[:, None] + np.arange(wide)
        return windows

    def table(self, count: int) -> "dict[str, NDArray[Any]]":
        """Return image, top, left, height and width of all regions of so many images."""
        image, top, left = self.corners(np.arange(count * self.each))
        height, width = (np.full(len(image), side) for side in self.region)
        return {"image": image, "top": top, "left": left, "height": height, "width": width}
