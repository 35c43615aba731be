"""Pictures of trust: reliability, and what balanced predictions come to when labels come back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..problems.atomic import atomic_file
from ..problems.class_balanced import ClassBalanced
from ..problems.correcting import uncorrected
from ..problems.errors import InvalidInput
from .coverage_pictures import MARKERS
from .metrics import l1_score, predicted_l1

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from ..problems.arrays import Ints
    from ..problems.calibration import Reliability
    from ..problems.selection import Selection
    from .comparing import Comparison


def plot_reliability(curves: Mapping[str, Reliability], path: str | Path) -> None:
    """Draw accuracy against confidence, one line a curve; on the diagonal a model is calibrated.

    Parameters
    ----------
    curves
        By name, from `labelcut.problems.reliability`.
    path
        Picture file; its suffix says the format.

    Raises
    ------
    InvalidInput
        If there is nothing to draw.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not curves:
        raise InvalidInput("plot: reliability needs labels; name the true classes as truth")
    figure = Figure(figsize=(5.6, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="black", linestyle=":", linewidth=1)
    for marker, (name, curve) in zip(MARKERS, curves.items(), strict=False):
        label = f"{name} (ECE {curve.error:.3f})"
        axis.plot(curve.confidence, curve.accuracy, f"{marker}-", fillstyle="none", label=label)
    axis.set(title="reliability", xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    axis.legend(frameon=False)
    with atomic_file(Path(path)) as temporary:
        figure.savefig(temporary, dpi=110)


def can_plot_programs(comparison: Comparison) -> bool:
    """Whether two class-balanced programs, as predicted and corrected, have labeled answers."""
    if not isinstance(comparison.problem, ClassBalanced):
        return False
    rows = comparison.programs()
    return bool(rows) and all(row["l1_true"] is not None for row in rows)


def plot_programs(comparison: Comparison, path: str | Path) -> None:
    """Draw the classes that each program expected beside those that came back, and all methods.

    Parameters
    ----------
    comparison
        Of a corrected problem with known labels; see `can_plot_programs`.
    path
        Picture file; its suffix says the format.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    paper, truth = comparison.paper, comparison.truth
    assert paper is not None
    assert paper.solution is not None
    assert truth is not None
    balanced, own = comparison.problem.class_balance, comparison.best(paper.method)
    assert balanced is not None
    assert own is not None
    figure = Figure(figsize=(16.5, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    first, second, third = figure.subplots(1, 3)
    plain = uncorrected(balanced)
    _draw_program(first, "trusting the predictions", plain, paper.solution, truth)
    _draw_program(second, "corrected", balanced, own, truth)
    second.sharey(first)
    answers = {f"{paper.method}, as predicted": paper.solution}
    for row in comparison.rows():
        answer = comparison.best(row["method"])
        if answer is not None:
            answers[row["method"]] = answer
    _draw_worth(third, answers, balanced, truth)
    with atomic_file(Path(path)) as temporary:
        figure.savefig(temporary, dpi=110)


def _draw_program(
    axis: Axes, name: str, problem: ClassBalanced, answer: Selection, truth: Ints
) -> None:
    rows = answer.indices
    places = np.arange(problem.n_classes)
    came = np.bincount(truth[rows], minlength=problem.n_classes)
    axis.bar(places - 0.2, problem.probs.total(rows), 0.4, label="predicted", color="tab:gray")
    axis.bar(places + 0.2, came, 0.4, label="true labels", color="tab:blue")
    edges = np.arange(problem.n_classes + 1) - 0.5
    axis.stairs(problem.target, edges, color="black", linewidth=1.2, label="target Ω")
    scores = predicted_l1(problem.probs, rows), l1_score(truth[rows], problem.n_classes)
    axis.set(
        title=f"{name}: L1 predicted {scores[0]:.2f}, true {scores[1]:.2f}",
        xlabel="class",
        ylabel="rows",
    )
    axis.legend(frameon=False)


def _draw_worth(
    axis: Axes, answers: Mapping[str, Selection], problem: ClassBalanced, truth: Ints
) -> None:
    for at, (name, answer) in enumerate(answers.items()):
        rows = answer.indices
        if (truth[rows] < 0).any():
            continue
        axis.plot(
            l1_score(truth[rows], problem.n_classes),
            problem.utility[rows].sum(),
            MARKERS[at % len(MARKERS)],
            fillstyle="none",
            markersize=8,
            markeredgewidth=1.8,
            linestyle="none",
            label=name,
        )
    axis.margins(0.15)
    axis.set(title="upper left is better", xlabel="L1 of true labels", ylabel="utility")
    axis.legend(frameon=False)
