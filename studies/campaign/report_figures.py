"""Pictures of a campaign: curves, penalties, classes, variety, and where the choices lie."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from ..coverage_pictures import MARKERS
from .significance import mean_and_std

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...problems.arrays import Floats, Ints
    from .significance import PenaltyMatrix
    from .summary import Curves

WIDTH = 5.8
"""Inches; a phone shows that at a size whose letters can be read."""
MANY_POINTS = 1_000
"""Above so many chosen rows the map draws them smaller."""
SHOWN_CLASSES = 20
"""Up to so many classes are called by their names."""
SHOWN_NUMBERS = 12
"""Up to so many strategies the penalty matrix holds its numbers."""


def learning_curves(curves: Curves, full: Mapping[str, float] | None = None) -> Figure:
    """Draw the metric over labels, mean and a band of one standard deviation over seeds.

    Below it the same less the baseline, seed by seed, where there is one.

    Parameters
    ----------
    curves
        What to draw.
    full
        Values of fully labeled models by name: dotted lines.
    """
    differences = curves.baseline is not None and len(curves.names) > 1
    figure, axes = _figure(2 if differences else 1, 1, 4.0 if differences else 4.6)
    top = axes[0, 0]
    _draw_bands(top, curves, curves.scale * curves.values)
    for name, value in (full or {}).items():
        top.axhline(curves.scale * value, color="0.3", linestyle=":", label=name)
    unit = ", %" if curves.scale == 100 else ""
    top.set(ylabel=f"{curves.metric.replace('_', ' ')}{unit}", title="mean ± std over seeds")
    if differences:
        assert curves.baseline is not None
        bottom = axes[1, 0]
        base = curves.values[curves.baseline]
        _draw_bands(bottom, curves, curves.scale * (curves.values - base))
        name = curves.names[curves.baseline]
        bottom.set(ylabel="points" if unit else "difference", title=f"less {name}, seed by seed")
    axes[-1, 0].set_xlabel("labeled rows")
    _legend(figure, top)
    return figure


def penalty_map(penalties: PenaltyMatrix, names: Sequence[str]) -> Figure:
    """Draw which strategy (row) beats which (column), and Φ below, the lowest and best first."""
    size, order = len(names), np.argsort(penalties.phi, kind="stable")
    names = [names[at] for at in order]
    cells = np.vstack([penalties.wins[np.ix_(order, order)], penalties.phi[order]])
    figure, axes = _figure(1, 1, min(0.42 * size + 2.2, 9))
    axis = axes[0, 0]
    peak = max(float(penalties.wins.max()), 1.0)
    image = axis.imshow(cells, cmap="Blues", vmin=0, vmax=peak, aspect="auto")
    axis.axhline(size - 0.5, color="black", linewidth=1.2)
    axis.set_xticks(range(size), names, rotation=60, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(size + 1), [*names, "Φ (mean)"])
    axis.set(title="share of cycles in which the row beats the column")
    for (row, column), value in np.ndenumerate(cells):
        if size <= SHOWN_NUMBERS and (row == size or row != column):
            color = "white" if value > 0.6 * peak else "black"
            axis.text(
                column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=color
            )
    figure.colorbar(image, ax=axis, shrink=0.7)
    return figure


def class_histograms(
    histograms: Floats,
    names: Sequence[str],
    cycles: Sequence[int],
    classes: Sequence[str] | None = None,
) -> Figure:
    """Draw the classes of the labeled rows: the initial set, and upon it what each cycle chose.

    One panel a strategy; a cycle's color is that of `chosen_map`.

    Parameters
    ----------
    histograms
        Rows of each class, means over seeds ``(S, K, C)``.
    names, cycles, classes
        Of strategies, points and, up to 20, classes; the model of cycle 0 has the initial set.
    """
    figure, axes = _panels(len(names), 1.7, sharey=True)
    colors = ["0.65", *_shades(len(cycles))]
    labels = ["initial set" if not cycle else f"chosen in cycle {cycle - 1}" for cycle in cycles]
    edges = np.arange(histograms.shape[2] + 1) - 0.5
    for axis, name, points in zip(axes, names, histograms, strict=False):
        for at in reversed(range(len(cycles))):
            if np.isfinite(points[at]).all():
                axis.stairs(points[at], edges, fill=True, color=colors[at], label=labels[at])
        last = points[np.isfinite(points).all(axis=1)][-1:]
        if len(last):
            axis.axhline(last.mean(), color="black", linestyle=":", linewidth=1)
        axis.set_title(name, fontsize=10)
        if classes is not None and len(classes) <= SHOWN_CLASSES:
            axis.set_xticks(range(len(classes)), classes, rotation=60, ha="right", fontsize=8)
        else:
            axis.locator_params(axis="x", integer=True, nbins=10)
        axis.set_xlim(edges[0], edges[-1])
    for axis in axes[max(len(names) - 2, 0) : len(names)]:
        axis.set_xlabel("class")
    figure.supylabel("labeled rows", fontsize=10)
    _legend(figure, axes[0], upside_down=True)
    return figure


def metric_panels(curves: Sequence[Curves], titles: Sequence[str]) -> Figure:
    """Draw several metrics over labels, one panel each, means over seeds."""
    figure, axes = _panels(len(curves), 2.5)
    for axis, one, title in zip(axes, curves, titles, strict=False):
        for at, mean in enumerate(one.means):
            axis.plot(one.labeled, mean, **_style(at, at == one.baseline), label=one.names[at])
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("labeled rows")
        axis.locator_params(axis="x", integer=True)
        if one.scale == 100:  # A share: what looks like a change should be one.
            axis.set_ylim(0, max(1.05 * float(np.nanmax(one.means)), 0.05))
    _legend(figure, axes[0])
    return figure


def chosen_map(
    places: Floats, chosen: Mapping[str, Sequence[Ints]], cycles: Sequence[int]
) -> Figure:
    """Draw where the chosen rows lie among all, coloured by cycle: clumps show a mode collapse.

    Parameters
    ----------
    places
        All rows in a plane ``(N, 2)``.
    chosen
        Rows that each strategy chose, cycle by cycle.
    cycles
        Their numbers.
    """
    wide, high = np.maximum(np.ptp(places, axis=0), 1e-12)
    figure, axes = _panels(len(chosen), float(np.clip(2.9 * high / wide, 1.3, 2.9)))
    colors = _shades(len(cycles))
    most = max(sum(map(len, rounds)) for rounds in chosen.values())
    size = 2.5 if most <= MANY_POINTS else 1.0
    for axis, (name, rounds) in zip(axes, chosen.items(), strict=False):
        axis.plot(*places.T, ".", color="0.85", markersize=2, rasterized=True)
        for color, cycle, rows in zip(colors, cycles, rounds, strict=False):
            if len(rows):
                label = f"chosen in cycle {cycle}"
                axis.plot(*places[rows].T, "o", color=color, markersize=size, label=label)
        axis.set_title(name, fontsize=10)
        axis.set(xticks=[], yticks=[])
        axis.set_aspect("equal", adjustable="datalim")
    _legend(figure, axes[0])
    return figure


def portion_curves(portions: Sequence[float], names: Sequence[str], values: Floats) -> Figure:
    """Draw a model's accuracy on the highest-scored portions of each strategy (thesis fig. 3.5).

    Parameters
    ----------
    portions
        Shares of the unlabeled rows ``(P,)``.
    names
        Of the S strategies.
    values
        From `accuracy_by_portion`, ``(S, P)``; rows of NaN are not drawn.
    """
    figure, axes = _figure(1, 1, 3.8)
    axis = axes[0, 0]
    for at, (name, mean) in enumerate(zip(names, 100 * values, strict=True)):
        if np.isfinite(mean).all():
            axis.plot(100 * np.asarray(portions), mean, **_style(at, False), label=name)
    axis.set(xlabel="highest-scored, % of unlabeled rows", ylabel="accuracy before labeling, %")
    axis.grid(alpha=0.3)
    _legend(figure, axis)
    return figure


def dispersion_bars(edges: Floats, counts: Floats, accuracy: Floats) -> Figure:
    """Draw how many rows lie in each bin of a score, and the accuracy there (thesis fig. 3.3).

    Parameters
    ----------
    edges, counts, accuracy
        As in `accuracy_by_bin`.
    """
    figure, axes = _figure(1, 1, 3.0)
    axis = axes[0, 0]
    axis.stairs(counts, edges, fill=True, color="C0", alpha=0.6)
    axis.set(xlabel="label dispersion", ylabel="rows")
    other = axis.twinx()
    known = np.isfinite(accuracy)
    middles = (edges[:-1] + edges[1:]) / 2
    other.plot(middles[known], 100 * accuracy[known], "o-", color="black")
    other.set(ylabel="accuracy before labeling, %", ylim=(0, 105))
    return figure


def _draw_bands(axis: Axes, curves: Curves, values: Floats) -> None:
    means, spreads = mean_and_std(values, axis=1)
    for at, (name, mean, spread) in enumerate(zip(curves.names, means, spreads, strict=True)):
        style = _style(at, at == curves.baseline)
        axis.plot(curves.labeled, mean, **style, label=name)
        band = np.isfinite(spread)
        axis.fill_between(
            curves.labeled[band],
            (mean - spread)[band],
            (mean + spread)[band],
            color=style["color"],
            alpha=0.1,
            linewidth=0,
        )
    axis.locator_params(axis="x", integer=True)  # rows are counted
    axis.grid(alpha=0.3)


def _style(at: int, is_baseline: bool) -> dict[str, Any]:
    """Return one look for a strategy in all pictures; the baseline is black and dashed."""
    if is_baseline:
        return {"color": "black", "linestyle": "--", "linewidth": 1.8}
    marker, color = MARKERS[at % len(MARKERS)], f"C{at % 10}"
    dashes = ["-", "-.", ":"][at // 10 % 3]
    return {"color": color, "linestyle": dashes, "marker": marker, "markersize": 4.5}


def _shades(count: int) -> Any:
    from matplotlib import colormaps

    return colormaps["viridis"](np.linspace(0.05, 0.95, max(count, 1)))


def _panels(count: int, height: float, **shared: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure of two columns, and its panels; what is too many is left empty."""
    columns = min(count, 2)
    figure, axes = _figure(ceil(count / columns), columns, height, **shared)
    flat = list(axes.ravel())
    for axis in flat[count:]:
        axis.set_axis_off()
    return figure, flat


def _figure(rows: int, columns: int, height: float, **shared: Any) -> tuple[Figure, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, rows * height + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **shared)


def _legend(figure: Figure, axis: Axes, *, upside_down: bool = False) -> None:
    handles, labels = axis.get_legend_handles_labels()
    if upside_down:
        handles, labels = handles[::-1], labels[::-1]
    longest = max(map(len, labels), default=1)
    columns = max(min(int(60 / (longest + 6)), len(labels)), 1)
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9
    )
