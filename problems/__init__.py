"""What is being chosen: problems, their constraints, answers, and the files that hold them."""

from .base import Certificate, Evaluation, Problem, Sense, Solution, Status, StoppedBy
from .budgeted import BudgetedSelection
from .calibration import Calibration, Reliability, fit_temperature, fit_vector, reliability
from .checking import CheckReport, check
from .class_balanced import ClassBalanced
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
from .errors import (
    CheckFailed,
    InfeasibleSelection,
    InvalidInput,
    LabelcutError,
    NotEnoughMemory,
    UnsupportedProblem,
)
from .factored import Factored
from .k_center import KCenter
from .loading import load
from .priors import PriorCorrection, correct_priors
from .problem_files import ProblemFile, read_problem, save_problem
from .robust import confusion_radius, expected_balance, robust_balance
from .selection import Selection, SelectionProblem
from .solution_files import load_solution
from .targets import fill_target, paper_target

__all__ = [
    "BudgetedSelection",
    "Calibration",
    "Certificate",
    "CheckFailed",
    "CheckReport",
    "ClassBalanced",
    "Constraint",
    "Correction",
    "Cost",
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
    "UnsupportedProblem",
    "check",
    "confusion_radius",
    "correct_priors",
    "corrected",
    "expected_balance",
    "fill_target",
    "fit_temperature",
    "fit_vector",
    "load",
    "load_solution",
    "paper_target",
    "read_problem",
    "reliability",
    "robust_balance",
    "save_problem",
    "uncorrected",
]
