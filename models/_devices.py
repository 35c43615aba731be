"""Where and in which precision a model runs, and how it comes back as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Place:
    """Where a model is, where it shall run, and in which precision.

    Attributes
    ----------
    home, target
        The devices it is on and runs on.
    dtype
        That of its first floating-point parameter, if it has one.
    autocast
        Precision of automatic mixed precision, None for off.
    """

    home: torch.device
    target: torch.device
    dtype: torch.dtype | None
    autocast: torch.dtype | None

    @classmethod
    def of(
        cls, model: nn.Module, device: torch.device | str | None, amp: str | torch.dtype
    ) -> "Place":
        """Return the place that a model and the options ask for, or raise a ValueError."""
        home = _home(model, device)
        target = home if device is None else _device(device)
        dtype = _dtype(model)
        return cls(home, target, dtype, _autocast_dtype(amp, target, dtype))

    def run(self, model: nn.Module, x: Tensor) -> object:
        """Run a model on inputs that are on the target device, in the precision chosen."""
        if self.dtype and x.dtype != self.dtype and x.is_floating_point():
            x = x.to(self.dtype)
        if self.autocast is None and not torch.is_autocast_enabled(self.target.type):
            return model(x)
        with torch.autocast(self.target.type, self.autocast, enabled=self.autocast is not None):
            return model(x)


@contextmanager
def borrowed(model: nn.Module, place: Place) -> Iterator[None]:
    """Set a model to evaluation mode on a device, and put both back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        if place.target != place.home:
            model.to(place.target)
        model.eval()
        yield
    finally:
        # Not by train(), which recurses into shared layers and which models may override.
        for module, training in modes:
            module.training = training
        if place.target != place.home:
            model.to(place.home)


def _device(device: torch.device | str) -> torch.device:
    """Return the device asked for, if torch has it."""
    try:
        target = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device: {error}") from error
    if target.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f'device: {target} was asked for, torch sees no GPU; pass device="cpu"')
    return target


def _home(model: nn.Module, device: torch.device | str | None) -> torch.device:
    """Return where the model is (its first parameter, else buffer)."""
    devices = [tensor.device for tensor in (*model.parameters(), *model.buffers())]
    if device is not None and len(set(devices)) > 1:
        raise ValueError(
            f"device: a model spread over {', '.join(sorted(set(map(str, devices))))} cannot be "
            f"moved to {device} and back; leave device out to run it where it is"
        )
    return devices[0] if devices else torch.device("cpu")


def _dtype(model: nn.Module) -> torch.dtype | None:
    """Return the dtype of the model's first floating-point parameter, if it has one."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), None)


def _autocast_dtype(
    amp: str | torch.dtype, device: torch.device, weights: torch.dtype | None
) -> torch.dtype | None:
    """Return the dtype for autocast, or None for off."""
    if amp == "off":
        return None
    if amp == "auto":
        if device.type != "cuda" or weights != torch.float32:
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if amp == torch.bfloat16 or (amp == torch.float16 and device.type == "cuda"):
        return amp
    raise ValueError(
        f'amp: must be "auto", "off", torch.bfloat16 or, on CUDA, torch.float16; {amp!r} came for '
        f'{device.type}; pass "off" to compute in the precision of the weights'
    )
