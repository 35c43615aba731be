"""Policy files of kind ``ralis``: train on labeled images, value the regions of others.

Training plays on images and labels. Applying needs no images: what any segmentation network says
about the regions (`score_regions` with ``cells``) is enough, as states and actions do not depend on
the network.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.arrays import as_integers
from ...problems.budgeted import BudgetedSelection
from ...problems.constraints import GroupLimit
from ...problems.errors import InvalidInput
from .files import PolicyFile, PolicyKind, Tell
from .pools import draw_pools, pool_problem
from .ralis import RalisTraining, Schedule
from .region_game import Batches
from .scenes import VOID, Scenes
from .segmentation_game import Sizes, draw_splits
from .segmentation_worlds import NetworkPlan, SegmentationWorld

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ...models.policies import Policy

_ARRAY = (str, list, dict)
_NUMBER = (float, int)
_MAPS = ("histogram", "cells", "state_histogram", "state_cells")
DATA: Mapping[str, tuple[type, ...]] = {
    "images": _ARRAY,
    "labels": _ARRAY,
    "classes": (int,),
    **dict.fromkeys(_MAPS, _ARRAY),
    "labeled": _ARRAY,
    "truth": _ARRAY,
    "image": _ARRAY,
    "group": _ARRAY,
    "ids": _ARRAY,
    "table": (dict,),
}
_FEATURES = {"cells": (int,), "pooled": (list,), "bins": (int,)}
_LEARNING = {
    "discount": _NUMBER,
    "lr": _NUMBER,
    "momentum": _NUMBER,
    "weight_decay": _NUMBER,
    "batch": (int,),
    "replay": (int,),
    "updates": (int,),
    "target_every": (int,),
    "clip": _NUMBER,
    "hidden": (int,),
}
_BATCHES = {"pools": (int,), "size": (int,), "budget": (int,)}
_SCHEDULE = {"episodes": (int,), "epsilon": (list,), "exploring": _NUMBER}
_SIZES = {"state": (int,), "initial": (int,), "train": (int,), "reward": (int,)}
_NETWORK = {"region": (list,), "width": (int,), "epochs": (int,), "learning_rate": _NUMBER}
TRAINING: Mapping[str, tuple[type, ...]] = {
    **_FEATURES,
    **_LEARNING,
    **_BATCHES,
    **_SCHEDULE,
    **_SIZES,
    **_NETWORK,
    "seed": (int,),
}
BATCH: Mapping[str, tuple[type, ...]] = {
    **_BATCHES,
    "seed": (int,),
    "at_most_image": (int,),
    "at_most_group": (int,),
}


def train(file: PolicyFile, folder: Path, tell: Tell) -> Mapping[str, Any]:
    """Train on the file's images, going on from the last episode that is kept."""
    from ...models.policies import save_policy
    from ...models.policies.ralis import RalisSettings
    from ...models.policies.ralis_features import RalisFeatures

    said = {name: _tuple(value) for name, value in file.training.items()}
    if "region" not in said:
        raise InvalidInput("[training] region: is missing; say its height and width, as [45, 40]")
    _require_pair(said, "region", int)
    _require_pair(said, "epsilon", int, float)
    scenes = _scenes(file)
    seed = said.get("seed", 0)
    features = RalisFeatures(len(scenes.names), **_some(said, _FEATURES))
    sizes = Sizes(**_some(said, _SIZES))
    splits = draw_splits(scenes, sizes, np.empty(0, np.int64), seed)
    plan = NetworkPlan(cells=features.cells, **_some(said, _NETWORK))
    training = RalisTraining(
        SegmentationWorld(scenes, splits, plan, seed).training_game(),
        features,
        Batches(**_some(said, _BATCHES)),
        RalisSettings(**_some(said, _LEARNING)),
        Schedule(**_some(said, _SCHEDULE)),
        seed,
        folder,
        {"images": scenes.fingerprint, "splits": asdict(sizes), "network": asdict(plan)},
    )
    policy = training.run(tell)
    save_policy(policy, folder)
    return {
        "episodes": len(training.episodes),
        "gain of the last": round(training.episodes[-1].gain, 3),
        "classes": policy.classes,
        "fingerprint": policy.fingerprint,
    }


