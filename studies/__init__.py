"""What solvers are worth: comparisons, metrics and pictures."""

from .comparing import Comparison, Run, compare
from .coreset_frontier import coreset_frontier
from .metrics import l1_score, predicted_l1
from .pictures import plot_choices, plot_frontier
from .region_pictures import plot_regions
from .trade_off import Frontier, FrontierPoint, frontier
from .video import choose_frames, compare_estimates, frame_utility, video_problem
from .video_pictures import draw_frames

__all__ = [
    "Comparison",
    "Frontier",
    "FrontierPoint",
    "Run",
    "choose_frames",
    "compare",
    "compare_estimates",
    "coreset_frontier",
    "draw_frames",
    "frame_utility",
    "frontier",
    "l1_score",
    "plot_choices",
    "plot_frontier",
    "plot_regions",
    "predicted_l1",
    "video_problem",
]
