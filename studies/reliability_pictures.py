"""Reliability: how often a model is right where it is so sure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..problems.atomic import atomic_file
from ..problems.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..problems.calibration import Reliability


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
    for marker, (name, curve) in zip("osv^", curves.items(), strict=False):
        label = f"{name} (ECE {curve.error:.3f})"
        axis.plot(curve.confidence, curve.accuracy, f"{marker}-", fillstyle="none", label=label)
    axis.set(title="reliability", xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    axis.legend(frameon=False)
    with atomic_file(Path(path)) as temporary:
        figure.savefig(temporary, dpi=110)
