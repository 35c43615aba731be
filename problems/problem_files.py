"""Problem files: a problem in TOML with its arrays beside it, read and written.

The format is documented in the README; its version is the ``labelcut`` key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tomli_w

from .array_files import read_array, require_file, require_known, write_array
from .arrays import Ints, as_integers
from .atomic import atomic_file, staged_folder
from .base import plain
from .budgeted import BudgetedSelection
from .class_balanced import ClassBalanced
from .constraints import CONSTRAINTS, Constraint
from .correcting import corrected, correction_table, read_correction
from .errors import InvalidInput
from .k_center import KCenter

if TYPE_CHECKING:
    from .layouts import Layout
    from .selection import SelectionProblem

FORMAT = 1

KINDS: Mapping[str, type[SelectionProblem]] = {
    problem.kind: problem for problem in (ClassBalanced, KCenter, BudgetedSelection)
}
"""What a file's ``kind`` may be."""
ROWS = ("labeled", "candidates")
SOLVE = {
    "method": (str,),
    "time_limit": (float, int),
    "gap_tol": (float, int),
    "abs_gap_tol": (float, int),
    "seed": (int,),
    "options": (dict,),
}


@dataclass(frozen=True, eq=False)
class ProblemFile:
    """A problem and what its file says beside it.

    Parameters
    ----------
    problem
        The problem.
    truth
        True class of every row ``(N,)``, for reports only, or None; -1 where it is not known.
    solve
        Arguments of `labelcut.solve`.
    """

    problem: SelectionProblem
    truth: Ints | None
    solve: Mapping[str, Any]


def read_problem(path: str | Path) -> ProblemFile:
    """Read a problem file.

    Parameters
    ----------
    path
        A TOML file; array paths in it are relative to its folder.

    Raises
    ------
    InvalidInput
        One message that names the file, the key, the rule, what came and the way out.
    """
    path = Path(path)
    content = read_toml(path)
    try:
        return _Reader(path.parent, content).read()
    except InvalidInput as error:
        raise InvalidInput(f"{path.name}: {error}") from None


def read_toml(path: Path, what: str = "problem file") -> dict[str, Any]:
    """Return what a TOML file holds, or say why it cannot be read; `what` it is called then."""
    require_file(path, what)
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise InvalidInput(f"{path.name}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path.name}: is no TOML: {error}; mend the line") from None


def require_format(content: Mapping[str, Any]) -> None:
    """Raise `InvalidInput` at a file of another format than this version reads."""
    if content.get("labelcut") != FORMAT:
        raise InvalidInput(
            f"labelcut: this version reads format {FORMAT}; got {content.get('labelcut')!r}; "
            f"write 'labelcut = {FORMAT}' at the top, or upgrade labelcut"
        )


