"""Advice on how to choose: what a pool is like, and what the papers found for such pools."""

from .advice import Advice, Situation, advise
from .evidence import EVIDENCE, Evidence
from .measures import Balance, Measures, Redundancy, Scored, measure
from .stating import make_problem

__all__ = [
    "EVIDENCE",
    "Advice",
    "Balance",
    "Evidence",
    "Measures",
    "Redundancy",
    "Scored",
    "Situation",
    "advise",
    "make_problem",
    "measure",
]
