"""Seeded long-tailed pools of any size, for benchmarks, tests and first tries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from .arrays import Floats, Ints

CHUNK = 20_000


@dataclass(frozen=True, eq=False)
class Pool:
    """A made-up pool as a classifier would score it.

    Parameters
    ----------
    probs
        Softmax outputs ``(N, C)`` float32.
    utility
        Their entropy ``(N,)`` float64, in nats.
    truth
        True classes ``(N,)``.
    """

    probs: Any
    utility: Floats
    truth: Ints


def long_tailed_pool(
    rows: int,
    classes: int,
    *,
    imbalance: float = 0.1,
    seed: int = 0,
    path: str | Path | None = None,
) -> Pool:
    r"""Draw a pool in which half of the classes are rare, as the thesis makes its data sets.

    A row's class is drawn with half of the classes, at random, at `imbalance` times the frequency
    of the others (section 4.5.1). Its logits are noise of standard deviation 1.5, plus a margin
    :math:`\mathcal N(4, 2^2)` at its own class, so that some rows are sure and some are wrong.

    Parameters
    ----------
    rows, classes
        N and C.
    imbalance
        The imbalance factor, 1 for a balanced pool.
    seed
        Same seed, same pool.
    path
        ``.npy`` file for the probabilities, which are memory-mapped then.

    Examples
    --------
    >>> pool = long_tailed_pool(1000, 4)
    >>> pool.probs.shape, bool(np.allclose(pool.probs.sum(axis=1), 1, atol=1e-5))
    ((1000, 4), True)
    """
    rng = np.random.default_rng(seed)
    frequency = np.ones(classes)
    frequency[rng.permutation(classes)[: classes // 2]] = imbalance
    frequency /= frequency.sum()
    if path is None:
        probs: Any = np.empty((rows, classes), dtype=np.float32)
    else:
        probs = np.lib.format.open_memmap(path, "w+", dtype=np.float32, shape=(rows, classes))
    utility, truth = np.empty(rows), np.empty(rows, dtype=np.int64)
    for start in range(0, rows, CHUNK):
        part = slice(start, min(start + CHUNK, rows))
        count = part.stop - start
        truth[part] = rng.choice(classes, size=count, p=frequency)
        logits = rng.normal(0.0, 1.5, size=(count, classes))
        logits[np.arange(count), truth[part]] += rng.normal(4.0, 2.0, size=count)
        logits -= logits.max(axis=1, keepdims=True)
        scores = np.exp(logits)
        total = scores.sum(axis=1)
        utility[part] = np.log(total) - (scores * logits).sum(axis=1) / total
        probs[part] = scores / total[:, None]
    if path is not None:
        probs.flush()
        probs = np.load(path, mmap_mode="r")
    return Pool(probs, utility, truth)
