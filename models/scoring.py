"""Run a torch classifier over a dataset: class probabilities and embeddings, row by row."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ._batches import expected_rows, first_tensor, model_input, model_logits, with_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEADS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, eq=False)
class Scores:
    """What a model says about each row of a dataset, in dataset order.

    Attributes
    ----------
    probs
        Class probabilities ``(N, C)`` float32.
    embeddings
        Inputs of the classifying layer ``(N, d)`` float32, or None if they were not asked for.
    """

    probs: "NDArray[np.float32]"
    embeddings: "NDArray[np.float32] | None"


def score(
    model: nn.Module,
    loader: Iterable[Any],
    *,
    device: torch.device | str | None = None,
    embeddings: bool = True,
    layer: str | nn.Module | None = None,
    apply: Literal["softmax", "none"] = "softmax",
    amp: Literal["auto", "off"] | torch.dtype = "auto",
    progress: bool = False,
) -> Scores:
    r"""Compute class probabilities and penultimate embeddings of every row of a dataset.

    .. math:: p_{ic} = \frac{\exp f_c(x_i)}{\sum_{k=1}^{C} \exp f_k(x_i)}

    The model runs in evaluation and inference mode and comes back as it was: training mode of
    every submodule, hooks and device, also after an exception. The softmax is taken in float32.

    Parameters
    ----------
    model
        Classifier whose output is logits ``(batch, C)``, C ≥ 2: a tensor, the first of a tuple, or
        ``logits`` / ``out`` of a mapping or object.
    loader
        Batches in dataset order: tensors, tuples that begin with the input, or mappings that hold
        it under ``x``, ``image`` or ``pixel_values`` (else the first tensor). Floating-point
        inputs are cast to the dtype of the model's parameters.
    device
        Where to run; the model returns to its own device afterwards. Default: where it is.
    embeddings
        Whether to keep embeddings too.
    layer
        The layer whose input, flattened to ``(batch, d)``, is the embedding: a module of `model`
        or its dotted name. Default: of the linear and convolution layers with C outputs, the one
        that runs last.
    apply
        ``"none"`` if the model ends in a softmax itself, so that its outputs are kept as they are.
    amp
        Automatic mixed precision: ``"off"``, ``torch.bfloat16`` or ``torch.float16`` (CUDA only).
        ``"auto"`` means bfloat16 on a CUDA device that has it (else float16) for a float32 model,
        and off everywhere else.
    progress
        Whether to show a progress bar on stderr.

    Returns
    -------
    Scores
        Probabilities ``(N, C)`` and embeddings ``(N, d)`` in float32 on the CPU. Row i is row i of
        the dataset.

    Raises
    ------
    ValueError
        If the loader shuffles, drops rows, shares them out or is empty; the outputs are not
        ``(batch, C)`` or not finite; no layer qualifies for embeddings; or an option is unknown.
    TypeError
        If the model is no module, or no tensor is found in a batch or an output.

    Examples
    --------
    >>> data = torch.utils.data.TensorDataset(torch.eye(3))
    >>> scores = score(nn.Linear(3, 2), torch.utils.data.DataLoader(data, batch_size=2))
    >>> scores.probs.shape, scores.embeddings.shape
    ((3, 2), (3, 3))
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model: must be a torch.nn.Module; {type(model).__name__} came; wrap it in a module"
        )
    if apply not in ("softmax", "none"):
        raise ValueError(f'apply: must be "softmax" or "none"; {apply!r} came; choose one of them')
    if layer is not None and not embeddings:
        raise ValueError("layer: names the embedding layer, but embeddings=False; drop one of them")
    home = _home(model, device)
    target = home if device is None else _device(device)
    dtype = _dtype(model)
    autocast = _autocast_dtype(amp, target, dtype)
    layers = _embedding_layers(model, layer) if embeddings else []
    expected = expected_rows(loader)

    probs, features = _Rows(expected), _Rows(expected)
    with (
        _borrowed(model, home, target),
        _Inputs(layers, chosen=layer is not None) as seen,
        with_bar(loader, progress) as batches,
    ):
        for batch in batches:
            x = model_input(batch).to(target, non_blocking=True)
            # Not around the loader: a dataset that caches would cache inference tensors, which
            # cannot be trained on later.
            with torch.inference_mode():
                with torch.autocast(target.type, dtype=autocast, enabled=autocast is not None):
                    output = model(x.to(dtype) if dtype and x.is_floating_point() else x)
                logits = model_logits(output).float()
                _check_logits(logits, probs.count)
                embedding = seen.take(logits) if embeddings else None
                probs.add(logits.softmax(dim=-1) if apply == "softmax" else logits)
                if embedding is not None:
                    features.add(embedding)
    return Scores(probs.array(), features.array() if embeddings else None)


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


def _embedding_layers(model: nn.Module, layer: str | nn.Module | None) -> list[nn.Module]:
    """Return the layer asked for, or all that may turn out to be the classifying one."""
    named = dict(model.named_modules(remove_duplicate=False))
    if isinstance(layer, str):
        if layer not in named:
            raise ValueError(
                f"layer: no module of the model is called {layer!r}; its last ones are "
                f"{', '.join(list(named)[-5:])}; see model.named_modules()"
            )
        return [named[layer]]
    if layer is not None:
        if not any(module is layer for module in named.values()):
            raise ValueError(
                f"layer: must be a module of the model; a foreign {type(layer).__name__} came; "
                "pass one from model.named_modules()"
            )
        return [layer]
    return [module for module in model.modules() if isinstance(module, _HEADS)]


