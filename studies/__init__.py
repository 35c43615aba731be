"""What solvers are worth: comparisons, metrics and pictures."""

from .comparing import Comparison, Run, compare
from .metrics import l1_score, predicted_l1
from .pictures import plot_choices

__all__ = ["Comparison", "Run", "compare", "l1_score", "plot_choices", "predicted_l1"]
