"""Policy files of kind ``misical``: train on labeled patches, value the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems import BudgetedSelection, GroupLimit, Include
from ...problems.arrays import as_integers
from ...problems.errors import InvalidInput
from ...problems.problem_files import require_types
from ...solvers import solve
from .files import PolicyFile, PolicyKind, Tell
from .mining import Limit, explored
from .misical import Patches, require_features, train_misical

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ...models.policies import Policy
    from ...problems.constraints import Constraint

DATA = {
    "features": (str, list, dict),
    "holds": (str, list, dict),
    "labeled": (str, list, dict),
    "image": (str, list, dict),
    "group": (str, list, dict),
    "ids": (str, list, dict),
    "table": (dict,),
}
LEARNING = {
    "hidden": (list,),
    "rate": (float, int),
    "decay": (float, int),
    "batch": (int,),
    "clip": (float, int),
    "discount": (float, int),
    "steps": (int,),
    "follow": (float, int),
    "explore": (float, int),
    "capacity": (int,),
    "exponent": (float, int),
    "correction": (float, int),
    "updates": (int,),
    "seed": (int,),
}
TRAINING = {**LEARNING, "passes": (int,), "size": (int,), "draw": (int,), "begin": (str,)}
BATCH = {
    "budget": (int,),
    "draw": (int,),
    "seed": (int,),
    "explore": (float, int),
    "at_most_image": (int,),
    "at_most_group": (int,),
}


def train(file: PolicyFile, folder: Path, tell: Tell) -> Mapping[str, Any]:
    """Train on the file's labeled patches, going on from the last pass that is kept."""
    from ...models.policies.misical_agent import Settings

    for key in ("holds", "labeled"):
        if key not in file.data:
            raise InvalidInput(f"[data] {key}: is missing; training needs it")
    patches = Patches(_features(file), np.asarray(file.array("holds")), _labeled(file))
    stated = dict(file.training)
    arguments: dict[str, Any] = {
        key: stated.pop(key) for key in ("passes", "size", "draw") if key in stated
    }
    for key, value in arguments.items():
        if value < 1:
            raise InvalidInput(f"[training] {key}: must be 1 or more; got {value}")
    if "begin" in stated:
        arguments["begin"] = file.path.parent / stated.pop("begin")
    if "hidden" in stated:
        stated["hidden"] = _hidden(stated["hidden"])
    policy = train_misical(patches, Settings(**stated), folder, tell=tell, **arguments)
    holding = int(np.asarray(patches.holds)[patches.labeled].sum())
    return {
        "labeled": len(patches.labeled),
        "holding": holding,
        "classes": policy.classes,
        "fingerprint": policy.fingerprint,
    }


def apply(file: PolicyFile, policy: Policy) -> BudgetedSelection:
    """Make the problem of choosing the next batch by the policy's values.

    Candidates are ``[batch] draw`` of the rows that are not labeled, drawn evenly by ``seed``
    (0, the default: all of them). With ``explore`` a share of the batch is drawn evenly too, within
    the limits, and included; where these would keep the batch from being full, none are.
    """
    from ...models.policies.misical import policy_values

    features = _features(file)
    labeled = _labeled(file) if "labeled" in file.data else np.zeros(0, dtype=np.int64)
    utility = policy_values(policy, features, int(features.shape[1]) - 3)
    seed, budget = file.batch.get("seed", 0), file.batch.get("budget", 100)
    rows = _drawn(file, np.setdiff1d(np.arange(len(features)), labeled), seed)
    limits = _limits(file, len(features))
    rules: list[Constraint] = [
        GroupLimit(limit.groups, at_most=limit.at_most, name=f"each {column}")
        for column, limit in limits.items()
    ]
    share = file.batch.get("explore", 0.0)
    if not 0 <= share <= 1:
        raise InvalidInput(f"[batch] explore: must lie between 0 and 1; got {share}")
    rng = np.random.default_rng([seed, *b"explore"])
    forced = explored(rng, rows, int(rng.binomial(budget, share)), list(limits.values()))
    ids, table = file.array("ids", text=True), file.table()

    def stated(*more: Constraint) -> BudgetedSelection:
        return BudgetedSelection(
            utility,
            budget,
            labeled=labeled,
            candidates=rows,
            constraints=[*rules, *more],
            ids=ids,
            table=table,
        )

    if not len(forced):
        return stated()
    including = stated(Include(rows[forced]))
    # Within one limit any picks can be completed if a batch exists; within two they may not.
    if len(limits) < 2 or solve(including).objective is not None:
        return including
    return stated()


def _limits(file: PolicyFile, size: int) -> dict[str, Limit]:
    """Return the limits of a batch by the column that they count."""
    limits = {}
    for column in ("image", "group"):
        key = f"at_most_{column}"
        if key not in file.batch:
            continue
        groups = file.array(column, text=True)
        if groups is None:
            raise InvalidInput(f"[batch] {key}: needs [data] {column}; add it")
        if len(groups) != size:
            raise InvalidInput(
                f"[data] {column}: must have one value for each of {size:,} rows; "
                f"{len(groups):,} came"
            )
        limits[column] = Limit(np.asarray(groups), file.batch[key])
    return limits


def _drawn(file: PolicyFile, rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    draw = file.batch.get("draw", 0)
    if draw < 0:
        raise InvalidInput(f"[batch] draw: must be 0 (all) or more; got {draw}")
    if not draw or draw >= len(rows):
        return rows
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(rows, draw, replace=False))


def _features(file: PolicyFile) -> NDArray[Any]:
    features = np.asarray(file.array("features"))
    require_features(features)
    return features


def _labeled(file: PolicyFile) -> NDArray[np.int64]:
    return np.unique(as_integers(file.array("labeled"), "labeled"))


def _hidden(stated: list[Any]) -> tuple[int, ...]:
    for units in stated:
        require_types({"hidden": units}, {"hidden": (int,)}, "[training]")
    if not stated or min(stated) < 1:
        raise InvalidInput(f"[training] hidden: must list units of 1 or more; got {stated}")
    return tuple(stated)


KIND = PolicyKind(
    data=DATA, training=TRAINING, batch=BATCH, needed=("features",), train=train, apply=apply
)
