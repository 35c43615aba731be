"""The strategies that a campaign file names, and the functions of its user."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from inspect import getsourcefile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...models.named import find_named
from ...problems.array_files import require_known
from ...problems.errors import InvalidInput
from ...problems.problem_files import require_types
from .records import FULL
from .round import NEEDS, Strategy
from .strategies import OPTION_TYPES, STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .pool import Pool

STRATEGY = {"name": (str,), "use": (str,), "choose": (str,), "needs": (list,), "options": (dict,)}
_NAME = re.compile(r"[\w@+().=,-]+")


@dataclass(frozen=True, eq=False)
class Entrant:
    """A strategy as a campaign runs it.

    Parameters
    ----------
    name
        What records call it.
    strategy
        How it chooses.
    options
        Its options.
    fingerprint
        A hash of all that.
    """

    name: str
    strategy: Strategy
    options: Mapping[str, Any]
    fingerprint: str


@dataclass
class Functions:
    """Finds functions by name, and keeps the files of code they are from.

    Parameters
    ----------
    folder
        What paths are relative to.
    """

    folder: Path
    files: dict[Path, None] = field(default_factory=dict)

    def find(self, name: str, argument: str) -> Callable[..., Any]:
        """Return a function, as `labelcut.models.named.find_named` does."""
        try:
            found = find_named(name, argument, self.folder)
        except ValueError as error:
            raise InvalidInput(str(error)) from None
        try:
            file = getsourcefile(found)
        except TypeError:  # a class instance, or C code
            file = None
        if file is not None:
            self.files[Path(file)] = None
        return found


def read_entrants(tables: Any, folder: Path) -> tuple[Entrant, ...]:
    """Return the strategies of a file's ``[[strategy]]`` tables.

    Raises
    ------
    InvalidInput
        Unknown names or options, functions that are not there, names that come twice.
    """
    tables = [] if tables is None else tables
    if not (isinstance(tables, list) and all(isinstance(table, dict) for table in tables)):
        raise InvalidInput("[[strategy]]: needs two brackets, one table for each strategy")
    entrants = tuple(_entrant(table, Functions(folder)) for table in tables)
    names = [entrant.name for entrant in entrants]
    if not names:
        raise InvalidInput("[[strategy]]: at least one is needed; add name = 'random'")
    again = next((name for name in names if names.count(name) > 1), None)
    if again is not None:
        raise InvalidInput(f"[[strategy]] name: each may come once; {again!r} comes twice")
    return entrants


def require_needs(entrant: Entrant, pool: Pool) -> None:
    """Raise `InvalidInput` unless a pool has what a strategy needs."""
    lacks = {
        "truth": len(pool.known) < pool.size and "the class of every row",
        "images": not pool.is_image and "inputs (N, channels, height, width)",
        "video": not {"video", "frame"} <= set(pool.table) and "table columns video and frame",
    }
    for need in sorted(entrant.strategy.needs):
        if lacks.get(need):
            raise InvalidInput(
                f"[[strategy]] {entrant.name}: needs {lacks[need]}, which this pool lacks; add "
                "them or take it out"
            )


def hash_stated(stated: Any) -> str:
    """Return a hash of what a file states."""
    text = json.dumps(stated, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def hash_files(paths: Iterable[Path]) -> str:
    """Return a hash of the bytes of files."""
    running = hashlib.blake2b(digest_size=16)
    for path in paths:
        with path.open("rb") as file:
            running.update(hashlib.file_digest(file, "sha256").digest())
    return running.hexdigest()


def _entrant(table: Mapping[str, Any], functions: Functions) -> Entrant:
    require_types(table, STRATEGY, "[[strategy]]")
    name = table.get("name", table.get("use"))
    if name is None:
        raise InvalidInput("[[strategy]] name: is missing; add name = 'random', or one of your own")
    where = f"[[strategy]] {name}"
    if not _NAME.fullmatch(name) or name == FULL:
        raise InvalidInput(
            f"{where}: name: must be letters, digits and any of @+().=,-_, and not {FULL}; "
            f"got {name!r}"
        )
    options = table.get("options", {})
    if "choose" in table:
        if "use" in table:
            raise InvalidInput(f"{where}: has both use and choose; take one of them out")
        choose = functions.find(table["choose"], f"{where} choose")
        strategy = Strategy(name, choose, _needs(table.get("needs", []), where))
    elif "needs" in table:
        raise InvalidInput(f"{where} needs: goes with choose; ready strategies know theirs")
    else:
        strategy = _named(table.get("use", name), where)
    if strategy.options is not None:
        require_known(options, strategy.options, f"{where} options")
        typed = {name: value for name, value in options.items() if name in OPTION_TYPES}
        require_types(typed, OPTION_TYPES, f"{where} options")
    missing = sorted(strategy.functions - set(options))
    if missing:
        raise InvalidInput(
            f"{where} options: {missing[0]} must name a function of model and pool; write "
            f"options = {{ {missing[0]} = 'study.py:make_{missing[0]}' }}"
        )
    called = {
        key: functions.find(options[key], f"{where} {key}")
        for key in sorted(strategy.functions & set(options))
    }
    stated = [strategy.name, table.get("choose"), options, hash_files(functions.files)]
    if table.get("needs"):
        stated.append(sorted(strategy.needs))
    return Entrant(name, strategy, {**options, **called}, hash_stated(stated))


def _needs(stated: list[Any], where: str) -> frozenset[str]:
    wrong = [need for need in stated if need not in NEEDS]
    if wrong:
        raise InvalidInput(f"{where} needs: must be some of {', '.join(NEEDS)}; got {wrong[0]!r}")
    return frozenset(stated)


def _named(name: str, where: str) -> Strategy:
    if name not in STRATEGIES:
        near = get_close_matches(name, STRATEGIES, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(STRATEGIES)}"
        raise InvalidInput(f"{where}: no strategy is called '{name}'; {hint}")
    return STRATEGIES[name]
