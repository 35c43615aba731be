"""Data loaders: which dataset rows each batch holds, and where to go on after a stop."""

import operator
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from ._batches import model_input

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNORDERED = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler, DistributedSampler)
_INDICES = "indices"


class Batch(NamedTuple):
    """A batch of a loader.

    Attributes
    ----------
    rows
        Dataset rows ``(n,)`` it holds, a range where they follow each other.
    x
        The model's input, n first.
    content
        All that the loader gave.
    offset
        Where the rows begin in it, if this is a part of a batch.
    """

    rows: "NDArray[np.int64] | range"
    x: Tensor
    content: Any
    offset: int = 0

    def part(self, some: slice) -> "Batch":
        """Return some of the rows, as a batch of their own."""
        if some.start == 0 and some.stop >= len(self.rows):
            return self
        return Batch(self.rows[some], self.x[some], self.content, self.offset + some.start)


@dataclass(frozen=True)
class Pool:
    """A loader and what is known of it.

    Attributes
    ----------
    loader
        Any iterable of batches.
    size
        Number of rows of the dataset, if known.
    shuffled
        The sampler that draws rows in another order, if one does.
    """

    loader: Iterable[Any]
    size: int | None
    shuffled: str | None

    @classmethod
    def of(cls, loader: Iterable[Any]) -> "Pool":
        """Look at a loader; raise a ValueError if it leaves rows out."""
        if isinstance(loader, Dataset) and not isinstance(loader, IterableDataset):
            raise TypeError(
                f"loader: must give batches; a {type(loader).__name__} came, which gives single "
                "rows; pass DataLoader(dataset, batch_size=64)"
            )
        if not isinstance(loader, Iterable | DataLoader):
            raise TypeError(
                f"loader: must be a DataLoader or give batches otherwise; {type(loader).__name__} "
                "came; pass DataLoader(dataset, batch_size=64)"
            )
        batches = getattr(loader, "batch_sampler", None)
        if getattr(loader, "drop_last", False) or getattr(batches, "drop_last", False):
            raise ValueError(
                "loader: every row must come; drop_last=True would leave the last ones out; build "
                "the DataLoader with drop_last=False"
            )
        samplers = (getattr(loader, "sampler", None), getattr(batches, "sampler", None))
        shuffled = next((type(s).__name__ for s in samplers if isinstance(s, _UNORDERED)), None)
        dataset = getattr(loader, "dataset", None)
        known = _is_sequential(loader) or (shuffled and hasattr(dataset, "__len__"))
        return cls(loader, len(dataset) if known else None, shuffled)  # type: ignore[arg-type]

    def batches(self, done: "NDArray[np.bool_] | None", progress: bool) -> "Iterator[Batch]":
        """Yield the batches that hold a row not done yet, counted by a bar on stderr if wished.

        A plain `DataLoader` is entered at the first of them; of any other iterable, the batches
        before it are taken and dropped.
        """
        loader, start = self.loader, 0
        if done is not None and done.any() and _is_sequential(loader):
            first = int(done.argmin()) if not done.all() else len(done)
            loader, start = _entered(loader, first)  # type: ignore[arg-type]
        with _with_bar(loader, progress) as counted:
            for content in counted:
                x = model_input(content)
                rows = self._rows(content, start, x.shape[0] if x.ndim else 0)
                start += len(rows)
                if done is None or not done[rows].all():
                    yield Batch(rows, x, content)

    def _rows(self, content: Any, start: int, count: int) -> "NDArray[np.int64] | range":
        """Return the rows of a batch: those it names, else the next ones."""
        plain = isinstance(content, list | tuple | Tensor)
        named = content.get(_INDICES) if not plain and isinstance(content, Mapping) else None
        if named is None or _is_sequential(self.loader):
            if self.shuffled:
                raise ValueError(
                    f"loader: rows must come in dataset order; a {self.shuffled} came; build the "
                    "DataLoader with shuffle=False and without a random sampler, or let the "
                    f'dataset give mappings that hold the row under "{_INDICES}"'
                )
            if self.size is not None and start + count > self.size:
                raise ValueError(mismatch(f"at least {start + count}", self.size))
            return range(start, start + count)
        rows = np.asarray(named)
        largest = self.size if self.size is not None else np.iinfo(np.int64).max
        if (
            rows.shape != (count,)
            or not np.issubdtype(rows.dtype, np.integer)
            or (count and not 0 <= rows.min() <= rows.max() < largest)
        ):
            raise ValueError(
                f'loader: "{_INDICES}" must hold {count} row numbers from 0 to N - 1; '
                f"{rows.dtype} {np.array2string(rows, threshold=6)} came for N = {self.size}; give "
                "the dataset row of every input"
            )
        return rows.astype(np.int64)


def mismatch(came: str, expected: int) -> str:
    """Say that a model or loader gave another number of rows than the dataset has."""
    return (
        f"model: must give one row for each row of the dataset; {came} came for {expected}; "
        "check that the model keeps the batch axis first"
    )


def _is_sequential(loader: Iterable[Any]) -> bool:
    """Tell whether a loader gives the rows of a dataset one after the other."""
    return (
        isinstance(loader, DataLoader)
        and not isinstance(loader.dataset, IterableDataset)
        and type(loader.batch_sampler) is BatchSampler
        and isinstance(loader.batch_sampler.sampler, SequentialSampler)
    )


def _entered(loader: "DataLoader[Any]", row: int) -> "tuple[DataLoader[Any], int]":
    """Return a loader of the same batches that begins at the one with a row, and its first row."""
    size = int(loader.batch_sampler.batch_size)  # type: ignore[union-attr]
    start = row // size * size
    rest = range(start, len(loader.dataset))  # type: ignore[arg-type]
    same = DataLoader(
        loader.dataset,
        batch_sampler=BatchSampler(rest, size, drop_last=False),
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
    )
    return same, start


@contextmanager
def _with_bar(loader: Iterable[Any], progress: bool) -> Iterator[Iterable[Any]]:
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
