"""What data loaders give and models return: finding the tensors, and keeping dataset order."""

import operator
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

_INPUT_KEYS = ("x", "image", "pixel_values")
_OUTPUT_KEYS = ("logits", "out")
_UNORDERED = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler, DistributedSampler)


def expected_rows(loader: Iterable[Any]) -> int | None:
    """Check that a loader keeps dataset order, and return its number of rows if that is known."""
    batches = getattr(loader, "batch_sampler", None)
    for sampler in (getattr(loader, "sampler", None), getattr(batches, "sampler", None)):
        if isinstance(sampler, _UNORDERED):
            raise ValueError(
                f"loader: rows must come in dataset order; a {type(sampler).__name__} came; build "
                "the DataLoader with shuffle=False and without a random sampler"
            )
    if getattr(loader, "drop_last", False) or getattr(batches, "drop_last", False):
        raise ValueError(
            "loader: every row must come; drop_last=True would leave the last ones out; build the "
            "DataLoader with drop_last=False"
        )
    ordered = (
        isinstance(loader, DataLoader)
        and not isinstance(loader.dataset, IterableDataset)
        and type(batches) is BatchSampler
        and isinstance(batches.sampler, SequentialSampler)
    )
    return len(loader.dataset) if ordered else None  # type: ignore[attr-defined]


@contextmanager
def with_bar(loader: Iterable[Any], progress: bool) -> Iterator[Iterable[Any]]:
    """Yield the loader's batches, counted by a bar on stderr if wished."""
    if not progress:
        yield loader
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("scoring", total=operator.length_hint(loader) or None)

        def counted() -> Iterator[Any]:
            for batch in loader:
                yield batch
                bar.advance(task)

        yield counted()


def model_input(batch: Any) -> Tensor:
    """Return the model's input from a batch."""
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
        return next((item for item in value if isinstance(item, Tensor)), None)
    return None


def _describe(value: Any) -> str:
    keys = f" with keys {list(value)}" if isinstance(value, Mapping) else ""
    return f"{type(value).__name__}{keys}"
