"""Panels for budgeted selection: what is gained, which limits are used up, and when rows lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..problems.base import Sense
from ..problems.constraints import Cost, ExpectedCount, GroupLimit, Spacing
from .coverage_pictures import MARKERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from ..problems.arrays import Floats, Ints
    from ..problems.budgeted import BudgetedSelection
    from ..problems.selection import Selection

SEQUENCES = 8
"""So many sequences are drawn, those of which most is chosen."""


def draw_gains(axis: Axes, problem: BudgetedSelection, choices: Mapping[str, Selection]) -> None:
    """Draw the utility of each choice as its rows add up, the most useful first.

    Above it, what as many rows would be worth if nothing but their number were limited, and the
    best proven bound, dotted.

    Parameters
    ----------
    axis
        Where to draw.
    problem
        What was solved.
    choices
        Answers by the name to show.
    """
    most = max(len(choice.indices) for choice in choices.values())
    axis.plot(
        *_adding_up(problem.utility[problem.candidates], most), color="0.6", label="no limits"
    )
    for at, (name, choice) in enumerate(choices.items()):
        counts, gained = _adding_up(problem.utility[choice.indices], most)
        axis.plot(counts, gained, color=f"C{at % 10}", linewidth=1.2, label=name)
        axis.plot(
            counts[-1],
            gained[-1],
            MARKERS[at % len(MARKERS)],
            color=f"C{at % 10}",
            fillstyle="none",
            markersize=8,
            markeredgewidth=1.6,
        )
    bounds = [choice.bound for choice in choices.values() if choice.bound is not None]
    if bounds and problem.sense is Sense.MAX:
        axis.axhline(min(bounds), color="black", linestyle=":", label="proven bound")
    axis.set(title="utility, the best rows first", xlabel="rows", ylabel="total utility")


def _adding_up(utility: Floats, most: int) -> tuple[Ints, Floats]:
    best = np.sort(utility)[::-1][:most]
    return np.arange(len(best) + 1), np.concatenate([[0.0], np.cumsum(best)])


def draw_limits(axis: Axes, problem: BudgetedSelection, choices: Mapping[str, Selection]) -> None:
    """Draw how much of each limit a choice uses; at 1 there is nothing left, or just enough."""
    shares = {name: limit_shares(problem, choice) for name, choice in choices.items()}
    labels = list(dict.fromkeys(label for share in shares.values() for label in share))
    places = np.arange(len(labels))[::-1]
    width = 0.8 / len(shares)
    for at, (name, share) in enumerate(shares.items()):
        axis.barh(
            places + 0.4 - (at + 0.5) * width,
            [share[label] for label in labels],
            width,
            color=f"C{at % 10}",
            label=name,
        )
    axis.axvline(1.0, color="black", linewidth=0.8)
    axis.set_yticks(places, labels)
    axis.set(title="share of each limit", xlabel="used, or reached")


def limit_shares(problem: BudgetedSelection, choice: Selection) -> dict[str, float]:
    """Return by name how much of each limit on a sum or a count a choice uses.

    Of money and expected counts what is used of what is allowed or asked for; of groups the share
    of their caps that is full, and how far the quota that is hardest to meet is met.
    """
    shares: dict[str, float] = {}
    for at, rule in enumerate(problem.constraints):
        name = rule.name or f"{rule.kind} {at + 1}"
        if isinstance(rule, Cost) and rule.limit > 0:
            shares[f"{name}: spent"] = rule.spent(choice.indices) / rule.limit
        elif isinstance(rule, GroupLimit):
            counts = np.bincount(rule.labels.codes[choice.indices], minlength=len(rule.lower))
            sizes = np.bincount(rule.labels.codes, minlength=len(rule.lower))
            capped = (rule.upper < sizes) & (rule.upper > 0)
            if capped.any():
                full = (counts >= rule.upper)[capped]
                shares[f"{name}: full groups"] = float(full.mean())
            if rule.lower.any():
                asked = rule.lower > 0
                shares[f"{name}: scarcest group"] = float((counts[asked] / rule.lower[asked]).min())
        elif isinstance(rule, ExpectedCount):
            found = rule.expected(choice.indices)
            for k, lower, upper, value in zip(
                rule.classes, rule.lower, rule.upper, found, strict=True
            ):
                limit = lower if lower > 0 else upper
                if 0 < limit < np.inf:
                    shares[f"{name}: class {k}"] = float(value / limit)
    return shares


def draw_times(axis: Axes, problem: BudgetedSelection, choices: Mapping[str, Selection]) -> None:
    """Draw when the chosen rows lie in the sequences of which most is chosen."""
    spacing = next(rule for rule in problem.constraints if isinstance(rule, Spacing))
    codes, position = spacing.labels.codes, spacing.position
    chosen = np.concatenate([choice.indices for choice in choices.values()])
    counts = np.bincount(codes[chosen], minlength=len(spacing.labels.names))
    shown = np.lexsort((np.arange(len(counts)), -counts))[:SEQUENCES]
    shown = np.sort(shown[counts[shown] > 0])
    height = {int(code): at for at, code in enumerate(shown[::-1])}

    def draw(rows: Ints, marker: str, offset: float, **style: Any) -> None:
        rows = rows[np.isin(codes[rows], shown)]
        levels = np.array([height[int(code)] for code in codes[rows]]) + offset
        axis.plot(position[rows], levels, marker, linestyle="none", **style)

    draw(problem.candidates, "|", 0.0, color="0.8", markersize=14, zorder=0)
    draw(problem.labeled, "x", 0.0, color="black", markersize=6, label="labeled")
    for at, (name, choice) in enumerate(choices.items()):
        offset = 0.3 - 0.6 * (at + 0.5) / len(choices)
        marker = MARKERS[at % len(MARKERS)]
        draw(
            choice.indices,
            marker,
            offset,
            color=f"C{at % 10}",
            markersize=5,
            fillstyle="none",
            label=name,
        )
    axis.set_yticks(list(height.values()), [str(spacing.labels.names[code]) for code in height])
    axis.set(
        title=f"where most is chosen, {spacing.describe()}", xlabel="position", ylabel="sequence"
    )
