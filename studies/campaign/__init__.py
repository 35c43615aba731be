"""Labelling campaigns: the active-learning loop around the solvers."""

from .audit import accuracy_interval, stopping_hint
from .budget_curves import auc_at_budget, labels_to_reach, metric_at_budget
from .learner import Learner
from .metrics import average_precision, mean_iou
from .pool import Pool
from .pools import augmented, frame_runs, long_tailed, take
from .records import Record, Results, load_results
from .report import write_report
from .report_sections import ReportOptions
from .round import Round, Strategy
from .significance import holm, penalty_matrix, welch_p
from .variety import near_duplicate_groups
from .videos import drifting, video_pool

__all__ = [
    "Learner",
    "Pool",
    "Record",
    "ReportOptions",
    "Results",
    "Round",
    "Strategy",
    "accuracy_interval",
    "auc_at_budget",
    "augmented",
    "average_precision",
    "drifting",
    "frame_runs",
    "holm",
    "labels_to_reach",
    "load_results",
    "long_tailed",
    "mean_iou",
    "metric_at_budget",
    "near_duplicate_groups",
    "penalty_matrix",
    "stopping_hint",
    "take",
    "video_pool",
    "welch_p",
    "write_report",
]
