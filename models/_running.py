"""The loop that runs a model over a pool: transfers that overlap, and batches halved if need be."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ._loaders import Batch, Pool
from ._tables import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

Blocks = dict[str, Tensor]
PROBLEM = "not finite"
"""Name of a block that is finite for good rows only; it is not kept."""
TOGETHER, SECONDS = 1 << 19, 1.0
"""Bytes and seconds of blocks that are finished together: what a cache holds."""


def run(
    pool: Pool,
    forward: Callable[[Tensor, Batch], Blocks],
    table: Table,
    target: torch.device,
    finish: Callable[[Blocks, "NDArray[np.int64]"], Blocks] = lambda blocks, _: blocks,
    together: int = 0,
    *,
    progress: bool,
) -> None:
    """Run a model over all batches of a pool and write what it says into a table.

    Parameters
    ----------
    pool
        The loader.
    forward
        Makes blocks, one row for each input, of inputs ``(n, ...)`` that are on the device, and
        the batch (or part of one) they are from.
    table
        Where the blocks go; rows that it has already are skipped.
    target
        The device.
    finish
        Makes the blocks to be kept, row by row, of those of `forward` and their dataset rows.
    together
        Blocks of several batches are finished and written together, up to so many bytes or a
        second: around a small network, call by call takes longer than the computing.
    progress
        Whether to show a bar.

    Raises
    ------
    ValueError
        If a row comes out as NaN or infinite.
    """
    halving = _Halving(target)
    gathered = _Gathered(halving, finish, together, table)
    try:
        for batch in pool.batches(table.done, progress):

            def work(some: slice, batch: Batch = batch) -> Blocks:
                part = batch.part(some)
                return forward(halving.sent(part.x), part)

            gathered.add(batch.rows, halving(len(batch.rows), work))
        gathered.flush()
    except BaseException:
        with suppress(Exception):
            gathered.flush()
        raise
    finally:
        table.close()


@dataclass
class _Halving:
    """Does work on rows at once, or in the largest parts that fit into the memory of the device."""

    target: torch.device
    limit: int | None = None
    stream: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.target.type == "cuda":
            self.stream = torch.cuda.Stream(self.target)  # type: ignore[no-untyped-call]

    def __call__(self, number: int, work: Callable[[slice], Blocks]) -> Blocks:
        """Return the blocks of so many rows."""
        while True:
            step = max(min(self.limit or number, number), 1)
            try:
                if step >= number:
                    return work(slice(0, step))
                return _joined([work(slice(at, at + step)) for at in range(0, number, step)])
            except torch.OutOfMemoryError:
                if step <= 1:
                    raise
            # Outside of the handler, whose traceback would hold on to the tensors.
            if self.limit is None:
                logging.getLogger("labelcut").warning(
                    "out of memory with %d rows at a time: going on with half batches", step
                )
            self.limit = step // 2
            if self.target.type == "cuda":
                torch.cuda.empty_cache()

    def sent(self, x: Tensor) -> Tensor:
        """Copy inputs to the device, on a GPU while it still computes the batch before."""
        if self.stream is None or x.device.type != "cpu":
            return x if x.device == self.target else x.to(self.target)
        pinned = x if x.is_pinned() else x.pin_memory()
        with torch.cuda.stream(self.stream):
            sent = pinned.to(self.target, non_blocking=True)
        current = torch.cuda.current_stream(self.target)
        current.wait_stream(self.stream)
        sent.record_stream(current)
        return sent


@dataclass
class _Gathered:
    """Blocks of batches until they are worth finishing, and on their way into a table.

    They wait in one piece of memory: small pieces that stay would push aside those that the network
    takes again and again, out of the processor's cache.
    """

    halving: _Halving
    finish: Callable[[Blocks, "NDArray[np.int64]"], Blocks]
    together: int
    table: Table
    rows: "list[NDArray[np.int64] | range]" = field(init=False, default_factory=list)
    room: Blocks = field(init=False, default_factory=dict)
    holds: int = field(init=False, default=0)
    number: int = field(init=False, default=0)
    began: float = field(init=False, default=0.0)
    waiting: "deque[_Copied]" = field(init=False, default_factory=deque)

    def add(self, rows: "NDArray[np.int64] | range", blocks: Blocks) -> None:
        """Take the blocks of a batch."""
        start, end = self.number, self.number + len(rows)
        if end > self.holds or not self._alike(blocks):
            self._finish()
            size = sum(block.nbytes for block in blocks.values())
            if not 0 < size < self.together:
                self._keep(_listed(rows), blocks)
                return
            start, end = 0, len(rows)
            if end > self.holds or not self._alike(blocks):
                self.holds = end * self.together // size
                self.room = {n: b.new_empty((self.holds, *b.shape[1:])) for n, b in blocks.items()}
        if start == 0:
            self.began = time.monotonic()
        for name, block in blocks.items():
            self.room[name].narrow(0, start, end - start).copy_(block)
        self.rows.append(rows)
        self.number = end
        if time.monotonic() - self.began >= SECONDS:
            self._finish()

    def _alike(self, blocks: Blocks) -> bool:
        return all(self.room[n].shape[1:] == block.shape[1:] for n, block in blocks.items())

    def flush(self) -> None:
        """Write everything."""
        self._finish()
        self._write(0)

    def _finish(self) -> None:
        if not self.number:
            return
        rows, blocks = (
            np.concatenate([_listed(rows) for rows in self.rows]),
            {n: b[: self.number] for n, b in self.room.items()},
        )
        self.rows, self.number = [], 0
        self._keep(rows, blocks)

    def _keep(self, rows: "NDArray[np.int64]", blocks: Blocks) -> None:
        target = self.halving.target
        finished = self.halving(
            len(rows),
            lambda some: self.finish({name: b[some] for name, b in blocks.items()}, rows[some]),
        )
        self.waiting.append(_Copied.of(rows, finished, target))
        # On a GPU, results are read when the next ones are under way.
        self._write(int(target.type == "cuda"))

    def _write(self, left: int) -> None:
        while len(self.waiting) > left:
            self.waiting.popleft().write(self.table)


def _listed(rows: "NDArray[np.int64] | range") -> "NDArray[np.int64]":
    return np.arange(rows.start, rows.stop) if isinstance(rows, range) else rows


def _joined(parts: list[Blocks]) -> Blocks:
    if len(parts) == 1:
        return parts[0]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


@dataclass(frozen=True)
class _Copied:
    """Blocks on their way back to the host."""

    rows: "NDArray[np.int64]"
    blocks: Blocks
    arrived: Any

    @classmethod
    def of(cls, rows: "NDArray[np.int64]", blocks: Blocks, target: torch.device) -> "_Copied":
        if target.type != "cuda":
            return cls(rows, {name: block.cpu() for name, block in blocks.items()}, None)
        hosted = {}
        for name, block in blocks.items():
            hosted[name] = torch.empty(block.shape, dtype=block.dtype, pin_memory=True)
            hosted[name].copy_(block, non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record(torch.cuda.current_stream(target))
        return cls(rows, hosted, arrived)

    def write(self, table: Table) -> None:
        """Wait until the blocks are there, look whether they are finite, and keep them."""
        if self.arrived is not None:
            self.arrived.synchronize()
        problem = self.blocks.pop(PROBLEM, None)
        if problem is not None:
            require_finite(problem, self.rows)
        table.write(self.rows, {name: block.numpy() for name, block in self.blocks.items()})


def finiteness(logits: Tensor) -> Tensor:
    """Return numbers ``(n,)`` that are finite where rows ``(n, C)`` are: their sums."""
    return logits.sum(1)


def require_finite(problem: Tensor, rows: "NDArray[np.int64] | range") -> None:
    """Raise a ValueError that names the first row that is not finite, by its sum."""
    values = problem.cpu().numpy()
    finite = np.isfinite(values)
    if not finite.all():
        first = int(finite.argmin())
        raise ValueError(
            f"model: logits must be finite; row {rows[first]} of the dataset came out as "
            f'{values[first]}; check that row\'s input, the weights, or pass amp="off"'
        )


@contextmanager
def seeded(seed: int, row: int, target: torch.device) -> Iterator[None]:
    """Yield once with torch's random numbers begun anew; restore them afterwards."""
    with torch.random.fork_rng([target] if target.type == "cuda" else []):
        # Hashed, as the generator of the CPU looks at 32 bits only.
        torch.manual_seed(int(np.random.SeedSequence([seed, row]).generate_state(1)[0]))
        yield