class _Inputs:
    """Context that catches what goes into layers, by forward pre-hooks that it removes again.

    Until the first batch is through, the classifying layer is not known: registration order need
    not be the order in which layers run, and C shows only in the output. So the latest input is
    kept for each number of outputs, and from the second batch on one hook remains.
    """

    def __init__(self, layers: Sequence[nn.Module], *, chosen: bool) -> None:
        self._layers = layers
        self._chosen = chosen
        self._latest: dict[int | None, tuple[nn.Module, Tensor]] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> "_Inputs":
        self._watch(self._layers)
        return self

    def __exit__(self, *_: object) -> None:
        self._watch(())

    def _watch(self, layers: Sequence[nn.Module]) -> None:
        for hook in self._hooks:
            hook.remove()
        self._layers = layers
        self._hooks = [
            module.register_forward_pre_hook(self._keep, with_kwargs=True) for module in layers
        ]

    def _keep(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        value = first_tensor((*args, *kwargs.values()))
        if value is not None:
            # A copy, as a layer that works in place would overwrite its own input.
            self._latest[self._key(module)] = (module, value.clone())

    def _key(self, module: nn.Module) -> int | None:
        return None if self._chosen else _outputs(module)

    def take(self, logits: Tensor) -> Tensor:
        """Return the embeddings ``(batch, d)`` that belong to these logits, and forget them."""
        classes = logits.shape[1]
        found = self._latest.get(None if self._chosen else classes)
        self._latest.clear()
        if found is None:
            what = (
                "the chosen layer did not run, or took no tensor"
                if self._chosen
                else f"no linear or convolution layer with {classes} outputs ran"
            )
            raise ValueError(
                f"embeddings: {what}; pass layer= (a module whose input is the embedding, or its "
                "name) or embeddings=False"
            )
        module, value = found
        if len(self._layers) > 1:
            self._watch([module])
        if value.ndim == 0 or value.shape[0] != logits.shape[0]:
            raise ValueError(
                f"embeddings: the layer's input must have one row for each of the "
                f"{logits.shape[0]} rows of logits; shape {tuple(value.shape)} came; pass another "
                "layer= or embeddings=False"
            )
        return value.flatten(1) if value.ndim > 1 else value[:, None]


def _outputs(module: nn.Module) -> int:
    """Return the number of outputs of a linear or convolution layer."""
    return int(getattr(module, "out_features", 0) or getattr(module, "out_channels", 0))


class _Rows:
    """Blocks of rows as they come; written in place when their number is known beforehand."""

    def __init__(self, expected: int | None) -> None:
        self.count = 0
        self._expected = expected
        self._blocks: list[NDArray[np.float32]] = []

    def add(self, block: Tensor) -> None:
        """Append the rows of a tensor ``(batch, d)``."""
        rows = block.float().cpu().numpy()
        if self._blocks and rows.shape[1] != self._blocks[0].shape[1]:
            raise ValueError(
                f"model: {self._blocks[0].shape[1]} columns came for the first rows, "
                f"{rows.shape[1]} from row {self.count} on; all batches must have the same number"
            )
        start, self.count = self.count, self.count + len(rows)
        if self._expected is None:
            # A copy, as a model may write every output into the same buffer.
            self._blocks.append(rows.copy())
            return
        if self.count > self._expected:
            raise ValueError(_mismatch(f"at least {self.count}", self._expected))
        if not self._blocks:
            self._blocks = [np.empty((self._expected, rows.shape[1]), dtype=np.float32)]
        self._blocks[0][start : self.count] = rows

    def array(self) -> "NDArray[np.float32]":
        """Return all rows as one array."""
        if not self._blocks:
            raise ValueError("loader: must give at least one batch; none came; pass a fresh loader")
        if self._expected is None:
            return np.concatenate(self._blocks)
        if self.count != self._expected:
            raise ValueError(_mismatch(str(self.count), self._expected))
        return self._blocks[0]


def _mismatch(came: str, expected: int) -> str:
    return (
        f"model: must give one row for each row of the dataset; {came} came for {expected}; "
        "check that the model keeps the batch axis first"
    )


@contextmanager
def _borrowed(model: nn.Module, home: torch.device, target: torch.device) -> Iterator[None]:
    """Set a model to evaluation mode on a device, and put both back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        if target != home:
            model.to(target)
        model.eval()
        yield
    finally:
        # Not by train(), which recurses into shared layers and which models may override.
        for module, training in modes:
            module.training = training
        if target != home:
            model.to(home)


def _check_logits(logits: Tensor, first_row: int) -> None:
    """Check the shape and finiteness of logits that begin at a row of the dataset."""
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise ValueError(
            f"model: logits must have shape (batch, C) with C of at least 2; "
            f"{tuple(logits.shape)} came; for one sigmoid output z return [0, z], and pass a "
            "DataLoader that makes batches"
        )
    finite = logits.isfinite()
    if not finite.all():
        row, column = (~finite).nonzero()[0].tolist()
        raise ValueError(
            f"model: logits must be finite; row {first_row + row} of the dataset came out as "
            f'{logits[row, column].item()}; check that row\'s input, the weights, or pass amp="off"'
        )
