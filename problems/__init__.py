"""What is being chosen: problems, their constraints, answers, and the files that hold them."""

from .base import Certificate, Evaluation, Problem, Sense, Solution, Status, StoppedBy
from .budgeted import BudgetedSelection
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
from .problem_files import ProblemFile, read_problem, save_problem
from .selection import Selection, SelectionProblem
from .solution_files import load_solution
from .targets import fill_target, paper_target

__all__ = [
    "BudgetedSelection",
    "Certificate",
    "CheckFailed",
    "CheckReport",
    "ClassBalanced",
    "Constraint",
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
    "Problem",
    "ProblemFile",
    "Selection",
    "SelectionProblem",
    "Sense",
    "Solution",
    "Spacing",
    "Status",
    "StoppedBy",
    "UnsupportedProblem",
    "check",
    "fill_target",
    "load",
    "load_solution",
    "paper_target",
    "read_problem",
    "save_problem",
]
