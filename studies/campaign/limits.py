"""How a campaign's models are trained: on so many threads, and alike in every run."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """Let torch and BLAS use so many threads in the block, and algorithms that repeat themselves.

    What these were before comes back, as the process may be the user's own.
    """
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(threads)
    # What `use_deterministic_algorithms` sets too, which imports torch's compiler for a second.
    torch.set_deterministic_debug_mode("warn")
    try:
        with threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_deterministic_debug_mode(before[1])
