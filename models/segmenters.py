"""A small segmentation network that learns in seconds on a CPU."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator


class SmallUNet(nn.Module):
    """A network of the U-Net kind: two steps down, two up, the finer maps carried across.

    Parameters
    ----------
    classes
        Number of classes C.
    width
        Channels at full resolution; twice and four times as many below.
    dropout
        Rates of the two layers of channel dropout: after the coarsest maps, and before the
        classifying layer.
    shrink
        Squares of so many by so many pixels are one place of the finest maps, which takes less
        time; it must divide height and width.

    Examples
    --------
    >>> SmallUNet(3, shrink=2)(torch.zeros(1, 3, 18, 24)).shape
    torch.Size([1, 3, 18, 24])
    """

    def __init__(
        self,
        classes: int,
        width: int = 12,
        dropout: tuple[float, float] = (0.0, 0.1),
        shrink: int = 1,
    ) -> None:
        super().__init__()
        self.shrink = shrink
        self.fine = _block(3 * shrink**2, width)
        self.middle = _block(width, 2 * width)
        self.coarse = _block(2 * width, 4 * width)
        self.up = _block(6 * width, 2 * width)
        self.top = _block(3 * width, width)
        self.deep_drop = nn.Dropout2d(dropout[0])
        self.drop = nn.Dropout2d(dropout[1])
        self.classify = nn.Conv2d(width, classes * shrink**2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(batch, C, H, W)`` of images ``(batch, 3, H, W)``."""
        fine = self.fine(nn.functional.pixel_unshuffle(x, self.shrink))
        middle = self.middle(nn.functional.max_pool2d(fine, 2))
        coarse = self.deep_drop(self.coarse(nn.functional.max_pool2d(middle, 2)))
        up = self.up(torch.cat([_enlarged(coarse, middle), middle], dim=1))
        top = self.top(torch.cat([_enlarged(up, fine), fine], dim=1))
        logits: Tensor = self.classify(self.drop(top))
        return nn.functional.pixel_shuffle(logits, self.shrink)


def train_segmenter(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int,
    batch: int = 6,
    lr: float = 5e-3,
    void: int = 255,
) -> None:
    """Train on labeled images, a few drawn in every step, in one cycle of the learning rate.

    Parameters
    ----------
    model
        A network whose output is logits ``(batch, C, H, W)``; it is trained in place and left in
        training mode.
    images
        ``(n, 3, H, W)`` floats.
    labels
        ``(n, H, W)`` int64 classes; `void` where a pixel has none.
    steps, batch, lr
        Steps of AdamW, images in each, and the highest learning rate.
    void
        The label that does not count.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> images, labels = torch.rand(4, 3, 8, 8), torch.zeros(4, 8, 8, dtype=torch.long)
    >>> model = SmallUNet(2, width=4)
    >>> train_segmenter(model, images, labels, steps=60)
    >>> bool((model.eval()(images).argmax(1) == labels).all())
    True
    """
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    for some in _drawn(len(images), batch, steps):
        loss = nn.functional.cross_entropy(model(images[some]), labels[some], ignore_index=void)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


def _drawn(number: int, batch: int, steps: int) -> "Iterator[Tensor]":
    for _ in range(steps):
        yield torch.randint(number, (batch,))


def _block(come: int, leave: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(come, leave, 3, padding=1, bias=False), nn.BatchNorm2d(leave), nn.ReLU()
    )


def _enlarged(coarse: Tensor, like: Tensor) -> Tensor:
    return nn.functional.interpolate(coarse, size=like.shape[2:], mode="nearest")
