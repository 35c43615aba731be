"""Networks that benchmarks run."""

from typing import Any


def small() -> Any:
    """Build a network of two convolutions and a linear layer."""
    from torch import nn

    return nn.Sequential(
        *(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 100)),
    )


def resnet18() -> Any:
    """Build ResNet-18 as it is used for images of 32 × 32 pixels."""
    from torch import nn

    class Block(nn.Module):
        def __init__(self, come: int, leave: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(
                *(nn.Conv2d(come, leave, 3, stride, 1, bias=False), nn.BatchNorm2d(leave)),
                *(nn.ReLU(), nn.Conv2d(leave, leave, 3, 1, 1, bias=False), nn.BatchNorm2d(leave)),
            )
            self.short: nn.Module = nn.Identity()
            if stride > 1 or come != leave:
                self.short = nn.Sequential(
                    nn.Conv2d(come, leave, 1, stride, bias=False), nn.BatchNorm2d(leave)
                )

        def forward(self, x: Any) -> Any:
            return nn.functional.relu(self.body(x) + self.short(x))

    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    for come, leave, stride in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)):
        layers += [Block(come, leave, stride), Block(leave, leave, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 100))
