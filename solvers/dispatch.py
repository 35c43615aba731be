"""`solve` and `methods`: the one way from a problem to a checked answer."""

from __future__ import annotations

import logging
import math
from contextlib import nullcontext
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from ..problems.arrays import as_number
from ..problems.base import Solution, Status, StoppedBy
from ..problems.errors import InvalidInput
from ..problems.memory import require_memory
from ._clock import Clock, OutOfTime
from .registry import Method, MethodInfo, choose, table
from .search import Infeasible, Progress, Search, Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..problems.base import Problem

logger = logging.getLogger("labelcut")

A = TypeVar("A", bound=Solution)


def solve(
    problem: Problem[A],
    method: str = "auto",
    *,
    time_limit: float = 60.0,
    gap_tol: float = 1e-4,
    abs_gap_tol: float = 1e-6,
    seed: int = 0,
    progress: bool | Callable[[Progress], None] | None = None,
    options: Mapping[str, Any] | None = None,
) -> A:
    """Solve a problem and return its kind of answer with a certificate.

    Parameters
    ----------
    problem
        Such as `ClassBalanced`, or `TemporalCoherence`.
    method
        A name from `methods`, or ``"auto"``, which explains its pick in ``info["auto"]``.
    time_limit
        Wall-clock seconds; held within 10 % or 1 s, whichever is more.
    gap_tol, abs_gap_tol
        The answer counts as optimal, and the search ends, at this relative or absolute gap.
    seed
        Same seed, same answer, unless the clock stopped it.
    progress
        True for a line on stderr, or a function that is called with every `Progress`.
    options
        The method's own options.

    Returns
    -------
    Selection or ErrorEstimate
        Re-evaluated in float64 and checked against every constraint. On the time limit or Ctrl-C
        the best answer and bound so far; status ``infeasible`` with a reason, or ``unknown``, has
        no rows.

    Raises
    ------
    InvalidInput
        An unknown method or option, a limit that is no number.
    UnsupportedProblem
        The method cannot take a part of the problem.
    NotEnoughMemory
        The forecast does not fit.
    KeyboardInterrupt
        Ctrl-C before there was any answer.

    Examples
    --------
    >>> from labelcut import ClassBalanced
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]]
    >>> solution = solve(ClassBalanced(probs, [0.3, 0.5, 0.1], budget=2), "exact")
    >>> solution.indices, str(solution.status)
    (array([1, 2]), 'optimal')
    """
    check_limits(time_limit, gap_tol, seed, abs_gap_tol)
    clock = Clock(time_limit)
    chosen, why = choose(problem, method)
    search: Search[Any] = Search(
        problem=problem,
        clock=clock,
        options=_complete(chosen, options or {}),
        seed=int(seed),
        gap_tol=gap_tol,
        abs_gap_tol=abs_gap_tol,
        info={**problem.notes(), **({"auto": why} if method == "auto" else {})},
    )
    reason = problem.why_infeasible()
    if reason is not None:
        return _solution(problem, search, chosen, Status.INFEASIBLE, StoppedBy.EXHAUSTED, reason)
    forecast = chosen.memory(problem)
    require_memory(forecast, f"method {chosen.name!r}", _smaller(problem, chosen))
    logger.info("%r by %s (%s)", problem, chosen.name, why)
    try:
        with _progress(progress) as search.on_progress:
            stopped_by = _run(chosen, search)
    except Infeasible:
        reason = explained(problem, clock)
        return _solution(problem, search, chosen, Status.INFEASIBLE, StoppedBy.EXHAUSTED, reason)
    if search.best is None:
        return _solution(problem, search, chosen, Status.UNKNOWN, stopped_by)
    status = Status.OPTIMAL if search.complete or search.closed else Status.FEASIBLE
    return _solution(problem, search, chosen, status, stopped_by)


