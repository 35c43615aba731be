"""The report of a campaign: one HTML file with everything in it, and its pictures beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.arrays import to_numpy
from ...problems.atomic import atomic_file
from ...problems.embeddings import Embeddings
from ...problems.errors import InvalidInput
from ..projections import project
from . import report_figures as figures
from .audit import LEAST_GAIN
from .report_page import Picture, Section, page
from .report_tables import CHOICES, audit_grid, choices_grid, seconds_grid, standings_grid
from .significance import ALPHA, mean_and_std
from .summary import BASELINE, Curves, curves_of, penalties, standings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.figure import Figure

    from ...problems.arrays import Floats
    from .pool import Pool
    from .records import Results
    from .summary import Standing

PROJECTIONS = ("auto", "tsne", "pca")
FEW_ROWS = 3_000
"""Up to so many rows the map is t-SNE's, above PCA's: t-SNE takes a minute for 20,000."""


@dataclass(frozen=True)
class ReportOptions:
    """What a report compares, and how.

    Parameters
    ----------
    metric
        Which metric; default: ``accuracy``, else the audit's, else the first there is.
    baseline
        Strategy that others are compared with.
    alpha
        Level of all tests.
    least_gain
        Accuracy that a cycle has to bring, for the stopping hint.
    projection
        ``"tsne"``, ``"pca"``, or ``"auto"``: t-SNE up to 3,000 rows.
    full
        The metric of fully labeled models, by the name to show. Models with dropout have a line of
        their own (paper 002).
    """

    metric: str | None = None
    baseline: str = BASELINE
    alpha: float = ALPHA
    least_gain: float = LEAST_GAIN
    projection: str = "auto"
    full: Mapping[str, float] = field(default_factory=dict)


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
        Records; a campaign that is not finished has a report too.
    out
        The HTML file. Pictures lie beside it: ``report.html`` has ``report-curves.png``,
        ``report-penalties.png``, ``report-classes.png``, ``report-choices.png`` and
        ``report-map.png``, as far as there is something to draw.
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
    curves = curves_of(results, options.metric, options.baseline)
    rows = standings(curves, options.alpha)
    sections = [
        _standing_section(curves, rows, options),
        *_penalty_section(curves, options),
        *_class_section(results),
        *_choice_section(results, curves),
        *_map_section(results, _points(pool, embeddings), options.projection),
        *_audit_section(results, options.least_gain),
        *_seconds_section(results),
    ]
    for picture in (picture for section in sections for picture in section.pictures):
        with atomic_file(path.with_name(f"{path.stem}-{picture.name}.png")) as temporary:
            temporary.write_bytes(picture.png)
    with atomic_file(path) as temporary:
        temporary.write_text(page(title, _lead(results, curves, rows), sections), "utf-8")
    return path


def _lead(results: Results, curves: Curves, rows: list[Standing]) -> list[str]:
    names, seeds, cycles = curves.values.shape
    told = (
        f"{names} {'strategy' if names == 1 else 'strategies'}, {seeds} "
        f"{'seed' if seeds == 1 else 'seeds'}, {cycles} {'model' if cycles == 1 else 'models'} in "
        f"each run, from {curves.labeled[0]:,.0f} to {curves.labeled[-1]:,.0f} labeled rows "
        f"({100 * curves.shares[0]:.3g} % to {100 * curves.shares[-1]:.3g} % of the dataset)."
    )
    expected, done = names * seeds * cycles, len(results.records)
    lead = [told]
    if done < expected:
        lead.append(f"Not finished: {done:,} of {expected:,} cycles are in.")
    ended = [row for row in rows if np.isfinite(row.end)]
    if len(ended) > 1:
        best = max(ended, key=lambda row: row.end)
        sure = "above every other strategy beyond chance" if best.beats_all else "not for sure"
        lead.append(f"Best at the end: {best.name} ({sure}).")
    return lead


def _standing_section(curves: Curves, rows: list[Standing], options: ReportOptions) -> Section:
    picture = _picture(
        "curves",
        figures.learning_curves(curves, options.full),
        f"Learning curves: {curves.metric.replace('_', ' ')} over labeled rows.",
    )
    remarks = [
        "± is one standard deviation over seeds. AUC@B is the area under the curve over labeled "
        f"shares from {curves.shares[0]:.3g} to {curves.shares[-1]:.3g}.",
    ]
    if curves.baseline is not None:
        name = curves.names[curves.baseline]
        remarks.append(
            f"p: Welch's t-test against {name} at the end, corrected by Holm for the number of "
            f"strategies; * below 0.05. Labels to its end: labels at which the mean curve first "
            f"reaches what {name} has at the end. † above every other strategy, "
            f"p < {options.alpha:g} corrected for all pairs."
        )
    grid = standings_grid(curves, rows, penalties(curves, options.alpha))
    return Section("How the strategies did", pictures=[picture], grids=[grid], remarks=remarks)


def _penalty_section(curves: Curves, options: ReportOptions) -> Iterator[Section]:
    found = penalties(curves, options.alpha)
    if found is None:
        return
    picture = _picture(
        "penalties",
        figures.penalty_map(found, curves.names),
        "Share of cycles in which the row's strategy beats the column's; Φ is the column's mean: "
        "lower is better.",
    )
    remark = (
        f"Paired two-sided t-tests over seeds at the level {options.alpha:g} in each cycle but the "
        "first, not corrected, as in the papers."
    )
    yield Section("Who beats whom", pictures=[picture], remarks=[remark])


def _class_section(results: Results) -> Iterator[Section]:
    classes = max((len(record.histogram) for record in results.records), default=0)
    if not classes:
        return
    shape = (len(results.strategies), len(results.seeds), len(results.cycles), classes)
    counts = np.full(shape, np.nan)
    for record in results.records:
        at = results.strategies.index(record.strategy)
        seed, cycle = results.seeds.index(record.seed), results.cycles.index(record.cycle)
        counts[at, seed, cycle] = record.histogram
    means = mean_and_std(counts, axis=1)[0]
    picture = _picture(
        "classes",
        figures.class_histograms(means, results.strategies, results.cycles),
        "Labeled rows of each class, cycle upon cycle, means over seeds.",
    )
    yield Section("Classes of what was labeled", pictures=[picture])


def _choice_section(results: Results, curves: Curves) -> Iterator[Section]:
    grid = choices_grid(results)
    if grid is None:
        return
    known = [name for name in CHOICES if np.isfinite(results.table(name)).any()]
    panels = [curves_of(results, name, _name(curves)) for name in known]
    picture = _picture(
        "choices",
        figures.metric_panels(panels, [CHOICES[name] for name in known]),
        "What was chosen with the model of so many labels, means over seeds.",
    )
    remark = (
        "L1 score: 0 is balanced, 1 all in one class. Near-duplicates: nearer than a tenth of the "
        "usual distance to a labeled row or another chosen one, in the model's embedding."
    )
    yield Section("What was chosen", pictures=[picture], grids=[grid], remarks=[remark])


def _map_section(results: Results, points: Any, projection: str) -> Iterator[Section]:
    if points is None or not any(len(record.chosen) for record in results.records):
        return
    how = projection
    if how == "auto":
        how = "tsne" if len(points) <= FEW_ROWS else "pca"
    places = place(points, how)
    seed = results.seeds[0]
    chosen = {
        name: [record.chosen for record in results.run(name, seed)] for name in results.strategies
    }
    names = {"tsne": "t-SNE", "pca": "PCA"}
    picture = _picture(
        "map",
        figures.chosen_map(places, chosen, results.cycles),
        f"Where the chosen rows lie ({names[how]}, seed {seed}): clumps are choices that repeat "
        "themselves.",
    )
    yield Section("Where the choices lie", pictures=[picture])


def _audit_section(results: Results, least_gain: float) -> Iterator[Section]:
    grid = audit_grid(results, least_gain)
    if grid is None:
        return
    note = (
        "Audit rows were drawn uniformly before anything was chosen and kept from strategies and "
        "training; the last model was asked about all of them. Intervals are Wilson's."
    )
    rule = (
        "The rule: stop when the upper end of the 95 % interval for what the last cycle brought, "
        "from the audit rows that only one of the last two models has right, lies below "
        f"{100 * least_gain:g} points. It takes learning curves to flatten."
    )
    yield Section("The audit slice", notes=[note], grids=[grid], remarks=[rule])


def _seconds_section(results: Results) -> Iterator[Section]:
    grid = seconds_grid(results)
    if grid is not None:
        yield Section("Seconds of a cycle", grids=[grid], remarks=["Means over seeds and cycles."])


def place(points: Any, how: str) -> Floats:
    """Return points in a plane ``(N, 2)``, by ``"pca"`` or ``"tsne"`` (seed 0)."""
    matrix = np.asarray(to_numpy(points, "embeddings"), dtype=np.float64)
    if how == "pca" or len(matrix) < 5:
        return project(Embeddings(matrix), np.arange(len(matrix)))
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(matrix) - 1) / 3)
    plane = TSNE(2, init="pca", perplexity=perplexity, random_state=0, n_jobs=1)
    return np.asarray(plane.fit_transform(matrix), dtype=np.float64)


def _points(pool: Pool | None, embeddings: Any) -> Any:
    if embeddings is not None:
        return embeddings
    shape = getattr(pool.inputs, "shape", ()) if pool is not None else ()
    if pool is None or len(shape) < 2:
        return None
    return to_numpy(pool.inputs).reshape(len(pool.inputs), -1)


def _picture(name: str, figure: Figure, caption: str) -> Picture:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return Picture(name, buffer.getvalue(), caption)


def _name(curves: Curves) -> str:
    return "" if curves.baseline is None else curves.names[curves.baseline]
