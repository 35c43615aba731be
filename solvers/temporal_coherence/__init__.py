"""Temporal coherence: minimum cuts, and what they are measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import Method, by_name

if TYPE_CHECKING:
    from ...problems.temporal_coherence import TemporalCoherence


def _nodes(problem: TemporalCoherence) -> int:
    return 40 * problem.n_nodes + 40 * len(problem.edge_cost) + (16 << 20)


def _cuts(problem: TemporalCoherence) -> int:
    # Nodes and edges sorted by video, the flow, and one batch of videos in two graph libraries.
    return _nodes(problem) + 120 * problem.n_nodes + 160 * len(problem.edge_cost) + (256 << 20)


METHODS = by_name(
    Method(
        name="exact",
        about="both extreme minimum cuts, and the flow that proves them",
        run="temporal_coherence.exact:solve_exact",
        memory=_cuts,
        proves=True,
        options={"certificate": True, "extremes": True},
    ),
    Method(
        name="threshold",
        about="detections that score less are false; nothing is missed",
        run="temporal_coherence.baselines:solve_threshold",
        memory=_nodes,
        options={"below": 0.5},
    ),
    Method(
        name="random",
        about="each detection false by chance; nothing is missed",
        run="temporal_coherence.baselines:solve_random",
        memory=_nodes,
        random=True,
        options={"share": 0.2},
    ),
)


def choose_auto(problem: TemporalCoherence) -> tuple[str, str]:
    """Return the method to take for a problem, and why."""
    del problem
    return "exact", "exact: the energy is submodular, so a minimum cut is optimal"
