"""What data loaders give and models return: finding the tensors in it."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

_INPUT_KEYS = ("x", "image", "pixel_values")
_OUTPUT_KEYS = ("logits", "out")


def model_input(batch: Any) -> Tensor:
    """Return the model's input from a batch."""
    # What nearly all batches are comes first, as for a small network every call counts.
    if isinstance(batch, list | tuple) and batch and isinstance(batch[0], Tensor):
        return batch[0]
    if isinstance(batch, Mapping):
        value = next((batch[key] for key in _INPUT_KEYS if key in batch), None)
        found = first_tensor((value, *batch.values()))
    elif isinstance(batch, list | tuple) and batch and isinstance(batch[0], Mapping):
        return model_input(batch[0])
    else:
        found = first_tensor(batch)
    if found is None:
        raise TypeError(
            f"loader: a batch must be or hold a tensor; {_describe(batch)} came; pass a DataLoader "
            "whose dataset gives tensors"
        )
    return found


def model_logits(output: Any) -> Tensor:
    """Return the logits from whatever a model returns."""
    if isinstance(output, Tensor):
        return output
    for key in _OUTPUT_KEYS:
        value = output.get(key) if isinstance(output, Mapping) else getattr(output, key, None)
        if isinstance(value, Tensor):
            return value
    found = None if isinstance(output, Mapping) else first_tensor(output)
    if found is None:
        raise TypeError(
            f"model: must return a tensor, a tuple that begins with one, or a mapping or object "
            f"with {' or '.join(_OUTPUT_KEYS)}; {_describe(output)} came; wrap the model in a "
            "module that returns the logits"
        )
    return found


def first_tensor(value: Any) -> Tensor | None:
    """Return a tensor itself, or the first one of a list or tuple."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, Tensor):
                return item
    return None


def _describe(value: Any) -> str:
    keys = f" with keys {list(value)}" if isinstance(value, Mapping) else ""
    return f"{type(value).__name__}{keys}"
