"""Panels for coresets: where the chosen rows lie, and how the radius falls with every pick."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .projections import project

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from ..problems.arrays import Floats, Ints
    from ..problems.k_center import KCenter
    from ..problems.selection import Selection

SHOWN = 5_000
"""More rows than this are drawn as a sample."""
MARKERS = "os^Dv*Xp"


def draw_map(axis: Axes, problem: KCenter, choices: Mapping[str, Selection]) -> None:
    """Draw all rows, the labeled and chosen ones, and a line from the farthest row to its center.

    Parameters
    ----------
    axis
        Where to draw.
    problem
        What was solved.
    choices
        Answers by the name to show.
    """
    rng = np.random.default_rng(0)
    size = problem.dataset.size
    some = _at_most(np.arange(size), rng)
    labeled = _at_most(problem.labeled, rng)
    longest = {name: farthest(problem, choice) for name, choice in choices.items()}
    needed = [some, labeled, *(choice.indices for choice in choices.values()), *longest.values()]
    rows = np.unique(np.concatenate(needed))
    places = project(problem.space, rows)

    def at(wanted: Ints) -> tuple[Floats, Floats]:
        found = places[np.searchsorted(rows, wanted)]
        return found[:, 0], found[:, 1]

    label = "rows" if len(some) == size else f"{len(some):,} of {size:,} rows"
    axis.plot(*at(some), ".", color="0.8", markersize=3, rasterized=True, label=label)
    if len(labeled):
        axis.plot(*at(labeled), "+", color="black", markersize=6, label="labeled")
    for k, (name, choice) in enumerate(choices.items()):
        axis.plot(
            *at(choice.indices),
            MARKERS[k % len(MARKERS)],
            color=f"C{k % 10}",
            fillstyle="none",
            markersize=7 + k,
            markeredgewidth=1.5,
            label=f"{name}, radius {choice.terms['radius']:.4g}",
        )
        axis.plot(*at(longest[name]), "-", color=f"C{k % 10}", linewidth=2)
    known = problem.space.witness_share is not None
    scale = "distances look shorter than they are" if known else "only roughly to scale"
    axis.set_title(
        f"{problem.space.name}, in a plane: {scale}\nlines join the farthest row to its center"
    )
    axis.set_aspect("equal", adjustable="datalim")
    axis.set(xticks=[], yticks=[])


def farthest(problem: KCenter, choice: Selection) -> Ints:
    """Return the row that makes the radius and its center; outliers are left out.

    Examples
    --------
    >>> from labelcut import KCenter, solve
    >>> problem = KCenter([[0.0], [1.0], [5.0]], budget=1, labeled=[0])
    >>> farthest(problem, solve(problem, "random", seed=0)).tolist()
    [1, 0]
    """
    centers, distances = problem.assignment(choice)
    row = np.argsort(-distances, kind="stable")[problem.outliers]
    return np.array([row, centers[row]])


def curves(choices: Mapping[str, Selection]) -> dict[str, Floats]:
    """Return the radius after each pick, of the answers that tell it."""
    told = {name: choice.info.get("curve") for name, choice in choices.items()}
    return {
        name: np.asarray(curve, dtype=np.float64)
        for name, curve in told.items()
        if isinstance(curve, list) and curve
    }


def draw_curves(axis: Axes, problem: KCenter, choices: Mapping[str, Selection]) -> None:
    """Draw how the radius falls with every pick, and the bound that no answer passes."""
    for name, curve in curves(choices).items():
        color = f"C{list(choices).index(name) % 10}"
        axis.plot(np.arange(1, len(curve) + 1), curve, color=color, label=f"{name}, pick by pick")
    bounds = [choice.bound for choice in choices.values() if choice.bound is not None]
    if bounds and not problem.balance:  # with λ the bound is one on the sum
        axis.axhline(max(bounds), color="black", linestyle=":", label="proven bound")
    axis.set(title="coverage", xlabel="rows chosen", ylabel="radius")
    axis.set_ylim(bottom=0)
    axis.locator_params(axis="x", integer=True)


def _at_most(rows: Ints, rng: np.random.Generator) -> Ints:
    return rows if len(rows) <= SHOWN else np.sort(rng.choice(rows, SHOWN, replace=False))
