"""The report of a campaign: one HTML file with everything in it, and its pictures beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.atomic import atomic_file, require_writable
from ...problems.errors import InvalidInput
from .report_page import page
from .report_sections import (
    PROJECTIONS,
    ReportOptions,
    audit_section,
    choice_section,
    class_section,
    knowledge_section,
    map_points,
    map_section,
    others_section,
    penalty_section,
    seconds_section,
    standing_section,
)
from .report_tables import best_first
from .summary import Curves, curves_of, of_seeds, shared_seeds, standings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .pool import Pool
    from .records import Results
    from .summary import Standing


PICTURES = ("curves", "penalties", "classes", "choices", "portions", "dispersion", "map")
"""Names of all pictures that a report may have."""


def write_report(
    results: Results,
    out: str | Path,
    *,
    title: str,
    pool: Pool | None = None,
    embeddings: Any = None,
    options: ReportOptions | None = None,
) -> Path:
    """Write a campaign's report.

    Parameters
    ----------
    results
        Records; a campaign that is not finished has a report too, of the seeds that all strategies
        have come to the last model with (`shared_seeds`), if there are any.
    out
        The HTML file. Its pictures (`PICTURES`) lie beside it too, ``report-curves.png`` and so on
        of ``report.html``, as far as there is something to draw.
    title
        Its heading.
    pool
        The dataset: its inputs are mapped where no embeddings are given.
    embeddings
        ``(N, d)``: points for the map of what was chosen.
    options
        What to compare.

    Returns
    -------
    Path
        The HTML file.

    Raises
    ------
    InvalidInput
        No records, an unknown metric or projection, another suffix, or a place that cannot be
        written.
    """
    path, options = Path(out), options or ReportOptions()
    if path.suffix.lower() not in (".html", ".htm"):
        raise InvalidInput(f"out: must end in .html; got {path.name}; say report.html")
    if options.projection not in PROJECTIONS:
        raise InvalidInput(
            f"projection: must be one of {', '.join(PROJECTIONS)}; got {options.projection!r}"
        )
    if not 0 < options.alpha < 1:
        raise InvalidInput(
            f"alpha: must lie between 0 and 1; got {options.alpha:g}; the usual is 0.05"
        )
    require_writable(path)
    found, shared = results, shared_seeds(results)
    results = of_seeds(found, shared) if shared else found
    curves = curves_of(results, options.metric, options.baseline, lower=options.lower)
    rows = standings(curves, options.alpha)
    sections = [
        standing_section(curves, rows, options),
        *penalty_section(curves, options),
        *class_section(results, None if pool is None else pool.class_names),
        *choice_section(results, curves),
        *knowledge_section(results),
        *map_section(results, map_points(pool, embeddings), options.projection),
        *audit_section(results, options.least_gain),
        *others_section(results, curves),
        *seconds_section(results),
    ]
    pictures = [picture for section in sections for picture in section.pictures]
    for name in set(PICTURES).difference(picture.name for picture in pictures):
        # What an earlier report of other records has drawn.
        path.with_name(f"{path.stem}-{name}.png").unlink(missing_ok=True)
    for picture in pictures:
        with atomic_file(path.with_name(f"{path.stem}-{picture.name}.png")) as temporary:
            temporary.write_bytes(picture.png)
    with atomic_file(path) as temporary:
        temporary.write_text(
            page(title, _lead(found, shared, curves, rows, options.left), sections), "utf-8"
        )
    return path


def _lead(
    results: Results, shared: Sequence[int], curves: Curves, rows: list[Standing], left: int
) -> list[str]:
    names, seeds, cycles = map(len, (results.strategies, results.seeds, results.cycles))
    rows_of = f"{curves.labeled[0]:,.0f} labeled rows, {curves.shares[0]:.1%} of the dataset."
    if cycles > 1:
        rows_of = (
            f"from {curves.labeled[0]:,.0f} to {curves.labeled[-1]:,.0f} labeled rows, "
            f"{curves.shares[0]:.1%} to {curves.shares[-1]:.1%} of the dataset."
        )
    told = (
        f"{_counted(names, 'strategy', 'strategies')}, {_counted(seeds, 'seed', 'seeds')}, "
        f"{_counted(cycles, 'model', 'models')} a run; {rows_of}"
    )
    done = len(results.records)
    expected = max(names * seeds * cycles, done + left)
    lead = [told]
    if done < expected:
        lead.append(f"Not finished: {done:,} of {expected:,} cycles are in.{_which(seeds, shared)}")
    ended = [rows[at] for at in best_first(curves, rows) if np.isfinite(rows[at].end)]
    if len(ended) > 1:
        how = "lowest, which is best" if curves.lower else "highest"
        best, others = ended[0], len(ended) - 1
        if sum(row.seeds > 1 for row in ended) < 2:
            chance = "one seed does not tell whether by chance"
        elif not best.beats:
            chance = "that may be by chance"
        else:
            rest = "the other one" if others == 1 else f"{best.beats} of the other {others}"
            chance = f"beyond chance it is {'below' if curves.lower else 'above'} {rest}"
        lead.append(f"{best.name} ends {how}; {chance}.")
    return lead


def _which(seeds: int, shared: Sequence[int]) -> str:
    """Return which seeds a report is of, where that are not all."""
    if not shared:
        return (
            " Strategies have come to the last model with different seeds: their means are not of "
            "the same runs."
        )
    if len(shared) == seeds:
        return ""
    named = ", ".join(map(str, shared))
    return (
        f" Everything below is of {_counted(len(shared), 'seed', 'seeds')} of {seeds} ({named}): "
        "those that every strategy that has come to the last model has finished."
    )


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
