"""The loop that runs a model over a pool: transfers that overlap, and batches halved if need be."""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


def run(
    pool: Pool,
    forward: Callable[[Tensor, Batch], Blocks],
    table: Table,
    target: torch.device,
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
    progress
        Whether to show a bar.

    Raises
    ------
    ValueError
        If a row comes out as NaN or infinite.
    """
    halving = _Halving(forward, target)
    waiting: deque[_Copied] = deque()
    try:
        for batch in pool.batches(table.done, progress):
            waiting.append(_Copied.of(batch.rows, halving(batch), target))
            # On a GPU, results are read one batch late, when the next one is under way.
            while len(waiting) > (target.type == "cuda"):
                waiting.popleft().write(table)
        while waiting:
            waiting.popleft().write(table)
    finally:
        table.close()


@dataclass
class _Halving:
    """Runs a batch whole, or in the largest parts that fit into the memory of the device."""

    forward: Callable[[Tensor, Batch], Blocks]
    target: torch.device
    limit: int | None = None
    stream: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.target.type == "cuda":
            self.stream = torch.cuda.Stream(self.target)  # type: ignore[no-untyped-call]

    def __call__(self, batch: Batch) -> Blocks:
        """Return the blocks of a batch."""
        while True:
            step = min(self.limit or len(batch.x), len(batch.x))
            try:
                parts = [self.forward(self._sent(part.x), part) for part in batch.parts(step)]
                break
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
        if len(parts) == 1:
            return parts[0]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _sent(self, x: Tensor) -> Tensor:
        """Copy inputs to the device, on a GPU while it still computes the batch before."""
        if self.stream is None or x.device.type != "cpu":
            return x.to(self.target)
        pinned = x if x.is_pinned() else x.pin_memory()
        with torch.cuda.stream(self.stream):
            sent = pinned.to(self.target, non_blocking=True)
        current = torch.cuda.current_stream(self.target)
        current.wait_stream(self.stream)
        sent.record_stream(current)
        return sent


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


def require_finite(problem: Tensor, rows: "NDArray[np.int64]") -> None:
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