def apply(file: PolicyFile, policy: Policy) -> BudgetedSelection:
    """Make the problem of choosing the next regions by the policy's values.

    With ``[batch] pools`` and ``size``, one region of each pool of regions drawn by ``seed``;
    without, `budget` of all regions that are not labeled, at most so many of an image and of a
    group (of near-duplicates).
    """
    for key in _MAPS:
        if key not in file.data:
            raise InvalidInput(f"[data] {key}: is missing; name its array file")
    if "size" in file.batch and "pools" not in file.batch:
        raise InvalidInput("[batch] size: is that of pools; say how many pools, or leave it out")
    maps = {name: np.asarray(file.array(name)) for name in _MAPS}
    labeled = np.empty(0, dtype=np.int64)
    if "labeled" in file.data:
        labeled = np.unique(as_integers(file.array("labeled"), "labeled"))
    _require_rows(labeled, len(maps["histogram"]))
    truth = np.asarray(file.array("truth")) if "truth" in file.data else None
    if truth is not None and len(truth) != len(maps["histogram"]):
        raise InvalidInput(
            f"[data] truth: must have one row for each of {len(maps['histogram']):,} regions, of "
            f"which those of labeled ones are read; {len(truth):,} came"
        )
    values = region_values(policy, maps, None if truth is None else truth[labeled], labeled)
    table = {**file.table(), **_groups(file, len(values))}
    if "pools" in file.batch:
        return _of_pools(file, values, labeled, table)
    limits = [
        GroupLimit(table[column], at_most=file.batch[f"at_most_{column}"], name=f"each {column}")
        for column in ("image", "group")
        if f"at_most_{column}" in file.batch
    ]
    return BudgetedSelection(
        values,
        file.batch.get("budget", 100),
        labeled=labeled,
        constraints=limits,
        ids=file.array("ids", text=True),
        table=table,
    )


