"""What solvers are worth: comparisons, metrics and pictures."""

from .comparing import Comparison, Run, compare
from .coreset_frontier import coreset_frontier
from .metrics import l1_score, predicted_l1
from .pictures import plot_choices, plot_frontier
from .region_pictures import plot_regions
from .trade_off import Frontier, FrontierPoint, frontier

__all__ = [
    "Comparison",
    "Frontier",
    "FrontierPoint",
    "Run",
    "compare",
    "coreset_frontier",
    "frontier",
    "l1_score",
    "plot_choices",
    "plot_frontier",
    "plot_regions",
    "predicted_l1",
]
