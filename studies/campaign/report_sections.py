"""Sections of a campaign's report, each from its records."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from ...problems.arrays import to_numpy
from ...problems.embeddings import Embeddings
from ..projections import project
from . import report_figures as figures
from .audit import LEAST_GAIN, audit_hint
from .choices import DISPERSION_BINS, PORTIONS, portion_name
from .report_page import Picture, Section
from .report_tables import (
    CHOICES,
    against_grid,
    audit_grid,
    choices_grid,
    others_grid,
    seconds_grid,
    standings_grid,
)
from .significance import ALPHA, mean_and_std
from .summary import BASELINE, SECOND_MODELS, Curves, curves_of, penalties

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    lower
        Whether lower values of it are better; default: by its name.
    baseline
        Strategy that others are compared with, if it takes part.
    alpha
        Level of all tests.
    least_gain
        Accuracy that a cycle has to bring, for the stopping hint.
    projection
        ``"tsne"``, ``"pca"``, or ``"auto"``: t-SNE up to 3,000 rows.
    full
        The metric of fully labeled models, by the name to show. Models with dropout have a line of
        their own (paper 002).
    left
        Cycles that are planned and not finished; where that is not told, a report counts those
        that its own strategies, seeds and cycles lack.
    """

    metric: str | None = None
    baseline: str = BASELINE
    alpha: float = ALPHA
    least_gain: float = LEAST_GAIN
    projection: str = "auto"
    full: Mapping[str, float] = field(default_factory=dict)
    left: int = 0
    lower: bool | None = None


def standing_section(curves: Curves, rows: list[Standing], options: ReportOptions) -> Section:
    """Return the learning curves, how each strategy ends, and what it is worth."""
    picture = _picture(
        "curves",
        figures.learning_curves(curves, options.full),
        f"Learning curves: {curves.metric.replace('_', ' ')} over labeled rows.",
    )
    remarks = [
        "± is one standard deviation over seeds. AUC@B is the area under the curve over labeled "
        f"shares, {curves.shares[0]:.4g} to {curves.shares[-1]:.4g}. † better than every other: "
        f"Welch's t-tests at the end, p < {options.alpha:g} corrected by Holm for all pairs."
    ]
    grids = [standings_grid(curves, rows, penalties(curves, options.alpha))]
    against = against_grid(curves, rows, options.alpha)
    if against is not None:
        assert curves.baseline is not None
        name = curves.names[curves.baseline]
        grids.append(against)
        remarks.append(
            f"Against {name}: Welch's t-test at the end, p corrected by Holm for the number of "
            f"strategies, * below {options.alpha:g}; labels at which a mean curve first reaches "
            f"what {name} has at the end, and the share of labels that this saves."
        )
    if curves.names[-1].endswith(tuple(f" ({model})" for model in SECOND_MODELS)):
        remarks.append(
            "In brackets: models that strategies train beside the campaign's own, on labels that "
            "models gave too; they begin as copies of it and may have been trained longer."
        )
    return Section("How the strategies did", pictures=[picture], grids=grids, remarks=remarks)


def penalty_section(curves: Curves, options: ReportOptions) -> Iterator[Section]:
    """Yield the penalty matrix, where several strategies have several seeds."""
    found = penalties(curves, options.alpha)
    if found is None:
        return
    picture = _picture(
        "penalties",
        figures.penalty_map(found, curves.names),
        "Share of cycles in which the row's strategy beats the column's"
        f"{' with a lower value' if curves.lower else ''}; Φ is the column's mean: "
        "lower is better.",
    )
    remark = (
        f"Paired two-sided t-tests over seeds at the level {options.alpha:g} in each cycle but the "
        "first, not corrected, as in the papers."
    )
    yield Section("Who beats whom", pictures=[picture], remarks=[remark])


def class_section(results: Results, names: Sequence[str] | None = None) -> Iterator[Section]:
    """Yield the class histograms by cycle, where labels are classes; these may have names."""
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
        figures.class_histograms(means, results.strategies, results.cycles, names),
        "Labeled rows of each class, cycle upon cycle, means over seeds; dotted: as many of each.",
    )
    yield Section("Classes of what was labeled", pictures=[picture])


def choice_section(results: Results, curves: Curves) -> Iterator[Section]:
    """Yield what was chosen: balance, mistakes, near-duplicates, diversity, as far as recorded."""
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
        "usual distance to a labeled row or another chosen one, in the model's embedding; crops "
        "and other colors of one image often lie farther apart there, and are not counted then."
    )
    yield Section("What was chosen", pictures=[picture], grids=[grid], remarks=[remark])


