"""One HTML file that needs no other: tables and pictures, on a phone and in the dark."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

STYLE = """
:root { color-scheme: light dark; --line: #d5d5d5; --quiet: #5f5f5f; --back: #ffffff;
  --text: #1c1c1c; --mark: #e8f1fb; }
@media (prefers-color-scheme: dark) {
  :root { --line: #444; --quiet: #a5a5a5; --back: #16181a; --text: #e8e8e8; --mark: #1f3348; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 46rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; vertical-align: bottom; }
th { white-space: normal; min-width: 3rem; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0;
  background: var(--back); }
tr.best td { background: var(--mark); font-weight: 600; }
figure { margin: 1rem 0; } figcaption, .note { color: var(--quiet); font-size: .88rem; }
img { width: 100%; height: auto; background: #fff; border-radius: 6px; }
"""


@dataclass(frozen=True)
class Grid:
    """A table of texts.

    Parameters
    ----------
    columns
        Headings.
    rows
        Texts, one for each column.
    best
        Rows to stress.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    best: Sequence[int] = ()


@dataclass(frozen=True)
class Picture:
    """A PNG: the name of its file, its bytes, and what it shows in a sentence."""

    name: str
    png: bytes
    caption: str


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it, in this order."""

    title: str
    notes: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    grids: Sequence[Grid] = ()
    remarks: Sequence[str] = field(default_factory=tuple)


def page(title: str, lead: Sequence[str], sections: Sequence[Section]) -> str:
    """Return the whole document; every text is escaped, every picture part of it.

    Examples
    --------
    >>> "<h1>a &lt; b</h1>" in page("a < b", ["One."], [])
    True
    """
    body = "\n".join([*map(_paragraph, lead), *map(_section, sections)])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    parts = [
        f"<h2>{escape(section.title)}</h2>",
        *map(_paragraph, section.notes),
        *map(_figure, section.pictures),
        *map(_table, section.grids),
        *(f'<p class="note">{escape(text)}</p>' for text in section.remarks),
    ]
    return "<section>\n" + "\n".join(parts) + "\n</section>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _figure(picture: Picture) -> str:
    data = b64encode(picture.png).decode("ascii")
    caption = escape(picture.caption, quote=True)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _table(grid: Grid) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in grid.columns)
    rows = []
    for at, row in enumerate(grid.rows):
        mark = ' class="best"' if at in grid.best else ""
        cells = "".join(f"<td>{escape(text)}</td>" for text in row)
        rows.append(f"<tr{mark}>{cells}</tr>")
    body = "\n".join(rows)
    return (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )
