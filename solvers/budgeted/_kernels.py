"""The loops, compiled. Imported only when they run so: that takes half a second and more."""

from __future__ import annotations

import numpy as np

from .._compiling import to_compile
from . import _loops

count = to_compile(_loops.count)
fit = to_compile(_loops.fit)
best_sets = to_compile(_loops.best_sets)
exchange = to_compile(_loops.exchange)
heaviest = to_compile(_loops.heaviest)
losses = to_compile(_loops.losses)


def compile_for(swaps: bool = False) -> None:
    """Compile the loops, or the search by swaps, or load them from the disk, by a tiny run."""
    if swaps:
        from ._swap_kernels import compile_swaps

        return compile_swaps()
    weights, first, last = np.array([1.0, 2.0]), np.zeros(2, dtype=np.int64), np.array([1, 1])
    starts, price, keys = np.array([0, 2]), np.zeros(1), np.zeros(2)
    many, chosen = np.ones(1, dtype=np.int64), np.zeros(2, dtype=bool)
    sums, counts = np.zeros((3, 3)), np.zeros((2, 3), dtype=np.int64)
    count(weights, first, starts, price, sums[0], counts[0], sums[1], counts[1], many, many.copy())
    fit(starts[:1], starts[1:], last, many)
    best_sets(weights, first, starts, price, keys, True, sums[0], counts[0], sums[1], chosen, many)
    exchange(
        weights, last, starts, keys, many, ~chosen, counts[0], counts[1], sums[0], sums[1], chosen
    )
    heaviest(weights, first, starts, sums[0], price)
    losses(weights, first, last, starts, chosen, sums[0], sums[1], keys)