def knowledge_section(results: Results) -> Iterator[Section]:
    """Yield what the first model knew of the rows that strategies ask for, where they tell it."""
    pictures = []
    portions = [part for part in PORTIONS if portion_name(part) in results.metrics]
    if portions:
        means = np.array([_at_first(results, portion_name(part)) for part in portions]).T
        caption = "Accuracy on the rows a strategy scores highest: low is informative."
        drawn = figures.portion_curves(portions, results.strategies, means)
        pictures.append(_picture("portions", drawn, caption))
    if "dispersion_rows_0" in results.metrics:
        rows, right = (
            np.array(
                [
                    mean_and_std(_at_first(results, f"dispersion_{what}_{at}"))[0]
                    for at in range(len(DISPERSION_BINS) - 1)
                ]
            )
            for what in ("rows", "accuracy")
        )
        caption = "Unlabeled rows by label dispersion (bars), and accuracy on them (line)."
        bars = figures.dispersion_bars(DISPERSION_BINS, rows, right)
        pictures.append(_picture("dispersion", bars, caption))
    if pictures:
        remark = "Of the first model, trained on the initial set, before anything more is labeled."
        yield Section("What the model knew before", pictures=pictures, remarks=[remark])


def _at_first(results: Results, metric: str) -> Floats:
    """Return each strategy's mean over seeds before anything was chosen ``(S,)``."""
    return mean_and_std(results.table(metric)[:, :, 0])[0]


def map_section(results: Results, points: Any, projection: str) -> Iterator[Section]:
    """Yield where the rows lie that strategies chose with the first seed, audit rows left out."""
    if points is None or not any(len(record.chosen) for record in results.records):
        return
    how = projection
    if how == "auto":
        how = "tsne" if len(points) <= FEW_ROWS else "pca"
    places = place(points, how)
    seed = results.seeds[0]
    chosen = {
        name: [np.setdiff1d(record.chosen, record.audit) for record in results.run(name, seed)]
        for name in results.strategies
    }
    names = {"tsne": "t-SNE", "pca": "PCA"}
    picture = _picture(
        "map",
        figures.chosen_map(places, chosen, results.cycles),
        f"Where the chosen rows lie ({names[how]}, seed {seed}): clumps are choices that repeat "
        "themselves.",
    )
    yield Section("Where the choices lie", pictures=[picture])


def audit_section(results: Results, least_gain: float) -> Iterator[Section]:
    """Yield the accuracy by the audit slices and the stopping hints, where there are any."""
    grid = audit_grid(results, least_gain)
    if grid is None:
        return
    notes = [
        "Audit rows were drawn uniformly before anything was chosen and kept from strategies and "
        "training; the last model was asked about all of them. In brackets: 95 % limits, Wilson's "
        "of the accuracy. Runs of several seeds are taken together, as if each had rows of its own."
    ]
    if len(results.strategies) == len(results.seeds) == 1:
        hint = audit_hint(
            results.run(results.strategies[0], results.seeds[0])[-1].metrics, least_gain
        )
        notes += [] if hint is None else [hint.reason]
    rule = (
        "The rule: stop when the upper end of the 95 % interval for what the last cycle brought, "
        "from the audit rows that only one of the last two models has right, lies below "
        f"{100 * least_gain:g} point{'' if least_gain == 0.01 else 's'}. It takes learning curves "
        "to flatten."
    )
    yield Section("The audit slice", notes=notes, grids=[grid], remarks=[rule])


def others_section(results: Results, curves: Curves) -> Iterator[Section]:
    """Yield the metrics that have no place of their own, where there are any."""
    grid = others_grid(results, curves.metric)
    if grid is not None:
        remark = "In the last cycle that has them, mean ± std over seeds."
        yield Section("Other numbers", grids=[grid], remarks=[remark])


def seconds_section(results: Results) -> Iterator[Section]:
    """Yield how long a cycle takes, where that was recorded."""
    grid = seconds_grid(results)
    if grid is not None:
        yield Section(
            "Seconds of a cycle",
            grids=[grid],
            remarks=["By the clock; means over seeds and cycles."],
        )


def place(points: Any, how: str) -> Floats:
    """Return points in a plane ``(N, 2)``, by ``"pca"`` or ``"tsne"`` (seed 0)."""
    matrix = to_numpy(points, "embeddings")
    if how == "pca" or len(matrix) < 5:
        return project(Embeddings(matrix), np.arange(len(matrix)))
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(matrix) - 1) / 3)
    plane = TSNE(2, init="pca", perplexity=perplexity, random_state=0, n_jobs=1)
    return np.asarray(plane.fit_transform(matrix.astype(np.float64)), dtype=np.float64)


def map_points(pool: Pool | None, embeddings: Any) -> Any:
    """Return what to map: embeddings, else a pool's inputs row by row, else None."""
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
