"""What is being chosen: problems, their constraints, answers, and the files that hold them."""

from .base import Certificate, Evaluation, Problem, Sense, Solution, Status, StoppedBy
from .budgeted import BudgetedSelection
from .calibration import Calibration, Reliability, fit_temperature, fit_vector, reliability
from .checking import CheckReport, check
from .class_balanced import ClassBalanced
from .coherence_weights import CoherenceWeights
from .constraints import (
    Constraint,
    Cost,
    ExpectedCount,
    Forbid,
    GroupLimit,
    Include,
    Spacing,
)
from .correcting import Correction, corrected, uncorrected
from .detection_files import read_coco, read_kitti, read_mot
from .detection_writing import write_detections
from .detections import Detections, Video, join_detections, make_detections
from .error_estimate import ErrorEstimate
from .errors import (
    CheckFailed,
    InfeasibleSelection,
    InvalidInput,
    LabelcutError,
    NotEnoughMemory,
    UnsupportedProblem,
)
from .factored import Factored
from .frame_utilities import (
    count_utility,
    entropy_utility,
    least_confidence_utility,
    margin_utility,
    soft_utility,
    summed_utility,
)
from .k_center import KCenter
from .loading import load
from .priors import PriorCorrection, correct_priors
from .problem_files import ProblemFile, read_problem, save_problem
from .robust import confusion_radius, robust_balance
from .selection import Selection, SelectionProblem
from .solution_files import load_solution
from .targets import fill_target, paper_target
from .temporal_coherence import TemporalCoherence
from .true_errors import TrueErrors, find_errors
from .video_files import VideoFile, read_video_file

__all__ = [
    "BudgetedSelection",
    "Calibration",
    "Certificate",
    "CheckFailed",
    "CheckReport",
    "ClassBalanced",
    "CoherenceWeights",
    "Constraint",
    "Correction",
    "Cost",
    "Detections",
    "ErrorEstimate",
    "Evaluation",
    "ExpectedCount",
    "Factored",
    "Forbid",
    "GroupLimit",
    "Include",
    "InfeasibleSelection",
    "InvalidInput",
    "KCenter",
    "LabelcutError",
    "NotEnoughMemory",
    "PriorCorrection",
    "Problem",
    "ProblemFile",
    "Reliability",
    "Selection",
    "SelectionProblem",
    "Sense",
    "Solution",
    "Spacing",
    "Status",
    "StoppedBy",
    "TemporalCoherence",
    "TrueErrors",
    "UnsupportedProblem",
    "Video",
    "VideoFile",
    "check",
    "confusion_radius",
    "correct_priors",
    "corrected",
    "count_utility",
    "entropy_utility",
    "fill_target",
    "find_errors",
    "fit_temperature",
    "fit_vector",
    "join_detections",
    "least_confidence_utility",
    "load",
    "load_solution",
    "make_detections",
    "margin_utility",
    "paper_target",
    "read_coco",
    "read_kitti",
    "read_mot",
    "read_problem",
    "read_video_file",
    "reliability",
    "robust_balance",
    "save_problem",
    "soft_utility",
    "summed_utility",
    "uncorrected",
    "write_detections",
]
