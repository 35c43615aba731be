"""A person's answers: a table that has gone through a spreadsheet, checked row by row."""

from __future__ import annotations

import csv
from difflib import get_close_matches
from io import StringIO
from typing import TYPE_CHECKING, Any

from ...problems.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ...problems.arrays import Ints
    from .pool import Pool

SEPARATORS = ",;\t"
"""Spreadsheets save CSV files with any of these, as the country has it."""
SHOWN_NAMES = 10
"""Up to so many classes an error names them all."""


def read_answers(path: Path, pool: Pool, asked: Ints, *, hint: str = "") -> dict[int, int]:
    """Return the classes by row that a file gives for exactly the rows asked for.

    Parameters
    ----------
    path
        CSV with the columns ``row`` or ``id``, and ``label``: the number or the name of a class.
    pool
        Where rows and classes have their names.
    asked
        Rows.
    hint
        What may help where another row is answered.

    Raises
    ------
    InvalidInput
        At the first line that is no answer to a row asked for, or if one has none.
    """
    name = path.name or str(path)
    try:
        lines = _lines(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(
            f"{name}: cannot be read ({error}); pass the CSV file filled in"
        ) from None
    columns = list(lines[0][1]) if lines else []
    key = next((column for column in ("row", "id") if column in columns), None)
    if key is None or "label" not in columns:
        raise InvalidInput(
            f"{name}: must have the columns row (or id) and label, and a line for each answer; got "
            f"{', '.join(map(str, columns)) or 'nothing'}; fill in the file of campaign next"
        )
    row_of, named = _numbers(range(pool.size)), _numbers(_ids(pool))
    if key == "id":
        row_of = named
    labels: dict[int, int] = {}
    wanted = set(asked.tolist())
    for at, line in lines:
        row = row_of.get((line[key] or "").strip())
        if row is None or row not in wanted:
            raise InvalidInput(
                f"{name} line {at}: {key} {line[key]!r} was not asked for; answer the "
                f"{len(asked)} rows of campaign next and no others{hint}"
            )
        if row in labels:
            raise InvalidInput(f"{name} line {at}: {key} {line[key]!r} is answered twice")
        told = (line.get("id") or "").strip()
        # A spreadsheet turns 007 into 7: only the id of another row is one too many.
        if named.get(told, row) != row and "id" not in pool.table:
            raise InvalidInput(
                f"{name} line {at}: row {row} is {_ids(pool)[row]}, and not {told}; the columns "
                "have come apart, perhaps by sorting one of them; fill in the file of campaign "
                "next again"
            )
        labels[row] = _class(line["label"], pool, f"{name} line {at}")
    missing = sorted(wanted - set(labels))
    if missing:
        raise InvalidInput(
            f"{name}: {len(missing)} of {len(asked)} rows have no answer, row {missing[0]} first; "
            "answer all of them"
        )
    return labels


def is_begun(path: Path, asked: Ints) -> bool:
    """Return whether a file asks for just these rows and holds an answer already."""
    try:
        lines = _lines(path.read_text(encoding="utf-8-sig", errors="replace"))
    except (OSError, csv.Error):
        return False
    rows = {(line.get("row") or "").strip() for _, line in lines}
    answered = any((line.get("label") or "").strip() for _, line in lines)
    return answered and rows == {str(row) for row in asked.tolist()}


def _lines(text: str) -> list[tuple[int, dict[str, str]]]:
    """Return number and cells by heading of the lines that are not empty.

    Whatever separates the columns; spreadsheets save empty lines at the end, separators and all.
    """
    head = text.partition("\n")[0]
    separator = max(SEPARATORS, key=head.count)
    table = csv.DictReader(StringIO(text, newline=""), delimiter=separator, strict=True)
    return [(table.line_num, line) for line in table if not _is_empty(line)]


def _is_empty(line: Mapping[str, Any]) -> bool:
    """Whether no cell holds more than blanks; those beyond the heading come as a list."""
    return not any(cell and "".join(cell).strip() for cell in line.values())


def _ids(pool: Pool) -> Any:
    return range(pool.size) if pool.ids is None else pool.ids


def _numbers(names: Iterable[Any]) -> dict[str, int]:
    return {str(name): row for row, name in enumerate(names)}


def _class(text: str | None, pool: Pool, where: str) -> int:
    stripped = (text or "").strip()
    names = pool.class_names or ()
    if stripped in names:
        return names.index(stripped)
    if stripped.isdecimal() and int(stripped) < pool.classes:
        return int(stripped)
    rule = f"label must be a class from 0 to {pool.classes - 1}"
    same = [name for name in names if name.casefold() == stripped.casefold()]
    near = same or get_close_matches(stripped, names, n=1)
    if near:
        rule += f" or its name, did you mean {near[0]!r}?"
    elif names:
        more = ", ..." if len(names) > SHOWN_NAMES else ""
        rule += f" or its name ({', '.join(names[:SHOWN_NAMES])}{more})"
    raise InvalidInput(f"{where}: {rule}; got {stripped!r}")