def region_values(
    policy: Policy,
    maps: Mapping[str, NDArray[Any]],
    truth: NDArray[Any] | None,
    labeled: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return Q of every region ``(R,)``.

    Parameters
    ----------
    policy
        A policy of RALIS.
    maps
        ``histogram`` ``(R, C)`` and ``cells`` ``(R, 3·g·g)`` of the regions, as `score_regions`
        gives them, and ``state_histogram`` and ``state_cells`` of those of the state.
    truth
        Share of each true class in the labeled regions ``(L, C)``; needed where there are some.
    labeled
        Rows that are labeled already ``(L,)``; the others are the unlabeled regions.

    Raises
    ------
    InvalidInput
        If the truth of labeled regions is missing.
    ValueError
        If the policy was trained for other features, classes, or regions of a state.
    """
    from ...models.policies.ralis import policy_features, query_network, query_values
    from ...models.policies.ralis_features import RegionMaps

    _require_maps(maps)
    if len(labeled) and truth is None:
        raise InvalidInput(
            "[data] truth: is missing; labeled regions need their share of each true class"
        )
    features = policy_features(policy)
    policy.require("ralis", features.names, maps["histogram"].shape[1])
    nothing = np.zeros(0)
    state = features.state(RegionMaps(maps["state_histogram"], maps["state_cells"], nothing))
    unlabeled = np.delete(maps["histogram"], labeled, axis=0)
    known = np.zeros((0, features.classes)) if truth is None else truth
    regions = RegionMaps(maps["histogram"], maps["cells"], nothing)
    actions = features.actions(regions, known, unlabeled)
    return query_values(query_network(policy, len(state)), state, actions)


def _require_maps(maps: Mapping[str, NDArray[Any]]) -> None:
    for name, values in maps.items():
        if values.ndim != 2:
            raise InvalidInput(f"[data] {name}: must have shape (R, ...); {values.shape} came")
        partner = name.replace("cells", "histogram")
        if len(values) != len(maps[partner]):
            raise InvalidInput(
                f"[data] {name}: must have one row for each of the {len(maps[partner]):,} of "
                f"{partner}; {len(values):,} came"
            )
        fit = np.isfinite(values).all(axis=1)
        if name == partner:
            fit &= np.abs(values.sum(axis=1) - 1) <= 1e-3
        if not fit.all():
            rule = "shares that sum to 1" if name == partner else "finite"
            raise InvalidInput(
                f"[data] {name}: must be {rule}; row {int(np.argmin(fit))} is not; score it again"
            )


def _require_rows(labeled: NDArray[np.int64], size: int) -> None:
    outside = labeled[(labeled < 0) | (labeled >= size)]
    if len(outside):
        raise InvalidInput(f"[data] labeled: rows go from 0 to {size - 1:,}; {outside[0]} came")


def _of_pools(
    file: PolicyFile,
    values: NDArray[np.float64],
    labeled: NDArray[np.int64],
    table: Mapping[str, NDArray[Any]],
) -> BudgetedSelection:
    beside = [key for key in ("budget", "at_most_image", "at_most_group") if key in file.batch]
    if beside:
        raise InvalidInput(
            f"[batch] {beside[0]}: goes without pools, which take one region each; leave one out"
        )
    unlabeled = np.setdiff1d(np.arange(len(values)), labeled)
    rng = np.random.default_rng(file.batch.get("seed", 0))
    drawn = draw_pools(unlabeled, file.batch["pools"], file.batch.get("size", 10), rng)
    return pool_problem(values[drawn], drawn, table)


def _groups(file: PolicyFile, size: int) -> dict[str, NDArray[Any]]:
    """Return the columns that limits count."""
    found = {}
    for column in ("image", "group"):
        if column in file.data:
            found[column] = np.asarray(file.array(column, text=True))
            if len(found[column]) != size:
                raise InvalidInput(
                    f"[data] {column}: must have one value for each of {size:,} regions; "
                    f"{len(found[column]):,} came"
                )
        elif f"at_most_{column}" in file.batch:
            raise InvalidInput(f"[batch] at_most_{column}: needs [data] {column}; add it")
    return found


def _scenes(file: PolicyFile) -> Scenes:
    for key in ("images", "labels", "classes"):
        if key not in file.data:
            raise InvalidInput(f"[data] {key}: is missing; training needs it")
    images, labels = np.asarray(file.array("images")), np.asarray(file.array("labels"))
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise InvalidInput(
            f"[data] images: must be bytes (n, H, W, 3); {images.dtype} {images.shape} came"
        )
    if labels.shape != images.shape[:3]:
        raise InvalidInput(
            f"[data] labels: must have shape {images.shape[:3]}, one class for each pixel; "
            f"{labels.shape} came"
        )
    classes = file.data["classes"]
    if not 2 <= classes <= VOID:
        raise InvalidInput(f"[data] classes: must lie between 2 and {VOID}; {classes} came")
    labels = np.where((labels >= 0) & (labels < classes), labels, VOID).astype(np.uint8)
    ids = np.arange(len(images)).astype(np.str_)
    # Copied, as torch takes no memory-mapped array that cannot be written.
    return Scenes(images.copy(), labels, tuple(f"class {c}" for c in range(classes)), ids)


def _require_pair(said: Mapping[str, Any], name: str, *types: type) -> None:
    pair = said.get(name, (types[0](), types[0]()))
    if len(pair) != 2 or any(type(value) not in types for value in pair):
        raise InvalidInput(f"[training] {name}: must be two numbers; got {list(pair)}")


def _some(said: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in names if name in said}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


KIND = PolicyKind(data=DATA, training=TRAINING, batch=BATCH, needed=(), train=train, apply=apply)
