"""Pools for class-balanced selection: made ones, real softmax outputs, and constraints on them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import labelcut
from labelcut.problems.synthetic import long_tailed_pool

VIDEOS, SPACING, AT_MOST = 800, 3, 6
"""Videos of a pool with limits, rows that a chosen one excludes on each side, and rows of each."""


@dataclass(frozen=True)
class Instance:
    """A problem to measure on.

    Parameters
    ----------
    label
        Its name in the table.
    pool
        Rows and classes of a `long_tailed_pool`, or the name of a file of real softmax outputs.
    budget, balance
        b and λ.
    labeled_share
        Ω is the paper's after this share of the pool's classes was labeled; b/C each for 0.
    limits
        ``"video"``: the rows are frames of videos, spaced and at most `AT_MOST` of each;
        ``"all"``: beside that costs, a least number by night, limits for each city, and labels
        expected of two classes; empty for none.
    """

    label: str
    pool: tuple[int, int] | str
    budget: int
    balance: float = 1.0
    labeled_share: float = 0.0
    limits: str = ""


def pool_folder(instance: Instance, folder: Path) -> Path | None:
    """Return the folder of an instance's arrays, made at its first use; None if there is none."""
    name = instance.pool
    place = folder / (name if isinstance(name, str) else f"{name[0]}x{name[1]}")
    if place.exists():
        return place
    if isinstance(name, str):
        source = Path(os.environ.get("LABELCUT_DATA") or "missing") / "softmax" / f"{name}.npz"
        if not source.exists():
            return None
        place.mkdir()
        with np.load(source) as arrays:
            probs, truth = arrays["probs"], arrays["labels"]
        np.save(place / "probs.npy", probs)
        utility = labelcut.entropy(probs.astype(np.float64))
    else:
        place.mkdir()
        pool = long_tailed_pool(*name, path=place / "probs.npy")
        utility, truth = pool.utility, pool.truth
    np.save(place / "utility.npy", utility)
    np.save(place / "truth.npy", truth)
    return place


def read_problem(folder: Path, instance: Instance) -> labelcut.ClassBalanced:
    """Return an instance's problem from the folder of its arrays, memory-mapped."""
    probs = np.load(folder / "probs.npy", mmap_mode="r")
    counts = np.zeros(probs.shape[1])
    if instance.labeled_share:
        truth = np.load(folder / "truth.npy")
        labeled = truth[: int(instance.labeled_share * len(truth))]
        counts = np.bincount(labeled, minlength=probs.shape[1]).astype(np.float64)
    utility = np.load(folder / "utility.npy")
    return labelcut.ClassBalanced(
        probs,
        utility,
        instance.budget,
        balance=instance.balance,
        labeled_counts=counts,
        constraints=_constraints(probs, utility, instance.limits),
    )


def _constraints(probs: Any, utility: Any, limits: str) -> list[Any]:
    """Return the constraints of an instance; frames of a video are of like utility."""
    if not limits:
        return []
    size, rng = len(utility), np.random.default_rng(1)
    order = np.argsort(utility + rng.normal(scale=utility.std(), size=size))
    ends = np.cumsum(rng.dirichlet(np.full(VIDEOS, 3.0)) * size)
    video, frame = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    video[order] = np.minimum(np.searchsorted(ends, np.arange(size), side="right"), VIDEOS - 1)
    frame[order] = rng.permutation(size)
    by_time = np.lexsort((frame, video))
    first = np.searchsorted(video[by_time], np.arange(VIDEOS))
    frame[by_time] = np.arange(size) - first[video[by_time]]
    rules: list[Any] = [
        labelcut.Spacing(video, frame, SPACING),
        labelcut.GroupLimit(video, at_most=AT_MOST),
    ]
    if limits == "all":
        night, city = (rng.random(size) < 0.03).astype(int), rng.integers(0, 7, size)
        included = by_time[first[:10]]
        costs = 1 + 2 * (rng.random(size) < 0.4) + rng.random(size)
        rules += [
            labelcut.Cost(costs, 4_200),
            labelcut.GroupLimit(night, at_least={1: 300}),
            labelcut.GroupLimit(city, at_most=420, at_least=200),
            labelcut.ExpectedCount(probs, [0, 1], at_least=[260, 250]),
            labelcut.Include(included),
            labelcut.Forbid(np.setdiff1d(np.arange(size // 2, size // 2 + 100), included)),
        ]
    return rules
