"""Campaign files: what is labeled, by which strategies, how often, in TOML.

The format is documented in the README; unknown keys are errors with a suggestion.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.array_files import read_array, require_known
from ...problems.errors import InvalidInput
from ...problems.problem_files import read_toml, require_format, require_types, toml_table
from .entrants import Entrant, Functions, hash_files, read_entrants, require_needs
from .learner import Learner
from .plans import make_plan
from .pool import Pool
from .ready import Training, ready_learner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .plans import Plan

ARRAYS = ("inputs", "truth", "test_inputs", "test_truth", "ids")
FUNCTIONS = ("make_model", "train", "measure")
CAMPAIGN = {
    "title": (str,),
    "budget": (str, list),
    "cycles": (int,),
    "seeds": (int, list),
    "draw": (str,),
    "init": (str,),
    "audit": (float, int),
    "answers": (str,),
    "folder": (str,),
    "workers": (int,),
    "threads": (int,),
}
DATA = {"pool": (str,), "classes": (int,), "class_names": (list,), "table": (dict,)}
LEARNER = {
    **dict.fromkeys(FUNCTIONS, (str,)),
    "weights": (str,),
    "layer": (str,),
    "score_batch": (int,),
}


@dataclass(frozen=True, eq=False)
class Campaign:
    """What a campaign file states, with its data.

    Parameters
    ----------
    path
        The file.
    folder
        Where results go.
    title
        What reports call it.
    plan
        Its numbers.
    pool, learner
        Data and models.
    strategies
        Who competes.
    weights
        What ``init = "pretrained"`` begins from, or None: then `make_model` makes it so.
    full
        Whether a model is to learn from every row too, once for each seed.
    with_person
        Whether a person gives the answers, not the truth.
    workers, threads
        Processes, and threads of each.
    stated
        The keys that results depend on, such as ``[learner] epochs``, with their values. Seeds,
        strategies and cycles are none of them: they may be added to.
    code
        Files of the user's functions.
    """

    path: Path
    folder: Path
    title: str
    plan: Plan
    pool: Pool
    learner: Learner
    strategies: tuple[Entrant, ...]
    weights: Path | None
    full: bool
    with_person: bool
    workers: int
    threads: int
    stated: Mapping[str, Any]
    code: tuple[Path, ...]

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """What results depend on, by what a person would call it: values of keys, and hashes."""
        found = {
            **{key: json.dumps(value, default=str) for key, value in self.stated.items()},
            "the data": self.pool.fingerprint(),
            "the code of its functions": hash_files(self.code),
        }
        if self.weights is not None:
            found[f"the weights {self.weights.name}"] = hash_files([self.weights])
        return found

    def entrant(self, name: str) -> Entrant:
        """Return the strategy of a name."""
        return next(one for one in self.strategies if one.name == name)


def read_campaign(path: str | Path) -> Campaign:
    """Read a campaign file and the data it names.

    Parameters
    ----------
    path
        A TOML file; paths in it are relative to its folder.

    Raises
    ------
    InvalidInput
        One message that names the file, the key, the rule, what came and the way out.
    """
    path = Path(path)
    content = read_toml(path, "campaign file")
    try:
        return _Reader(path, content).read()
    except InvalidInput as error:
        raise InvalidInput(f"{path.name}: {error}") from None


class _Reader:
    def __init__(self, path: Path, content: Mapping[str, Any]) -> None:
        self.path = path
        self.content = content
        self.functions = Functions(path.parent)

    def read(self) -> Campaign:
        content = self.content
        require_format(content)
        require_known(content, ("labelcut", "campaign", "data", "learner", "strategy"), "top level")
        stated = toml_table(content, "campaign")
        full = stated.pop("full", False)
        if not isinstance(full, bool):
            raise InvalidInput(f"[campaign] full: must be true or false; got {full!r}")
        require_types(stated, CAMPAIGN, "[campaign]")
        entrants = read_entrants(content.get("strategy"), self.path.parent)
        pool = self._pool(toml_table(content, "data"))
        asked = toml_table(content, "learner", needed=False)
        learner = self._learner(asked, pool)
        person = _person(stated, pool)
        plan = make_plan(stated, pool.size)
        if person and full:
            raise InvalidInput(
                "[campaign] full: nobody knows the classes of all rows where a person answers; "
                "take it out"
            )
        if person:
            plan = _plan_with_person(plan, pool, entrants)
        for entrant in entrants:
            require_needs(entrant, pool)
        if not person and "train" not in asked:
            _require_classes(pool)
        if pool.test_inputs is not None and pool.test_truth is None and learner.measure is None:
            raise InvalidInput(
                "[data] test_truth: is missing, test_inputs say nothing without their classes; add "
                "it, or a function [learner] measure that knows better"
            )
        weights = self._weights(asked)
        if plan.init == "pretrained" and weights is None and "make_model" not in asked:
            raise InvalidInput(
                "[campaign] init: pretrained needs weights; name them in [learner] weights, or a "
                "make_model that returns a pretrained model"
            )
        threads = _positive(stated, "threads")
        results = {
            "budget": [plan.initial, plan.step],
            "audit": plan.audit,
            "draw": plan.draw,
            "init": plan.init,
            "answers": "person" if person else "truth",
            "threads": threads,
        }
        return Campaign(
            self.path,
            self.path.parent / stated.get("folder", f"{self.path.stem}.campaign"),
            stated.get("title", self.path.stem),
            plan,
            pool,
            learner,
            entrants,
            weights,
            full,
            person,
            _positive(stated, "workers"),
            threads,
            {
                f"[{table}] {key}": value
                for table, keys in (
                    ("campaign", results),
                    ("data", content["data"]),
                    ("learner", asked),
                )
                for key, value in keys.items()
            },
            tuple(self.functions.files),
        )

    def _pool(self, data: Mapping[str, Any]) -> Pool:
        if "pool" in data:
            require_types(data, {"pool": (str,)}, "[data]")
            made = self.functions.find(data["pool"], "[data] pool")()
            if not isinstance(made, Pool):
                raise InvalidInput(
                    f"[data] pool: {data['pool']} must return a labelcut.studies.campaign.Pool; "
                    f"got {type(made).__name__}"
                )
            return made
        require_types(data, {**DATA, **dict.fromkeys(ARRAYS, (str, list, dict))}, "[data]")
        if "inputs" not in data:
            raise InvalidInput("[data] inputs: is missing; name an array, or pool = 'm:make_pool'")
        folder = self.path.parent
        arrays = {
            name: read_array(data[name], folder, name, text=name == "ids")
            for name in ARRAYS
            if name in data
        }
        table = {
            name: read_array(source, folder, name) for name, source in data.get("table", {}).items()
        }
        known = [arrays[name] for name in ("truth", "test_truth") if name in arrays]
        names = data.get("class_names")
        if "classes" not in data and names is None and not known:
            raise InvalidInput(
                "[data] classes: is missing, and there is no truth to count them; write classes "
                "or class_names"
            )
        classes = data.get("classes", len(names) if names else None)
        if classes is None:
            classes = max(int(np.max(values)) for values in known) + 1
        return Pool(**arrays, classes=classes, table=table, class_names=names)

    def _learner(self, asked: Mapping[str, Any], pool: Pool) -> Learner:
        options = {field.name: field.type for field in fields(Training)}
        types = {"int": (int,), "float": (float, int), "str": (str,)}
        own = {name: types[str(kind)] for name, kind in options.items()}
        require_types(asked, {**LEARNER, **own}, "[learner]")
        named = {
            name: self.functions.find(asked[name], f"[learner] {name}")
            for name in FUNCTIONS
            if name in asked
        }
        given = {name: asked[name] for name in options if name in asked}
        if {"make_model", "train"} & set(named):
            if given or not {"make_model", "train"} <= set(named):
                wrong = next(iter(given), "make_model and train")
                raise InvalidInput(
                    f"[learner] {wrong}: name both make_model and train and nothing of the ready "
                    "learner's, or neither of them"
                )
        else:
            ready = ready_learner(pool, Training(**given))
            named = {"make_model": ready.make_model, "train": ready.train, **named}
        return Learner(
            **named, layer=asked.get("layer"), batch=_positive(asked, "score_batch", 256)
        )

    def _weights(self, asked: Mapping[str, Any]) -> Path | None:
        if "weights" not in asked:
            return None
        path: Path = self.path.parent / asked["weights"]
        if not path.is_file():
            raise InvalidInput(f"[learner] weights: {path} is no file; check the path")
        return path


def _person(stated: Mapping[str, Any], pool: Pool) -> bool:
    answers = stated.get("answers", "person" if pool.truth is None else "truth")
    if answers not in ("truth", "person"):
        raise InvalidInput(f"[campaign] answers: must be truth or person; got {answers!r}")
    if answers == "truth" and pool.truth is None:
        raise InvalidInput(
            "[campaign] answers: the pool has no truth to answer from; write answers = 'person'"
        )
    return bool(answers == "person")


def _require_classes(pool: Pool) -> None:
    missing = pool.size - len(pool.known)
    if missing:
        raise InvalidInput(
            f"[campaign] answers: the truth lacks the class of {missing:,} of {pool.size:,} rows, "
            "which the ready learner cannot learn from; write answers = 'person' if somebody is to "
            "label them"
        )


def _plan_with_person(plan: Plan, pool: Pool, entrants: tuple[Entrant, ...]) -> Plan:
    """Return the plan with what is known as its initial set, if anything is."""
    if len(entrants) > 1 or len(plan.seeds) > 1:
        raise InvalidInput(
            "[campaign] answers: a person labels for one strategy and one seed; take the other "
            f"ones out ({len(entrants)} strategies, {len(plan.seeds)} seeds)"
        )
    if not len(pool.known):
        return plan
    plan = replace(plan, initial=len(pool.known))
    plan.require_rows(pool.size)
    return plan


def _positive(table: Mapping[str, Any], name: str, default: int = 1) -> int:
    value = int(table.get(name, default))
    if value < 1:
        raise InvalidInput(f"{name}: must be at least 1; got {value}")
    return value