class _Reader:
    def __init__(self, folder: Path, content: Mapping[str, Any]) -> None:
        self.folder = folder
        self.content = content

    def read(self) -> ProblemFile:
        content = self.content
        require_format(content)
        known = {"labelcut", "problem", "data", "correct", "constraint", "solve"}
        require_known(content, known, "top level")
        stated, data = toml_table(content, "problem"), toml_table(content, "data")
        kind = stated.get("kind")
        if not (isinstance(kind, str) and kind in KINDS):
            raise InvalidInput(f"[problem] kind: must be one of {', '.join(KINDS)}; got {kind!r}")
        layout = KINDS[kind].layout
        twice = sorted(set(stated) & set(data))
        if twice:
            raise InvalidInput(
                f"{twice[0]}: stands in [problem] and in [data]; take one of them out"
            )
        problem = KINDS[kind].from_file(
            **self._parameters(stated, layout),
            **self._arrays(data, layout),
            constraints=self._constraints(data),
        )
        if "correct" in content:
            stated = toml_table(content, "correct")
            problem = corrected(problem, read_correction(stated, self._array))
        solve = toml_table(content, "solve", needed=False)
        require_types(solve, SOLVE, "[solve]")
        return ProblemFile(problem, self._truth(data, problem), solve)

    def _parameters(self, stated: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
        own = {key: value for key, value in stated.items() if key != "kind"}
        require_types(own, {"budget": (int,), **layout.parameters}, "[problem]")
        if "budget" not in own and layout.needs_budget:
            raise InvalidInput("[problem] budget: is missing; say how many rows to choose")
        return own

    def _arrays(self, data: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
        require_known(data, {*layout.arrays, *ROWS, "ids", "table", "truth"}, "[data]")
        layout.require_source(data)
        arrays = {key: self._array(data[key], key) for key in layout.arrays if key in data}
        rows = {key: self._rows(data, data[key], key) for key in ROWS if key in data}
        table = toml_table(data, "table", needed=False)
        columns = {name: self._array(source, name) for name, source in table.items()}
        return {**arrays, **rows, "ids": self._ids(data), "table": columns}

    def _array(self, source: Any, name: str, *, text: bool = False) -> Any:
        return read_array(source, self.folder, name, text=text)

    def _ids(self, data: Mapping[str, Any]) -> npt.NDArray[Any] | None:
        if "ids" not in data:
            return None
        return np.asarray(self._array(data["ids"], "ids", text=True))

    def _rows(self, data: Mapping[str, Any], source: Any, name: str) -> Any:
        """Read rows by number, or by id where the source says ``{ ids = ... }``."""
        if isinstance(source, Mapping):
            require_known(source, {"ids", "file", "key"}, name)
        if not (isinstance(source, Mapping) and set(source) == {"ids"}):
            return self._array(source, name)
        ids = self._ids(data)
        if ids is None:
            raise InvalidInput(f"{name}: rows are given by ids, but [data] has no ids; add them")
        wanted = source["ids"]
        named = wanted if _is_listed(wanted) else self._array(wanted, name, text=True)
        row_of = {str(value): row for row, value in enumerate(ids)}
        unknown = [str(value) for value in named if str(value) not in row_of]
        if unknown:
            near = get_close_matches(unknown[0], row_of, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "check the list"
            raise InvalidInput(f"{name}: no row has the id {unknown[0]!r}; {hint}")
        return np.array([row_of[str(value)] for value in named], dtype=np.int64)

    def _constraints(self, data: Mapping[str, Any]) -> list[Constraint]:
        tables = self.content.get("constraint", [])
        if not (isinstance(tables, list) and all(isinstance(table, dict) for table in tables)):
            raise InvalidInput("[[constraint]]: needs two brackets, one table for each constraint")
        return [self._constraint(data, table) for table in tables]

    def _constraint(self, data: Mapping[str, Any], table: Mapping[str, Any]) -> Constraint:
        kind = str(table.get("kind"))
        if kind not in CONSTRAINTS:
            near = get_close_matches(kind, CONSTRAINTS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(CONSTRAINTS)}"
            raise InvalidInput(f"[[constraint]] kind: {kind!r} is unknown; {hint}")
        rule, where = CONSTRAINTS[kind], f"[[constraint]] {kind}"
        types = {"kind": (str,), "name": (str,), **rule.file_parameters}
        require_known(table, {*types, *rule.file_arrays}, where)
        numbers = {key: value for key, value in table.items() if key not in rule.file_arrays}
        require_types(numbers, types, where)
        missing = [key for key in rule.file_required if key not in table]
        if missing:
            raise InvalidInput(f"{where}: {missing[0]} is missing; add it")
        arrays = {
            key: self._column(data, table[key], f"{kind} {key}", holds)
            for key, holds in rule.file_arrays.items()
            if key in table
        }
        optional = dict.fromkeys(set(rule.file_arrays) - set(arrays))
        numbers.pop("kind")
        made: Constraint = rule(**optional, **arrays, **numbers)
        return made

    def _column(self, data: Mapping[str, Any], source: Any, name: str, holds: str) -> Any:
        """Read an array of a constraint, which holds ``rows``, ``numbers`` or ``labels``."""
        if holds == "rows":
            return self._rows(data, source, name)
        return self._array(source, name, text=holds == "labels")

    def _truth(self, data: Mapping[str, Any], problem: SelectionProblem) -> Ints | None:
        if "truth" not in data:
            return None
        truth = as_integers(self._array(data["truth"], "truth"), "truth")
        if truth.shape != (problem.dataset.size,):
            raise InvalidInput(
                f"truth: must hold one class for each of {problem.dataset.size} rows; "
                f"got shape {truth.shape}; use -1 where it is not known"
            )
        return truth


def save_problem(
    problem: SelectionProblem,
    path: str | Path,
    *,
    truth: Ints | None = None,
    solve: Mapping[str, Any] | None = None,
) -> None:
    """Write a problem file, and its arrays into the folder ``<stem>.data`` beside it.

    The arrays are whole before the file that names them appears.

    Raises
    ------
    InvalidInput
        If the place cannot be written, or `path` is no ``.toml`` name.
    """
    path = Path(path)
    if path.suffix != ".toml":
        raise InvalidInput(f"path: a problem file ends in .toml; got {path.name}; rename it")
    folder = path.with_name(f"{path.stem}.data")
    with atomic_file(path) as temporary, staged_folder(folder) as staging:
        writer = _Writer(staging, folder.name)
        budget = {} if problem.budget is None else {"budget": problem.budget}
        content: dict[str, Any] = {
            "labelcut": FORMAT,
            "problem": {"kind": problem.kind, **budget, **problem.parameters()},
            "data": writer.data(problem, truth),
        }
        correction = correction_table(problem, writer.put)
        if correction:
            content["correct"] = correction
        rules = [writer.constraint(rule, at) for at, rule in enumerate(problem.constraints)]
        if rules:
            content["constraint"] = rules
        if solve:
            content["solve"] = plain(solve)
        temporary.write_text(tomli_w.dumps(content), encoding="utf-8")


class _Writer:
    def __init__(self, staging: Path, folder: str) -> None:
        self.staging = staging
        self.folder = folder

    def data(self, problem: SelectionProblem, truth: Ints | None) -> dict[str, Any]:
        arrays = dict(problem.arrays())
        if len(problem.labeled):
            arrays["labeled"] = problem.labeled
        if len(problem.candidates) + len(problem.labeled) < problem.dataset.size:
            arrays["candidates"] = problem.candidates
        if truth is not None:
            arrays["truth"] = truth
        if problem.ids is not None:
            arrays["ids"] = problem.ids
        data: dict[str, Any] = {name: self.put(name, values) for name, values in arrays.items()}
        if problem.table:
            data["table"] = {
                name: self.put(f"table-{at}", column)
                for at, (name, column) in enumerate(problem.table.items())
            }
        return data

    def constraint(self, rule: Constraint, at: int) -> dict[str, Any]:
        arrays = {
            name: self.put(f"constraint-{at}-{name}", values)
            for name, values in rule.arrays().items()
        }
        named = {} if rule.name is None else {"name": rule.name}
        return {"kind": rule.kind, **named, **plain(rule.parameters()), **arrays}

    def put(self, name: str, values: Any) -> str:
        write_array(self.staging / f"{name}.npy", values)
        return f"{self.folder}/{name}.npy"


def toml_table(content: Mapping[str, Any], name: str, *, needed: bool = True) -> dict[str, Any]:
    """Return a table of a problem file, empty where it may be missing."""
    if name not in content:
        if needed:
            raise InvalidInput(f"[{name}]: the table is missing; add it")
        return {}
    if not isinstance(content[name], dict):
        raise InvalidInput(f"[{name}]: must be a table; got {content[name]!r}")
    return dict(content[name])


def require_types(
    table: Mapping[str, Any], types: Mapping[str, tuple[type, ...]], where: str
) -> None:
    """Raise `InvalidInput` at an unknown key, or a value of another type than listed."""
    require_known(table, types, where)
    for key, value in table.items():
        if not isinstance(value, types[key]) or isinstance(value, bool):
            names = " or ".join(kind.__name__ for kind in types[key])
            raise InvalidInput(f"{where} {key}: must be {names}; got {value!r}")


def _is_listed(source: Any) -> bool:
    return isinstance(source, list)