def methods(problem: Problem[Any]) -> tuple[MethodInfo, ...]:
    """Return which methods apply to a problem, what they prove and what they need.

    Examples
    --------
    >>> from labelcut import ClassBalanced
    >>> problem = ClassBalanced([[0.9, 0.1], [0.2, 0.8]], [0.3, 0.5], budget=1)
    >>> [method.name for method in methods(problem) if method.proves_bound]
    ['exact', 'relaxed']
    """
    return tuple(
        MethodInfo(
            name=method.name,
            about=method.about,
            proves_bound=method.proves,
            memory=method.memory(problem),
            refusal=method.refusal(problem),
        )
        for method in table(problem).values()
    )


def _run(method: Method, search: Search[Any]) -> StoppedBy:
    try:
        if not method.prepares:
            search.problem.prepare(search.clock.check_late)
        method.solver()(search)
    except OutOfTime:
        return StoppedBy.TIME
    except Stop as stop:
        return stop.stopped_by
    except KeyboardInterrupt:
        if search.best is None:
            raise
        return StoppedBy.INTERRUPT
    return StoppedBy.EXHAUSTED


def explained(problem: Any, clock: Clock) -> str:
    """Return why nothing satisfies the constraints of a problem, where a search has shown it."""
    try:
        reason: str = import_module(".explaining", __package__).explain(problem, clock)
    except (ModuleNotFoundError, OutOfTime):
        rules = ", ".join(f"{rule.title}: {rule.describe()}" for rule in problem.constraints)
        size = "" if problem.budget is None else f"{problem.budget} "
        reason = f"no {size}rows satisfy all constraints ({rules}); loosen one of them"
    return reason


def _solution(
    problem: Problem[A],
    search: Search[Any],
    method: Method,
    status: Status,
    stopped_by: StoppedBy,
    reason: str | None = None,
) -> A:
    order = {} if search.order is None else {"order": search.order}
    return problem.solution(
        search.rows,
        **order,
        **search.extras,
        sense=problem.sense,
        objective=None if search.best is None else search.best.objective,
        terms={} if search.best is None else search.best.terms,
        bound=search.bound,
        certificate=search.certificate,
        status=status,
        stopped_by=stopped_by,
        reason=reason,
        method=method.name,
        seed=search.seed,
        runtime=search.clock.elapsed(),
        info=search.info,
        fingerprint=problem.fingerprint,
    )


def _progress(progress: bool | Callable[[Progress], None] | None) -> Any:
    if progress is True:
        from .progress import progress_line

        return progress_line()
    return nullcontext(progress or None)


def _complete(method: Method, options: Mapping[str, Any]) -> dict[str, Any]:
    for name in options:
        if name not in method.options:
            near = get_close_matches(name, method.options, n=1)
            known = ", ".join(method.options) or "none"
            hint = f"did you mean {near[0]!r}?" if near else f"{method.name!r} has: {known}"
            raise InvalidInput(f"options: {name!r} is unknown; {hint}")
    return {**method.options, **options}


def check_limits(time_limit: float, gap_tol: float, seed: int, abs_gap_tol: float = 0.0) -> None:
    """Raise `InvalidInput` for limits of a run that mean nothing."""
    if not as_number(time_limit, "time_limit") > 0:
        raise InvalidInput(f"time_limit: must be seconds above 0; got {time_limit}")
    for name, value in (("gap_tol", gap_tol), ("abs_gap_tol", abs_gap_tol)):
        if not (as_number(value, name) >= 0 and math.isfinite(value)):
            raise InvalidInput(f"{name}: must be a finite number ≥ 0; got {value}")
    number = as_number(seed, "seed")
    if not (number >= 0 and number.is_integer()):
        raise InvalidInput(f"seed: must be a whole number ≥ 0; got {seed}")


def _smaller(problem: Problem[Any], method: Method) -> str:
    need = method.memory(problem)
    smaller = [
        other.name
        for other in table(problem).values()
        if other.memory(problem) < need and other.refusal(problem) is None
    ]
    return f"take method {smaller[0]!r}" if smaller else "take fewer candidates"
