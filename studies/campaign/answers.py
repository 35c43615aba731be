"""A person's answers: a table that has gone through a spreadsheet, checked row by row."""

from __future__ import annotations

import csv
from difflib import get_close_matches
from io import StringIO
from typing import TYPE_CHECKING

from ...problems.errors import InvalidInput

if TYPE_CHECKING:
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
    columns = list(lines[0]) if lines else []
    key = next((column for column in ("row", "id") if column in columns), None)
    if key is None or "label" not in columns:
        raise InvalidInput(
            f"{name}: must have the columns row (or id) and label, and a line for each answer; got "
            f"{', '.join(map(str, columns)) or 'nothing'}; fill in the file of campaign next"
        )
    ids = range(pool.size) if key == "row" or pool.ids is None else pool.ids
    row_of = {str(value): row for row, value in enumerate(ids)}
    labels: dict[int, int] = {}
    wanted = set(asked.tolist())
    for at, line in enumerate(lines, start=2):
        row = row_of.get((line[key] or "").strip())
        if row is None or row not in wanted:
            raise InvalidInput(
                f"{name} line {at}: {key} {line[key]!r} was not asked for; answer the "
                f"{len(asked)} rows of campaign next and no others{hint}"
            )
        if row in labels:
            raise InvalidInput(f"{name} line {at}: {key} {line[key]!r} is answered twice")
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
    rows = {(line.get("row") or "").strip() for line in lines}
    answered = any((line.get("label") or "").strip() for line in lines)
    return answered and rows == {str(row) for row in asked.tolist()}


def _lines(text: str) -> list[dict[str, str]]:
    """Return the lines of a table by its heading, whatever separates its columns."""
    head = text.partition("\n")[0]
    separator = max(SEPARATORS, key=head.count)
    return list(csv.DictReader(StringIO(text, newline=""), delimiter=separator, strict=True))


def _class(text: str | None, pool: Pool, where: str) -> int:
    stripped = (text or "").strip()
    names = pool.class_names or ()
    if stripped in names:
        return names.index(stripped)
    if stripped.isdecimal() and int(stripped) < pool.classes:
        return int(stripped)
    rule = f"label must be a class from 0 to {pool.classes - 1}"
    near = get_close_matches(stripped, names, n=1)
    if near:
        rule += f" or its name, did you mean {near[0]!r}?"
    elif names:
        more = ", ..." if len(names) > SHOWN_NAMES else ""
        rule += f" or its name ({', '.join(names[:SHOWN_NAMES])}{more})"
    raise InvalidInput(f"{where}: {rule}; got {stripped!r}")
