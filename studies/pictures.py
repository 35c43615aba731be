"""Pictures of choices: which classes they hold, what they cover, and what balance costs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..problems.atomic import atomic_file, require_writable
from ..problems.base import Sense
from ..problems.constraints import Spacing
from ..problems.errors import InvalidInput
from .budgeted_pictures import draw_gains, draw_limits, draw_times, limit_shares
from .coverage_pictures import MARKERS, curves, draw_curves, draw_map
from .metrics import as_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from matplotlib.axes import Axes

    from ..problems.arrays import Floats, Ints
    from ..problems.budgeted import BudgetedSelection
    from ..problems.class_balanced import ClassBalanced
    from ..problems.k_center import KCenter
    from ..problems.selection import Selection, SelectionProblem
    from .trade_off import Frontier

FEW_CLASSES = 30
"""Up to this many classes get a bar each; more are drawn as lines."""


def plot_choices(
    problem: SelectionProblem,
    choices: Mapping[str, Selection],
    path: str | Path,
    *,
    truth: Any = None,
) -> None:
    """Draw what each choice is worth, and the best bound that the choices prove, dotted.

    Of class-balanced problems: the classes of each choice beside the target, and utility against
    imbalance, where nothing lies above the bound. Of k-center problems: the rows in a plane with
    each choice and its radius; the radius after every pick, where an answer tells it
    (``info["curve"]``); and the classes, where balance has a price. Of budgeted problems: utility
    as the rows add up, how much of each limit is used, and under a spacing where in time rows lie.

    Parameters
    ----------
    problem
        What was solved.
    choices
        Answers by the name to show.
    path
        Picture file; its suffix says the format (``.png``, ``.svg``, ``.pdf``).
    truth
        True class of every row ``(N,)``, -1 where it is not known; adds a panel of true classes.

    Raises
    ------
    InvalidInput
        If there is nothing to draw, the format is unknown, the place cannot be written or the truth
        does not fit.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = {name: choice for name, choice in choices.items() if len(choice.indices)}
    if not drawn:
        raise InvalidInput("plot: no method found an answer; there is nothing to draw")
    path = Path(path)
    require_picture(path)
    panels = PANELS[problem.kind](problem, drawn, as_truth(truth, problem))
    figure = Figure(figsize=(5.5 * len(panels), 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, draw in zip(axes, panels, strict=True):
        draw(axis)
    entries = {
        label: handle
        for axis in axes
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        entries.values(),
        entries.keys(),
        loc="outside lower center",
        ncols=min(len(entries), PER_PANEL[problem.kind] * len(axes)),
        frameon=False,
    )
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=110)


def plot_frontier(frontier: Frontier, path: str | Path, *, knee: float | None = None) -> None:
    """Draw utility against imbalance over λ, with the most that any selection could reach.

    Parameters
    ----------
    frontier
        From `labelcut.frontier`.
    path
        Picture file; its suffix says the format.
    knee
        λ of the knee; the first point at or beyond it is marked.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = Path(path)
    require_picture(path)
    points = sorted(frontier.points, key=lambda point: point.imbalance)
    imbalances = [point.imbalance for point in points]
    figure = Figure(figsize=(6.5, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    bounds = [point.utility_bound for point in points]
    axis.plot(imbalances, bounds, "k:", label="proven: no selection lies above")
    axis.plot(imbalances, [point.utility for point in points], "o-", label="found")
    bent = [point for point in frontier.points if knee is not None and point.balance >= knee]
    if bent:
        label = f"knee, λ = {knee:.3g}"
        axis.plot(bent[0].imbalance, bent[0].utility, "s", ms=11, mfc="none", label=label)
    axis.set(xlabel="imbalance", ylabel="utility", title="what balance costs")
    axis.legend(frameon=False)
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=110)


def require_picture(path: Path) -> None:
    """Raise `InvalidInput` unless a picture may be written at `path`, in a format it names."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if path.suffix.lstrip(".").lower() not in FigureCanvasAgg.filetypes:
        got = f"the suffix {path.suffix!r}" if path.suffix else "no suffix"
        raise InvalidInput(
            f"plot: the suffix says the format; {path.name} has {got}; use .png, .svg or .pdf"
        )
    require_writable(path)


def _balance_panels(
    problem: ClassBalanced, choices: Mapping[str, Selection], truth: Ints | None
) -> list[Callable[[Axes], None]]:
    classes = _class_panels(problem, choices, truth)
    return [*classes, partial(_draw_terms, problem=problem, choices=choices)]


def _coverage_panels(
    problem: KCenter, choices: Mapping[str, Selection], truth: Ints | None
) -> list[Callable[[Axes], None]]:
    panels: list[Callable[[Axes], None]] = [partial(draw_map, problem=problem, choices=choices)]
    if curves(choices):
        panels.append(partial(draw_curves, problem=problem, choices=choices))
    if problem.balancing is not None and problem.balance:
        panels += _class_panels(problem.balancing, choices, truth)
    return panels


def _gain_panels(
    problem: BudgetedSelection, choices: Mapping[str, Selection], truth: Ints | None
) -> list[Callable[[Axes], None]]:
    del truth
    panels: list[Callable[[Axes], None]] = [partial(draw_gains, problem=problem, choices=choices)]
    if any(limit_shares(problem, choice) for choice in choices.values()):
        panels.append(partial(draw_limits, problem=problem, choices=choices))
    if any(isinstance(rule, Spacing) for rule in problem.constraints):
        panels.append(partial(draw_times, problem=problem, choices=choices))
    return panels


PANELS: Mapping[str, Callable[..., list[Callable[[Axes], None]]]] = {
    "class-balanced": _balance_panels,
    "k-center": _coverage_panels,
    "budgeted": _gain_panels,
}
"""What is drawn of each kind of problem, from left to right."""
PER_PANEL = {"class-balanced": 4, "k-center": 2, "budgeted": 3}
"""Entries of the legend below each panel."""


def _class_panels(
    problem: ClassBalanced, choices: Mapping[str, Selection], truth: Ints | None
) -> list[Callable[[Axes], None]]:
    panels = [("predicted classes (Pᵀz)", _predicted(problem, choices))]
    if truth is not None and all((truth[choice.indices] >= 0).all() for choice in choices.values()):
        panels.append(("true classes", _true(problem, choices, truth)))
    return [
        partial(_draw_classes, target=problem.target, counts=counts, title=title)
        for title, counts in panels
    ]


def _predicted(problem: ClassBalanced, choices: Mapping[str, Selection]) -> dict[str, Floats]:
    return {name: problem.probs.total(choice.indices) for name, choice in choices.items()}


def _true(
    problem: ClassBalanced, choices: Mapping[str, Selection], truth: Ints
) -> dict[str, Floats]:
    return {
        name: np.bincount(truth[choice.indices], minlength=problem.n_classes).astype(np.float64)
        for name, choice in choices.items()
    }


def _draw_classes(axis: Axes, target: Floats, counts: Mapping[str, Floats], title: str) -> None:
    places = np.arange(len(target))
    width = 0.8 / len(counts)
    for at, (name, values) in enumerate(counts.items()):
        if len(target) <= FEW_CLASSES:
            axis.bar(places - 0.4 + (at + 0.5) * width, values, width, label=name)
        else:
            axis.plot(places, values, linewidth=1, label=name)
    edges = np.arange(len(target) + 1) - 0.5
    axis.stairs(target, edges, color="black", linewidth=1.2, label="target Ω")
    axis.set(title=title, xlabel="class", ylabel="rows")
    axis.locator_params(axis="y", steps=[1, 2, 5, 10])
    if len(target) <= FEW_CLASSES:
        axis.set_xticks(places)


def _draw_terms(axis: Axes, problem: ClassBalanced, choices: Mapping[str, Selection]) -> None:
    for at, choice in enumerate(choices.values()):
        # Hollow, in a shape of its own: choices that coincide stay visible.
        axis.plot(
            choice.terms["imbalance"],
            choice.terms["utility"],
            MARKERS[at % len(MARKERS)],
            fillstyle="none",
            markersize=8,
            markeredgewidth=1.8,
        )
    axis.margins(0.15)
    bounds = [choice.bound for choice in choices.values() if choice.bound is not None]
    if bounds and problem.sense is Sense.MIN:
        axis.set(xlim=axis.get_xlim(), ylim=axis.get_ylim())
        axis.axline(
            (0.0, -max(bounds)),
            slope=problem.balance,
            color="black",
            linestyle=":",
            label="proven bound",
        )
    axis.set(title="upper left is better", xlabel="predicted imbalance", ylabel="utility")
