"""Catching what goes into a layer: the embeddings of a batch."""

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn

from ._batches import first_tensor
from .embeddings import pooled

_HEADS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)

Pool = Literal["flatten", "mean", "none"]


def layer_name(model: nn.Module, layer: str | nn.Module | None) -> str | None:
    """Return the dotted name of a layer, by which it is known in another process too."""
    if layer is None or isinstance(layer, str):
        return layer
    return next((name for name, module in model.named_modules() if module is layer), None)


def embedding_layers(model: nn.Module, layer: str | nn.Module | None) -> list[nn.Module]:
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


class Inputs:
    """Context that catches what goes into layers, by forward pre-hooks that it removes again.

    Until the first batch is through, the classifying layer is not known: registration order need
    not be the order in which layers run, and C shows only in the output. So the latest input is
    kept for each number of outputs, and from the second batch on one hook remains.
    """

    def __init__(self, layers: Sequence[nn.Module], *, chosen: bool, pool: Pool) -> None:
        self._layers = layers
        self._chosen = chosen
        self._pool = pool
        self._latest: dict[int | None, tuple[nn.Module, Tensor]] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> "Inputs":
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
        value = first_tensor(args)
        if value is None:
            value = first_tensor((*kwargs.values(),))
        if value is None:
            return
        if self._pool != "none" or not isinstance(module, _HEADS):
            # A copy, as a layer that works in place would overwrite its own input. Whole maps are
            # spared it where the layer does not.
            value = value.clone()
        self._latest[self._key(module)] = (module, value)

    def _key(self, module: nn.Module) -> int | None:
        return None if self._chosen else _outputs(module)

    def take(self, logits: Tensor) -> Tensor:
        """Return the embeddings that belong to these logits, and forget them.

        They are ``(batch, d)``, or the layer's input as it is if nothing is pooled.
        """
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
                "name) or leave embeddings out of outputs="
            )
        module, value = found
        if len(self._layers) > 1:
            self._watch([module])
        if value.ndim == 0 or value.shape[0] != logits.shape[0]:
            raise ValueError(
                f"embeddings: the layer's input must have one row for each of the "
                f"{logits.shape[0]} rows of logits; shape {tuple(value.shape)} came; pass another "
                "layer= or leave embeddings out of outputs="
            )
        if self._pool == "none":
            return value
        if self._pool == "mean" and value.ndim > 1:
            return pooled(value)
        return value.flatten(1) if value.ndim > 1 else value[:, None]

    def forget(self) -> None:
        """Drop what passes have left whose embeddings nobody wants."""
        self._latest.clear()


def _outputs(module: nn.Module) -> int:
    """Return the number of outputs of a linear or convolution layer."""
    return int(getattr(module, "out_features", 0) or getattr(module, "out_channels", 0))
