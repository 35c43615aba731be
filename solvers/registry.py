"""Which methods there are for each kind of problem, and what each of them can."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..problems.constraints import CONSTRAINTS
from ..problems.errors import InvalidInput, UnsupportedProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..problems.base import Problem
    from .search import Search


EVERY_CONSTRAINT = frozenset(CONSTRAINTS)


@dataclass(frozen=True)
class Method:
    """One way to solve one kind of problem.

    Parameters
    ----------
    name
        What users call it.
    about
        What it does, in a few words.
    run
        ``"module:function"`` below `labelcut.solvers`, imported when first used. The function takes
        a `Search`, offers answers and bounds to it, and returns once it has nothing left to do.
    memory
        Forecast of the peak bytes it adds.
    proves
        Whether it proves a bound.
    random
        Whether its answer depends on the seed.
    constraints
        Kinds of constraints it takes.
    options
        Its options with their defaults.
    curved
        Whether it takes constraints that no linear rows can state.
    prepares
        Whether it asks for `Problem.prepare` itself, where it needs that at all.
    refuses
        Which part of a problem it cannot take apart from constraints, or None.
    """

    name: str
    about: str
    run: str
    memory: Callable[[Any], int]
    proves: bool = False
    random: bool = False
    constraints: frozenset[str] = frozenset({"include", "forbid"})
    options: Mapping[str, Any] = field(default_factory=dict)
    curved: bool = False
    prepares: bool = False
    refuses: Callable[[Any], str | None] = lambda problem: None

    def solver(self) -> Callable[[Search[Any]], None]:
        """Import the function that runs the method."""
        module, function = self.run.split(":")
        solver: Callable[[Search[Any]], None] = getattr(
            import_module(f"..{module}", __name__), function
        )
        return solver

    def refusal(self, problem: Problem[Any]) -> str | None:
        """Return which part of a problem the method cannot take, or None."""
        for constraint in getattr(problem, "constraints", ()):
            if constraint.kind not in self.constraints:
                return f"cannot take the constraint {constraint.kind!r}"
            if constraint.is_curved and not self.curved:
                return f"cannot take {constraint.title} with a confidence"
        return self.refuses(problem)


@dataclass(frozen=True)
class MethodInfo:
    """What `labelcut.methods` tells of a method on a problem.

    Parameters
    ----------
    name, about
        The method.
    proves_bound
        Whether it proves a bound.
    memory
        Forecast of the peak bytes it adds.
    refusal
        Why it does not apply, or None if it does.
    """

    name: str
    about: str
    proves_bound: bool
    memory: int
    refusal: str | None


def by_name(*methods: Method) -> dict[str, Method]:
    """Return a table of methods."""
    return {method.name: method for method in methods}


def table(problem: Problem[Any]) -> Mapping[str, Method]:
    """Return the methods for a problem's kind, by name."""
    package = problem.kind.replace("-", "_")
    methods: Mapping[str, Method] = import_module(f".{package}", __package__).METHODS
    return methods


def choose(problem: Problem[Any], name: str) -> tuple[Method, str]:
    """Return the method of a name and why it was taken.

    Raises
    ------
    InvalidInput
        If there is no such method.
    UnsupportedProblem
        If it cannot take the problem; the message names the part and who can.
    """
    methods, why = table(problem), "asked for"
    if name == "auto":
        package = problem.kind.replace("-", "_")
        name, why = import_module(f".{package}", __package__).choose_auto(problem)
    if name not in methods:
        near = get_close_matches(name, methods, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(methods)} and auto"
        raise InvalidInput(f"method: {name!r} is unknown for {problem.kind} problems; {hint}")
    refusal = methods[name].refusal(problem)
    if refusal is not None:
        able = [other.name for other in methods.values() if other.refusal(problem) is None]
        remedy = "; leave the confidence out and ask for more" if "confidence" in refusal else ""
        raise UnsupportedProblem(
            f"method: {name!r} {refusal}; {', '.join(able) or 'no method'} can{remedy}"
        )
    return methods[name], why
